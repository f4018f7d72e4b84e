//! Tests of lowers with whiteouts in every format.

use super::*;
use crate::error::Errno;
use crate::plain::Plain;
use std::os::unix::fs::{PermissionsExt, symlink};

struct Lower {
    temp: tempfile::TempDir,
    layer: Marked<HostDir>,
}

impl Lower {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let layer = Marked::lower(host(temp.path()));
        Self { temp, layer }
    }

    fn write(&self, path: &str, data: &str) {
        std::fs::write(self.temp.path().join(path), data).unwrap();
    }

    fn dir(&self, path: &str) {
        std::fs::create_dir(self.temp.path().join(path)).unwrap();
    }

    fn attribute(&self, path: &str, attribute: &str, value: &str) {
        let (parent, text) = path.rsplit_once('/').unwrap_or(("", path));
        let plain = host(&self.temp.path().join(parent));
        let root = plain.root().unwrap();
        plain
            .set_xattr(
                &root,
                Some(name(text)),
                attribute.as_bytes(),
                value.as_bytes(),
            )
            .unwrap();
    }

    /// Whether this process may set attributes of the namespace.
    fn may_set(&self, namespace: &str) -> bool {
        let plain = host(self.temp.path());
        let root = plain.root().unwrap();
        let attribute = format!("{namespace}.origin");
        plain
            .set_xattr(&root, None, attribute.as_bytes(), b"x")
            .is_ok()
    }

    fn find(&self, path: &str) -> Result<Found> {
        let (parent, text) = path.rsplit_once('/').unwrap_or(("", path));
        self.layer.find(&walk(&self.layer, parent), name(text))
    }

    fn opaque(&self, path: &str) -> bool {
        match self.find(path).unwrap() {
            Found::Here { opaque, .. } => opaque,
            other => panic!("{path}: {other:?}"),
        }
    }

    /// Whether `enter` shows it as opaque.
    fn entered_opaque(&self, text: &str) -> Result<bool> {
        let root = self.layer.root()?;
        let entered = self.layer.enter(&root, name(text))?.unwrap();
        Ok(entered.opaque || self.layer.is_opaque(&entered.dir)?)
    }

    fn listed(&self, path: &str) -> BTreeMap<String, Listed> {
        listed(&self.layer, &walk(&self.layer, path))
    }
}

fn is_here(found: &Found) -> bool {
    matches!(found, Found::Here { .. })
}

#[test]
fn whiteouts_of_any_file_type_and_mode_hide() {
    let lower = Lower::new();
    lower.write(".wh.file", "not even empty");
    lower.dir(".wh.dir");
    symlink("nowhere", lower.temp.path().join(".wh.link")).unwrap();
    lower.write(".wh.closed", "");
    let closed = std::fs::Permissions::from_mode(0o0);
    std::fs::set_permissions(lower.temp.path().join(".wh.closed"), closed).unwrap();
    for hidden in ["file", "dir", "link", "closed"] {
        assert_eq!(lower.find(hidden).unwrap(), Found::Hidden, "{hidden}");
    }
    assert_eq!(lower.find("other").unwrap(), Found::Absent);
    let names = lower.listed("");
    assert!(names.values().all(|listed| *listed == Listed::Hidden));
    assert_eq!(
        names.keys().collect::<Vec<_>>(),
        ["closed", "dir", "file", "link"]
    );
}

#[test]
fn an_entry_takes_precedence_over_a_whiteout_beside_it() {
    let lower = Lower::new();
    lower.write("file", "here");
    lower.write(".wh.file", "");
    lower.dir("dir");
    lower.write(".wh.dir", "");
    assert!(is_here(&lower.find("file").unwrap()));
    assert!(
        lower.opaque("dir"),
        "a whiteout beside a directory makes it opaque"
    );
    assert!(matches!(lower.listed("")["file"], Listed::Here { .. }));
}

#[test]
fn reserved_names_are_invisible() {
    let lower = Lower::new();
    lower.write(".wh.file", "");
    lower.write(".wh..wh..opq", "");
    lower.dir(".wh..wh.work");
    let root = lower.layer.root().unwrap();
    for reserved in [".wh.file", ".wh..wh..opq", ".wh..wh.work", ".wh."] {
        assert_eq!(lower.find(reserved).unwrap(), Found::Absent);
        let file = lower.layer.open_file(&root, name(reserved));
        assert_eq!(file.err().unwrap().errno(), Errno::NoEntry);
        let dir = lower.layer.open_dir(&root, name(reserved));
        assert_eq!(dir.err().unwrap().errno(), Errno::NoEntry);
    }
    assert_eq!(lower.listed("").keys().collect::<Vec<_>>(), ["file"]);
}

#[test]
fn a_layer_with_a_malformed_whiteout_is_refused() {
    for broken in [".wh.", ".wh..", ".wh..."] {
        let lower = Lower::new();
        lower.write(broken, "");
        let root = lower.layer.root().unwrap();
        let error = lower
            .layer
            .list(&root, &mut |_, _| ControlFlow::Continue(()))
            .unwrap_err();
        assert_eq!(error.errno(), Errno::Unsupported);
        assert!(error.to_string().contains("the layer"), "{error}");
        assert!(error.to_string().contains(broken), "{error}");
    }
}

#[test]
fn a_character_device_0_0_hides() {
    let lower = Lower::new();
    let root = std::fs::File::open(lower.temp.path()).unwrap();
    let made = rustix::fs::mknodat(
        &root,
        "gone",
        rustix::fs::FileType::CharacterDevice,
        rustix::fs::Mode::empty(),
        0,
    );
    if made.is_err() {
        // Old kernels let only root create one.
        return;
    }
    assert_eq!(lower.find("gone").unwrap(), Found::Hidden);
    assert_eq!(lower.listed("")["gone"], Listed::Hidden);
}

#[test]
fn opaque_attributes_of_every_namespace_count() {
    for namespace in ["trusted.overlay", "user.overlay", "user.fuseoverlayfs"] {
        let lower = Lower::new();
        // Only root has `trusted.*`.
        if !lower.may_set(namespace) {
            continue;
        }
        for (dir, value) in [("y", "y"), ("x", "x"), ("n", "n")] {
            lower.dir(dir);
            lower.attribute(dir, &format!("{namespace}.opaque"), value);
        }
        for (dir, opaque) in [("y", true), ("x", false), ("n", false)] {
            assert_eq!(lower.opaque(dir), opaque);
            assert_eq!(lower.entered_opaque(dir).unwrap(), opaque);
        }
    }
}

/// A listing that was stopped, or that failed, does not show that there is no opaque whiteout.
#[test]
fn an_incomplete_listing_does_not_prove_the_absence_of_an_opaque_whiteout() {
    let lower = Lower::new();
    lower.dir("dir");
    for file in 0..9 {
        lower.write(&format!("dir/{file}"), "");
    }
    lower.write("dir/.wh..wh..opq", "");
    for most in 0..11 {
        let dir = walk(&lower.layer, "dir");
        let mut names = 0;
        let listed = lower.layer.list(&dir, &mut |_, _| {
            names += 1;
            if names > most {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        assert!(listed.is_ok());
        assert!(lower.layer.is_opaque(&dir).unwrap(), "after {most} names");
    }
    lower.write("dir/.wh...", "");
    let dir = walk(&lower.layer, "dir");
    let listed = lower
        .layer
        .list(&dir, &mut |_, _| ControlFlow::Continue(()));
    assert_eq!(listed.unwrap_err().errno(), Errno::Unsupported);
    assert!(lower.layer.is_opaque(&dir).unwrap());
}

#[test]
fn whiteout_attributes_count_on_empty_files() {
    let lower = Lower::new();
    lower.dir("dir");
    lower.write("dir/gone", "");
    lower.write("dir/empty", "");
    lower.write("dir/full", "data");
    lower.attribute("dir/gone", "user.overlay.whiteout", "y");
    lower.attribute("dir/full", "user.overlay.whiteout", "y");
    assert_eq!(lower.find("dir/gone").unwrap(), Found::Hidden);
    assert!(is_here(&lower.find("dir/empty").unwrap()));
    assert!(is_here(&lower.find("dir/full").unwrap()));
    // The kernel checks for them in a listing only if the directory has the flag.
    assert!(matches!(lower.listed("dir")["gone"], Listed::Here { .. }));
    lower.attribute("dir", "user.overlay.opaque", "x");
    assert_eq!(lower.listed("dir")["gone"], Listed::Hidden);
    assert!(matches!(lower.listed("dir")["empty"], Listed::Here { .. }));
}

#[test]
fn content_in_another_layer_is_refused_and_never_served() {
    let lower = Lower::new();
    lower.dir("moved");
    lower.attribute("moved", "user.overlay.redirect", "/elsewhere");
    lower.write("body", "");
    let file = std::fs::File::options()
        .write(true)
        .open(lower.temp.path().join("body"))
        .unwrap();
    file.set_len(1 << 20).unwrap();
    lower.attribute("body", "user.overlay.metacopy", "");
    let errors = [
        ("moved", lower.find("moved").unwrap_err()),
        ("moved", lower.entered_opaque("moved").unwrap_err()),
        ("body", lower.find("body").unwrap_err()),
    ];
    for (refused, error) in errors {
        assert_eq!(error.errno(), Errno::Unsupported);
        let words = error.to_string();
        assert!(
            words.contains("the layer") && words.contains(refused),
            "{words}"
        );
    }
}

/// On ext4 and xfs attributes may take a block of their own, which counts like one of data. A file
/// of a few bytes whose data the kernel had left below then took as much storage as its size, and
/// was served as zeros.
#[test]
fn a_small_file_whose_data_lies_in_another_layer_is_refused_when_opened() {
    let lower = Lower::new();
    lower.write("body", "data");
    lower.attribute("body", "user.overlay.metacopy", "");
    let root = lower.layer.root().unwrap();
    let opened = lower.layer.open_file(&root, name("body")).err();
    let to_copy = lower.layer.open_to_copy(&root, name("body")).err();
    for error in [opened.unwrap(), to_copy.unwrap()] {
        assert_eq!(error.errno(), Errno::Unsupported);
        assert!(error.to_string().contains("metacopy"), "{error}");
    }
}

#[test]
fn overlay_attributes_are_not_shown() {
    let lower = Lower::new();
    lower.write("file", "x");
    lower.attribute("file", "user.overlay.origin", "x");
    lower.attribute("file", "user.fuseoverlayfs.origin", "x");
    lower.attribute("file", "user.mine", "x");
    let root = lower.layer.root().unwrap();
    let shown = lower.layer.xattrs(&root, Some(name("file"))).unwrap();
    let (_, to_copy) = lower.layer.open_to_copy(&root, name("file")).unwrap();
    for mut shown in [shown, to_copy] {
        shown.retain(|attribute| attribute.starts_with(b"user."));
        assert_eq!(shown, [Box::from(&b"user.mine"[..])]);
    }
    let hidden = lower
        .layer
        .xattr(&root, Some(name("file")), b"user.overlay.origin");
    assert_eq!(hidden.unwrap(), None);
}
