//! Our uppers, read by other tools after the overlay was closed: they show the tree that the guest saw.

use crate::changes::{Random, populate};
use crate::image::Image;
use crate::tree::{Tree, on_layers};
use crate::{change_host, seeds};
use std::path::PathBuf;
use std::process::Command;
use wasi_overlay_proof::kit::capability;
use wasi_overlay_proof::machine::{Mount, Need, Scratch, has, run};

const GENERATIONS: usize = 3;
const CHANGES: usize = 70;

/// Layers of which all except the bottom one are our uppers, and the last tree that the guest saw.
struct Made {
    layers: Vec<PathBuf>,
    seen: Tree,
    changes: usize,
}

fn make(scratch: &Scratch, seed: u64) -> Made {
    let mut random = Random::new(seed);
    let bottom = scratch.dir("layer 0");
    populate(&bottom);
    change_host(&mut random, &bottom, CHANGES);
    let mut made = Made {
        layers: vec![bottom],
        seen: Tree::default(),
        changes: 0,
    };
    for generation in 1..=GENERATIONS {
        let upper = scratch.dir(&format!("layer {generation}"));
        // Twice, since entries that were in the upper at the mount take other code paths.
        for _ in 0..2 {
            let overlay = on_layers(&made.layers).volatile(true);
            let overlay = overlay.upper_dir("upper", capability(&upper));
            let overlay = overlay.build().expect("an overlay");
            let root = overlay.root();
            let changes = (0..CHANGES).filter(|_| random.change().on_ours(&root).is_ok());
            made.changes += changes.count();
            made.seen = Tree::of_mount(&overlay);
            overlay.close().expect("a clean end");
        }
        assert!(!upper.join(".wh..wh.work").exists());
        made.layers.push(upper);
    }
    assert!(made.seen.refusals().is_empty(), "{:?}", made.seen);
    made
}

#[test]
fn umoci_and_containers_storage_unpack_what_the_guest_saw() {
    let needs = [Need::Program("umoci"), Need::Program("skopeo"), Need::Root];
    if !has("our upper as an image", &needs) {
        return;
    }
    let (mut changes, mut entries) = (0, 0);
    for seed in seeds(6) {
        let scratch = Scratch::new();
        let made = make(&scratch, seed);
        let image = Image::of_layers(&scratch, &made.layers);
        let seen = made.seen.unpacked_only();
        let mut differences = String::new();
        let mut compare = |reader: &str, path: PathBuf| {
            let read = Tree::of_host(&path).unpacked_only();
            differences += &seen.differences("guest", &read, reader);
        };
        compare("umoci", image.unpacked("unpacked"));
        compare("containers/storage", image.stored_whole());
        assert!(differences.is_empty(), "seed {seed}:\n{differences}");
        changes += made.changes;
        entries += seen.0.len();
    }
    println!(
        "our upper as an image: {} images, {changes} changes, {entries} entries",
        seeds(6).count()
    );
}

/// The storage of podman converts our whiteouts to the kernel's.
#[test]
fn the_kernel_shows_what_the_guest_saw_of_an_image_in_containers_storage() {
    let needs = [
        Need::Program("umoci"),
        Need::Program("skopeo"),
        Need::KernelOverlay,
    ];
    if !has("our upper in containers/storage", &needs) {
        return;
    }
    for seed in seeds(3) {
        let scratch = Scratch::new();
        let made = make(&scratch, seed);
        let layers = Image::of_layers(&scratch, &made.layers).stored_layers();
        let kernel = Mount::overlay(&scratch.dir("merged"), &layers, None, "").expect("a mount");
        let kernel = Tree::of_host(kernel.path()).unpacked_only();
        let ours = Tree::of_layers(&layers).unpacked_only();
        let seen = made.seen.unpacked_only();
        let differences = seen.differences("guest", &kernel, "kernel")
            + &seen.differences("guest", &ours, "ours");
        assert!(differences.is_empty(), "seed {seed}:\n{differences}");
    }
}

#[test]
fn fuse_overlayfs_shows_what_the_guest_saw_with_our_upper_as_its_lower_and_as_its_upper() {
    if !has(
        "our upper in fuse-overlayfs",
        &[Need::Program("fuse-overlayfs"), Need::Root],
    ) {
        return;
    }
    let (mut changes, mut entries) = (0, 0);
    for seed in seeds(20) {
        let scratch = Scratch::new();
        let made = make(&scratch, seed);
        let at = scratch.dir("merged");
        let mount = Mount::fuse(&at, &made.layers, None, &[]).expect("a mount of lowers");
        let as_lower = Tree::of_host(mount.path());
        drop(mount);
        // fuse-overlayfs writes into its upper.
        let (upper, lowers) = made.layers.split_last().expect("an upper");
        let copy = scratch.path().join("copy");
        run(Command::new("cp").arg("-a").args([upper, &copy]));
        let work = scratch.dir("work");
        let mount = Mount::fuse(&at, lowers, Some((&copy, &work)), &[]).expect("a mount");
        let as_upper = Tree::of_host(mount.path());
        drop(mount);
        let differences = made.seen.differences("guest", &as_lower, "its lower")
            + &made.seen.differences("guest", &as_upper, "its upper");
        assert!(differences.is_empty(), "seed {seed}:\n{differences}");
        changes += made.changes;
        entries += made.seen.0.len();
    }
    println!(
        "our upper in fuse-overlayfs: {} trees twice, {changes} changes, {entries} entries",
        seeds(20).count()
    );
}
