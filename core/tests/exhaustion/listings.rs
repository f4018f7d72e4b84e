//! The memory of listings that guests hold. A listing is a snapshot, so a guest that changes the directory between
//! two listings holds both. Three hundred listings of 20,000 names were 1.5 GB, and nothing counted them.

use crate::{CREATE, MIB, alone, capability, dir, file, held, peak_of, scratch};
use std::sync::Arc;
use wasi_overlay_core::layer::MemoryLayer;
use wasi_overlay_core::{Dir, Errno, Limits, Listing, Live, Lower, LowerStack, Overlay, Result};

/// The number of names in `d`, of 200 bytes each.
const NAMES: usize = 1000;
/// A listing of them is about 240 KB.
const BUDGET: usize = 4 * MIB;

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.listing_bytes = BUDGET;
    limits
}

fn fill(root: &Dir, path: &str) {
    root.create_directory_at(path).unwrap();
    for at in 0..NAMES {
        file(root, &format!("{path}/{at:0>200}"), CREATE);
    }
}

/// Runs `test` on a memory upper, a directory upper and a live mount.
fn on_every_mount(test: impl Fn(&str, &Dir)) {
    let _alone = alone();
    let memory = Overlay::builder().upper_memory(1 << 30).limits(limits());
    test("memory", &memory.build().unwrap().root());
    let temp = scratch();
    let directory = Overlay::builder()
        .upper_dir("upper", capability(temp.path()))
        .volatile(true)
        .limits(limits());
    test("directory", &directory.build().unwrap().root());
    let temp = scratch();
    let live = Live::new(capability(temp.path())).limits(&limits());
    test("live", &live.root());
}

/// Changes and lists the directory until a listing fails.
fn list_until_full(root: &Dir) -> (Vec<Arc<Listing>>, Errno) {
    let d = dir(root, "d");
    let mut listings = Vec::new();
    for round in 0..300 {
        file(root, &format!("d/new{}", round % 7), CREATE);
        root.unlink_file_at(&format!("d/new{}", round % 7)).unwrap();
        match d.list() {
            Ok(listing) => listings.push(listing),
            Err(error) => return (listings, error.errno()),
        }
    }
    panic!("{} listings of {NAMES} names are held", listings.len());
}

#[test]
fn held_listings_of_a_changing_directory_are_bounded_in_bytes() {
    on_every_mount(|mount, root| {
        fill(root, "d");
        dir(root, "d").list().unwrap();
        let before = held();
        let ((listings, errno), peak) = peak_of(|| list_until_full(root));
        println!(
            "{mount}: {} listings, {} KiB held, {} KiB at most",
            listings.len(),
            (held() - before) / 1024,
            peak / 1024
        );
        assert_eq!(errno, Errno::InsufficientMemory, "{mount}");
        assert!(listings.len() > 10, "{mount}: the budget is used");
        assert!(
            held() - before < BUDGET + MIB / 2,
            "{mount}: what is counted"
        );
        assert!(peak < BUDGET + 2 * MIB, "{mount}: {peak} bytes");
        // Held listings are complete, other calls work, and so do listings once some are dropped.
        assert!(listings.iter().all(|listing| listing.len() == NAMES));
        root.create_directory_at("other").unwrap();
        root.remove_directory_at("other").unwrap();
        let error = root.remove_directory_at("d").unwrap_err();
        assert_eq!(error.errno(), Errno::NotEmpty, "{mount}");
        drop(listings);
        let (listings, _) = list_until_full(root);
        assert!(listings.len() > 10, "{mount}: all was given back");
    });
}

#[test]
fn listings_of_an_unchanged_directory_are_shared() {
    on_every_mount(|mount, root| {
        fill(root, "d");
        if mount == "live" {
            // Other processes may change it at any time, so listings are not shared.
            return;
        }
        let first = dir(root, "d").list().unwrap();
        let before = held();
        let others: Vec<_> = (0..300).map(|_| dir(root, "d").list().unwrap()).collect();
        assert!(others.iter().all(|other| Arc::ptr_eq(other, &first)));
        assert!(held() - before < MIB / 4, "{mount}");
    });
}

/// A walk through many directories does not exhaust the budget.
#[test]
fn cached_listings_are_evicted_for_new_ones() {
    on_every_mount(|mount, root| {
        for at in 0..40 {
            fill(root, &format!("d{at}"));
        }
        let before = held();
        for _ in 0..2 {
            for at in 0..40 {
                let listing = dir(root, &format!("d{at}")).list().unwrap();
                assert_eq!(listing.len(), NAMES, "{mount}");
            }
        }
        assert!(held() - before < BUDGET + MIB, "{mount}");
    });
}

#[test]
fn listing_over_the_budget_fails_in_bounded_memory() {
    on_every_mount(|mount, root| {
        fill(root, "d");
        let long = |at: usize| format!("d/{at:x>250}");
        for at in 0..20_000 {
            if mount == "live" || mount == "directory" {
                file(root, &long(at), CREATE);
            } else {
                // A directory takes no quota.
                root.symlink_at("x", &long(at)).unwrap();
            }
        }
        let d = dir(root, "d");
        let (listed, peak) = peak_of(|| d.list().map(drop));
        assert_eq!(
            listed.unwrap_err().errno(),
            Errno::InsufficientMemory,
            "{mount}"
        );
        // Vectors grow by doubling.
        assert!(peak < 4 * BUDGET, "{mount}: {peak} bytes");
        // Other calls on the directory work.
        root.unlink_file_at(&long(7)).unwrap();
        file(root, "d/one-more", CREATE);
    });
}

/// The check whether a directory is empty does not create a listing, whose size a guest would choose.
#[test]
fn refused_removal_of_a_large_directory_takes_no_memory() {
    let mut limits = limits();
    limits.table_entries = 100;
    let lower = MemoryLayer::build();
    let lower = (0..NAMES).fold(lower, |lower, at| lower.file(format!("l/{at:0>200}"), b""));
    let lowers = vec![Lower::new("lower", lower.finish().unwrap())];
    let stack = LowerStack::new(lowers, &limits).unwrap();
    let _alone = alone();
    let temp = scratch();
    let overlay = || {
        let builder = Overlay::builder().stack(Arc::clone(&stack));
        builder.limits(limits.clone())
    };
    let directory = overlay().upper_dir("upper", capability(temp.path()));
    for upper in [overlay().upper_memory(1 << 30), directory.volatile(true)] {
        let overlay = upper.build().unwrap();
        let root = overlay.root();
        fill(&root, "d");
        root.create_directory_at("e").unwrap();
        // Also with whiteouts in the upper.
        for at in 0..10 {
            root.unlink_file_at(&format!("l/{at:0>200}")).unwrap();
        }
        for path in ["d", "l"] {
            let refusals: [(_, &dyn Fn() -> Result<()>); 2] = [
                ("rmdir", &|| root.remove_directory_at(path)),
                ("rename", &|| root.rename_at("e", &root, path)),
            ];
            for (what, refused) in refusals {
                refused().unwrap_err();
                let (answer, peak) = peak_of(refused);
                assert_eq!(
                    answer.unwrap_err().errno(),
                    Errno::NotEmpty,
                    "{what} {path}"
                );
                assert!(peak < 32 * 1024, "{what} {path}: {peak} bytes");
            }
        }
    }
}
