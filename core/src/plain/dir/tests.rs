//! Tests of [`Plain`] on a real directory.

use super::*;
use crate::layer::{ReadAt, WriteAt};
use crate::meta::{SetTime, Timestamp};
use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::Duration;

fn host() -> (tempfile::TempDir, HostDir) {
    let temp = tempfile::tempdir().unwrap();
    let host = at(&temp);
    (temp, host)
}

fn at(temp: &tempfile::TempDir) -> HostDir {
    let dir = cap_std::fs::Dir::open_ambient_dir(temp.path(), cap_std::ambient_authority());
    HostDir::new(dir.unwrap(), "the directory")
}

fn name(name: &str) -> Name<'_> {
    Name::new(name.as_bytes()).unwrap()
}

fn errno<T: std::fmt::Debug>(result: Result<T>) -> Errno {
    result.unwrap_err().errno()
}

fn fifo(temp: &tempfile::TempDir, name: &str) {
    rustix::fs::mkfifoat(
        std::fs::File::open(temp.path()).unwrap(),
        name,
        Mode::from_raw_mode(0o600),
    )
    .unwrap();
}

#[test]
fn lists_every_name_with_type_and_inode() {
    let (temp, host) = host();
    std::fs::write(temp.path().join("file"), "x").unwrap();
    std::fs::create_dir(temp.path().join("dir")).unwrap();
    symlink("/nowhere", temp.path().join("link")).unwrap();
    fifo(&temp, "fifo");
    let root = host.root().unwrap();
    let mut seen = BTreeMap::new();
    host.list(&root, &mut |name, kind, inode| {
        seen.insert(name.to_string(), (kind, inode));
        ControlFlow::Continue(())
    })
    .unwrap();
    let kinds: Vec<_> = seen.iter().map(|(n, (k, _))| (n.as_str(), *k)).collect();
    assert_eq!(
        kinds,
        [
            ("dir", Kind::Dir),
            ("fifo", Kind::Fifo),
            ("file", Kind::File),
            ("link", Kind::Symlink)
        ]
    );
    for (entry, (kind, inode)) in &seen {
        let meta = host.meta(&root, Some(name(entry))).unwrap();
        assert_eq!((meta.kind, meta.inode), (*kind, *inode));
    }
}

#[test]
fn a_listing_of_many_names_is_complete_and_can_be_stopped() {
    let (temp, host) = host();
    for index in 0..3000 {
        std::fs::write(temp.path().join(format!("a-rather-long-name-{index}")), "").unwrap();
    }
    let root = host.root().unwrap();
    let mut count = 0;
    host.list(&root, &mut |_, _, _| {
        count += 1;
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(count, 3000);
    let mut count = 0;
    host.list(&root, &mut |_, _, _| {
        count += 1;
        ControlFlow::Break(())
    })
    .unwrap();
    assert_eq!(count, 1);
}

#[test]
fn opens_regular_files_only_and_never_waits() {
    let (temp, host) = host();
    std::fs::create_dir(temp.path().join("dir")).unwrap();
    std::fs::write(temp.path().join("file"), "x").unwrap();
    symlink("file", temp.path().join("link")).unwrap();
    fifo(&temp, "fifo");
    let _socket = std::os::unix::net::UnixListener::bind(temp.path().join("socket")).unwrap();
    let root = host.root().unwrap();
    for access in [Access::Read, Access::ReadWrite] {
        let open = |entry| host.open_file(&root, name(entry), access);
        assert_eq!(errno(open("dir")), Errno::IsDirectory);
        assert_eq!(errno(open("link")), Errno::Loop);
        assert_eq!(errno(open("fifo")), Errno::Unsupported);
        assert_eq!(errno(open("socket")), Errno::Unsupported);
        assert_eq!(errno(open("none")), Errno::NoEntry);
        assert!(open("file").is_ok());
    }
    assert_eq!(
        errno(host.open_dir(&root, name("file"))),
        Errno::NotDirectory
    );
    assert_eq!(
        errno(host.open_dir(&root, name("link"))),
        Errno::NotDirectory
    );
}

#[test]
fn a_file_opened_for_reading_cannot_be_written() {
    let (temp, host) = host();
    std::fs::write(temp.path().join("file"), "abc").unwrap();
    let root = host.root().unwrap();
    let file = host.open_file(&root, name("file"), Access::Read).unwrap();
    assert_eq!(errno(file.write_at(b"x", 0)), Errno::BadDescriptor);
    assert_eq!(errno(file.append(b"x")), Errno::BadDescriptor);
    let mut buffer = [0; 8];
    assert_eq!(file.read_at(&mut buffer, 1).unwrap(), 2);
    assert_eq!(&buffer[..2], b"bc");
    assert_eq!(file.read_at(&mut buffer, u64::MAX).unwrap(), 0);
}

#[test]
fn appends_from_two_descriptors_do_not_overwrite_each_other() {
    let (_temp, host) = host();
    let root = host.root().unwrap();
    let one = host.create_file(&root, name("log"), 0o600).unwrap();
    let two = host
        .open_file(&root, name("log"), Access::ReadWrite)
        .unwrap();
    assert_eq!(one.append(b"one ").unwrap(), 4);
    assert_eq!(two.append(b"two ").unwrap(), 4);
    assert_eq!(one.append_locked(b"three").unwrap(), 5);
    let mut buffer = [0; 32];
    let length = one.read_at(&mut buffer, 0).unwrap();
    assert_eq!(&buffer[..length], b"one two three");
}

#[test]
fn writes_past_the_maximum_file_size_are_too_large() {
    let (_temp, host) = host();
    let root = host.root().unwrap();
    let file = host.create_file(&root, name("file"), 0o600).unwrap();
    assert_eq!(errno(file.write_at(b"x", u64::MAX)), Errno::FileTooLarge);
    assert_eq!(
        errno(file.write_at(b"x", i64::MAX as u64)),
        Errno::FileTooLarge
    );
    assert_eq!(errno(file.set_size(1 << 63)), Errno::FileTooLarge);
    assert_eq!(
        errno(host.create_file(&root, name("file"), 0o600)),
        Errno::Exist
    );
}

#[test]
fn create_empty_refuses_an_existing_name() {
    let (temp, host) = host();
    let root = host.root().unwrap();
    symlink("nowhere", temp.path().join("link")).unwrap();
    host.create_empty(&root, name("file"), 0o600).unwrap();
    let meta = host.meta(&root, Some(name("file"))).unwrap();
    let seen = (meta.kind, meta.size, meta.mode);
    assert_eq!(seen, (Kind::File, 0, Some(0o600)));
    for taken in ["file", "link"] {
        let made = host.create_empty(&root, name(taken), 0o600);
        assert_eq!(errno(made), Errno::Exist);
    }
    assert!(!temp.path().join("nowhere").exists());
}

#[test]
fn finds_data_between_holes_and_copies_only_that() {
    let (_temp, host) = host();
    let root = host.root().unwrap();
    let from = host.create_file(&root, name("from"), 0o600).unwrap();
    from.write_at(&[7; 4096], 1 << 20).unwrap();
    from.set_size(3 << 20).unwrap();
    let data = from.next_data(0).unwrap().unwrap();
    assert!(data.contains(&(1 << 20)), "{data:?}");
    assert!(data.end - data.start < 1 << 20, "no holes here: {data:?}");
    assert_eq!(from.next_data(data.end).unwrap(), None);
    assert_eq!(from.next_data(u64::MAX).unwrap(), None);

    let to = host.create_file(&root, name("to"), 0o600).unwrap();
    let done = to.copy_from(&from, data.clone()).unwrap();
    assert!(done == 0 || done == data.end - data.start);
    if done > 0 {
        let mut byte = [0];
        to.read_at(&mut byte, 1 << 20).unwrap();
        assert_eq!(byte, [7]);
        assert!(to.meta().unwrap().allocated.unwrap() < 1 << 20);
    }
}

#[test]
fn times_are_kept_set_or_now() {
    let (temp, host) = host();
    std::fs::write(temp.path().join("file"), "").unwrap();
    symlink("file", temp.path().join("link")).unwrap();
    let root = host.root().unwrap();
    let then = Timestamp {
        seconds: -5,
        nanoseconds: 250_000_000,
    };
    let modified = SetTimes {
        accessed: SetTime::Keep,
        modified: SetTime::To(then),
    };
    for target in [None, Some(name("file")), Some(name("link"))] {
        let before = host.meta(&root, target).unwrap();
        host.set_times(&root, target, modified).unwrap();
        let after = host.meta(&root, target).unwrap();
        assert_eq!(after.modified, then);
        assert_eq!(after.accessed, before.accessed);
    }
    // The number that means "now" to the system is not a valid count of nanoseconds.
    let trap = SetTimes {
        accessed: SetTime::Keep,
        modified: SetTime::To(Timestamp {
            seconds: 0,
            nanoseconds: 0x3fff_ffff,
        }),
    };
    assert_eq!(errno(host.set_times(&root, None, trap)), Errno::Invalid);
}

#[test]
fn modes_are_set_on_files_and_directories_but_never_through_a_link() {
    let (temp, host) = host();
    std::fs::write(temp.path().join("file"), "").unwrap();
    std::fs::create_dir(temp.path().join("dir")).unwrap();
    symlink("file", temp.path().join("link")).unwrap();
    let root = host.root().unwrap();
    let mode = |entry| {
        let metadata = std::fs::metadata(temp.path().join(entry)).unwrap();
        metadata.permissions().mode() & 0o7777
    };
    host.set_mode(&root, Some(name("file")), 0o640).unwrap();
    host.set_mode(&root, Some(name("dir")), 0o1750).unwrap();
    host.set_mode(&root, Some(name("link")), 0o777).unwrap();
    host.set_mode(&root, None, 0o710).unwrap();
    assert_eq!(mode("file"), 0o640);
    assert_eq!(mode("dir"), 0o1750);
    assert_eq!(mode(""), 0o710);
}

#[test]
fn link_targets_are_bytes() {
    let (_temp, host) = host();
    let root = host.root().unwrap();
    for (entry, target) in [
        ("a", &b"/etc/passwd"[..]),
        ("b", b"../\xff"),
        ("c", &[b'x'; 600]),
    ] {
        host.symlink(&root, name(entry), target).unwrap();
        assert_eq!(&*host.read_link(&root, name(entry)).unwrap(), target);
    }
    host.create_dir(&root, name("dir"), 0o700).unwrap();
    assert_eq!(errno(host.read_link(&root, name("dir"))), Errno::Invalid);
}

#[test]
fn attributes_are_the_same_by_either_route() {
    let (_temp, mut host) = host();
    let root = host.root().unwrap();
    host.create_file(&root, name("file"), 0o600).unwrap();
    host.symlink(&root, name("link"), b"file").unwrap();
    for route in [xattr::Route::Procfs, xattr::Route::Open] {
        host.xattrs = route;
        for target in [None, Some(name("file"))] {
            let long = vec![7; 1000];
            host.set_xattr(&root, target, b"user.long", &long).unwrap();
            host.set_xattr(&root, target, b"user.empty", b"").unwrap();
            let mut list = host.xattrs(&root, target).unwrap();
            list.retain(|attribute| attribute.starts_with(b"user.") && **attribute != *b"user.a");
            list.sort();
            assert_eq!(
                list,
                [Box::from(&b"user.empty"[..]), b"user.long"[..].into()]
            );
            let get = |attribute| host.xattr(&root, target, attribute).unwrap();
            assert_eq!(get(b"user.long"), Some(long));
            assert_eq!(get(b"user.empty"), Some(vec![]));
            assert_eq!(get(b"user.none"), None);
            host.remove_xattr(&root, target, b"user.long").unwrap();
            host.remove_xattr(&root, target, b"user.empty").unwrap();
            assert_eq!(
                errno(host.remove_xattr(&root, target, b"user.long")),
                Errno::NoEntry
            );
        }
        // A symbolic link has its own attributes, not those of its target.
        host.set_xattr(&root, Some(name("file")), b"user.a", b"1")
            .unwrap();
        assert_eq!(
            host.xattr(&root, Some(name("link")), b"user.a").unwrap(),
            None
        );
        assert!(
            host.set_xattr(&root, Some(name("link")), b"user.a", b"1")
                .is_err()
        );
        assert_eq!(errno(host.xattr(&root, None, &[b'x'; 300])), Errno::Invalid);
        assert_eq!(
            errno(host.xattrs(&root, Some(name("none")))),
            Errno::NoEntry
        );
    }
}

/// `open_to_list` needs no permission to read the directory: names can be looked up in the handle anyway.
#[test]
fn a_directory_that_may_not_be_read_can_be_entered() {
    let (_temp, host) = host();
    let root = host.root().unwrap();
    host.create_dir(&root, name("dir"), 0o700).unwrap();
    let dir = host.open_dir(&root, name("dir")).unwrap();
    host.create_file(&dir, name("file"), 0o600).unwrap();
    host.set_mode(&root, Some(name("dir")), 0o311).unwrap();
    let entered = host.open_to_list(&root, name("dir")).unwrap();
    assert!(host.meta(&entered, Some(name("file"))).is_ok());
    assert!(host.xattrs(&entered, None).is_ok());
    let listed = host.list(&entered, &mut |_, _, _| ControlFlow::Continue(()));
    match listed {
        // Root may.
        Ok(()) => assert!(entered.is_readable),
        Err(error) => assert_eq!(error.errno(), Errno::Access),
    }
    assert_eq!(
        errno(host.open_to_list(&dir, name("file"))),
        Errno::NotDirectory
    );
    assert_eq!(errno(host.open_to_list(&dir, name("none"))), Errno::NoEntry);
}

/// A descriptor has one file position, and two listings may use the descriptor.
#[test]
fn a_directory_that_was_opened_to_be_listed_is_listed_whole_each_time() {
    let (_temp, host) = host();
    let root = host.root().unwrap();
    host.create_dir(&root, name("dir"), 0o700).unwrap();
    let dir = host.open_dir(&root, name("dir")).unwrap();
    for file in ["a", "b", "c"] {
        host.create_file(&dir, name(file), 0o600).unwrap();
    }
    let list = |dir: &HostHandle| {
        let mut names = 0;
        let listed = host.list(dir, &mut |_, _, _| {
            names += 1;
            ControlFlow::Continue(())
        });
        listed.map(|()| names).unwrap()
    };
    let nested = host.open_to_list(&root, name("dir")).unwrap();
    let mut inside = Vec::new();
    let listed = host.list(&nested, &mut |_, _, _| {
        inside.push(list(&nested));
        ControlFlow::Continue(())
    });
    assert!(listed.is_ok());
    assert_eq!(inside, [3, 3, 3]);
    let broken = host.open_to_list(&root, name("dir")).unwrap();
    let listed = host.list(&broken, &mut |_, _, _| ControlFlow::Break(()));
    assert!(listed.is_ok());
    assert_eq!(list(&broken), 3);
}

#[test]
fn a_second_lock_is_refused_with_a_remedy() {
    let (temp, first) = host();
    let second = at(&temp);
    first.lock().unwrap();
    for host in [&first, &second] {
        let error = host.lock().unwrap_err();
        assert_eq!(error.errno(), Errno::Busy);
        assert!(error.to_string().starts_with("the directory: "), "{error}");
    }
    first.unlock();
    second.lock().unwrap();
    drop(second);
    first.lock().unwrap();
}

#[test]
fn a_handle_follows_renames_and_removal_of_its_directory() {
    let (temp, host) = host();
    let root = host.root().unwrap();
    host.create_dir(&root, name("a"), 0o700).unwrap();
    let dir = host.open_dir(&root, name("a")).unwrap();
    host.rename(&root, name("a"), &root, name("b")).unwrap();
    host.create_file(&dir, name("file"), 0o600).unwrap();
    assert!(temp.path().join("b/file").exists());
    host.sync_dir(&dir).unwrap();
    host.sync_all().unwrap();
    host.remove_file(&dir, name("file")).unwrap();
    host.remove_dir(&root, name("b")).unwrap();
    assert_eq!(errno(host.meta(&dir, Some(name("file")))), Errno::NoEntry);
    assert_eq!(
        errno(host.create_file(&dir, name("x"), 0o600)),
        Errno::NoEntry
    );
    assert!(host.meta(&dir, None).is_ok());
}

#[test]
fn a_write_updates_the_time_of_change() {
    let (_temp, host) = host();
    let root = host.root().unwrap();
    let file = host.create_file(&root, name("file"), 0o600).unwrap();
    let before = file.meta().unwrap();
    std::thread::sleep(Duration::from_millis(20));
    file.write_at(b"x", 0).unwrap();
    file.sync(true).unwrap();
    let after = file.meta().unwrap();
    assert!(after.modified > before.modified);
    assert!(after.changed > before.changed);
    assert_eq!(after.size, 1);
}

/// Some filesystems have no `fsync` for directories, and answer EINVAL. Every `fsync` of a guest failed
/// there, since it syncs the directories above the file too.
#[test]
fn syncing_a_directory_that_has_no_fsync_does_nothing() {
    // The directories of procfs have none.
    let Ok(dir) = cap_std::fs::Dir::open_ambient_dir("/proc/self", cap_std::ambient_authority())
    else {
        println!("skipped: there is no procfs");
        return;
    };
    let fsync = reopen(&dir).and_then(rustix::fs::fsync);
    assert_eq!(fsync, Err(Os::INVAL), "the premise");
    let host = HostDir::new(dir, "proc");
    host.sync_dir(&host.root().unwrap()).unwrap();
}
