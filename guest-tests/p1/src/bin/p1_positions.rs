//! The positions and sizes of open files, and which calls change them.
//!
//! The assertions of wasi-testsuite's `fd_advise`, `fd_flags_set`, `file_allocate`,
//! `file_pread_pwrite`, `file_seek_tell`, `file_truncation` and `file_unbuffered_write`, and of its C
//! programs `lseek`, `pread-with-access`, `pwrite-with-access` and `pwrite-with-append`.

use guests_p1::checks::{assert_refused, seek, set_size, tell};
use guests_p1::wasi::{
    ERRNO_INVAL, ERRNO_NOTSUP, FDFLAGS_APPEND, OFLAGS_CREAT, OFLAGS_TRUNC, RIGHTS_FD_READ,
    RIGHTS_FD_SEEK, RIGHTS_FD_TELL, RIGHTS_FD_WRITE, WHENCE_CUR, WHENCE_END, WHENCE_SET,
};
use guests_p1::{ROOT, raw, show, wasi};

/// Files of lower layers, one of them larger than what a test writes, and new files.
const PATHS: [&str; 4] = ["dir/one", "big.bin", "a/b/c/deep.txt", "new"];

const ALL: wasi::Rights = RIGHTS_FD_READ | RIGHTS_FD_WRITE | RIGHTS_FD_SEEK | RIGHTS_FD_TELL;

fn main() {
    position_of_a_lower_file();
    for path in PATHS {
        position_moves(path);
        position_stays(path);
        appended_data_goes_to_the_end(path);
        size_is_what_was_set(path);
        writes_show_at_once(path);
        println!("{path}: all as it should be");
    }
}

/// Opens a file, which has to be empty after that.
fn empty(path: &str, flags: wasi::Fdflags) -> wasi::Fd {
    let opened = raw::open(ROOT, path, false, OFLAGS_CREAT | OFLAGS_TRUNC, ALL, flags);
    let file = opened.expect("it can be opened");
    assert_eq!(raw::read(file, 100), Ok(Vec::new()), "{path}");
    file
}

fn position_of_a_lower_file() {
    let file = raw::open_read(ROOT, "hello.txt").expect("it is there");
    assert_eq!(raw::read(file, 4), Ok(b"hell".to_vec()));
    assert_eq!(seek(file, 0, WHENCE_CUR), Ok(4));
    assert_eq!(raw::read(file, 1), Ok(b"o".to_vec()));
    assert_eq!(tell(file), Ok(5));
    assert_eq!(raw::pread(file, 3, 7), Ok(b"lay".to_vec()));
    assert_eq!(tell(file), Ok(5));
    assert_eq!(seek(file, 0, WHENCE_SET), Ok(0));
    assert_eq!(seek(file, 0, WHENCE_END), Ok(14));
}

fn position_moves(path: &str) {
    let file = empty(path, 0);
    assert_eq!(tell(file), Ok(0), "{path}");
    assert_eq!(raw::write(file, &[0; 100]), Ok(100), "{path}");
    assert_eq!(tell(file), Ok(100), "{path}");
    assert_eq!(seek(file, -50, WHENCE_CUR), Ok(50), "{path}");
    assert_eq!(seek(file, 0, WHENCE_SET), Ok(0), "{path}");
    assert_eq!(seek(file, 1000, WHENCE_CUR), Ok(1000), "{path}");
    assert_refused(
        "before the start",
        seek(file, -2000, WHENCE_CUR),
        &[ERRNO_INVAL],
    );
    assert_eq!(tell(file), Ok(1000), "{path}");
    assert_eq!(seek(file, 0, WHENCE_SET), Ok(0), "{path}");
    assert_eq!(raw::read(file, 100), Ok(vec![0; 100]), "{path}");
    assert_eq!(tell(file), Ok(100), "{path}");
    raw::close(file).expect("it is open");
}

fn position_stays(path: &str) {
    let file = empty(path, 0);
    assert_eq!(raw::pwrite(file, b"very long text", 0), Ok(14), "{path}");
    assert_eq!(raw::pwrite(file, b"test", 3), Ok(4), "{path}");
    assert_eq!(
        raw::pread(file, 64, 0),
        Ok(b"vertestng text".to_vec()),
        "{path}"
    );
    assert_eq!(raw::pread(file, 64, 12), Ok(b"xt".to_vec()), "{path}");
    assert_eq!(write_in_two(file, b"0123", 0), 4, "{path}");
    assert_eq!(read_in_two(file, 0), b"0123", "{path}");
    assert_eq!(tell(file), Ok(0), "{path}");
    raw::close(file).expect("it is open");
}

/// Writes all of `data` in calls with two buffers each. The host may write only a part at each call.
fn write_in_two(file: wasi::Fd, data: &[u8], at: u64) -> usize {
    let mut written = 0;
    while written < data.len() {
        let (one, two) = data[written..].split_at((data.len() - written) / 2);
        let pieces = [one, two].map(|piece| wasi::Ciovec {
            buf: piece.as_ptr(),
            buf_len: piece.len(),
        });
        // SAFETY: each buffer has the length that is passed.
        let count = unsafe { wasi::fd_pwrite(file, &pieces, at + written as u64) };
        written += count.expect("it can be written");
    }
    written
}

/// Reads four bytes in calls with two buffers each. The host may fill only a part at each call.
fn read_in_two(file: wasi::Fd, at: u64) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < 4 {
        let mut data = [0; 4];
        let (one, two) = data.split_at_mut(2);
        let pieces = [one, two].map(|piece| wasi::Iovec {
            buf: piece.as_mut_ptr(),
            buf_len: piece.len(),
        });
        // SAFETY: each buffer has the length that is passed.
        let count = unsafe { wasi::fd_pread(file, &pieces, at + all.len() as u64) };
        let count = count.expect("it can be read");
        assert_ne!(count, 0, "the file is longer");
        all.extend(&data[..count]);
    }
    all.truncate(4);
    all
}

fn appended_data_goes_to_the_end(path: &str) {
    let file = empty(path, FDFLAGS_APPEND);
    for byte in [0, 1] {
        assert_eq!(seek(file, 0, WHENCE_SET), Ok(0), "{path}");
        assert_eq!(raw::write(file, &[byte; 100]), Ok(100), "{path}");
    }
    assert_eq!(tell(file), Ok(200), "{path}");
    assert_eq!(seek(file, 100, WHENCE_SET), Ok(100), "{path}");
    assert_eq!(raw::read(file, 100), Ok(vec![1; 100]), "{path}");
    // POSIX writes at the offset, Linux at the end; neither changes the position.
    assert_eq!(raw::pwrite(file, &[1; 3], 0), Ok(3), "{path}");
    assert_eq!(tell(file), Ok(200), "{path}");
    let end = show("end after pwrite", seek(file, 0, WHENCE_END));
    assert!(matches!(end, Some(200 | 203)), "{path}");
    // SAFETY: a call to the host; numbers only.
    assert_eq!(unsafe { wasi::fd_fdstat_set_flags(file, 0) }, Ok(()));
    assert_eq!(seek(file, 0, WHENCE_SET), Ok(0), "{path}");
    assert_eq!(raw::write(file, &[2; 100]), Ok(100), "{path}");
    assert_eq!(raw::pread(file, 100, 0), Ok(vec![2; 100]), "{path}");
    assert_eq!(raw::fstat(file).map(|stat| stat.size).ok(), end, "{path}");
    raw::close(file).expect("it is open");
}

fn size_is_what_was_set(path: &str) {
    let file = empty(path, 0);
    let size = || raw::fstat(file).map(|stat| stat.size);
    assert_eq!(size(), Ok(0), "{path}");
    assert_eq!(set_size(file, 100), Ok(()), "{path}");
    assert_eq!(size(), Ok(100), "{path}");
    // SAFETY: calls to the host; numbers only.
    let (advised, allocated) = unsafe {
        (
            wasi::fd_advise(file, 10, 50, wasi::ADVICE_NORMAL),
            wasi::fd_allocate(file, 90, 20),
        )
    };
    assert_eq!(advised, Ok(()), "{path}");
    // No host supports `fd_allocate`, and the failed call must not change the size.
    assert_eq!(allocated, Err(ERRNO_NOTSUP), "{path}");
    assert_eq!(size(), Ok(100), "{path}");
    raw::close(file).expect("it is open");
}

fn writes_show_at_once(path: &str) {
    let open = |rights| raw::open(ROOT, path, false, 0, rights, 0).expect("it is there");
    let (reader, writer) = (open(RIGHTS_FD_READ), open(RIGHTS_FD_WRITE));
    assert_eq!(raw::write(writer, &[7]), Ok(1), "{path}");
    assert_eq!(raw::read(reader, 1), Ok(vec![7]), "{path}");
    for fd in [reader, writer] {
        raw::close(fd).expect("it is open");
    }
}
