//! Files that have more or less data than the size that their layer reports.
//!
//! Files of procfs are of size 0, those of sysfs of one page, and a server behind FUSE may say what it
//! likes. A program that reads such a file on a plain directory reads until the end, and so has a copy-up.
#![cfg(feature = "dir")]

use std::any::Any;
use std::ops::{ControlFlow, Range};
use std::path::Path;
use wasi_overlay_core::layer::{Found, Layer, Listed, MemoryDir, MemoryFile, MemoryLayer, ReadAt};
use wasi_overlay_core::{Dir, Errno, Lower, Meta, Name, OpenHow, Overlay, OverlayBuilder, Result};
use wasi_overlay_proof::kit::{READ, WRITE, capability, try_file};

/// What a layer says of its files.
#[derive(Clone, Copy, Debug)]
struct Says {
    /// The size by name.
    size: u64,
    /// The size of an open file.
    open_size: u64,
    /// Whether there are holes.
    sparse: bool,
    /// Whether it finds holes, or takes all of the file for data.
    knows_holes: bool,
    /// Most bytes of one read.
    most: usize,
}

impl Says {
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

/// A layer that says this of all its files.
struct Lying(MemoryLayer, Says);

struct LyingFile(MemoryFile, Says);

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

impl Layer for Lying {
    type Dir = MemoryDir;
    type File = LyingFile;

    fn root(&self) -> Result<MemoryDir> {
        self.0.root()
    }

    fn dir_meta(&self, dir: &MemoryDir) -> Result<Meta> {
        self.0.dir_meta(dir)
    }

    fn is_opaque(&self, dir: &MemoryDir) -> Result<bool> {
        self.0.is_opaque(dir)
    }

    fn find(&self, dir: &MemoryDir, name: Name<'_>) -> Result<Found> {
        let mut found = self.0.find(dir, name)?;
        if let Found::Here { meta, .. } = &mut found {
            meta.size = self.1.size;
            meta.allocated = self.1.sparse.then_some(0);
        }
        Ok(found)
    }

    fn open_dir(&self, dir: &MemoryDir, name: Name<'_>) -> Result<MemoryDir> {
        self.0.open_dir(dir, name)
    }

    fn open_file(&self, dir: &MemoryDir, name: Name<'_>) -> Result<LyingFile> {
        Ok(LyingFile(self.0.open_file(dir, name)?, self.1))
    }

    fn read_link(&self, dir: &MemoryDir, name: Name<'_>) -> Result<Box<[u8]>> {
        self.0.read_link(dir, name)
    }

    fn list(
        &self,
        dir: &MemoryDir,
        each: &mut dyn FnMut(Name<'_>, Listed) -> ControlFlow<()>,
    ) -> Result<()> {
        self.0.list(dir, each)
    }
}

/// All that can be read, in steps of so many bytes.
fn read(root: &Dir, path: &str, step: usize) -> Vec<u8> {
    let file = try_file(root, path, READ).unwrap();
    let mut bytes = Vec::new();
    loop {
        let more = file.read_vec_at(step, bytes.len() as u64).unwrap();
        if more.is_empty() {
            return bytes;
        }
        bytes.extend(more);
    }
}

/// Mounts a layer, on an upper in memory and on one in a directory, and does this there.
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

/// `/proc/version` as a lower file, opened to append `+`, was the file `+`: its size is 0, so nothing of it
/// was copied. A file of a size that is too small lost its end, to readers as well.
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
                    let says = Says {
                        most,
                        sparse,
                        ..Says::size(size)
                    };
                    // A read that ends where the file is said to end is taken for one that met the end.
                    if most as u64 == size || (most == 7 && length > 10_000) {
                        continue;
                    }
                    let case = format!("{length} bytes, {says:?}");
                    let lower = || Lower::new("lying", Lying(layer.clone(), says));
                    on_both(&lower, &|root| {
                        for step in [100, 70_000] {
                            assert!(read(root, "f", step) == content, "read: {case}");
                        }
                        try_file(root, "f", WRITE).unwrap().append(b"+").unwrap();
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

/// Holes stay holes, also at the end, and also in a file that is longer than it says.
#[test]
fn sparse_file_with_a_wrong_size_is_copied_completely() {
    let memory = MemoryLayer::with_capacity(1 << 24);
    let writer = Overlay::builder().upper("memory", memory.clone());
    let writer = writer.build().unwrap();
    let how = OpenHow {
        create: true,
        ..WRITE
    };
    let sparse = try_file(&writer.root(), "f", how).unwrap();
    sparse.write_at(b"begin", 0).unwrap();
    sparse.write_at(b"middle", 1 << 20).unwrap();
    sparse.set_size(3 << 20).unwrap();
    let content = read(&writer.root(), "f", 1 << 20);
    drop(sparse);
    writer.close().unwrap();
    drop(writer);
    for size in [0, 100, 1 << 20, (1 << 20) + 3, 2 << 20, 3 << 20] {
        let says = Says {
            sparse: true,
            knows_holes: true,
            ..Says::size(size)
        };
        let lower = || Lower::new("lying", Lying(memory.clone(), says));
        on_both(&lower, &|root| {
            try_file(root, "f", WRITE).unwrap().append(b"+").unwrap();
            let expected = [&content[..], b"+"].concat();
            assert!(read(root, "f", 1 << 20) == expected, "{size}");
        });
    }
}

/// A layer that was cut while it was mounted is an error, and never a copy that ends in zeroes. An open file
/// that says what the name said is no such: its size is just not true.
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
                let says = Says {
                    open_size: length as u64,
                    sparse,
                    knows_holes,
                    ..Says::size(size)
                };
                let lower = || Lower::new("cut", Lying(layer.clone(), says));
                on_both(&lower, &|root| {
                    let failed = try_file(root, "f", WRITE).err().map(|error| error.errno());
                    assert_eq!(failed, Some(Errno::Io), "{length} bytes, {says:?}");
                    // Still the lower file.
                    assert_eq!(root.stat_at("f", true).unwrap().size, size);
                });
            }
        }
    }
}

/// A file without end fills the upper, as it would fill a disk; what was copied is given back.
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
    impl Layer for Endless {
        type Dir = MemoryDir;
        type File = EndlessFile;
        fn root(&self) -> Result<MemoryDir> {
            self.0.root()
        }
        fn dir_meta(&self, dir: &MemoryDir) -> Result<Meta> {
            self.0.dir_meta(dir)
        }
        fn is_opaque(&self, dir: &MemoryDir) -> Result<bool> {
            self.0.is_opaque(dir)
        }
        fn find(&self, dir: &MemoryDir, name: Name<'_>) -> Result<Found> {
            self.0.find(dir, name)
        }
        fn open_dir(&self, dir: &MemoryDir, name: Name<'_>) -> Result<MemoryDir> {
            self.0.open_dir(dir, name)
        }
        fn open_file(&self, dir: &MemoryDir, name: Name<'_>) -> Result<EndlessFile> {
            self.0.open_file(dir, name).map(EndlessFile)
        }
        fn read_link(&self, dir: &MemoryDir, name: Name<'_>) -> Result<Box<[u8]>> {
            self.0.read_link(dir, name)
        }
        fn list(
            &self,
            dir: &MemoryDir,
            each: &mut dyn FnMut(Name<'_>, Listed) -> ControlFlow<()>,
        ) -> Result<()> {
            self.0.list(dir, each)
        }
    }
    let layer = MemoryLayer::build().file("zero", b"").finish().unwrap();
    let overlay = Overlay::builder()
        .lower(Lower::new("endless", Endless(layer)))
        .upper_memory(1 << 20);
    let overlay = overlay.build().unwrap();
    let before = overlay.usage();
    let failed = try_file(&overlay.root(), "zero", WRITE).err();
    assert_eq!(
        failed.map(|error| error.errno()),
        Some(Errno::InsufficientSpace)
    );
    assert_eq!(overlay.usage(), before);
}

/// The real thing. What can be read there changes by itself in few files only.
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
            try_file(root, name, WRITE).unwrap().append(b"+").unwrap();
            assert_eq!(plain(), [&content[..], b"+"].concat());
        });
    }
}
