//! Archives in a stack: attributes of implied directories, whiteouts across archives and directories,
//! changes on top.

use crate::archive::Archive;
use wasi_overlay_core::layer::{MemoryBuilder, MemoryLayer};
use wasi_overlay_core::{Dir, Limits, Lower, LowerStack, Overlay};

fn tar(archive: &Archive) -> Lower {
    Lower::tar("layer.tar", archive.finished()).unwrap()
}

fn memory(builder: MemoryBuilder) -> Lower {
    Lower::new("memory", builder.finish().unwrap())
}

fn root(lowers: impl IntoIterator<Item = Lower>) -> Dir {
    let stack = LowerStack::new(lowers, &Limits::default()).unwrap();
    let builder = Overlay::builder().stack(stack);
    builder.upper_memory(1 << 20).build().unwrap().root()
}

/// Mode, user and modification time.
fn attributes(root: &Dir, path: &str) -> (u32, u32, i64) {
    let meta = root.meta_at(path, true).unwrap();
    let modified = meta.modified.seconds;
    (meta.mode.unwrap(), meta.owner.unwrap().0, modified)
}

#[test]
fn implied_directory_takes_its_attributes_from_below() {
    let base = Archive::default()
        .owned_dir("secret", 0o700, 9)
        .file("secret/old", b"");
    let top = Archive::default().file("secret/new", b"");
    for table_entries in [4096, 0] {
        let mut limits = Limits::default();
        limits.table_entries = table_entries;
        let lowers = [tar(&base), tar(&top), tar(&top)];
        let stack = LowerStack::new(lowers, &limits).unwrap();
        let overlay = Overlay::builder().stack(stack).build().unwrap();
        let root = overlay.root();
        assert_eq!(attributes(&root, "secret"), (0o700, 9, 1_000_000_000));
        assert!(root.stat_at("secret/new", true).is_ok());
        assert!(root.stat_at("secret/old", true).is_ok());
    }
    // No layer has any.
    let root = root([tar(&top), tar(&top)]);
    assert_eq!(attributes(&root, "secret"), (0o755, 0, 0));
}

#[test]
fn implied_directory_takes_nothing_through_what_hides_the_layers_below() {
    let base = Archive::default()
        .owned_dir("d", 0o700, 9)
        .owned_dir("e", 0o700, 9);
    let middle = Archive::default().file(".wh.d", b"").file("e", b"a file");
    let top = Archive::default().file("d/x", b"").file("e/x", b"");
    let root_of_three = root([tar(&base), tar(&middle), tar(&top)]);
    assert_eq!(attributes(&root_of_three, "d"), (0o755, 0, 0));
    assert_eq!(attributes(&root_of_three, "e"), (0o755, 0, 0));
    // Opaque: it is another directory.
    let opaque = Archive::default().file("d/.wh..wh..opq", b"");
    let two = root([tar(&base), tar(&opaque)]);
    assert_eq!(attributes(&two, "d"), (0o755, 0, 0));
}

#[test]
fn root_takes_its_attributes_from_the_topmost_layer_that_has_them() {
    let with = |mode| Archive::default().dir("./", mode);
    let without = Archive::default().file("a", b"");
    // An upper has attributes of its own.
    let mode_of = |lowers: Vec<Lower>| {
        let stack = LowerStack::new(lowers, &Limits::default()).unwrap();
        let overlay = Overlay::builder().stack(stack).build().unwrap();
        overlay.root().meta_at(".", true).unwrap().mode
    };
    assert_eq!(mode_of(vec![tar(&with(0o711)), tar(&without)]), Some(0o711));
    let lowers = vec![tar(&with(0o711)), tar(&with(0o700)), tar(&without)];
    assert_eq!(mode_of(lowers), Some(0o700));
    assert_eq!(mode_of(vec![tar(&without)]), Some(0o755));
}

#[test]
fn extended_attributes_of_an_implied_directory_come_from_below() {
    let base = Archive::default()
        .records(&[("SCHILY.xattr.user.a", b"1")])
        .dir("d", 0o755);
    let top = Archive::default().file("d/x", b"");
    let root = root([tar(&base), tar(&top)]);
    assert_eq!(
        root.as_overlay()
            .unwrap()
            .xattr_at("d", true, b"user.a")
            .unwrap()
            .unwrap(),
        b"1"
    );
}

#[test]
fn numbers_of_listings_are_those_of_stats() {
    let base = Archive::default().dir("d", 0o700).file("d/old", b"");
    let top = Archive::default().file("d/new", b"").dir("e", 0o755);
    let root = root([tar(&base), tar(&top)]);
    let listing = root.list().unwrap();
    for at in 0..listing.len() {
        let entry = listing.get(at).unwrap();
        let name = entry.name.to_str().unwrap();
        let (_, identity) = root.stat_and_identity_at(name, false).unwrap();
        let inode = entry.inode().unwrap();
        assert_eq!(inode, identity.lower, "{name}");
    }
}

#[test]
fn whiteouts_of_an_archive_hide_what_other_layers_have() {
    let below = MemoryLayer::build()
        .file("gone", b"")
        .file("d/gone", b"")
        .file("d/stays", b"")
        .file("opaque/old", b"")
        .file("replaced/old", b"");
    let top = Archive::default()
        .file(".wh.gone", b"")
        .file("d/.wh.gone", b"")
        .file("opaque/.wh..wh..opq", b"")
        .file("opaque/new", b"")
        .file("replaced", b"a file");
    let above = MemoryLayer::build().file("gone", b"back");
    let root = root([memory(below), tar(&top), memory(above)]);
    assert_eq!(root.read("gone", 9).unwrap(), b"back");
    for (path, is_there) in [
        ("d/gone", false),
        ("d/stays", true),
        ("opaque/old", false),
        ("opaque/new", true),
        ("replaced/old", false),
        ("replaced", true),
    ] {
        assert_eq!(root.stat_at(path, true).is_ok(), is_there, "{path}");
    }
}

#[test]
fn file_of_an_archive_is_copied_up_with_its_holes_and_attributes() {
    let map = b"4096,5,1000000,5";
    let archive = Archive::default()
        .records(&[
            ("GNU.sparse.major", b"0"),
            ("GNU.sparse.minor", b"1"),
            ("GNU.sparse.size", b"2000000"),
            ("GNU.sparse.map", map),
            ("SCHILY.xattr.user.a", b"1"),
        ])
        .file("sparse", b"helloworld");
    let root = root([tar(&archive)]);
    let expected = |offset: usize, text: &[u8]| {
        let data = root.read("sparse", 2_000_000).unwrap();
        assert_eq!(data.len(), 2_000_000);
        assert_eq!(&data[offset..offset + text.len()], text);
        assert_eq!(data.iter().filter(|byte| **byte != 0).count(), 10);
    };
    expected(4096, b"hello");
    // Fits into an upper of one MiB because it has holes.
    root.set_times_at(
        "sparse",
        true,
        wasi_overlay_core::SetTimes {
            modified: wasi_overlay_core::SetTime::Now,
            ..Default::default()
        },
    )
    .unwrap();
    expected(1_000_000, b"world");
    assert_eq!(
        root.as_overlay()
            .unwrap()
            .xattr_at("sparse", true, b"user.a")
            .unwrap()
            .unwrap(),
        b"1"
    );
}

/// Ten overlays on stacks that share a layer index it once.
#[test]
fn clone_of_a_lower_is_the_same_layer() {
    let base = tar(&Archive::default().file("a", b"1"));
    let one = root([base.clone()]);
    let other = root([base.clone(), tar(&Archive::default().file("b", b"2"))]);
    assert_eq!(one.read("a", 1).unwrap(), other.read("a", 1).unwrap());
}
