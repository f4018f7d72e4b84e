//! Checks of times, permission bits and extended attributes.

use super::kit::{
    LATER, LONG_AGO, Mounted, at, both, fails, make_dir, make_file, meta, name, ok, root,
};
use crate::error::Errno;
use crate::layer::{Attributes, New, Over, ReadAt, Upper, WriteAt};
use crate::meta::{SetTime, SetTimes, Timestamp};

/// Sets times of files, directories and links, by name and by handle.
///
/// # Panics
/// If the upper violates the contract.
pub fn times<U: Upper>(make: &dyn Fn() -> U) {
    let upper = Mounted::new(make);
    let upper = &*upper;
    let top = root(upper);
    drop(make_dir(upper, at(&top, "dir")));
    let file = make_file(upper, at(&top, "file"), b"data");
    let link = upper.create(New::Symlink(b"file"), at(&top, "link"), Over::Nothing);
    ok("create a link", link);

    for text in ["file", "dir", "link"] {
        let set = |times| ok("set_times", upper.set_times(&top, Some(name(text)), times));
        set_and_check(&set, &|| {
            let meta = meta(upper, &top, name(text));
            (meta.accessed, meta.modified)
        });
    }
    // Setting the times of a symbolic link does not change those of its target.
    ok("set_times", file.set_times(both(LONG_AGO)));
    let set = upper.set_times(&top, Some(name("link")), both(LATER));
    ok("set_times of a link", set);
    assert_eq!(meta(upper, &top, name("file")).modified, LONG_AGO);

    set_and_check(&|times| ok("set_times", file.set_times(times)), &|| {
        let meta = ok("meta", file.meta());
        (meta.accessed, meta.modified)
    });
    let set = |times| ok("set_times", upper.set_times(&top, None, times));
    set_and_check(&set, &|| {
        let meta = ok("dir_meta", upper.dir_meta(&top));
        (meta.accessed, meta.modified)
    });

    let none = upper.set_times(&top, Some(name("none")), both(LATER));
    fails("set_times of nothing", none, Errno::NoEntry);

    // Making a directory opaque does not change its own times.
    let dir = ok("open_dir", upper.open_dir(&top, name("dir")));
    ok("set_times", upper.set_times(&dir, None, both(LONG_AGO)));
    ok("set_opaque", upper.set_opaque(&dir));
    assert_eq!(ok("dir_meta", upper.dir_meta(&dir)).modified, LONG_AGO);
    ok("set_opaque twice", upper.set_opaque(&dir));
}

fn set_and_check(set: &dyn Fn(SetTimes), get: &dyn Fn() -> (Timestamp, Timestamp)) {
    set(both(LONG_AGO));
    assert_eq!(get(), (LONG_AGO, LONG_AGO));
    let to = |accessed, modified| SetTimes { accessed, modified };
    set(to(SetTime::Keep, SetTime::To(LATER)));
    assert_eq!(get(), (LONG_AGO, LATER));
    set(to(SetTime::To(LATER), SetTime::Keep));
    assert_eq!(get(), (LATER, LATER));
    set(SetTimes::default());
    assert_eq!(get(), (LATER, LATER));
    set(to(SetTime::Keep, SetTime::Now));
    let (accessed, modified) = get();
    assert_eq!(accessed, LATER, "setting one time moved the other");
    assert!(modified > LATER, "the time of the call lies in the past");
}

/// Sets permission bits, where there are any.
///
/// # Panics
/// If the upper violates the contract.
pub fn modes<U: Upper>(make: &dyn Fn() -> U) {
    let upper = Mounted::new(make);
    let top = root(&*upper);
    let file = make_file(&*upper, at(&top, "file"), b"data");
    for mode in [0o600, 0o755, 0o644] {
        ok("set_mode", file.set_mode(mode));
        let found = ok("meta", file.meta()).mode;
        assert!(
            found.is_none_or(|found| found == mode),
            "set_mode({mode:o}): {found:?}"
        );
    }
    for (text, new) in [("copy", New::File), ("dir", New::Dir { opaque: false })] {
        let staged = ok("stage", upper.stage(new));
        let attributes = Attributes {
            mode: Some(0o6755),
            // Not a user of a usual system. The maximum means "leave it unchanged" to `chown`.
            owner: Some((u32::MAX - 2, u32::MAX - 2)),
            ..Attributes::default()
        };
        ok("set_attributes", upper.set_attributes(&staged, &attributes));
        let found = ok("staged_meta", upper.staged_meta(&staged));
        let kept = found.mode.unwrap_or_default() & 0o6000;
        assert!(
            kept == 0 || found.owner == attributes.owner,
            "a staged {text} lost its owner and kept set-id bits: {found:?}"
        );
    }
}

/// Sets extended attributes, where there are any.
///
/// # Panics
/// If the upper violates the contract.
pub fn xattrs<U: Upper>(make: &dyn Fn() -> U) {
    let upper = Mounted::new(make);
    let upper = &*upper;
    let top = root(upper);
    drop(make_file(upper, at(&top, "file"), b"data"));
    let dir = make_dir(upper, at(&top, "dir"));
    match upper.set_xattr(&top, Some(name("file")), b"user.probe", b"") {
        Err(error) if error.errno() == Errno::Unsupported => return,
        probed => ok("set_xattr", probed),
    }
    ok(
        "remove_xattr",
        upper.remove_xattr(&top, Some(name("file")), b"user.probe"),
    );

    on_one(upper, &top, Some(name("file")));
    on_one(upper, &top, Some(name("dir")));
    on_one(upper, &dir, None);
    let (file, mut names) = ok("open_to_copy", upper.open_to_copy(&top, name("file")));
    let mut known = ok("xattrs", upper.xattrs(&top, Some(name("file"))));
    names.sort();
    known.sort();
    assert_eq!(names, known, "open_to_copy names other attributes");
    assert_eq!(ok("meta", file.meta()).size, 4, "it opens another file");

    let staged = ok("stage", upper.stage(New::File));
    let value = b"kept".to_vec();
    let attributes = Attributes {
        xattrs: vec![((*b"user.copied").into(), value.clone())],
        ..Attributes::default()
    };
    ok("set_attributes", upper.set_attributes(&staged, &attributes));
    ok(
        "publish",
        upper.publish(staged, at(&top, "copy"), Over::Nothing, true),
    );
    let found = ok(
        "xattr",
        upper.xattr(&top, Some(name("copy")), b"user.copied"),
    );
    assert_eq!(found, Some(value), "publish lost an extended attribute");
}

fn on_one<U: Upper>(upper: &U, dir: &U::Dir, name: Option<crate::Name<'_>>) {
    let get = |attribute: &[u8]| ok("xattr", upper.xattr(dir, name, attribute));
    let list = || {
        let mut names = ok("xattrs", upper.xattrs(dir, name));
        names.retain(|name| name.starts_with(b"user."));
        names.sort();
        names
    };
    assert_eq!(get(b"user.a"), None);
    for (attribute, value) in [
        (&b"user.a"[..], &b"1"[..]),
        (b"user.b", b""),
        (b"user.a", b"a longer value with \0 and \xff"),
    ] {
        ok("set_xattr", upper.set_xattr(dir, name, attribute, value));
        assert_eq!(get(attribute).as_deref(), Some(value));
    }
    assert_eq!(
        list(),
        [Box::from(*b"user.a"), Box::<[u8]>::from(*b"user.b")]
    );
    ok("remove_xattr", upper.remove_xattr(dir, name, b"user.a"));
    let again = upper.remove_xattr(dir, name, b"user.a");
    fails("remove_xattr of nothing", again, Errno::NoEntry);
    assert_eq!(get(b"user.a"), None);
    assert_eq!(list(), [Box::<[u8]>::from(*b"user.b")]);
}
