//! Files that have more or less data than the size that their layer reports.
//!
//! Files of procfs report size 0, those of sysfs one page, and a FUSE server may report any size. A program that
//! reads such a file on a plain directory reads until the end, and a copy-up must do the same.
#![cfg(feature = "dir")]

use std::any::Any;
use std::ops::{ControlFlow, Range};
use std::path::Path;
use wasi_overlay_core::layer::{Found, Layer, Listed, MemoryDir, MemoryFile, MemoryLayer, ReadAt};
use wasi_overlay_core::{Dir, Errno, Lower, Meta, Name, Overlay, OverlayBuilder, Result};
use wasi_overlay_proof::kit::{CREATE, READ, WRITE, capability, fails, file};
use wasi_overlay_proof::memory_layer_methods;

/// The metadata that a layer reports for its files.
#[derive(Clone, Copy, Debug)]
struct Reported {
    /// The size by name.
    size: u64,
    /// The size of an open file.
    open_size: u64,
    /// Whether there are holes.
    sparse: bool,
    /// Whether `next_data` skips holes.
    knows_holes: bool,
    /// The maximum length of a read.
    most: usize,
}

impl Reported {
    fn size(size: u64) -> Self {
        Self {
            size,
            open_size: size,
            sparse: false,
            knows_holes: false,
            most: usize::MAX,
        }
    }
}

/// A layer that reports this of all its files.
struct Lying(MemoryLayer, Reported);

struct LyingFile(MemoryFile, Reported);

impl ReadAt for LyingFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let length = buffer.len().min(self.1.most);
        self.0.read_at(&mut buffer[..length], offset)
    }

    fn meta(&self) -> Result<Meta> {
        Ok(Meta {
            size: self.1.open_size,
            ..self.0.meta()?
        })
    }

    fn next_data(&self, offset: u64) -> Result<Option<Range<u64>>> {
        if self.1.knows_holes {
            return self.0.next_data(offset);
        }
        let size = self.1.open_size;
        Ok((offset < size).then_some(offset..size))
    }

    fn native(&self) -> Option<&dyn Any> {
        None
    }
}

impl Lying {
    fn layer(&self) -> &MemoryLayer {
        &self.0
    }
}

impl Layer for Lying {
    type Dir = MemoryDir;
    type File = LyingFile;

    memory_layer_methods!(root dir_meta is_opaque open_dir read_link list);

    fn find(&self, dir: &MemoryDir, name: Name<'_>) -> Result<Found> {
        let mut found = self.0.find(dir, name)?;
        if let Found::Here { meta, .. } = &mut found {
            meta.size = self.1.size;
            meta.allocated = self.1.sparse.then_some(0);
        }
        Ok(found)
    }

    fn open_file(&self, dir: &MemoryDir, name: Name<'_>) -> Result<LyingFile> {
        Ok(LyingFile(self.0.open_file(dir, name)?, self.1))
    }
}

/// The data of a file, read in steps of `step` bytes.
fn read(root: &Dir, path: &str, step: usize) -> Vec<u8> {
    let file = file(root, path, READ);
    let mut bytes = Vec::new();
    loop {
        let more = file.read_vec_at(step, bytes.len() as u64).unwrap();
        if more.is_empty() {
            return bytes;
        }
        bytes.extend(more);
    }
}

/// Runs `test` on a mount with a memory upper, and on one with a directory upper.
fn on_both(lower: &dyn Fn() -> Lower, test: &dyn Fn(&Dir)) {
    let mount = |builder: OverlayBuilder| {
        let overlay = builder.lower(lower()).volatile(true).obey_modes(false);
        test(&overlay.build().unwrap().root());
    };
    mount(Overlay::builder().upper_memory(1 << 30));
    let temp = tempfile::tempdir().unwrap();
    mount(Overlay::builder().upper_dir("upper", capability(temp.path())));
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

/// Appending `+` to a lower `/proc/version` left the file `+`: its size is 0, so nothing was copied. A file whose
/// reported size was too small lost its end, also for readers.
#[test]
fn file_with_a_wrong_size_is_read_and_copied_completely() {
    let lengths = [0, 1, 10, 4095, 4096, 5000, 65_535, 65_536, 65_537, 200_000];
    for length in lengths {
        let content = pattern(length);
        let layer = MemoryLayer::build().file("f", &content).finish().unwrap();
        let true_size = length as u64;
        for size in [
            0,
            1,
            true_size / 2,
            true_size.saturating_sub(1),
            true_size,
            true_size + 1,
            4096,
            65_536,
            1 << 20,
        ] {
            for most in [usize::MAX, 5000, 7] {
                for sparse in [false, true] {
                    let reported = Reported {
                        most,
                        sparse,
                        ..Reported::size(size)
                    };
                    // A read that ends at the reported size counts as the end of the file.
                    if most as u64 == size || (most == 7 && length > 10_000) {
                        continue;
                    }
                    let case = format!("{length} bytes, {reported:?}");
                    let lower = || Lower::new("lying", Lying(layer.clone(), reported));
                    on_both(&lower, &|root| {
                        for step in [100, 70_000] {
                            assert!(read(root, "f", step) == content, "read: {case}");
                        }
                        file(root, "f", WRITE).append(b"+").unwrap();
                        let expected = [&content[..], b"+"].concat();
                        assert!(read(root, "f", 70_000) == expected, "copied: {case}");
                        let size = root.stat_at("f", true).unwrap().size;
                        assert_eq!(size, expected.len() as u64, "{case}");
                    });
                }
            }
        }
    }
}

/// Also with a hole at the end, and if the file is longer than reported.
#[test]
fn sparse_file_with_a_wrong_size_is_copied_completely() {
    let memory = MemoryLayer::with_capacity(1 << 24);
    let writer = Overlay::builder().upper("memory", memory.clone());
    let writer = writer.build().unwrap();
    let sparse = file(&writer.root(), "f", CREATE);
    sparse.write_at(b"begin", 0).unwrap();
    sparse.write_at(b"middle", 1 << 20).unwrap();
    sparse.set_size(3 << 20).unwrap();
    let content = read(&writer.root(), "f", 1 << 20);
    drop(sparse);
    writer.close().unwrap();
    drop(writer);
    for size in [0, 100, 1 << 20, (1 << 20) + 3, 2 << 20, 3 << 20] {
        let reported = Reported {
            sparse: true,
            knows_holes: true,
            ..Reported::size(size)
        };
        let lower = || Lower::new("lying", Lying(memory.clone(), reported));
        on_both(&lower, &|root| {
            file(root, "f", WRITE).append(b"+").unwrap();
            let expected = [&content[..], b"+"].concat();
            assert!(read(root, "f", 1 << 20) == expected, "{size}");
        });
    }
}

/// If the open file is shorter than its name reported, the layer changed while mounted. The copy must not be
/// padded with zeroes.
#[test]
fn file_truncated_after_its_stat_is_not_copied() {
    for (length, size) in [
        (10, 11),
        (0, 1),
        (0, 100_000),
        (70_000, 70_001),
        (0, 5 << 20),
    ] {
        let layer = MemoryLayer::build().file("f", pattern(length));
        let layer = layer.finish().unwrap();
        for sparse in [false, true] {
            for knows_holes in [false, true] {
                let reported = Reported {
                    open_size: length as u64,
                    sparse,
                    knows_holes,
                    ..Reported::size(size)
                };
                let lower = || Lower::new("cut", Lying(layer.clone(), reported));
                on_both(&lower, &|root| {
                    let failed = root.open_at("f", WRITE).err().map(|error| error.errno());
                    assert_eq!(failed, Some(Errno::Io), "{length} bytes, {reported:?}");
                    assert_eq!(root.stat_at("f", true).unwrap().size, size);
                });
            }
        }
    }
}

/// The partial copy is removed.
#[test]
fn copy_up_of_an_endless_file_fails_when_the_upper_is_full() {
    struct Endless(MemoryLayer);
    struct EndlessFile(MemoryFile);
    impl ReadAt for EndlessFile {
        fn read_at(&self, buffer: &mut [u8], _offset: u64) -> Result<usize> {
            buffer.fill(b'0');
            Ok(buffer.len())
        }
        fn meta(&self) -> Result<Meta> {
            self.0.meta()
        }
    }
    impl Endless {
        fn layer(&self) -> &MemoryLayer {
            &self.0
        }
    }
    impl Layer for Endless {
        type Dir = MemoryDir;
        type File = EndlessFile;
        memory_layer_methods!(root dir_meta is_opaque find open_dir read_link list);
        fn open_file(&self, dir: &MemoryDir, name: Name<'_>) -> Result<EndlessFile> {
            self.0.open_file(dir, name).map(EndlessFile)
        }
    }
    let layer = MemoryLayer::build().file("zero", b"").finish().unwrap();
    let overlay = Overlay::builder()
        .lower(Lower::new("endless", Endless(layer)))
        .upper_memory(1 << 20);
    let overlay = overlay.build().unwrap();
    let stored = || overlay.usage().map(|usage| (usage.bytes, usage.inodes));
    let before = stored();
    fails(
        overlay.root().open_at("zero", WRITE),
        Errno::InsufficientSpace,
    );
    assert_eq!(stored(), before);
}

/// Files whose contents do not change by themselves.
#[test]
fn procfs_and_sysfs_files_are_read_and_copied_completely() {
    let places = [
        ("/proc", "version", 0),
        ("/proc/sys/kernel", "ostype", 0),
        ("/proc", "filesystems", 0),
        ("/sys/kernel/mm/transparent_hugepage", "enabled", 4096),
        ("/sys/kernel", "fscaps", 4096),
    ];
    for (place, name, size) in places {
        let path = Path::new(place).join(name);
        let (Ok(content), Ok(meta)) = (std::fs::read(&path), std::fs::metadata(&path)) else {
            eprintln!("skipped: {} cannot be read here", path.display());
            continue;
        };
        if meta.len() != size {
            eprintln!("note: the size of {} is {}", path.display(), meta.len());
        }
        let lower = || Lower::dir(place, capability(Path::new(place))).unwrap();
        on_both(&lower, &|root| {
            let plain = || read(root, name, 1 << 16);
            assert_eq!(plain(), content, "{}", path.display());
            assert_eq!(read(root, name, 3), content, "{}", path.display());
            file(root, name, WRITE).append(b"+").unwrap();
            assert_eq!(plain(), [&content[..], b"+"].concat());
        });
    }
}
