//! What a guest finds, and where its changes go.

use crate::support::Place;
use crate::wat;
use std::fs;

/// Two layers: `base` with `a` and `b`, `app` with its own `b` and without `gone`.
fn place() -> Place {
    let place = Place::with_dirs(&["up"]);
    place
        .file("base/a", "a of base")
        .file("base/b", "b of base")
        .file("base/gone", "never seen")
        .file("app/b", "b of app")
        .file("app/.wh.gone", "");
    place
}

const LAYERS: [&str; 4] = ["--layer", "base", "--layer", "app"];

#[track_caller]
fn prints(place: &Place, args: &[&str], guest: String, expected: &str) {
    place.file("guest.wat", guest);
    let ended = place.run([args, &["guest.wat"]].concat());
    assert_eq!(
        (ended.code, ended.stdout.as_str(), ended.stderr.as_str()),
        (0, expected, ""),
        "{args:?}"
    );
}

/// Runs a guest that fails with this errno, of which one warning tells in these words.
#[track_caller]
fn warns(place: &Place, args: &[&str], guest: String, errno: i32, words: &str) {
    place.file("guest.wat", guest);
    let ended = place.run([args, &["guest.wat"]].concat());
    assert_eq!(ended.code, errno, "{args:?}: {}", ended.stderr);
    let lines: Vec<_> = ended.stderr.lines().collect();
    let [line] = lines[..] else {
        panic!("{args:?}: {}", ended.stderr)
    };
    assert!(line.contains(" WARN ") && line.contains(words), "{line}");
}

/// Runs a guest that fails with this errno, and says nothing.
#[track_caller]
fn fails(place: &Place, args: &[&str], guest: String, errno: i32) {
    place.file("guest.wat", guest);
    let ended = place.run([args, &["guest.wat"]].concat());
    assert_eq!((ended.code, ended.stderr.as_str()), (errno, ""), "{args:?}");
}

const NOENT: i32 = 44;
const NOSPC: i32 = 51;
const ROFS: i32 = 69;

#[test]
fn without_mounts_there_is_no_directory() {
    prints(&place(), &[], wat::preopens(), "");
}

#[test]
fn mounts_are_preopened_where_they_were_asked_for() {
    let place = place();
    fs::create_dir(place.path("live")).unwrap();
    prints(&place, &LAYERS, wat::preopens(), "/;");
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
        &place,
        &args.concat(),
        wat::preopens(),
        "/root;/d;work;live;",
    );
}

#[test]
fn the_upper_layer_hides_the_lower_one() {
    let place = place();
    prints(&place, &LAYERS, wat::cat(3, "a"), "a of base");
    prints(&place, &LAYERS, wat::cat(3, "b"), "b of app");
    fails(&place, &LAYERS, wat::cat(3, "gone"), NOENT);
    let reversed = ["--layer", "app", "--layer", "base"];
    prints(&place, &reversed, wat::cat(3, "b"), "b of base");
}

#[test]
fn changes_go_to_the_upper_and_nowhere_else() {
    let place = place();
    let args = [&LAYERS[..], &["--upper", "up"]].concat();
    prints(&place, &args, wat::write(3, "a", "changed", ""), "");
    prints(&place, &args, wat::cat(3, "a"), "changed");
    prints(&place, &args, wat::unlink(3, "b"), "");
    fails(&place, &args, wat::cat(3, "b"), NOENT);
    assert_eq!(place.tree("up"), [".wh.b", "a"]);
    assert_eq!(place.read("up/a"), "changed");
    assert_eq!(place.read("base/a"), "a of base");
    assert_eq!(place.read("app/b"), "b of app");
    assert_eq!(place.tree("base"), ["a", "b", "gone"]);
}

#[test]
fn without_an_upper_changes_are_forgotten() {
    let place = place();
    for memory in [&[][..], &["--upper", "memory"], &["--upper", "memory:1m"]] {
        let args = [&LAYERS[..], memory].concat();
        prints(&place, &args, wat::write(3, "a", "changed", ""), "");
        prints(&place, &args, wat::cat(3, "a"), "a of base");
    }
    assert_eq!(place.tree("up"), [""; 0]);
}

#[test]
fn a_memory_upper_has_a_bound() {
    let place = place();
    let bounded = ["--upper", "memory:64k"];
    for args in [&bounded[..], &["--mount", "dst=/d,memory=64k"]] {
        warns(&place, args, wat::fill(3, "full"), NOSPC, "is full");
    }
    // A guest can only say that the disk is full. The log says which, and how much it holds.
    let mut command = place.command(["--upper", "memory:64k", "guest.wat"]);
    let output = command.env("WASMTIME_LOG", "wasi_overlay=debug").output();
    let ended = crate::support::ended(output.unwrap());
    let reason = "the upper in memory is full: it may hold 65536 bytes";
    assert!(ended.stderr.contains(reason), "{ended:?}");
}

#[test]
fn an_upper_without_layers_is_an_overlay_on_nothing() {
    let place = place();
    prints(
        &place,
        &["--upper", "up"],
        wat::write(3, "new", "text", ""),
        "",
    );
    assert_eq!(place.tree("up"), ["new"]);
    fails(&place, &["--upper", "up"], wat::cat(3, "a"), NOENT);
}

#[test]
fn read_only_refuses_every_change() {
    let place = place();
    place.file("up/a", "a of up");
    for more in [&["--read-only"][..], &["--read-only", "--upper", "up"]] {
        let args = [&LAYERS[..], more].concat();
        fails(&place, &args, wat::write(3, "a", "changed", ""), ROFS);
        fails(&place, &args, wat::write(3, "new", "text", ""), ROFS);
        fails(&place, &args, wat::unlink(3, "b"), ROFS);
    }
    let args = [&LAYERS[..], &["--read-only", "--upper", "up"]].concat();
    prints(&place, &args, wat::cat(3, "a"), "a of up");
    fails(
        &place,
        &["--mount", "dst=/d,layer=base,ro"],
        wat::unlink(3, "a"),
        ROFS,
    );
    assert_eq!(place.tree("up"), ["a"]);
}

#[test]
fn a_dir_is_live_and_knows_no_whiteouts() {
    let place = place();
    prints(&place, &["--dir", "app"], wat::cat(3, "b"), "b of app");
    prints(
        &place,
        &["--dir", "app::/x"],
        wat::write(3, ".wh.b", "text", ""),
        "",
    );
    assert_eq!(place.read("app/.wh.b"), "text");
    fails(&place, &["--dir", "app::/x::ro"], wat::unlink(3, "b"), ROFS);
    prints(
        &place,
        &["--dir", "app::/x::ro"],
        wat::cat(3, "b"),
        "b of app",
    );
}

#[test]
fn a_read_only_dir_may_show_a_layer_beside_the_overlay() {
    let place = place();
    let args = [&LAYERS[..], &["--dir", "base::/plain::ro"]].concat();
    prints(&place, &args, wat::cat(4, "gone"), "never seen");
}

#[test]
fn absolute_symlinks_are_refused_or_resolved_from_the_root() {
    const PERM: i32 = 63;
    let place = place();
    std::os::unix::fs::symlink("/a", place.path("base/link")).unwrap();
    let refused = "--absolute-symlinks root";
    warns(&place, &LAYERS, wat::cat(3, "link"), PERM, refused);
    let root = [&LAYERS[..], &["--absolute-symlinks", "root"]].concat();
    prints(&place, &root, wat::cat(3, "link"), "a of base");
    let mount = ["--mount", "dst=/d,layer=base,absolute-symlinks=root"];
    prints(&place, &mount, wat::cat(3, "link"), "a of base");
}

#[test]
fn a_component_of_wasi_0_2_sees_the_same_overlay() {
    let place = place();
    place.file("mkdir.wat", wat::mkdir_component("made"));
    let run = |args: &[&str]| place.run([args, &["mkdir.wat"]].concat());
    let args = [&LAYERS[..], &["--upper", "up"]].concat();
    let ended = run(&args);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    assert!(fs::metadata(place.path("up/made")).unwrap().is_dir());
    // It exists by now.
    assert_eq!(run(&args).code, 1);
    assert_eq!(run(&[&LAYERS[..], &["--read-only"]].concat()).code, 1);
    assert_eq!(run(&["--dir", "base"]).code, 0);
    assert!(fs::metadata(place.path("base/made")).unwrap().is_dir());
}

#[test]
fn a_host_path_with_a_comma_is_escaped() {
    let place = place();
    place.file("x,y/c", "c");
    prints(
        &place,
        &["--mount", r"dst=/d,layer=x\,y"],
        wat::cat(3, "c"),
        "c",
    );
}

#[test]
fn an_overlay_takes_500_layers() {
    let place = place();
    let names: Vec<String> = (0..499).map(|n| format!("many/{n}")).collect();
    for name in &names {
        place.file(&format!("{name}/file"), name);
    }
    let args: Vec<&str> = names.iter().flat_map(|name| ["--layer", name]).collect();
    prints(&place, &args, wat::cat(3, "file"), "many/498");
}
