//! Tests of mounts: what the guest reads, and where its changes are written.

use crate::support::TestDir;
use crate::wat;
use std::fs;

/// Two layers: `base` with `a`, `b` and `gone`, `app` with its own `b` and a whiteout of `gone`.
fn test_dir() -> TestDir {
    let temp = TestDir::with_dirs(&["up"]);
    temp.file("base/a", "a of base")
        .file("base/b", "b of base")
        .file("base/gone", "never seen")
        .file("app/b", "b of app")
        .file("app/.wh.gone", "");
    temp
}

const LAYERS: [&str; 4] = ["--layer", "base", "--layer", "app"];

#[track_caller]
fn prints(temp: &TestDir, args: &[&str], guest: String, expected: &str) {
    temp.file("guest.wat", guest);
    let ended = temp.run([args, &["guest.wat"]].concat());
    assert_eq!(
        (ended.code, ended.stdout.as_str(), ended.stderr.as_str()),
        (0, expected, ""),
        "{args:?}"
    );
}

/// Expects that a guest fails with this errno, with one warning that contains `words`.
#[track_caller]
fn warns(temp: &TestDir, args: &[&str], guest: String, errno: i32, words: &str) {
    temp.file("guest.wat", guest);
    let ended = temp.run([args, &["guest.wat"]].concat());
    assert_eq!(ended.code, errno, "{args:?}: {}", ended.stderr);
    let lines: Vec<_> = ended.stderr.lines().collect();
    let [line] = lines[..] else {
        panic!("{args:?}: {}", ended.stderr)
    };
    assert!(line.contains(" WARN ") && line.contains(words), "{line}");
}

/// Expects that a guest fails with this errno, without a warning.
#[track_caller]
fn fails(temp: &TestDir, args: &[&str], guest: String, errno: i32) {
    temp.file("guest.wat", guest);
    let ended = temp.run([args, &["guest.wat"]].concat());
    assert_eq!((ended.code, ended.stderr.as_str()), (errno, ""), "{args:?}");
}

const NOENT: i32 = 44;
const NOSPC: i32 = 51;
const ROFS: i32 = 69;

#[test]
fn guest_without_mounts_has_no_preopens() {
    prints(&test_dir(), &[], wat::preopens(), "");
}

#[test]
fn mounts_are_preopened_at_their_mount_points() {
    let temp = test_dir();
    fs::create_dir(temp.path("live")).unwrap();
    prints(&temp, &LAYERS, wat::preopens(), "/;");
    let args = [
        &[
            "--dir",
            "up::work",
            "--dir",
            "live",
            "--mount",
            "dst=/d/,layer=base",
        ][..],
        &["--at", "/root"],
        &LAYERS[..],
    ];
    prints(
        &temp,
        &args.concat(),
        wat::preopens(),
        "/root;/d;work;live;",
    );
}

#[test]
fn later_layer_hides_files_of_earlier_layer() {
    let temp = test_dir();
    prints(&temp, &LAYERS, wat::cat(3, "a"), "a of base");
    prints(&temp, &LAYERS, wat::cat(3, "b"), "b of app");
    fails(&temp, &LAYERS, wat::cat(3, "gone"), NOENT);
    let reversed = ["--layer", "app", "--layer", "base"];
    prints(&temp, &reversed, wat::cat(3, "b"), "b of base");
}

#[test]
fn changes_are_written_only_to_upper() {
    let temp = test_dir();
    let args = [&LAYERS[..], &["--upper", "up"]].concat();
    prints(&temp, &args, wat::write(3, "a", "changed", ""), "");
    prints(&temp, &args, wat::cat(3, "a"), "changed");
    prints(&temp, &args, wat::unlink(3, "b"), "");
    fails(&temp, &args, wat::cat(3, "b"), NOENT);
    assert_eq!(temp.tree("up"), [".wh.b", "a"]);
    assert_eq!(temp.read("up/a"), "changed");
    assert_eq!(temp.read("base/a"), "a of base");
    assert_eq!(temp.read("app/b"), "b of app");
    assert_eq!(temp.tree("base"), ["a", "b", "gone"]);
}

#[test]
fn memory_upper_discards_changes_at_end() {
    let temp = test_dir();
    for memory in [&[][..], &["--upper", "memory"], &["--upper", "memory:1m"]] {
        let args = [&LAYERS[..], memory].concat();
        prints(&temp, &args, wat::write(3, "a", "changed", ""), "");
        prints(&temp, &args, wat::cat(3, "a"), "a of base");
    }
    assert_eq!(temp.tree("up"), [""; 0]);
}

#[test]
fn memory_upper_is_limited_to_its_size() {
    let temp = test_dir();
    let bounded = ["--upper", "memory:64k"];
    for args in [&bounded[..], &["--mount", "dst=/d,memory=64k"]] {
        warns(&temp, args, wat::fill(3, "full"), NOSPC, "is full");
    }
    // The guest only gets the errno. The log names the layer and its size.
    let mut command = temp.command(["--upper", "memory:64k", "guest.wat"]);
    let output = command.env("WASMTIME_LOG", "wasi_overlay=debug").output();
    let ended = crate::support::ended(output.unwrap());
    let reason = "the upper in memory is full: it may hold 65536 bytes";
    assert!(ended.stderr.contains(reason), "{ended:?}");
}

#[test]
fn tmpfs_is_limited_to_its_size() {
    let temp = test_dir();
    let args = ["--tmpfs", "/tmp:size=64k"];
    prints(&temp, &args, wat::preopens(), "/tmp;");
    prints(&temp, &args, wat::write(3, "a", "text", ""), "");
    warns(&temp, &args, wat::fill(3, "full"), NOSPC, "is full");
}

#[test]
fn volume_is_a_host_directory_as_it_is() {
    let temp = test_dir();
    prints(&temp, &["-v", "app:/x"], wat::preopens(), "/x;");
    prints(
        &temp,
        &["-v", "app:/x"],
        wat::write(3, "new", "text", ""),
        "",
    );
    assert_eq!(temp.read("app/new"), "text");
    let read_only = ["--volume", "app:/x:ro"];
    prints(&temp, &read_only, wat::cat(3, "b"), "b of app");
    fails(&temp, &read_only, wat::unlink(3, "b"), ROFS);
}

#[test]
fn upper_without_layers_is_mounted_alone() {
    let temp = test_dir();
    prints(
        &temp,
        &["--upper", "up"],
        wat::write(3, "new", "text", ""),
        "",
    );
    assert_eq!(temp.tree("up"), ["new"]);
    fails(&temp, &["--upper", "up"], wat::cat(3, "a"), NOENT);
}

#[test]
fn read_only_refuses_every_change() {
    let temp = test_dir();
    temp.file("up/a", "a of up");
    for more in [&["--read-only"][..], &["--read-only", "--upper", "up"]] {
        let args = [&LAYERS[..], more].concat();
        fails(&temp, &args, wat::write(3, "a", "changed", ""), ROFS);
        fails(&temp, &args, wat::write(3, "new", "text", ""), ROFS);
        fails(&temp, &args, wat::unlink(3, "b"), ROFS);
    }
    let args = [&LAYERS[..], &["--read-only", "--upper", "up"]].concat();
    prints(&temp, &args, wat::cat(3, "a"), "a of up");
    fails(
        &temp,
        &["--mount", "dst=/d,layer=base,ro"],
        wat::unlink(3, "a"),
        ROFS,
    );
    assert_eq!(temp.tree("up"), ["a"]);
}

#[test]
fn dir_is_live_and_has_no_whiteouts() {
    let temp = test_dir();
    prints(&temp, &["--dir", "app"], wat::cat(3, "b"), "b of app");
    prints(
        &temp,
        &["--dir", "app::/x"],
        wat::write(3, ".wh.b", "text", ""),
        "",
    );
    assert_eq!(temp.read("app/.wh.b"), "text");
    fails(&temp, &["--dir", "app::/x::ro"], wat::unlink(3, "b"), ROFS);
    prints(
        &temp,
        &["--dir", "app::/x::ro"],
        wat::cat(3, "b"),
        "b of app",
    );
}

#[test]
fn read_only_dir_may_be_layer_of_overlay() {
    let temp = test_dir();
    let args = [&LAYERS[..], &["--dir", "base::/plain::ro"]].concat();
    prints(&temp, &args, wat::cat(4, "gone"), "never seen");
}

#[test]
fn absolute_symlinks_are_refused_or_resolved_from_root() {
    const PERM: i32 = 63;
    let temp = test_dir();
    std::os::unix::fs::symlink("/a", temp.path("base/link")).unwrap();
    let refused = "--absolute-symlinks root";
    warns(&temp, &LAYERS, wat::cat(3, "link"), PERM, refused);
    let root = [&LAYERS[..], &["--absolute-symlinks", "root"]].concat();
    prints(&temp, &root, wat::cat(3, "link"), "a of base");
    let mount = ["--mount", "dst=/d,layer=base,absolute-symlinks=root"];
    prints(&temp, &mount, wat::cat(3, "link"), "a of base");
}

#[test]
fn component_of_wasi_0_2_runs_on_overlay() {
    let temp = test_dir();
    temp.file("mkdir.wat", wat::mkdir_component("made"));
    let run = |args: &[&str]| temp.run([args, &["mkdir.wat"]].concat());
    let args = [&LAYERS[..], &["--upper", "up"]].concat();
    let ended = run(&args);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    assert!(fs::metadata(temp.path("up/made")).unwrap().is_dir());
    // The directory exists now.
    assert_eq!(run(&args).code, 1);
    assert_eq!(run(&[&LAYERS[..], &["--read-only"]].concat()).code, 1);
    assert_eq!(run(&["--dir", "base"]).code, 0);
    assert!(fs::metadata(temp.path("base/made")).unwrap().is_dir());
}

#[test]
fn comma_in_host_path_is_escaped() {
    let temp = test_dir();
    temp.file("x,y/c", "c");
    prints(
        &temp,
        &["--mount", r"dst=/d,layer=x\,y"],
        wat::cat(3, "c"),
        "c",
    );
}

#[test]
fn overlay_supports_500_layers() {
    let temp = test_dir();
    let names: Vec<String> = (0..499).map(|n| format!("many/{n}")).collect();
    for name in &names {
        temp.file(&format!("{name}/file"), name);
    }
    let args: Vec<&str> = names.iter().flat_map(|name| ["--layer", name]).collect();
    prints(&temp, &args, wat::cat(3, "file"), "many/498");
}
