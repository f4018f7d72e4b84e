//! Calls in a directory while another thread moves it by copy, because the upper cannot rename directories.
#![cfg(all(feature = "conformance", feature = "dir"))]

use std::sync::atomic::{AtomicBool, Ordering};
use tempfile::TempDir;
use wasi_overlay_core::plain::HostDir;
use wasi_overlay_core::plain::faulty::{Faults, Faulty};
use wasi_overlay_core::whiteouts::Marked;
use wasi_overlay_core::{Dir, Kind, Limits, OpenHow, Overlay, SetTime, SetTimes, Timestamp};
use wasi_overlay_proof::kit::{WRITE, capability, dir, file, how, names};

const MOVES: usize = 300;
const NEW: OpenHow = how("rwcx");
const OLD: i64 = 1_000_000_000;

/// Stops the other threads when it is dropped, also by a panic.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn overlay(temp: &TempDir, limits: Limits, faults: &Faults) -> Overlay {
    let plain = Faulty::new(HostDir::new(capability(temp.path()), "upper"), faults);
    Overlay::builder()
        .upper("upper", Marked::upper(plain.with_all_dirs_fixed()))
        .volatile(true)
        .limits(limits)
        .build()
        .unwrap()
}

fn move_with(limits: Limits) {
    let temp = TempDir::new().unwrap();
    let overlay = overlay(&temp, limits, &Faults::default());
    let root = overlay.root();
    for path in ["a", "a/s", "a/s/deep", "a/t", "other"] {
        root.create_directory_at(path).unwrap();
    }
    file(&root, "a/s/deep/f", NEW).append(b"x").unwrap();
    file(&root, "a/s/deep/g", NEW);
    root.symlink_at("f", "a/s/deep/l").unwrap();
    let still = dir(&root, "a/s");
    let deep = dir(&root, "a/s/deep");
    let side = dir(&root, "a/t");
    let fixed = SetTime::To(Timestamp {
        seconds: OLD,
        nanoseconds: 0,
    });
    let times = SetTimes {
        accessed: SetTime::Keep,
        modified: fixed,
    };
    root.set_times_at("a/s", true, times).unwrap();
    let done = AtomicBool::new(false);
    let until_done = |act: &(dyn Fn(usize) + Sync)| {
        let _stop = Stop(&done);
        let mut count = 0;
        while !done.load(Ordering::Relaxed) {
            act(count);
            count += 1;
        }
        count
    };
    let (looks, names, writes, stats) = std::thread::scope(|scope| {
        let stop = Stop(&done);
        let looks = scope.spawn(|| {
            let identity = deep.identity_at("f", true).unwrap();
            until_done(&|_| {
                assert_eq!(deep.identity_at("f", true).unwrap(), identity);
                // During the move it has a second name.
                assert_eq!(deep.stat_at("g", true).unwrap().links, 1);
                assert_eq!(deep.readlink_at("l").unwrap(), "f");
                assert_eq!(deep.identity_at("l", true).unwrap(), identity);
                assert!(
                    deep.list()
                        .unwrap()
                        .iter()
                        .any(|entry| entry.name.to_string() == "f")
                );
            })
        });
        let names = scope.spawn(|| {
            until_done(&|count| {
                let name = format!("n{count}");
                deep.create_directory_at(&name).unwrap();
                deep.rename_at(&name, &side, "here").unwrap();
                side.remove_directory_at("here").unwrap();
            })
        });
        let writes = scope.spawn(|| {
            let open = file(&deep, "f", WRITE);
            until_done(&|count| {
                open.append(b"x").unwrap();
                let anew = file(&deep, "f", WRITE);
                assert_eq!(anew.stat().unwrap().size, count as u64 + 2);
            })
        });
        let stats = scope.spawn(|| {
            let identity = deep.identity().unwrap();
            let open = file(&deep, "g", how("r"));
            until_done(&|_| {
                assert_eq!(deep.stat().unwrap().kind, Kind::Dir);
                assert_eq!(deep.identity().unwrap(), identity);
                side.stat().unwrap();
                // The move empties it.
                assert_eq!(still.stat().unwrap().modified.seconds, OLD);
                assert_eq!(open.stat().unwrap().links, 1);
            })
        });
        for count in 0..MOVES {
            root.set_times_at(
                &format!("{}/s", ["a", "b", "other/c"][count % 3]),
                true,
                times,
            )
            .unwrap();
            let (from, to) = [("a", "b"), ("b", "other/c"), ("other/c", "a")][count % 3];
            root.rename_at(from, &root, to).unwrap();
            root.stat_at(from, true).unwrap_err();
            let stat = root.stat_at(&format!("{to}/s"), true).unwrap();
            assert_eq!(stat.modified.seconds, OLD);
            let stat = root.stat_at(&format!("{to}/s/deep/g"), true).unwrap();
            assert_eq!(stat.links, 1);
        }
        drop(stop);
        [looks, names, writes, stats]
            .map(|thread| thread.join().unwrap())
            .into()
    });
    println!("{looks} looks, {names} names, {writes} writes, {stats} stats");
    drop((deep, still, side, root));
    overlay.close().unwrap();
}

#[test]
fn calls_work_while_their_directory_moves_by_copy() {
    move_with(Limits::default());
}

#[test]
fn calls_work_while_their_directory_moves_by_copy_with_small_caches() {
    let mut limits = Limits::default();
    (limits.kept_nodes, limits.table_entries) = (6, 2);
    (limits.kept_handles, limits.kept_listings) = (1, 1);
    move_with(limits);
}

/// On a full disk a move fails, and so does restoring what it had removed. The restoration happens before
/// the next change; later, it would bring back names that a guest removed in between.
#[test]
fn failed_move_does_not_restore_names_removed_later() {
    let mut failed = 0;
    loop {
        let temp = TempDir::new().unwrap();
        let faults = Faults::default();
        let mount = overlay(&temp, Limits::default(), &faults);
        let root = mount.root();
        for path in ["a", "a/s", "a/t"] {
            root.create_directory_at(path).unwrap();
        }
        for path in ["a/f", "a/g", "a/s/h"] {
            file(&root, path, NEW);
        }
        faults.cut_after(failed);
        let moved = root.rename_at("a", &root, "b");
        faults.never();
        if moved.is_ok() {
            break;
        }
        root.unlink_file_at("a/f").unwrap();
        root.remove_directory_at("a/t").unwrap();
        let check = |root: &Dir| {
            assert_eq!(names(root), ["a"], "after {failed} changes");
            assert_eq!(names(&dir(root, "a")), ["g", "s"], "after {failed} changes");
            assert_eq!(names(&dir(root, "a/s")), ["h"], "after {failed} changes");
        };
        check(&root);
        drop(root);
        mount.close().unwrap();
        check(&overlay(&temp, Limits::default(), &Faults::default()).root());
        failed += 1;
    }
    assert!(failed > 15, "{failed} changes");
}

/// A mount was interrupted during a move, and another program removed the rest of the directory from the
/// upper. There is nothing to restore, and the upper can be mounted.
#[test]
fn upper_mounts_after_its_half_moved_directory_was_removed() {
    let mut failed = 0;
    let mut recorded = 0;
    loop {
        let temp = TempDir::new().unwrap();
        let faults = Faults::default();
        let mount = overlay(&temp, Limits::default(), &faults);
        let root = mount.root();
        root.create_directory_at("top").unwrap();
        root.create_directory_at("top/a").unwrap();
        file(&root, "top/a/f", NEW);
        faults.cut_after(failed);
        let moved = root.rename_at("top/a", &root, "b");
        drop((root, mount));
        let work = temp.path().join(".wh..wh.work");
        if moved.is_ok() {
            break;
        }
        recorded += usize::from(work.join("wasi-overlay-2-record").exists());
        std::fs::remove_dir_all(temp.path().join("top")).unwrap();
        let mount = overlay(&temp, Limits::default(), &Faults::default());
        mount.close().unwrap();
        assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 0);
        failed += 1;
    }
    assert!(recorded > 2, "{recorded} of {failed}");
}
