//! Calls that must return at once: they never call a layer that may access a disk, and give the same answers as
//! other calls.

use std::cell::Cell;
use std::fmt::Debug;
use std::ops::ControlFlow;
use wasi_overlay_core::layer::{Found, Layer, Listed, MemoryLayer};
use wasi_overlay_core::{
    Dir, Errno, Limits, Lower, LowerStack, Meta, Name, OpenHow, Opened, Overlay, Result, at_once,
};
use wasi_overlay_proof::kit::{READ, try_file};

thread_local! {
    /// Whether this thread may call a layer of a disk.
    static MAY_CALL: Cell<bool> = const { Cell::new(true) };
}

/// A layer as one on a disk: it must not be called where an answer is wanted at once.
struct OnDisk(MemoryLayer);

fn called() {
    assert!(
        MAY_CALL.get(),
        "a layer is called where an answer is wanted at once"
    );
}

/// A file of such a layer.
struct FileOnDisk(<MemoryLayer as Layer>::File);

impl wasi_overlay_core::layer::ReadAt for FileOnDisk {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        called();
        self.0.read_at(buffer, offset)
    }

    fn meta(&self) -> Result<Meta> {
        called();
        self.0.meta()
    }
}

impl Layer for OnDisk {
    type Dir = <MemoryLayer as Layer>::Dir;
    type File = FileOnDisk;

    fn root(&self) -> Result<Self::Dir> {
        called();
        self.0.root()
    }

    fn dir_meta(&self, dir: &Self::Dir) -> Result<Meta> {
        called();
        self.0.dir_meta(dir)
    }

    fn is_opaque(&self, dir: &Self::Dir) -> Result<bool> {
        called();
        self.0.is_opaque(dir)
    }

    fn find(&self, dir: &Self::Dir, name: Name<'_>) -> Result<Found> {
        called();
        self.0.find(dir, name)
    }

    fn open_dir(&self, dir: &Self::Dir, name: Name<'_>) -> Result<Self::Dir> {
        called();
        self.0.open_dir(dir, name)
    }

    fn open_file(&self, dir: &Self::Dir, name: Name<'_>) -> Result<Self::File> {
        called();
        self.0.open_file(dir, name).map(FileOnDisk)
    }

    fn read_link(&self, dir: &Self::Dir, name: Name<'_>) -> Result<Box<[u8]>> {
        called();
        self.0.read_link(dir, name)
    }

    fn list(
        &self,
        dir: &Self::Dir,
        each: &mut dyn FnMut(Name<'_>, Listed) -> ControlFlow<()>,
    ) -> Result<()> {
        called();
        self.0.list(dir, each)
    }
}

/// What is answered at once.
fn now<T>(ask: impl FnOnce() -> T) -> Option<T> {
    MAY_CALL.set(false);
    let answer = at_once(ask);
    MAY_CALL.set(true);
    answer
}

const LARGE: usize = 100_000;

fn lower() -> Lower {
    let layer = MemoryLayer::build()
        .file("dir/small", b"data")
        .file("dir/large", [7; LARGE])
        .symlink("dir/link", "small")
        .dir("dir/empty")
        .file("top", b"");
    Lower::new("disk", OnDisk(layer.finish().unwrap()))
}

fn overlay() -> Overlay {
    let upper = Overlay::builder().lower(lower()).upper_memory(1 << 20);
    upper.build().unwrap()
}

/// Cold, the question gives none. Then it is asked where that may take a while, and then again.
fn asked_twice<T: Debug + PartialEq>(what: &str, ask: impl Fn() -> Result<T>) {
    assert!(now(&ask).is_none(), "{what}: nothing is known yet");
    let answer = ask().map_err(|error| error.errno());
    let again = now(&ask).unwrap_or_else(|| panic!("{what}: all is known"));
    assert_eq!(again.map_err(|error| error.errno()), answer, "{what}");
}

/// What it is called, and what asks it.
type Question<'a> = (&'a str, &'a dyn Fn(&Dir) -> Result<String>);

#[test]
fn repeated_query_is_answered_at_once() {
    let read = |root: &Dir, path: &str, how: OpenHow| {
        let file = try_file(root, path, how)?;
        file.read_vec_at(10, 1)
    };
    // Each on an overlay of its own, where nobody asked for anything.
    let ask: [Question<'_>; 9] = [
        ("stat", &|root| {
            Ok(format!("{:?}", root.stat_at("dir/small", true)?))
        }),
        ("stat of a link", &|root| {
            Ok(format!("{:?}", root.stat_at("dir/link", true)?))
        }),
        ("hash", &|root| {
            Ok(format!("{:?}", root.identity_at("dir/small", true)?))
        }),
        ("a missing name", &|root| {
            Ok(format!("{:?}", root.stat_at("dir/none", true)?))
        }),
        ("no directory", &|root| {
            Ok(format!("{:?}", root.stat_at("top/none", true)?))
        }),
        ("a link", &|root| root.readlink_at("dir/link")),
        ("data", &|root| {
            Ok(format!("{:?}", read(root, "dir/small", READ)?))
        }),
        ("listing", &|root| {
            let directory = OpenHow {
                directory: true,
                ..READ
            };
            let Opened::Dir(dir) = root.open_at("dir", directory)? else {
                panic!("a file")
            };
            let names: Vec<_> = dir
                .list()?
                .iter()
                .map(|entry| format!("{entry:?}"))
                .collect();
            Ok(names.join(","))
        }),
        ("an exclusive open", &|root| {
            let how = OpenHow {
                create: false,
                exclusive: true,
                ..READ
            };
            read(root, "dir/small", how).map(|data| format!("{data:?}"))
        }),
    ];
    for (what, ask) in ask {
        let root = overlay().root();
        asked_twice(what, || ask(&root));
    }
}

/// A stack that is warm serves the guests of all overlays on it: a request of a few milliseconds
/// has an overlay of its own.
#[test]
fn a_new_overlay_on_a_warm_stack_answers_at_once() {
    let stack = LowerStack::new([lower()], &Limits::default()).unwrap();
    let request = || {
        let overlay = Overlay::builder()
            .stack(stack.clone())
            .upper_memory(1 << 20);
        overlay.build().unwrap().root()
    };
    let serve = |root: &Dir| {
        let Opened::Dir(dir) = root.open_at(
            "dir",
            OpenHow {
                directory: true,
                ..READ
            },
        )?
        else {
            panic!("a file");
        };
        let names = dir.list()?.len();
        let data = try_file(root, "dir/small", READ)?.read_vec_at(10, 0)?;
        Ok::<_, wasi_overlay_core::Error>((names, data))
    };
    let first = request();
    assert!(now(|| serve(&first)).is_none());
    assert_eq!(serve(&first).unwrap(), (4, b"data".to_vec()));
    let next = request();
    let served = now(|| serve(&next)).expect("all is known");
    assert_eq!(served.unwrap(), (4, b"data".to_vec()));
}

/// What a file of a disk holds may have to be read from it.
#[test]
fn uncached_file_is_never_read_at_once() {
    let root = overlay().root();
    let large = try_file(&root, "dir/large", READ).unwrap();
    for _ in 0..2 {
        assert!(now(|| large.read_vec_at(1, 0)).is_none());
        assert_eq!(large.read_vec_at(9, 99_995).unwrap().len(), 5);
    }
    // A range that no file has is refused without looking at it.
    let refused = now(|| large.read_vec_at(1, u64::MAX)).expect("no file is read");
    assert_eq!(refused.unwrap_err().errno(), Errno::Invalid);
}

/// The upper is in memory, so its files are read and written at once; names change where it may take
/// a while, since what they hide is looked up in the layers below.
#[test]
fn data_in_memory_is_read_and_written_at_once() {
    let root = overlay().root();
    let create = OpenHow {
        create: true,
        write: true,
        ..READ
    };
    assert!(now(|| root.open_at("new", create)).is_none());
    assert_eq!(
        root.stat_at("new", true).unwrap_err().errno(),
        Errno::NoEntry
    );
    let new = try_file(&root, "new", create).unwrap();
    assert_eq!(now(|| new.write_at(b"data", 0)).unwrap().unwrap(), 4);
    assert_eq!(now(|| new.append(b"more")).unwrap().unwrap(), 4);
    now(|| new.set_size(6)).unwrap().unwrap();
    assert_eq!(now(|| new.read_vec_at(9, 0)).unwrap().unwrap(), b"datamo");
    assert_eq!(now(|| root.stat_at("new", true)).unwrap().unwrap().size, 6);

    let write = OpenHow {
        write: true,
        ..READ
    };
    assert!(now(|| root.open_at("dir/small", write)).is_none());
    let changes: [(&str, &dyn Fn() -> Result<()>); 6] = [
        ("mkdir", &|| root.create_directory_at("d")),
        ("rmdir", &|| root.remove_directory_at("dir/empty")),
        ("unlink", &|| root.unlink_file_at("new")),
        ("rename", &|| root.rename_at("new", &root, "other")),
        ("link", &|| root.link_at("new", &root, "other")),
        ("symlink", &|| root.symlink_at("new", "other")),
    ];
    let before = format!("{:?}", root.list().unwrap().iter().collect::<Vec<_>>());
    for (what, change) in changes {
        assert!(now(change).is_none(), "{what}");
        let after = format!("{:?}", root.list().unwrap().iter().collect::<Vec<_>>());
        assert_eq!(after, before, "{what} changed something");
    }
}

/// A file that is copied up while it is open is read on: from memory, where the upper is there.
#[test]
fn a_copy_in_memory_is_read_at_once() {
    let root = overlay().root();
    let open = try_file(&root, "dir/large", READ).unwrap();
    let write = OpenHow {
        write: true,
        ..READ
    };
    try_file(&root, "dir/large", write)
        .unwrap()
        .write_at(b"x", 0)
        .unwrap();
    assert_eq!(now(|| open.read_vec_at(2, 0)).unwrap().unwrap(), [b'x', 7]);
}

#[cfg(feature = "dir")]
#[test]
fn host_directory_is_never_called_at_once() {
    use cap_std::{ambient_authority, fs};

    let temp = tempfile::tempdir().unwrap();
    std::fs::write(temp.path().join("file"), "data").unwrap();
    let open = || fs::Dir::open_ambient_dir(temp.path(), ambient_authority()).unwrap();
    let live = wasi_overlay_core::Live::new(open()).root();
    assert!(at_once(|| live.stat_at("file", true)).is_none());
    let of_live = try_file(&live, "file", READ).unwrap();
    assert!(at_once(|| of_live.read_vec_at(1, 0)).is_none());

    // As an upper, what was asked before is known, and the data is on the disk.
    let upper = Overlay::builder()
        .upper_dir("upper", open())
        .build()
        .unwrap();
    let root = upper.root();
    assert!(at_once(|| root.stat_at("file", true)).is_none());
    root.stat_at("file", true).unwrap();
    assert!(at_once(|| root.stat_at("file", true)).unwrap().is_ok());
    let of_upper = try_file(
        &root,
        "file",
        OpenHow {
            write: true,
            ..READ
        },
    )
    .unwrap();
    assert!(at_once(|| of_upper.read_vec_at(1, 0)).is_none());
    assert!(at_once(|| of_upper.write_at(b"x", 0)).is_none());
    assert_eq!(of_upper.read_vec_at(9, 0).unwrap(), b"data");
}

/// It is of the thread, and of the question: neither an inner one nor a panic leaves it on.
#[test]
fn at_once_ends_with_its_closure() {
    let root = overlay().root();
    let panicked = std::panic::catch_unwind(|| at_once(|| panic!("on purpose")));
    assert!(panicked.is_err());
    root.stat_at("dir/small", true).unwrap();
    let inner = at_once(|| {
        let inner = at_once(|| try_file(&root, "dir/large", READ).is_ok());
        (inner, root.stat_at("dir/small", true).is_ok())
    });
    assert_eq!(inner, Some((None, true)));
}
