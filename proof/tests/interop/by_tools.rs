//! Layers that umoci wrote, and those that containers/storage writes for an image.

use crate::changes::{Random, populate};
use crate::image::Image;
use crate::tree::Tree;
use crate::{change_host, seeds};
use std::path::Path;
use wasi_overlay_proof::machine::{Mount, Need, Scratch, has};

const GENERATIONS: usize = 3;
const CHANGES: usize = 60;

fn bottom(scratch: &Scratch, random: &mut Random) -> std::path::PathBuf {
    let bottom = scratch.dir("bottom");
    populate(&bottom);
    change_host(random, &bottom, CHANGES);
    bottom
}

/// `umoci unpack`, changes and `umoci repack`, three times. The extracted layers show the tree that umoci unpacks,
/// which is the one that was packed.
#[test]
fn umoci_layers_are_read_as_umoci_unpacks_them() {
    if !has("umoci", &[Need::Program("umoci"), Need::Root]) {
        return;
    }
    let mut entries = 0;
    for seed in seeds(6) {
        let scratch = Scratch::new();
        let mut random = Random::new(seed);
        let mut image = Image::of_layers(&scratch, &[bottom(&scratch, &mut random)]);
        let mut packed = Tree::default();
        for _ in 0..GENERATIONS {
            image.repack(|rootfs| {
                change_host(&mut random, rootfs, CHANGES);
                packed = Tree::of_host(rootfs).unpacked_only();
            });
        }
        let unpacked = Tree::of_host(&image.unpacked("unpacked")).unpacked_only();
        let ours = Tree::of_layers(&image.extracted("layer")).unpacked_only();
        let differences = unpacked.differences("umoci", &ours, "ours")
            + &packed.without_times().differences(
                "what was packed",
                &ours.clone().without_times(),
                "ours",
            );
        assert!(differences.is_empty(), "seed {seed}:\n{differences}");
        entries += ours.0.len();
    }
    println!("umoci: {} trees, {entries} entries", seeds(6).count());
}

/// `umoci insert`, with its `--opaque` and `--whiteout`.
#[test]
fn umoci_inserts_are_read_as_umoci_unpacks_them() {
    if !has("umoci insert", &[Need::Program("umoci"), Need::Root]) {
        return;
    }
    let scratch = Scratch::new();
    let bottom = bottom(&scratch, &mut Random::new(1));
    // The hidden entries must exist in a lower layer.
    let dir = |path: &str| std::fs::create_dir_all(bottom.join(path)).expect("a directory");
    let write = |path: &str| std::fs::write(bottom.join(path), "below").expect("a file");
    dir("opaque/dir");
    write("opaque/gone");
    write("opaque/dir/gone");
    dir("removed");
    write("removed/gone");
    let new = scratch.dir("new");
    std::fs::write(new.join("kept"), "inserted").expect("a file");
    std::fs::create_dir(new.join("dir")).expect("a directory");
    let image = Image::of_layers(&scratch, &[bottom]);
    let new = new.to_str().expect("a path in UTF-8");
    image.insert(&["--opaque", new, "/opaque"]);
    image.insert(&["--whiteout", "/removed"]);
    image.insert(&[new, "/added"]);
    let unpacked = Tree::of_host(&image.unpacked("unpacked")).unpacked_only();
    let ours = Tree::of_layers(&image.extracted("layer")).unpacked_only();
    let differences = unpacked.differences("umoci", &ours, "ours");
    assert!(differences.is_empty(), "{differences}");
    assert!(ours.0.contains_key("opaque/kept") && ours.0.contains_key("added/kept"));
    for hidden in ["opaque/gone", "opaque/dir/gone", "removed"] {
        assert!(!ours.0.contains_key(hidden), "{hidden}");
    }
}

/// containers/storage converts OCI whiteouts to the kernel's. The engine shows the same tree of both, and so does the
/// kernel, if it can mount them.
#[test]
fn containers_storage_layers_are_read_as_their_image() {
    let needs = [
        Need::Program("umoci"),
        Need::Program("skopeo"),
        Need::KernelOverlay,
    ];
    if !has("containers/storage", &needs) {
        return;
    }
    let mut entries = 0;
    for seed in seeds(3) {
        let place = Scratch::new();
        let mut random = Random::new(seed);
        let mut packed = Image::of_layers(&place, &[bottom(&place, &mut random)]);
        for _ in 0..GENERATIONS {
            packed.repack(|rootfs: &Path| {
                change_host(&mut random, rootfs, CHANGES);
            });
        }
        // Not the layers of umoci: containers/storage fails on whiteouts below a file.
        let layers = packed.extracted("layer");
        let scratch = Scratch::new();
        let image = Image::of_layers(&scratch, &layers);
        let layers = image.stored_layers();
        let kernel = Mount::overlay(&scratch.dir("merged"), &layers, None, "").expect("a mount");
        let kernel = Tree::of_host(kernel.path());
        let ours = Tree::of_layers(&layers);
        let mut differences = kernel.differences("kernel", &ours, "ours");
        let ours = ours.unpacked_only();
        let whole = Tree::of_host(&image.stored_whole()).unpacked_only();
        differences += &whole.differences("containers/storage, vfs", &ours, "ours");
        assert!(differences.is_empty(), "seed {seed}:\n{differences}");
        entries += ours.0.len();
    }
    println!(
        "containers/storage: {} trees, {entries} entries",
        seeds(3).count()
    );
}
