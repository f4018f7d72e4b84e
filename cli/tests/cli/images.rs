//! Tests of archives and images as layers, of `run IMAGE`, and of the commands for the store.

use crate::image_support::{Test, file};
use crate::support::ended;
use crate::wat;
use serde_json::{Value, json};
use std::fs;
use std::process::Command;

#[test]
fn archives_are_layers_plain_and_compressed() {
    let test = Test::new();
    test.pack("base", &[file("a", "a of base"), file("b", "b of base")]);
    test.pack("app", &[file("b", "b of app"), file(".wh.a", "")]);
    let gzip = Command::new("gzip")
        .args(["--keep", "app.tar"])
        .current_dir(test.temp.path("."))
        .status();
    assert!(gzip.unwrap().success());
    test.temp.file("list.wat", wat::list(3, "."));
    test.temp.file("b.wat", wat::cat(3, "b"));
    for app in ["app.tar", "app.tar.gz", "tar:app.tar", "app", "./app.tar"] {
        let layers = ["--layer", "base.tar", "--layer", app];
        test.prints(&[&layers[..], &["list.wat"]].concat(), ".;..;b;");
        test.prints(&[&layers[..], &["b.wat"]].concat(), "b of app");
    }
    let mount = "dst=/,layer=base.tar,layer=app.tar,ro";
    test.prints(&["--mount", mount, "b.wat"], "b of app");
}

#[test]
fn image_runs_its_program_as_a_container_does() {
    let test = Test::new();
    let base = test.pack("base", &[file("usr/bin/tool", wat::arguments())]);
    let top = test.pack("top", &[file("data/x", "")]);
    let config = json!({
        "Entrypoint": ["tool", "--fixed"],
        "Cmd": ["by default"],
        "Env": ["PATH=/usr/bin", "A=of image"],
        "WorkingDir": "/data",
    });
    test.image("app", config, &[base, top]);
    let env = "PWD=/data\0PATH=/usr/bin\0A=of image\0";
    test.prints(
        &["run", "store:app"],
        &format!("tool\0--fixed\0by default\0{env}"),
    );
    // A name alone is an image if there is no such file.
    test.prints(
        &["run", "app", "own"],
        &format!("tool\0--fixed\0own\0{env}"),
    );
    test.prints(
        &["run", "-e", "A=mine", "-w", "/", "--argv0", "x", "app"],
        "x\0--fixed\0by default\0PWD=/\0PATH=/usr/bin\0A=mine\0",
    );
    // `--entrypoint` drops the command of the image.
    test.prints(
        &["run", "--entrypoint", "/usr/bin/tool", "app", "1"],
        &format!("/usr/bin/tool\x001\0{env}"),
    );
    // The store is a layout, too.
    let ended = test.run(&["run", "oci:store"]);
    assert_eq!(ended.code, 0, "{ended:?}");
}

#[test]
fn layers_and_upper_lie_on_the_image() {
    let test = Test::new();
    let base = test.pack("base", &[file("list", wat::list(3, ".")), file("a", "")]);
    test.image("app", json!({"Entrypoint": ["/list"]}), &[base]);
    test.temp.file("more/b", "").file("more/.wh.a", "");
    test.prints(&["run", "--layer", "more", "app"], ".;..;b;list;");
    // What an earlier run left is part of the tree, the program included.
    test.temp.file("up/list", wat::exit(7));
    assert_eq!(test.run(&["run", "--upper", "up", "app"]).code, 7);
    test.fails(
        &["run", "--at", "/x", "app"],
        "--at /x: the image docker://docker.io/library/app:latest is mounted at `/`; remove the option, \
         or mount other layers with --mount",
    );
}

#[test]
fn absolute_links_resolve_in_images_unless_told_otherwise() {
    let test = Test::new();
    test.pack("base", &[file("app/program", wat::cat(3, "link"))]);
    fs::create_dir(test.temp.path("base/bin")).unwrap();
    for (target, link) in [("/app/program", "base/bin/run"), ("/app/text", "base/link")] {
        std::os::unix::fs::symlink(target, test.temp.path(link)).unwrap();
    }
    test.temp.file("base/app/text", "linked");
    let base = test.archive("base");
    test.image("app", json!({"Entrypoint": ["run"]}), &[base]);
    test.prints(&["run", "app"], "linked");
    let ended = test.run(&["run", "--absolute-symlinks", "refuse", "app"]);
    assert_ne!(ended.code, 0);
    // Archives are treated as directories, images as layers of another program as images.
    test.temp.file("cat.wat", wat::cat(3, "link"));
    test.prints(&["--layer", "store:app", "cat.wat"], "linked");
    assert_ne!(test.run(&["--layer", "base.tar", "cat.wat"]).code, 0);
}

#[test]
fn image_without_a_program_of_wasm_is_refused() {
    let test = Test::new();
    let base = test.pack("base", &[file("elf", "\x7fELF..."), file("text", "text")]);
    test.image("empty", json!({}), std::slice::from_ref(&base));
    test.image(
        "linux",
        json!({"Cmd": ["/elf"]}),
        std::slice::from_ref(&base),
    );
    test.image(
        "text",
        json!({"Cmd": ["/text"]}),
        std::slice::from_ref(&base),
    );
    test.image("gone", json!({"Cmd": ["gone"]}), &[base]);
    for (name, expected) in [
        ("empty", "name its program with --entrypoint PATH"),
        (
            "linux",
            "its program `/elf` is one for Linux, and not WebAssembly",
        ),
        ("text", "`/text` is not WebAssembly"),
        ("gone", "its program `gone` is not in the image"),
    ] {
        let ended = test.run(&["run", &format!("store:{name}")]);
        assert_eq!(ended.code, 1, "{ended:?}");
        assert!(ended.stderr.contains(expected), "{name}: {}", ended.stderr);
    }
    for layer in ["tar:base.tar.x", "dir:nope"] {
        let ended = test.run(&["run", layer]);
        assert!(
            ended.stderr.contains("it is a layer, and not an image"),
            "{ended:?}"
        );
    }
    test.temp.file("ok.wat", wat::exit(0));
    test.fails(
        &["run", "--entrypoint", "/x", "ok.wat"],
        "--entrypoint: it is for images, and the program is a file; remove the option",
    );
}

#[test]
fn wasm_artifacts_run() {
    let test = Test::new();
    let (_, module) = test.blob("application/wasm", wat::exit(9).as_bytes());
    let config = json!({"architecture": "wasm", "os": "wasip1"});
    let config_type = "application/vnd.wasm.config.v0+json";
    test.manifest(
        "module",
        config_type,
        &config,
        std::slice::from_ref(&module),
    );
    assert_eq!(test.run(&["run", "store:module"]).code, 9);
    let (_, other) = test.blob("application/wasm", wat::exit(1).as_bytes());
    test.manifest("two", config_type, &config, &[module, other]);
    let ended = test.run(&["run", "store:two"]);
    assert!(ended.stderr.contains("several Wasm layers"), "{ended:?}");
}

#[test]
fn upper_and_writable_directory_must_not_contain_an_archive() {
    let test = Test::new();
    test.pack("layers/base", &[file("a", "")]);
    test.temp.file("ok.wat", wat::exit(0));
    fs::create_dir(test.temp.path("layers/up")).unwrap();
    let archive = "layers/base.tar";
    let up = ["--layer", archive, "--upper", "layers", "ok.wat"];
    test.fails(
        &up,
        "--upper layers: --layer layers/base.tar lies in it, and a layer must never change; use a \
         separate directory for the upper",
    );
    test.fails(
        &["--layer", archive, "--dir", "layers::/d", "ok.wat"],
        "--dir layers::/d: --layer layers/base.tar lies in it, and a layer must never change; make the \
         --dir read-only (HOST::GUEST::ro), or choose another directory",
    );
    // Beside it is fine.
    test.prints(&["--layer", archive, "--upper", "layers/up", "ok.wat"], "");
    test.prints(
        &["--layer", archive, "--dir", "layers::/d::ro", "ok.wat"],
        "",
    );
}

/// A program must not be able to change the image that it runs from, or the store of all images.
#[test]
fn upper_and_writable_directory_must_not_be_or_contain_the_image_that_runs() {
    let test = Test::new();
    let base = test.pack("base", &[file("ok", wat::exit(0))]);
    test.image("app", json!({"Entrypoint": ["/ok"]}), &[base]);
    for image in ["store:app", "oci:store"] {
        for mount in [
            ["--upper", "store"],
            ["--upper", "store/blobs"],
            ["--upper", "."],
            ["--dir", "store::/h"],
            ["--dir", ".::/h"],
        ] {
            let ended = test.run(&["run", mount[0], mount[1], image]);
            assert_eq!(ended.code, 1, "{mount:?} {image}: {ended:?}");
            assert!(ended.stderr.contains(mount[1]), "{ended:?}");
        }
        test.prints(&["run", "--dir", ".::/h::ro", image], "");
        test.prints(&["run", "--upper", "up", image], "");
    }
}

#[test]
fn odd_names_of_layers_are_explained() {
    let test = Test::new();
    test.temp.file("ok.wat", wat::exit(0)).file("oci:x/a", "");
    test.prints(&["--layer", "./oci:x", "ok.wat"], "");
    for (layer, expected) in [
        ("oci:x", "./oci:x"),
        ("docker:x", "docker://x"),
        ("nope.tar", "there is no such file or directory"),
        ("docker-daemon:x", "docker save"),
        ("tar:-", "save it to a file"),
        ("-", "save it to a file"),
        ("nope.tar.gz", "there is no such file or directory"),
        ("oci:nope", "nope: it does not exist"),
    ] {
        let ended = test.run(&["--layer", layer, "ok.wat"]);
        assert_ne!(ended.code, 0, "{layer}");
        assert!(ended.stderr.contains(expected), "{layer}: {}", ended.stderr);
    }
}

#[test]
fn platform_holds_for_layers_too() {
    let test = Test::new();
    let base = test.pack("base", &[file("a", "of s390x")]);
    test.image_for("linux/s390x", "data", json!({}), &[base]);
    test.temp.file("cat.wat", wat::cat(3, "a"));
    let run = |platform| test.run(&["--platform", platform, "--layer", "store:data", "cat.wat"]);
    assert_eq!(run("linux/s390x").stdout, "of s390x");
    let other = run("linux/arm64");
    assert_eq!((other.code, other.stdout.as_str()), (1, ""), "{other:?}");
    assert!(other.stderr.contains("linux/arm64"), "{other:?}");
}

#[test]
fn commands_show_and_change_the_store() {
    let test = Test::new();
    let base = test.pack("base", &[file("a", "")]);
    test.image("app:1", json!({"Entrypoint": ["/a"]}), &[base]);
    test.prints(&["tag", "app:1", "example.com/other:2"], "");
    let listed = test.run(&["images"]).stdout;
    let names: Vec<_> = listed
        .lines()
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert_eq!(names, ["NAME", "app:1", "example.com/other:2"], "{listed}");
    let all: Value =
        serde_json::from_str(&test.run(&["images", "--format", "json"]).stdout).unwrap();
    assert_eq!(all[0]["platform"], "wasip1/wasm");
    let seen: Value = serde_json::from_str(&test.run(&["inspect", "app:1"]).stdout).unwrap();
    assert_eq!(seen["entrypoint"], json!(["/a"]));
    assert_eq!(seen["layers"].as_array().unwrap().len(), 1);
    assert!(
        test.run(&["history", "app:1"])
            .stdout
            .starts_with("CREATED")
    );
    test.prints(&["rmi", "app:1"], "");
    let gone = test.run(&["inspect", "app:1"]);
    assert!(gone.stderr.contains("wasi-overlay pull"), "{gone:?}");
    test.prints(&["verify"], "");
    let pruned = test.run(&["prune", "--all", "--dry-run"]);
    assert_eq!(pruned.stdout, "example.com/other:2\n");
    // Flip a byte of a blob.
    let digest = seen["layers"][0]["digest"].as_str().unwrap();
    let blob = test.temp.path("store/blobs").join(digest.replace(':', "/"));
    let mut bytes = fs::read(&blob).unwrap();
    bytes[700] ^= 1;
    fs::remove_file(&blob).unwrap();
    fs::write(&blob, bytes).unwrap();
    let damaged = test.run(&["verify"]);
    assert_eq!(damaged.code, 1);
    assert!(damaged.stdout.contains("is damaged"), "{damaged:?}");
    // An image without its manifest is still listed, with the reason why no more is known.
    let manifest = all[0]["digest"].as_str().unwrap();
    let path = format!("store/blobs/{}", manifest.replace(':', "/"));
    fs::remove_file(test.temp.path(path)).unwrap();
    let listed = test.run(&["images"]);
    assert!(listed.stdout.contains("example.com/other:2"), "{listed:?}");
    assert!(listed.stderr.contains(manifest), "{listed:?}");
}

#[test]
fn commands_for_the_store_take_names_of_the_store() {
    let test = Test::new();
    let base = test.pack("base", &[file("a", "")]);
    test.image("app:1", json!({}), &[base]);
    test.prints(&["tag", "docker://app:1", "app:2"], "");
    test.prints(&["verify", "store:app:2"], "");
    test.prints(&["rmi", "store:app:2"], "");
    let elsewhere =
        "oci:x:1: it is not in the store; name an image that `wasi-overlay images` lists";
    for command in [
        &["rmi", "oci:x:1"][..],
        &["verify", "oci:x:1"],
        &["tag", "oci:x:1", "y"],
    ] {
        test.fails(command, elsewhere);
    }
    test.fails(
        &["tag", "app:1", "oci:x:1"],
        "oci:x:1: a new name has no transport; write one like `app:2`",
    );
    test.fails(
        &["push", "app:1", "oci:x:1"],
        "oci:x:1: push sends an image to a registry; skopeo copies it to other places",
    );
    // Every name that is there is removed, and every other one named.
    let store = test.temp.path("store");
    let missing = |name: &str| {
        format!(
            "error: docker.io/library/{name}:latest is not in the store {}; `wasi-overlay images` lists \
             what is, `wasi-overlay pull docker.io/library/{name}:latest` adds it\n",
            store.display()
        )
    };
    let ended = test.run(&["rmi", "x", "app:1", "y"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (1, ""));
    assert_eq!(ended.stderr, missing("x") + &missing("y"));
    assert_eq!(test.run(&["images"]).stdout.lines().count(), 1);
    let pruned = test.run(&["prune", "--min-age", "0", "--dry-run"]);
    assert!(
        pruned.stderr.starts_with("3 files would be removed, "),
        "{pruned:?}"
    );
}

#[test]
fn store_without_a_home_says_what_to_set() {
    let test = Test::new();
    let mut command = test.temp.binary(["images"]);
    for name in ["WASI_OVERLAY_STORE", "XDG_DATA_HOME", "HOME"] {
        command.env_remove(name);
    }
    let ended = ended(command.output().unwrap());
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("WASI_OVERLAY_STORE"), "{ended:?}");
}
