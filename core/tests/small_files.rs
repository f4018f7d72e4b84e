//! The cache of the data of small lower files: the first read calls the layer, later ones do not.
#![cfg(feature = "conformance")]

use std::any::Any;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use wasi_overlay_core::layer::{Found, Layer, Listed, MemoryDir, MemoryFile, MemoryLayer, ReadAt};
use wasi_overlay_core::{Dir, Limits, Lower, LowerStack, Meta, Name, Overlay, Result};
use wasi_overlay_proof::kit::{READ, WRITE, file};
use wasi_overlay_proof::memory_layer_methods;

/// A layer that counts opens and reads.
struct Counting {
    layer: MemoryLayer,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    opens: AtomicUsize,
    reads: AtomicUsize,
}

impl Counts {
    /// The opens and reads since the last call of this.
    fn take(&self) -> (usize, usize) {
        let take = |count: &AtomicUsize| count.swap(0, Ordering::Relaxed);
        (take(&self.opens), take(&self.reads))
    }
}

struct CountingFile(MemoryFile, Arc<Counts>);

impl ReadAt for CountingFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        self.1.reads.fetch_add(1, Ordering::Relaxed);
        self.0.read_at(buffer, offset)
    }

    fn meta(&self) -> Result<Meta> {
        self.0.meta()
    }

    fn native(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl Counting {
    fn layer(&self) -> &MemoryLayer {
        &self.layer
    }
}

impl Layer for Counting {
    type Dir = MemoryDir;
    type File = CountingFile;

    memory_layer_methods!(root dir_meta is_opaque open_dir read_link list);

    fn find(&self, dir: &MemoryDir, name: Name<'_>) -> Result<Found> {
        let mut found = self.layer.find(dir, name)?;
        // As in procfs.
        if let (Found::Here { meta, .. }, b"says-empty") = (&mut found, name.as_bytes()) {
            meta.size = 0;
        }
        // As if the file was truncated since.
        if let (Found::Here { meta, .. }, b"shrunk") = (&mut found, name.as_bytes()) {
            meta.size += 1;
        }
        Ok(found)
    }

    fn open_file(&self, dir: &MemoryDir, name: Name<'_>) -> Result<CountingFile> {
        self.counts.opens.fetch_add(1, Ordering::Relaxed);
        let file = self.layer.open_file(dir, name)?;
        Ok(CountingFile(file, Arc::clone(&self.counts)))
    }
}

fn read(dir: &Dir, path: &str) -> Vec<u8> {
    let file = file(dir, path, READ);
    let mut bytes = Vec::new();
    loop {
        let more = file.read_vec_at(1 << 20, bytes.len() as u64).unwrap();
        if more.is_empty() {
            return bytes;
        }
        bytes.extend(more);
    }
}

fn stack(files: &[(&str, usize)], kept_data: usize) -> (Arc<LowerStack>, Arc<Counts>) {
    let mut layer = MemoryLayer::build();
    for (name, size) in files {
        layer = layer.file(*name, vec![b'x'; *size]);
    }
    let counts = Arc::new(Counts::default());
    let layer = Counting {
        layer: layer.finish().unwrap(),
        counts: Arc::clone(&counts),
    };
    let mut limits = Limits::default();
    limits.kept_data = kept_data;
    let stack = LowerStack::new([Lower::new("counting", layer)], &limits).unwrap();
    (stack, counts)
}

fn mount(stack: &Arc<LowerStack>) -> Dir {
    let overlay = Overlay::builder().stack(Arc::clone(stack));
    overlay.upper_memory(1 << 30).build().unwrap().root()
}

const SMALL: usize = 64 * 1024;

#[test]
fn cached_small_file_is_read_without_its_layer() {
    let (stack, counts) = stack(&[("d/small", 5000), ("most", SMALL)], 1 << 20);
    let (one, two) = (mount(&stack), mount(&stack));
    // The first read caches the whole file.
    assert_eq!(read(&one, "d/small"), [b'x'; 5000]);
    assert_eq!(counts.take(), (1, 1));
    for root in [&one, &two] {
        assert_eq!(read(root, "d/small"), [b'x'; 5000]);
        let file = file(root, "d/small", READ);
        let mut buffer = [0; 10];
        assert_eq!(file.read_at(&mut buffer, 4995).unwrap(), 5);
        assert_eq!(file.read_at(&mut buffer, 5000).unwrap(), 0);
        assert_eq!(file.read_at(&mut buffer, u64::MAX >> 1).ok(), None);
        assert_eq!(file.read_at(&mut buffer, (u64::MAX >> 1) - 10).unwrap(), 0);
        assert_eq!(file.read_at(&mut [], 0).unwrap(), 0);
        assert_eq!(file.stat().unwrap().size, 5000);
        assert!(file.native_reader().unwrap().is_none());
    }
    assert_eq!(counts.take(), (0, 0));
    assert_eq!(read(&one, "most").len(), SMALL);
    assert_eq!(read(&two, "most").len(), SMALL);
    assert_eq!(counts.take(), (1, 1));
}

#[test]
fn large_file_is_opened_once_and_each_read_is_one_call() {
    let (stack, counts) = stack(&[("large", SMALL + 1)], 1 << 20);
    let (one, two) = (mount(&stack), mount(&stack));
    assert_eq!(read(&one, "large").len(), SMALL + 1);
    counts.take();
    let large = file(&two, "large", READ);
    assert!(large.native_reader().unwrap().is_some());
    large.read_at(&mut [0; 4096], 1).unwrap();
    assert_eq!(counts.take(), (0, 1));
}

#[test]
fn cached_file_data_is_bounded() {
    let names: Vec<String> = (0..200).map(|name| format!("f{name}")).collect();
    let mut files: Vec<(&str, usize)> = names.iter().map(|name| (&**name, 4096)).collect();
    files.push(("heavy", SMALL));
    // Room for 23 of those files, with their overhead.
    let (stack, counts) = stack(&files, 100_000);
    let root = mount(&stack);
    for name in &names {
        assert_eq!(read(&root, name).len(), 4096);
        // Recently used, so it stays cached.
        assert_eq!(read(&root, "f0").len(), 4096);
    }
    counts.take();
    let mut cached = 0;
    for name in names.iter().rev() {
        read(&root, name);
        cached += usize::from(counts.take().1 == 0);
    }
    assert!((15..24).contains(&cached), "{cached} files are cached");
    // A file that does not fit into the cache is read from its layer.
    let (stack, counts) = self::stack(&files, 50_000);
    let root = mount(&stack);
    assert_eq!(read(&root, "heavy").len(), SMALL);
    counts.take();
    assert_eq!(read(&root, "heavy").len(), SMALL);
    assert_eq!(counts.take(), (0, 2));
}

#[test]
fn file_with_a_wrong_size_is_read_completely() {
    let (stack, counts) = stack(&[("says-empty", 10), ("shrunk", 10)], 1 << 20);
    let root = mount(&stack);
    for name in ["says-empty", "shrunk"] {
        for _ in 0..3 {
            assert_eq!(read(&root, name), [b'x'; 10], "{name}");
            assert!(counts.take().1 >= 2, "{name}");
        }
    }
}

#[test]
fn sparse_file_is_not_cached() {
    let lower = MemoryLayer::build().file("f", b"x").finish().unwrap();
    let upper = lower.clone();
    let overlay = Overlay::builder().upper("upper", upper).build().unwrap();
    let sparse = file(&overlay.root(), "f", WRITE);
    sparse.set_size(60_000).unwrap();
    drop(sparse);
    overlay.close().unwrap();
    drop(overlay);
    let counts = Arc::new(Counts::default());
    let layer = Counting {
        layer: lower,
        counts: Arc::clone(&counts),
    };
    let limits = Limits::default();
    let stack = LowerStack::new([Lower::new("sparse", layer)], &limits).unwrap();
    let root = mount(&stack);
    for _ in 0..2 {
        counts.take();
        assert_eq!(read(&root, "f").len(), 60_000);
        assert!(counts.take().1 > 0);
    }
}

/// The cache holds the data of the lower file. After a copy-up, open files of that overlay use the copy, and other
/// overlays on the stack do not.
#[test]
fn file_served_from_the_cache_follows_copy_up() {
    let (stack, counts) = stack(&[("f", 100)], 1 << 20);
    let (one, two) = (mount(&stack), mount(&stack));
    read(&one, "f");
    counts.take();
    let held = file(&one, "f", READ);
    let elsewhere = file(&two, "f", READ);
    file(&one, "f", WRITE).write_at(b"new", 0).unwrap();
    let mut buffer = [0; 4];
    assert_eq!(held.read_at(&mut buffer, 0).unwrap(), 4);
    assert_eq!(&buffer, b"newx");
    assert_eq!(elsewhere.read_at(&mut buffer, 0).unwrap(), 4);
    assert_eq!(&buffer, b"xxxx");
    one.unlink_file_at("f").unwrap();
    assert_eq!(held.read_at(&mut buffer, 0).unwrap(), 4);
    assert_eq!(&buffer, b"newx");
    assert_eq!(read(&two, "f"), [b'x'; 100]);
    // The copy was made from the cache.
    assert_eq!(counts.take(), (0, 0));
}
