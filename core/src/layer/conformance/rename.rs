//! Checks of `rename`, of everything over everything.

use super::kit::{
    LONG_AGO, Mounted, Seen, Was, age, at, fails, hide, make_dir, make_file, meta, moved, name, ok,
    pattern, read_all, root, seen, write_all,
};
use crate::error::Errno;
use crate::layer::{Leave, New, Over, Upper};
use crate::meta::Kind;

/// What is renamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    File,
    Symlink,
    EmptyDir,
    FullDir,
}

/// Renames everything over everything, in one directory and across two.
///
/// # Panics
/// If the upper violates the contract.
pub fn renames<U: Upper>(make: &dyn Fn() -> U) {
    let upper = Mounted::new(make);
    let upper = &*upper;
    let top = root(upper);
    for what in [What::File, What::Symlink, What::EmptyDir, What::FullDir] {
        for was in Was::ALL {
            let is_dir = matches!(what, What::EmptyDir | What::FullDir);
            let allowed = match was.over() {
                Over::Nothing | Over::Whiteout => true,
                Over::File => !is_dir,
                Over::EmptyDir => is_dir,
            };
            if !allowed {
                continue;
            }
            for leave in [Leave::Nothing, Leave::Whiteout] {
                for across in [false, true] {
                    let text = format!("{what:?} over {was:?}, leaving {leave:?}, {across}");
                    let case = make_dir(upper, at(&top, &text));
                    moves(upper, &case, &text, (what, was, leave, across));
                }
            }
        }
    }
    open_files(upper);
    two_names(upper);
    refusals(upper);
}

fn moves<U: Upper>(
    upper: &U,
    case: &U::Dir,
    text: &str,
    (what, was, leave, across): (What, Was, Leave, bool),
) {
    let here = make_dir(upper, at(case, "here"));
    let there = make_dir(upper, at(case, "there"));
    let target = if across { &there } else { &here };
    let (from, to) = (at(&here, "from"), at(target, "to"));
    match what {
        What::File => drop(make_file(upper, from, b"data")),
        What::Symlink => {
            let link = upper.create(New::Symlink(b"target"), from, Over::Nothing);
            ok("create a link", link);
        }
        What::EmptyDir | What::FullDir => {
            let dir = make_dir(upper, from);
            if what == What::FullDir {
                let inner = make_dir(upper, at(&dir, "inner"));
                drop(make_file(upper, at(&inner, "file"), b"deep"));
                hide(upper, at(&dir, "hidden"));
            }
            if was != Was::Nothing || leave == Leave::Whiteout {
                ok("set_opaque", upper.set_opaque(&dir));
            }
        }
    }
    was.prepare(upper, to);
    let before = meta(upper, &here, from.name);
    let shown = seen(upper, &here, from.name);
    age(upper, &here);
    age(upper, &there);

    ok(text, upper.rename(from, to, was.over(), leave));

    let left = match leave {
        Leave::Nothing => Seen::Absent,
        Leave::Whiteout => Seen::Hidden,
    };
    assert_eq!(seen(upper, &here, from.name), left, "{text}: what is left");
    assert_eq!(seen(upper, target, to.name), shown, "{text}: what arrived");
    let after = meta(upper, target, to.name);
    assert_eq!(after.inode, before.inode, "{text}: another object arrived");
    assert_eq!(
        after.modified, before.modified,
        "{text}: its own time changed"
    );
    assert!(
        moved(upper, &here),
        "{text}: the source's time did not change"
    );
    assert_eq!(
        moved(upper, &there),
        across,
        "{text}: the other directory's time"
    );

    if what == What::FullDir {
        let dir = ok("open_dir", upper.open_dir(target, to.name));
        assert_eq!(
            seen(upper, &dir, name("hidden")),
            Seen::Hidden,
            "{text}: a whiteout inside"
        );
        let inner = ok("open_dir", upper.open_dir(&dir, name("inner")));
        assert_eq!(
            seen(upper, &inner, name("file")),
            Seen::File(b"deep".to_vec())
        );
    } else {
        // The whiteout at the target was replaced, not covered.
        let over = match what {
            What::EmptyDir => Over::EmptyDir,
            _ => Over::File,
        };
        ok("remove", upper.remove(to, over, Leave::Nothing));
        assert_eq!(
            seen(upper, target, to.name),
            Seen::Absent,
            "{text}: an old whiteout is back"
        );
    }
}

/// Handles refer to the same file or directory after a rename.
fn open_files<U: Upper>(upper: &U) {
    let top = make_dir(upper, at(&root(upper), "open files"));
    let moving = make_file(upper, at(&top, "a"), &pattern(4, 5000));
    let replaced = make_file(upper, at(&top, "b"), b"replaced");
    let renamed = upper.rename(at(&top, "a"), at(&top, "b"), Over::File, Leave::Nothing);
    ok("rename", renamed);
    write_all(&moving, b"moved", 0);
    write_all(&replaced, b"R", 0);
    assert_eq!(read_all(&replaced), b"Replaced");
    let mut expected = pattern(4, 5000);
    expected[..5].copy_from_slice(b"moved");
    assert!(seen(upper, &top, name("b")) == Seen::File(expected));
    if !upper.handles_follow_rename() {
        return;
    }

    let dir = make_dir(upper, at(&top, "dir"));
    let moved = upper.rename(
        at(&top, "dir"),
        at(&top, "moved"),
        Over::Nothing,
        Leave::Nothing,
    );
    ok("rename", moved);
    drop(make_file(upper, at(&dir, "file"), b"by the old handle"));
    let again = ok("open_dir", upper.open_dir(&top, name("moved")));
    let expected = Seen::File(b"by the old handle".to_vec());
    assert_eq!(seen(upper, &again, name("file")), expected);
}

/// Renames one name of a file with two names over another file.
fn two_names<U: Upper>(upper: &U) {
    let top = make_dir(upper, at(&root(upper), "two names"));
    drop(make_file(upper, at(&top, "a"), b"data"));
    drop(make_file(upper, at(&top, "c"), b"other"));
    ok(
        "link",
        upper.link(at(&top, "a"), at(&top, "b"), Over::Nothing),
    );
    let renamed = upper.rename(at(&top, "b"), at(&top, "c"), Over::File, Leave::Whiteout);
    ok("rename", renamed);
    assert_eq!(seen(upper, &top, name("b")), Seen::Hidden);
    assert_eq!(meta(upper, &top, name("c")).links, 2);
    assert_eq!(
        meta(upper, &top, name("c")).inode,
        meta(upper, &top, name("a")).inode
    );
}

fn refusals<U: Upper>(upper: &U) {
    let top = make_dir(upper, at(&root(upper), "refusals"));
    let full = make_dir(upper, at(&top, "full"));
    drop(make_file(upper, at(&full, "file"), b"stays"));
    let dir = make_dir(upper, at(&top, "dir"));
    ok("set_opaque", upper.set_opaque(&dir));

    let (from, to) = (at(&top, "dir"), at(&top, "full"));
    let renamed = upper.rename(from, to, Over::EmptyDir, Leave::Whiteout);
    fails("rename over a full directory", renamed, Errno::NotEmpty);
    age(upper, &top);
    let renamed = upper.rename(
        at(&top, "none"),
        at(&top, "new"),
        Over::Nothing,
        Leave::Nothing,
    );
    fails("rename of nothing", renamed, Errno::NoEntry);

    assert_eq!(seen(upper, &top, from.name), Seen::Dir { opaque: true });
    assert_eq!(
        seen(upper, &full, name("file")),
        Seen::File(b"stays".to_vec())
    );
    assert_eq!(meta(upper, &top, to.name).kind, Kind::Dir);
    assert_eq!(seen(upper, &top, name("new")), Seen::Absent);
    let own = ok("dir_meta", upper.dir_meta(&top));
    assert_eq!(
        own.modified, LONG_AGO,
        "a failed rename changed the directory's time"
    );
}
