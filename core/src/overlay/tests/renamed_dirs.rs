//! Tests of files and directories that are open while a lower directory above them is renamed.

use super::{CREATE, READ, WRITE, open};
use crate::{Dir, Errno, File, Lower, Opened, Overlay};
use cap_std::ambient_authority;

fn dir(root: &Dir, path: &str) -> Dir {
    match root.open_at(path, READ).unwrap() {
        Opened::Dir(dir) => dir,
        Opened::File(_) => panic!("{path} is a file"),
    }
}

fn data(file: &File) -> String {
    String::from_utf8(file.read_vec_at(100, 0).unwrap()).unwrap()
}

/// An overlay on a layer whose directory `from` has so many files in it and below it.
fn overlay(temp: &tempfile::TempDir, files: usize) -> Overlay {
    let low = temp.path().join("low");
    for dir in ["from/inner/empty", "up"] {
        std::fs::create_dir_all(low.join(dir)).unwrap();
    }
    std::fs::create_dir_all(temp.path().join("up")).unwrap();
    for file in 0..files {
        let dir = ["from", "from/inner"][file % 2];
        std::fs::write(low.join(format!("{dir}/{file}")), format!("lower {file}")).unwrap();
    }
    // Once they are copied, the two names are separate files.
    std::fs::hard_link(low.join("from/0"), low.join("from/linked")).unwrap();
    let capability = |name| {
        let path = temp.path().join(name);
        cap_std::fs::Dir::open_ambient_dir(path, ambient_authority()).unwrap()
    };
    Overlay::builder()
        .lower(Lower::dir("low", capability("low")).unwrap())
        .upper_dir("up", capability("up"))
        .build()
        .unwrap()
}

#[test]
fn open_files_continue_with_the_copies() {
    // Synced one by one, and at once.
    for files in [6, 30] {
        let temp = tempfile::tempdir().unwrap();
        let overlay = overlay(&temp, files);
        let root = overlay.root();
        let read = open(&root, "from/2", READ);
        let removed = open(&root, "from/inner/3", READ);
        let replaced = open(&root, "from/4", READ);
        let untouched = open(&root, "from/inner/1", READ);
        let (held, empty) = (dir(&root, "from/inner"), dir(&root, "from/inner/empty"));
        let paths = ["from", "from/2", "from/inner", "from/inner/5"];
        let identities = |paths: &[String]| -> Vec<_> {
            let identities = paths
                .iter()
                .map(|path| root.identity_at(path, true).unwrap());
            identities.collect()
        };
        let before = identities(&paths.map(str::to_owned));
        let listed = |dir: &Dir| -> Vec<_> {
            let names = dir.list().unwrap();
            names.iter().map(|entry| entry.name.to_string()).collect()
        };
        let names = listed(&held);

        root.rename_at("from", &root, "to").unwrap();
        assert_eq!(
            identities(&paths.map(|path| path.replace("from", "to"))),
            before
        );
        assert_eq!(listed(&held), names);
        assert_eq!(data(&read), "lower 2");
        for path in ["to/2", "to/inner/3", "to/4"] {
            open(&root, path, WRITE).write_at(b"UPPER", 0).unwrap();
        }
        assert_eq!(data(&read), "UPPER 2");
        // Files that were not read since they were copied lose their names.
        root.unlink_file_at("to/inner/3").unwrap();
        root.rename_at("to/2", &root, "to/4").unwrap();
        assert_eq!(
            (data(&removed), data(&replaced)),
            ("UPPER 3".into(), "UPPER 4".into())
        );
        assert_eq!(removed.stat().unwrap().links, 0);
        assert_eq!(data(&untouched), "lower 1");

        // Open directories lead to the copies.
        open(&held, "new", CREATE);
        empty.create_directory_at("made").unwrap();
        for path in ["to/inner/new", "to/inner/empty/made"] {
            root.stat_at(path, true).unwrap();
        }
        open(&root, "to/linked", WRITE)
            .write_at(b"OTHER", 0)
            .unwrap();
        assert_eq!(data(&open(&root, "to/0", READ)), "lower 0");
        drop((root, held, empty, read, removed, replaced, untouched));
        overlay.close().unwrap();
        assert!(!temp.path().join("up/from").exists());
        let left = std::fs::read(temp.path().join("up/to/inner/1")).unwrap();
        assert_eq!(left, b"lower 1");
    }
}

/// If the copy fails (on a full disk, for example), it is removed and nothing has changed.
#[test]
fn failed_copy_leaves_the_directory_in_place() {
    let temp = tempfile::tempdir().unwrap();
    let overlay = overlay(&temp, 20);
    let root = overlay.root();
    let fifo = temp.path().join("low/from/inner/fifo");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status();
    assert!(made.unwrap().success());
    let error = root.rename_at("from", &root, "to").unwrap_err();
    assert_eq!(error.errno(), Errno::Unsupported);
    assert!(error.to_string().contains("fifo"), "{error}");
    assert_eq!(dir(&root, "from").list().unwrap().len(), 12);
    assert!(root.stat_at("to", true).is_err());
    drop(root);
    overlay.close().unwrap();
    let left: Vec<_> = std::fs::read_dir(temp.path().join("up")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}
