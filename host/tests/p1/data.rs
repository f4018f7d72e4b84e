//! Tests of reads, writes and seeks.

use crate::driver::*;
use std::fs;
use std::path::Path;

fn digits(root: &Path) {
    fs::write(root.join("digits"), "0123456789").unwrap();
}

#[test]
fn positions_move_with_reads_and_writes_and_not_with_preads() {
    on_every_host(digits, |g, root| {
        let fd = g.open("digits", 0, RW, 0).unwrap();
        let other = g.open("digits", 0, FD_READ, 0).unwrap();
        assert_eq!(g.read(fd, 3).unwrap(), b"012");
        assert_eq!(g.write(fd, b"abc"), Ok(3));
        assert_eq!(g.tell(fd), Ok(6));
        assert_eq!(
            g.tell(other),
            Ok(0),
            "descriptors have positions of their own"
        );

        let buffer = g.alloc(4);
        let iovs = g.buffers(&[(buffer, 4)]);
        let out = g.alloc(4);
        g.ok("fd_pread", &[fd.into(), iovs, 1, 2, out.into()]);
        assert_eq!((g.u32_at(out), g.peek(buffer, 4)), (4, b"2abc".to_vec()));
        g.poke(buffer, b"WXYZ");
        g.ok("fd_pwrite", &[fd.into(), iovs, 1, 8, out.into()]);
        assert_eq!(g.u32_at(out), 4);
        assert_eq!(g.tell(fd), Ok(6));
        assert_eq!(fs::read(root.join("digits")).unwrap(), b"012abc67WXYZ");
    });
}

#[test]
fn seek_out_of_range_is_inval_and_keeps_the_position() {
    on_every_host(digits, |g, _| {
        let fd = g.open("digits", 0, FD_READ, 0).unwrap();
        assert_eq!(g.seek(fd, 4, 0), Ok(4));
        assert_eq!(g.seek(fd, -1, 1), Ok(3));
        assert_eq!(g.seek(fd, -4, 1), Err(INVAL));
        assert_eq!(g.tell(fd), Ok(3), "a seek that fails moves nothing");
        assert_eq!(g.seek(fd, -1, 0), Err(INVAL));
        assert_eq!(g.seek(fd, -3, 2), Ok(7));
        assert_eq!(g.read(fd, 10).unwrap(), b"789");
        assert_eq!(g.seek(fd, -11, 2), Err(INVAL));
        assert_eq!(g.seek(fd, i64::MAX, 0), Ok(i64::MAX as u64));
        assert_eq!(g.seek(fd, i64::MAX, 1), Ok(u64::MAX - 1));
        assert_eq!(g.seek(fd, 2, 1), Err(INVAL), "past the last offset");
        assert!(
            g.try_call("fd_seek", &[fd.into(), 0, 9, 1024]).is_err(),
            "no such whence"
        );
        assert_eq!(g.seek(fd, 100, 0), Ok(100));
        assert_eq!(g.read(fd, 10).unwrap(), b"");
    });
}

#[test]
fn transfers_at_offsets_past_the_limit_fail() {
    on_every_host(digits, |g, root| {
        let fd = g.open("digits", 0, RW, 0).unwrap();
        let buffer = g.put(b"data");
        let iovs = g.buffers(&[(buffer, 4)]);
        let out = g.alloc(4);
        // As on Linux, the offset is checked before the access mode of the file.
        let reader = g.open("digits", 0, FD_READ, 0).unwrap();
        let writer = g.open("digits", 0, FD_WRITE, 0).unwrap();
        for fd in [fd, reader, writer] {
            for offset in [u64::MAX, u64::MAX - 2, 1 << 63] {
                for count in [1, 0] {
                    let args = [fd.into(), iovs, count, offset as i64, out.into()];
                    // wasmtime-wasi makes no system call to transfer nothing.
                    let expected = match (g.is_stock(), count) {
                        (true, 0) => 0,
                        _ => INVAL,
                    };
                    let read = g.call("fd_pread", &args);
                    assert!(
                        read == expected || read == INVAL,
                        "read at {offset}: {read}"
                    );
                    let write = g.call("fd_pwrite", &args);
                    assert!(
                        write == expected || write == INVAL,
                        "write at {offset}: {write}"
                    );
                }
            }
        }
        let size = g.call("fd_filestat_set_size", &[fd.into(), -1]);
        assert_eq!(size, INVAL);
        assert_eq!(fs::read(root.join("digits")).unwrap(), b"0123456789");
    });
}

#[test]
fn call_transfers_all_of_its_buffers() {
    on_every_host(digits, |g, root| {
        let fd = g.open("digits", 0, RW, 0).unwrap();
        let at = g.put(b"________________");
        let list = [(0, 0), (at, 2), (at + 4, 0), (at + 4, 3), (at + 8, 8)];
        let iovs = g.buffers(&list);
        let out = g.alloc(4);
        g.ok("fd_read", &[fd.into(), iovs, 5, out.into()]);
        // wasmtime-wasi transfers only the first buffer that is not empty.
        let (count, expected) = match g.is_stock() {
            true => (2, b"01______________"),
            false => (10, b"01__234_56789___"),
        };
        assert_eq!(g.u32_at(out), count);
        assert_eq!(g.peek(at, 16), expected);
        assert_eq!(g.tell(fd), Ok(count.into()));
        if g.is_stock() {
            return;
        }
        g.seek(fd, 1, 0).unwrap();
        g.poke(at, b"ABCDEFGHIJKLMNOP");
        g.ok("fd_write", &[fd.into(), iovs, 5, out.into()]);
        assert_eq!(g.u32_at(out), 13);
        assert_eq!(fs::read(root.join("digits")).unwrap(), b"0ABEFGIJKLMNOP");
        assert_eq!(g.tell(fd), Ok(14));
    });
}

#[test]
fn transfer_of_no_bytes_returns_0() {
    on_every_host(digits, |g, _| {
        let fd = g.open("digits", 0, RW, 0).unwrap();
        let out = g.alloc(4);
        // The addresses of empty buffers point to no memory.
        let empty = g.buffers(&[(u32::MAX, 0), (u32::MAX - 3, 0)]);
        for (list, count) in [(0, 0), (empty, 2)] {
            for call in ["fd_read", "fd_write"] {
                g.poke(out, &[9; 4]);
                g.ok(call, &[fd.into(), list, count, out.into()]);
                assert_eq!(g.u32_at(out), 0);
            }
        }
        assert_eq!(g.tell(fd), Ok(0));
    });
}

#[test]
fn large_transfers_are_complete() {
    // Larger than the buffer for transfers in the pool, and not a multiple of its size.
    const SIZE: usize = 700_001;
    let pattern: Vec<u8> = (0..SIZE).map(|i| (i % 251) as u8).collect();
    for host in [Host::Sync, Host::AsyncInline, Host::AsyncPool] {
        let dir = tempfile::tempdir().unwrap();
        let g = &mut Guest::new(host, dir.path());
        let fd = g.open("large", CREAT, RW, 0).unwrap();
        let at = g.put(&pattern);
        let list = [(at, 300_000), (at + 300_000, 1), (at + 300_001, 400_000)];
        let iovs = g.buffers(&list);
        let out = g.alloc(4);
        g.ok("fd_write", &[fd.into(), iovs, 3, out.into()]);
        assert_eq!(g.u32_at(out) as usize, SIZE);
        assert!(fs::read(dir.path().join("large")).unwrap() == pattern);
        g.poke(at, &vec![0; SIZE]);
        g.ok("fd_pread", &[fd.into(), iovs, 3, 0, out.into()]);
        assert_eq!(g.u32_at(out) as usize, SIZE);
        assert!(g.peek(at, SIZE) == pattern);
        g.ok("fd_pread", &[fd.into(), iovs, 3, 650_000, out.into()]);
        assert_eq!(g.u32_at(out), 50_001);
    }
}

#[test]
fn append_ignores_offset_and_position() {
    on_every_host(digits, |g, root| {
        let fd = g.open("digits", 0, RW, APPEND).unwrap();
        assert_eq!(g.read(fd, 2).unwrap(), b"01");
        assert_eq!(g.write(fd, b"ab"), Ok(2));
        assert_eq!(g.tell(fd), Ok(12));
        let buffer = g.put(b"cd");
        let iovs = g.buffers(&[(buffer, 2)]);
        let out = g.alloc(4);
        g.ok("fd_pwrite", &[fd.into(), iovs, 1, 0, out.into()]);
        assert_eq!(fs::read(root.join("digits")).unwrap(), b"0123456789abcd");
        assert_eq!(g.tell(fd), Ok(12), "pwrite moves nothing");
    });
}

#[test]
fn file_opened_only_to_read_or_only_to_write_refuses_the_other() {
    on_every_host(digits, |g, _| {
        let r = g.open("digits", 0, FD_READ, 0).unwrap();
        let w = g.open("digits", 0, FD_WRITE, 0).unwrap();
        assert_eq!(g.write(r, b"x"), Err(BADF));
        assert_eq!(g.read(w, 1), Err(BADF));
        assert_eq!(g.write(r, b""), Err(BADF));
        assert_eq!(g.read(w, 0), Err(BADF));
        let size = g.call("fd_filestat_set_size", &[r.into(), 1]);
        assert_eq!(size, INVAL);
        g.ok("fd_filestat_set_size", &[w.into(), 4]);
        assert_eq!(g.read(r, 10).unwrap(), b"0123");
        g.ok("fd_sync", &[r.into()]);
        g.ok("fd_datasync", &[w.into()]);
        g.ok("fd_advise", &[r.into(), 0, 10, 3]);
    });
}

#[test]
fn pointers_out_of_memory_trap() {
    on_every_host(digits, |g, root| {
        let fd = g.open("digits", 0, RW, 0).unwrap();
        let out = i64::from(g.alloc(8));
        let good = g.put(b"good");
        let end = MEMORY - 2;
        let bad = [
            (MEMORY, 1),
            (end, 4),
            (u32::MAX, 1),
            (u32::MAX, u32::MAX),
            (0, u32::MAX),
        ];
        for buffer in bad {
            let list = g.buffers(&[buffer]);
            for call in ["fd_read", "fd_write"] {
                let outcome = g.try_call(call, &[fd.into(), list, 1, out]);
                // wasmtime-wasi may reach its limit of copied bytes first.
                let limited = g.is_stock() && matches!(outcome, Ok(NOMEM));
                assert!(
                    outcome.is_err() || limited,
                    "{call} of {buffer:?}: {outcome:?}"
                );
            }
        }
        let list = g.buffers(&[(good, 4)]);
        for (list, count, out) in [
            (i64::from(MEMORY), 1, out),
            (i64::from(MEMORY) - 4, 1, out),
            (list, 1, i64::from(MEMORY)),
            (list + 1, 1, out),
        ] {
            let outcome = g.try_call("fd_pread", &[fd.into(), list, count, 0, out]);
            assert!(outcome.is_err(), "{list} {count} {out}: {outcome:?}");
        }
        // More elements than memory can hold, all at the end of the address space.
        let outcome = g.try_call("fd_read", &[fd.into(), 0xffff_fff8, 4, out]);
        assert!(outcome.is_err(), "{outcome:?}");
        let path = g.try_call("path_unlink_file", &[ROOT.into(), (MEMORY - 1).into(), 2]);
        assert!(path.is_err(), "{path:?}");
        let names = g.try_call(
            "fd_readdir",
            &[ROOT.into(), (MEMORY - 4).into(), 100, 0, out],
        );
        assert!(names.is_err(), "{names:?}");
        assert_eq!(fs::read(root.join("digits")).unwrap(), b"0123456789");
    });
}

#[test]
fn standard_streams_are_those_of_the_embedder() {
    on_every_host(digits, |g, _| {
        assert_eq!(g.read(0, 8).unwrap(), b"standard");
        assert_eq!(g.write(1, b"to stdout"), Ok(9));
        assert_eq!(&g.stdout.contents()[..], b"to stdout");
        assert_eq!(g.read(1, 1), Err(BADF));
        assert_eq!(g.write(0, b"x"), Err(BADF));
    });
}
