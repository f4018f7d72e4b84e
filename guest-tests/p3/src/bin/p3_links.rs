//! Symbolic and hard links are made, read, followed, and used without following.

use guests_p3::{OpenFlags, PathFlags, open_write, root, say, show, show_file, show_names, tried};

async fn run() {
    let root = root();
    for link in [
        "rel", "dangling", "dir", "chain", "up", "dot", "loop1", "self", "escape", "abs",
    ] {
        let link = format!("links/{link}");
        show(
            format_args!("readlink {link}"),
            root.readlink_at(&link).await,
        );
        show(
            "lstat",
            root.stat_at(PathFlags::empty(), &link)
                .await
                .map(|stat| (stat.type_, stat.size)),
        );
        show(
            "stat",
            root.stat_at(PathFlags::SYMLINK_FOLLOW, &link)
                .await
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
            root.symlink_at(target, path).await,
        );
        show("readlink", root.readlink_at(path).await);
        show_file(&root, path).await;
    }
    for (from, to) in [
        ("hello.txt", "linked"),
        ("dir/one", "gone-dir"),
        ("links/rel", "rel2"),
        ("made", "made2"),
    ] {
        tried(
            format_args!("link {to} to {from}"),
            root.link_at(PathFlags::empty(), from, &root, to).await,
        );
        show_file(&root, to).await;
    }
    tried(
        "link, followed",
        root.link_at(PathFlags::SYMLINK_FOLLOW, "links/rel", &root, "followed")
            .await,
    );
    let file = open_write(&root, "linked", OpenFlags::empty())
        .await
        .expect("it can be opened");
    show("write under one name", file.write(b"HELLO", 0).await);
    show_file(&root, "hello.txt").await;
    tried("unlink it", root.unlink_file_at("linked").await);
    show("write", file.write(b"J", 0).await);
    show_file(&root, "hello.txt").await;
    tried(
        "rename one name onto the other",
        root.link_at(PathFlags::empty(), "hello.txt", &root, "again")
            .await,
    );
    tried(
        "does nothing",
        root.rename_at("hello.txt", &root, "again").await,
    );
    for name in ["hello.txt", "again"] {
        let there = root.stat_at(PathFlags::empty(), name).await.is_ok();
        say!("{name} is there: {there}");
    }
    show_names(&root, ".").await;
}

guests_p3::command!(run);
