//! Every call with a trailing slash behind the name of a file, a directory, nothing, and links to each.
//!
//! The name is in the directory of the call, or below it, since an implementation may have a fast path for a
//! path of one name.

use guests_p1::wasi::{OFLAGS_CREAT, OFLAGS_DIRECTORY, OFLAGS_EXCL};
use guests_p1::{ROOT, raw, show, tried, wasi};

/// Directories for the calls, the path from each to the names, and the names.
const NAMES: [(&str, &str, &[&str]); 4] = [
    (".", "", &["hello.txt", "emptydir", "missing"]),
    ("links", "", &LINKS),
    (".", "links/", &LINKS),
    ("dir", "", &["one", "sub", "missing"]),
];
const LINKS: [&str; 6] = ["rel", "dir", "dangling", "self", "dot", "escape"];
const ENDS: [&str; 4] = ["/", "//", "/.", "/./"];

/// The kinds of file for calls that may change it; the file is made again for each call.
const KINDS: [&str; 6] = [
    "file",
    "directory",
    "nothing",
    "link to file",
    "link to directory",
    "dangling link",
];

fn main() {
    for (dir, before, names) in NAMES {
        let fd = raw::open_dir(ROOT, dir).expect("it can be opened");
        for name in names {
            for end in ENDS {
                let path = format!("{before}{name}{end}");
                println!("{dir:?} {path:?}");
                read_calls(fd, &path);
            }
        }
    }
    raw::mkdir(ROOT, "w").expect("nothing has the name");
    let w = raw::open_dir(ROOT, "w").expect("it was made just now");
    for (dir, path) in [
        (w, "x/"),
        (w, "x//"),
        (w, "x/."),
        (ROOT, "w/x/"),
        (ROOT, "w/x/."),
    ] {
        for kind in KINDS {
            let place = if dir == ROOT {
                "from above"
            } else {
                "from its directory"
            };
            println!("{path:?} {kind}, {place}");
            change_calls(dir, w, path, kind);
        }
    }
}

/// Makes the calls that change nothing.
fn read_calls(dir: wasi::Fd, path: &str) {
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
    }
}

/// Makes the calls that may change something, each on a new file.
fn change_calls(dir: wasi::Fd, w: wasi::Fd, path: &str, kind: &str) {
    let calls: [(&str, &dyn Fn() -> Result<(), wasi::Errno>); 12] = [
        ("create", &|| create(dir, path, OFLAGS_CREAT)),
        ("create exclusive", &|| {
            create(dir, path, OFLAGS_CREAT | OFLAGS_EXCL)
        }),
        ("set times", &|| {
            set_times(dir, path, wasi::LOOKUPFLAGS_SYMLINK_FOLLOW)
        }),
        ("set times, no follow", &|| set_times(dir, path, 0)),
        ("mkdir", &|| raw::mkdir(dir, path)),
        ("symlink", &|| raw::symlink("y", dir, path)),
        ("link", &|| raw::link(dir, path, w, "to")),
        ("link to", &|| raw::link(w, "file", dir, path)),
        ("rename", &|| raw::rename(dir, path, w, "to")),
        ("rename file to", &|| raw::rename(w, "file", dir, path)),
        ("rename directory to", &|| raw::rename(w, "new", dir, path)),
        ("unlink", &|| raw::unlink(dir, path)),
    ];
    for (name, call) in calls {
        make(w, kind);
        tried(format_args!("  {name}"), call());
        clear(w);
    }
    make(w, kind);
    tried("  rmdir", raw::rmdir(dir, path));
    clear(w);
}

fn create(dir: wasi::Fd, path: &str, oflags: wasi::Oflags) -> Result<(), wasi::Errno> {
    let fd = raw::open(dir, path, true, oflags, wasi::RIGHTS_FD_WRITE, 0)?;
    raw::close(fd)
}

fn set_times(dir: wasi::Fd, path: &str, flags: wasi::Lookupflags) -> Result<(), wasi::Errno> {
    // SAFETY: a call to the host; the path outlives it.
    unsafe { wasi::path_filestat_set_times(dir, flags, path, 1, 1, wasi::FSTFLAGS_MTIM) }
}

/// Makes `x`, with a file and a directory beside it.
fn make(w: wasi::Fd, kind: &str) {
    for name in ["file", "target"] {
        let fd = raw::open_write(w, name, OFLAGS_CREAT).expect("nothing has the name");
        raw::close(fd).expect("it is open");
    }
    for name in ["new", "target-dir"] {
        raw::mkdir(w, name).expect("nothing has the name");
    }
    match kind {
        "file" => create(w, "x", OFLAGS_CREAT | OFLAGS_EXCL),
        "directory" => raw::mkdir(w, "x"),
        "link to file" => raw::symlink("target", w, "x"),
        "link to directory" => raw::symlink("target-dir", w, "x"),
        "dangling link" => raw::symlink("gone", w, "x"),
        _ => Ok(()),
    }
    .expect("nothing has the name");
}

/// Removes all entries, of whatever kind they are now.
fn clear(w: wasi::Fd) {
    for name in [
        "x",
        "y",
        "to",
        "gone",
        "file",
        "target",
        "new",
        "target-dir",
    ] {
        if raw::unlink(w, name).is_err() {
            // If it is not a directory either, it does not exist.
            let _gone = raw::rmdir(w, name);
        }
    }
}
