//! Checks of `mount`: one mount at a time, whose changes persist.

use super::kit::{
    Mounted, Seen, at, fails, hide, listing, make_dir, make_file, name, ok, root, seen,
};
use crate::error::Errno;
use crate::layer::{Durability, New, Over, Upper};

/// Mounts one storage twice. `pair` returns two uppers on it, which may be clones of one if the upper
/// has no storage of its own. An ephemeral upper must refuse the second mount, since it need not hold
/// everything that its overlay showed.
///
/// # Panics
/// If the upper violates the contract.
pub fn mounting<U: Upper>(pair: &dyn Fn() -> (U, U)) {
    let (one, two) = pair();
    let first = Mounted::of(one);
    fails(
        "mount of a mounted upper",
        two.mount(Durability::Durable),
        Errno::Busy,
    );

    let top = root(&*first);
    drop(make_file(&*first, at(&top, "file"), b"data"));
    let dir = make_dir(&*first, at(&top, "dir"));
    ok("set_opaque", first.set_opaque(&dir));
    hide(&*first, at(&dir, "hidden"));
    let link = first.create(New::Symlink(b"file"), at(&top, "link"), Over::Nothing);
    ok("create a link", link);
    drop(ok("stage", first.stage(New::File)));
    let before = listing(&*first, &top);
    drop((top, dir));
    drop(first);

    let second = Mounted::of(two);
    let top = root(&*second);
    assert_eq!(listing(&*second, &top), before, "a mount changed the names");
    assert_eq!(
        seen(&*second, &top, name("file")),
        Seen::File(b"data".to_vec())
    );
    assert_eq!(
        seen(&*second, &top, name("dir")),
        Seen::Dir { opaque: true }
    );
    let dir = ok("open_dir", second.open_dir(&top, name("dir")));
    assert_eq!(seen(&*second, &dir, name("hidden")), Seen::Hidden);
    let expected = Seen::Symlink(b"file".to_vec());
    assert_eq!(seen(&*second, &top, name("link")), expected);
}
