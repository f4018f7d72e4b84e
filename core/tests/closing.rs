//! Closing a mount while other threads still make calls on it, as a cancelled guest leaves them in a thread
//! pool.
//!
//! `Overlay::close` gave the upper back while a write or a copy-up was under way: it went on in a
//! directory that another mount had taken by then. And an overlay that was dropped while a call held
//! it kept its upper `busy` until that call ended. Every test of ours closed an overlay at rest.

#![cfg(feature = "dir")]

use std::fs;
use std::path::Path;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use wasi_overlay_core::{Dir, Errno, File, Lower, Overlay};
use wasi_overlay_proof::kit::{capability, fails, how, try_file};

const LARGE: usize = 32 << 20;

fn mount(upper: &Path) -> wasi_overlay_core::Result<Overlay> {
    Overlay::builder()
        .upper_dir("upper", capability(upper))
        .build()
}

fn open(dir: &Dir, path: &str) -> wasi_overlay_core::Result<File> {
    try_file(dir, path, how("wc"))
}

#[test]
fn close_waits_for_a_write_under_way() {
    for round in 1..10_u64 {
        let upper = TempDir::new().unwrap();
        let overlay = mount(upper.path()).unwrap();
        let file = open(&overlay.root(), "file").unwrap();
        let begun = Barrier::new(2);
        thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let data = vec![round as u8; LARGE];
                begun.wait();
                file.write_at(&data, 0)
            });
            begun.wait();
            thread::sleep(Duration::from_micros(round * 700));
            overlay.close().unwrap();
            let closed = fs::read(upper.path().join("file")).unwrap();
            let written = writer.join().unwrap();
            assert!(
                fs::read(upper.path().join("file")).unwrap() == closed,
                "a write went on after the close: {written:?}"
            );
            assert_eq!(written.is_ok(), !closed.is_empty());
        });
        fails(file.set_size(0), Errno::Io);
    }
}

#[test]
fn close_waits_for_a_copy_up_under_way() {
    let lower = TempDir::new().unwrap();
    fs::write(lower.path().join("file"), vec![7; LARGE]).unwrap();
    for round in 1..10_u64 {
        let upper = TempDir::new().unwrap();
        let overlay = Overlay::builder()
            .lower(Lower::dir("lower", capability(lower.path())).unwrap())
            .upper_dir("upper", capability(upper.path()))
            .build()
            .unwrap();
        let root = overlay.root();
        let begun = Barrier::new(2);
        thread::scope(|scope| {
            let opener = scope.spawn(|| {
                begun.wait();
                open(&root, "file").map(drop)
            });
            begun.wait();
            thread::sleep(Duration::from_micros(round * 700));
            overlay.close().unwrap();
            let is_copied = upper.path().join("file").exists();
            assert!(!upper.path().join(".wh..wh.work").exists());
            let opened = opener.join().unwrap();
            assert_eq!(upper.path().join("file").exists(), is_copied, "{opened:?}");
        });
    }
}

#[test]
fn second_close_returns_after_the_first() {
    let upper = TempDir::new().unwrap();
    let overlay = mount(upper.path()).unwrap();
    let file = open(&overlay.root(), "file").unwrap();
    thread::scope(|scope| {
        scope.spawn(|| file.write_at(&vec![1; LARGE], 0));
        let closing = || {
            overlay.close().unwrap();
            // The upper is free, whichever close released it.
            let taken = fs::File::open(upper.path()).unwrap();
            taken.try_lock_shared().unwrap();
        };
        scope.spawn(closing);
        scope.spawn(closing);
    });
}

#[test]
fn mounting_waits_for_a_dropped_overlay_that_a_call_holds() {
    let upper = TempDir::new().unwrap();
    let overlay = mount(upper.path()).unwrap();
    let root = overlay.root();
    drop(overlay);
    let call = thread::spawn(move || {
        thread::sleep(Duration::from_millis(100));
        drop(root);
    });
    mount(upper.path()).unwrap();
    call.join().unwrap();
}

#[test]
fn a_layer_waits_for_a_dropped_overlay_whose_upper_it_was() {
    let upper = TempDir::new().unwrap();
    let root = mount(upper.path()).unwrap().root();
    let call = thread::spawn(move || {
        thread::sleep(Duration::from_millis(100));
        drop(root);
    });
    let lower = Lower::dir("lower", capability(upper.path())).unwrap();
    Overlay::builder().lower(lower).build().unwrap();
    call.join().unwrap();
}

#[test]
fn mounting_does_not_wait_for_an_overlay_that_is_held() {
    let (upper, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let overlay = mount(upper.path()).unwrap();
    // Another upper that is about to be released is not a reason to wait for this one.
    let held = mount(other.path()).unwrap().root();
    let began = Instant::now();
    fails(mount(upper.path()), Errno::Busy);
    assert!(began.elapsed() < Duration::from_secs(1));
    drop((overlay, held));
    mount(upper.path()).unwrap();
    mount(other.path()).unwrap();
}
