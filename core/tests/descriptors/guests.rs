//! Guests that open as many files as they can, while other guests and the engine must keep working.

use crate::kit::{
    CREATE, READ, WRITE, capability, lower, open_descriptors, scratch, try_file, writable,
    write_tree,
};
use wasi_overlay_core::{Dir, Errno, Limits, Live, OpenHandles, OpenHow, Opened, Overlay};
use wasi_overlay_proof::kit::{fails, how, limited};

const USUAL: u64 = 1024;
const DIRS: usize = 300;

fn guest() -> OpenHandles {
    OpenHandles::new(&Limits::default())
}

/// Opens `path(0)`, `path(1)` and so on until one fails.
fn open_all(root: &Dir, how: OpenHow, path: impl Fn(usize) -> String) -> Vec<Opened> {
    let mut opened = Vec::new();
    loop {
        match root.open_at(&path(opened.len()), how) {
            Ok(file) => opened.push(file),
            Err(error) => {
                assert_eq!(error.errno(), Errno::TooManyFiles, "{error}");
                return opened;
            }
        }
        assert!(opened.len() < 10_000, "there is no limit");
    }
}

/// Makes every kind of call, none of which needs many descriptors.
fn use_filesystem(root: &Dir) {
    for index in 0..DIRS {
        let path = format!("{index}/f");
        assert_eq!(
            try_file(root, &path, READ)
                .unwrap()
                .read_at(&mut [0; 8], 0)
                .unwrap(),
            8
        );
    }
    try_file(root, "1/f", WRITE).unwrap().append(b"x").unwrap();
    root.rename_at("1/f", root, "2/moved").unwrap();
    root.rename_at("2/moved", root, "1/f").unwrap();
    root.create_directory_at("made").unwrap();
    drop(try_file(root, "made/new", CREATE).unwrap());
    assert_eq!(root.list().unwrap().len(), DIRS + 1);
    let Opened::Dir(made) = root.open_at("made", READ).unwrap() else {
        panic!("a directory is a file");
    };
    assert_eq!(made.list().unwrap().len(), 1);
    made.unlink_file_at("new").unwrap();
    root.remove_directory_at("made").unwrap();
}

#[test]
fn guest_at_its_limit_does_not_block_other_guests() {
    limited(
        "guests::guest_at_its_limit_does_not_block_other_guests",
        USUAL,
        || {
            let temp = scratch();
            write_tree(&temp.path().join("lower"), DIRS);
            write_tree(&temp.path().join("plain"), DIRS);
            let overlay = writable(temp.path(), 0);
            let live = Live::new(capability(&temp.path().join("plain")));
            let of_dirs = |index: usize| format!("{}/f", index % DIRS);
            for root in [overlay.root(), live.root()] {
                for how in [READ, WRITE] {
                    let (evil, good) = (guest(), guest());
                    let taken = open_all(&root.counted(&evil), how, of_dirs);
                    assert!(taken.len() >= 200, "only {}", taken.len());
                    assert_eq!(evil.count(), taken.len());
                    use_filesystem(&root.counted(&good));
                    assert_eq!(good.count(), 0);
                    // Each closed handle allows one more.
                    let (root, mut taken) = (root.counted(&evil), taken);
                    drop(taken.pop());
                    taken.push(root.open_at("0/f", how).unwrap());
                    fails(root.open_at("0/f", how), Errno::TooManyFiles);
                    drop(taken);
                    assert_eq!(evil.count(), 0);
                    use_filesystem(&root);
                }
            }
            overlay.close().unwrap();
        },
    );
}

/// The engine needs them for calls that open nothing for a guest, and for mounts.
#[test]
fn guests_together_leave_descriptors_to_the_engine() {
    limited(
        "guests::guests_together_leave_descriptors_to_the_engine",
        USUAL,
        || {
            let temp = scratch();
            write_tree(&temp.path().join("lower"), DIRS);
            let overlay = writable(temp.path(), 0);
            let root = overlay.root();
            let guests: Vec<OpenHandles> = (0..8).map(|_| guest()).collect();
            let taken: Vec<Vec<Opened>> = guests
                .iter()
                .map(|guest| {
                    open_all(&root.counted(guest), WRITE, |index| {
                        format!("{}/f", index % DIRS)
                    })
                })
                .collect();
            assert!(open_descriptors() <= USUAL as usize);
            // Opens of the embedder are not counted.
            use_filesystem(&root);
            let second = writable(temp.path(), 1);
            use_filesystem(&second.root());
            second.close().unwrap();
            drop(taken);
            use_filesystem(&root.counted(&guests[0]));
            overlay.close().unwrap();
        },
    );
}

/// The copy-up of a file that is open for reading needs another descriptor.
#[test]
fn copies_of_open_files_are_counted() {
    limited("guests::copies_of_open_files_are_counted", USUAL, || {
        let temp = scratch();
        write_tree(&temp.path().join("lower"), DIRS);
        let overlay = writable(temp.path(), 0);
        let (evil, good) = (guest(), guest());
        let root = overlay.root().counted(&evil);
        let mut readers = open_all(&root, READ, |index| format!("{}/f", index % DIRS));
        drop(readers.pop());
        for index in 0..readers.len() {
            // Only one handle is left, and each copy stays open for its reader.
            root.set_times_at(
                &format!("{index}/f"),
                true,
                wasi_overlay_core::SetTimes {
                    accessed: wasi_overlay_core::SetTime::Now,
                    modified: wasi_overlay_core::SetTime::Now,
                },
            )
            .unwrap();
        }
        for reader in &readers {
            assert_eq!(reader.file().unwrap().read_at(&mut [0; 8], 0).unwrap(), 8);
        }
        assert!(open_descriptors() < USUAL as usize / 2 + USUAL as usize / 2);
        use_filesystem(&overlay.root().counted(&good));
    });
}

#[test]
fn handles_without_descriptors_count_against_the_guest_limit() {
    limited(
        "guests::handles_without_descriptors_count_against_the_guest_limit",
        64,
        || {
            let temp = scratch();
            write_tree(&temp.path().join("lower"), 1);
            let on_disk = Overlay::builder().lower(lower(&temp.path().join("lower")));
            let on_disk = on_disk.build().unwrap();
            let in_memory = Overlay::builder().upper_memory(1 << 20).build().unwrap();
            drop(try_file(&in_memory.root(), "f", CREATE).unwrap());
            let mut limits = Limits::default();
            for most in [1, 100, limits.open_handles] {
                limits.open_handles = most;
                let guest = OpenHandles::new(&limits);
                for (overlay, path) in [(&on_disk, "0"), (&in_memory, "f")] {
                    let root = overlay.root().counted(&guest);
                    let opened = open_all(&root, READ, |_| path.to_owned());
                    assert_eq!((opened.len(), guest.count()), (most, most));
                    // Clones count as one handle.
                    let copies = opened.clone();
                    drop(opened);
                    assert_eq!(guest.count(), most);
                    drop(copies);
                    assert_eq!(guest.count(), 0);
                }
            }
        },
    );
}

#[test]
fn refused_open_does_not_create_or_truncate() {
    let temp = scratch();
    write_tree(&temp.path().join("lower"), 2);
    std::fs::create_dir(temp.path().join("plain")).unwrap();
    let overlay = writable(temp.path(), 0);
    let live = Live::new(capability(&temp.path().join("plain")));
    let mut limits = Limits::default();
    limits.open_handles = 1;
    for root in [overlay.root(), live.root()] {
        let guest = OpenHandles::new(&limits);
        let root = root.counted(&guest);
        for _ in 0..3 {
            fails(root.open_at("none", READ), Errno::NoEntry);
        }
        let held = try_file(&root, "held", CREATE).unwrap();
        held.append(b"data").unwrap();
        for path in ["new", "held"] {
            fails(root.open_at(path, how("rwct")), Errno::TooManyFiles);
        }
        fails(root.stat_at("new", true), Errno::NoEntry);
        assert_eq!(held.stat().unwrap().size, 4);
        drop(held);
        assert_eq!(guest.count(), 0);
        drop(try_file(&root, "new", CREATE).unwrap());
    }
}
