//! Locks of layers against other processes.
//!
//! Another process used the upper of a running mount as its lower, or as a writable `--dir`, and its guest saw a
//! lower change. The lock of another process is that of another open file, so these tests need only one process.

use crate::kit::{builder, dirs, error, lower, open};
use rustix::fs::FlockOperation::{NonBlockingLockExclusive, NonBlockingLockShared, Unlock};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use std::fs::{DirEntry, File};
use std::os::fd::OwnedFd;
use std::path::Path;
use wasi_overlay_core::{Errno, Limits, Live, LowerStack, Overlay};

/// A descriptor of a directory, as of another process.
fn other(path: &Path) -> File {
    File::open(path).unwrap()
}

#[test]
fn upper_of_another_process_cannot_be_a_lower() {
    let temp = dirs(&["up"]);
    let up = temp.path().join("up");
    let other = other(&up);
    rustix::fs::flock(&other, NonBlockingLockExclusive).unwrap();
    let refused = error(LowerStack::new([lower(&up)], &Limits::default()));
    assert_eq!(refused.errno(), Errno::Busy);
    let message = refused.to_string();
    let words = "lower: the directory is in use as the upper of another mount";
    assert!(message.starts_with(words), "{message}");
    rustix::fs::flock(&other, Unlock).unwrap();
    LowerStack::new([lower(&up)], &Limits::default()).unwrap();
}

#[test]
fn lower_is_locked_shared_while_its_stack_exists() {
    let temp = dirs(&["base"]);
    let base = temp.path().join("base");
    let stacks = [lower(&base), lower(&base)]
        .map(|lower| LowerStack::new([lower], &Limits::default()).unwrap());
    let other = other(&base);
    let exclusive = || rustix::fs::flock(&other, NonBlockingLockExclusive);
    assert!(exclusive().is_err());
    rustix::fs::flock(&other, NonBlockingLockShared).unwrap();
    rustix::fs::flock(&other, Unlock).unwrap();
    drop(stacks);
    exclusive().unwrap();
}

#[test]
fn lower_of_another_process_cannot_be_an_upper() {
    let temp = dirs(&["up"]);
    let up = temp.path().join("up");
    let other = other(&up);
    rustix::fs::flock(&other, NonBlockingLockShared).unwrap();
    let refused = error(builder(None, &up).build());
    assert_eq!(refused.errno(), Errno::Busy);
    let message = refused.to_string();
    let words = "upper: the directory is in use as a lower layer, or as a writable live directory";
    assert!(message.starts_with(words), "{message}");
    // The check for the error message must not leave a lock.
    rustix::fs::flock(&other, NonBlockingLockExclusive).unwrap();
    let refused = error(builder(None, &up).build());
    assert!(
        refused.to_string().contains("the upper of another mount"),
        "{refused}"
    );
    drop(other);
    builder(None, &up).build().unwrap();
}

#[test]
fn writable_live_directories_share_and_exclude_an_upper() {
    let temp = dirs(&["dir"]);
    let path = temp.path().join("dir");
    let live = Live::new(open(&path));
    live.lock().unwrap();
    live.lock().unwrap();
    Live::new(open(&path)).lock().unwrap();
    assert_eq!(error(builder(None, &path).build()).errno(), Errno::Busy);
    // A handle of the mount can still write.
    let root = live.root();
    drop(live);
    assert_eq!(error(builder(None, &path).build()).errno(), Errno::Busy);
    drop(root);

    let overlay = builder(None, &path).build().unwrap();
    assert_eq!(error(Live::new(open(&path)).lock()).errno(), Errno::Busy);
    Live::read_only(open(&path)).lock().unwrap();
    drop(overlay);
    Live::new(open(&path)).lock().unwrap();
}

/// A directory that can be searched but not read can be a lower without a lock.
#[test]
fn unreadable_lower_needs_no_lock() {
    use std::os::unix::fs::PermissionsExt;
    let temp = dirs(&["base"]);
    let base = temp.path().join("base");
    std::fs::write(base.join("file"), "data").unwrap();
    let set = |mode| std::fs::set_permissions(&base, PermissionsExt::from_mode(mode)).unwrap();
    set(0o311);
    let overlay = Overlay::builder().lower(lower(&base)).build().unwrap();
    assert_eq!(overlay.root().stat_at("file", false).unwrap().size, 4);
    set(0o755);
}

/// A layer has one descriptor for its directory, which also has the lock, and a cached one for its root.
#[test]
fn layer_lock_needs_no_extra_descriptor() {
    let temp = dirs(&["base"]);
    let base = temp.path().join("base");
    let stack = LowerStack::new((0..20).map(|_| lower(&base)), &Limits::default()).unwrap();
    let base = base.canonicalize().unwrap();
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap();
    let of_base = descriptors
        .flatten()
        .filter(|entry| std::fs::read_link(entry.path()).is_ok_and(|path| path == base));
    assert_eq!(of_base.count(), 2 * stack.len());
}

/// A child process has copies of all descriptors until it executes its program, and a copy keeps a lock alive.
#[test]
fn descriptor_inherited_by_a_child_does_not_hold_the_lock() {
    let temp = dirs(&["dir"]);
    let path = temp.path().join("dir");
    let is_free = || Live::new(open(&path)).lock().is_ok();

    let overlay = builder(None, &path).build().unwrap();
    assert!(!is_free());
    let copies = copies_of(&path);
    drop(overlay);
    assert!(is_free(), "an upper is locked by {copies:?}");
    drop(copies);

    let stack = LowerStack::new([lower(&path)], &Limits::default()).unwrap();
    let copies = copies_of(&path);
    drop(stack);
    builder(None, &path).build().expect("no lower locks it");
    drop(copies);

    let live = Live::new(open(&path));
    live.lock().unwrap();
    let copies = copies_of(&path);
    drop(live);
    builder(None, &path)
        .build()
        .expect("no live mount locks it");
    drop(copies);
}

/// Copies of this process's descriptors of `path`, each of the same open file.
fn copies_of(path: &Path) -> Vec<OwnedFd> {
    let path = path.canonicalize().unwrap();
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap();
    let of_path = descriptors
        .flatten()
        .filter(|entry| std::fs::read_link(entry.path()).is_ok_and(|target| target == path));
    let this = pidfd_open(getpid(), PidfdFlags::empty()).unwrap();
    let copy = |entry: DirEntry| {
        let number = entry.file_name().to_str().unwrap().parse().unwrap();
        pidfd_getfd(&this, number, PidfdGetfdFlags::empty()).unwrap()
    };
    let copies: Vec<_> = of_path.map(copy).collect();
    assert!(!copies.is_empty());
    copies
}
