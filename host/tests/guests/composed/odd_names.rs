//! Tests of composed guests on layers and uppers that hold names which are not UTF-8.
//!
//! WASI cannot express such a name, so the host's stream has an error in its place. That error used to
//! fail every call in the directory, and in a layer's root every call of the guest. Now the overlay has to
//! serve each name that WASI can express, and must not lose the others.

use super::overlay;
use crate::program::{Files, Preopen, Program};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use wasi_overlay_guest_artifacts::{P2_ODD_NAMES, P2_SCRIPT};

const ODD: &[u8] = b"caf\xe9.txt";

fn odd(dir: &Path) -> PathBuf {
    dir.join(OsStr::from_bytes(ODD))
}

/// A folder that holds `good.txt`, and `caf\xe9.txt` beside it.
fn write(dir: &Path) {
    fs::create_dir_all(dir).expect("it can be made");
    fs::write(dir.join("good.txt"), "good").expect("it can be written");
    fs::write(odd(dir), "odd").expect("it can be written");
}

/// `lower`, `upper` and `plain`, empty.
fn folders() -> TempDir {
    let folder = TempDir::new().expect("a folder can be made");
    for name in ["lower", "upper", "plain"] {
        fs::create_dir(folder.path().join(name)).expect("it can be made");
    }
    folder
}

/// The transcript of a guest that is composed with an overlay of `lower` and `upper`.
fn composed(folder: &Path, guest: &[u8], script: &str) -> String {
    let bytes = overlay().compose(guest, None).expect("it can be composed");
    let layer = |name: &str| Preopen::new(folder.join(name), format!("/{name}"));
    let preopens = [layer("lower"), layer("upper")];
    transcript(&bytes.bytes, Files::Preopens(&preopens), script)
}

fn transcript(component: &[u8], files: Files<'_>, script: &str) -> String {
    let program = Program::new(component).expect("it can be compiled");
    let outcome = program.run(files, &["guest", script], &[]);
    let outcome = outcome.expect("it can be run");
    assert_eq!(outcome.failure, None, "{}", outcome.stderr);
    outcome.stdout
}

fn script() -> Vec<u8> {
    fs::read(P2_SCRIPT.path()).expect("a guest that was built can be read")
}

/// Checks that calls on the names that WASI can express have the same answers as with stock wasmtime on a
/// plain directory.
fn check_names(dir: &str, of: &str) {
    let folder = folders();
    let in_dir = |root: &str| folder.path().join(root).join(dir);
    write(&in_dir(of));
    write(&in_dir("plain"));
    let at = |name: &str| format!("{dir}/{name}").trim_start_matches('/').to_owned();
    let steps = [
        format!("open 1 0 r {}", at("good.txt")),
        "read 1 0 10".to_owned(),
        format!("stat-at 0 - {}", at("missing")),
        format!("open 2 0 rwc {}", at("new.txt")),
        "write 2 0 new".to_owned(),
        "read 2 0 10".to_owned(),
        format!("mkdir 0 {}", at("made")),
        format!("rename 0 {} 0 {}", at("good.txt"), at("made/moved")),
        format!("open 3 0 r {}", at("made/moved")),
        "read 3 0 10".to_owned(),
        format!("open 4 0 r {}", at("good.txt")),
        format!("unlink 0 {}", at("new.txt")),
        format!("open 5 0 rwcx {}", at("new.txt")),
    ]
    .join("\n");
    let guest = script();
    let plain = folder.path().join("plain");
    let expected = transcript(&guest, Files::Stock(&plain), &steps);
    assert!(expected.contains("read 1 0 10 = good"), "{expected}");
    assert_eq!(composed(folder.path(), &guest, &steps), expected);
    assert_eq!(fs::read(odd(&in_dir(of))).expect("it stays"), b"odd");
}

#[test]
fn odd_names_hide_no_others_in_the_root_of_a_layer() {
    check_names("", "lower");
}

#[test]
fn odd_names_hide_no_others_in_a_directory_of_a_layer() {
    check_names("sub", "lower");
}

#[test]
fn odd_names_hide_no_others_in_an_upper() {
    check_names("", "upper");
    check_names("sub", "upper");
}

/// As in the plugin: all names that WASI can express, then an error for each other name.
#[test]
fn a_listing_ends_with_an_error_for_each_odd_name() {
    let guest = fs::read(P2_ODD_NAMES.path()).expect("a guest that was built can be read");
    for of in ["lower", "upper"] {
        let folder = folders();
        let dir = folder.path().join(of);
        write(&dir);
        fs::write(dir.join(OsStr::from_bytes(b"\xff")), "").expect("it can be written");
        fs::write(dir.join("z-last"), "").expect("it can be written");
        let failed = "\"illegal-byte-sequence\"";
        assert_eq!(
            composed(folder.path(), &guest, ""),
            format!(
                "names: [\"good.txt\", \"z-last\"]\nfailures: [{failed}, {failed}]\n\
                 names after a failure: []\n"
            )
        );
    }
}

/// Entries that a guest cannot see are not lost when it removes or renames their directory.
#[test]
fn odd_names_are_not_lost_with_their_directory() {
    for of in ["lower", "upper"] {
        let folder = folders();
        let dir = folder.path().join(of).join("sub");
        fs::create_dir(&dir).expect("it can be made");
        fs::write(odd(&dir), "odd").expect("it can be written");
        let steps = "rmdir 0 sub\nmkdir 0 other\nrename 0 other 0 sub\nrename 0 sub 0 moved";
        let transcript = composed(folder.path(), &script(), steps);
        let moved = if of == "upper" {
            "done"
        } else {
            "illegal-byte-sequence"
        };
        assert_eq!(
            transcript.lines().collect::<Vec<_>>(),
            [
                "rmdir 0 sub = not-empty",
                "mkdir 0 other = done",
                "rename 0 other 0 sub = not-empty",
                &format!("rename 0 sub 0 moved = {moved}"),
            ]
        );
        let now = if of == "upper" {
            "upper/moved"
        } else {
            "lower/sub"
        };
        let kept = fs::read(odd(&folder.path().join(now)));
        assert_eq!(kept.expect("it stays"), b"odd");
    }
}

/// Whiteouts and opaque directories beside such names keep their meaning, and an upper whose last mount was
/// interrupted is repaired.
#[test]
fn whiteouts_beside_odd_names_hide_what_they_name() {
    let folder = folders();
    let (lower, upper) = (folder.path().join("lower"), folder.path().join("upper"));
    for dir in ["", "opaque"] {
        write(&lower.join(dir));
        fs::write(lower.join(dir).join("hidden"), "").expect("it can be written");
        write(&upper.join(dir));
    }
    fs::write(upper.join(".wh.hidden"), "").expect("it can be written");
    fs::write(upper.join("opaque/.wh..wh..opq"), "").expect("it can be written");
    // The leftovers of an interrupted change: an entry beside its whiteout, and the work folder.
    fs::write(upper.join(".wh.good.txt"), "").expect("it can be written");
    fs::create_dir(upper.join(".wh..wh.work")).expect("it can be made");
    let steps = "stat-at 0 - hidden\nstat-at 0 - opaque/hidden\nopen 1 0 r opaque/good.txt\n\
                 read 1 0 9\nopen 2 0 r good.txt\nread 2 0 9";
    let transcript = composed(folder.path(), &script(), steps);
    assert_eq!(
        transcript.lines().collect::<Vec<_>>(),
        [
            "stat-at 0 - hidden = no-entry",
            "stat-at 0 - opaque/hidden = no-entry",
            "open 1 0 r opaque/good.txt = file",
            "read 1 0 9 = good false",
            "open 2 0 r good.txt = file",
            "read 2 0 9 = good false",
        ]
    );
    assert!(!upper.join(".wh.good.txt").exists());
    assert!(!upper.join(".wh..wh.work").exists());
    assert_eq!(fs::read(odd(&upper)).expect("it stays"), b"odd");
}
