//! Threads that share an overlay, and overlays that share a stack: no change is lost, no name is seen twice, and no
//! thread waits forever.

#![cfg(feature = "dir")]

mod pairs;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use tempfile::TempDir;
use wasi_overlay_core::layer::MemoryLayer;
use wasi_overlay_core::{
    Dir, Errno, Limits, Lower, LowerStack, Opened, Overlay, SetTime, SetTimes,
};
use wasi_overlay_proof::kit::{self, CREATE, READ, WRITE, capability, file, how};

fn lower(files: usize) -> Lower {
    let mut lower = MemoryLayer::build().dir("d");
    for index in 0..files {
        lower = lower.file(format!("d/{index}"), format!("lower {index}"));
    }
    Lower::new("lower", lower.finish().unwrap())
}

/// Runs the test on a memory upper, on a directory upper, and on a directory upper with small caches.
fn on_both(files: usize, test: impl Fn(&Dir)) {
    let memory = Overlay::builder()
        .lower(lower(files))
        .upper_memory(1 << 24)
        .build()
        .unwrap();
    test(&memory.root());
    let mut small = Limits::default();
    (small.kept_nodes, small.table_entries) = (6, 4);
    (small.kept_handles, small.kept_listings) = (2, 1);
    small.recent_dirs = 1;
    for limits in [Limits::default(), small] {
        let temp = TempDir::new().unwrap();
        let upper = Overlay::builder()
            .lower(lower(files))
            .upper_dir("upper", capability(temp.path()))
            .volatile(true)
            .limits(limits)
            .build()
            .unwrap();
        test(&upper.root());
    }
}

fn names(dir: &Dir, path: &str) -> BTreeSet<String> {
    let listed = kit::names(&kit::dir(dir, path));
    let names: BTreeSet<_> = listed.iter().cloned().collect();
    assert_eq!(names.len(), listed.len(), "a name is listed twice");
    names
}

#[test]
fn concurrent_opens_for_writing_copy_up_once() {
    on_both(8, |root| {
        for index in 0..8 {
            let path = format!("d/{index}");
            let start = Barrier::new(4);
            std::thread::scope(|scope| {
                for thread in 0..4u8 {
                    let (path, start) = (&path, &start);
                    scope.spawn(move || {
                        let before = root.identity_at(path, true).unwrap();
                        start.wait();
                        let file = file(root, path, WRITE);
                        file.write_at(&[b'0' + thread], 100 + u64::from(thread))
                            .unwrap();
                        assert_eq!(file.identity().unwrap(), before);
                    });
                }
            });
            let mut data = [0; 104];
            assert_eq!(file(root, &path, READ).read_at(&mut data, 0).unwrap(), 104);
            assert_eq!(&data[100..], b"0123", "a write went to another copy");
            assert!(data.starts_with(b"lower "));
        }
    });
}

#[test]
fn reader_never_sees_a_partial_or_missing_copy() {
    on_both(64, |root| {
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        for index in 0..64 {
                            let mut data = [0; 32];
                            let file = file(root, &format!("d/{index}"), READ);
                            let read = file.read_at(&mut data, 0).unwrap();
                            assert_eq!(&data[..read], format!("lower {index}").as_bytes());
                        }
                        assert_eq!(names(root, "d").len(), 64);
                    }
                });
            }
            for index in 0..64 {
                file(root, &format!("d/{index}"), WRITE)
                    .write_at(b"l", 0)
                    .unwrap();
            }
            done.store(true, Ordering::Relaxed);
        });
    });
}

#[test]
fn renamed_file_is_always_under_one_of_its_names() {
    on_both(1, |root| {
        root.create_directory_at("e").unwrap();
        let done = AtomicBool::new(false);
        let held = file(root, "d/0", READ);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let mut data = [0; 7];
                    assert_eq!(held.read_at(&mut data, 0).unwrap(), 7);
                    // One lookup may be too early and the other too late.
                    for path in ["d/0", "e/0"] {
                        match root.stat_at(path, true) {
                            Ok(stat) => assert_eq!(stat.size, 7),
                            Err(error) => assert_eq!(error.errno(), Errno::NoEntry),
                        }
                    }
                }
            });
            for _ in 0..200 {
                root.rename_at("d/0", root, "e/0").unwrap();
                root.rename_at("e/0", root, "d/0").unwrap();
            }
            done.store(true, Ordering::Relaxed);
        });
        assert_eq!(names(root, "d").len() + names(root, "e").len(), 1);
    });
}

/// Two threads move two directories into each other. Only one call may succeed.
#[test]
fn crossing_directory_renames_form_no_cycle() {
    on_both(1, |root| {
        for _ in 0..50 {
            root.create_directory_at("x").unwrap();
            root.create_directory_at("y").unwrap();
            let start = Barrier::new(2);
            let cross = |from: &str, to: &str| {
                start.wait();
                root.rename_at(from, root, to).is_ok()
            };
            let (one, two) = std::thread::scope(|scope| {
                let one = scope.spawn(|| cross("x", "y/x"));
                let two = scope.spawn(|| cross("y", "x/y"));
                (one.join().unwrap(), two.join().unwrap())
            });
            assert!(one ^ two, "{one} {two}");
            let (top, inner) = if one { ("y", "y/x") } else { ("x", "x/y") };
            root.remove_directory_at(inner).unwrap();
            root.remove_directory_at(top).unwrap();
        }
    });
}

#[test]
fn concurrent_creation_and_removal_succeed_once_each() {
    on_both(1, |root| {
        for _ in 0..50 {
            let won = |call: &(dyn Fn() -> bool + Sync)| {
                let start = Barrier::new(4);
                std::thread::scope(|scope| {
                    let threads: Vec<_> = (0..4)
                        .map(|_| {
                            scope.spawn(|| {
                                start.wait();
                                call()
                            })
                        })
                        .collect();
                    threads
                        .into_iter()
                        .filter_map(|t| t.join().unwrap().then_some(()))
                        .count()
                })
            };
            assert_eq!(won(&|| root.open_at("new", how("rwcx")).is_ok()), 1);
            assert_eq!(won(&|| root.unlink_file_at("new").is_ok()), 1);
            assert_eq!(won(&|| root.create_directory_at("new").is_ok()), 1);
            assert_eq!(won(&|| root.remove_directory_at("new").is_ok()), 1);
        }
    });
}

/// All kinds of calls at once in few directories, so that locks conflict. A new mount checks the result.
#[test]
fn random_calls_do_not_deadlock_and_the_next_mount_shows_their_tree() {
    let temp = TempDir::new().unwrap();
    let mount = || {
        Overlay::builder()
            .lower(lower(16))
            .upper_dir("upper", capability(temp.path()))
            .volatile(true)
            .build()
            .unwrap()
    };
    let overlay = mount();
    let root = overlay.root();
    std::thread::scope(|scope| {
        for thread in 0..6u64 {
            let root = &root;
            scope.spawn(move || {
                let mut random = thread * 0x9e37_79b9 + 1;
                let mut next = |below: u64| {
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    (random >> 33) % below
                };
                let path = |number: u64| match number {
                    0..=15 => format!("d/{number}"),
                    16..=19 => format!("{number}"),
                    _ => format!("16/{number}"),
                };
                for _ in 0..800 {
                    let (one, two) = (path(next(24)), path(next(24)));
                    // Calls may fail because of other threads, but must not hang.
                    match next(8) {
                        0 => drop(root.open_at(&one, CREATE)),
                        1 => drop(root.unlink_file_at(&one)),
                        2 => drop(root.create_directory_at(&one)),
                        3 => drop(root.remove_directory_at(&one)),
                        4 => drop(root.link_at(&one, root, &two)),
                        5 => drop(root.stat_at(&one, true)),
                        6 => drop(root.open_at("d", READ).map(|_| names(root, "d"))),
                        _ => drop(root.rename_at(&one, root, &two)),
                    }
                }
            });
        }
    });
    let tree = |root: &Dir| -> Vec<String> {
        let mut found = Vec::new();
        let mut dirs = vec![String::from(".")];
        while let Some(dir) = dirs.pop() {
            for name in names(root, &dir) {
                let path = format!("{dir}/{name}");
                let stat = root.stat_at(&path, false).unwrap();
                found.push(format!("{path} {:?} {}", stat.kind, stat.size));
                if stat.kind == wasi_overlay_core::Kind::Dir {
                    dirs.push(path);
                }
            }
        }
        found.sort();
        found
    };
    let before = tree(&root);
    overlay.close().unwrap();
    drop((root, overlay));
    assert_eq!(tree(&mount().root()), before);
}

#[test]
fn overlays_fill_a_shared_stack_concurrently() {
    let limits = Limits::default();
    let stack = LowerStack::new([lower(500)], &limits).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let stack = Arc::clone(&stack);
            scope.spawn(move || {
                let overlay = Overlay::builder()
                    .stack(stack)
                    .upper_memory(1 << 20)
                    .build();
                let root = overlay.unwrap().root();
                for index in 0..500 {
                    let path = format!("d/{index}");
                    assert_eq!(root.stat_at(&path, true).unwrap().size, 6 + digits(index));
                    assert!(root.stat_at(&format!("d/none{index}"), true).is_err());
                }
                root.unlink_file_at("d/7").unwrap();
                assert_eq!(names(&root, "d").len(), 499);
            });
        }
    });
}

fn digits(number: u64) -> u64 {
    number.to_string().len() as u64
}

/// A call that looked up the old file and used the new one failed with `no-entry`, or showed the identity of one with
/// the data of the other.
#[test]
fn replaced_file_is_never_missing() {
    on_both(1, |root| {
        let done = AtomicBool::new(false);
        let times = SetTimes {
            accessed: SetTime::Now,
            ..SetTimes::default()
        };
        let until_done = |call: &dyn Fn()| {
            while !done.load(Ordering::Relaxed) {
                call();
            }
        };
        let until_done = &until_done;
        std::thread::scope(|scope| {
            scope.spawn(move || {
                until_done(&|| {
                    root.stat_at("d/0", true).unwrap();
                    root.set_times_at("d/0", true, times).unwrap();
                });
            });
            scope.spawn(move || {
                until_done(&|| {
                    let file = file(root, "d/0", READ);
                    let mut data = [0; 8];
                    let read = file.read_at(&mut data, 0).unwrap();
                    // The size identifies the file, so cached data of the other would be noticed.
                    assert_eq!(file.stat().unwrap().size, read as u64);
                    root.open_at("d/0", WRITE).unwrap();
                });
            });
            scope.spawn(move || {
                until_done(&|| {
                    root.link_at("d/0", root, "link").unwrap();
                    root.unlink_file_at("link").unwrap();
                });
            });
            for round in 0..400 {
                let next = file(root, "next", CREATE);
                next.append(&[b'x'; 8][..1 + round % 8]).unwrap();
                root.rename_at("next", root, "d/0").unwrap();
            }
            done.store(true, Ordering::Relaxed);
        });
    });
}

/// A moving directory is detached from its lowers once all entries are copied up. A walk that saw neither the copy nor
/// the lower failed with `no-entry`.
#[test]
fn entries_of_a_moving_directory_are_never_missing() {
    on_both(8, |root| {
        let Opened::Dir(held) = root.open_at("d", READ).unwrap() else {
            panic!("d is a file");
        };
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for thread in 0..3 {
                let (held, done) = (&held, &done);
                scope.spawn(move || {
                    while !done.load(Ordering::Relaxed) {
                        for index in 0..8 {
                            let path = index.to_string();
                            match thread {
                                0 => drop(held.stat_at(&path, true).unwrap()),
                                1 => drop(file(held, &path, READ)),
                                _ => assert_eq!(names(held, ".").len(), 8),
                            }
                        }
                    }
                });
            }
            for _ in 0..100 {
                root.rename_at("d", root, "e").unwrap();
                root.rename_at("e", root, "d").unwrap();
            }
            done.store(true, Ordering::Relaxed);
        });
    });
}
