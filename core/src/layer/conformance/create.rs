//! Checks of `create`, which makes files, links and directories in place.

use super::kit::{
    Mounted, Seen, Was, age, at, fails, listing, make_dir, meta, moved, name, ok, read_all, root,
    seen, write_all,
};
use crate::error::Errno;
use crate::layer::{Leave, New, Over, Upper};

/// Creates files, links and directories over nothing, over whiteouts, and over entries.
///
/// # Panics
/// If the upper violates the contract.
pub fn creates<U: Upper>(make: &dyn Fn() -> U) {
    let upper = Mounted::new(make);
    let root = root(&*upper);
    for (index, was) in Was::ALL.into_iter().enumerate() {
        let dir = make_dir(&*upper, at(&root, &format!("{index}")));
        for (name, new) in [
            ("file", New::File),
            ("link", New::Symlink(b"to/where")),
            ("dir", New::Dir { opaque: false }),
        ] {
            was.prepare(&*upper, at(&dir, name));
            match (was, new) {
                (Was::Nothing, _) | (Was::Whiteout, New::File | New::Symlink(_)) => {
                    makes(&*upper, &dir, name, new, was);
                }
                // A directory over a whiteout must be opaque, so the engine stages it.
                (Was::Whiteout, New::Dir { .. }) => {}
                _ => refuses(&*upper, &dir, name, new),
            }
        }
    }
}

fn makes<U: Upper>(upper: &U, dir: &U::Dir, text: &str, new: New<'_>, was: Was) {
    let name = name(text);
    age(upper, dir);
    let file = ok("create", upper.create(new, at(dir, text), was.over()));
    assert!(
        moved(upper, dir),
        "create did not update the directory's time"
    );

    let expected = match new {
        New::File => Seen::File(Vec::new()),
        New::Symlink(target) => Seen::Symlink(target.to_vec()),
        New::Dir { opaque } => Seen::Dir { opaque },
    };
    assert_eq!(seen(upper, dir, name), expected, "created over {was:?}");
    let (returned, found) = (
        ok("created_meta", upper.created_meta(dir, name)),
        meta(upper, dir, name),
    );
    assert_eq!(
        (returned.kind, returned.inode, returned.size, returned.links),
        (found.kind, found.inode, found.size, found.links),
        "created_meta differs from find"
    );
    match (new, file) {
        (New::File, Some(file)) => {
            write_all(&file, b"new data", 0);
            assert_eq!(read_all(&file), b"new data");
            assert_eq!(seen(upper, dir, name), Seen::File(b"new data".to_vec()));
        }
        (New::File, None) => panic!("a new file came without an open file"),
        (_, file) => assert!(file.is_none(), "an open file came with something else"),
    }

    // The whiteout was replaced, not covered.
    let what = match new {
        New::Dir { .. } => Over::EmptyDir,
        New::File | New::Symlink(_) => Over::File,
    };
    ok("remove", upper.remove(at(dir, text), what, Leave::Nothing));
    assert_eq!(
        seen(upper, dir, name),
        Seen::Absent,
        "created over {was:?}, then removed"
    );
}

fn refuses<U: Upper>(upper: &U, dir: &U::Dir, text: &str, new: New<'_>) {
    let before = (seen(upper, dir, name(text)), listing(upper, dir));
    let made = upper.create(new, at(dir, text), Over::Nothing);
    fails("create over an entry", made, Errno::Exist);
    let after = (seen(upper, dir, name(text)), listing(upper, dir));
    assert_eq!(before, after, "a failed create changed something");
}
