//! The engine on layers in memory, with one test for each rule of the merge.

use wasi_overlay_core::layer::{MemoryBuilder, MemoryLayer};
use wasi_overlay_core::{
    Dir, Errno, File, Kind, Limits, Lower, LowerStack, OpenHow, Overlay, OverlayBuilder, SetTime,
    SetTimes, Timestamp,
};
use wasi_overlay_proof::kit::{
    CREATE, READ, WRITE, capability, dir, fails, file, how, names, text,
};

const TRUNCATE: OpenHow = how("rwt");

fn lower() -> MemoryBuilder {
    MemoryLayer::build()
        .file("d/f", b"lower")
        .file("d/sub/x", b"x")
        .symlink("l", "d/f")
        .symlink("up", "../../etc")
        .symlink("abs", "/d/f")
        .file("top", b"top")
}

fn overlay() -> Overlay {
    over(lower())
}

fn over(lower: MemoryBuilder) -> Overlay {
    builder(lower).upper_memory(1 << 20).build().unwrap()
}

fn builder(lower: MemoryBuilder) -> OverlayBuilder {
    Overlay::builder().lower(Lower::new("lower", lower.finish().unwrap()))
}

fn contents(file: &File) -> Vec<u8> {
    file.read_vec_at(256, 0).unwrap()
}

#[test]
fn layers_merge_top_down() {
    let bottom = MemoryLayer::build()
        .file("d/a", b"1")
        .file("d/b", b"1")
        .file("o/hidden", b"")
        .file("w", b"")
        .file("f/x", b"");
    let middle = MemoryLayer::build()
        .file("d/b", b"2")
        .opaque("o")
        .file("o/shown", b"")
        .whiteout("w")
        .file("f", b"now a file");
    let top = MemoryLayer::build().whiteout("d/a").file("d/c", b"3");
    let layers = [bottom, middle, top].map(|layer| Lower::new("layer", layer.finish().unwrap()));
    let stack = LowerStack::new(layers, &Limits::default()).unwrap();
    let root = Overlay::builder().stack(stack).build().unwrap().root();
    assert_eq!(names(&root), ["d", "f", "o"]);
    assert_eq!(names(&dir(&root, "d")), ["b", "c"]);
    assert_eq!(names(&dir(&root, "o")), ["shown"]);
    assert_eq!(text(&root, "d/b"), "2");
    assert_eq!(text(&root, "f"), "now a file");
    fails(root.stat_at("d/a", true), Errno::NoEntry);
    fails(root.stat_at("w", true), Errno::NoEntry);
    fails(root.stat_at("f/x", true), Errno::NotDirectory);
}

#[test]
fn open_readers_see_the_copy_after_copy_up() {
    let root = overlay().root();
    let before = root.identity_at("d/f", true).unwrap();
    let dir_before = root.stat_and_identity_at("d", true).unwrap();
    let reader = file(&root, "d/f", READ);
    let writer = file(&root, "d/f", WRITE);
    assert_eq!(writer.write_at(b"UPPER", 0).unwrap(), 5);
    assert_eq!(contents(&reader), b"UPPER");
    assert_eq!(text(&root, "l"), "UPPER");
    assert_eq!(root.identity_at("d/f", true).unwrap(), before);
    assert_eq!(reader.identity().unwrap(), before);
    let dir_after = root.stat_and_identity_at("d", true).unwrap();
    assert_eq!(dir_after.0.modified, dir_before.0.modified);
    assert_eq!(dir_after.1, dir_before.1);
    fails(reader.write_at(b"x", 0), Errno::BadDescriptor);
}

#[test]
fn truncating_copies_no_data() {
    let root = overlay().root();
    let file = file(&root, "d/f", TRUNCATE);
    assert_eq!(file.stat().unwrap().size, 0);
    file.append(b"n").unwrap();
    assert_eq!(text(&root, "d/f"), "n");
}

#[test]
fn removed_names_stay_hidden_and_can_be_created_again() {
    let root = overlay().root();
    fails(root.unlink_file_at("d"), Errno::IsDirectory);
    fails(root.remove_directory_at("d"), Errno::NotEmpty);
    fails(root.remove_directory_at("top"), Errno::NotDirectory);
    let open = file(&root, "d/sub/x", READ);
    root.unlink_file_at("d/sub/x").unwrap();
    assert_eq!(contents(&open), b"x");
    fails(root.stat_at("d/sub/x", true), Errno::NoEntry);
    assert_eq!(names(&dir(&root, "d/sub")), [""; 0]);
    let sub = dir(&root, "d/sub");
    root.remove_directory_at("d/sub").unwrap();
    fails(sub.list(), Errno::NoEntry);
    fails(sub.open_at("y", CREATE), Errno::NoEntry);
    assert_eq!(sub.stat().unwrap().kind, Kind::Dir);
    root.create_directory_at("d/sub").unwrap();
    assert_eq!(names(&dir(&root, "d/sub")), [""; 0]);
    fails(sub.list(), Errno::NoEntry);
    assert_eq!(names(&dir(&root, "d")), ["f", "sub"]);
}

/// Every path below a removed directory was `no-entry` before it was resolved. On a plain directory the
/// lookup of the first name fails.
#[test]
fn lookup_in_a_removed_directory_is_no_entry() {
    let root = overlay().root();
    root.create_directory_at("gone").unwrap();
    let gone = dir(&root, "gone");
    root.remove_directory_at("gone").unwrap();
    fails(gone.stat_at("x", true), Errno::NoEntry);
    fails(gone.stat_at("x/..", true), Errno::NoEntry);
    fails(gone.stat_at("../x", true), Errno::NotPermitted);
    fails(gone.stat_at("/x", true), Errno::NotPermitted);
    assert_eq!(gone.stat_at(".", true).unwrap().kind, Kind::Dir);
    fails(dir(&gone, ".").open_at("x", CREATE), Errno::NoEntry);
    fails(gone.rename_at("x", &root, "y"), Errno::NoEntry);
    fails(gone.rename_at("x", &root, "top/y"), Errno::NotDirectory);
    fails(gone.rename_at("./x", &root, "."), Errno::Busy);
    fails(gone.rename_at("x/y", &root, "top/y"), Errno::NoEntry);
    fails(gone.rename_at("x", &root, "missing/y"), Errno::NoEntry);
    fails(gone.link_at("x", &root, "/y"), Errno::NotPermitted);
    fails(root.rename_at(".", &gone, "x"), Errno::Busy);
    fails(root.rename_at("top", &gone, "x"), Errno::NoEntry);
    fails(root.link_at("top", &gone, "x"), Errno::NoEntry);
    fails(root.link_at("d", &gone, "x"), Errno::NoEntry);
}

/// A guest had a removed directory open, but the engine had no descriptor of it. The host filesystem
/// reused its inode number, and the guest saw the new file as the same object.
#[cfg(feature = "dir")]
#[test]
fn open_removed_directory_keeps_its_identity() {
    let folder = tempfile::TempDir::new().unwrap();
    let builder = Overlay::builder().upper_dir("upper", capability(folder.path()));
    let root = builder.volatile(true).build().unwrap().root();
    for (name, over) in [("removed", false), ("replaced", true)] {
        root.create_directory_at(name).unwrap();
        let gone = dir(&root, name);
        if over {
            root.create_directory_at("other").unwrap();
            root.rename_at("other", &root, name).unwrap();
        } else {
            root.remove_directory_at(name).unwrap();
        }
        for at in 0..8 {
            let new = format!("{name} {at}");
            root.create_directory_at(&new).unwrap();
            let new = root.identity_at(&new, true).unwrap();
            assert_ne!(new, gone.identity().unwrap(), "{name}");
        }
    }
}

#[test]
fn rename_of_a_directory_moves_its_lower_entries() {
    let root = overlay().root();
    let identity = root.identity_at("d/sub/x", true).unwrap();
    let held = dir(&root, "d/sub");
    root.rename_at("d", &root, "e").unwrap();
    fails(root.stat_at("d", true), Errno::NoEntry);
    assert_eq!(names(&root), ["abs", "e", "l", "top", "up"]);
    assert_eq!(text(&root, "e/sub/x"), "x");
    assert_eq!(text(&held, "x"), "x");
    assert_eq!(root.identity_at("e/sub/x", true).unwrap(), identity);
    root.create_directory_at("d").unwrap();
    assert_eq!(names(&dir(&root, "d")), [""; 0]);
    fails(root.rename_at("e", &root, "e/sub/e"), Errno::Invalid);
    fails(root.rename_at("e/sub", &root, "e"), Errno::NotEmpty);
    fails(root.rename_at("e", &root, "top"), Errno::NotDirectory);
    fails(root.rename_at("top", &root, "e"), Errno::IsDirectory);
    root.rename_at("e", &root, "d").unwrap();
    assert_eq!(text(&root, "d/f"), "lower");
    root.unlink_file_at("d/sub/x").unwrap();
    root.rename_at("d/sub", &root, "d/moved").unwrap();
    assert_eq!(names(&dir(&root, "d")), ["f", "moved"]);
}

#[test]
fn names_of_a_hard_link_lead_to_one_file() {
    let root = overlay().root();
    root.link_at("d/f", &root, "again").unwrap();
    assert_eq!(
        root.identity_at("again", true).unwrap(),
        root.identity_at("d/f", true).unwrap()
    );
    assert_eq!(root.stat_at("d/f", true).unwrap().links, 2);
    file(&root, "again", WRITE).append(b"+").unwrap();
    assert_eq!(text(&root, "d/f"), "lower+");
    root.unlink_file_at("d/f").unwrap();
    assert_eq!(root.stat_at("again", true).unwrap().links, 1);
    assert_eq!(text(&root, "again"), "lower+");
    fails(root.link_at("d", &root, "x"), Errno::NotPermitted);
    fails(root.link_at("again", &root, "top"), Errno::Exist);
}

#[test]
fn no_path_leaves_the_mount() {
    let root = overlay().root();
    for path in ["/d", "..", "d/../..", "up", "up/passwd", "abs"] {
        fails(root.stat_at(path, true), Errno::NotPermitted);
    }
    fails(root.readlink_at("abs"), Errno::NotPermitted);
    assert_eq!(root.readlink_at("up").unwrap(), "../../etc");
    fails(root.symlink_at("/etc", "x"), Errno::NotPermitted);
    root.symlink_at("loop", "loop").unwrap();
    fails(root.stat_at("loop", true), Errno::Loop);
    assert_eq!(root.stat_at("loop", false).unwrap().kind, Kind::Symlink);
    fails(root.open_at("loop", how("rn")), Errno::Loop);
}

#[test]
fn guest_cannot_create_whiteouts_by_name() {
    let root = overlay().root();
    fails(root.open_at(".wh.top", CREATE), Errno::NotPermitted);
    fails(root.create_directory_at(".wh.top"), Errno::NotPermitted);
    fails(root.rename_at("top", &root, ".wh.d"), Errno::NotPermitted);
    fails(root.link_at("top", &root, ".wh.d"), Errno::NotPermitted);
    fails(root.symlink_at("x", ".wh.d"), Errno::NotPermitted);
    fails(root.stat_at(".wh.top", true), Errno::NoEntry);
    assert_eq!(names(&root), ["abs", "d", "l", "top", "up"]);
}

#[test]
fn read_only_is_the_last_error_of_a_change_without_an_upper() {
    let root = builder(lower()).build().unwrap().root();
    fails(root.open_at("top", WRITE), Errno::ReadOnly);
    fails(root.open_at("new", CREATE), Errno::ReadOnly);
    fails(root.open_at("none/new", CREATE), Errno::NoEntry);
    fails(root.create_directory_at("d"), Errno::Exist);
    fails(root.create_directory_at("e"), Errno::ReadOnly);
    fails(root.unlink_file_at("none"), Errno::NoEntry);
    fails(root.unlink_file_at("top"), Errno::ReadOnly);
    fails(root.remove_directory_at("d"), Errno::NotEmpty);
    fails(root.rename_at("top", &root, "d"), Errno::IsDirectory);
    fails(root.rename_at("top", &root, "e"), Errno::ReadOnly);
    assert!(!root.is_writable());
}

#[test]
fn removed_lower_file_keeps_times_set_through_its_handle() {
    let root = overlay().root();
    let open = file(&root, "d/f", READ);
    root.unlink_file_at("d/f").unwrap();
    let to = Timestamp {
        seconds: 5,
        nanoseconds: 6,
    };
    open.set_times(SetTimes {
        modified: SetTime::To(to),
        ..SetTimes::default()
    })
    .unwrap();
    assert_eq!(open.stat().unwrap().modified, to);
    assert_eq!(contents(&open), b"lower");
}

#[test]
fn two_overlays_share_a_stack_and_nothing_else() {
    let lower = Lower::new("lower", lower().finish().unwrap());
    let stack = LowerStack::new([lower], &Limits::default()).unwrap();
    let make = || {
        Overlay::builder()
            .stack(stack.clone())
            .upper_memory(1 << 20)
            .build()
            .unwrap()
    };
    let (one, two) = (make().root(), make().root());
    file(&one, "top", TRUNCATE).append(b"one").unwrap();
    two.unlink_file_at("d/f").unwrap();
    assert_eq!(text(&one, "top"), "one");
    assert_eq!(text(&two, "top"), "top");
    assert_eq!(text(&one, "d/f"), "lower");
    assert_ne!(one.identity().unwrap(), two.identity().unwrap());
    fails(one.rename_at("top", &two, "x"), Errno::CrossDevice);
}

#[test]
fn absolute_links_resolve_from_the_root_if_the_mount_allows_it() {
    let lower = || {
        lower()
            .symlink("d/abs", "/top")
            .symlink("d/far", "../../../top")
            .symlink("d/up", "../..")
    };
    let overlay = builder(lower())
        .absolute_symlinks(wasi_overlay_core::AbsoluteSymlinks::Root)
        .build()
        .unwrap();
    let root = overlay.root();
    assert_eq!(text(&root, "abs"), "lower");
    assert_eq!(text(&root, "d/abs"), "top");
    fails(dir(&root, "d").open_at("abs", READ), Errno::NotPermitted);
    // The root is its own parent, for links only.
    assert_eq!(text(&root, "d/far"), "top");
    assert_eq!(text(&root, "d/up/top"), "top");
    for path in ["../top", "d/../../top", "d/up/../top"] {
        fails(root.open_at(path, READ), Errno::NotPermitted);
    }
    fails(dir(&root, "d").open_at("far", READ), Errno::NotPermitted);
    let refusing = builder(lower()).build().unwrap().root();
    fails(refusing.open_at("d/far", READ), Errno::NotPermitted);
}

#[test]
fn a_directory_too_large_for_a_table_behaves_the_same() {
    let mut lower = MemoryLayer::build().dir("big");
    for index in 0..50 {
        lower = lower.file(format!("big/{index:02}"), b"x");
    }
    let mut limits = Limits::default();
    limits.table_entries = 16;
    let overlay = builder(lower).upper_memory(1 << 20).limits(limits);
    let root = overlay.build().unwrap().root();
    for index in 0..40 {
        file(&root, &format!("big/new{index:02}"), CREATE);
        root.unlink_file_at(&format!("big/{index:02}")).unwrap();
        fails(
            root.stat_at(&format!("big/{index:02}"), true),
            Errno::NoEntry,
        );
    }
    let big = names(&dir(&root, "big"));
    assert_eq!(big.len(), 50);
    assert_eq!(big[..2], ["40", "41"]);
    for index in 0..40 {
        file(&root, &format!("big/{index:02}"), CREATE);
        root.unlink_file_at(&format!("big/new{index:02}")).unwrap();
    }
    assert_eq!(names(&dir(&root, "big")).len(), 50);
    fails(root.remove_directory_at("big"), Errno::NotEmpty);
}

#[test]
fn xattrs_are_copied_up_and_overlay_xattrs_are_hidden_and_refused() {
    let lower = lower()
        .xattr("d/f", b"user.a", b"1")
        .xattr("d/f", b"user.overlay.opaque", b"y");
    let overlay = over(lower);
    let dir = overlay.root();
    let root = dir.as_overlay().unwrap();
    let listed = |path| -> Vec<String> {
        let mut names: Vec<_> = root
            .xattrs_at(path, true)
            .unwrap()
            .iter()
            .map(|name| name.escape_ascii().to_string())
            .collect();
        names.sort();
        names
    };
    assert_eq!(listed("d/f"), ["user.a"]);
    for forged in [
        &b"user.overlay.opaque"[..],
        b"trusted.overlay.redirect",
        b"user.fuseoverlayfs.x",
    ] {
        fails(
            root.set_xattr_at("d/f", true, forged, b"y"),
            Errno::Unsupported,
        );
        fails(root.xattr_at("d/f", true, forged), Errno::Unsupported);
    }
    fails(
        root.remove_xattr_at("d/f", true, b"user.none"),
        Errno::NoEntry,
    );
    let used = overlay.usage().unwrap().inodes;
    root.set_xattr_at("l", true, b"user.b", b"2").unwrap();
    assert!(
        overlay.usage().unwrap().inodes > used,
        "the file was copied up"
    );
    assert_eq!(listed("d/f"), ["user.a", "user.b"]);
    root.remove_xattr_at("d/f", true, b"user.a").unwrap();
    assert_eq!(root.xattr_at("d/f", true, b"user.a").unwrap(), None);
    assert_eq!(
        root.xattr_at("d/f", true, b"user.b").unwrap().unwrap(),
        b"2"
    );
}

#[test]
fn a_directory_knows_its_path_until_it_is_removed() {
    let root = overlay().root();
    let sub = dir(&root, "d/sub");
    let path = |dir: &Dir| dir.as_overlay().unwrap().path();
    assert_eq!(path(&root).unwrap(), b"");
    assert_eq!(path(&sub).unwrap(), b"d/sub");
    root.rename_at("d", &root, "e").unwrap();
    assert_eq!(path(&sub).unwrap(), b"e/sub");
    sub.unlink_file_at("x").unwrap();
    root.remove_directory_at("e/sub").unwrap();
    assert_eq!(path(&sub), None);
}

#[test]
fn failed_copy_up_leaves_a_full_upper_unchanged() {
    let lower = lower().file("big", vec![7; 1 << 17]);
    let overlay = builder(lower).upper_memory(1 << 16).build().unwrap();
    let (root, before) = (overlay.root(), overlay.usage().unwrap());
    for _ in 0..100 {
        fails(root.open_at("big", WRITE), Errno::InsufficientSpace);
        fails(
            root.rename_at("big", &root, "moved"),
            Errno::InsufficientSpace,
        );
        fails(
            root.link_at("big", &root, "linked"),
            Errno::InsufficientSpace,
        );
    }
    let after = overlay.usage().unwrap();
    assert_eq!((after.bytes, after.inodes), (0, before.inodes));
    assert_eq!(names(&root).len(), 6);
    assert_eq!(root.stat_at("big", true).unwrap().size, 1 << 17);
    assert_eq!(text(&root, "big").len(), 256);
    root.unlink_file_at("big").unwrap();
    file(&root, "big", CREATE).append(b"small").unwrap();
    assert_eq!(text(&root, "big"), "small");
}

#[test]
fn names_that_are_not_utf8_survive_a_directory_rename() {
    let root = over(lower().file(b"d/\xff", b"odd")).root();
    root.rename_at("d", &root, "e").unwrap();
    let listing = dir(&root, "e").list().unwrap();
    let odd = listing
        .iter()
        .find(|entry| entry.name.to_str().is_err())
        .unwrap();
    assert_eq!(odd.name.as_bytes(), b"\xff");
}

/// A memory layer answered a read at 2^63 with the end of the file; a plain directory answers `invalid`.
#[test]
fn range_past_2_to_the_63_is_invalid() {
    let root = overlay().root();
    let file = file(&root, "d/f", WRITE);
    let last = (1 << 63) - 1;
    for offset in [last - 7, last, 1 << 63, u64::MAX] {
        fails(file.read_at(&mut [0; 8], offset), Errno::Invalid);
        fails(file.write_at(&[0; 8], offset), Errno::Invalid);
    }
    assert_eq!(file.read_at(&mut [0; 8], last - 8).unwrap(), 0);
    fails(file.set_size(1 << 63), Errno::Invalid);
    // Advice was checked by its offset; a plain directory checks only its length.
    let advise = |offset, length| file.advise(offset, length, wasi_overlay_core::Advice::Normal);
    advise(1 << 63, 1).unwrap();
    advise(u64::MAX, u64::MAX >> 1).unwrap();
    fails(advise(0, 1 << 63), Errno::Invalid);
}

/// A link to itself, with a trailing slash in the path, was followed until `loop`.
#[test]
fn create_with_trailing_slash_fails_before_links_are_followed() {
    let root = over(lower().symlink("circle", "circle")).root();
    let long = "x".repeat(256) + "/";
    for path in ["circle/", "new/", "d/", "top/", &long] {
        fails(root.open_at(path, CREATE), Errno::IsDirectory);
    }
}

/// A memory upper let an unprivileged guest move a directory that it may not write. Linux refuses that,
/// since `..` in it changes, but allows a rename within the same parent.
#[test]
fn unwritable_directory_cannot_move_to_another_parent() {
    let lower = lower().dir("e").dir("closed").mode("closed", 0o555);
    let overlay = builder(lower).upper_memory(1 << 20).obey_modes(true);
    let root = overlay.build().unwrap().root();
    fails(root.rename_at("closed", &root, "e/moved"), Errno::Access);
    root.rename_at("closed", &root, "renamed").unwrap();
    assert_eq!(root.stat_at("renamed", true).unwrap().kind, Kind::Dir);
}

/// Found by random plans: `link-at` resolved the parent of the new name before it checked that `file/` is a
/// directory. wasmtime-wasi resolves a path with a trailing slash first.
#[test]
fn link_resolves_a_source_with_trailing_slash_first() {
    let root = over(lower().file("file", "").dir("dir")).root();
    for (path, error) in [
        ("file/", Errno::NotDirectory),
        ("missing/", Errno::NoEntry),
        ("dir/", Errno::NotDirectory),
    ] {
        fails(root.link_at(path, &root, "file/x"), error);
    }
    fails(
        root.link_at("file/", &root, "nowhere/x"),
        Errno::NotDirectory,
    );
    fails(root.link_at("file", &root, "nowhere/x"), Errno::NoEntry);
}

/// Found by random plans: a file was created through a link whose target ends in a slash. Linux refuses the
/// slash before the lookup.
#[test]
fn no_file_is_created_through_a_link_target_with_trailing_slash() {
    let layer = lower()
        .symlink("to-dir", "dir/")
        .symlink("to-circle", "circle/")
        .symlink("circle", "circle");
    let root = over(layer.dir("dir").symlink("to-new", "new/")).root();
    for path in ["to-dir", "to-circle", "to-new"] {
        fails(root.open_at(path, CREATE), Errno::IsDirectory);
    }
    fails(root.open_at("circle", CREATE), Errno::Loop);
}

/// Found by random plans: a name that is too long was refused before the other path of a rename or link was
/// resolved. On a plain directory it is refused at its lookup, which is later.
#[test]
fn rename_and_link_resolve_both_parents_before_name_lengths() {
    let root = over(lower().file("file", "").dir("dir")).root();
    let long = "x".repeat(256);
    for (from, to, error) in [
        (&*long, "nowhere/x", Errno::NoEntry),
        (&*long, "file/x", Errno::NotDirectory),
        (&*long, "dir/x", Errno::NameTooLong),
        ("file", &*long, Errno::NameTooLong),
        ("missing", &*long, Errno::NoEntry),
    ] {
        fails(root.rename_at(from, &root, to), error);
        fails(root.link_at(from, &root, to), error);
    }
}

/// Only the matrix noticed a `check_may_open` that always succeeds, and only as an unprivileged user.
#[test]
fn modes_are_checked_before_a_file_is_opened() {
    let lower = lower().file("read", "text").mode("read", 0o444);
    let overlay = builder(lower).upper_memory(1 << 20).obey_modes(true);
    let root = overlay.build().unwrap().root();
    fails(root.open_at("read", WRITE), Errno::Access);
    root.open_at("read", READ).unwrap();
}
