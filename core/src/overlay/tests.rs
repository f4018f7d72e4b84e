//! Tests of calls that interleave at the worst moment, and of the memory that an overlay uses.

mod at_once;
mod memory;
#[cfg(all(feature = "dir", not(shuttle)))]
mod renamed_dirs;

use super::Overlay;
use super::node::Node;
use super::resolve::Last;
use crate::layer::{Found, Layer, MemoryLayer};
use crate::{
    Dir, Errno, File, Kind, Limits, Lower, LowerStack, Name, OpenHow, Opened, SetTime, SetTimes,
    Timestamp,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const READ: OpenHow = OpenHow::READ;
const WRITE: OpenHow = OpenHow::READ_WRITE;
const CREATE: OpenHow = OpenHow::CREATE;

fn lower() -> Lower {
    let layer = MemoryLayer::build().dir("d").file("d/f", b"lower");
    Lower::new("lower", layer.finish().unwrap())
}

fn in_memory() -> Overlay {
    let builder = Overlay::builder().lower(lower());
    builder.upper_memory(1 << 20).build().unwrap()
}

fn open(dir: &Dir, path: &str, how: OpenHow) -> File {
    match dir.open_at(path, how).unwrap() {
        Opened::File(file) => file,
        Opened::Dir(_) => panic!("{path} is a directory"),
    }
}

fn node(overlay: &Overlay, path: &str) -> Arc<Node> {
    let shared = &overlay.shared;
    let walked = shared.resolve(&shared.root, path, Last::Follow).unwrap();
    shared.materialize(walked.trail()).unwrap()
}

/// Lookups of threads whose overlays share a stack must scale with the number of threads. A shared lock in
/// each lookup would prevent that, and no other test would notice.
#[cfg(all(debug_assertions, not(shuttle)))]
#[test]
fn lookup_takes_no_lock_shared_between_overlays() {
    use crate::sync::taken;

    let stack = LowerStack::new(vec![lower()], &Limits::default()).unwrap();
    let lookups = |root: &Dir| {
        assert!(root.stat_at("d/f", true).is_ok());
        assert!(root.identity_at("d", true).is_ok());
        assert!(root.stat_at("d/none", true).is_err());
    };
    let locks = |overlay: &Overlay| {
        let root = overlay.root();
        lookups(&root);
        let before = taken();
        lookups(&root);
        taken() - before
    };
    let read_only = Overlay::builder().stack(Arc::clone(&stack));
    assert_eq!(locks(&read_only.build().unwrap()), 0);
    // Each lookup reads the table of the root once, which belongs to its own overlay.
    let writable = Overlay::builder().stack(stack).upper_memory(1 << 20);
    assert_eq!(locks(&writable.build().unwrap()), 3);
}

/// A directory that stayed open while files were opened in many others was evicted from the recent
/// directories, and could not return, since its node existed: each open in it took the slow path.
#[test]
fn reopened_directory_returns_to_recent_directories() {
    // More than the hand of the clock passes over twice.
    const DIRS: usize = 300;
    let mut layer = MemoryLayer::build();
    for index in 0..DIRS {
        let dir = format!("d{index}");
        layer = layer.dir(&dir).file(format!("{dir}/f"), b"lower");
    }
    let lower = Lower::new("lower", layer.finish().unwrap());
    let overlay = Overlay::builder().lower(lower).build().unwrap();
    let (shared, root) = (&overlay.shared, overlay.root());
    let kept = node(&overlay, "d0");
    open(&root, "d0/f", READ);
    let is_recent = || {
        let below = kept.below().unwrap().address();
        let recent = shared.recent_dirs.get(&below);
        recent.is_some_and(|recent| Arc::ptr_eq(&recent, &kept))
    };
    assert!(is_recent());
    for index in 1..DIRS {
        open(&root, &format!("d{index}/f"), READ);
    }
    assert!(!is_recent(), "there is room for all");
    open(&root, "d0/f", READ);
    assert!(is_recent());
}

/// A change of the caches dropped the node of a directory with its descriptor, and with it the merged names:
/// each listing read all layers again.
#[test]
fn listing_stays_cached_after_its_directory_is_closed() {
    let overlay = in_memory();
    let root = overlay.root();
    let list = || match root.open_at("d", READ).unwrap() {
        Opened::Dir(dir) => dir.list().unwrap(),
        Opened::File(_) => panic!("d is a file"),
    };
    assert!(Arc::ptr_eq(&list(), &list()));
}

/// A walk found a lower file. Before the call made its node, the directory was removed and created
/// again: the node was then attached to the new directory, and the removed file was back.
#[test]
fn stale_walk_cannot_resurrect_removed_file() {
    let overlay = in_memory();
    let (shared, root) = (&overlay.shared, overlay.root());
    let walked = shared.resolve(&shared.root, "d/f", Last::Follow).unwrap();
    root.unlink_file_at("d/f").unwrap();
    root.remove_directory_at("d").unwrap();
    root.create_directory_at("d").unwrap();
    let made = shared.materialize(walked.trail());
    assert!(made.is_err(), "a removed file has a node");
    assert_eq!(
        root.stat_at("d/f", true).unwrap_err().errno(),
        Errno::NoEntry
    );
}

/// A walk found a lower file. Before the call made its node, a link took the name: the call got the link's
/// node, which it opened as a file.
#[test]
fn stale_walk_starts_over_when_another_file_took_the_name() {
    for is_forgotten in [false, true] {
        let overlay = in_memory();
        let (shared, root) = (&overlay.shared, overlay.root());
        let walked = shared.resolve(&shared.root, "d/f", Last::Follow).unwrap();
        root.symlink_at("target", "link").unwrap();
        root.rename_at("link", &root, "d/f").unwrap();
        if is_forgotten {
            let dir = node(&overlay, "d");
            let mut children = dir.dir().unwrap().children.write();
            children.forget_files();
            children.forget_names();
        }
        let made = shared.materialize(walked.trail());
        assert!(made.is_err_and(|error| error.is_not_found()));
        assert_eq!(root.stat_at("d/f", false).unwrap().kind, Kind::Symlink);
    }
}

/// A walk found a lower file. Before the call made its node, the file was removed, and so much else
/// happened that the whiteout was forgotten, as in a directory with too many names: then a writer
/// copied the file up, and it was back. If another file had taken the name, that file was lost.
#[test]
fn stale_walk_cannot_resurrect_file_whose_whiteout_was_forgotten() {
    for is_replaced in [false, true] {
        let overlay = in_memory();
        let (shared, root) = (&overlay.shared, overlay.root());
        let walked = shared.resolve(&shared.root, "d/f", Last::Follow).unwrap();
        root.unlink_file_at("d/f").unwrap();
        if is_replaced {
            open(&root, "d/f", CREATE).write_at(b"new", 0).unwrap();
        }
        {
            let dir = node(&overlay, "d");
            let mut children = dir.dir().unwrap().children.write();
            children.forget_files();
            children.forget_names();
            assert!(children.map.is_empty());
        }
        let made = shared.materialize(walked.trail());
        assert!(made.is_err_and(|error| error.is_not_found()));
        let there = root.stat_at("d/f", true).map(|stat| stat.size);
        assert_eq!(there.ok(), is_replaced.then_some(3));
    }
}

/// After a mount is closed its upper may belong to another mount, so a change that began before and waited
/// for the close must not continue.
#[test]
fn change_that_waited_for_close_fails() {
    let overlay = in_memory();
    let root = overlay.root();
    let tree = overlay.shared.tree.write();
    std::thread::scope(|scope| {
        let change = scope.spawn(|| root.create_directory_at("new"));
        std::thread::sleep(Duration::from_millis(100));
        overlay.shared.closed.store(true, Ordering::Release);
        drop(tree);
        let error = change.join().unwrap().unwrap_err();
        assert_eq!(error.errno(), Errno::Io);
    });
    overlay.shared.closed.store(false, Ordering::Release);
}

/// A copy-up restores the times of its directory. Times that a guest set between reading and restoring
/// were lost.
#[test]
fn directory_times_are_not_set_during_publish_in_it() {
    let overlay = in_memory();
    let root = overlay.root();
    open(&root, "d/f", WRITE);
    let dir = node(&overlay, "d");
    let names = dir.dir().unwrap().names.write();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let modified = SetTime::To(Timestamp::default());
            let times = SetTimes {
                modified,
                ..SetTimes::default()
            };
            root.set_times_at("d", true, times).unwrap();
            done.store(true, Ordering::Release);
        });
        std::thread::sleep(Duration::from_millis(100));
        assert!(!done.load(Ordering::Acquire), "the times were set");
        drop(names);
    });
}

/// Opening a set-id file of a lower layer for truncation made the copy empty and left the bits.
#[test]
fn truncation_clears_set_id_bits() {
    let lower = MemoryLayer::build().file("f", b"x").mode("f", 0o6755);
    let upper = MemoryLayer::with_capacity(1 << 20);
    let overlay = Overlay::builder()
        .lower(Lower::new("lower", lower.finish().unwrap()))
        .upper("upper", upper.clone())
        .build()
        .unwrap();
    let truncate = OpenHow {
        truncate: true,
        ..WRITE
    };
    open(&overlay.root(), "f", truncate);
    let Found::Here { meta, .. } = upper
        .find(&upper.root().unwrap(), Name::new(b"f").unwrap())
        .unwrap()
    else {
        panic!("no copy");
    };
    assert_eq!(meta.mode, Some(0o755));
}

/// A copy-up to an upper in memory copied every attribute, those of the host's security modules too.
#[test]
fn host_specific_xattrs_are_not_copied_up() {
    let lower = MemoryLayer::build().file("f", b"x");
    let lower = lower
        .xattr("f", b"security.selinux", b"host")
        .xattr("f", b"user.overlay.origin", b"x")
        .xattr("f", b"user.kept", b"x");
    let upper = MemoryLayer::with_capacity(1 << 20);
    let overlay = Overlay::builder()
        .lower(Lower::new("lower", lower.finish().unwrap()))
        .upper("upper", upper.clone())
        .build()
        .unwrap();
    open(&overlay.root(), "f", WRITE);
    let name = Name::new(b"f").unwrap();
    let copied = upper.xattrs(&upper.root().unwrap(), Some(name)).unwrap();
    assert_eq!(copied, [Box::from(&b"user.kept"[..])]);
}

/// Two threads removed the two names of a file at once. Each counted the other's name as the last
/// one, so the file was never recorded as removed, and a later file with its inode number
/// inherited its identity.
#[test]
fn removing_both_names_at_once_removes_the_file() {
    let overlay = in_memory();
    let (shared, root) = (&overlay.shared, overlay.root());
    root.link_at("d/f", &root, "d/g").unwrap();
    let (dir, file) = (node(&overlay, "d"), node(&overlay, "d/f"));
    let ask = |name: &[u8]| {
        let name = Name::new(name).unwrap();
        shared.meta_before_removal(&file, &dir, name).unwrap()
    };
    let (one, two) = (ask(b"f"), ask(b"g"));
    shared.link_removed(&file, one);
    assert!(!file.is_removed());
    shared.link_removed(&file, two);
    assert!(file.is_removed(), "a file without names lives");
    assert!(
        shared.origins.lock().len() == 1,
        "only the directory's is left"
    );
}

/// On platforms without a clock, the builder's clock gives the current time.
#[test]
fn removed_file_takes_current_time_from_given_clock() {
    const THEN: Timestamp = Timestamp {
        seconds: 7,
        nanoseconds: 0,
    };
    let builder = Overlay::builder().lower(lower()).clock(|| THEN);
    let root = builder.upper_memory(1 << 20).build().unwrap().root();
    let file = open(&root, "d/f", READ);
    root.unlink_file_at("d/f").unwrap();
    let modified = SetTime::Now;
    let times = SetTimes {
        modified,
        ..SetTimes::default()
    };
    file.set_times(times).unwrap();
    assert_eq!(file.stat().unwrap().modified, THEN);
}

#[cfg(feature = "dir")]
mod on_disk {
    use super::super::children::Child;
    use super::*;
    use crate::layer::{ReadAt, WriteAt};
    use crate::plain::HostFile;
    use std::any::Any;
    use tempfile::TempDir;

    const CREATE: OpenHow = OpenHow {
        create: true,
        ..WRITE
    };

    fn upper(temp: &TempDir, limits: Limits) -> Overlay {
        let dir =
            cap_std::fs::Dir::open_ambient_dir(temp.path(), cap_std::ambient_authority()).unwrap();
        Overlay::builder()
            .lower(lower())
            .upper_dir("upper", dir)
            .volatile(true)
            .limits(limits)
            .build()
            .unwrap()
    }

    fn host_file(native: Option<&dyn Any>) -> &HostFile {
        native.unwrap().downcast_ref().unwrap()
    }

    /// A stream of the host writes through the layer's own handle, without the engine's knowledge.
    #[test]
    fn writes_through_native_handle_are_visible_immediately() {
        let temp = TempDir::new().unwrap();
        let root = upper(&temp, Limits::default()).root();
        let file = open(&root, "d/f", WRITE);
        assert_eq!(root.stat_at("d/f", true).unwrap().size, 5);
        assert_eq!(file.stat().unwrap().size, 5);
        let writer = host_file(file.native_writer().unwrap());
        writer.write_at(b"from behind", 0).unwrap();
        assert_eq!(root.stat_at("d/f", true).unwrap().size, 11);
        writer.append(b"!").unwrap();
        assert_eq!(file.stat().unwrap().size, 12);
        assert_eq!(root.stat_at("d/f", true).unwrap().size, 12);
        let mut read = [0; 16];
        let reader = host_file(file.native_reader().unwrap());
        assert_eq!(reader.read_at(&mut read, 0).unwrap(), 12);
        assert_eq!(&read[..12], b"from behind!");
    }

    /// The name alone does not identify a file where a layer has ten thousand directories.
    #[test]
    fn error_names_layer_and_path() {
        let below = TempDir::new().unwrap();
        let broken = below.path().join("a/b");
        std::fs::create_dir_all(&broken).unwrap();
        std::fs::write(broken.join(".wh."), "").unwrap();
        let dir = cap_std::fs::Dir::open_ambient_dir(below.path(), cap_std::ambient_authority());
        let layer = Lower::dir("the layer", dir.unwrap()).unwrap();
        let root = Overlay::builder().lower(layer).build().unwrap().root();
        let error = root.stat_at("a/b/c", false).unwrap_err();
        assert_eq!(error.errno(), Errno::Unsupported);
        assert!(
            error.to_string().starts_with("the layer: in a/b: "),
            "{error}"
        );
    }

    #[test]
    fn native_handle_requires_matching_access_mode() {
        let temp = TempDir::new().unwrap();
        let below = TempDir::new().unwrap();
        std::fs::write(below.path().join("f"), b"lower").unwrap();
        let dir = |temp: &TempDir| {
            let authority = cap_std::ambient_authority();
            cap_std::fs::Dir::open_ambient_dir(temp.path(), authority).unwrap()
        };
        let overlay = Overlay::builder()
            .lower(Lower::dir("lower", dir(&below)).unwrap())
            .upper_dir("upper", dir(&temp))
            .build()
            .unwrap();
        let root = overlay.root();
        let errno = |handle: crate::Result<Option<&dyn Any>>| handle.unwrap_err().errno();
        let reads = open(&root, "f", READ);
        assert_eq!(errno(reads.native_writer()), Errno::BadDescriptor);
        let inode = |file: &File| host_file(file.native_reader().unwrap()).meta().unwrap();
        let lower = inode(&reads);
        let only = OpenHow {
            read: false,
            ..WRITE
        };
        let writes = open(&root, "f", only);
        assert_eq!(errno(writes.native_reader()), Errno::BadDescriptor);
        assert_ne!(inode(&reads).inode, lower.inode, "the copy is read now");
        overlay.close().unwrap();
        assert_eq!(errno(writes.native_writer()), Errno::Io);
        // A layer in memory has none.
        let held = in_memory();
        let file = open(&held.root(), "d/f", WRITE);
        assert!(file.native_reader().unwrap().is_none());
        assert!(file.native_writer().unwrap().is_none());
        assert!(!held.shared.written_past.load(Ordering::Acquire));
    }

    /// A file of an earlier mount has two names. The first was opened and removed, the second
    /// looked up: that made another node, which did not see writes through the open file.
    #[test]
    fn remaining_name_leads_to_the_open_file() {
        let temp = TempDir::new().unwrap();
        std::fs::write(temp.path().join("a"), b"").unwrap();
        std::fs::hard_link(temp.path().join("a"), temp.path().join("b")).unwrap();
        let root = upper(&temp, Limits::default()).root();
        let held = open(&root, "a", WRITE);
        root.unlink_file_at("a").unwrap();
        assert_eq!(root.stat_at("b", true).unwrap().size, 0);
        held.append(b"12345").unwrap();
        assert_eq!(root.stat_at("b", true).unwrap().size, 5);
    }

    /// Only nodes of files were dropped, and not in the directory that grew: names stayed in
    /// their directory for ever, and directories as well.
    #[test]
    fn nodes_and_names_of_upper_are_bounded() {
        let temp = TempDir::new().unwrap();
        let mut limits = Limits::default();
        (limits.kept_nodes, limits.table_entries) = (32, 16);
        let overlay = upper(&temp, limits);
        let root = overlay.root();
        let before = root.identity_at("d", true).unwrap();
        open(&root, "d/f", WRITE);
        for index in 0..300 {
            open(&root, &format!("f{index}"), CREATE);
            root.create_directory_at(&format!("d{index}")).unwrap();
            open(&root, &format!("d{index}/x"), CREATE);
        }
        let children = overlay.shared.root.dir().unwrap().children.read();
        assert!(children.map.len() < 150, "{} names", children.map.len());
        let nodes = |child: &&Child| matches!(child, Child::Node(_));
        assert!(children.map.values().filter(nodes).count() < 150);
        drop(children);
        assert_eq!(root.list().unwrap().len(), 601);
        assert_eq!(root.identity_at("d", true).unwrap(), before);
        for index in 0..300 {
            root.unlink_file_at(&format!("f{index}")).unwrap();
            root.unlink_file_at(&format!("d{index}/x")).unwrap();
            root.remove_directory_at(&format!("d{index}")).unwrap();
        }
        assert_eq!(root.list().unwrap().len(), 1);
    }

    /// `sync` of a directory did not sync times that were set on the directory itself.
    #[test]
    fn directory_sync_includes_its_own_times() {
        let temp = TempDir::new().unwrap();
        let overlay = upper(&temp, Limits::default());
        let root = overlay.root();
        root.create_directory_at("e").unwrap();
        let dir = node(&overlay, "e");
        overlay.shared.sync_names(&dir).unwrap();
        assert!(dir.dir().unwrap().unsynced.is_empty());
        let times = SetTimes {
            modified: SetTime::Now,
            ..SetTimes::default()
        };
        root.set_times_at("e", true, times).unwrap();
        assert!(!dir.dir().unwrap().unsynced.is_empty());
    }
}
