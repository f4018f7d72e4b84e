//! Directory listings: the overlay uses what a layer's listing says, and does not query the layer again.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use wasi_overlay_core::layer::{Entered, Found, Layer, Listed, MemoryDir, MemoryFile, MemoryLayer};
use wasi_overlay_core::{
    Dir, Errno, Kind, Limits, Lower, LowerStack, Meta, Name, Opened, Overlay, Result,
};
use wasi_overlay_proof::kit::{READ, fails, names};
use wasi_overlay_proof::memory_layer_methods;

/// A layer that counts its `find` calls, and lists a reserved name.
struct Counting {
    layer: MemoryLayer,
    finds: Arc<AtomicUsize>,
    /// Whether the metadata of its directories cannot be read.
    is_broken: Arc<AtomicBool>,
}

impl Counting {
    fn layer(&self) -> &MemoryLayer {
        &self.layer
    }
}

impl Layer for Counting {
    type Dir = MemoryDir;
    type File = MemoryFile;

    memory_layer_methods!(root is_opaque open_dir read_link);

    fn dir_meta(&self, dir: &MemoryDir) -> Result<Meta> {
        if self.is_broken.load(Ordering::Relaxed) {
            return Err(Errno::Io.into());
        }
        self.layer.dir_meta(dir)
    }

    fn find(&self, dir: &MemoryDir, name: Name<'_>) -> Result<Found> {
        self.finds.fetch_add(1, Ordering::Relaxed);
        self.layer.find(dir, name)
    }

    fn enter(&self, dir: &MemoryDir, name: Name<'_>) -> Result<Option<Entered<MemoryDir>>> {
        let dir = self.layer.open_dir(dir, name)?;
        Ok(Some(Entered {
            meta: self.layer.dir_meta(&dir)?,
            opaque: self.layer.is_opaque(&dir)?,
            dir,
        }))
    }

    fn open_file(&self, dir: &MemoryDir, name: Name<'_>) -> Result<MemoryFile> {
        self.layer.open_file(dir, name)
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

/// A mount of layers that count their `find` calls.
struct Mounted {
    overlay: Overlay,
    finds: Arc<AtomicUsize>,
    is_broken: Arc<AtomicBool>,
}

fn mount_all(layers: Vec<MemoryLayer>, table_entries: usize) -> Mounted {
    let (finds, is_broken) = (Arc::default(), Arc::default());
    let mut limits = Limits::default();
    limits.table_entries = table_entries;
    let lowers = layers.into_iter().map(|layer| {
        let counting = Counting {
            layer,
            finds: Arc::clone(&finds),
            is_broken: Arc::clone(&is_broken),
        };
        Lower::new("counting", counting)
    });
    let stack = LowerStack::new(lowers, &limits).unwrap();
    let overlay = Overlay::builder().stack(stack).upper_memory(1 << 20);
    Mounted {
        overlay: overlay.build().unwrap(),
        finds,
        is_broken,
    }
}

/// A mount of `d/file`, `d/other`, `d/link` and `d/sub`, and the counter of its layer.
fn mount(table_entries: usize) -> (Overlay, Arc<AtomicUsize>) {
    let layer = MemoryLayer::build()
        .dir("d")
        .file("d/file", b"lower")
        .file("d/other", b"lower")
        .symlink("d/link", "file")
        .dir("d/sub");
    let mounted = mount_all(vec![layer.finish().unwrap()], table_entries);
    (mounted.overlay, mounted.finds)
}

fn open(root: &Dir, path: &str) -> Opened {
    root.open_at(path, READ).unwrap()
}

/// However many names of the directory are cached.
#[test]
fn removal_queries_the_layer_once() {
    let (overlay, finds) = mount(100);
    let root = overlay.root();
    let sub = open(&root, "d");
    root.create_directory_at("d/new").unwrap();
    let before = finds.load(Ordering::Relaxed);
    root.unlink_file_at("d/link").unwrap();
    sub.dir().unwrap().unlink_file_at("other").unwrap();
    assert_eq!(finds.load(Ordering::Relaxed), before + 2);
    assert_eq!(names(sub.dir().unwrap()), ["file", "new", "sub"]);
    for gone in ["d/link", "d/other"] {
        fails(root.stat_at(gone, false), Errno::NoEntry);
        fails(root.unlink_file_at(gone), Errno::NoEntry);
    }
    assert_eq!(root.stat_at("d/file", true).unwrap().size, 5);
}

/// With a complete table of names, and with single lookups.
#[test]
fn refused_removals_remove_nothing() {
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

#[test]
fn open_file_outlives_its_name() {
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

/// The inode numbers of the entries of a directory, by `identity-at`.
fn numbers(dir: &Dir) -> Vec<u64> {
    let number = |name: &String| dir.identity_at(name, false).unwrap().lower;
    names(dir).iter().map(number).collect()
}

/// In a lower directory and in a merged one. The listing outlives its mount.
#[test]
fn listing_has_inode_numbers_and_omits_reserved_names() {
    for table_entries in [100, 1] {
        for (expected, makes_one) in [
            (&["file", "link", "other", "sub"][..], false),
            (&["file", "link", "new", "other", "sub"], true),
        ] {
            let (overlay, _) = mount(table_entries);
            let root = overlay.root();
            let opened = open(&root, "d");
            let d = opened.dir().unwrap();
            if makes_one {
                d.create_directory_at("new").unwrap();
            }
            let (listing, numbers) = (d.list().unwrap(), numbers(d));
            drop((opened, root, overlay));
            let listed = listing.iter().map(|entry| entry.name.to_string());
            assert_eq!(listed.collect::<Vec<_>>(), expected);
            let listed = listing.iter().map(|entry| entry.inode().unwrap());
            assert_eq!(listed.collect::<Vec<_>>(), numbers);
            assert!(listing.get(expected.len()).is_none());
        }
    }
}

/// An embedder that numbered files by their listing took two files for one: while a layer failed,
/// `ListingEntry::inode` was 0 for all of them, which is also what a listing without numbers says.
#[test]
fn inode_reports_a_layer_error_and_queries_again() {
    let layer = |name: &str| MemoryLayer::build().dir("d").file(format!("d/{name}"), b"");
    let layers = ["below", "above"].map(|name| layer(name).finish().unwrap());
    let mounted = mount_all(layers.into(), 100);
    let root = mounted.overlay.root();
    let opened = open(&root, "d");
    let listing = opened.dir().unwrap().list().unwrap();
    mounted.is_broken.store(true, Ordering::Relaxed);
    fails(listing.find_inodes(), Errno::Io);
    for entry in listing.iter() {
        fails(entry.inode(), Errno::Io);
    }
    mounted.is_broken.store(false, Ordering::Relaxed);
    listing.find_inodes().unwrap();
    let listed: Vec<_> = listing.iter().map(|entry| entry.inode().unwrap()).collect();
    assert_eq!(listed, numbers(opened.dir().unwrap()));
}
