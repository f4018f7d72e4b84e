//! Times are set to the requested values, and updated by the operations that POSIX names.

use guests_p1::wasi::{
    FSTFLAGS_ATIM, FSTFLAGS_ATIM_NOW, FSTFLAGS_MTIM, FSTFLAGS_MTIM_NOW, LOOKUPFLAGS_SYMLINK_FOLLOW,
};
use guests_p1::{ROOT, at, is_wrapped, raw, show, tried, wasi};
use std::fs::{self, OpenOptions};
use std::io::Write;

const SECOND: u64 = 1_000_000_000;

fn set(path: &str, follow: bool, atim: u64, mtim: u64, flags: wasi::Fstflags) -> raw::Result<()> {
    let lookup = if follow {
        LOOKUPFLAGS_SYMLINK_FOLLOW
    } else {
        0
    };
    // SAFETY: a call to the host; the path outlives it.
    unsafe { wasi::path_filestat_set_times(ROOT, lookup, path, atim, mtim, flags) }
}

fn mtime(path: &str) -> u64 {
    raw::stat(ROOT, path, false).expect("it is there").mtim
}

fn main() {
    let both = FSTFLAGS_ATIM | FSTFLAGS_MTIM;
    for path in [
        "hello.txt",
        "dir",
        "emptydir",
        "a/b/c/deep.txt",
        "many",
        "links/rel",
        "links/dangling",
    ] {
        let followed = path != "links/dangling";
        tried(
            format_args!("set both of {path}"),
            set(path, false, 1_000 * SECOND + 1, 2_000 * SECOND + 5, both),
        );
        assert_eq!(mtime(path), 2_000 * SECOND + 5, "{path}");
        tried(
            format_args!("set mtime of {path}"),
            set(path, false, 7, 3_000 * SECOND, FSTFLAGS_MTIM),
        );
        let stat = raw::stat(ROOT, path, false).expect("it is there");
        assert_eq!(
            (stat.atim, stat.mtim),
            (1_000 * SECOND + 1, 3_000 * SECOND),
            "{path}"
        );
        tried(
            format_args!("set nothing of {path}"),
            set(path, followed, 7, 7, 0),
        );
        assert_eq!(mtime(path), 3_000 * SECOND, "{path}");
        tried(
            format_args!("set {path} to now"),
            set(path, false, 7, 7, FSTFLAGS_ATIM_NOW | FSTFLAGS_MTIM_NOW),
        );
        assert!(mtime(path) > 1_600_000_000 * SECOND, "{path}");
    }
    tried(
        "set through a link",
        set("links/rel", true, 5 * SECOND, 6 * SECOND, both),
    );
    assert_eq!(mtime("hello.txt"), 6 * SECOND);
    tried(
        "set through a dangling link",
        set("links/dangling", true, 0, 0, both),
    );
    tried("set what is missing", set("missing", false, 0, 0, both));
    tried(
        "both ways at once",
        set("hello.txt", false, 1, 1, both | FSTFLAGS_MTIM_NOW),
    );
    tried("zero", set("dir/two", false, 0, 0, both));
    assert_eq!(mtime("dir/two"), 0);

    // By a descriptor, even one opened only for reading.
    let file = raw::open_read(ROOT, "dir/one").expect("it can be opened");
    // SAFETY: a call to the host; the descriptor is open.
    tried("set an open file", unsafe {
        wasi::fd_filestat_set_times(file, 8 * SECOND, 9 * SECOND, both)
    });
    assert_eq!(
        raw::fstat(file).map(|stat| stat.mtim).ok(),
        Some(9 * SECOND)
    );
    assert_eq!(mtime("dir/one"), 9 * SECOND);
    // SAFETY: as before.
    tried(
        "set an open directory",
        raw::open_dir(ROOT, "a").and_then(|dir| unsafe {
            wasi::fd_filestat_set_times(dir, 8 * SECOND, 9 * SECOND, both)
        }),
    );
    assert_eq!(mtime("a") == 9 * SECOND, !is_wrapped());

    // A write updates the file's time, and a change of names the directory's.
    let moved = |what: &str, path: &str, change: &mut dyn FnMut()| {
        set(path, false, 10 * SECOND, 10 * SECOND, both).expect("it can be set");
        change();
        show(
            format_args!("{what} moves {path}"),
            Ok::<_, wasi::Errno>(mtime(path) != 10 * SECOND),
        );
    };
    let append = |path: &str| {
        OpenOptions::new()
            .append(true)
            .open(at(path))
            .and_then(|mut file| file.write_all(b"+"))
            .expect("it can be written")
    };
    moved("a write", "dir/three", &mut || append("dir/three"));
    moved("a write to a file below", "dir/sub", &mut || {
        append("dir/sub/inner")
    });
    moved("opening for writing", "dir/sub/sub2/x", &mut || {
        drop(OpenOptions::new().write(true).open(at("dir/sub/sub2/x")))
    });
    moved("cutting to the same size", "empty", &mut || {
        drop(fs::write(at("empty"), ""))
    });
    moved("making a name", "emptydir", &mut || {
        fs::write(at("emptydir/x"), "x").expect("it can be made")
    });
    moved("removing one", "emptydir", &mut || {
        fs::remove_file(at("emptydir/x")).expect("it can be removed")
    });
    moved("removing a lower one", "dir", &mut || {
        fs::remove_file(at("dir/one")).expect("it can be removed")
    });
    moved("making a directory", "dir", &mut || {
        fs::create_dir(at("dir/d")).expect("it can be made")
    });
    moved("renaming away", "dir", &mut || {
        fs::rename(at("dir/d"), at("d")).expect("it can be renamed")
    });
    moved("being renamed to", "a/b", &mut || {
        fs::rename(at("d"), at("a/b/d")).expect("it can be renamed")
    });
    let kept = mtime("big.bin");
    fs::rename(at("big.bin"), at("a/big.bin")).expect("it can be renamed");
    assert_eq!(
        mtime("a/big.bin"),
        kept,
        "a rename leaves the file's own time"
    );
}
