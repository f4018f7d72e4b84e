//! Limits that a guest reaches: descriptors, inodes and bytes.

use crate::{CREATE, MIB, READ, alone, capability, dir, file, held, peak_of, scratch};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use wasi_overlay_core::layer::MemoryLayer;
use wasi_overlay_core::{Dir, Errno, Limits, Live, Lower, Opened, Overlay, Result};

/// Restores the limit on descriptors when it is dropped.
pub(crate) struct Descriptors(Rlimit);

impl Descriptors {
    pub(crate) fn limit(most: u64) -> Self {
        let before = getrlimit(Resource::Nofile);
        let limit = Rlimit {
            current: Some(most),
            maximum: before.maximum,
        };
        setrlimit(Resource::Nofile, limit).unwrap();
        Self(before)
    }
}

impl Drop for Descriptors {
    fn drop(&mut self) {
        setrlimit(Resource::Nofile, self.0).unwrap();
    }
}

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Opens files until one fails. Returns the handles and the error.
fn open_all(root: &Dir) -> (Vec<Opened>, Errno) {
    let mut opened = Vec::new();
    loop {
        match root.open_at(&format!("d/{}", opened.len() % 400), READ) {
            Ok(file) => opened.push(file),
            Err(error) => return (opened, error.errno()),
        }
        assert!(opened.len() < 10_000, "there is no limit");
    }
}

#[test]
fn opens_fail_at_the_descriptor_limit_and_work_after_handles_close() {
    let _alone = alone();
    let temp = scratch();
    for tree in ["lower", "plain", "upper"] {
        std::fs::create_dir_all(temp.path().join(tree).join("d")).unwrap();
    }
    for index in 0..400 {
        for tree in ["lower", "plain"] {
            std::fs::write(temp.path().join(format!("{tree}/d/{index}")), "data").unwrap();
        }
    }
    let before = open_descriptors();
    let _limit = Descriptors::limit(before as u64 + 320);
    let live = Live::new(capability(&temp.path().join("plain"))).root();
    let (held, expected) = open_all(&live);
    drop((held, live));
    let overlay = Overlay::builder()
        .lower(Lower::dir("lower", capability(&temp.path().join("lower"))).unwrap())
        .upper_dir("upper", capability(&temp.path().join("upper")))
        .volatile(true)
        .build()
        .unwrap();
    let root = overlay.root();
    for _ in 0..3 {
        let (opened, errno) = open_all(&root);
        assert_eq!(errno, expected, "after {} files", opened.len());
        // Every call now succeeds or fails with one of these codes.
        let may_fail = [expected, Errno::NoEntry, Errno::NotDirectory, Errno::Exist];
        let calls: [Result<()>; 6] = [
            root.open_at("d/new", CREATE).map(drop),
            root.create_directory_at("made"),
            root.rename_at("d/1", &root, "d/renamed"),
            root.rename_at("d/renamed", &root, "d/1"),
            root.unlink_file_at("d/new"),
            root.list().map(drop),
        ];
        for (index, call) in calls.into_iter().enumerate() {
            if let Err(error) = call {
                assert!(may_fail.contains(&error.errno()), "{index}: {error:?}");
            }
        }
        drop(opened);
        let d = dir(&root, "d");
        assert_eq!(d.list().unwrap().len(), 400);
        file(&root, "d/new", CREATE);
        root.unlink_file_at("d/new").unwrap();
    }
    overlay.close().unwrap();
    drop((root, overlay));
    assert_eq!(open_descriptors(), before, "descriptors are left");
}

#[test]
fn cached_descriptors_are_bounded() {
    let _alone = alone();
    let temp = scratch();
    for index in 0..600 {
        let dir = temp.path().join(format!("lower/{index}"));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("f"), "data").unwrap();
    }
    std::fs::create_dir(temp.path().join("upper")).unwrap();
    let before = open_descriptors();
    let overlay = Overlay::builder()
        .lower(Lower::dir("lower", capability(&temp.path().join("lower"))).unwrap())
        .upper_dir("upper", capability(&temp.path().join("upper")))
        .volatile(true)
        .build()
        .unwrap();
    let root = overlay.root();
    for index in 0..600 {
        file(&root, &format!("{index}/f"), READ);
        file(&root, &format!("{index}/new"), CREATE);
        assert_eq!(dir(&root, &format!("{index}")).list().unwrap().len(), 2);
    }
    let kept = open_descriptors() - before;
    println!("600 directories: {kept} descriptors cached");
    // The stack and the upper have a cache each; the mount itself needs a few.
    assert!(kept <= 2 * Limits::default().kept_handles + 16, "{kept}");
    drop((root, overlay));
    assert_eq!(open_descriptors(), before, "descriptors are left");
}

#[test]
fn usage_counts_the_memory_of_names_and_metadata() {
    let _alone = alone();
    type Make = fn(&Dir, &str);
    let makes: [(&str, Make); 3] = [
        ("files", |root, name| drop(file(root, name, CREATE))),
        ("directories", |root, name| {
            root.create_directory_at(name).unwrap();
        }),
        ("files with data", |root, name| {
            file(root, name, CREATE).write_at(&[1; 4096], 0).unwrap();
        }),
    ];
    for (what, make) in makes {
        let overlay = Overlay::builder().upper_memory(1 << 30).build().unwrap();
        let root = overlay.root();
        let before = held();
        for index in 0..10_000 {
            make(&root, &format!("a-file-with-a-usual-name-{index:0>5}.txt"));
        }
        let memory = (held() - before) as u64;
        let usage = overlay.usage().unwrap();
        let counted = usage.bytes + usage.bookkeeping;
        println!("{what}: {memory} bytes, counted {counted}, {usage:?}");
        assert!(counted > memory * 2 / 3, "{what}: {counted} of {memory}");
        assert!(counted < memory * 3 / 2, "{what}: {counted} of {memory}");
        drop((root, overlay));
        // A background thread frees the tree.
        let left = || held().saturating_sub(before);
        while left() > MIB / 4 {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}

/// Every kind of entry is created until the layer is full.
#[test]
fn memory_upper_is_bounded_for_every_kind_of_entry() {
    let _alone = alone();
    type Make = fn(&Dir, usize) -> Result<()>;
    let long = |index: usize| format!("{index:0>255}");
    assert_eq!(long(1).len(), 255);
    let makes: [(&str, Make); 7] = [
        ("files", |root, index| {
            root.open_at(&format!("{index:0>255}"), CREATE).map(drop)
        }),
        ("directories", |root, index| {
            root.create_directory_at(&format!("{index:0>255}"))
        }),
        ("links", |root, index| {
            root.symlink_at("x", &format!("{index:0>255}"))
        }),
        ("long links", |root, index| {
            root.symlink_at(&"x".repeat(4000), &format!("{index}"))
        }),
        ("names of one file", |root, index| {
            root.link_at("lower", root, &format!("{index:0>255}"))
        }),
        ("bytes", |root, index| {
            let file = file(root, "bytes", CREATE);
            file.write_at(&[1; 4096], index as u64 * 4096).map(drop)
        }),
        ("far bytes", |root, index| {
            let file = file(root, "bytes", CREATE);
            file.write_at(b"x", (index as u64 + 1) << 24).map(drop)
        }),
    ];
    for (what, make) in makes {
        let layer = MemoryLayer::build()
            .file("lower", "lower")
            .finish()
            .unwrap();
        let lower = Lower::new("lower", layer);
        let before = held();
        let overlay = Overlay::builder().lower(lower).upper_memory(8 << 20);
        let overlay = overlay.build().unwrap();
        let root = overlay.root();
        let mut made = 0;
        let (error, peak) = peak_of(|| {
            loop {
                match make(&root, made) {
                    Ok(()) => made += 1,
                    Err(error) => break error.errno(),
                }
                assert!(made < 1_000_000, "{what}: there is no bound");
            }
        });
        assert_eq!(error, Errno::InsufficientSpace, "{what}");
        let usage = overlay.usage().unwrap();
        println!(
            "{what}: {made} made, {} KiB of memory, usage {usage:?}",
            peak / 1024
        );
        // 8 MiB of data, and 2048 inodes with their nodes in the engine.
        assert!(peak < 14 * MIB, "{what}: {peak} bytes");
        // Entries can be listed and removed, which makes room again.
        let listing = root.list().unwrap();
        assert!(!listing.is_empty());
        let names: Vec<_> = listing.iter().map(|entry| entry.name.to_string()).collect();
        for name in names.iter().filter(|name| *name != "lower") {
            if root.unlink_file_at(name).is_err() {
                root.remove_directory_at(name).unwrap();
            }
        }
        make(&root, 0).unwrap_or_else(|error| panic!("{what}: {error}"));
        drop((listing, names, root, overlay));
        let left = held().saturating_sub(before);
        assert!(left < MIB / 4, "{what}: {left} bytes are left");
    }
}
