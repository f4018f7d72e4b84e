//! Checks of `remove`, with and without a whiteout, and of handles on removed files and directories.

use super::kit::{
    Mounted, Seen, Was, age, at, fails, listing, make_dir, make_file, moved, name, ok, read_all,
    root, seen, write_all,
};
use crate::error::{Errno, Result};
use crate::layer::{Found, Leave, New, Over, ReadAt, Upper};
use std::ops::ControlFlow;

/// Removes everything that may be at a name, with and without a whiteout.
///
/// # Panics
/// If the upper violates the contract.
pub fn removes<U: Upper>(make: &dyn Fn() -> U) {
    let upper = Mounted::new(make);
    let upper = &*upper;
    let top = root(upper);
    let before = upper.usage();
    for was in Was::ALL {
        for leave in [Leave::Nothing, Leave::Whiteout] {
            let text = format!("{was:?} {leave:?}");
            let dir = make_dir(upper, at(&top, &text));
            drop(make_file(upper, at(&dir, "beside"), b"stays"));
            was.prepare(upper, at(&dir, "name"));
            age(upper, &dir);
            ok(&text, upper.remove(at(&dir, "name"), was.over(), leave));

            let expected = match leave {
                Leave::Nothing => Seen::Absent,
                Leave::Whiteout => Seen::Hidden,
            };
            assert_eq!(seen(upper, &dir, name("name")), expected, "removed {text}");
            assert_eq!(
                seen(upper, &dir, name("beside")),
                Seen::File(b"stays".to_vec())
            );
            if !matches!(was, Was::Nothing | Was::Whiteout) {
                assert!(
                    moved(upper, &dir),
                    "remove {text} did not update the directory's time"
                );
            }

            // A new directory of the same name is empty.
            if leave == Leave::Whiteout {
                ok(
                    "remove",
                    upper.remove(at(&dir, "name"), Over::Whiteout, Leave::Nothing),
                );
            }
            let new_dir = make_dir(upper, at(&dir, "name"));
            assert!(
                listing(upper, &new_dir).is_empty(),
                "removed {text}: old names are back"
            );
            assert_eq!(seen(upper, &dir, name("name")), Seen::Dir { opaque: false });
            for (text, what) in [("name", Over::EmptyDir), ("beside", Over::File)] {
                ok("remove", upper.remove(at(&dir, text), what, Leave::Nothing));
            }
            let removed = upper.remove(at(&top, &text), Over::EmptyDir, Leave::Nothing);
            ok("remove", removed);
        }
    }
    assert!(listing(upper, &top).is_empty());
    assert_eq!(upper.usage(), before, "removed entries are still stored");
    full_directory(upper);
}

fn full_directory<U: Upper>(upper: &U) {
    let top = root(upper);
    let dir = make_dir(upper, at(&top, "full"));
    drop(make_file(upper, at(&dir, "file"), b"data"));
    for leave in [Leave::Nothing, Leave::Whiteout] {
        let removed = upper.remove(at(&top, "full"), Over::EmptyDir, leave);
        fails(
            "remove of a directory that is not empty",
            removed,
            Errno::NotEmpty,
        );
        let kept = seen(upper, &top, name("full"));
        assert!(
            matches!(kept, Seen::Dir { .. }),
            "a failed call removed a directory"
        );
        assert_eq!(
            seen(upper, &dir, name("file")),
            Seen::File(b"data".to_vec())
        );
    }
}

/// Handles on removed files still read and write; handles on removed directories report that they are gone.
///
/// # Panics
/// If the upper violates the contract.
pub fn removed_objects<U: Upper>(make: &dyn Fn() -> U) {
    let upper = Mounted::new(make);
    let upper = &*upper;
    let top = root(upper);
    for leave in [Leave::Nothing, Leave::Whiteout] {
        let text = format!("{leave:?}");
        let top = make_dir(upper, at(&top, &text));
        removed_file(upper, &top, leave);
        if upper.handles_follow_rename() {
            removed_directory(upper, &top, leave);
        }
    }
}

fn removed_file<U: Upper>(upper: &U, top: &U::Dir, leave: Leave) {
    let file = make_file(upper, at(top, "file"), b"before ");
    let reader = ok("open_file", upper.open_file(top, name("file")));
    ok("remove", upper.remove(at(top, "file"), Over::File, leave));
    write_all(&file, b"after", 7);
    assert_eq!(
        read_all(&reader),
        b"before after",
        "a removed file lost its data"
    );
    assert_eq!(ok("meta", reader.meta()).links, 0);
}

fn removed_directory<U: Upper>(upper: &U, top: &U::Dir, leave: Leave) {
    let dir = make_dir(upper, at(top, "dir"));
    let gone = ok("open_dir", upper.open_dir(top, name("dir")));
    ok(
        "remove",
        upper.remove(at(top, "dir"), Over::EmptyDir, leave),
    );
    drop(dir);
    removed_answers(upper, top, &gone);

    // A new directory of its name does not revive the handle.
    if leave == Leave::Whiteout {
        ok(
            "remove",
            upper.remove(at(top, "dir"), Over::Whiteout, Leave::Nothing),
        );
    }
    let new_dir = make_dir(upper, at(top, "dir"));
    drop(make_file(upper, at(&new_dir, "name"), b""));
    removed_answers(upper, top, &gone);
    drop(make_file(upper, at(top, "file to move"), b""));
    let moved = upper.rename(
        at(top, "file to move"),
        at(&gone, "x"),
        Over::Nothing,
        Leave::Nothing,
    );
    fails("rename into a removed directory", moved, Errno::NoEntry);
    assert_eq!(
        seen(upper, top, name("file to move")),
        Seen::File(Vec::new())
    );
}

fn removed_answers<U: Upper>(upper: &U, top: &U::Dir, gone: &U::Dir) {
    ok("dir_meta of a removed directory", upper.dir_meta(gone));
    for new in [New::File, New::Dir { opaque: false }, New::Symlink(b"x")] {
        let made = upper.create(new, at(gone, "new"), Over::Nothing);
        fails("create in a removed directory", made, Errno::NoEntry);
        let staged = ok("stage", upper.stage(new));
        let published = upper.publish(staged, at(gone, "new"), Over::Nothing, true);
        fails("publish in a removed directory", published, Errno::NoEntry);
    }
    let opened = upper.open_file(gone, name("name"));
    fails("open_file in a removed directory", opened, Errno::NoEntry);
    let opened = upper.open_dir(gone, name("name"));
    fails("open_dir in a removed directory", opened, Errno::NoEntry);
    // A host returns the same code for both.
    let found = upper.find(gone, name("name"));
    assert!(
        absent(&found),
        "find in a removed directory returned {found:?}"
    );
    let mut names = 0;
    let listed = upper.list(gone, &mut |_, _| {
        names += 1;
        ControlFlow::Continue(())
    });
    if let Err(error) = listed {
        assert_eq!(error.errno(), Errno::NoEntry, "{error}");
    }
    assert_eq!(names, 0, "a removed directory lists names");
    drop(make_file(upper, at(top, "file to link"), b""));
    let linked = upper.link(at(top, "file to link"), at(gone, "x"), Over::Nothing);
    fails("link in a removed directory", linked, Errno::NoEntry);
    let removed = upper.remove(at(top, "file to link"), Over::File, Leave::Nothing);
    ok("remove", removed);
}

fn absent(found: &Result<Found>) -> bool {
    match found {
        Ok(found) => *found == Found::Absent,
        Err(error) => error.is_not_found(),
    }
}
