//! Checks of the maximum length of names.

use super::kit::{Mounted, Seen, at, fails, listing, make_dir, make_file, name, ok, root, seen};
use crate::error::Errno;
use crate::layer::{Leave, New, Over, Upper};

/// Names of 255 bytes work; longer ones are refused before anything changes.
///
/// # Panics
/// If the upper violates the contract.
pub fn names<U: Upper>(make: &dyn Fn() -> U) {
    longest(&*Mounted::new(make));
    too_long(&*Mounted::new(make));
}

fn longest<U: Upper>(upper: &U) {
    let dir = root(upper);
    let (one, two) = (["x"; 255].concat(), ["y"; 255].concat());
    drop(make_file(upper, at(&dir, &one), b"data"));
    let renamed = upper.rename(
        at(&dir, &one),
        at(&dir, &two),
        Over::Nothing,
        Leave::Nothing,
    );
    ok("rename of a name of 255 bytes", renamed);
    assert_eq!(seen(upper, &dir, name(&one)), Seen::Absent);
    let file = Seen::File(b"data".to_vec());
    assert_eq!(seen(upper, &dir, name(&two)), file);

    // The name of a whiteout contains the name that it hides, and may be too long for a format.
    match upper.remove(at(&dir, &two), Over::File, Leave::Whiteout) {
        Ok(()) => assert_eq!(seen(upper, &dir, name(&two)), Seen::Hidden),
        Err(error) => {
            assert_eq!(error.errno(), Errno::NameTooLong, "{error}");
            assert_eq!(seen(upper, &dir, name(&two)), file, "a failed call removed");
            ok(
                "remove of a name of 255 bytes",
                upper.remove(at(&dir, &two), Over::File, Leave::Nothing),
            );
        }
    }
}

fn too_long<U: Upper>(upper: &U) {
    let dir = root(upper);
    let long = ["z"; 256].concat();
    let to = at(&dir, &long);
    let long = to.name;
    drop(make_file(upper, at(&dir, "file"), b"data"));
    drop(make_dir(upper, at(&dir, "dir")));
    let before = listing(upper, &dir);
    let expected = Errno::NameTooLong;

    fails("find", upper.find(&dir, long), expected);
    fails("open_dir", upper.open_dir(&dir, long), expected);
    fails("open_file", upper.open_file(&dir, long), expected);
    fails("open_write", upper.open_write(&dir, long), expected);
    fails("read_link", upper.read_link(&dir, long), expected);
    for new in [New::File, New::Dir { opaque: false }, New::Symlink(b"x")] {
        fails("create", upper.create(new, to, Over::Nothing), expected);
        let staged = ok("stage", upper.stage(new));
        let published = upper.publish(staged, to, Over::Nothing, true);
        fails("publish", published, expected);
    }
    for from in ["file", "dir"] {
        let moved = upper.rename(at(&dir, from), to, Over::Nothing, Leave::Whiteout);
        fails("rename", moved, expected);
    }
    fails(
        "link",
        upper.link(at(&dir, "file"), to, Over::Nothing),
        expected,
    );
    fails(
        "remove",
        upper.remove(to, Over::Nothing, Leave::Whiteout),
        expected,
    );
    assert_eq!(
        listing(upper, &dir),
        before,
        "a call that failed changed the directory"
    );
}
