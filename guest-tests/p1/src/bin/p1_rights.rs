//! Rights and flags of descriptors, and the calls that they permit.
//!
//! The assertions of wasi-testsuite's `dir_fd_op_failures`, `directory_seek`, `fd_fdstat_set_rights`,
//! `isatty`, `path_open_nonblock`, `path_open_preopen`, `path_open_read_write` and
//! `truncation_rights`, and of `path_filestat` and `path_link` those about descriptors.

use guests_p1::checks::{assert_refused, fdstat, seek, set_size, tell};
use guests_p1::wasi::{
    ERRNO_BADF, ERRNO_INVAL, ERRNO_ISDIR, ERRNO_NAMETOOLONG, ERRNO_NOTSUP, FDFLAGS_APPEND,
    FDFLAGS_NONBLOCK, FDFLAGS_SYNC, FILETYPE_DIRECTORY, FILETYPE_REGULAR_FILE, OFLAGS_CREAT,
    OFLAGS_DIRECTORY, RIGHTS_FD_FILESTAT_SET_SIZE, RIGHTS_FD_READ, RIGHTS_FD_SEEK, RIGHTS_FD_WRITE,
    RIGHTS_PATH_FILESTAT_SET_SIZE,
};
use guests_p1::{ROOT, raw, tried, wasi};

/// The rights that libraries expect of a preopened directory.
const OF_DIRECTORIES: wasi::Rights = wasi::RIGHTS_PATH_CREATE_DIRECTORY
    | wasi::RIGHTS_PATH_CREATE_FILE
    | wasi::RIGHTS_PATH_LINK_SOURCE
    | wasi::RIGHTS_PATH_LINK_TARGET
    | wasi::RIGHTS_PATH_OPEN
    | wasi::RIGHTS_FD_READDIR
    | wasi::RIGHTS_PATH_READLINK
    | wasi::RIGHTS_PATH_RENAME_SOURCE
    | wasi::RIGHTS_PATH_RENAME_TARGET
    | wasi::RIGHTS_PATH_SYMLINK
    | wasi::RIGHTS_PATH_REMOVE_DIRECTORY
    | wasi::RIGHTS_PATH_UNLINK_FILE
    | wasi::RIGHTS_PATH_FILESTAT_GET
    | wasi::RIGHTS_PATH_FILESTAT_SET_TIMES
    | wasi::RIGHTS_FD_FILESTAT_GET
    | wasi::RIGHTS_FD_FILESTAT_SET_TIMES;

/// The rights that libraries expect files in it to inherit.
const OF_FILES: wasi::Rights = RIGHTS_FD_READ
    | RIGHTS_FD_WRITE
    | RIGHTS_FD_SEEK
    | RIGHTS_FD_FILESTAT_SET_SIZE
    | wasi::RIGHTS_FD_TELL
    | wasi::RIGHTS_FD_SYNC
    | wasi::RIGHTS_FD_DATASYNC
    | wasi::RIGHTS_FD_FDSTAT_SET_FLAGS
    | wasi::RIGHTS_FD_ADVISE
    | wasi::RIGHTS_FD_ALLOCATE
    | wasi::RIGHTS_FD_FILESTAT_GET
    | wasi::RIGHTS_FD_FILESTAT_SET_TIMES
    | wasi::RIGHTS_POLL_FD_READWRITE;

fn main() {
    preopen_has_a_name();
    preopen_has_the_rights_that_libraries_expect();
    for path in [".", "dir", "a/b", "new-dir"] {
        if path == "new-dir" {
            raw::mkdir(ROOT, path).expect("nothing has the name");
        }
        directory_is_no_file(path);
    }
    for path in ["hello.txt", "dir/one", "new"] {
        file_does_what_it_was_opened_for(path);
        link_has_the_rights_of_its_file(path);
    }
    flags_of_an_open_are_reported();
    println!("all as it should be");
}

fn preopen_has_a_name() {
    // SAFETY: a call to the host.
    let stat = unsafe { wasi::fd_prestat_get(ROOT) }.expect("it is preopened");
    // SAFETY: only directories can be preopened, so this is the field that is set.
    let length = unsafe { stat.u.dir.pr_name_len };
    let mut name = vec![0; length + 1];
    // SAFETY: the buffer is longer than the lengths that are passed.
    let (short, long) = unsafe {
        let at = name.as_mut_ptr();
        (
            wasi::fd_prestat_dir_name(ROOT, at, 0),
            wasi::fd_prestat_dir_name(ROOT, at, length + 1),
        )
    };
    assert_refused("no room", short, &[ERRNO_INVAL, ERRNO_NAMETOOLONG]);
    assert_eq!(long, Ok(()), "a larger buffer");
    assert_eq!(name, b"/\0");
}

fn preopen_has_the_rights_that_libraries_expect() {
    let (kind, flags, base, inheriting) = fdstat(ROOT).expect("it is open");
    assert_eq!((kind, flags), (FILETYPE_DIRECTORY, 0));
    assert_eq!(base & OF_DIRECTORIES, OF_DIRECTORIES);
    let inherited = OF_DIRECTORIES | OF_FILES;
    assert_eq!(inheriting & inherited, inherited);
    for (name, oflags, rights, fdflags) in [
        ("its own rights", 0, base, 0),
        ("no rights", 0, 0, 0),
        ("no rights, directory", OFLAGS_DIRECTORY, 0, 0),
        ("reading, directory", OFLAGS_DIRECTORY, RIGHTS_FD_READ, 0),
        ("no rights, nonblock", 0, 0, FDFLAGS_NONBLOCK),
    ] {
        let opened = raw::open(ROOT, ".", false, oflags, rights, fdflags);
        assert_eq!(opened.and_then(raw::close), Ok(()), "{name}");
    }
    let both = RIGHTS_FD_READ | RIGHTS_FD_WRITE;
    let opened = raw::open(ROOT, ".", false, OFLAGS_DIRECTORY, both, 0);
    assert_refused("reading and writing", opened, &[ERRNO_ISDIR]);
}

fn directory_is_no_file(path: &str) {
    let opened = raw::open(ROOT, path, false, OFLAGS_DIRECTORY, RIGHTS_FD_SEEK, 0);
    let dir = opened.expect("it is there");
    let (kind, flags, base, inheriting) = fdstat(dir).expect("it is open");
    assert_eq!((kind, flags), (FILETYPE_DIRECTORY, 0), "{path}");
    let of_files = RIGHTS_FD_SEEK | RIGHTS_FD_FILESTAT_SET_SIZE | RIGHTS_PATH_FILESTAT_SET_SIZE;
    assert_eq!(base & of_files, 0, "{path}");
    let codes = [ERRNO_ISDIR, ERRNO_BADF];
    assert_refused("read", raw::read(dir, 128), &codes);
    assert_refused("pread", raw::pread(dir, 128, 0), &codes);
    assert_refused("write", raw::write(dir, &[0; 128]), &codes);
    assert_refused("pwrite", raw::pwrite(dir, &[0; 128], 0), &codes);
    for whence in [wasi::WHENCE_CUR, wasi::WHENCE_SET, wasi::WHENCE_END] {
        assert_refused("seek", seek(dir, 0, whence), &codes);
    }
    assert_refused("tell", tell(dir), &codes);
    // SAFETY: calls to the host; numbers only.
    let (allocated, reduced) = unsafe {
        (
            wasi::fd_allocate(dir, 0, 1),
            wasi::fd_fdstat_set_rights(dir, base, inheriting),
        )
    };
    assert_refused("allocate", allocated, &codes);
    assert_refused("set rights", reduced, &[ERRNO_NOTSUP]);
    assert_refused(
        "set size",
        set_size(dir, 0),
        &[ERRNO_ISDIR, ERRNO_BADF, ERRNO_INVAL],
    );
    raw::close(dir).expect("it is open");
}

fn file_does_what_it_was_opened_for(path: &str) {
    let made = raw::open_write(ROOT, path, OFLAGS_CREAT | wasi::OFLAGS_TRUNC);
    raw::close(made.expect("it can be made")).expect("it is open");
    let both = RIGHTS_FD_READ | RIGHTS_FD_WRITE;
    let mut size = 0;
    for rights in [RIGHTS_FD_READ, RIGHTS_FD_WRITE, both] {
        let file = raw::open(ROOT, path, false, 0, rights, 0).expect("it can be opened");
        let (kind, flags, base, _) = fdstat(file).expect("it is open");
        assert_eq!((kind, flags), (FILETYPE_REGULAR_FILE, 0), "{path}");
        assert_eq!(base & both, rights, "{path}");
        if rights & RIGHTS_FD_READ == 0 {
            assert_refused("read", raw::read(file, 100), &[ERRNO_BADF]);
        } else {
            let read = raw::read(file, 100).map(|data| data.len());
            assert_eq!(read, Ok(size), "{path}");
        }
        if rights & RIGHTS_FD_WRITE == 0 {
            assert_refused("write", raw::write(file, b"x"), &[ERRNO_BADF]);
        } else {
            assert_eq!(raw::write(file, &[1; 25]), Ok(25), "{path}");
            size += 25;
        }
        assert_eq!(raw::fstat(file).map(|stat| stat.size), Ok(size as u64));
        raw::close(file).expect("it is open");
    }
}

fn link_has_the_rights_of_its_file(path: &str) {
    for link in ["link", "a/b/link"] {
        assert_eq!(raw::link(ROOT, path, ROOT, link), Ok(()), "{path}");
        let open = |path| raw::open(ROOT, path, false, 0, RIGHTS_FD_READ, 0);
        let (file, other) = (open(path), open(link));
        let (file, other) = (file.expect("it is there"), other.expect("it is there"));
        assert_eq!(fdstat(file), fdstat(other), "{path}");
        for fd in [file, other] {
            raw::close(fd).expect("it is open");
        }
        assert_eq!(raw::unlink(ROOT, link), Ok(()), "{path}");
    }
}

fn flags_of_an_open_are_reported() {
    let both = FDFLAGS_APPEND | FDFLAGS_SYNC;
    for path in ["hello.txt", "dir/two", "new2"] {
        for asked in [FDFLAGS_APPEND, both] {
            let opened = raw::open(ROOT, path, false, OFLAGS_CREAT, RIGHTS_FD_WRITE, asked);
            if asked == both && opened == Err(ERRNO_NOTSUP) {
                continue;
            }
            let file = opened.expect("it can be opened");
            assert_eq!(fdstat(file).map(|stat| stat.1), Ok(asked), "{path}");
            tried(format_args!("{path} for {asked}"), raw::close(file));
        }
    }
}
