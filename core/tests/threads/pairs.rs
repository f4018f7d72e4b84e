//! Two concurrent activities: a change of a name while another thread looks it up, and two overlays on one stack.

use super::{CREATE, READ, WRITE, capability, file, lower, names, on_both};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use tempfile::TempDir;
use wasi_overlay_core::{Errno, Limits, LowerStack, Overlay};

/// A rename failed with `no-entry` if its target was removed after its lookup, although the source existed.
#[test]
fn rename_succeeds_while_its_target_is_removed() {
    on_both(1, |root| {
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    match root.unlink_file_at("d/y") {
                        Ok(()) => {}
                        Err(error) => assert_eq!(error.errno(), Errno::NoEntry),
                    }
                }
            });
            for _ in 0..1000 {
                root.open_at("x", CREATE).unwrap();
                let renamed = root.rename_at("x", root, "d/y");
                if renamed.is_err() {
                    done.store(true, Ordering::Relaxed);
                }
                renamed.unwrap();
            }
            done.store(true, Ordering::Relaxed);
        });
    });
}

/// An open before the removal gets the complete file, and a later one `no-entry`.
#[test]
fn removed_file_is_seen_complete_or_missing() {
    on_both(64, |root| {
        for index in 0..64 {
            let (path, start) = (format!("d/{index}"), Barrier::new(3));
            let whole = format!("lower {index}");
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    start.wait();
                    root.unlink_file_at(&path).unwrap();
                });
                for how in [READ, WRITE] {
                    let (path, start, whole) = (&path, &start, &whole);
                    scope.spawn(move || {
                        start.wait();
                        let opened = match root.open_at(path, how) {
                            Ok(opened) => opened,
                            Err(error) => return assert_eq!(error.errno(), Errno::NoEntry),
                        };
                        let file = opened.file().unwrap();
                        let mut data = [0; 32];
                        let read = file.read_at(&mut data, 0).unwrap();
                        // The other thread may have written already.
                        let data = std::str::from_utf8(&data[..read]).unwrap();
                        assert_eq!(data.trim_end_matches('!'), whole.as_str());
                        if how.write {
                            file.append(b"!").unwrap();
                            assert_eq!(file.stat().unwrap().size, whole.len() as u64 + 1);
                        }
                    });
                }
            });
            let there = root.stat_at(&path, false).map(drop);
            assert_eq!(there.unwrap_err().errno(), Errno::NoEntry, "it is back");
        }
    });
}

/// A listing shows every name that was created before it began, and none that was removed before.
///
/// Each turn creates and removes a name, creates one that stays, and then counts itself. A name created and removed
/// during a listing may be in it.
#[test]
fn listing_shows_every_completed_change() {
    on_both(4, |root| {
        let (turns, done) = (AtomicUsize::new(0), AtomicBool::new(false));
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !done.load(Ordering::Acquire) {
                        let before = turns.load(Ordering::Acquire);
                        let seen = names(root, "d");
                        let after = turns.load(Ordering::Acquire);
                        for index in 0..4 {
                            assert!(seen.contains(&index.to_string()));
                        }
                        for index in 0..before {
                            assert!(seen.contains(&format!("new{index}")), "{index} is missing");
                            assert!(!seen.contains(&format!("gone{index}")), "{index} is back");
                        }
                        // Two names of the current turn, and the removed names of turns during the listing.
                        let most = 4 + after + 2 + (after - before);
                        assert!(seen.len() <= most, "{seen:?} after {after}");
                    }
                });
            }
            for index in 0..200 {
                let gone = format!("d/gone{index}");
                root.open_at(&gone, CREATE).unwrap();
                root.unlink_file_at(&gone).unwrap();
                root.open_at(&format!("d/new{index}"), CREATE).unwrap();
                turns.fetch_add(1, Ordering::Release);
            }
            done.store(true, Ordering::Release);
        });
    });
}

/// Each read shows one state of the file.
#[test]
fn open_file_is_readable_during_copy_up_and_renames() {
    on_both(16, |root| {
        for index in 0..16 {
            let path = format!("d/{index}");
            let held = file(root, &path, READ);
            let old = format!("lower {index}");
            let new = format!("LOWER {index}");
            let start = Barrier::new(3);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    start.wait();
                    // It may be under its other name.
                    let opened = std::iter::repeat_with(|| root.open_at(&path, WRITE));
                    let opened = opened.flatten().next().unwrap();
                    let written = opened.file().unwrap().write_at(b"LOWER", 0);
                    assert_eq!(written.unwrap(), 5);
                });
                scope.spawn(|| {
                    start.wait();
                    root.rename_at(&path, root, &format!("moved{index}"))
                        .unwrap();
                    root.rename_at(&format!("moved{index}"), root, &path)
                        .unwrap();
                });
                start.wait();
                let mut was_new = false;
                for _ in 0..100 {
                    let mut data = [0; 32];
                    let read = held.read_at(&mut data, 0).unwrap();
                    let data = &data[..read];
                    let is_new = data == new.as_bytes();
                    assert!(is_new || (data == old.as_bytes() && !was_new), "{data:?}");
                    was_new = is_new;
                    assert_eq!(held.stat().unwrap().size, old.len() as u64);
                }
            });
        }
    });
}

#[test]
fn overlays_on_one_stack_change_independently() {
    let limits = Limits::default();
    let stack = LowerStack::new([lower(32)], &limits).unwrap();
    let temp = TempDir::new().unwrap();
    std::thread::scope(|scope| {
        for number in 0..4 {
            let (stack, temp) = (Arc::clone(&stack), &temp);
            scope.spawn(move || {
                let builder = Overlay::builder().stack(stack).volatile(true);
                let overlay = if number % 2 == 0 {
                    builder.upper_memory(1 << 20)
                } else {
                    let upper = temp.path().join(number.to_string());
                    std::fs::create_dir(&upper).unwrap();
                    builder.upper_dir("upper", capability(&upper))
                };
                let root = overlay.build().unwrap().root();
                for index in 0..32 {
                    let path = format!("d/{index}");
                    match (index + number) % 4 {
                        0 => root.unlink_file_at(&path).unwrap(),
                        1 => root.rename_at(&path, &root, &format!("{index}")).unwrap(),
                        2 => drop(file(&root, &path, WRITE).append(&[b'0' + number]).unwrap()),
                        _ => root.link_at(&path, &root, &format!("d/l{index}")).unwrap(),
                    }
                }
                for index in 0..32 {
                    let size = |path: &str| root.stat_at(path, true).map(|stat| stat.size).ok();
                    let lower = format!("lower {index}").len() as u64;
                    let here = size(&format!("d/{index}"));
                    let expected = match (index + number) % 4 {
                        0 => (None, None, None),
                        1 => (None, Some(lower), None),
                        2 => (Some(lower + 1), None, None),
                        _ => (Some(lower), None, Some(lower)),
                    };
                    let moved = size(&format!("{index}"));
                    let linked = size(&format!("d/l{index}"));
                    assert_eq!((here, moved, linked), expected, "{number}: {index}");
                }
                assert_eq!(names(&root, "d").len(), 24);
            });
        }
    });
}
