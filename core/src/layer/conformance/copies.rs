//! Checks of copies in a staged directory, which appear together with it.

use super::kit::{
    LATER, LONG_AGO, Mounted, Seen, age, at, listing, make_dir, meta, moved, name, ok, pattern,
    root, seen, write_all,
};
use crate::layer::{At, Attributes, Copied, New, Over, Upper};
use crate::meta::{Meta, SetTime, SetTimes};

/// Stages directories with copies in them, which no reader sees; publishes one, and drops another. An upper
/// that does not support this passes.
///
/// # Panics
/// If the upper violates the contract.
pub fn copies<U: Upper>(make: &dyn Fn() -> U) {
    let upper = Mounted::new(make);
    let upper = &*upper;
    let top = root(upper);
    let before = listing(upper, &top);
    for is_published in [false, true] {
        let staged = ok("stage", upper.stage(New::Dir { opaque: false }));
        let Some(dir) = ok("staged_dir", upper.staged_dir(&staged)) else {
            return;
        };
        let file = fill(upper, &dir);
        ok(
            "set_attributes",
            upper.set_attributes(&staged, &sample_attributes()),
        );
        drop(dir);
        assert_eq!(listing(upper, &top), before, "something staged is listed");
        if !is_published {
            drop(staged);
            assert_eq!(listing(upper, &top), before, "something dropped is listed");
            continue;
        }
        let above = make_dir(upper, at(&top, "above"));
        age(upper, &above);
        let published = upper.publish(staged, at(&above, "tree"), Over::Nothing, true);
        assert!(ok("publish", published).is_none());
        assert!(!moved(upper, &above), "a copy moved the directory's time");
        is_whole(upper, &above, &file);
    }
}

fn sample_attributes() -> Attributes {
    Attributes {
        times: SetTimes {
            accessed: SetTime::To(LATER),
            modified: SetTime::To(LONG_AGO),
        },
        ..Attributes::default()
    }
}

/// Copies a file, a link, and a directory with another file. Returns the metadata of the first.
fn fill<U: Upper>(upper: &U, dir: &U::Dir) -> Meta {
    let copy = |to: At<'_, U::Dir>, new: New<'_>, data: &[u8]| {
        let copied = Copied {
            new,
            attributes: sample_attributes(),
            fill: &mut |file| {
                write_all(file, data, 0);
                Ok(())
            },
            sync: true,
        };
        ok("copy_into", upper.copy_into(to, copied))
    };
    let file = copy(at(dir, "file"), New::File, &pattern(4, 100_000));
    copy(at(dir, "link"), New::Symlink(b"to/where"), b"");
    copy(at(dir, "dir"), New::Dir { opaque: false }, b"");
    let inside = ok("open_dir", upper.open_dir(dir, name("dir")));
    copy(at(&inside, "inner"), New::File, b"inner");
    ok(
        "set_dir_attributes",
        upper.set_dir_attributes(at(dir, "dir"), sample_attributes()),
    );
    file
}

fn is_whole<U: Upper>(upper: &U, above: &U::Dir, file: &Meta) {
    assert_eq!(
        seen(upper, above, name("tree")),
        Seen::Dir { opaque: false }
    );
    let tree = ok("open_dir", upper.open_dir(above, name("tree")));
    let expected = [
        ("file", Seen::File(pattern(4, 100_000))),
        ("link", Seen::Symlink(b"to/where".to_vec())),
        ("dir", Seen::Dir { opaque: false }),
    ];
    assert_eq!(listing(upper, &tree).len(), expected.len());
    for (text, expected) in expected {
        let found = meta(upper, &tree, name(text));
        assert_eq!(
            (found.modified, found.accessed),
            (LONG_AGO, LATER),
            "{text}: the times are lost"
        );
        assert_eq!(seen(upper, &tree, name(text)), expected, "{text}");
    }
    let found = meta(upper, &tree, name("file"));
    assert_eq!(
        (found.device, found.inode),
        (file.device, file.inode),
        "the copy's inode number differs from the one that copy_into returned"
    );
    let inside = ok("open_dir", upper.open_dir(&tree, name("dir")));
    assert_eq!(
        seen(upper, &inside, name("inner")),
        Seen::File(b"inner".to_vec())
    );
}
