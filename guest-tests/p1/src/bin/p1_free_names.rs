//! Names of renamed and removed files are free again, and a renamed file is complete at its new name.
//!
//! The assertions of wasi-testsuite's `dangling_fd`, `path_rename` and
//! `path_rename_dir_trailing_slashes`.

use guests_p1::checks::assert_refused;
use guests_p1::wasi::{
    ERRNO_EXIST as EXIST, ERRNO_ISDIR as ISDIR, ERRNO_NOENT as NOENT, ERRNO_NOTDIR as NOTDIR,
    ERRNO_NOTEMPTY as NOTEMPTY, OFLAGS_CREAT, OFLAGS_DIRECTORY,
};
use guests_p1::{ROOT, raw, wasi};

fn main() {
    // First on files and directories of lower layers, then on new ones.
    raw::mkdir(ROOT, "new-dir").expect("nothing has the name");
    raw::mkdir(ROOT, "new-dir/sub").expect("nothing has the name");
    for path in ["new-file", "new-dir/sub/inner"] {
        create(path);
    }
    for (dir, file) in [("dir", "hello.txt"), ("new-dir", "new-file")] {
        renames(dir, file);
        println!("{dir}, {file}: all as it should be");
    }
    names_are_free_again();
    println!("all as it should be");
}

fn create(path: &str) {
    let file = raw::open_write(ROOT, path, OFLAGS_CREAT).expect("it can be made");
    raw::close(file).expect("it is open");
}

fn open(path: &str, oflags: wasi::Oflags) -> raw::Result<()> {
    raw::open(ROOT, path, false, oflags, 0, 0).and_then(raw::close)
}

fn renames(dir: &str, file: &str) {
    let rename = |from: &str, to: &str| raw::rename(ROOT, from, ROOT, to);
    // Directories: to a free name, with each combination of slashes, and onto an empty directory.
    let (with, to) = (format!("{dir}/"), ["moved", "moved/"]);
    for (from, to) in [(dir, to[0]), (&with, to[0]), (dir, to[1]), (&with, to[1])] {
        assert_eq!(rename(from, to), Ok(()), "{from}, {to}");
        assert_refused("the old name", open(dir, OFLAGS_DIRECTORY), &[NOENT]);
        assert_eq!(open("moved/sub/inner", 0), Ok(()), "{from}, {to}");
        raw::mkdir(ROOT, dir).expect("the name is free");
        assert_eq!(rename("moved", dir), Ok(()), "{from}, {to}");
        assert_refused("the old name", open("moved", OFLAGS_DIRECTORY), &[NOENT]);
    }
    raw::mkdir(ROOT, "moved").expect("nothing has the name");
    assert_refused("onto a full one", rename("moved", dir), &[NOTEMPTY]);
    assert_refused("onto a file", rename("moved", file), &[NOTDIR]);
    // Files: onto an empty directory, to a free name and onto a file.
    assert_refused("a file onto it", rename(file, "moved"), &[ISDIR]);
    assert_eq!(raw::rmdir(ROOT, "moved"), Ok(()));
    for there in [false, true] {
        if there {
            create("moved");
        }
        assert_eq!(rename(file, "moved"), Ok(()), "{file}");
        assert_refused("the old name", open(file, 0), &[NOENT]);
        assert_eq!(open("moved", 0), Ok(()), "{file}");
        assert_eq!(rename("moved", file), Ok(()), "{file}");
    }
}

fn names_are_free_again() {
    for path in ["hello.txt", "new-file"] {
        for _ in 0..2 {
            assert_eq!(raw::unlink(ROOT, path), Ok(()), "{path}");
            assert_refused(path, open(path, 0), &[NOENT]);
            create(path);
        }
    }
    for path in ["emptydir", "newer-dir"] {
        for _ in 0..2 {
            let made = raw::mkdir(ROOT, path);
            assert!(made.is_ok() || made == Err(EXIST), "{path}");
            assert_eq!(open(path, OFLAGS_DIRECTORY), Ok(()), "{path}");
            assert_eq!(raw::rmdir(ROOT, path), Ok(()), "{path}");
        }
    }
}
