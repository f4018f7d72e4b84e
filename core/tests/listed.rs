//! What a listing tells is not asked for again, and what it does not tell is not shown.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use wasi_overlay_core::layer::{Found, Layer, Listed, MemoryDir, MemoryFile, MemoryLayer};
use wasi_overlay_core::{
    Dir, Errno, Kind, Limits, Lower, LowerStack, Meta, Name, OpenHow, Opened, Overlay, Result,
};

/// A layer that counts how often it is asked for a name, and lists one that is reserved.
struct Asked {
    layer: MemoryLayer,
    finds: Arc<AtomicUsize>,
}

impl Layer for Asked {
    type Dir = MemoryDir;
    type File = MemoryFile;

    fn root(&self) -> Result<MemoryDir> {
        self.layer.root()
    }

    fn dir_meta(&self, dir: &MemoryDir) -> Result<Meta> {
        self.layer.dir_meta(dir)
    }

    fn is_opaque(&self, dir: &MemoryDir) -> Result<bool> {
        self.layer.is_opaque(dir)
    }

    fn find(&self, dir: &MemoryDir, name: Name<'_>) -> Result<Found> {
        self.finds.fetch_add(1, Ordering::Relaxed);
        self.layer.find(dir, name)
    }

    fn open_dir(&self, dir: &MemoryDir, name: Name<'_>) -> Result<MemoryDir> {
        self.layer.open_dir(dir, name)
    }

    fn open_file(&self, dir: &MemoryDir, name: Name<'_>) -> Result<MemoryFile> {
        self.layer.open_file(dir, name)
    }

    fn read_link(&self, dir: &MemoryDir, name: Name<'_>) -> Result<Box<[u8]>> {
        self.layer.read_link(dir, name)
    }

    fn list(
        &self,
        dir: &MemoryDir,
        each: &mut dyn FnMut(Name<'_>, Listed) -> ControlFlow<()>,
    ) -> Result<()> {
        let listed = Listed::Here {
            kind: Kind::File,
            inode: 1,
        };
        if each(Name::new(b".wh.odd")?, listed).is_break() {
            return Ok(());
        }
        self.layer.list(dir, each)
    }
}

/// A mount of `d/file`, `d/other`, `d/link` and `d/sub`, and how often a layer was asked for names.
fn mount(table_entries: usize) -> (Overlay, Arc<AtomicUsize>) {
    let layer = MemoryLayer::build()
        .dir("d")
        .file("d/file", b"lower")
        .file("d/other", b"lower")
        .symlink("d/link", "file")
        .dir("d/sub");
    let finds = Arc::new(AtomicUsize::new(0));
    let asked = Asked {
        layer: layer.finish().unwrap(),
        finds: Arc::clone(&finds),
    };
    let mut limits = Limits::default();
    limits.table_entries = table_entries;
    let stack = LowerStack::new([Lower::new("asked", asked)], &limits).unwrap();
    let overlay = Overlay::builder().stack(stack).upper_memory(1 << 20);
    (overlay.build().unwrap(), finds)
}

fn names(dir: &Dir) -> Vec<String> {
    let listing = dir.list().unwrap();
    listing.iter().map(|entry| entry.name.to_string()).collect()
}

fn open(root: &Dir, path: &str) -> Opened {
    let how = OpenHow {
        read: true,
        ..OpenHow::default()
    };
    root.open_at(path, how).unwrap()
}

fn fails<T>(result: Result<T>, errno: Errno) {
    assert_eq!(result.err().map(|error| error.errno()), Some(errno));
}

#[test]
fn to_remove_a_file_nobody_looks_at_it() {
    let (overlay, finds) = mount(100);
    let root = overlay.root();
    let sub = open(&root, "d");
    root.create_directory_at("d/new").unwrap();
    let before = finds.load(Ordering::Relaxed);
    root.unlink_file_at("d/link").unwrap();
    sub.dir().unwrap().unlink_file_at("other").unwrap();
    assert_eq!(finds.load(Ordering::Relaxed), before);
    assert_eq!(names(sub.dir().unwrap()), ["file", "new", "sub"]);
    for gone in ["d/link", "d/other"] {
        fails(root.stat_at(gone, false), Errno::NoEntry);
        fails(root.unlink_file_at(gone), Errno::NoEntry);
    }
    assert_eq!(root.stat_at("d/file", true).unwrap().size, 5);
}

/// Whether names are in a table or asked for one at a time.
#[test]
fn what_may_not_be_removed_stays() {
    for table_entries in [100, 1] {
        let (overlay, _) = mount(table_entries);
        let root = overlay.root();
        root.create_directory_at("d/new").unwrap();
        fails(root.unlink_file_at("d/sub"), Errno::IsDirectory);
        fails(root.unlink_file_at("d/new"), Errno::IsDirectory);
        fails(root.unlink_file_at("d/file/"), Errno::NotDirectory);
        fails(root.unlink_file_at("d/none"), Errno::NoEntry);
        fails(root.unlink_file_at("d/.wh.odd"), Errno::NoEntry);
        fails(
            overlay.read_only_root().unlink_file_at("d/file"),
            Errno::ReadOnly,
        );
        fails(root.remove_directory_at("d/file"), Errno::NotDirectory);
        let d = open(&root, "d");
        assert_eq!(
            names(d.dir().unwrap()),
            ["file", "link", "new", "other", "sub"]
        );
    }
}

/// A file that is open has a node, which has to learn that it lost its name.
#[test]
fn an_open_file_is_still_there_when_its_name_is_not() {
    for table_entries in [100, 1] {
        let (overlay, _) = mount(table_entries);
        let root = overlay.root();
        root.create_directory_at("d/new").unwrap();
        let opened = open(&root, "d/file");
        let file = opened.file().unwrap();
        root.unlink_file_at("d/file").unwrap();
        assert_eq!(file.stat().unwrap().links, 0);
        assert_eq!(file.read_vec_at(9, 0).unwrap(), b"lower");
        fails(root.stat_at("d/file", true), Errno::NoEntry);
    }
}

/// In a directory that only the layers have, and in one that the upper has too; and a listing is
/// whole when the mount is gone.
#[test]
fn listed_numbers_are_those_of_the_files_and_reserved_names_are_not_listed() {
    for table_entries in [100, 1] {
        let (overlay, _) = mount(table_entries);
        let root = overlay.root();
        let opened = open(&root, "d");
        let d = opened.dir().unwrap();
        let mut kept = Vec::new();
        for expected in [
            &["file", "link", "other", "sub"][..],
            &["file", "link", "new", "other", "sub"],
        ] {
            assert_eq!(names(d), expected);
            let listing = d.list().unwrap();
            for entry in listing.iter() {
                let identity = d.identity_at(entry.name.to_str().unwrap(), false);
                assert_eq!(entry.inode(), identity.unwrap().lower, "{}", entry.name);
            }
            kept.push((d.list().unwrap(), expected));
            if expected.len() == 4 {
                d.create_directory_at("new").unwrap();
            }
        }
        drop((opened, root, overlay));
        for (listing, expected) in kept {
            assert_eq!(listing.len(), expected.len());
            assert!(listing.get(expected.len()).is_none());
            let numbers: std::collections::BTreeSet<_> =
                listing.iter().map(|entry| entry.inode()).collect();
            assert_eq!(numbers.len(), expected.len());
        }
    }
}
