//! Bounds on the memory that repeated calls of a guest use.

use crate::{CREATE, MIB, READ, alone, capability, dir, file, held, peak_of, scratch};
use wasi_overlay_core::layer::MemoryLayer;
use wasi_overlay_core::{Dir, Errno, Lower, Overlay};

fn lower() -> Lower {
    let mut lower = MemoryLayer::build().dir("d");
    for index in 0..100 {
        lower = lower.file(format!("d/{index}"), "lower");
    }
    Lower::new("lower", lower.finish().unwrap())
}

/// Runs `test` on a memory upper and on a directory upper.
fn on_both(test: impl Fn(&str, &Dir)) {
    let overlay = Overlay::builder().lower(lower()).upper_memory(64 << 20);
    test("memory", &overlay.build().unwrap().root());
    let temp = scratch();
    let overlay = Overlay::builder()
        .lower(lower())
        .upper_dir("upper", capability(temp.path()))
        .volatile(true);
    test("directory", &overlay.build().unwrap().root());
}

/// The growth of memory after the first tenth of `rounds`, which fills the caches.
fn growth(rounds: usize, mut round: impl FnMut(usize)) -> usize {
    (0..rounds / 10).for_each(&mut round);
    let before = held();
    (rounds / 10..rounds).for_each(round);
    held().saturating_sub(before)
}

#[test]
fn missing_names_leave_no_memory() {
    let _alone = alone();
    on_both(|upper, root| {
        file(root, "d/upper", CREATE);
        let grown = growth(200_000, |round| {
            for path in [format!("none{round}"), format!("d/none{round}/x")] {
                let error = root.stat_at(&path, true).unwrap_err();
                assert_eq!(error.errno(), Errno::NoEntry);
            }
        });
        println!("{upper}: 400000 missing names: {} KiB kept", grown / 1024);
        assert!(grown < MIB / 4, "{upper}: {grown} bytes remain");
    });
}

#[test]
fn removed_files_leave_no_memory() {
    let _alone = alone();
    on_both(|upper, root| {
        let grown = growth(20_000, |round| {
            let [name, link, moved] = ["f", "l", "m"].map(|kind| format!("d/{kind}{round}"));
            file(root, &name, CREATE).write_at(b"data", 0).unwrap();
            root.link_at(&name, root, &link).unwrap();
            root.rename_at(&name, root, &moved).unwrap();
            root.stat_at(&moved, true).unwrap();
            root.symlink_at("x", &name).unwrap();
            root.identity_at(&name, false).unwrap();
            for name in [name, link, moved] {
                root.unlink_file_at(&name).unwrap();
            }
            root.create_directory_at("new").unwrap();
            dir(root, "new").list().unwrap();
            root.remove_directory_at("new").unwrap();
        });
        println!(
            "{upper}: 80000 files made and removed: {} KiB kept",
            grown / 1024
        );
        assert!(grown < MIB, "{upper}: {grown} bytes remain");
    });
}

#[test]
fn replaced_lower_names_leave_one_whiteout_at_most() {
    let _alone = alone();
    on_both(|upper, root| {
        let grown = growth(20_000, |round| {
            let name = format!("d/{}", round % 100);
            root.unlink_file_at(&name).unwrap();
            file(root, &name, CREATE);
            let held = file(root, &name, READ);
            root.rename_at(&name, root, "d/moved").unwrap();
            root.rename_at("d/moved", root, &name).unwrap();
            held.stat().unwrap();
        });
        println!(
            "{upper}: 20000 lower names replaced: {} KiB kept",
            grown / 1024
        );
        assert!(grown < MIB / 4, "{upper}: {grown} bytes remain");
    });
}

#[test]
fn closed_handles_leave_no_memory() {
    let _alone = alone();
    on_both(|upper, root| {
        let grown = growth(50_000, |round| {
            let path = format!("d/{}", round % 100);
            let one = file(root, &path, READ);
            let two = one.clone();
            dir(root, "d").list().unwrap();
            drop((one, two));
        });
        println!("{upper}: 50000 handles: {} KiB kept", grown / 1024);
        assert!(grown < MIB / 4, "{upper}: {grown} bytes remain");
    });
}

#[test]
fn cached_listings_are_bounded() {
    let _alone = alone();
    on_both(|upper, root| {
        for dir in 0..300 {
            root.create_directory_at(&format!("{dir}")).unwrap();
            for name in 0..50 {
                let name = format!("{dir}/{:0>200}", name);
                root.create_directory_at(&name).unwrap();
            }
        }
        let (_, peak) = peak_of(|| {
            for index in 0..300 {
                assert_eq!(dir(root, &format!("{index}")).list().unwrap().len(), 50);
            }
        });
        println!("{upper}: 300 listings: {} KiB at most", peak / 1024);
        // All 300 listings take more than 3 MiB.
        assert!(peak < 2 * MIB, "{upper}: {peak} bytes");
    });
}

/// Nested links with targets of maximum length, and paths of many links.
#[test]
fn long_link_chains_fail_with_loop_in_bounded_memory() {
    let _alone = alone();
    on_both(|upper, root| {
        let ((), peak) = peak_of(|| {
            for index in 0..60 {
                let target = format!("l{}/", index + 1) + &"./".repeat(1900);
                root.symlink_at(&target, &format!("l{index}")).unwrap();
            }
            root.symlink_at(".", "here").unwrap();
            let here = "here/".repeat(800);
            for path in ["l0", "l0/x", &here] {
                let error = root.stat_at(path, true).unwrap_err();
                assert_eq!(error.errno(), Errno::Loop, "{upper}");
            }
            let long = "x/".repeat(1 << 20);
            let error = root.stat_at(&long, true).unwrap_err();
            assert_eq!(error.errno(), Errno::NameTooLong, "{upper}");
        });
        println!("{upper}: links of links: {} KiB at most", peak / 1024);
        assert!(peak < 4 * MIB, "{upper}: {peak} bytes");
    });
}
