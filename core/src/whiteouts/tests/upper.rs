//! Tests of what an upper writes, and what it refuses.

use super::*;
use crate::error::Errno;
use crate::layer::Attributes;
use crate::meta::{SetTime, SetTimes, Timestamp};
use crate::plain::Plain;

fn mounted() -> (tempfile::TempDir, MarkedUpper<HostDir>) {
    let temp = tempfile::tempdir().unwrap();
    let upper = Marked::upper(host(temp.path()));
    upper.mount(Durability::Durable).unwrap();
    (temp, upper)
}

fn errno<T>(result: Result<T>) -> Errno {
    result.err().unwrap().errno()
}

fn strings(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn the_work_folder_exists_from_mount_to_unmount() {
    let (temp, upper) = mounted();
    assert_eq!(paths_on_disk(temp.path()), strings(&[".wh..wh.work"]));
    let staged = upper.stage(New::Dir { opaque: true }).unwrap();
    upper.unmount().unwrap();
    assert_eq!(paths_on_disk(temp.path()), strings(&[]));
    drop(staged);
    assert_eq!(errno(upper.stage(New::File)), Errno::Invalid);
    upper.mount(Durability::Durable).unwrap();
    upper.unmount().unwrap();
}

#[test]
fn the_steady_state_is_the_portable_one() {
    let (temp, upper) = mounted();
    let root = upper.root().unwrap();
    let hide = |text| {
        upper
            .remove(at(&root, text), Over::Nothing, Leave::Whiteout)
            .unwrap();
    };
    for text in ["deleted", "replaced", "dir", "moved"] {
        hide(text);
    }
    upper
        .create(New::File, at(&root, "replaced"), Over::Whiteout)
        .unwrap();
    upper
        .create(New::Dir { opaque: false }, at(&root, "dir"), Over::Whiteout)
        .unwrap();
    upper
        .create(New::Dir { opaque: false }, at(&root, "new"), Over::Nothing)
        .unwrap();
    upper
        .rename(
            at(&root, "new"),
            at(&root, "moved"),
            Over::Whiteout,
            Leave::Nothing,
        )
        .unwrap();
    upper.unmount().unwrap();
    assert_eq!(
        paths_on_disk(temp.path()),
        strings(&[
            ".wh.deleted",
            "replaced",
            "dir",
            "dir/.wh..wh..opq",
            "moved",
            "moved/.wh..wh..opq"
        ])
    );
}

#[test]
fn names_too_long_for_a_whiteout_are_refused_before_any_change() {
    let (temp, upper) = mounted();
    let root = upper.root().unwrap();
    let long = "n".repeat(252);
    upper
        .create(New::File, at(&root, &long), Over::Nothing)
        .unwrap();
    let before = paths_on_disk(temp.path());
    for what in [Over::Nothing, Over::File] {
        let removed = upper.remove(at(&root, &long), what, Leave::Whiteout);
        assert_eq!(errno(removed), Errno::NameTooLong);
    }
    let renamed = upper.rename(
        at(&root, &long),
        at(&root, "short"),
        Over::Nothing,
        Leave::Whiteout,
    );
    assert_eq!(errno(renamed), Errno::NameTooLong);
    assert_eq!(paths_on_disk(temp.path()), before);
    upper
        .remove(at(&root, &long), Over::File, Leave::Nothing)
        .unwrap();
}

#[test]
fn whiteouts_cannot_be_created_by_name() {
    let (_temp, upper) = mounted();
    let root = upper.root().unwrap();
    upper
        .create(New::File, at(&root, "file"), Over::Nothing)
        .unwrap();
    for reserved in [".wh.file", ".wh..wh..opq", ".wh..wh.work"] {
        let to = at(&root, reserved);
        let from = at(&root, "file");
        assert_eq!(
            errno(upper.create(New::File, to, Over::Nothing)),
            Errno::NotPermitted
        );
        assert_eq!(
            errno(upper.link(from, to, Over::Nothing)),
            Errno::NotPermitted
        );
        assert_eq!(
            errno(upper.rename(from, to, Over::Nothing, Leave::Nothing)),
            Errno::NotPermitted
        );
        assert_eq!(errno(upper.open_write(&root, to.name)), Errno::NoEntry);
        assert_eq!(
            errno(upper.remove(to, Over::File, Leave::Nothing)),
            Errno::NoEntry
        );
    }
    let set = upper.set_xattr(&root, Some(name("file")), b"user.overlay.opaque", b"y");
    assert_eq!(errno(set), Errno::NotPermitted);
}

#[test]
fn another_overlays_upper_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let plain = host(temp.path());
    let root = plain.root().unwrap();
    plain
        .set_xattr(&root, None, b"user.overlay.opaque", b"y")
        .unwrap();
    let upper = Marked::upper(plain);
    let error = upper.mount(Durability::Durable).unwrap_err();
    assert_eq!(error.errno(), Errno::Unsupported);
    assert!(error.to_string().contains("the layer"), "{error}");
    // The lock was released.
    let plain = host(temp.path());
    plain.lock().unwrap();
}

#[test]
fn a_work_folder_of_another_program_is_refused_and_left_alone() {
    let temp = tempfile::tempdir().unwrap();
    std::fs::create_dir(temp.path().join(".wh..wh.work")).unwrap();
    std::fs::write(temp.path().join(".wh..wh.work/theirs"), "").unwrap();
    let upper = Marked::upper(host(temp.path()));
    let error = upper.mount(Durability::Durable).unwrap_err();
    assert_eq!(error.errno(), Errno::Unsupported);
    assert!(error.to_string().contains("theirs"), "{error}");
    assert!(temp.path().join(".wh..wh.work/theirs").exists());
}

#[test]
fn kernel_whiteouts_deeper_down_are_refused_when_found() {
    let temp = tempfile::tempdir().unwrap();
    std::fs::create_dir(temp.path().join("dir")).unwrap();
    let dir = std::fs::File::open(temp.path().join("dir")).unwrap();
    let device = rustix::fs::FileType::CharacterDevice;
    if rustix::fs::mknodat(&dir, "gone", device, rustix::fs::Mode::empty(), 0).is_err() {
        return;
    }
    let upper = Marked::upper(host(temp.path()));
    upper.mount(Durability::Durable).unwrap();
    let inner = walk(&upper, "dir");
    assert_eq!(errno(upper.find(&inner, name("gone"))), Errno::Unsupported);
    let list = upper.list(&inner, &mut |_, _| ControlFlow::Continue(()));
    assert_eq!(errno(list), Errno::Unsupported);
}

#[test]
fn a_copy_gets_the_attributes_that_must_be_kept() {
    let (temp, upper) = mounted();
    let root = upper.root().unwrap();
    let then = Timestamp {
        seconds: 1_000_000,
        nanoseconds: 5,
    };
    let attributes = Attributes {
        mode: Some(0o4711),
        owner: Some((0, 0)),
        xattrs: vec![
            (b"user.kept".as_slice().into(), b"1".to_vec()),
            (b"user.overlay.origin".as_slice().into(), b"2".to_vec()),
            (b"security.selinux".as_slice().into(), b"3".to_vec()),
            (b"no.such.namespace".as_slice().into(), b"4".to_vec()),
        ],
        times: SetTimes {
            accessed: SetTime::To(then),
            modified: SetTime::To(then),
        },
    };
    for (text, new) in [("file", New::File), ("dir", New::Dir { opaque: false })] {
        let staged = upper.stage(new).unwrap();
        upper.set_attributes(&staged, &attributes).unwrap();
        upper
            .publish(staged, at(&root, text), Over::Nothing, true)
            .unwrap();
        let Found::Here { meta, .. } = upper.find(&root, name(text)).unwrap() else {
            panic!("{text} is not there");
        };
        // Only root can change the owner; without its owner the file has no set-id bits.
        let is_given = meta.owner == Some((0, 0));
        assert_eq!(meta.mode, Some(if is_given { 0o4711 } else { 0o711 }));
        assert_eq!((meta.accessed, meta.modified), (then, then));
        let plain = host(temp.path());
        let own = plain.root().unwrap();
        let mut kept = plain.xattrs(&own, Some(name(text))).unwrap();
        kept.retain(|attribute| attribute.starts_with(b"user."));
        assert_eq!(kept, [Box::from(&b"user.kept"[..])]);
    }
}

#[test]
fn internal_steps_keep_the_time_of_their_directory() {
    let (_temp, upper) = mounted();
    let root = upper.root().unwrap();
    let modified = || upper.dir_meta(&root).unwrap().modified;
    let then = modified();
    let staged = upper.stage(New::File).unwrap();
    let copied = upper.publish(staged, at(&root, "copy"), Over::Nothing, true);
    drop(copied.unwrap());
    assert_eq!(modified(), then);
    // The whiteout is removed again, since there is nothing to remove.
    let removed = upper.remove(at(&root, "none"), Over::File, Leave::Whiteout);
    assert_eq!(errno(removed), Errno::NoEntry);
    assert_eq!(modified(), then);
    upper
        .remove(at(&root, "none"), Over::Nothing, Leave::Whiteout)
        .unwrap();
    assert!(modified() > then);
}

#[test]
fn set_opaque_keeps_the_times() {
    let (_temp, upper) = mounted();
    let root = upper.root().unwrap();
    upper
        .create(New::Dir { opaque: false }, at(&root, "dir"), Over::Nothing)
        .unwrap();
    let dir = walk(&upper, "dir");
    let before = upper.dir_meta(&dir).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(20));
    upper.set_opaque(&dir).unwrap();
    upper.set_opaque(&dir).unwrap();
    assert_eq!(upper.dir_meta(&dir).unwrap().modified, before.modified);
    let found = upper.find(&root, name("dir")).unwrap();
    assert!(matches!(found, Found::Here { opaque: true, .. }));
}
