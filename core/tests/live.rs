//! Live mounts, which answer as wasmtime-wasi does on the same directory, except for what the module documents.
#![cfg(feature = "dir")]

use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use tempfile::TempDir;
use wasi_overlay_core::{
    Dir, Errno, File, Kind, Live, OpenHow, Opened, SetTime, SetTimes, Timestamp,
};
use wasi_overlay_proof::kit::{self, CREATE, READ, WRITE, capability, dir, fails, file, how};

/// A directory `base` with many kinds of entries, beside a file that must not be reached.
struct Tree {
    temp: TempDir,
}

impl Tree {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        fs::write(temp.path().join("outside"), "secret").unwrap();
        let base = temp.path().join("base");
        fs::create_dir_all(base.join("a/b/c")).unwrap();
        fs::create_dir(base.join("empty")).unwrap();
        fs::write(base.join("file"), "data").unwrap();
        fs::write(base.join("a/b/file"), "deep").unwrap();
        fs::write(base.join(".wh.file"), "no whiteout").unwrap();
        for (target, link) in [
            ("file", "to-file"),
            ("a", "to-dir"),
            ("missing", "dangling"),
            ("missing/x", "dangling-deep"),
            ("self", "self"),
            ("/etc/passwd", "absolute"),
            ("../outside", "escape"),
            ("a/../../outside", "escape-deep"),
            ("../../b/file", "a/b/back"),
        ] {
            symlink(target, base.join(link)).unwrap();
        }
        Self { temp }
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.temp.path().join("base").join(path)
    }

    fn dir(&self) -> Dir {
        Live::new(capability(&self.path(""))).root()
    }

    fn read_only(&self) -> Dir {
        Live::read_only(capability(&self.path(""))).root()
    }
}

fn errno<T: std::fmt::Debug>(result: wasi_overlay_core::Result<T>) -> Errno {
    result.unwrap_err().errno()
}

fn contents(file: &File) -> String {
    String::from_utf8(file.read_vec_at(64, 0).unwrap()).unwrap()
}

fn names(dir: &Dir) -> Vec<String> {
    let mut names = kit::names(dir);
    names.sort();
    names
}

#[test]
fn paths_resolve_as_in_wasmtime() {
    use Errno::{Loop, NoEntry, NotDirectory, NotPermitted};
    use Kind::{Dir, File, Symlink};
    let tree = Tree::new();
    let root = tree.dir();
    // Path; stat with following, and without.
    let table = [
        ("/etc/passwd", Err(NotPermitted), Err(NotPermitted)),
        ("/", Err(NotPermitted), Err(NotPermitted)),
        ("..", Err(NotPermitted), Err(NotPermitted)),
        ("../base/file", Err(NotPermitted), Err(NotPermitted)),
        ("a/../../outside", Err(NotPermitted), Err(NotPermitted)),
        ("absolute", Err(NotPermitted), Ok(Symlink)),
        ("escape", Err(NotPermitted), Ok(Symlink)),
        ("escape-deep", Err(NotPermitted), Ok(Symlink)),
        ("absolute/x", Err(NotPermitted), Err(NotPermitted)),
        ("file/", Err(NotDirectory), Err(NotDirectory)),
        ("file/.", Err(NotDirectory), Err(NotDirectory)),
        ("file/x", Err(NotDirectory), Err(NotDirectory)),
        ("to-file/", Err(NotDirectory), Err(NotDirectory)),
        ("a/", Ok(Dir), Ok(Dir)),
        ("a/./b//file", Ok(File), Ok(File)),
        ("a/../a", Ok(Dir), Ok(Dir)),
        (".", Ok(Dir), Ok(Dir)),
        ("to-file", Ok(File), Ok(Symlink)),
        ("to-dir", Ok(Dir), Ok(Symlink)),
        ("to-dir/", Ok(Dir), Ok(Dir)),
        ("to-dir/b/file", Ok(File), Ok(File)),
        ("self", Err(Loop), Ok(Symlink)),
        ("self/x", Err(Loop), Err(Loop)),
        ("dangling", Err(NoEntry), Ok(Symlink)),
        ("dangling/", Err(NoEntry), Err(NoEntry)),
        ("missing", Err(NoEntry), Err(NoEntry)),
        ("", Err(NoEntry), Err(NoEntry)),
        (".wh.file", Ok(File), Ok(File)),
    ];
    for (path, follow, nofollow) in table {
        let stat = |follow| {
            let stat = root.stat_at(path, follow).map(|stat| stat.kind);
            let identity = root.identity_at(path, follow).map(drop);
            assert_eq!(stat.is_ok(), identity.is_ok(), "{path:?}");
            stat.map_err(|error| error.errno())
        };
        assert_eq!(stat(true), follow, "{path:?}, following");
        assert_eq!(stat(false), nofollow, "{path:?}, not following");

        let opened = root.open_at(path, READ).map(|opened| match opened {
            Opened::File(_) => File,
            Opened::Dir(_) => Dir,
        });
        assert_eq!(
            opened.map_err(|error| error.errno()),
            follow,
            "{path:?}, open"
        );
    }
}

#[test]
fn links_are_read_as_in_wasmtime() {
    let tree = Tree::new();
    let root = tree.dir();
    assert_eq!(root.readlink_at("to-file").unwrap(), "file");
    assert_eq!(root.readlink_at("escape").unwrap(), "../outside");
    fails(root.readlink_at("absolute"), Errno::NotPermitted);
    fails(root.readlink_at("to-dir/"), Errno::Invalid);
    fails(root.readlink_at("file"), Errno::Invalid);
    symlink(OsStr::from_bytes(b"\xff"), tree.path("odd")).unwrap();
    fails(root.readlink_at("odd"), Errno::IllegalByteSequence);
    fails(root.symlink_at("/etc/passwd", "new"), Errno::NotPermitted);
}

#[test]
fn no_change_reaches_outside() {
    let tree = Tree::new();
    let root = tree.dir();
    let times = SetTimes {
        accessed: SetTime::Now,
        modified: SetTime::Now,
    };
    for path in ["../outside", "/outside", "a/../../outside"] {
        let attempts = [
            root.open_at(path, CREATE).map(drop),
            root.set_times_at(path, true, times),
            root.set_times_at(path, false, times),
            root.create_directory_at(path),
            root.remove_directory_at(path),
            root.unlink_file_at(path),
            root.symlink_at("x", path),
            root.readlink_at(path).map(drop),
            root.link_at(path, &root, "new"),
            root.link_at("file", &root, path),
            root.rename_at(path, &root, "new"),
            root.rename_at("file", &root, path),
        ];
        for (index, attempt) in attempts.into_iter().enumerate() {
            assert_eq!(errno(attempt), Errno::NotPermitted, "{path} {index}");
        }
    }
    for path in ["escape", "escape-deep", "absolute"] {
        fails(root.open_at(path, CREATE), Errno::NotPermitted);
        fails(root.set_times_at(path, true, times), Errno::NotPermitted);
    }
    assert_eq!(
        fs::read(tree.temp.path().join("outside")).unwrap(),
        b"secret"
    );
}

#[test]
fn a_file_is_read_and_written_in_place() {
    let tree = Tree::new();
    let root = tree.dir();
    let file = file(&root, "file", WRITE);
    assert_eq!(contents(&file), "data");
    assert_eq!(file.write_at(b"DA", 0).unwrap(), 2);
    assert_eq!(file.append(b"!").unwrap(), 1);
    assert_eq!(contents(&file), "DAta!");
    file.set_size(2).unwrap();
    assert_eq!(fs::read(tree.path("file")).unwrap(), b"DA");
    assert_eq!(file.stat().unwrap().size, 2);
    file.sync(true).unwrap();
    file.sync(false).unwrap();
    file.advise(0, 0, wasi_overlay_core::Advice::WillNeed)
        .unwrap();

    // Writes of other programs are visible at once.
    fs::write(tree.path("file"), "theirs").unwrap();
    assert_eq!(contents(&file), "theirs");
    assert_eq!(root.stat_at("file", true).unwrap().size, 6);

    // An unlinked file stays usable.
    root.unlink_file_at("file").unwrap();
    assert_eq!(file.write_at(b"T", 0).unwrap(), 1);
    assert_eq!(contents(&file), "Theirs");
    assert_eq!(file.stat().unwrap().links, 0);
}

#[test]
fn handle_allows_only_what_it_was_opened_for() {
    let tree = Tree::new();
    let root = tree.dir();
    let reading = file(&root, "file", READ);
    assert!(reading.is_readable() && !reading.is_writable());
    fails(reading.write_at(b"x", 0), Errno::BadDescriptor);
    fails(reading.append(b"x"), Errno::BadDescriptor);
    fails(reading.set_size(0), Errno::Invalid);
    let writing = file(&root, "file", how("w"));
    assert!(!writing.is_readable() && writing.is_writable());
    fails(writing.read_at(&mut [0], 0), Errno::BadDescriptor);
    // A read of 0 bytes used to succeed.
    for length in [0, 1] {
        let read = writing.read_vec_at(length, 0);
        fails(read, Errno::BadDescriptor);
    }
    // `create` implies write access, and no access flag means read access, as in wasmtime-wasi.
    let created = file(&root, "new", how("c"));
    assert!(created.is_readable() && created.is_writable());
}

#[test]
fn open_flags_are_those_of_posix() {
    let tree = Tree::new();
    let root = tree.dir();
    let exclusive = how("rwcx");
    for path in ["file", "a", "to-file", "dangling"] {
        assert_eq!(errno(root.open_at(path, exclusive)), Errno::Exist, "{path}");
    }
    file(&root, "fresh", exclusive);
    let truncate = how("rwt");
    assert_eq!(contents(&file(&root, "file", truncate)), "");
    fails(root.open_at("a", WRITE), Errno::IsDirectory);
    fails(root.open_at("a", CREATE), Errno::IsDirectory);
    let directory = how("rd");
    root.open_at("to-dir", directory).unwrap().dir().unwrap();
    fails(root.open_at("file", directory), Errno::NotDirectory);
    for how in [exclusive, truncate, CREATE] {
        let how = OpenHow {
            directory: true,
            ..how
        };
        fails(root.open_at("a", how), Errno::Invalid);
    }
    fails(root.open_at("to-file", how("rn")), Errno::Loop);
    // A dangling link creates its target.
    file(&root, "dangling", CREATE);
    assert_eq!(root.stat_at("missing", false).unwrap().kind, Kind::File);
}

#[test]
fn names_are_created_renamed_and_removed() {
    let tree = Tree::new();
    let root = tree.dir();
    root.create_directory_at("d/").unwrap();
    fails(root.create_directory_at("d"), Errno::Exist);
    fails(root.create_directory_at("no/d"), Errno::NoEntry);
    fails(root.create_directory_at("file/d"), Errno::NotDirectory);
    root.symlink_at("../file", "d/link").unwrap();
    fails(root.symlink_at("x", "d/link"), Errno::Exist);
    fails(root.remove_directory_at("d"), Errno::NotEmpty);
    fails(root.remove_directory_at("file"), Errno::NotDirectory);
    fails(root.unlink_file_at("d"), Errno::IsDirectory);
    fails(root.unlink_file_at("file/"), Errno::NotDirectory);
    root.unlink_file_at("d/link").unwrap();
    root.link_at("file", &root, "d/hard").unwrap();
    assert_eq!(root.stat_at("file", true).unwrap().links, 2);
    assert_eq!(
        root.identity_at("file", true).unwrap(),
        root.identity_at("d/hard", true).unwrap()
    );
    fails(root.link_at("d", &root, "e"), Errno::NotPermitted);
    root.link_at("to-file", &root, "link").unwrap();
    assert_eq!(root.stat_at("link", false).unwrap().kind, Kind::Symlink);

    let d = dir(&root, "d");
    let before = root.identity_at("d", false).unwrap();
    root.rename_at("d", &root, "a/e").unwrap();
    assert_eq!(d.identity().unwrap(), before);
    assert_eq!(root.identity_at("a/e", false).unwrap(), before);
    assert_eq!(names(&d), ["hard"]);
    d.rename_at("hard", &root, "soft").unwrap();
    fails(root.rename_at("a", &root, "a/e/x"), Errno::Invalid);
    fails(root.rename_at("file/", &root, "x"), Errno::NotDirectory);
    fails(root.rename_at("file", &root, "x/"), Errno::NotDirectory);
    fails(root.rename_at("file", &root, "a"), Errno::IsDirectory);
    fails(root.rename_at("a", &root, "file"), Errno::NotDirectory);
    fails(root.rename_at("empty", &root, "a"), Errno::NotEmpty);
    // A rename between two names of one file does nothing.
    root.rename_at("file", &root, "soft").unwrap();
    assert!(tree.path("file").exists());
}

#[test]
fn rename_and_link_work_between_live_mounts() {
    let tree = Tree::new();
    let (one, two) = (
        tree.dir(),
        Live::new(capability(&tree.path("empty"))).root(),
    );
    one.rename_at("file", &two, "moved").unwrap();
    two.link_at("moved", &one, "linked").unwrap();
    assert_ne!(
        one.identity_at("linked", true).unwrap(),
        two.identity_at("moved", true).unwrap(),
        "an identity belongs to one mount"
    );
    if let Ok(other) = tempfile::tempdir_in("/dev/shm")
        && fs::metadata(other.path()).unwrap().dev() != fs::metadata(tree.path("")).unwrap().dev()
    {
        let other = Live::new(capability(other.path())).root();
        fails(one.rename_at("linked", &other, "x"), Errno::CrossDevice);
        fails(one.link_at("linked", &other, "x"), Errno::CrossDevice);
    } else {
        eprintln!("skipped in part: no second filesystem");
    }
    let read_only = Live::read_only(capability(&tree.path("empty"))).root();
    fails(one.rename_at("linked", &read_only, "x"), Errno::ReadOnly);
    fails(read_only.link_at("moved", &one, "x"), Errno::ReadOnly);
}

#[test]
fn listing_has_type_and_inode_of_every_name() {
    let tree = Tree::new();
    mknodat(CWD, tree.path("fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    fs::write(tree.path("").join(OsStr::from_bytes(b"\xff")), "").unwrap();
    let root = tree.dir();
    let listing = root.list().unwrap();
    assert_eq!(listing.len(), fs::read_dir(tree.path("")).unwrap().count());
    for entry in listing.iter() {
        let Ok(name) = entry.name.to_str() else {
            assert_eq!(entry.name.as_bytes(), b"\xff");
            fails(entry.name.to_str().map(drop), Errno::IllegalByteSequence);
            continue;
        };
        let (stat, identity) = root.stat_and_identity_at(name, false).unwrap();
        assert_eq!(
            (entry.kind, entry.inode().unwrap()),
            (stat.kind, identity.lower),
            "{name}"
        );
    }
    for index in 0..3000 {
        fs::write(tree.path(&format!("empty/{index}")), "").unwrap();
    }
    let many = dir(&root, "empty");
    assert_eq!(many.list().unwrap().len(), 3000);
}

#[test]
fn fifos_and_sockets_are_listed_and_cannot_be_opened() {
    let tree = Tree::new();
    mknodat(CWD, tree.path("fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(tree.path("socket")).unwrap();
    let (done, wait) = std::sync::mpsc::channel();
    let root = tree.dir();
    let read_only = tree.read_only();
    std::thread::spawn(move || {
        for (name, kind) in [("fifo", Kind::Fifo), ("socket", Kind::Socket)] {
            assert_eq!(root.stat_at(name, true).unwrap().kind, kind);
            for how in [READ, WRITE, CREATE, how("w")] {
                assert_eq!(errno(root.open_at(name, how)), Errno::Unsupported, "{name}");
            }
            fails(read_only.open_at(name, READ), Errno::Unsupported);
            fails(read_only.open_at(name, WRITE), Errno::Unsupported);
            let times = SetTimes {
                modified: SetTime::To(Timestamp {
                    seconds: 1,
                    nanoseconds: 2,
                }),
                ..SetTimes::default()
            };
            root.set_times_at(name, true, times).unwrap();
            assert_eq!(root.stat_at(name, true).unwrap().modified.seconds, 1);
            root.unlink_file_at(name).unwrap();
        }
        done.send(()).unwrap();
    });
    wait.recv_timeout(std::time::Duration::from_secs(20))
        .expect("a call blocked or failed");
}

#[test]
fn times_are_set_on_what_the_path_names() {
    let tree = Tree::new();
    let root = tree.dir();
    let at = |seconds| SetTimes {
        modified: SetTime::To(Timestamp {
            seconds,
            nanoseconds: 5,
        }),
        ..SetTimes::default()
    };
    let mtime = |path: &str| fs::symlink_metadata(tree.path(path)).unwrap().mtime();
    root.set_times_at("to-file", true, at(11)).unwrap();
    assert_eq!(mtime("file"), 11);
    root.set_times_at("to-file", false, at(12)).unwrap();
    assert_eq!((mtime("file"), mtime("to-file")), (11, 12));
    root.set_times_at("a/b", true, at(-13)).unwrap();
    assert_eq!(mtime("a/b"), -13);
    assert_eq!(root.stat_at("a/b", true).unwrap().modified.seconds, -13);
    root.set_times_at("a/b/back", false, at(14)).unwrap();
    assert_eq!(mtime("a/b/back"), 14);
    root.set_times(at(15)).unwrap();
    assert_eq!(mtime(""), 15);
    let file = file(&root, "file", READ);
    file.set_times(at(16)).unwrap();
    let stat = file.stat().unwrap();
    assert_eq!((stat.modified.seconds, stat.modified.nanoseconds), (16, 5));
    assert_eq!(
        stat.changed.seconds,
        fs::metadata(tree.path("file")).unwrap().ctime(),
        "the status-change time is ctime"
    );
    let before = file.stat().unwrap();
    file.set_times(SetTimes::default()).unwrap();
    assert_eq!(file.stat().unwrap(), before, "nothing to change");
    fails(root.set_times_at("missing", true, at(1)), Errno::NoEntry);
}

#[test]
fn removed_directory_keeps_its_identity_and_is_empty() {
    let tree = Tree::new();
    let root = tree.dir();
    let gone = dir(&root, "empty");
    let identity = gone.identity().unwrap();
    root.remove_directory_at("empty").unwrap();
    assert_eq!(gone.stat().unwrap().kind, Kind::Dir);
    assert_eq!(gone.identity().unwrap(), identity);
    fails(gone.list(), Errno::NoEntry);
    fails(gone.open_at("x", CREATE), Errno::NoEntry);
    fails(gone.stat_at("x", true), Errno::NoEntry);
    fails(gone.create_directory_at("x"), Errno::NoEntry);
    fails(gone.symlink_at("y", "x"), Errno::NoEntry);
    root.create_directory_at("empty").unwrap();
    assert_eq!(
        errno(gone.list()),
        Errno::NoEntry,
        "the new directory is another one"
    );
}

#[test]
fn directories_sync_through_any_handle() {
    let tree = Tree::new();
    let root = tree.dir();
    root.sync(false).unwrap();
    root.sync(true).unwrap();
    dir(&root, "a").sync(false).unwrap();
}

#[test]
fn read_only_is_the_last_error_of_a_read_only_mount() {
    use Errno::{
        Exist, Invalid, IsDirectory, Loop, NoEntry, NotDirectory, NotEmpty, NotPermitted, ReadOnly,
    };
    let tree = Tree::new();
    let root = tree.read_only();
    let other = tree.dir();
    assert!(!root.is_writable());
    assert!(other.is_writable());
    let before = snapshot(&tree.path(""));

    for (path, write, create, exclusive) in [
        ("file", ReadOnly, ReadOnly, Exist),
        ("a", IsDirectory, IsDirectory, Exist),
        ("missing", NoEntry, ReadOnly, ReadOnly),
        ("missing/x", NoEntry, NoEntry, NoEntry),
        ("missing/", NoEntry, IsDirectory, IsDirectory),
        ("file/x", NotDirectory, NotDirectory, NotDirectory),
        ("to-file", ReadOnly, ReadOnly, Exist),
        ("to-dir", IsDirectory, IsDirectory, Exist),
        ("dangling", NoEntry, ReadOnly, Exist),
        ("dangling-deep", NoEntry, NoEntry, Exist),
        ("self", Loop, Loop, Exist),
        ("escape", NotPermitted, NotPermitted, Exist),
        ("../outside", NotPermitted, NotPermitted, NotPermitted),
        ("", NoEntry, NoEntry, NoEntry),
    ] {
        let open = |how| errno(root.open_at(path, how));
        let exclusively = how("rwcx");
        assert_eq!(open(WRITE), write, "write {path:?}");
        assert_eq!(open(CREATE), create, "create {path:?}");
        assert_eq!(open(exclusively), exclusive, "create exclusively {path:?}");
    }
    for (path, mkdir, rmdir, unlink, symlink) in [
        ("file", Exist, NotDirectory, ReadOnly, Exist),
        ("a", Exist, NotEmpty, IsDirectory, Exist),
        ("empty", Exist, ReadOnly, IsDirectory, Exist),
        ("empty/.", Exist, Invalid, IsDirectory, Exist),
        ("missing", ReadOnly, NoEntry, NoEntry, ReadOnly),
        ("missing/x", NoEntry, NoEntry, NoEntry, NoEntry),
        (
            "file/x",
            NotDirectory,
            NotDirectory,
            NotDirectory,
            NotDirectory,
        ),
        ("dangling", Exist, NotDirectory, ReadOnly, Exist),
        ("to-dir", Exist, NotDirectory, ReadOnly, Exist),
        ("..", NotPermitted, NotPermitted, NotPermitted, NotPermitted),
        ("", NoEntry, NoEntry, NoEntry, NoEntry),
    ] {
        assert_eq!(
            errno(root.create_directory_at(path)),
            mkdir,
            "mkdir {path:?}"
        );
        assert_eq!(
            errno(root.remove_directory_at(path)),
            rmdir,
            "rmdir {path:?}"
        );
        assert_eq!(errno(root.unlink_file_at(path)), unlink, "unlink {path:?}");
        assert_eq!(
            errno(root.symlink_at("x", path)),
            symlink,
            "symlink {path:?}"
        );
    }
    for (from, to, rename, link) in [
        ("file", "new", ReadOnly, ReadOnly),
        ("file", "to-file", ReadOnly, Exist),
        ("file", "a", IsDirectory, Exist),
        ("file", "missing/x", NoEntry, NoEntry),
        ("file/", "new", NotDirectory, NotDirectory),
        ("a", "file", NotDirectory, Exist),
        ("empty", "a", NotEmpty, Exist),
        ("a", "empty", ReadOnly, Exist),
        ("missing", "new", NoEntry, NoEntry),
        ("missing", "file", NoEntry, NoEntry),
    ] {
        for (one, two) in [(&root, &root), (&root, &other), (&other, &root)] {
            assert_eq!(
                errno(one.rename_at(from, two, to)),
                rename,
                "rename {from} {to}"
            );
            assert_eq!(errno(one.link_at(from, two, to)), link, "link {from} {to}");
        }
    }
    let times = SetTimes {
        modified: SetTime::Now,
        ..SetTimes::default()
    };
    fails(root.set_times_at("missing", true, times), NoEntry);
    fails(root.set_times_at("file", true, times), ReadOnly);
    fails(root.set_times(times), ReadOnly);
    fails(root.symlink_at("/x", "new"), NotPermitted);
    let file = file(&root, "file", READ);
    fails(file.set_times(times), ReadOnly);
    fails(file.write_at(b"x", 0), Errno::BadDescriptor);
    let below = dir(&root, "a");
    fails(below.create_directory_at("x"), ReadOnly);

    assert_eq!(snapshot(&tree.path("")), before, "nothing has changed");
}

#[test]
fn read_only_mount_fails_as_a_writable_one_does() {
    // Every code but `read-only` must be the one that the kernel itself gives.
    #[rustfmt::skip]
    let paths = [
        "file", "a", "a/b", "a/b/c", "empty", "empty/", "empty/.", "a/..", ".", "missing", "missing/", "missing/x",
        "file/", "file/x", "to-file", "to-dir", "to-dir/", "dangling", "dangling/", "dangling-deep", "self",
        "escape", "absolute", "../outside", "", "/", "a\0b",
    ];
    type Call = fn(&Dir, &str) -> wasi_overlay_core::Result<()>;
    let calls: [(&str, Call); 9] = [
        ("open-write", |dir, path| dir.open_at(path, WRITE).map(drop)),
        ("open-create", |dir, path| {
            dir.open_at(path, CREATE).map(drop)
        }),
        ("open-exclusive", |dir, path| {
            dir.open_at(path, how("rwcx")).map(drop)
        }),
        ("open-nofollow", |dir, path| {
            dir.open_at(path, how("rwcn")).map(drop)
        }),
        ("mkdir", |dir, path| dir.create_directory_at(path)),
        ("rmdir", |dir, path| dir.remove_directory_at(path)),
        ("unlink", |dir, path| dir.unlink_file_at(path)),
        ("symlink", |dir, path| dir.symlink_at("x", path)),
        ("link", |dir, path| dir.link_at("file", dir, path)),
    ];
    let mut wrong = Vec::new();
    let refusing = Tree::new();
    let mut taking = Tree::new();
    let mut compare = |name: &str, call: &dyn Fn(&Dir) -> wasi_overlay_core::Result<()>| {
        let refused = errno(call(&refusing.read_only()));
        match call(&taking.dir()).map_err(|error| error.errno()) {
            Ok(()) => {
                taking = Tree::new();
                if refused != Errno::ReadOnly {
                    wrong.push(format!("{name}: done, {refused:?}"));
                }
            }
            // A directory into itself, and paths with a NUL, are not checked before `read-only`.
            Err(Errno::Invalid) if name.starts_with("rename") => {}
            Err(answer) if answer == refused => {}
            Err(answer) => wrong.push(format!("{name}: {answer:?}, {refused:?}")),
        }
    };
    for path in paths {
        for (name, call) in calls {
            compare(&format!("{name} {path:?}"), &|dir| call(dir, path));
        }
        for to in paths.iter().filter(|to| !to.contains('\0')) {
            compare(&format!("rename {path:?} {to:?}"), &|dir| {
                dir.rename_at(path, dir, to)
            });
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every path below `path` with its data and times.
fn snapshot(path: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![path.to_owned()];
    while let Some(path) = open.pop() {
        let meta = fs::symlink_metadata(&path).unwrap();
        found.push(format!("{path:?} {} {}", meta.mtime(), meta.mtime_nsec()));
        if meta.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
        } else if meta.is_file() {
            found.push(fs::read_to_string(&path).unwrap());
        }
    }
    found.sort();
    found
}

/// Found by random plans: a read-only live mount must answer with the error of the change. It followed a link
/// that ends in a slash, answered `not-directory` for a `directory` open of a link, checked an empty target
/// before the parent of the new link, and treated a slash behind `..` like one behind a name.
#[test]
fn read_only_mount_reports_the_errors_of_a_writable_one() {
    let tree = Tree::new();
    for (target, link) in [("self/", "to-circle"), ("new/", "to-new"), ("file", "link")] {
        symlink(target, tree.path(link)).unwrap();
    }
    let (writable, read_only) = (tree.dir(), tree.read_only());
    let exclusive = how("rwcx");
    let directory = how("rwdn");
    for (path, how, error) in [
        ("to-circle", CREATE, Errno::IsDirectory),
        ("to-new", CREATE, Errno::IsDirectory),
        ("self", CREATE, Errno::Loop),
        ("absolute", CREATE, Errno::NotPermitted),
        ("a/b/../", exclusive, Errno::Exist),
        ("a/b/../", CREATE, Errno::IsDirectory),
        ("a/", exclusive, Errno::IsDirectory),
        ("link", directory, Errno::Loop),
    ] {
        assert_eq!(errno(writable.open_at(path, how)), error, "{path}");
        assert_eq!(errno(read_only.open_at(path, how)), error, "{path}");
    }
    for (path, error) in [
        ("file/new", Errno::NotDirectory),
        ("file", Errno::NoEntry),
        ("new", Errno::NoEntry),
    ] {
        assert_eq!(errno(writable.symlink_at("", path)), error, "{path}");
        assert_eq!(errno(read_only.symlink_at("", path)), error, "{path}");
    }
}

/// A live mount that is read-only answered `invalid`, an overlay `read-only`.
#[test]
fn file_of_a_read_only_mount_cannot_be_truncated() {
    let tree = Tree::new();
    let reading = file(&tree.read_only(), "file", READ);
    fails(reading.set_size(0), Errno::ReadOnly);
}
