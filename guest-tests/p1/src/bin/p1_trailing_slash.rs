//! Every call on a name with a slash behind it: of a file, a directory, nothing, and links to each.
//!
//! In the directory that the call is made on, and below it: an implementation may take a path of one
//! name for something simpler.

use guests_p1::wasi::{OFLAGS_CREAT, OFLAGS_DIRECTORY, OFLAGS_EXCL};
use guests_p1::{ROOT, raw, show, tried, wasi};

/// Directories to call on, what leads from there to the names, and the names.
const NAMES: [(&str, &str, &[&str]); 4] = [
    (".", "", &["hello.txt", "emptydir", "missing"]),
    ("links", "", &LINKS),
    (".", "links/", &LINKS),
    ("dir", "", &["one", "sub", "missing"]),
];
const LINKS: [&str; 6] = ["rel", "dir", "dangling", "self", "dot", "escape"];
const ENDS: [&str; 4] = ["/", "//", "/.", "/./"];

fn main() {
    for (dir, before, names) in NAMES {
        let fd = raw::open_dir(ROOT, dir).expect("it can be opened");
        for name in names {
            for end in ENDS {
                let path = format!("{before}{name}{end}");
                println!("{dir:?} {path:?}");
                on_path(fd, &path, &format!("{before}{name}"));
            }
        }
    }
}

fn on_path(dir: wasi::Fd, path: &str, bare: &str) {
    for (name, follow) in [("stat", true), ("lstat", false)] {
        let stat = raw::stat(dir, path, follow);
        show(
            format_args!("  {name}"),
            stat.map(|stat| stat.filetype.raw()),
        );
    }
    tried("  readlink", raw::readlink(dir, path, 64));
    for (name, follow) in [("open", true), ("open, no follow", false)] {
        for (how, oflags) in [("", 0), (", directory", OFLAGS_DIRECTORY)] {
            let opened = raw::open(dir, path, follow, oflags, wasi::RIGHTS_FD_READ, 0);
            if let Some(fd) = tried(format_args!("  {name}{how}"), opened) {
                raw::close(fd).expect("it is open");
            }
        }
        for (how, oflags) in [("create", 0), ("create exclusive", OFLAGS_EXCL)] {
            let oflags = oflags | OFLAGS_CREAT;
            let opened = raw::open(dir, path, follow, oflags, wasi::RIGHTS_FD_WRITE, 0);
            if let Some(fd) = tried(format_args!("  {name}, {how}"), opened) {
                raw::close(fd).expect("it is open");
            }
        }
    }
    for (name, follow) in [("set times", true), ("set times, no follow", false)] {
        let flags = if follow {
            wasi::LOOKUPFLAGS_SYMLINK_FOLLOW
        } else {
            0
        };
        // SAFETY: a call to the host; the path outlives it.
        let times =
            unsafe { wasi::path_filestat_set_times(dir, flags, path, 1, 1, wasi::FSTFLAGS_MTIM) };
        tried(format_args!("  {name}"), times);
    }
    if tried("  mkdir", raw::mkdir(dir, path)).is_some() {
        raw::rmdir(dir, bare).expect("it was made just now");
    }
    if tried("  symlink", raw::symlink("x", dir, path)).is_some() {
        raw::unlink(dir, bare).expect("it was made just now");
    }
    if tried("  link", raw::link(dir, path, ROOT, "linked")).is_some() {
        raw::unlink(ROOT, "linked").expect("it was made just now");
    }
    if tried("  link to", raw::link(ROOT, "empty", dir, path)).is_some() {
        raw::unlink(dir, bare).expect("it was made just now");
    }
    if tried("  rename", raw::rename(dir, path, ROOT, "renamed")).is_some() {
        raw::rename(ROOT, "renamed", dir, bare).expect("it was renamed just now");
    }
    if tried("  rename file to", raw::rename(ROOT, "empty", dir, path)).is_some() {
        raw::rename(dir, bare, ROOT, "empty").expect("it was renamed just now");
    }
    raw::mkdir(ROOT, "new").expect("nothing has the name");
    if tried("  rename directory to", raw::rename(ROOT, "new", dir, path)).is_some() {
        raw::rename(dir, bare, ROOT, "new").expect("it was renamed just now");
        if bare == "emptydir" {
            raw::mkdir(dir, bare).expect("nothing has the name");
        }
    }
    raw::rmdir(ROOT, "new").expect("it was made just now");
    tried("  unlink", raw::unlink(dir, path));
    if tried("  rmdir", raw::rmdir(dir, path)).is_some() {
        raw::mkdir(dir, bare).expect("it was removed just now");
    }
}
