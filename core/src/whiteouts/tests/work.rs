//! Tests of when the work folder exists.

use super::*;
use crate::meta::{SetTime, SetTimes, Timestamp};
use crate::plain::Plain;
use crate::plain::faulty::{Faults, Faulty};

const FOLDER: &str = ".wh..wh.work";
const THEN: Timestamp = Timestamp {
    seconds: 1_000_000,
    nanoseconds: 0,
};

/// A mounted upper with a work folder on demand.
fn mounted(faults: &Faults) -> (tempfile::TempDir, MarkedUpper<Faulty<HostDir>>) {
    let temp = tempfile::tempdir().unwrap();
    let upper = Marked::upper_on_demand(Faulty::new(host(temp.path()), faults));
    upper.mount(Durability::Durable).unwrap();
    (temp, upper)
}

fn has_folder(temp: &tempfile::TempDir) -> bool {
    temp.path().join(FOLDER).exists()
}

#[test]
fn a_mount_alone_changes_nothing() {
    let faults = Faults::default();
    faults.cut_after(0);
    let (_temp, upper) = mounted(&faults);
    upper.unmount().unwrap();
    assert_eq!(faults.changes(), 0);
}

#[test]
fn a_change_of_one_step_makes_one_changing_call() {
    let faults = Faults::default();
    let (_temp, upper) = mounted(&faults);
    let root = upper.root().unwrap();
    // The first change checks whether the upper folds case.
    let first = upper.remove(at(&root, "first"), Over::Nothing, Leave::Whiteout);
    first.unwrap();
    assert_eq!(
        faults.changes(),
        5,
        "create and remove the folder, each with times; the whiteout"
    );
    let dir = New::Dir { opaque: false };
    let one = |what: &str, change: &dyn Fn() -> Result<()>| {
        faults.never();
        change().unwrap();
        assert_eq!(faults.changes(), 1, "{what}");
    };
    let create = |new, text| upper.create(new, at(&root, text), Over::Nothing).map(drop);
    one("a file", &|| create(New::File, "file"));
    one("a link", &|| create(New::Symlink(b"x"), "link"));
    one("a directory", &|| create(dir, "dir"));
    one("a name more", &|| {
        upper.link(at(&root, "file"), at(&root, "more"), Over::Nothing)
    });
    let rename =
        |from, to, over| upper.rename(at(&root, from), at(&root, to), over, Leave::Nothing);
    one("rename", &|| rename("more", "moved", Over::Nothing));
    one("rename over a file", &|| {
        rename("moved", "link", Over::File)
    });
    let remove = |text, what, leave| upper.remove(at(&root, text), what, leave);
    one("unlink", &|| remove("link", Over::File, Leave::Nothing));
    one("rmdir", &|| remove("dir", Over::EmptyDir, Leave::Nothing));
    one("hide", &|| remove("lower", Over::Nothing, Leave::Whiteout));
    one("show", &|| remove("lower", Over::Whiteout, Leave::Nothing));
}

/// A copy-up stages the file, then its directories, and publishes the file last.
#[test]
fn the_folder_stays_while_anything_is_staged() {
    let (temp, upper) = mounted(&Faults::default());
    let root = upper.root().unwrap();
    let file = upper.stage(New::File).unwrap();
    let dir = upper.stage(New::Dir { opaque: false }).unwrap();
    let dropped = upper.stage(New::Symlink(b"x")).unwrap();
    upper
        .publish(dir, at(&root, "dir"), Over::Nothing, true)
        .unwrap();
    assert!(has_folder(&temp));
    drop(dropped);
    put(&upper, at(&root, "other"), Over::Nothing, "other").unwrap();
    assert!(has_folder(&temp));
    let inside = walk(&upper, "dir");
    let open = upper
        .publish(file, at(&inside, "file"), Over::Nothing, true)
        .unwrap();
    assert!(!has_folder(&temp));
    assert!(open.is_some());
    drop(upper.stage(New::File).unwrap());
    assert!(!has_folder(&temp));
}

#[test]
fn a_change_that_fails_leaves_no_folder() {
    let (temp, upper) = mounted(&Faults::default());
    let root = upper.root().unwrap();
    let new = New::Dir { opaque: false };
    upper.create(new, at(&root, "full"), Over::Nothing).unwrap();
    let full = walk(&upper, "full");
    upper
        .create(New::File, at(&full, "file"), Over::Nothing)
        .unwrap();
    let remove = upper.remove(at(&root, "full"), Over::EmptyDir, Leave::Whiteout);
    assert!(remove.is_err());
    let remove = upper.remove(at(&root, "none"), Over::File, Leave::Whiteout);
    assert!(remove.is_err());
    let staged = upper.stage(New::Dir { opaque: true }).unwrap();
    let published = upper.publish(staged, at(&root, "full"), Over::EmptyDir, false);
    assert!(published.is_err());
    assert_eq!(
        paths_on_disk(temp.path()).len(),
        2,
        "{:?}",
        paths_on_disk(temp.path())
    );
}

/// If a cleanup or the removal of the folder failed, the next mount repairs.
#[test]
fn the_folder_stays_for_the_next_mount_to_repair() {
    // Create the folder, its times, the whiteout, the file, [the whiteout], [the folder].
    for (step, left) in [
        (4, vec![FOLDER, ".wh.file", "file"]),
        (5, vec![FOLDER, "file"]),
    ] {
        let faults = Faults::default();
        let (temp, upper) = mounted(&faults);
        let root = upper.root().unwrap();
        upper
            .remove(at(&root, "file"), Over::Nothing, Leave::Whiteout)
            .unwrap();
        faults.fail_at(step - 1);
        upper
            .create(New::File, at(&root, "file"), Over::Whiteout)
            .unwrap();
        faults.never();
        assert!(
            paths_on_disk(temp.path()).iter().eq(&left),
            "{:?}",
            paths_on_disk(temp.path())
        );
        // The next change uses the same folder.
        put(&upper, at(&root, "more"), Over::Nothing, "more").unwrap();
        assert_eq!(has_folder(&temp), left.contains(&".wh.file"));
        drop(upper);
        let upper = Marked::upper_on_demand(host(temp.path()));
        upper.mount(Durability::Durable).unwrap();
        assert!(paths_on_disk(temp.path()).iter().eq(["file", "more"]));
    }
}

/// The root is visible to the guest, and the folder is not.
#[test]
fn the_root_keeps_its_times() {
    let then = SetTimes {
        accessed: SetTime::To(THEN),
        modified: SetTime::To(THEN),
    };
    for make in [Marked::upper, Marked::upper_on_demand] {
        let temp = tempfile::tempdir().unwrap();
        std::fs::create_dir(temp.path().join("dir")).unwrap();
        let plain = host(temp.path());
        let root = plain.root().unwrap();
        plain.set_times(&root, None, then).unwrap();
        let upper = make(plain);
        upper.mount(Durability::Durable).unwrap();
        let dir = walk(&upper, "dir");
        put(&upper, at(&dir, "file"), Over::Nothing, "data").unwrap();
        upper
            .remove(at(&dir, "file"), Over::File, Leave::Whiteout)
            .unwrap();
        assert_eq!(upper.dir_meta(&root).unwrap().modified, THEN);
        upper.unmount().unwrap();
        assert_eq!(upper.dir_meta(&root).unwrap().modified, THEN);
    }
}

/// Staged files that outlive their mount do not affect the folder of the next mount.
#[test]
fn staged_files_that_outlive_their_mount_leave_the_next_one_alone() {
    let temp = tempfile::tempdir().unwrap();
    let upper = Marked::upper_on_demand(host(temp.path()));
    upper.mount(Durability::Durable).unwrap();
    let old = upper.stage(New::File).unwrap();
    upper.unmount().unwrap();
    upper.mount(Durability::Durable).unwrap();
    let new = upper.stage(New::File).unwrap();
    drop(old);
    let root = upper.root().unwrap();
    upper
        .publish(new, at(&root, "file"), Over::Nothing, false)
        .unwrap();
    assert_eq!(paths_on_disk(temp.path()).len(), 1);
}
