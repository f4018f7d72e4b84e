//! Uppers that fuse-overlayfs wrote, as our lower layers.

use crate::changes::{Random, populate};
use crate::tree::{Entry, Tree};
use crate::{change_host, seeds};
use wasi_overlay_core::Kind;
use wasi_overlay_proof::machine::{Mount, Need, Scratch, has};

const GENERATIONS: usize = 3;
const CHANGES: usize = 60;

/// The engine and fuse-overlayfs read the layers that fuse-overlayfs wrote alike.
fn is_read_right(name: &str, environment: &[(&str, &str)], count: u64) {
    if !has(name, &[Need::Program("fuse-overlayfs"), Need::Root]) {
        return;
    }
    let (mut entries, mut devices) = (0, 0);
    for seed in seeds(count) {
        let scratch = Scratch::new();
        let mut random = Random::new(seed);
        let bottom = scratch.dir("layer 0");
        populate(&bottom);
        change_host(&mut random, &bottom, CHANGES);
        let mut layers = vec![bottom];
        for generation in 1..=GENERATIONS {
            let upper = scratch.dir(&format!("layer {generation}"));
            let work = scratch.dir(&format!("work {generation}"));
            let at = scratch.dir("merged");
            let mount = Mount::fuse(&at, &layers, Some((&upper, &work)), environment);
            change_host(&mut random, mount.expect("a mount").path(), CHANGES);
            devices += Tree::of_host(&upper)
                .0
                .values()
                .filter(|entry| {
                    matches!(
                        entry,
                        Entry::Here {
                            kind: Kind::CharDevice,
                            ..
                        }
                    )
                })
                .count();
            layers.push(upper);
            let at = scratch.dir("again");
            let again = Mount::fuse(&at, &layers, None, &[]).expect("a mount of lowers alone");
            let shown = Tree::of_host(again.path());
            drop(again);
            let ours = Tree::of_layers(&layers);
            let differences = shown.differences("fuse-overlayfs", &ours, "ours");
            assert!(
                differences.is_empty(),
                "seed {seed}, generation {generation}:\n{differences}"
            );
            entries += ours.0.len();
        }
    }
    assert_eq!(
        devices > 0,
        environment.is_empty(),
        "whiteouts that are devices: {devices}"
    );
    println!(
        "{name}: {} trees, {entries} entries",
        seeds(count).count() * GENERATIONS
    );
}

#[test]
fn fuse_overlayfs_layers_with_devices_are_read_as_it_reads_them() {
    is_read_right("fuse-overlayfs", &[], 12);
}

/// Without devices it writes whiteouts as files. A variable makes it do so, since a device 0:0 needs no permission
/// since Linux 5.8.
#[test]
fn fuse_overlayfs_layers_without_devices_are_read_as_it_reads_them() {
    let environment = [("FUSE_OVERLAYFS_DISABLE_OVL_WHITEOUT", "1")];
    is_read_right("fuse-overlayfs without mknod", &environment, 12);
}
