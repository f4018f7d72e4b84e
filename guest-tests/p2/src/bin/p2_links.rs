//! Symbolic and hard links are made, read, followed, and used without following.

use guests_p2::{OpenFlags, PathFlags, open_write, root, say, show, show_file, show_names, tried};

fn run() {
    let root = root();
    for link in [
        "rel", "dangling", "dir", "chain", "up", "dot", "loop1", "self", "escape", "abs",
    ] {
        let link = format!("links/{link}");
        show(format_args!("readlink {link}"), root.readlink_at(&link));
        show(
            "lstat",
            root.stat_at(PathFlags::empty(), &link)
                .map(|stat| (stat.type_, stat.size)),
        );
        show(
            "stat",
            root.stat_at(PathFlags::SYMLINK_FOLLOW, &link)
                .map(|stat| stat.type_),
        );
    }
    for (target, path) in [
        ("dir/two", "made"),
        ("../hello.txt", "dir/up"),
        ("/etc", "absolute"),
        ("../../x", "outward"),
        ("", "nowhere"),
        ("x", "hello.txt"),
        ("x", "links/dangling"),
        ("gone", "gone-file"),
    ] {
        tried(
            format_args!("symlink {path} to {target:?}"),
            root.symlink_at(target, path),
        );
        show("readlink", root.readlink_at(path));
        show_file(&root, path);
    }
    for (from, to) in [
        ("hello.txt", "linked"),
        ("dir/one", "gone-dir"),
        ("links/rel", "rel2"),
        ("made", "made2"),
    ] {
        tried(
            format_args!("link {to} to {from}"),
            root.link_at(PathFlags::empty(), from, &root, to),
        );
        show_file(&root, to);
    }
    tried(
        "link, followed",
        root.link_at(PathFlags::SYMLINK_FOLLOW, "links/rel", &root, "followed"),
    );
    let file = open_write(&root, "linked", OpenFlags::empty()).expect("it can be opened");
    show("write under one name", file.write(b"HELLO", 0));
    show_file(&root, "hello.txt");
    tried("unlink it", root.unlink_file_at("linked"));
    show("write", file.write(b"J", 0));
    show_file(&root, "hello.txt");
    tried(
        "rename one name onto the other",
        root.link_at(PathFlags::empty(), "hello.txt", &root, "again"),
    );
    tried("does nothing", root.rename_at("hello.txt", &root, "again"));
    say!(
        "both are there: {}",
        ["hello.txt", "again"]
            .iter()
            .all(|name| root.stat_at(PathFlags::empty(), name).is_ok())
    );
    show_names(&root, ".");
}

guests_p2::command!(run);
