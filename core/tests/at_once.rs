//! Calls that must return at once: they never call a layer that may access a disk, and give the same answers as
//! other calls.

use std::cell::Cell;
use std::fmt::Debug;
use std::ops::ControlFlow;
use wasi_overlay_core::layer::{Found, Layer, Listed, MemoryLayer};
use wasi_overlay_core::{
    Dir, Errno, Limits, Lower, LowerStack, Meta, Name, Overlay, Result, at_once,
};
use wasi_overlay_proof::kit::{CREATE, READ, WRITE, capability, how, try_file};
use wasi_overlay_proof::memory_layer_methods;

thread_local! {
    /// Whether this thread may call a layer on disk.
    static MAY_CALL: Cell<bool> = const { Cell::new(true) };
}

/// Stands for a layer on disk, which `at_once` must not call.
struct OnDisk(MemoryLayer);

fn called() {
    assert!(MAY_CALL.get(), "an at_once call reached a layer on disk");
}

/// A file of [`OnDisk`].
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

impl OnDisk {
    fn layer(&self) -> &MemoryLayer {
        called();
        &self.0
    }
}

impl Layer for OnDisk {
    type Dir = <MemoryLayer as Layer>::Dir;
    type File = FileOnDisk;

    memory_layer_methods!(root dir_meta is_opaque find open_dir read_link list);

    fn open_file(&self, dir: &Self::Dir, name: Name<'_>) -> Result<Self::File> {
        self.layer().open_file(dir, name).map(FileOnDisk)
    }
}

/// The answer that `ask` gives at once, if any.
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

/// Asserts that `ask` has no answer at once until it was called where it may block.
fn check_repeated<T: Debug + PartialEq>(what: &str, ask: impl Fn() -> Result<T>) {
    assert!(now(&ask).is_none(), "{what}: nothing is cached yet");
    let answer = ask().map_err(|error| error.errno());
    let again = now(&ask).unwrap_or_else(|| panic!("{what}: everything is cached"));
    assert_eq!(again.map_err(|error| error.errno()), answer, "{what}");
}

fn list(root: &Dir, path: &str) -> Result<Vec<String>> {
    let listing = root.open_at(path, how("rd"))?.dir()?.list()?;
    Ok(listing.iter().map(|entry| format!("{entry:?}")).collect())
}

/// The name of a query, and the query.
type Query<'a> = (&'a str, &'a dyn Fn(&Dir) -> Result<String>);

#[test]
fn repeated_query_is_answered_at_once() {
    fn text<T: Debug>(answer: Result<T>) -> Result<String> {
        answer.map(|value| format!("{value:?}"))
    }
    let read = |root: &Dir, how| text(try_file(root, "dir/small", how)?.read_vec_at(10, 1));
    // Each runs on a new overlay.
    let ask: [Query<'_>; 9] = [
        ("stat", &|root| text(root.stat_at("dir/small", true))),
        ("stat of a link", &|root| {
            text(root.stat_at("dir/link", true))
        }),
        ("hash", &|root| text(root.identity_at("dir/small", true))),
        ("a missing name", &|root| {
            text(root.stat_at("dir/none", true))
        }),
        ("not a directory", &|root| {
            text(root.stat_at("top/none", true))
        }),
        ("a link", &|root| root.readlink_at("dir/link")),
        ("data", &|root| read(root, READ)),
        ("listing", &|root| {
            list(root, "dir").map(|names| names.join(","))
        }),
        ("an exclusive open", &|root| read(root, how("rx"))),
    ];
    for (what, ask) in ask {
        let root = overlay().root();
        check_repeated(what, || ask(&root));
    }
}

/// A server may create an overlay for each request of a few milliseconds.
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
        let names = list(root, "dir")?.len();
        let data = try_file(root, "dir/small", READ)?.read_vec_at(10, 0)?;
        Ok::<_, wasi_overlay_core::Error>((names, data))
    };
    let first = request();
    assert!(now(|| serve(&first)).is_none());
    assert_eq!(serve(&first).unwrap(), (4, b"data".to_vec()));
    let next = request();
    let served = now(|| serve(&next)).expect("everything is cached");
    assert_eq!(served.unwrap(), (4, b"data".to_vec()));
}

/// An archive on a disk, whose index is in memory.
#[cfg(feature = "tar")]
#[test]
fn names_of_an_archive_are_found_at_once_and_its_files_are_not_read() {
    struct Source(Vec<u8>);

    impl wasi_overlay_core::tar::Source for Source {
        fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
            called();
            self.0.read_at(buffer, offset)
        }

        fn size(&self) -> Result<u64> {
            Ok(self.0.len() as u64)
        }
    }

    let archive = wasi_overlay_proof::archive::Archive::default()
        .file("dir/small", b"data")
        .symlink("dir/link", b"small");
    let archive = Source(archive.finished());
    let layer = wasi_overlay_core::tar::TarLayer::scan(archive, &Limits::default()).unwrap();
    let overlay = Overlay::builder().lower(Lower::new("archive", layer));
    let root = overlay.build().unwrap().root();
    let names = now(|| list(&root, "dir")).expect("they are in the index");
    assert_eq!(names.unwrap().len(), 2);
    let found = now(|| root.stat_at("dir/link", true)).expect("it is in the index");
    assert_eq!(found.unwrap().size, 4);
    let file = now(|| try_file(&root, "dir/small", READ)).expect("it is in the index");
    let file = file.unwrap();
    check_repeated("data", || file.read_vec_at(10, 0));
}

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

/// Files of a memory upper are read and written at once. Changes of names may block, since they look up
/// the lower entry that they hide.
#[test]
fn data_in_memory_is_read_and_written_at_once() {
    let root = overlay().root();
    assert!(now(|| root.open_at("new", CREATE)).is_none());
    assert_eq!(
        root.stat_at("new", true).unwrap_err().errno(),
        Errno::NoEntry
    );
    let new = try_file(&root, "new", CREATE).unwrap();
    assert_eq!(now(|| new.write_at(b"data", 0)).unwrap().unwrap(), 4);
    assert_eq!(now(|| new.append(b"more")).unwrap().unwrap(), 4);
    now(|| new.set_size(6)).unwrap().unwrap();
    assert_eq!(now(|| new.read_vec_at(9, 0)).unwrap().unwrap(), b"datamo");
    assert_eq!(now(|| root.stat_at("new", true)).unwrap().unwrap().size, 6);

    assert!(now(|| root.open_at("dir/small", WRITE)).is_none());
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

#[test]
fn a_copy_in_memory_is_read_at_once() {
    let root = overlay().root();
    let open = try_file(&root, "dir/large", READ).unwrap();
    try_file(&root, "dir/large", WRITE)
        .unwrap()
        .write_at(b"x", 0)
        .unwrap();
    assert_eq!(now(|| open.read_vec_at(2, 0)).unwrap().unwrap(), [b'x', 7]);
}

#[cfg(feature = "dir")]
#[test]
fn host_directory_is_never_called_at_once() {
    let temp = tempfile::tempdir().unwrap();
    std::fs::write(temp.path().join("file"), "data").unwrap();
    let open = || capability(temp.path());
    let live = wasi_overlay_core::Live::new(open()).root();
    assert!(at_once(|| live.stat_at("file", true)).is_none());
    let of_live = try_file(&live, "file", READ).unwrap();
    assert!(at_once(|| of_live.read_vec_at(1, 0)).is_none());

    // An upper caches metadata; data stays on disk.
    let upper = Overlay::builder()
        .upper_dir("upper", open())
        .build()
        .unwrap();
    let root = upper.root();
    assert!(at_once(|| root.stat_at("file", true)).is_none());
    root.stat_at("file", true).unwrap();
    assert!(at_once(|| root.stat_at("file", true)).unwrap().is_ok());
    let of_upper = try_file(&root, "file", WRITE).unwrap();
    assert!(at_once(|| of_upper.read_vec_at(1, 0)).is_none());
    assert!(at_once(|| of_upper.write_at(b"x", 0)).is_none());
    assert_eq!(of_upper.read_vec_at(9, 0).unwrap(), b"data");
}

/// Neither a nested call nor a panic leaves the thread in the mode.
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
