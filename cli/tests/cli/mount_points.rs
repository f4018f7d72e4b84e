//! Tests of mount points: directories of other mounts in a listing of the mount above them.

use crate::support::{TestDir, ended};
use crate::wat;

/// A layer with `a` and `sub/b`, a directory to mount, and an empty upper.
fn test_dir() -> TestDir {
    let temp = TestDir::with_dirs(&["live", "up"]);
    temp.file("base/a", "").file("base/sub/b", "");
    temp
}

/// The names that the guest lists at `path` of its first preopen, without `.` and `..`.
#[track_caller]
fn list(temp: &TestDir, args: &[&str], path: &str) -> String {
    temp.file("list.wat", wat::list(3, path));
    let ended = temp.run([args, &["list.wat"]].concat());
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{args:?}");
    let names = ended.stdout.split_terminator(';');
    let mut names: Vec<_> = names.filter(|name| !matches!(*name, "." | "..")).collect();
    names.sort_unstable();
    names.join(" ")
}

const BASE: [&str; 2] = ["--layer", "base"];

#[test]
fn mount_point_is_listed_in_mount_above_it() {
    let temp = test_dir();
    assert_eq!(list(&temp, &BASE, "."), "a sub");
    for (mount, names) in [
        (&["--mount", "dst=/data,layer=base"][..], "a data sub"),
        (&["--dir", "live::/data"], "a data sub"),
        (&["-v", "live:/data:ro"], "a data sub"),
        (&["--tmpfs", "/tmp"], "a sub tmp"),
        (&["--tmpfs", "/sub"], "a sub"),
        (&["--dir", "live::data"], "a sub"),
    ] {
        for more in [&[][..], &["--read-only"], &["--upper", "up"]] {
            let args = [&BASE[..], mount, more].concat();
            assert_eq!(list(&temp, &args, "."), names, "{args:?}");
        }
    }
    let nested = [&BASE[..], &["--tmpfs", "/sub/x/y", "--tmpfs", "/sub/x/y/z"]].concat();
    assert_eq!(list(&temp, &nested, "sub"), "b x");
    assert_eq!(list(&temp, &nested, "sub/x"), "y");
    assert_eq!(list(&temp, &nested, "sub/x/y"), "");
    // Nothing of it is in the upper.
    assert_eq!(temp.tree("up"), [""; 0]);
}

#[test]
fn entry_of_layer_hides_mount_point() {
    let temp = test_dir();
    temp.file("base/data", "a file");
    temp.file("cat.wat", wat::cat(3, "data"));
    let ended = temp.run(["--layer", "base", "--tmpfs", "/data", "cat.wat"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "a file"));
}

#[test]
fn guest_may_remove_mount_point() {
    let temp = test_dir();
    temp.file("rmdir.wat", wat::rmdir(3, "tmp"));
    let args = [&BASE[..], &["--upper", "up", "--tmpfs", "/tmp"]].concat();
    let ended = temp.run([&args[..], &["rmdir.wat"]].concat());
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    assert_eq!(temp.tree("up"), [".wh.tmp"]);
    assert_eq!(list(&temp, &args, "."), "a sub");
}

#[test]
fn mount_points_do_not_count_as_layer() {
    let temp = test_dir();
    let layers = ["--layer", "base"].repeat(499);
    let args = [&layers[..], &["--tmpfs", "/tmp"]].concat();
    // There is no room for the layer of mount points; everything else works.
    assert_eq!(list(&temp, &args, "."), "a sub");
    assert_eq!(list(&temp, &args[2..], "."), "a sub tmp");
}

#[test]
fn log_does_not_name_option_for_mount_point() {
    let temp = test_dir();
    temp.file("up/.wh.tmp", "");
    temp.file("rmdir.wat", wat::rmdir(3, "tmp"));
    let args = [
        "--layer",
        "base",
        "--upper",
        "up",
        "--tmpfs",
        "/tmp",
        "rmdir.wat",
    ];
    let mut command = temp.command(args);
    command.env("WASMTIME_LOG", "wasi_overlay=debug");
    let ended = ended(command.output().unwrap());
    assert_eq!(ended.code, 44, "{ended:?}");
    assert!(
        ended.stderr.contains("the layer `mount points` has it"),
        "{ended:?}"
    );
    assert!(!ended.stderr.contains("--layer mount"), "{ended:?}");
}
