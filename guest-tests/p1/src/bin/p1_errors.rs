//! The error codes of every operation on every wrong kind of file, printed as tables.

use guests_p1::wasi::{OFLAGS_CREAT, OFLAGS_DIRECTORY, OFLAGS_EXCL, OFLAGS_TRUNC};
use guests_p1::{ROOT, raw, tried, wasi};

/// Paths that do not name a regular file, or not in the simplest way.
const PATHS: [&str; 22] = [
    "missing",
    "missing/x",
    "hello.txt",
    "hello.txt/",
    "hello.txt/x",
    "hello.txt/.",
    "dir",
    "dir/",
    "dir/.",
    "emptydir",
    "links/rel",
    "links/rel/",
    "links/dir",
    "links/dir/",
    "links/dangling",
    "links/dangling/",
    "links/self",
    "gone-file",
    "gone-dir/x",
    "",
    ".",
    "a/./b//c",
];

fn main() {
    for path in PATHS {
        println!("{path:?}");
        tried("  stat", raw::stat(ROOT, path, true).map(|_| ()));
        tried("  lstat", raw::stat(ROOT, path, false).map(|_| ()));
        tried("  readlink", raw::readlink(ROOT, path, 64));
        for (name, follow) in [("open", true), ("open, no follow", false)] {
            for (how, oflags) in [
                ("", 0),
                (", directory", OFLAGS_DIRECTORY),
                (", create exclusive", OFLAGS_CREAT | OFLAGS_EXCL),
            ] {
                let opened = raw::open(ROOT, path, follow, oflags, wasi::RIGHTS_FD_READ, 0);
                clean(path, tried(format_args!("  {name}{how}"), opened), oflags);
            }
        }
        for (how, oflags) in [("", 0), (", truncate", OFLAGS_TRUNC)] {
            let opened = raw::open_write(ROOT, path, oflags);
            clean(path, tried(format_args!("  write{how}"), opened), oflags);
        }
        if tried("  mkdir", raw::mkdir(ROOT, path)).is_some() {
            raw::rmdir(ROOT, path).expect("it was made just now");
        }
        if tried("  symlink", raw::symlink("x", ROOT, path)).is_some() {
            raw::unlink(ROOT, path).expect("it was made just now");
        }
        if tried("  link", raw::link(ROOT, path, ROOT, "linked")).is_some() {
            raw::unlink(ROOT, "linked").expect("it was made just now");
        }
        if tried("  link to", raw::link(ROOT, "empty", ROOT, path)).is_some() {
            raw::unlink(ROOT, path).expect("it was made just now");
        }
        if tried("  rename", raw::rename(ROOT, path, ROOT, "renamed")).is_some() {
            raw::rename(ROOT, "renamed", ROOT, path.trim_end_matches('/'))
                .expect("it was renamed just now");
        }
        // SAFETY: a call to the host; the path outlives it.
        let times =
            unsafe { wasi::path_filestat_set_times(ROOT, 0, path, 1, 1, wasi::FSTFLAGS_MTIM) };
        tried("  set times", times);
    }
    calls_on_descriptors_of_the_wrong_kind();
    // Last, since these change the tree if they succeed.
    for path in [
        "missing",
        "dir",
        "dir/",
        "hello.txt/",
        "links/dir",
        "links/dir/",
        "emptydir",
        "links/dangling/",
        "links/dangling",
        "links/self",
        "hello.txt",
    ] {
        tried(format_args!("rmdir {path:?}"), raw::rmdir(ROOT, path));
        tried(format_args!("unlink {path:?}"), raw::unlink(ROOT, path));
    }
}

/// Closes an opened file, and removes a created one.
fn clean(path: &str, fd: Option<wasi::Fd>, oflags: wasi::Oflags) {
    if let Some(fd) = fd {
        raw::close(fd).expect("it is open");
        if oflags & OFLAGS_CREAT != 0 {
            raw::unlink(ROOT, path).expect("it was made just now");
        }
    }
}

/// Calls on files that need a directory, and the reverse.
fn calls_on_descriptors_of_the_wrong_kind() {
    let file = raw::open_write(ROOT, "dir/one", 0).expect("it can be opened");
    let dir = raw::open_dir(ROOT, "dir").expect("it can be opened");
    for (name, fd) in [("file", file), ("directory", dir), ("nothing", 999)] {
        println!("{name}");
        tried("  read", raw::read(fd, 1).map(|_| ()));
        tried("  pread", raw::pread(fd, 1, 0).map(|_| ()));
        tried("  write", raw::write(fd, b"").map(|_| ()));
        tried("  pwrite", raw::pwrite(fd, b"", 0).map(|_| ()));
        tried("  readdir", raw::readdir(fd, 64, 0).map(|_| ()));
        tried("  open", raw::open_read(fd, "one").map(|_| ()));
        tried("  stat", raw::stat(fd, "one", true).map(|_| ()));
        tried("  mkdir", raw::mkdir(fd, "one"));
        tried("  unlink", raw::unlink(fd, "missing"));
        tried("  fstat", raw::fstat(fd).map(|_| ()));
        // SAFETY: calls to the host; numbers only.
        unsafe {
            tried("  seek", wasi::fd_seek(fd, 0, wasi::WHENCE_SET));
            tried("  tell", wasi::fd_tell(fd));
            tried("  set size", wasi::fd_filestat_set_size(fd, 4));
            tried("  allocate", wasi::fd_allocate(fd, 0, 4));
            tried("  advise", wasi::fd_advise(fd, 0, 4, wasi::ADVICE_RANDOM));
            tried("  sync", wasi::fd_sync(fd));
            tried("  datasync", wasi::fd_datasync(fd));
            tried(
                "  fdstat",
                wasi::fd_fdstat_get(fd).map(|stat| {
                    assert_eq!(
                        stat.fs_filetype == wasi::FILETYPE_DIRECTORY,
                        name == "directory"
                    )
                }),
            );
            tried("  set flags", wasi::fd_fdstat_set_flags(fd, 0));
            tried("  prestat", wasi::fd_prestat_get(fd).map(|_| ()));
        }
    }
}
