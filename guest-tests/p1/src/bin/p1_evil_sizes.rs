//! Offsets, lengths and counts at the limits of their types: the host returns an error or a short answer, and
//! the guest cannot make it allocate that much memory or disk.

use guests_p1::{ROOT, raw, show, show_data, tried, wasi};

fn main() {
    let file = raw::open_write(ROOT, "dir/one", 0).expect("it can be opened");
    for offset in [
        1 << 31,
        u64::from(u32::MAX),
        1 << 40,
        i64::MAX as u64 - 1,
        i64::MAX as u64,
        1 << 63,
        u64::MAX,
    ] {
        show(
            format_args!("pread at {offset}"),
            raw::pread(file, 16, offset),
        );
        show(
            format_args!("pread of nothing at {offset}"),
            raw::pread(file, 0, offset),
        );
        show(
            format_args!("pwrite of nothing at {offset}"),
            raw::pwrite(file, b"", offset),
        );
        // At lower offsets the result depends on the limit of the filesystem.
        if offset > i64::MAX as u64 {
            tried(
                format_args!("pwrite at {offset}"),
                raw::pwrite(file, b"x", offset),
            );
            // SAFETY: calls to the host; numbers only.
            unsafe {
                tried(
                    format_args!("set size to {offset}"),
                    wasi::fd_filestat_set_size(file, offset),
                );
                tried(
                    format_args!("advise at {offset}"),
                    wasi::fd_advise(file, offset, offset, wasi::ADVICE_WILLNEED),
                );
            }
        }
        // SAFETY: as before.
        tried(format_args!("seek to {offset}"), unsafe {
            wasi::fd_seek(file, offset as i64, wasi::WHENCE_SET)
        });
        tried("read there", raw::read(file, 16));
        // SAFETY: as before.
        tried(format_args!("seek on by {offset}"), unsafe {
            wasi::fd_seek(file, offset as i64, wasi::WHENCE_CUR)
        });
        // SAFETY: as before.
        tried(format_args!("seek from the end by {offset}"), unsafe {
            wasi::fd_seek(file, offset as i64, wasi::WHENCE_END)
        });
    }
    // SAFETY: as before.
    tried("seek back", unsafe {
        wasi::fd_seek(file, 0, wasi::WHENCE_SET)
    });
    show_data("untouched", raw::read(file, 64));
    show("size", raw::fstat(file).map(|stat| stat.size));

    // A hole of half a gibibyte takes no space.
    let hole = raw::open_write(ROOT, "hole", wasi::OFLAGS_CREAT).expect("it can be made");
    // SAFETY: as before.
    tried("grow", unsafe { wasi::fd_filestat_set_size(hole, 1 << 29) });
    show("write behind it", raw::pwrite(hole, b"end", (1 << 29) + 1));
    show_data("in it", raw::pread(hole, 16, 1 << 28));
    show("size", raw::fstat(hole).map(|stat| stat.size));
    tried("unlink", raw::unlink(ROOT, "hole"));

    // Arrays of no buffers, of empty ones, and of many.
    let data = *b"abcdefghij";
    let pieces: Vec<_> = (0..1000)
        .map(|piece| wasi::Ciovec {
            buf: data.as_ptr(),
            buf_len: piece % 3,
        })
        .collect();
    // SAFETY: each piece is at most as long as `data`.
    let count = unsafe { wasi::fd_pwrite(file, &pieces, 0) };
    assert!(
        count.is_ok_and(|count| count <= 999),
        "no more than was passed"
    );
    // SAFETY: no buffers at all.
    show("write of no pieces", unsafe {
        wasi::fd_pwrite(file, &[], 0)
    });
    // SAFETY: as before.
    show("read of no pieces", unsafe { wasi::fd_pread(file, &[], 0) });
    // The host may write any part of it.
    // SAFETY: a call to the host; numbers only.
    tried("cut", unsafe { wasi::fd_filestat_set_size(file, 0) });
    for cookie in [1 << 31, 1 << 32, u64::MAX - 1, u64::MAX] {
        let dir = raw::open_dir(ROOT, "dir").expect("it can be opened");
        show(
            format_args!("list from {cookie}"),
            raw::readdir(dir, 4096, cookie).map(|(entries, _)| entries.len()),
        );
        tried("close", raw::close(dir));
    }
}
