//! The descriptors that mounts cache.

use crate::kit::{
    READ, WRITE, capability, lower, open_descriptors, scratch, try_file, writable, write_tree,
};
use wasi_overlay_core::{Dir, Errno, Live, Opened, Overlay, close_cached_descriptors};
use wasi_overlay_proof::kit::limited;

/// The usual limit on descriptors of a process.
const USUAL: u64 = 1024;
const DIRS: usize = 300;

/// Appends to a file in each directory, on one mount after the other.
fn appends_to_all(mounts: usize) {
    let temp = scratch();
    write_tree(&temp.path().join("lower"), DIRS);
    let overlays: Vec<Overlay> = (0..mounts)
        .map(|number| writable(temp.path(), number))
        .collect();
    for (number, overlay) in overlays.iter().enumerate() {
        let root = overlay.root();
        for index in 0..DIRS {
            let path = format!("{index}/f");
            let appended = try_file(&root, &path, WRITE).and_then(|file| file.append(b"x"));
            assert_eq!(appended.unwrap(), 1, "mount {number}, {path}");
        }
    }
    for overlay in overlays {
        overlay.close().unwrap();
    }
}

#[test]
fn two_mounts_with_uppers_share_the_descriptors() {
    limited(
        "cached::two_mounts_with_uppers_share_the_descriptors",
        USUAL,
        || appends_to_all(2),
    );
}

#[test]
fn three_mounts_with_uppers_share_the_descriptors() {
    limited(
        "cached::three_mounts_with_uppers_share_the_descriptors",
        USUAL,
        || appends_to_all(3),
    );
}

#[test]
fn five_read_only_mounts_share_the_descriptors() {
    limited(
        "cached::five_read_only_mounts_share_the_descriptors",
        USUAL,
        || {
            let temp = scratch();
            write_tree(&temp.path().join("lower"), DIRS);
            let mount = || Overlay::builder().lower(lower(&temp.path().join("lower")));
            let overlays: Vec<Overlay> = (0..5).map(|_| mount().build().unwrap()).collect();
            for (number, overlay) in overlays.iter().enumerate() {
                for index in 0..DIRS {
                    let read = try_file(&overlay.root(), &format!("{index}/f"), READ)
                        .and_then(|file| file.read_at(&mut [0; 8], 0));
                    assert_eq!(read.unwrap(), 8, "mount {number}, directory {index}");
                }
            }
        },
    );
}

#[test]
fn caches_leave_half_of_the_descriptors_free() {
    limited(
        "cached::caches_leave_half_of_the_descriptors_free",
        USUAL,
        || {
            let temp = scratch();
            write_tree(&temp.path().join("lower"), DIRS);
            let overlays: Vec<Overlay> =
                (0..6).map(|number| writable(temp.path(), number)).collect();
            close_cached_descriptors();
            let pinned = open_descriptors();
            for overlay in &overlays {
                for index in 0..DIRS {
                    let path = format!("{index}/f");
                    try_file(&overlay.root(), &path, WRITE)
                        .unwrap()
                        .append(b"x")
                        .unwrap();
                    // One descriptor is for counting them.
                    assert!(open_descriptors() <= pinned + USUAL as usize / 2 + 1);
                }
            }
            close_cached_descriptors();
            assert_eq!(open_descriptors(), pinned, "a descriptor is cached");
        },
    );
}

/// Opens files until one fails, and returns the handles.
fn open_all(root: &Dir) -> Vec<Opened> {
    let mut opened = Vec::new();
    loop {
        let path = format!("{}/f", opened.len() % DIRS);
        match root.open_at(&path, WRITE) {
            Ok(file) => opened.push(file),
            Err(error) => {
                assert_eq!(error.errno(), Errno::TooManyFiles, "{error}");
                return opened;
            }
        }
        assert!(opened.len() < 10_000, "there is no limit");
    }
}

#[test]
fn guest_that_hit_the_limit_and_closed_everything_can_open_again() {
    limited(
        "cached::guest_that_hit_the_limit_and_closed_everything_can_open_again",
        256,
        || {
            let temp = scratch();
            write_tree(&temp.path().join("lower"), DIRS);
            write_tree(&temp.path().join("plain"), DIRS);
            let overlay = writable(temp.path(), 0);
            let live = Live::new(capability(&temp.path().join("plain"))).root();
            for root in [overlay.root(), live] {
                // Cached descriptors do not count, so almost all can be open at once.
                let opened = open_all(&root);
                assert!(opened.len() > 256 - 40, "only {}", opened.len());
                drop(opened);
                for index in 0..DIRS {
                    try_file(&root, &format!("{index}/f"), READ).unwrap();
                    assert_eq!(
                        root.stat_at(&format!("{index}/f"), true).unwrap().size,
                        100_000
                    );
                }
                // Other handles leave only the descriptors that one call needs.
                let mut held = open_all(&root);
                held.truncate(held.len() - 8);
                root.rename_at("7/f", &root, "7/g").unwrap();
                root.create_directory_at("new").unwrap();
                root.rename_at("new", &root, "moved").unwrap();
                assert_eq!(root.list().unwrap().len(), DIRS + 1);
                root.remove_directory_at("moved").unwrap();
                root.rename_at("7/g", &root, "7/f").unwrap();
            }
            // A mount when only cached descriptors are left.
            for index in 0..DIRS {
                try_file(&overlay.root(), &format!("{index}/f"), READ).unwrap();
            }
            let spare = 256 - open_descriptors();
            let others: Vec<_> = (0..spare)
                .map(|_| std::fs::File::open("/dev/null").unwrap())
                .collect();
            let second = Overlay::builder()
                .stack(wasi_overlay_core::LowerStack::new([], &Default::default()).unwrap());
            drop(second);
            assert_eq!(overlay.root().list().unwrap().len(), DIRS);
            drop(others);
            overlay.close().unwrap();
        },
    );
}

#[test]
fn raised_limit_is_used() {
    limited("cached::raised_limit_is_used", 64, || {
        let temp = scratch();
        write_tree(&temp.path().join("lower"), 100);
        let overlay = writable(temp.path(), 0);
        let read_all = || {
            for index in 0..100 {
                try_file(&overlay.root(), &format!("{index}/f"), READ).unwrap();
            }
            open_descriptors()
        };
        assert!(read_all() <= 64);
        wasi_overlay_core::raise_descriptor_limit().unwrap();
        assert!(read_all() > 100, "the limit is still the old one");
    });
}

/// No thread hangs, and no descriptor in use is closed.
#[test]
fn caches_are_emptied_while_threads_use_them() {
    limited(
        "cached::caches_are_emptied_while_threads_use_them",
        64,
        || {
            let temp = scratch();
            write_tree(&temp.path().join("lower"), 100);
            let overlays = [writable(temp.path(), 0), writable(temp.path(), 1)];
            std::thread::scope(|scope| {
                for thread in 0..4 {
                    let overlay = &overlays[thread % 2];
                    scope.spawn(move || {
                        let root = overlay.root();
                        for index in 0..400 {
                            let path = format!("{}/f", (index * 7 + thread) % 100);
                            let opened =
                                try_file(&root, &path, if index % 3 == 0 { WRITE } else { READ });
                            assert!(opened.unwrap().read_at(&mut [0; 8], 0).unwrap() == 8);
                        }
                    });
                }
                for _ in 0..200 {
                    close_cached_descriptors();
                    std::thread::yield_now();
                }
            });
        },
    );
}
