//! Metadata of files and links: calls set what they should, and leave the rest unchanged.
//!
//! The assertions of wasi-testsuite's `fd_filestat_set`, `fstflags_validate`, `path_exists`,
//! `path_filestat`, `readlink` and `symlink_filestat`, of `fd_readdir` and `path_link` those about
//! metadata, and of its C programs `fdopendir-with-access` and `stat-dev-ino`.

use guests_p1::checks::{assert_refused, set_size};
use guests_p1::wasi::{
    ERRNO_INVAL, FILETYPE_DIRECTORY, FILETYPE_REGULAR_FILE, FILETYPE_SYMBOLIC_LINK, FSTFLAGS_ATIM,
    FSTFLAGS_ATIM_NOW, FSTFLAGS_MTIM, FSTFLAGS_MTIM_NOW, OFLAGS_CREAT,
};
use guests_p1::{ROOT, raw, wasi};

const SECOND: u64 = 1_000_000_000;

fn main() {
    for path in ["hello.txt", "dir/one", "empty", "new"] {
        let file = raw::open_write(ROOT, path, OFLAGS_CREAT).expect("it can be opened");
        raw::close(file).expect("it is open");
        times_of_open_file(path);
        times_by_path(path);
        times_of_link(path);
        names_of_one_file(path);
        println!("{path}: all as it should be");
    }
    types_with_and_without_following();
    target_fills_the_buffer();
    listing_has_the_numbers_of_stat();
    println!("all as it should be");
}

fn lookup(follow: bool) -> wasi::Lookupflags {
    if follow {
        wasi::LOOKUPFLAGS_SYMLINK_FOLLOW
    } else {
        0
    }
}

fn set(path: &str, follow: bool, mtim: u64, flags: wasi::Fstflags) -> raw::Result<()> {
    // SAFETY: a call to the host; the path outlives it.
    unsafe { wasi::path_filestat_set_times(ROOT, lookup(follow), path, 0, mtim, flags) }
}

fn mtim(path: &str, follow: bool) -> u64 {
    let stat = raw::stat(ROOT, path, follow);
    stat.expect("it is there").mtim
}

/// Flags that set a time both to a value and to the current time.
const BOTH_WAYS: [wasi::Fstflags; 2] = [
    FSTFLAGS_MTIM | FSTFLAGS_MTIM_NOW,
    FSTFLAGS_ATIM | FSTFLAGS_ATIM_NOW,
];

fn times_of_open_file(path: &str) {
    let file = raw::open_write(ROOT, path, 0).expect("it is there");
    let stat = || raw::fstat(file).expect("it is open");
    assert_eq!(set_size(file, 100), Ok(()), "{path}");
    let before = stat();
    assert_eq!(before.size, 100, "{path}");
    let earlier = before.mtim - 100;
    let times = |flags| {
        // SAFETY: a call to the host; numbers only.
        unsafe { wasi::fd_filestat_set_times(file, earlier, earlier, flags) }
    };
    assert_eq!(times(FSTFLAGS_MTIM), Ok(()), "{path}");
    let after = stat();
    let (size, atim) = (after.size, after.atim);
    assert_eq!(
        (size, after.mtim, atim),
        (100, earlier, before.atim),
        "{path}"
    );
    for flags in BOTH_WAYS {
        assert_refused("both ways at once", times(flags), &[ERRNO_INVAL]);
    }
    assert_eq!((stat().mtim, stat().atim), (earlier, atim), "{path}");
    raw::close(file).expect("it is open");
}

fn times_by_path(path: &str) {
    let earlier = mtim(path, false) - 100;
    assert_eq!(set(path, false, earlier, FSTFLAGS_MTIM), Ok(()), "{path}");
    assert_eq!(mtim(path, false), earlier, "{path}");
    for flags in BOTH_WAYS {
        let result = set(path, false, earlier - 100, flags);
        assert_refused("both ways at once", result, &[ERRNO_INVAL]);
    }
    assert_eq!(mtim(path, false), earlier, "{path}");
}

fn times_of_link(path: &str) {
    raw::symlink(path, ROOT, "link").expect("nothing has the name");
    let (of_file, of_link) = (mtim(path, false), mtim("link", false));
    let earlier = of_link - 200;
    assert_eq!(set("link", false, earlier, FSTFLAGS_MTIM), Ok(()), "{path}");
    assert_eq!(mtim("link", false), earlier, "{path}");
    assert_eq!(mtim(path, false), of_file, "{path}");
    assert_eq!(mtim("link", true), of_file, "{path}");
    let later = 5 * SECOND;
    assert_eq!(set("link", true, later, FSTFLAGS_MTIM), Ok(()), "{path}");
    assert_eq!(mtim(path, false), later, "{path}");
    assert_eq!(mtim("link", false), earlier, "{path}");
    raw::unlink(ROOT, "link").expect("it was made just now");
}

/// Everything that `fd_filestat_get` returns, for each of two names.
fn names_of_one_file(path: &str) {
    for name in ["name", "a/b/name", "new-dir/name"] {
        if name == "new-dir/name" {
            raw::mkdir(ROOT, "new-dir").expect("nothing has the name");
        }
        let before = raw::open_read(ROOT, path).expect("it is there");
        raw::link(ROOT, path, ROOT, name).expect("nothing has the name");
        let after = raw::open_read(ROOT, name).expect("it was made just now");
        let [one, other] = [before, after].map(|fd| {
            let stat = raw::fstat(fd).expect("it is open");
            let times = (stat.atim, stat.mtim, stat.ctim);
            (
                stat.dev,
                stat.ino,
                stat.filetype,
                stat.nlink,
                stat.size,
                times,
            )
        });
        assert_eq!(one, other, "{path} and {name}");
        for fd in [before, after] {
            raw::close(fd).expect("it is open");
        }
        raw::unlink(ROOT, name).expect("it was made just now");
    }
    raw::rmdir(ROOT, "new-dir").expect("it was made just now");
}

fn types_with_and_without_following() {
    for (path, target) in [("to-file", "dir/one"), ("to-dir", "dir")] {
        raw::symlink(target, ROOT, path).expect("nothing has the name");
    }
    for (path, itself, followed) in [
        ("dir", FILETYPE_DIRECTORY, FILETYPE_DIRECTORY),
        ("dir/one", FILETYPE_REGULAR_FILE, FILETYPE_REGULAR_FILE),
        ("to-file", FILETYPE_SYMBOLIC_LINK, FILETYPE_REGULAR_FILE),
        ("to-dir", FILETYPE_SYMBOLIC_LINK, FILETYPE_DIRECTORY),
        ("links/rel", FILETYPE_SYMBOLIC_LINK, FILETYPE_REGULAR_FILE),
        ("links/dir", FILETYPE_SYMBOLIC_LINK, FILETYPE_DIRECTORY),
    ] {
        let kind = |follow| raw::stat(ROOT, path, follow).map(|stat| stat.filetype);
        assert_eq!(
            (kind(false), kind(true)),
            (Ok(itself), Ok(followed)),
            "{path}"
        );
    }
}

fn target_fills_the_buffer() {
    raw::symlink("../hello.txt", ROOT, "new-link").expect("nothing has the name");
    for path in ["links/rel", "new-link"] {
        let mut buffer = *b"________________";
        let into = buffer.as_mut_ptr();
        // SAFETY: the buffer is at least as long as the lengths that are passed.
        let whole = unsafe { wasi::path_readlink(ROOT, path, into, 16) };
        assert_eq!((whole, &buffer), (Ok(12), b"../hello.txt____"), "{path}");
        // SAFETY: as before.
        let part = unsafe { wasi::path_readlink(ROOT, path, buffer[12..].as_mut_ptr(), 4) };
        assert_eq!((part, &buffer), (Ok(4), b"../hello.txt../h"), "{path}");
    }
}

/// The inode numbers of a directory and its entries match `stat`, and no two files share one.
fn listing_has_the_numbers_of_stat() {
    for path in ["dir", "a", "new-dir"] {
        if path == "new-dir" {
            raw::mkdir(ROOT, path).expect("nothing has the name");
        }
        let dir = raw::open_dir(ROOT, path).expect("it is there");
        let itself = raw::fstat(dir).expect("it is open");
        let entries = raw::readdir_all(dir, 4096).expect("it can be listed");
        let mut numbers = Vec::new();
        for entry in entries.iter().filter(|entry| entry.name != "..") {
            let stat = raw::stat(dir, &entry.name, false).expect("it is listed");
            assert_eq!((stat.dev, stat.ino), (itself.dev, entry.inode), "{entry:?}");
            assert_eq!(stat.filetype.raw(), entry.kind, "{entry:?}");
            assert_eq!(entry.name == ".", entry.inode == itself.ino, "{entry:?}");
            numbers.push(entry.inode);
        }
        let count = numbers.len();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!((numbers.len(), entries.len()), (count, count + 1), "{path}");
        println!("{path}: {count}");
        raw::close(dir).expect("it is open");
    }
}
