//! The error codes of a guest that tries to change a read-only filesystem: an error in the call itself comes
//! first, and only then `read-only`. On a writable filesystem it does nothing.

use guests_p1::wasi::{FSTFLAGS_MTIM, OFLAGS_CREAT, OFLAGS_EXCL, OFLAGS_TRUNC};
use guests_p1::{Code, ROOT, is_wrapped, raw, show_tree, wasi};

/// Asserts that a call fails with a code.
fn assert_fails<T>(what: &str, code: wasi::Errno, result: raw::Result<T>) {
    match result {
        Ok(_) => panic!("{what} succeeded"),
        Err(error) => assert_eq!(error.code(), code.code(), "{what}"),
    }
}

fn main() {
    match raw::mkdir(ROOT, "probe") {
        Ok(()) => raw::rmdir(ROOT, "probe").expect("it was made just now"),
        Err(code) => check_refusals(code),
    }
    show_tree(".");
}

/// Asserts that every change fails with the right code. `mkdir_code` is that of the first attempt.
fn check_refusals(mkdir_code: wasi::Errno) {
    use guests_p1::wasi::{
        ERRNO_BADF as BADF, ERRNO_EXIST as EXIST, ERRNO_ISDIR as ISDIR, ERRNO_LOOP as LOOP,
        ERRNO_NOENT as NOENT, ERRNO_NOTDIR as NOTDIR, ERRNO_NOTEMPTY as NOTEMPTY,
        ERRNO_PERM as PERM, ERRNO_ROFS as ROFS,
    };
    assert_eq!(mkdir_code.code(), ROFS.code(), "mkdir");
    for (path, code) in [
        ("hello.txt", EXIST),
        ("dir", EXIST),
        ("links/dangling", EXIST),
        ("missing/x", NOENT),
        ("hello.txt/x", NOTDIR),
        ("../x", PERM),
        ("links/self/x", LOOP),
        ("gone-dir", ROFS),
    ] {
        assert_fails(&format!("mkdir {path}"), code, raw::mkdir(ROOT, path));
        assert_fails(
            &format!("symlink {path}"),
            code,
            raw::symlink("x", ROOT, path),
        );
        assert_fails(
            &format!("link to {path}"),
            code,
            raw::link(ROOT, "empty", ROOT, path),
        );
        assert_fails(
            &format!("create {path}"),
            code,
            raw::open_write(ROOT, path, OFLAGS_CREAT | OFLAGS_EXCL),
        );
    }
    for (path, code) in [
        ("hello.txt", ROFS),
        ("links/rel", ROFS),
        ("missing", NOENT),
        ("dir", ISDIR),
        ("hello.txt/x", NOTDIR),
        ("links/self", LOOP),
        ("links/dangling", NOENT),
    ] {
        assert_fails(
            &format!("write {path}"),
            code,
            raw::open_write(ROOT, path, 0),
        );
        assert_fails(
            &format!("truncate {path}"),
            code,
            raw::open_write(ROOT, path, OFLAGS_TRUNC),
        );
    }
    for (path, code) in [
        ("new", ROFS),
        ("hello.txt", ROFS),
        ("dir", ISDIR),
        ("missing/x", NOENT),
        ("links/dangling", ROFS),
    ] {
        assert_fails(
            &format!("create or open {path}"),
            code,
            raw::open_write(ROOT, path, OFLAGS_CREAT),
        );
    }
    for (path, code) in [
        ("hello.txt", ROFS),
        ("links/dangling", ROFS),
        ("missing", NOENT),
        ("gone-file", NOENT),
        ("dir", ISDIR),
        ("hello.txt/x", NOTDIR),
    ] {
        assert_fails(&format!("unlink {path}"), code, raw::unlink(ROOT, path));
    }
    for (path, code) in [
        ("emptydir", ROFS),
        ("dir", NOTEMPTY),
        ("hello.txt", NOTDIR),
        ("links/dir", NOTDIR),
        ("missing", NOENT),
    ] {
        assert_fails(&format!("rmdir {path}"), code, raw::rmdir(ROOT, path));
    }
    for (from, to, code) in [
        ("hello.txt", "new", ROFS),
        ("dir", "new", ROFS),
        ("missing", "new", NOENT),
        ("hello.txt", "missing/x", NOENT),
        ("hello.txt", "dir", ISDIR),
        ("dir", "hello.txt", NOTDIR),
        ("dir", "a", NOTEMPTY),
        ("hello.txt", "empty", ROFS),
    ] {
        assert_fails(
            &format!("rename {from} to {to}"),
            code,
            raw::rename(ROOT, from, ROOT, to),
        );
    }
    for (path, code) in [("hello.txt", ROFS), ("dir", ROFS), ("missing", NOENT)] {
        // SAFETY: a call to the host; the path outlives it.
        let set = unsafe { wasi::path_filestat_set_times(ROOT, 0, path, 0, 5, FSTFLAGS_MTIM) };
        assert_fails(&format!("set times of {path}"), code, set);
    }
    let file = raw::open_read(ROOT, "hello.txt").expect("it can be read");
    // SAFETY: calls to the host; numbers only.
    unsafe {
        assert_fails(
            "set times of an open file",
            ROFS,
            wasi::fd_filestat_set_times(file, 0, 5, FSTFLAGS_MTIM),
        );
        assert_fails(
            "set times of the root",
            if is_wrapped() { BADF } else { ROFS },
            wasi::fd_filestat_set_times(ROOT, 0, 5, FSTFLAGS_MTIM),
        );
        // A call that requests no change is not refused.
        assert_eq!(
            wasi::fd_filestat_set_times(file, 0, 5, 0),
            Ok(()),
            "set no times"
        );
        assert_eq!(wasi::fd_sync(file), Ok(()), "sync");
    }
}
