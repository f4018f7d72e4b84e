//! Threads in a directory that another thread moves by a copy, since the upper cannot rename it. For them it is
//! a rename like any other.
#![cfg(all(feature = "conformance", feature = "dir"))]

use std::sync::atomic::{AtomicBool, Ordering};
use tempfile::TempDir;
use wasi_overlay_core::plain::HostDir;
use wasi_overlay_core::plain::faulty::{Faults, Faulty};
use wasi_overlay_core::whiteouts::Marked;
use wasi_overlay_core::{
    Dir, File, Kind, Limits, OpenHow, Opened, Overlay, SetTime, SetTimes, Timestamp,
};

const MOVES: usize = 300;
const OLD: i64 = 1_000_000_000;

fn how(create: bool) -> OpenHow {
    OpenHow {
        follow: true,
        create,
        exclusive: create,
        read: true,
        write: true,
        ..OpenHow::default()
    }
}

fn file(dir: &Dir, path: &str, create: bool) -> File {
    match dir.open_at(path, how(create)).unwrap() {
        Opened::File(file) => file,
        Opened::Dir(_) => panic!("{path} is a directory"),
    }
}

fn dir(top: &Dir, path: &str) -> Dir {
    let how = OpenHow {
        directory: true,
        ..OpenHow::default()
    };
    if path.is_empty() {
        return top.clone();
    }
    match top.open_at(path, how).unwrap() {
        Opened::Dir(dir) => dir,
        Opened::File(_) => panic!("{path} is a file"),
    }
}

/// Ends the other threads, however the scope is left.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn overlay(temp: &TempDir, limits: Limits, faults: &Faults) -> Overlay {
    let upper = cap_std::fs::Dir::open_ambient_dir(temp.path(), cap_std::ambient_authority());
    let plain = Faulty::new(HostDir::new(upper.unwrap(), "upper"), faults);
    Overlay::builder()
        .upper("upper", Marked::upper(plain.with_all_dirs_fixed()))
        .volatile(true)
        .limits(limits)
        .build()
        .unwrap()
}

fn with(limits: Limits) {
    let temp = TempDir::new().unwrap();
    let overlay = overlay(&temp, limits, &Faults::default());
    let root = overlay.root();
    for path in ["a", "a/s", "a/s/deep", "a/t", "other"] {
        root.create_directory_at(path).unwrap();
    }
    file(&root, "a/s/deep/f", true).append(b"x").unwrap();
    file(&root, "a/s/deep/g", true);
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
    let done = AtomicBool::new(false);
    let until_done = |act: &(dyn Fn(usize) + Sync)| {
        let _ends = Ends(&done);
        let mut count = 0;
        while !done.load(Ordering::Relaxed) {
            act(count);
            count += 1;
        }
        count
    };
    let (looks, names, writes, stats) = std::thread::scope(|scope| {
        let ends = Ends(&done);
        let looks = scope.spawn(|| {
            let identity = deep.identity_at("f", true).unwrap();
            until_done(&|_| {
                assert_eq!(deep.identity_at("f", true).unwrap(), identity);
                deep.stat_at("g", true).unwrap();
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
            let open = file(&deep, "f", false);
            until_done(&|count| {
                open.append(b"x").unwrap();
                let anew = file(&deep, "f", false);
                assert_eq!(anew.stat().unwrap().size, count as u64 + 2);
            })
        });
        let stats = scope.spawn(|| {
            let identity = deep.identity().unwrap();
            until_done(&|_| {
                assert_eq!(deep.stat().unwrap().kind, Kind::Dir);
                assert_eq!(deep.identity().unwrap(), identity);
                side.stat().unwrap();
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
            // It had a second name, which is forgotten.
            let stat = root.stat_at(&format!("{to}/s/deep/g"), true).unwrap();
            assert_eq!(stat.links, 1);
        }
        drop(ends);
        [looks, names, writes, stats]
            .map(|thread| thread.join().unwrap())
            .into()
    });
    println!("{looks} looks, {names} names, {writes} writes, {stats} stats");
    drop((deep, side, root));
    overlay.close().unwrap();
}

#[test]
fn calls_work_while_their_directory_moves_by_copy() {
    with(Limits::default());
}

#[test]
fn calls_work_while_their_directory_moves_by_copy_with_small_caches() {
    let mut limits = Limits::default();
    (limits.kept_nodes, limits.table_entries) = (6, 2);
    (limits.kept_handles, limits.kept_listings) = (1, 1);
    with(limits);
}

fn names(root: &Dir, path: &str) -> Vec<String> {
    let listing = dir(root, path).list().unwrap();
    listing.iter().map(|entry| entry.name.to_string()).collect()
}

/// On a full disk a move fails, and so does putting back what it had removed. That is done before the
/// next change: later, it would bring back what a guest removed meanwhile.
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
            file(&root, path, true);
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
            assert_eq!(names(root, ""), ["a"], "after {failed} changes");
            assert_eq!(names(root, "a"), ["g", "s"], "after {failed} changes");
            assert_eq!(names(root, "a/s"), ["h"], "after {failed} changes");
        };
        check(&root);
        drop(root);
        mount.close().unwrap();
        check(&overlay(&temp, Limits::default(), &Faults::default()).root());
        failed += 1;
    }
    assert!(failed > 15, "{failed} changes");
}

/// What was left of the directory was removed after the mount was cut in the middle of a move, by who
/// worked on the upper itself: there is nothing to put back, and the upper can be mounted.
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
        file(&root, "top/a/f", true);
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
