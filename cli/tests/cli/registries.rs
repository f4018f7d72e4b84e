//! Tests of `pull` and `push` with docker-registry, and of when `run` pulls.

use crate::image_support::{Test, file};
use crate::wat;
use serde_json::{Value, json};
use std::fs;
use wasi_overlay_image::Digest;
use wasi_overlay_image::oci_spec::image::MediaType;
use wasi_overlay_proof::registry::Registry;

#[test]
fn image_is_pulled_when_it_is_missing_damaged_or_newer() {
    let Some(registry) = Registry::start("images", &[], &[]) else {
        return;
    };
    let name = format!("{}/app:1", registry.host());
    let (here, other) = (Test::new(), Test::new());
    let push = |text: &str| {
        let files = [file("run", wat::cat(3, "text")), file("text", text)];
        let layer = other.pack("app", &files);
        other.image(
            &name,
            json!({"Entrypoint": ["/run"]}),
            std::slice::from_ref(&layer),
        );
        let pushed = other.run(&["push", &name]);
        assert_eq!(pushed.code, 0, "{pushed:?}");
        Digest::of(&layer)
    };
    let run = |options: &[&str]| here.run(&[&["run"], options, &[&name]].concat());
    let runs = |options: &[&str], text: &str, stderr: &str| {
        let ended = run(options);
        assert_eq!((ended.code, ended.stdout.as_str()), (0, text), "{ended:?}");
        match stderr {
            "" => assert_eq!(ended.stderr, ""),
            part => assert!(ended.stderr.contains(part), "{ended:?}"),
        }
    };
    let layer = push("first");
    let never = run(&["--pull", "never"]);
    assert_eq!(never.code, 1, "{never:?}");
    assert!(never.stderr.contains("wasi-overlay pull"), "{never:?}");
    let short = layer.hex()[..12].to_owned();
    runs(&[], "first", &format!("{short} done"));
    runs(&[], "first", "");
    // A layer was removed, as `prune` of another tool would.
    let blob = here.temp.path("store/blobs/sha256").join(layer.hex());
    fs::remove_file(blob).unwrap();
    runs(&[], "first", &format!("{short} done"));
    // The name moves.
    let newer = push("second").hex()[..12].to_owned();
    runs(&[], "first", "");
    runs(&["--pull", "newer"], "second", &format!("{newer} done"));
    drop(registry);
    let once = ["--retry-times", "0", "--pull"];
    let newer = [&once[..], &["newer"]].concat();
    runs(&newer, "second", "the image in the store is used");
    let always = run(&[&once[..], &["always"]].concat());
    assert_eq!((always.code, always.stdout.as_str()), (1, ""), "{always:?}");
}

/// The digest of the image that a name of the store stands for.
fn digest(test: &Test, name: &str) -> String {
    let described = test.run(&["inspect", name]);
    assert_eq!(described.code, 0, "{described:?}");
    let described: Value = serde_json::from_str(&described.stdout).unwrap();
    described["digest"].as_str().unwrap().to_owned()
}

#[test]
fn image_for_several_platforms_is_pushed_whole_or_for_one() {
    let Some(registry) = Registry::start("platforms", &[], &[]) else {
        return;
    };
    let (here, other) = (Test::new(), Test::new());
    let manifests: Vec<_> = ["linux/s390x", "wasip1/wasm"]
        .iter()
        .map(|platform| {
            let layer = other.pack("app", &[file("platform", *platform)]);
            other.image_for(platform, "one", json!({}), &[layer]);
            let digest = digest(&other, "one");
            let size = other.store.size(&digest.parse().unwrap()).unwrap();
            let (os, architecture) = platform.split_once('/').unwrap();
            json!({
                "mediaType": MediaType::ImageManifest.to_string(),
                "digest": digest,
                "size": size,
                "platform": {"os": os, "architecture": architecture},
            })
        })
        .collect();
    let (s390x, wasm) = (&manifests[0]["digest"], &manifests[1]["digest"]);
    let index = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::ImageIndex.to_string(),
        "manifests": manifests,
    });
    other.document("all", MediaType::ImageIndex, &index);
    let name = |tag: &str| format!("{}/app:{tag}", registry.host());
    let push = |test: &Test, args: &[&str]| {
        let pushed = test.run(&[&["push"], args].concat());
        assert_eq!(pushed.code, 0, "{pushed:?}");
        pushed.stdout.trim_end().to_owned()
    };
    let whole = push(&other, &["all", &name("all")]);
    assert_eq!(whole, Digest::of(index.to_string().as_bytes()).to_string());
    let one = push(
        &other,
        &["--platform", "linux/s390x", "all", &name("s390x")],
    );
    assert_eq!(one, *s390x);

    // The other platform of the same index is not pulled.
    let all = name("all");
    let pulled = here.run(&["pull", "--platform", "linux/s390x", &all]);
    assert_eq!(pulled.stdout.trim_end(), *s390x, "{pulled:?}");
    assert_eq!(digest(&here, &all), *s390x);
    here.temp.file("cat.wat", wat::cat(3, "platform"));
    let layer = format!("store:{all}");
    here.prints(&["--layer", &layer, "cat.wat"], "linux/s390x");
    assert_eq!(push(&here, &[&all, &name("again")]), *s390x);
    let absent = here.run(&["push", "--platform", "wasip1/wasm", &all, &name("x")]);
    assert_eq!(absent.code, 1, "{absent:?}");
    assert!(absent.stderr.contains(wasm.as_str().unwrap()), "{absent:?}");
}
