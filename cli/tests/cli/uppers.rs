//! Tests of the upper that a run creates, and of paths that cannot be an upper.

use crate::support::{Ended, TestDir};
use crate::wat;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

fn test_dir() -> TestDir {
    let temp = TestDir::with_dirs(&["base"]);
    temp.file("ok.wat", wat::exit(0))
        .file("file", "")
        .file("write.wat", wat::write(3, "new", "text", ""));
    temp
}

/// Expects that a run fails with this error and changes nothing.
#[track_caller]
fn fails(temp: &TestDir, args: &[&str], expected: &str) {
    let before = temp.tree("");
    let expected = Ended {
        code: 1,
        stdout: String::new(),
        stderr: format!("error: {expected}\n"),
    };
    assert_eq!(temp.run(args), expected, "{args:?}");
    assert_eq!(temp.tree(""), before, "{args:?}");
}

#[test]
fn upper_is_created_if_its_parent_exists() {
    let temp = test_dir();
    let ended = temp.run(["--layer", "base", "--upper", "changes", "write.wat"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    assert_eq!(temp.tree("changes"), ["new"]);
    let mode = fs::metadata(temp.path("changes"))
        .unwrap()
        .permissions()
        .mode();
    // The umask may remove more.
    assert_eq!(mode & 0o7022, 0, "{mode:o}");
    assert_eq!(mode & 0o700, 0o700, "{mode:o}");
    let ended = temp.run([
        "--mount",
        "dst=/d,layer=base,upper=changes/../more",
        "write.wat",
    ]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    assert_eq!(temp.tree("more"), ["new"]);
    fails(
        &temp,
        &["--layer", "base", "--upper", "not/there", "ok.wat"],
        "--upper not/there: there is no directory to create it in; create it with `mkdir -p not/there`",
    );
    fails(
        &temp,
        &["--upper", "file/up", "ok.wat"],
        "--upper file/up: it cannot be read (Not a directory (os error 20)); a part of the path is a \
         file; check the path",
    );
}

#[test]
fn created_upper_is_removed_if_run_fails_before_its_mount() {
    let temp = test_dir();
    temp.file("bad.wasm", "text");
    for args in [
        &["--upper", "new", "nope.wasm"][..],
        &["--upper", "new", "bad.wasm"],
        &["--upper", "new", "--dir", "nope::/d", "ok.wat"],
        &[
            "--upper",
            "new",
            "--mount",
            "dst=/d,upper=/proc/self",
            "ok.wat",
        ],
        &["--layer", "base", "--upper", "base/new", "ok.wat"],
        &["--upper", "new", "--mount", "dst=/d,upper=new", "ok.wat"],
        &["--upper", "new", "--layer", "base", "--read-only", "ok.wat"],
    ] {
        let before = temp.tree("");
        assert_eq!(temp.run(args).code, 1, "{args:?}");
        assert_eq!(temp.tree(""), before, "{args:?}");
    }
}

#[test]
fn changes_of_a_run_are_a_layer_of_the_next() {
    let temp = test_dir();
    let ended = temp.run(["--layer", "base", "--upper", "changes", "write.wat"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    temp.file("cat.wat", wat::cat(3, "new"));
    let ended = temp.run(["--layer", "base", "--layer", "changes", "cat.wat"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "text"));
}

#[test]
fn size_after_upper_directory_is_rejected() {
    let temp = test_dir();
    fails(
        &temp,
        &["--upper", "changes:64m", "ok.wat"],
        "--upper changes:64m: a size is only for memory: --upper memory:64m",
    );
    fails(
        &temp,
        &["--mount", "dst=/d,upper=changes:64m", "ok.wat"],
        "--mount dst=/d,upper=changes:64m: a size is only for memory: upper=memory:64m",
    );
    // A directory of that name can be used.
    fs::create_dir(temp.path("changes:64m")).unwrap();
    let ended = temp.run(["--upper", "changes:64m", "ok.wat"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
}

#[test]
fn dangling_link_as_upper_is_rejected() {
    let temp = test_dir();
    symlink("gone", temp.path("link")).unwrap();
    fails(
        &temp,
        &["--upper", "link", "ok.wat"],
        "--upper link: it is a symbolic link to `gone`, which does not exist; create that directory, \
         or remove the link",
    );
}

#[test]
fn filesystem_of_kernel_as_upper_is_rejected() {
    let temp = test_dir();
    for (path, name) in [("/proc/self", "proc"), ("/sys", "sysfs")] {
        if !fs::metadata(path).is_ok_and(|meta| meta.is_dir()) {
            continue;
        }
        fails(
            &temp,
            &["--upper", path, "ok.wat"],
            &format!(
                "--upper {path}: it is on {name}, a filesystem of the kernel in which no files can be \
                 created; use a directory on a disk, or --upper memory"
            ),
        );
    }
}
