//! Checks of `link`: several names of one file.

use super::kit::{
    Mounted, Seen, age, at, fails, hide, make_dir, make_file, meta, moved, name, ok, root, seen,
    write_all,
};
use crate::error::Errno;
use crate::layer::{Leave, Over, ReadAt, Upper};

/// Links over nothing and over a whiteout, and checks link counts.
///
/// # Panics
/// If the upper violates the contract.
pub fn links<U: Upper>(make: &dyn Fn() -> U) {
    let upper = Mounted::new(make);
    let upper = &*upper;
    let top = root(upper);
    let other = make_dir(upper, at(&top, "other"));
    let file = make_file(upper, at(&top, "a"), b"data");
    for (count, dir, text, over) in [
        (2, &top, "b", Over::Nothing),
        (3, &other, "c", Over::Nothing),
        (4, &other, "d", Over::Whiteout),
    ] {
        if over == Over::Whiteout {
            hide(upper, at(dir, text));
        }
        age(upper, dir);
        ok("link", upper.link(at(&top, "a"), at(dir, text), over));
        assert!(
            moved(upper, dir),
            "link did not update the directory's time"
        );
        assert_eq!(seen(upper, dir, name(text)), Seen::File(b"data".to_vec()));
        assert_eq!(ok("meta", file.meta()).links, count);
        let (one, two) = (meta(upper, &top, name("a")), meta(upper, dir, name(text)));
        assert_eq!(
            (one.device, one.inode),
            (two.device, two.inode),
            "two files"
        );
    }
    write_all(&file, b"DATA", 0);
    assert_eq!(seen(upper, &other, name("d")), Seen::File(b"DATA".to_vec()));

    let again = upper.link(at(&top, "a"), at(&top, "b"), Over::Nothing);
    fails("link over an entry", again, Errno::Exist);
    let again = upper.link(at(&top, "a"), at(&top, "other"), Over::Nothing);
    fails("link over a directory", again, Errno::Exist);
    let none = upper.link(at(&top, "none"), at(&top, "new"), Over::Nothing);
    fails("link of nothing", none, Errno::NoEntry);
    assert_eq!(ok("meta", file.meta()).links, 4, "a failed link counts");

    for (left, dir, text) in [
        (3, &top, "a"),
        (2, &top, "b"),
        (1, &other, "c"),
        (0, &other, "d"),
    ] {
        ok(
            "remove",
            upper.remove(at(dir, text), Over::File, Leave::Nothing),
        );
        assert_eq!(ok("meta", file.meta()).links, left);
        assert_eq!(seen(upper, dir, name(text)), Seen::Absent);
    }
}
