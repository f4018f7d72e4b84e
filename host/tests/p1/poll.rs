//! Tests of `poll_oneoff` on clocks, standard streams and files.

use crate::driver::*;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};
use wasi_overlay::FsPerms;

const CLOCK: u8 = 0;
const READ: u8 = 1;
const WRITE: u8 = 2;

fn file(root: &Path) {
    fs::write(root.join("file"), "data").unwrap();
}

fn clock(userdata: u64, nanoseconds: u64) -> [u8; 48] {
    let mut sub = [0; 48];
    sub[..8].copy_from_slice(&userdata.to_le_bytes());
    sub[8] = CLOCK;
    sub[16..20].copy_from_slice(&1_u32.to_le_bytes());
    sub[24..32].copy_from_slice(&nanoseconds.to_le_bytes());
    sub
}

fn on_fd(userdata: u64, kind: u8, fd: u32) -> [u8; 48] {
    let mut sub = [0; 48];
    sub[..8].copy_from_slice(&userdata.to_le_bytes());
    sub[8] = kind;
    sub[16..20].copy_from_slice(&fd.to_le_bytes());
    sub
}

/// Userdata, error, type, and flags of each event.
fn poll(g: &mut Guest, subs: &[[u8; 48]]) -> Result<Vec<(u64, u16, u8, u16)>, i32> {
    let list = g.put(&subs.concat());
    let events = g.alloc(subs.len() * 32);
    let out = g.alloc(4);
    let args = [list.into(), events.into(), subs.len() as i64, out.into()];
    match g.call("poll_oneoff", &args) {
        0 => {
            let count = g.u32_at(out) as usize;
            let bytes = g.peek(events, count * 32);
            let event = |e: &[u8]| {
                let u16_at = |at: usize| u16::from_le_bytes([e[at], e[at + 1]]);
                let userdata = u64::from_le_bytes(e[..8].try_into().unwrap());
                (userdata, u16_at(8), e[10], u16_at(24))
            };
            Ok(bytes.chunks(32).map(event).collect())
        }
        errno => Err(errno),
    }
}

#[test]
fn files_are_always_ready() {
    on_every_host(file, |g, _| {
        let fd = g.open("file", 0, RW, 0).unwrap();
        let hour = 3_600_000_000_000;
        if !g.is_stock() {
            // It begins to read in the background, and calls a file ready once that is done.
            let subs = [clock(7, hour), on_fd(8, READ, fd), on_fd(9, WRITE, fd)];
            assert_eq!(poll(g, &subs), Ok(vec![(8, 0, READ, 0), (9, 0, WRITE, 0)]));
        }
        assert_eq!(
            poll(g, &[clock(7, hour), on_fd(8, READ, fd)]),
            Ok(vec![(8, 0, READ, 0)])
        );
        assert_eq!(
            poll(g, &[clock(7, hour), on_fd(9, WRITE, fd)]),
            Ok(vec![(9, 0, WRITE, 0)])
        );
        g.seek(fd, 0, 2).unwrap();
        let hangup = 1;
        assert_eq!(
            poll(g, &[on_fd(u64::MAX, READ, fd)]),
            Ok(vec![(u64::MAX, 0, READ, hangup)])
        );
    });
}

/// A guest that polled a file for writing that it had opened for reading got `badf` for all that it
/// polled. POSIX has a regular file ready at all times, and whoever writes to it is told then.
#[test]
fn file_is_ready_to_read_and_write_however_it_was_opened() {
    on_every_host(file, |g, _| {
        let reader = g.open("file", 0, FD_READ, 0).unwrap();
        let writer = g.open("file", 0, FD_WRITE, 0).unwrap();
        for (fd, kind) in [
            (reader, READ),
            (reader, WRITE),
            (writer, READ),
            (writer, WRITE),
        ] {
            assert_eq!(poll(g, &[on_fd(1, kind, fd)]), Ok(vec![(1, 0, kind, 0)]));
        }
        let subs = [on_fd(1, WRITE, reader), on_fd(2, WRITE, 1)];
        let both = vec![(1, 0, WRITE, 0), (2, 0, WRITE, 0)];
        assert_eq!(poll(g, &subs), Ok(both));
    });
}

/// wasmtime-wasi polls a file by a stream that it opens, which a read-only mount refuses, and the call fails.
#[test]
fn file_of_read_only_mount_is_ready_to_write() {
    for host in HOSTS {
        let dir = tempfile::tempdir().unwrap();
        file(dir.path());
        let g = &mut Guest::with_perms(host, dir.path(), FsPerms::ReadOnly);
        let fd = g.open("file", 0, FD_READ, 0).unwrap();
        let subs = [on_fd(1, WRITE, fd), on_fd(2, WRITE, 1)];
        let expected = if g.is_stock() {
            Err(PERM)
        } else {
            Ok(vec![(1, 0, WRITE, 0), (2, 0, WRITE, 0)])
        };
        assert_eq!(poll(g, &subs), expected, "{host:?}");
        assert_eq!(g.write(fd, b"x"), Err(BADF), "{host:?}");
    }
}

/// One descriptor that was closed, or is none that can be polled, took the events of all others with
/// it. wasi-libc makes `POLLNVAL` of an event with `badf`, which is what POSIX has `poll` say.
#[test]
fn invalid_subscription_fails_only_its_own_event() {
    on_every_host(file, |g, _| {
        let fd = g.open("file", 0, RW, 0).unwrap();
        let badf = BADF as u16;
        let hour = 3_600_000_000_000;
        for (bad, kind) in [(99, READ), (99, WRITE), (ROOT, READ), (0, WRITE), (1, READ)] {
            let good = [on_fd(1, READ, fd), on_fd(2, WRITE, 1), clock(3, hour)];
            for good in good {
                let subs = [on_fd(7, kind, bad), good, on_fd(8, kind, bad)];
                let events = poll(g, &subs);
                if g.is_stock() {
                    assert_eq!(events, Err(BADF), "{bad}");
                    continue;
                }
                let events = events.unwrap();
                let others: Vec<_> = events.iter().filter(|event| event.0 < 7).collect();
                assert!(others.iter().all(|event| event.1 == 0), "{events:?}");
                // The timer has not expired.
                assert_eq!(others.len(), usize::from(good[8] != CLOCK), "{events:?}");
                let bad: Vec<_> = events.iter().filter(|event| event.0 >= 7).collect();
                let expected = [&(7, badf, kind, 0), &(8, badf, kind, 0)];
                assert_eq!(bad, expected, "{events:?}");
            }
            // If all subscriptions are invalid the call fails, as wasmtime's own test programs expect.
            let subs = [on_fd(7, kind, bad), on_fd(8, kind, bad)];
            assert_eq!(poll(g, &subs), Err(BADF));
        }
    });
}

#[test]
fn files_and_standard_streams_can_be_polled_together() {
    on_every_host(file, |g, _| {
        let fd = g.open("file", 0, FD_READ, 0).unwrap();
        let subs = [on_fd(1, WRITE, 1), on_fd(2, READ, fd), on_fd(3, READ, 0)];
        let expected = vec![(1, 0, WRITE, 0), (2, 0, READ, 0), (3, 0, READ, 0)];
        let ready = poll(g, &subs);
        assert!(ready == Ok(expected) || g.is_stock(), "{ready:?}");
        // A standard stream can be polled under another number.
        let spare = g.open("file", 0, FD_READ, 0).unwrap();
        g.ok("fd_renumber", &[1, spare.into()]);
        assert_eq!(
            poll(g, &[on_fd(4, WRITE, spare)]),
            Ok(vec![(4, 0, WRITE, 0)])
        );
        assert_eq!(poll(g, &[on_fd(4, WRITE, 1)]), Err(BADF));
    });
}

#[test]
fn timers_expire() {
    on_every_host(file, |g, _| {
        let begin = Instant::now();
        let ms = 1_000_000;
        assert_eq!(poll(g, &[clock(5, 20 * ms)]), Ok(vec![(5, 0, CLOCK, 0)]));
        let two = [clock(1, 20 * ms), clock(2, 60_000 * ms)];
        assert_eq!(poll(g, &two), Ok(vec![(1, 0, CLOCK, 0)]));
        assert!(begin.elapsed() >= Duration::from_millis(40));
        assert!(begin.elapsed() < Duration::from_secs(30));
    });
}

#[test]
fn invalid_arguments_fail() {
    on_every_host(file, |g, _| {
        assert_eq!(poll(g, &[]), Err(INVAL));
        for fd in [ROOT, 99] {
            assert_eq!(poll(g, &[on_fd(1, READ, fd)]), Err(BADF));
        }
        assert_eq!(poll(g, &[on_fd(1, WRITE, 0)]), Err(BADF));
        let mut unknown = on_fd(1, 9, 0);
        unknown[8] = 9;
        assert_eq!(poll(g, &[unknown]), Err(INVAL));
        let outcome = g.try_call("poll_oneoff", &[i64::from(MEMORY) - 40, 0, 1, 1024]);
        assert!(outcome.is_err(), "{outcome:?}");
    });
}
