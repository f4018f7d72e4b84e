//! Attempts of a guest to create, see or remove whiteouts by their names.

use crate::kit::{Host, Mount};
use wasi_overlay_core::layer::MemoryLayer;
use wasi_overlay_core::{Dir, Kind, Lower, OpenHow, Opened, Overlay};
use wasi_overlay_proof::Script;
use wasi_overlay_proof::kit::capability;

/// Names of whiteouts, of the work folder, and similar names.
fn whiteouts() -> Vec<String> {
    #[rustfmt::skip]
    let mut whiteouts: Vec<String> = [
        ".wh.x", ".wh.f", ".wh.d", ".wh.made", ".wh.", ".wh..", ".wh...", ".wh..wh.", ".wh..wh.x", ".wh..wh..opq",
        ".wh..wh..opq.x", ".wh..wh.work", ".wh..wh.plnk", ".wh..wh.aufs", ".wh.\u{e9}", ".wh. ", ".wh.\n",
        ".wh.x\\", ".wh..wh.work.1",
    ]
    .map(str::to_owned)
    .into();
    whiteouts.push(format!(".wh.{}", "n".repeat(251)));
    whiteouts.push(format!(".wh.{}", "n".repeat(252)));
    whiteouts
}

/// Paths that lead to the name `@`.
#[rustfmt::skip]
const SHAPES: &[&str] = &[
    "@", "./@", "d/@", "d/../@", "d//@", "@/", "@/.", "here/@", "d/deep/../@", "@/x", "@/../@", "here/here/d/@",
];

/// Every call that can create a name, and those that could remove a whiteout.
#[rustfmt::skip]
const CALLS: &[&str] = &[
    "open.rwc @", "open.rwcx @", "open.rwcn @", "mkdir @", "symlink x @", "link f @", "rename f @",
    "rename empty @", "rename d @", "rename @ made", "link @ made", "unlink @", "rmdir @", "open.n @", "stat.n @",
    "readlink @", "same @ @", "now.n @",
];

/// Calls through a link `made` to the name.
const THROUGH_LINK: &[&str] = &["open.rwc made", "mkdir made/new", "now made"];

/// The paths, kinds and file sizes of a tree.
fn tree(root: &Dir) -> Vec<String> {
    let mut lines = Vec::new();
    let mut dirs = vec![(String::new(), root.clone())];
    while let Some((path, dir)) = dirs.pop() {
        for entry in dir.list().unwrap().iter() {
            let name = entry.name.to_str().unwrap();
            assert!(
                !name.starts_with(".wh."),
                "a whiteout is listed: {path}/{name}"
            );
            let path = format!("{path}/{name}");
            let mut line = format!("{path} {:?}", entry.kind);
            match entry.kind {
                Kind::Dir => match dir.open_at(name, OpenHow::default()).unwrap() {
                    Opened::Dir(dir) => dirs.push((path, dir)),
                    Opened::File(_) => panic!("{name} is a file"),
                },
                Kind::File => line += &dir.stat_at(name, false).unwrap().size.to_string(),
                _ => {}
            }
            lines.push(line);
        }
    }
    lines.sort();
    lines
}

/// Makes every call on every reserved name. None may succeed, or change anything.
fn forge(root: &Dir, what: &str) -> u64 {
    let before = tree(root);
    let mut attempts = 0;
    for whiteout in whiteouts() {
        for shape in SHAPES {
            let path = shape.replace('@', &whiteout);
            let mut script = Script::new(root, &path);
            for call in CALLS {
                attempts += 1;
                let made = script.try_call(call);
                assert!(made.is_err(), "{what}: {call} of {path:?} was done");
            }
            for call in THROUGH_LINK {
                attempts += 1;
                if script.try_call("symlink @ made").is_ok() {
                    let made = script.try_call(call);
                    assert!(made.is_err(), "{what}: {call} to {path:?} was done");
                    script.try_call("unlink made").unwrap();
                }
            }
        }
    }
    assert_eq!(tree(root), before, "{what}: the tree has changed");
    attempts
}

#[test]
fn guest_cannot_forge_whiteouts_on_a_directory() {
    let host = Host::new();
    let mut attempts = 0;
    for mount in [
        Mount::Directory,
        Mount::ByPath,
        Mount::UpperAlone,
        Mount::NoUpper,
    ] {
        let (root, overlay) = host.mount(mount);
        let fresh = tree(&root);
        attempts += forge(&root, &format!("{mount:?}"));
        // Again with whiteouts in the upper.
        if mount != Mount::NoUpper {
            root.unlink_file_at("x").unwrap();
            root.rename_at("d/deep", &root, "e").unwrap();
            root.create_directory_at("d/deep").unwrap();
            attempts += forge(&root, &format!("{mount:?} with whiteouts"));
        }
        let left = tree(&root);
        assert_eq!(left != fresh, mount != Mount::NoUpper);
        drop(root);
        overlay.unwrap().close().unwrap();
        if mount == Mount::Directory || mount == Mount::ByPath {
            let again = Overlay::builder()
                .lower(Lower::dir("tree", capability(&host.path("tree"))).unwrap())
                .upper_dir("upper", capability(&host.path("upper")))
                .build()
                .unwrap();
            assert_eq!(tree(&again.root()), left, "{mount:?}, mounted again");
        }
        host.must_be_untouched("forged whiteouts");
    }
    println!("whiteouts on directories: {attempts} attempts");
}

#[test]
fn guest_cannot_forge_whiteouts_in_memory() {
    let layer = || {
        MemoryLayer::build()
            .file("f", "inside")
            .file("x", "inside")
            .file("d/f", "inside")
            .file("d/deep/f", "inside")
            .dir("empty")
            .symlink("here", ".")
    };
    let upper = MemoryLayer::with_capacity(1 << 20);
    let mount = || {
        Overlay::builder()
            .lower(Lower::new("lower", layer().finish().unwrap()))
            .upper("upper", upper.clone())
            .build()
            .unwrap()
    };
    let overlay = mount();
    let mut attempts = forge(&overlay.root(), "memory");
    overlay.root().unlink_file_at("x").unwrap();
    attempts += forge(&overlay.root(), "memory with whiteouts");
    let left = tree(&overlay.root());
    overlay.close().unwrap();
    assert_eq!(tree(&mount().root()), left);
    println!("whiteouts in memory: {attempts} attempts");
}

/// Whiteouts of other formats are xattrs, which a guest must not set, read or remove.
#[test]
fn guest_cannot_forge_whiteouts_by_xattrs() {
    let host = Host::new();
    let mut attempts = 0;
    for mount in [
        Mount::Directory,
        Mount::ByPath,
        Mount::Memory,
        Mount::UpperAlone,
    ] {
        let (root, _overlay) = host.mount(mount);
        let before = tree(&root);
        let dir = root.as_overlay().unwrap();
        for space in ["trusted.overlay.", "user.overlay.", "user.fuseoverlayfs."] {
            for name in [
                "opaque", "whiteout", "redirect", "metacopy", "origin", "upper", "x", "",
            ] {
                for path in ["d", "f", "empty", "."] {
                    let attribute = format!("{space}{name}");
                    for value in [&b"y"[..], b"x", b""] {
                        attempts += 1;
                        let set = dir.set_xattr_at(path, true, attribute.as_bytes(), value);
                        assert!(set.is_err(), "{mount:?}: {attribute} on {path}");
                    }
                    let read = dir.xattr_at(path, true, attribute.as_bytes());
                    assert!(
                        !matches!(read, Ok(Some(_))),
                        "{mount:?}: {attribute} of {path}"
                    );
                    let removed = dir.remove_xattr_at(path, true, attribute.as_bytes());
                    assert!(removed.is_err(), "{mount:?}: {attribute} of {path}");
                }
            }
        }
        assert_eq!(tree(&root), before);
    }
    println!("whiteouts as attributes: {attempts} attempts");
    assert!(attempts > 1000);
}
