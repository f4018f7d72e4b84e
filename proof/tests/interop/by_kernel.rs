//! Uppers that the kernel's overlayfs wrote, as our lower layers.

use crate::changes::{Random, populate};
use crate::tree::{Entry, Tree};
use crate::{change_host, seeds};
use std::path::PathBuf;
use wasi_overlay_proof::machine::{Mount, Need, Scratch, has, set_attribute};

/// The number of uppers that become lowers, and of changes in each.
const GENERATIONS: usize = 4;
const CHANGES: usize = 60;

/// Layers, bottom first, and the tree that the kernel shows of them.
struct Made {
    layers: Vec<PathBuf>,
    shown: Tree,
    scratch: Scratch,
}

fn make(scratch: Scratch, seed: u64, options: &str) -> Made {
    let mut random = Random::new(seed);
    let bottom = scratch.dir("layer 0");
    populate(&bottom);
    change_host(&mut random, &bottom, CHANGES);
    let mut layers = vec![bottom];
    let mut shown = Tree::default();
    for generation in 1..=GENERATIONS {
        let upper = scratch.dir(&format!("layer {generation}"));
        let work = scratch.dir(&format!("work {generation}"));
        let at = scratch.dir("merged");
        let mount = Mount::overlay(&at, &layers, Some((&upper, &work)), options);
        let mount = mount.expect("a mount");
        // Lower directories, so that some renames are redirected if that is enabled.
        let _ = std::fs::rename(at.join("b"), at.join("moved"));
        change_host(&mut random, mount.path(), CHANGES);
        shown = Tree::of_host(mount.path());
        drop(mount);
        layers.push(upper);
    }
    Made {
        layers,
        shown,
        scratch,
    }
}

/// The engine and the kernel read the layers that the kernel wrote alike, also after a new mount.
fn is_read_right(name: &str, options: &str) {
    if !has(name, &[Need::KernelOverlay]) {
        return;
    }
    let mut entries = 0;
    for seed in seeds(40) {
        let made = make(Scratch::new(), seed, options);
        let again = Mount::overlay(&made.scratch.dir("again"), &made.layers, None, options);
        let again = Tree::of_host(again.expect("a mount of lowers alone").path());
        let ours = Tree::of_layers(&made.layers);
        let mut differences = again.differences("kernel, mounted again", &ours, "ours");
        // The index, which keeps lower hard links together, is not in the layer.
        if !options.contains("index") {
            differences += &made.shown.differences("kernel", &ours, "ours");
        }
        assert!(
            differences.is_empty(),
            "seed {seed}, {options}:\n{differences}"
        );
        entries += ours.0.len();
    }
    println!("{name}: {} trees, {entries} entries", seeds(40).count());
}

#[test]
fn kernel_layers_are_read_as_the_kernel_reads_them() {
    is_read_right("kernel", "");
}

#[test]
fn kernel_layers_with_userxattr_are_read_as_the_kernel_reads_them() {
    is_read_right("kernel, userxattr", "userxattr");
}

#[test]
fn kernel_layers_with_an_index_are_read_as_the_kernel_reads_them() {
    is_read_right("kernel, index", "index=on,nfs_export=off");
}

/// With `redirect_dir` and `metacopy`, the content of a file may be in another layer. The engine refuses such files
/// with their layer and path, and reads all others. On tmpfs and on a disk, since they count allocated storage
/// differently.
fn is_refused_or_read_right(name: &str, options: &str, on_disk: bool) {
    if !has(name, &[Need::KernelOverlay]) {
        return;
    }
    let (mut refused, mut read) = (0, 0);
    for seed in seeds(25) {
        let scratch = if on_disk {
            Scratch::on_disk()
        } else {
            Scratch::new()
        };
        let made = make(scratch, seed, options);
        let mut ours = Tree::of_layers(&made.layers);
        let mut shown = made.shown;
        let refusals: Vec<String> = ours.refusals().into_keys().map(String::from).collect();
        for path in refusals {
            let Some(Entry::Refused { errno, words }) = ours.0.remove(&path) else {
                unreachable!()
            };
            assert_eq!(errno, wasi_overlay_core::Errno::Unsupported, "{words}");
            assert!(names(&words, &made.layers, &path), "{path}: {words}");
            // Entries below a refused directory cannot be reached.
            let below = format!("{path}/");
            shown
                .0
                .retain(|at, _| *at != path && !at.starts_with(&below));
            refused += 1;
        }
        read += ours.0.len();
        let differences = shown.differences("kernel", &ours, "ours");
        assert!(
            differences.is_empty(),
            "seed {seed}, {options}:\n{differences}"
        );
    }
    assert!(refused > 0, "no layer had a redirect or metacopy attribute");
    println!("{name}: {refused} entries refused, {read} read");
}

/// Whether a message contains the path in one of the layers.
fn names(words: &str, layers: &[PathBuf], path: &str) -> bool {
    let layer = layers
        .iter()
        .any(|layer| words.contains(&*layer.to_string_lossy()));
    let place = match path.rsplit_once('/') {
        Some((dir, name)) => format!(": in {}: `{}` ", shown(dir), shown(name)),
        None => format!(": `{}` ", shown(path)),
    };
    layer && words.contains(&place)
}

/// A path as it is printed in messages.
fn shown(path: &str) -> String {
    path.as_bytes().escape_ascii().to_string()
}

#[test]
fn kernel_redirects_are_refused() {
    is_refused_or_read_right("kernel, redirect_dir", "redirect_dir=on", false);
}

#[test]
fn kernel_metacopy_files_are_refused() {
    is_refused_or_read_right("kernel, metacopy", "metacopy=on", false);
    is_refused_or_read_right("kernel, metacopy, on disk", "metacopy=on", true);
}

/// A small file whose xattrs need a block has as much allocated storage as its size needs, although its data is
/// missing.
#[test]
fn small_kernel_metacopy_file_is_refused() {
    if !has("kernel, metacopy of a small file", &[Need::KernelOverlay]) {
        return;
    }
    for scratch in [Scratch::new(), Scratch::on_disk()] {
        let [lower, upper, work, at] = ["l", "u", "w", "m"].map(|name| scratch.dir(name));
        std::fs::write(lower.join("small"), "data").expect("a file");
        set_attribute(&lower.join("small"), "user.large", &[b'x'; 1000]).expect("an attribute");
        let layers = [lower.clone()];
        let mount = Mount::overlay(&at, &layers, Some((&upper, &work)), "metacopy=on");
        let mount = mount.expect("a mount");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(at.join("small"), mode).expect("a mode");
        drop(mount);
        let ours = Tree::of_layers(&[lower, upper]);
        let words = ours
            .refusals()
            .remove("small")
            .unwrap_or_else(|| panic!("content that lies in another layer was served:\n{ours:?}"));
        assert!(words.contains("metacopy"), "{words}");
    }
}

/// The kernel reads whiteouts as xattrs, but does not write them, so the layers are written by hand.
#[test]
fn xattr_whiteouts_are_read_as_the_kernel_reads_them() {
    if !has("kernel, whiteouts by attribute", &[Need::KernelOverlay]) {
        return;
    }
    for (namespace, options) in [("trusted", ""), ("user", "userxattr")] {
        let scratch = Scratch::new();
        let [bottom, top, at] = ["bottom", "top", "m"].map(|name| scratch.dir(name));
        let attribute = |path: &str, what: &str, value: &[u8]| {
            let name = format!("{namespace}.overlay.{what}");
            set_attribute(&top.join(path), &name, value).expect("an attribute");
        };
        for dir in ["marked", "unmarked", "opaque", "marked/dir"] {
            std::fs::create_dir(bottom.join(dir)).expect("a directory");
            std::fs::create_dir(top.join(dir)).expect("a directory");
            for name in ["gone", "kept", "empty"] {
                std::fs::write(bottom.join(dir).join(name), "below").expect("a file");
            }
            std::fs::write(top.join(dir).join("empty"), "").expect("a file");
            std::fs::write(top.join(dir).join("gone"), "").expect("a file");
            std::fs::write(top.join(dir).join("full"), "full").expect("a file");
            attribute(&format!("{dir}/gone"), "whiteout", b"y");
        }
        // The kernel checks files for such whiteouts only in directories whose `opaque` is `x`.
        attribute("marked", "opaque", b"x");
        attribute("marked/dir", "opaque", b"x");
        attribute("opaque", "opaque", b"y");
        attribute(".", "opaque", b"x");
        std::fs::write(bottom.join("root"), "below").expect("a file");
        std::fs::write(top.join("root"), "").expect("a file");
        attribute("root", "whiteout", b"");
        let layers = [bottom, top.clone()];
        let mount = Mount::overlay(&at, &layers, None, options).expect("a mount");
        let marked = Tree::of_host(mount.path());
        drop(mount);
        let ours = Tree::of_layers(&layers);
        let differences = marked.differences("kernel", &ours, "ours");
        assert!(differences.is_empty(), "{namespace}:\n{differences}");
        assert!(!ours.0.contains_key("marked/gone") && !ours.0.contains_key("root"));
    }
}
