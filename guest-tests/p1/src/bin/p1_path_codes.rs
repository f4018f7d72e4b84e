//! Error codes of calls with paths, as assertions: stock wasmtime-wasi has to pass them too.
//!
//! The assertions of wasi-testsuite's `dangling_symlink`, `interesting_paths`, `nofollow_errors`,
//! `path_link`, `path_open_create_existing`, `path_open_dirfd_not_dir`, `path_open_missing`,
//! `path_symlink_trailing_slashes`, `remove_directory_trailing_slashes`, `remove_nonempty_directory`,
//! `symlink_create`, `symlink_loop` and `unlink_file_trailing_slashes`.

use guests_p1::checks::assert_refused;
use guests_p1::wasi::{
    ERRNO_EXIST as EXIST, ERRNO_ILSEQ as ILSEQ, ERRNO_INVAL as INVAL, ERRNO_ISDIR as ISDIR,
    ERRNO_LOOP as LOOP, ERRNO_NOENT as NOENT, ERRNO_NOTDIR as NOTDIR, ERRNO_NOTEMPTY as NOTEMPTY,
    ERRNO_PERM as PERM, LOOKUPFLAGS_SYMLINK_FOLLOW, OFLAGS_CREAT, OFLAGS_DIRECTORY, OFLAGS_EXCL,
};
use guests_p1::{ROOT, raw, wasi};

fn main() {
    // First on files and directories of lower layers, then on new ones.
    raw::mkdir(ROOT, "new-dir").expect("nothing has the name");
    raw::mkdir(ROOT, "new-dir/sub").expect("nothing has the name");
    for path in ["new-file", "new-dir/one", "new-dir/sub/inner"] {
        create(path);
    }
    for (dir, file, link) in [
        ("dir", "hello.txt", "links/dir"),
        ("new-dir", "new-file", "soft"),
    ] {
        paths(dir);
        opens(dir, file);
        links_themselves(dir, file);
        removals(dir, file);
        hard_links(dir, file);
        symlinks(dir, file, link);
        println!("{dir}, {file}: all as it should be");
    }
    println!("all as it should be");
}

fn create(path: &str) {
    let file = raw::open_write(ROOT, path, OFLAGS_CREAT).expect("it can be made");
    raw::close(file).expect("it is open");
}

/// Opens a path without following a link at its end.
fn open(path: &str, oflags: wasi::Oflags) -> raw::Result<()> {
    raw::open(ROOT, path, false, oflags, 0, 0).and_then(raw::close)
}

fn follow(path: &str, oflags: wasi::Oflags) -> raw::Result<()> {
    raw::open(ROOT, path, true, oflags, 0, 0).and_then(raw::close)
}

fn paths(dir: &str) {
    for (path, codes) in [
        (format!("/{dir}/one"), [PERM, PERM]),
        (format!("{dir}/one\0"), [INVAL, ILSEQ]),
        (format!("{dir}/one/"), [NOTDIR, NOTDIR]),
        (format!("{dir}/one///"), [NOTDIR, NOTDIR]),
        (format!("{dir}/sub/../../../{dir}/one"), [PERM, PERM]),
    ] {
        assert_refused(path.escape_debug(), open(&path, 0), &codes);
    }
    for path in [
        format!("{dir}/.//sub/../../{dir}/sub/../sub///./inner"),
        format!("{dir}/sub/"),
        format!("{dir}/sub///"),
    ] {
        assert_eq!(open(&path, 0), Ok(()), "{path}");
    }
}

fn opens(dir: &str, file: &str) {
    assert_refused("open nothing", open("missing", 0), &[NOENT]);
    assert_refused(
        "exclusive",
        open(file, OFLAGS_CREAT | OFLAGS_EXCL),
        &[EXIST],
    );
    let fd = raw::open_read(ROOT, file).expect("it is there");
    assert_refused(
        "below a file",
        raw::open_write(fd, "x", OFLAGS_CREAT),
        &[NOTDIR],
    );
    raw::close(fd).expect("it is open");
    assert_eq!(open(dir, OFLAGS_DIRECTORY), Ok(()));
}

/// Links that are opened without following: dangling, circular, to directories and to files.
fn links_themselves(dir: &str, file: &str) {
    for (target, as_directory) in [
        ("missing", Err(NOENT)),
        ("link", Err(LOOP)),
        (dir, Ok(())),
        (file, Err(NOTDIR)),
    ] {
        raw::symlink(target, ROOT, "link").expect("nothing has the name");
        assert_refused(target, open("link", 0), &[LOOP]);
        assert_refused(target, open("link", OFLAGS_DIRECTORY), &[NOTDIR, LOOP]);
        assert_eq!(follow("link", OFLAGS_DIRECTORY), as_directory, "{target}");
        // A hard link is to the symbolic link itself, whether its target exists or not.
        assert_eq!(raw::link(ROOT, "link", ROOT, "link2"), Ok(()), "{target}");
        let kind = raw::stat(ROOT, "link2", false).map(|stat| stat.filetype);
        assert_eq!(kind, Ok(wasi::FILETYPE_SYMBOLIC_LINK), "{target}");
        assert_refused(
            "a link's name",
            raw::link(ROOT, file, ROOT, "link"),
            &[EXIST],
        );
        for name in ["link", "link2"] {
            assert_eq!(raw::unlink(ROOT, name), Ok(()), "{target}");
        }
    }
}

fn removals(dir: &str, file: &str) {
    let slash = |path: &str| format!("{path}/");
    for path in [file.to_owned(), slash(file)] {
        assert_refused("rmdir a file", raw::rmdir(ROOT, &path), &[NOTDIR]);
    }
    assert_refused("unlink a file/", raw::unlink(ROOT, &slash(file)), &[NOTDIR]);
    assert_refused("rmdir a full one", raw::rmdir(ROOT, dir), &[NOTEMPTY]);
    for path in [dir.to_owned(), slash(dir)] {
        assert_refused("unlink a directory", raw::unlink(ROOT, &path), &[ISDIR]);
    }
    raw::mkdir(ROOT, "empty-dir").expect("nothing has the name");
    // POSIX allows the slash. wasmtime-wasi does not, and we do as wasmtime-wasi:
    // <https://github.com/bytecodealliance/wasmtime/issues/11524>.
    assert_refused("rmdir dir/", raw::rmdir(ROOT, "empty-dir/"), &[INVAL]);
    assert_eq!(raw::rmdir(ROOT, "empty-dir"), Ok(()));
}

fn hard_links(dir: &str, file: &str) {
    let inner = format!("{dir}/one");
    for (from, to, code) in [
        (file, inner.as_str(), EXIST),
        (file, file, EXIST),
        (file, dir, EXIST),
        (dir, "linked", PERM),
        (file, "linked/", NOENT),
    ] {
        assert_refused(
            format_args!("{from}, {to}"),
            raw::link(ROOT, from, ROOT, to),
            &[code],
        );
    }
    // SAFETY: a call to the host; the paths outlive it.
    let followed = unsafe {
        wasi::path_link(
            ROOT,
            LOOKUPFLAGS_SYMLINK_FOLLOW,
            "links/dangling",
            ROOT,
            "linked",
        )
    };
    assert_refused("link, followed", followed, &[INVAL, NOENT]);
}

/// `link` is a link to a directory, and is created if it does not exist.
fn symlinks(dir: &str, file: &str, link: &str) {
    let symlink = |path: &str| raw::symlink("x", ROOT, path);
    assert_refused("new/", symlink("missing/"), &[NOENT]);
    assert_refused("directory", symlink(dir), &[EXIST]);
    assert_refused("directory/", symlink(&format!("{dir}/")), &[EXIST]);
    assert_refused("file", symlink(file), &[EXIST]);
    assert_refused("file/", symlink(&format!("{file}/")), &[NOTDIR, EXIST]);
    assert_refused("absolute", raw::symlink("/", ROOT, "absolute"), &[PERM]);
    if raw::stat(ROOT, link, false).is_err() {
        raw::symlink(dir, ROOT, link).expect("nothing has the name");
    }
    assert_eq!(follow(link, OFLAGS_DIRECTORY), Ok(()), "{link}");
    assert_eq!(follow(&format!("{link}/one"), 0), Ok(()), "{link}");
}
