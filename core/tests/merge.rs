//! Merged directories of several layers, with every way to cache them: a table of all names or single lookups,
//! cached descriptors or one for all.
#![cfg(feature = "dir")]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use wasi_overlay_core::layer::MemoryLayer;
use wasi_overlay_core::{Dir, Errno, Error, Limits, Lower, LowerStack, Overlay};
use wasi_overlay_proof::kit::{READ, capability, fails, text};

/// All ways to cache a directory: a complete table or single lookups, many descriptors or one.
fn all_limits() -> Vec<Limits> {
    let mut all = Vec::new();
    for table_entries in [4096, 1] {
        for kept_handles in [256, 1] {
            let mut limits = Limits::default();
            limits.table_entries = table_entries;
            limits.kept_handles = kept_handles;
            all.push(limits);
        }
    }
    all
}

fn host(at: &Path) -> wasi_overlay_core::Result<Lower> {
    Lower::dir(at.display().to_string(), capability(at))
}

/// Layers in numbered folders of a temporary one, the bottom one first.
struct Layers(tempfile::TempDir, usize);

impl Layers {
    /// Each layer has `d/of-N` and `d/every`, and the same in `d/e/f`.
    fn new(count: usize) -> Self {
        let layers = Self(tempfile::tempdir().unwrap(), count);
        for layer in 0..count {
            std::fs::create_dir_all(layers.at(layer, "d/e/f")).unwrap();
            for dir in ["d", "d/e/f"] {
                for name in [format!("of-{layer}"), "every".to_owned()] {
                    let path = layers.at(layer, &format!("{dir}/{name}"));
                    std::fs::write(path, layer.to_string()).unwrap();
                }
            }
        }
        layers
    }

    fn at(&self, layer: usize, path: &str) -> std::path::PathBuf {
        self.0.path().join(layer.to_string()).join(path)
    }

    fn lowers(&self) -> Vec<Lower> {
        let layer = |layer| host(&self.at(layer, "")).unwrap();
        (0..self.1).map(layer).collect()
    }

    fn mount(&self, limits: &Limits) -> Dir {
        mount(self.lowers(), limits)
    }
}

fn mount(lowers: Vec<Lower>, limits: &Limits) -> Dir {
    let stack = LowerStack::new(lowers, limits).unwrap();
    let overlay = Overlay::builder().stack(Arc::clone(&stack));
    overlay.build().unwrap().root()
}

fn set_attribute(at: &Path, attribute: &str, value: &str) {
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(at, attribute, value.as_bytes(), flags).unwrap();
}

fn list(root: &Dir, path: &str) -> Result<Vec<String>, Error> {
    let listing = root.open_at(path, READ)?.dir()?.list()?;
    Ok(listing.iter().map(|entry| entry.name.to_string()).collect())
}

/// Asserts that lookups, reads and listings of a directory show the files of these layers.
fn assert_shows(root: &Dir, dir: &str, layers: usize, shown: &[usize], lists_first: bool) {
    let listed = |root: &Dir| {
        let mut names = list(root, dir).unwrap();
        names.retain(|name| name != "e");
        let mut expected = vec!["every".to_owned()];
        expected.extend(
            (0..layers)
                .filter(|at| shown.contains(at))
                .map(|at| format!("of-{at}")),
        );
        assert_eq!(names, expected);
    };
    if lists_first {
        listed(root);
    }
    for layer in 0..layers {
        let found = root.stat_at(&format!("{dir}/of-{layer}"), true);
        assert_eq!(found.is_ok(), shown.contains(&layer), "{dir}/of-{layer}");
    }
    let top = shown.iter().max().unwrap().to_string();
    assert_eq!(text(root, &format!("{dir}/every")), top);
    listed(root);
}

#[test]
fn opaque_directory_hides_only_lower_layers() {
    for opaque in 0..3 {
        for by_attribute in [false, true] {
            let layers = Layers::new(3);
            if by_attribute {
                set_attribute(&layers.at(opaque, "d"), "user.overlay.opaque", "y");
            } else {
                std::fs::write(layers.at(opaque, "d/.wh..wh..opq"), "").unwrap();
            }
            let shown: Vec<usize> = (opaque..3).collect();
            for limits in all_limits() {
                for lists_first in [false, true] {
                    let root = layers.mount(&limits);
                    assert_shows(&root, "d", 3, &shown, lists_first);
                    assert_shows(&root, "d/e/f", 3, &shown, lists_first);
                }
            }
        }
    }
}

/// Layers without `enter` were not queried for opaque directories below the topmost layer, so entries of
/// lower layers showed through.
#[test]
fn opaque_directory_of_a_memory_layer_hides_host_layers() {
    for limits in all_limits() {
        let layers = Layers::new(2);
        let between = MemoryLayer::build()
            .dir("d")
            .opaque("d")
            .file("d/of-2", b"");
        let between = Lower::new("between", between.finish().unwrap());
        let mut lowers = layers.lowers();
        lowers.insert(1, between);
        let root = mount(lowers, &limits);
        let names = list(&root, "d").unwrap();
        assert_eq!(names, ["e", "every", "of-1", "of-2"]);
        assert!(root.stat_at("d/of-0", true).is_err());
    }
}

/// Its own metadata is still visible, and it is harmless below an opaque directory.
#[test]
fn redirected_directory_is_refused_when_its_entries_are_accessed() {
    let layers = Layers::new(3);
    set_attribute(&layers.at(0, "d/e"), "user.overlay.redirect", "/elsewhere");
    let root = layers.mount(&Limits::default());
    assert!(root.stat_at("d/e", true).is_ok());
    let errors = [
        list(&root, "d/e").unwrap_err(),
        root.stat_at("d/e/f", true).unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.errno(), Errno::Unsupported);
        let words = error.to_string();
        assert!(words.contains("in d: `e` has the attribute"), "{words}");
    }
    std::fs::write(layers.at(1, "d/e/.wh..wh..opq"), "").unwrap();
    for limits in all_limits() {
        let root = layers.mount(&limits);
        assert_eq!(list(&root, "d/e").unwrap(), ["f"]);
        assert_shows(&root, "d/e/f", 3, &[1, 2], false);
    }
}

/// A directory that may be listed but not searched hides lower layers. The engine only listed it, found no
/// whiteout, and showed files of lower layers.
#[test]
fn unsearchable_directory_is_opaque() {
    if rustix::process::geteuid().is_root() {
        return; // Root may search every directory.
    }
    for mode in [0o444, 0o400, 0] {
        for limits in all_limits() {
            let layers = Layers::new(2);
            let closed = layers.at(1, "d");
            let set = |mode| std::fs::set_permissions(&closed, PermissionsExt::from_mode(mode));
            set(mode).unwrap();
            let root = layers.mount(&limits);
            assert!(root.stat_at("d", true).is_ok());
            let found = root.stat_at("d/of-0", true);
            set(0o755).unwrap();
            assert!(found.is_err(), "mode {mode:o}: a lower file is visible");
        }
    }
}

#[test]
fn layer_with_an_unsearchable_root_is_refused() {
    if rustix::process::geteuid().is_root() {
        return; // Root may search every directory.
    }
    let layers = Layers::new(1);
    let root = layers.at(0, "");
    let set = |mode| std::fs::set_permissions(&root, PermissionsExt::from_mode(mode));
    set(0o644).unwrap();
    let refused = host(&root);
    set(0o755).unwrap();
    fails(refused, Errno::Access);
}

/// A guest could not remove a lower file that the kernel's overlayfs had left as `metacopy`, until it made
/// something else in that directory: then the same call removed it. The engine had cached the name from a
/// listing by then, and did not query the layer again.
///
/// Every call on such a file must answer as in a new mount, and leave the same names.
#[test]
fn answers_do_not_depend_on_earlier_calls() {
    type Call = (&'static str, fn(&Dir, &str) -> Result<(), Error>);
    let calls: [Call; 7] = [
        ("unlink", |root, path| root.unlink_file_at(path)),
        ("rmdir", |root, path| root.remove_directory_at(path)),
        ("stat", |root, path| root.stat_at(path, false).map(drop)),
        ("open", |root, path| root.open_at(path, READ).map(drop)),
        ("rename", |root, path| root.rename_at(path, root, "d/moved")),
        ("replace", |root, path| root.rename_at("d/of-0", root, path)),
        ("link", |root, path| root.link_at(path, root, "d/linked")),
    ];
    let histories: [fn(&Dir); 6] = [
        |_| {},
        |root| root.create_directory_at("d/new").unwrap(),
        |root| drop(list(root, "d").unwrap()),
        |root| drop(root.open_at("d/every", READ).unwrap()),
        |root| root.unlink_file_at("d/every").unwrap(),
        |root| {
            root.rename_at("d/every", root, "d/renamed").unwrap();
            root.unlink_file_at("d/renamed").unwrap();
        },
    ];
    let layers = Layers::new(1);
    for (name, attribute) in [("white", "whiteout"), ("far", "metacopy")] {
        let at = layers.at(0, &format!("d/{name}"));
        std::fs::write(&at, "").unwrap();
        set_attribute(&at, &format!("user.overlay.{attribute}"), "");
    }
    for limits in all_limits() {
        let stack = LowerStack::new(layers.lowers(), &limits).unwrap();
        for name in ["white", "far"] {
            for (called, call) in calls {
                let answers = histories.map(|history| {
                    let overlay = Overlay::builder().stack(Arc::clone(&stack));
                    let root = overlay.upper_memory(1 << 20).build().unwrap().root();
                    history(&root);
                    let answer = call(&root, &format!("d/{name}"));
                    let mut names = list(&root, "d").unwrap();
                    names.retain(|name| !["new", "every"].contains(&&**name));
                    (answer.map_err(|error| error.errno()), names)
                });
                let refused = match (name, called) {
                    ("white", "replace") => None,
                    ("white", _) => Some(Errno::NoEntry),
                    (_, _) => Some(Errno::Unsupported),
                };
                assert_eq!(answers[0].0.err(), refused, "{called} of {name}");
                for answer in &answers[1..] {
                    assert_eq!(*answer, answers[0], "{called} of {name}");
                }
            }
        }
    }
}

#[test]
fn merged_directory_can_be_removed_once_it_is_empty() {
    let layers = Layers::new(3);
    for whiteout in [".wh.of-0", ".wh.none"] {
        std::fs::write(layers.at(2, &format!("d/e/f/{whiteout}")), "").unwrap();
    }
    // Hides the bottom layer.
    std::fs::write(layers.at(1, "d/.wh..wh..opq"), "").unwrap();
    for limits in all_limits() {
        let stack = LowerStack::new(layers.lowers(), &limits).unwrap();
        let overlay = Overlay::builder().stack(stack).upper_memory(1 << 20);
        let overlay = overlay.limits(limits).build().unwrap();
        let root = overlay.root();
        root.create_directory_at("d/e/f/new").unwrap();
        let files = ["every", "of-1", "of-2"];
        for dir in ["d/e/f", "d/e", "d"] {
            let refused = || root.remove_directory_at(dir).unwrap_err().errno();
            let (dirs, files): (&[_], &[_]) = match dir {
                "d/e/f" => (&["new"], &files),
                "d/e" => (&[], &[]),
                _ => (&[], &files),
            };
            for name in dirs {
                assert_eq!(refused(), Errno::NotEmpty, "{dir}: {name}");
                root.remove_directory_at(&format!("{dir}/{name}")).unwrap();
            }
            for name in files {
                assert_eq!(refused(), Errno::NotEmpty, "{dir}: {name}");
                root.unlink_file_at(&format!("{dir}/{name}")).unwrap();
            }
            root.remove_directory_at(dir).unwrap();
        }
    }
}
