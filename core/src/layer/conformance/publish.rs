//! Checks of staging and `publish`: nothing is visible before it is complete.

use super::kit::{
    LATER, LONG_AGO, Mounted, Seen, Was, age, at, both, fails, listing, make_dir, meta, moved,
    name, ok, pattern, read_all, root, seen, write_all,
};
use crate::error::Errno;
use crate::layer::{Attributes, Leave, New, Over, Upper};
use crate::meta::{Kind, Meta, SetTime, SetTimes};

/// Staged files, links and directories are invisible, and gone once they are dropped.
///
/// # Panics
/// If the upper violates the contract.
pub fn staging<U: Upper>(make: &dyn Fn() -> U) {
    let upper = Mounted::new(make);
    let upper = &*upper;
    let root = root(upper);
    let before = (listing(upper, &root), upper.usage());
    let mut staged = Vec::new();
    for new in [
        New::File,
        New::Symlink(b"x"),
        New::Dir { opaque: false },
        New::Dir { opaque: true },
    ] {
        for _ in 0..3 {
            let one = ok("stage", upper.stage(new));
            match (new, upper.staged_file(&one)) {
                (New::File, Some(file)) => write_all(file, &pattern(2, 200_000), 0),
                (New::File, None) => panic!("a staged file has no data"),
                (_, file) => assert!(file.is_none(), "something else has a file's data"),
            }
            staged.push(one);
        }
    }
    assert_eq!(
        listing(upper, &root),
        before.0,
        "something staged is listed"
    );
    drop(staged);
    assert_eq!(
        listing(upper, &root),
        before.0,
        "something dropped is listed"
    );
    assert_eq!(upper.usage(), before.1, "something dropped is still stored");
}

/// Publishes over everything that may be at the name.
///
/// # Panics
/// If the upper violates the contract.
pub fn publishes<U: Upper>(make: &dyn Fn() -> U) {
    let upper = Mounted::new(make);
    let top = root(&*upper);
    for (index, was) in Was::ALL.into_iter().enumerate() {
        for keep_times in [false, true] {
            let dir = make_dir(&*upper, at(&top, &format!("{index} {keep_times}")));
            match was.over() {
                Over::Nothing | Over::Whiteout | Over::File => {
                    file(&*upper, &dir, was, keep_times);
                    link(&*upper, &dir, was, keep_times);
                }
                Over::EmptyDir => {}
            }
            if was.over() != Over::File {
                directory(&*upper, &dir, was, keep_times);
            }
        }
    }
    at_the_root(&*Mounted::new(make));
    over_something_unexpected(&*upper);
}

fn file<U: Upper>(upper: &U, dir: &U::Dir, was: Was, keep_times: bool) {
    was.prepare(upper, at(dir, "file"));
    age(upper, dir);
    let staged = ok("stage", upper.stage(New::File));
    let data = pattern(3, 150_000);
    let Some(inner) = upper.staged_file(&staged) else {
        panic!("a staged file has no data");
    };
    write_all(inner, &data, 0);
    let own = ok("meta", inner.meta());
    let attributes = Attributes {
        mode: Some(0o640),
        owner: own.owner,
        xattrs: Vec::new(),
        times: SetTimes {
            accessed: SetTime::To(LATER),
            modified: SetTime::To(LONG_AGO),
        },
    };
    ok("set_attributes", upper.set_attributes(&staged, &attributes));
    let predicted = ok("staged_meta", upper.staged_meta(&staged));
    let published = upper.publish(staged, at(dir, "file"), was.over(), keep_times);
    let Some(open) = ok("publish", published) else {
        panic!("a published file came without an open file");
    };

    let found = meta(upper, dir, name("file"));
    check_predicted(&meta(upper, dir, name("file")), &predicted);
    assert_eq!(
        (found.modified, found.accessed),
        (LONG_AGO, LATER),
        "publish lost the times"
    );
    assert_eq!(found.inode, own.inode, "publish made another file");
    assert_eq!(found.links, 1);
    if found.mode.is_some() {
        assert_eq!(found.mode, Some(0o640), "publish lost the mode");
    }
    assert_eq!(
        moved(upper, dir),
        !keep_times,
        "publish over {was:?}: the directory's time"
    );
    assert!(read_all(&open) == data, "the published file is another");
    assert!(
        seen(upper, dir, name("file")) == Seen::File(data),
        "published over {was:?}"
    );
    write_all(&open, b"more", 150_000);
    assert_eq!(meta(upper, dir, name("file")).size, 150_004);
    not_marked(upper, dir, "file", Over::File);
}

/// Checks that the metadata after publishing is what `staged_meta` returned before.
fn check_predicted(found: &Meta, predicted: &Meta) {
    let known = |meta: &Meta| (meta.kind, meta.device, meta.inode, meta.mode, meta.owner);
    assert_eq!(known(found), known(predicted), "staged_meta was wrong");
    assert_eq!(
        found.modified, predicted.modified,
        "staged_meta: wrong time"
    );
    if found.kind != Kind::Dir {
        let known = |meta: &Meta| (meta.size, meta.links);
        assert_eq!(known(found), known(predicted), "staged_meta: wrong size");
    }
}

fn link<U: Upper>(upper: &U, dir: &U::Dir, was: Was, keep_times: bool) {
    was.prepare(upper, at(dir, "link"));
    age(upper, dir);
    let staged = ok("stage", upper.stage(New::Symlink(b"to/where")));
    let attributes = Attributes {
        times: both(LONG_AGO),
        ..Attributes::default()
    };
    ok("set_attributes", upper.set_attributes(&staged, &attributes));
    let predicted = ok("staged_meta", upper.staged_meta(&staged));
    let published = upper.publish(staged, at(dir, "link"), was.over(), keep_times);
    assert!(
        ok("publish", published).is_none(),
        "a link came with an open file"
    );
    let expected = Seen::Symlink(b"to/where".to_vec());
    assert_eq!(
        seen(upper, dir, name("link")),
        expected,
        "published over {was:?}"
    );
    assert_eq!(meta(upper, dir, name("link")).modified, LONG_AGO);
    check_predicted(&meta(upper, dir, name("link")), &predicted);
    assert_eq!(
        moved(upper, dir),
        !keep_times,
        "publish over {was:?}: the directory's time"
    );
    not_marked(upper, dir, "link", Over::File);
}

fn directory<U: Upper>(upper: &U, dir: &U::Dir, was: Was, keep_times: bool) {
    for opaque in [false, true] {
        if !opaque && was != Was::Nothing {
            // It would have to hide something, so the engine never makes this call.
            continue;
        }
        let text = if opaque { "opaque" } else { "dir" };
        was.prepare(upper, at(dir, text));
        age(upper, dir);
        let staged = ok("stage", upper.stage(New::Dir { opaque }));
        let attributes = Attributes {
            mode: Some(0o750),
            times: both(LONG_AGO),
            ..Attributes::default()
        };
        ok("set_attributes", upper.set_attributes(&staged, &attributes));
        let predicted = ok("staged_meta", upper.staged_meta(&staged));
        let published = upper.publish(staged, at(dir, text), was.over(), keep_times);
        assert!(
            ok("publish", published).is_none(),
            "a directory came with an open file"
        );

        let found = seen(upper, dir, name(text));
        assert_eq!(found, Seen::Dir { opaque }, "published over {was:?}");
        let found = meta(upper, dir, name(text));
        check_predicted(&found, &predicted);
        assert_eq!(found.modified, LONG_AGO, "publish lost a directory's times");
        if found.mode.is_some() {
            assert_eq!(found.mode, Some(0o750), "publish lost a directory's mode");
        }
        assert_eq!(
            moved(upper, dir),
            !keep_times,
            "publish over {was:?}: the directory's time"
        );
        let inner = ok("open_dir", upper.open_dir(dir, name(text)));
        assert!(
            listing(upper, &inner).is_empty(),
            "a new directory has old names"
        );
        drop(make_dir(upper, at(&inner, "inside")));
        let removed = upper.remove(at(&inner, "inside"), Over::EmptyDir, Leave::Nothing);
        ok("remove", removed);
        not_marked(upper, dir, text, Over::EmptyDir);
    }
}

/// After an entry was put over a whiteout and removed, the whiteout is not back.
fn not_marked<U: Upper>(upper: &U, dir: &U::Dir, text: &str, what: Over) {
    ok("remove", upper.remove(at(dir, text), what, Leave::Nothing));
    assert_eq!(
        seen(upper, dir, name(text)),
        Seen::Absent,
        "an old whiteout came back"
    );
}

fn at_the_root<U: Upper>(upper: &U) {
    let dir = root(upper);
    for new in [New::File, New::Dir { opaque: false }, New::Symlink(b"x")] {
        let text = format!("{new:?}");
        age(upper, &dir);
        let staged = ok("stage", upper.stage(new));
        let published = upper.publish(staged, at(&dir, &text), Over::Nothing, true);
        ok("publish", published);
        assert!(!moved(upper, &dir), "a copy changed the time of the root");
    }
}

fn over_something_unexpected<U: Upper>(upper: &U) {
    let dir = make_dir(upper, at(&root(upper), "unexpected"));
    let full = make_dir(upper, at(&dir, "full"));
    drop(make_dir(upper, at(&full, "inside")));
    let staged = ok("stage", upper.stage(New::Dir { opaque: true }));
    let published = upper.publish(staged, at(&dir, "full"), Over::EmptyDir, false);
    fails(
        "publish over a directory that is not empty",
        published,
        Errno::NotEmpty,
    );
    assert_eq!(meta(upper, &full, name("inside")).kind, Kind::Dir);
    let again = ok("open_dir", upper.open_dir(&dir, name("full")));
    assert_eq!(meta(upper, &again, name("inside")).kind, Kind::Dir);
}
