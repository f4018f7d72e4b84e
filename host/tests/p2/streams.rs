//! Tests of `wasi:io` streams of files, used through the table as wasmtime-wasi-io uses them.

use crate::support::{State, borrow, host_dir, live, mounted, overlay_on};
use std::time::Duration;
use tempfile::TempDir;
use wasi_overlay::p2::bindings::types::{
    DescriptorFlags, ErrorCode, Host, HostDescriptor, OpenFlags, PathFlags,
};
use wasi_overlay::{Descriptor, FsPerms, Overlay, OverlayView};
use wasmtime::component::Resource;
use wasmtime_wasi_io::bindings::wasi::io::error::HostError;
use wasmtime_wasi_io::bindings::wasi::io::streams::{HostInputStream, HostOutputStream};
use wasmtime_wasi_io::streams::{DynOutputStream, StreamError};

/// Whether calls may block the thread: first inline, then in the pool.
const POLICIES: [bool; 2] = [true, false];

async fn file(state: &mut State, path: &str, flags: DescriptorFlags) -> Resource<Descriptor> {
    let root = state.preopens().remove(0);
    let (path_flags, open) = (PathFlags::empty(), OpenFlags::CREATE);
    let open = if flags.contains(DescriptorFlags::WRITE) {
        open
    } else {
        OpenFlags::empty()
    };
    state
        .overlay()
        .open_at(root, path_flags, path.into(), open, flags)
        .await
        .unwrap()
}

/// A stream that writes `out` from its beginning on.
async fn writer(temp: &TempDir, allow_blocking: bool) -> (State, Resource<DynOutputStream>) {
    let mut state = live(temp, FsPerms::ReadWrite, allow_blocking);
    let out = file(&mut state, "out", DescriptorFlags::WRITE).await;
    let stream = state.overlay().write_via_stream(out, 0).unwrap();
    (state, stream)
}

fn content(temp: &TempDir) -> Vec<u8> {
    std::fs::read(temp.path().join("out")).unwrap()
}

#[tokio::test]
async fn input_stream_reads_to_the_end_and_then_is_closed() {
    for policy in POLICIES {
        let temp = host_dir();
        let data: Vec<u8> = (0..200_000u32).map(|n| n as u8).collect();
        std::fs::write(temp.path().join("big"), &data).unwrap();
        let mut state = live(&temp, FsPerms::ReadOnly, policy);
        let big = file(&mut state, "big", DescriptorFlags::READ).await;
        let stream = state.overlay().read_via_stream(big, 1).unwrap();

        let mut seen = Vec::new();
        let closed = loop {
            match state.table.blocking_read(borrow(&stream), u64::MAX).await {
                Ok(bytes) => {
                    assert!(!bytes.is_empty() && bytes.len() <= 64 * 1024);
                    seen.extend(bytes);
                }
                Err(error) => break error,
            }
        };
        assert!(matches!(closed, StreamError::Closed));
        assert_eq!(seen, data[1..]);
    }
}

#[tokio::test]
async fn guest_that_polls_before_it_reads_gets_its_bytes() {
    for policy in POLICIES {
        let temp = host_dir();
        let mut state = live(&temp, FsPerms::ReadOnly, policy);
        let hello = file(&mut state, "file", DescriptorFlags::READ).await;
        let stream = state.overlay().read_via_stream(hello, 0).unwrap();
        state.table.get_mut(&stream).unwrap().ready().await;
        // Without blocking: the bytes are ready, and are returned in pieces of the requested size.
        let mut read = |n| HostInputStream::read(&mut state.table, borrow(&stream), n).unwrap();
        assert_eq!(read(0), b"");
        assert_eq!(read(2), b"he");
        assert_eq!(read(9), b"llo");
    }
}

#[tokio::test]
async fn empty_read_does_not_end_the_stream() {
    // In wasmtime-wasi 48, `blocking-read(0)` closes a file's stream, because it takes a read of no bytes
    // for the end. Here a guest can continue after an empty read.
    for policy in POLICIES {
        let temp = host_dir();
        let mut state = live(&temp, FsPerms::ReadOnly, policy);
        let hello = file(&mut state, "file", DescriptorFlags::READ).await;
        let stream = state.overlay().read_via_stream(hello, 0).unwrap();
        let table = &mut state.table;
        assert_eq!(table.blocking_read(borrow(&stream), 0).await.unwrap(), b"");
        assert_eq!(
            table.blocking_read(borrow(&stream), 9).await.unwrap(),
            b"hello"
        );
    }
}

#[tokio::test]
async fn read_at_an_offset_past_the_limit_ends_or_fails() {
    for policy in POLICIES {
        let temp = host_dir();
        let mut state = live(&temp, FsPerms::ReadOnly, policy);
        let hello = file(&mut state, "file", DescriptorFlags::READ).await;
        let stream = state.overlay().read_via_stream(hello, u64::MAX).unwrap();
        let result = state.table.blocking_read(borrow(&stream), u64::MAX).await;
        assert!(!matches!(result, Ok(_) | Err(StreamError::Trap(_))));
        let result = state.table.blocking_read(stream, 1).await;
        assert!(matches!(result, Err(StreamError::Closed)));
    }
}

#[tokio::test]
async fn flushed_bytes_are_in_the_file() {
    for policy in POLICIES {
        let temp = host_dir();
        let (mut state, stream) = writer(&temp, policy).await;
        let table = &mut state.table;
        for piece in [&b"one "[..], b"two ", b"three"] {
            assert!(table.get_mut(&stream).unwrap().write_ready().await.unwrap() > 0);
            HostOutputStream::write(table, borrow(&stream), piece.into()).unwrap();
        }
        table.blocking_flush(borrow(&stream)).await.unwrap();
        assert_eq!(content(&temp), b"one two three");

        let zeroes = table.blocking_write_zeroes_and_flush(borrow(&stream), 2);
        zeroes.await.unwrap();
        let more = table.blocking_write_and_flush(borrow(&stream), b"!".into());
        more.await.unwrap();
        assert_eq!(content(&temp), b"one two three\0\0!");
    }
}

#[tokio::test]
async fn append_stream_writes_at_the_current_end() {
    for policy in POLICIES {
        let temp = host_dir();
        let mut state = live(&temp, FsPerms::ReadWrite, policy);
        let out = file(&mut state, "out", DescriptorFlags::WRITE).await;
        let first = state.overlay().append_via_stream(borrow(&out)).unwrap();
        let second = state.overlay().append_via_stream(out).unwrap();
        for (stream, byte) in [(&first, b'a'), (&second, b'b'), (&first, b'c')] {
            let table = &mut state.table;
            let write = table.blocking_write_and_flush(borrow(stream), vec![byte]);
            write.await.unwrap();
        }
        assert_eq!(content(&temp), b"abc");
    }
}

#[tokio::test]
async fn failed_write_is_reported_once_with_its_code_and_closes_the_stream() {
    for policy in POLICIES {
        let temp = host_dir();
        let mut state = live(&temp, FsPerms::ReadWrite, policy);
        let hello = file(&mut state, "file", DescriptorFlags::READ).await;
        let stream = state.overlay().write_via_stream(hello, 0).unwrap();

        // The write itself or the next call returns the error.
        let table = &mut state.table;
        let mut result = HostOutputStream::write(table, borrow(&stream), b"x".into());
        if result.is_ok() {
            table.get_mut(&stream).unwrap().ready().await;
            result = HostOutputStream::flush(table, borrow(&stream));
        }
        let Err(StreamError::LastOperationFailed(error)) = result else {
            panic!("the error was lost: {result:?}");
        };
        let error = table.push(error).unwrap();
        let code = Host::filesystem_error_code(&mut state.overlay(), borrow(&error)).unwrap();
        assert_eq!(code, Some(ErrorCode::BadDescriptor));
        let words = HostError::to_debug_string(&mut state.table, error).unwrap();
        assert!(words.starts_with("bad descriptor"), "{words}");

        let table = &mut state.table;
        let again = HostOutputStream::check_write(table, borrow(&stream));
        assert!(matches!(again, Err(StreamError::Closed)));
        let again = HostOutputStream::write(table, borrow(&stream), b"x".into());
        assert!(matches!(again, Err(StreamError::Closed)));
    }
}

#[tokio::test]
async fn error_of_another_stream_has_the_code_of_its_system_error() {
    let temp = host_dir();
    let mut state = live(&temp, FsPerms::ReadOnly, true);
    let mut code = |error: wasmtime::Error| {
        let error = state.table.push(error).unwrap();
        Host::filesystem_error_code(&mut state.overlay(), error).unwrap()
    };
    let full = std::io::Error::from_raw_os_error(28);
    assert_eq!(code(full.into()), Some(ErrorCode::InsufficientSpace));
    assert_eq!(code(wasmtime::format_err!("something else")), None);
}

#[tokio::test]
async fn write_past_the_permit_traps() {
    for policy in POLICIES {
        let temp = host_dir();
        let (mut state, stream) = writer(&temp, policy).await;
        let table = &mut state.table;
        let permit = HostOutputStream::check_write(table, borrow(&stream)).unwrap();
        let bytes = vec![0; permit as usize + 1];
        let result = HostOutputStream::write(table, borrow(&stream), bytes);
        assert!(matches!(result, Err(StreamError::Trap(_))));
        let result = HostOutputStream::write_zeroes(table, stream, u64::MAX);
        assert!(matches!(result, Err(StreamError::Trap(_))));
        assert_eq!(content(&temp), b"");
    }
}

#[tokio::test]
async fn accepted_write_is_made_even_if_the_stream_is_dropped() {
    for policy in POLICIES {
        let temp = host_dir();
        let (mut state, stream) = writer(&temp, policy).await;
        HostOutputStream::write(&mut state.table, borrow(&stream), b"kept".into()).unwrap();
        HostOutputStream::drop(&mut state.table, stream)
            .await
            .unwrap();
        assert_eq!(content(&temp), b"kept");

        // Also if the whole store is dropped.
        let (mut state, stream) = writer(&temp, policy).await;
        HostOutputStream::write(&mut state.table, stream, b"also".into()).unwrap();
        drop(state);
        tokio::time::timeout(Duration::from_secs(10), async {
            while content(&temp) != b"also" {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn splice_copies_one_file_into_another() {
    for policy in POLICIES {
        let temp = host_dir();
        let (mut state, to) = writer(&temp, policy).await;
        let hello = file(&mut state, "file", DescriptorFlags::READ).await;
        let from = state.overlay().read_via_stream(hello, 1).unwrap();
        let table = &mut state.table;
        let moved = table.blocking_splice(borrow(&to), borrow(&from), u64::MAX);
        assert_eq!(moved.await.unwrap(), 4);
        assert_eq!(content(&temp), b"ello");
        let moved = table.blocking_splice(to, from, 1).await;
        assert!(matches!(moved, Err(StreamError::Closed)));
    }
}

#[tokio::test]
async fn stream_on_a_lower_file_continues_in_its_copy() {
    for policy in POLICIES {
        let temp = host_dir();
        let mut state = mounted(&overlay_on(&temp), FsPerms::ReadWrite, policy);
        let lower = file(&mut state, "file", DescriptorFlags::READ).await;
        let stream = state.overlay().read_via_stream(lower, 0).unwrap();
        let start = state.table.blocking_read(borrow(&stream), 2).await.unwrap();
        assert_eq!(start, b"he");

        let upper = file(&mut state, "file", DescriptorFlags::WRITE).await;
        let written = state.overlay().write(upper, b"LLO!".into(), 2).await;
        assert_eq!(written.unwrap(), 4);
        let rest = state.table.blocking_read(stream, 99).await.unwrap();
        assert_eq!(rest, b"LLO!");
        let below = std::fs::read(temp.path().join("file")).unwrap();
        assert_eq!(below, b"hello", "the layer below was changed");
    }
}

#[tokio::test]
async fn stream_into_a_full_upper_reports_insufficient_space() {
    for policy in POLICIES {
        let overlay = Overlay::builder().upper_memory(100_000).build().unwrap();
        let mut state = mounted(&overlay, FsPerms::ReadWrite, policy);
        let out = file(&mut state, "out", DescriptorFlags::WRITE).await;
        let stream = state.overlay().write_via_stream(out, 0).unwrap();
        let table = &mut state.table;
        let mut written = 0;
        let error = loop {
            match table
                .blocking_write_and_flush(borrow(&stream), vec![1; 4096])
                .await
            {
                Ok(()) => written += 4096,
                Err(StreamError::LastOperationFailed(error)) => break error,
                Err(error) => panic!("{error}"),
            }
            assert!(written <= 100_000, "more was taken than fits");
        };
        let error = table.push(error).unwrap();
        let code = Host::filesystem_error_code(&mut state.overlay(), error).unwrap();
        assert!(matches!(
            code,
            Some(ErrorCode::InsufficientSpace | ErrorCode::Quota)
        ));
    }
}
