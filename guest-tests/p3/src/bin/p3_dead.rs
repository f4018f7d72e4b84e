//! Descriptors of removed files keep working, those of removed directories have no entries, and no removed
//! file reappears.

use guests_p3::{
    OpenFlags, PathFlags, digest, names, open, open_dir, open_write, read_all, root, say, show,
    show_file, show_names, tried, write_file,
};

async fn run() {
    let root = root();
    for path in ["hello.txt", "dir/one", "fresh"] {
        let file = open_write(&root, path, OpenFlags::CREATE)
            .await
            .expect("it can be opened");
        tried(
            format_args!("unlink {path}"),
            root.unlink_file_at(path).await,
        );
        show("write", file.write(b"dead", 0).await);
        show("read", read_all(&file).await.map(|data| digest(&data)));
        tried("cut", file.set_size(2).await);
        show("size", file.stat().await.map(|stat| stat.size));
        tried("hash", file.metadata_hash().await.map(|_| ()));
        tried("sync", file.sync().await);
        tried("make another", write_file(&root, path, b"another").await);
        show(
            "read the dead",
            read_all(&file).await.map(|data| digest(&data)),
        );
        show_file(&root, path).await;
    }
    for path in ["emptydir", "dir/sub/sub2"] {
        let dir = open_dir(&root, path).await.expect("it can be opened");
        if path != "emptydir" {
            tried("empty it", dir.unlink_file_at("x").await);
        }
        tried(
            format_args!("rmdir {path}"),
            root.remove_directory_at(path).await,
        );
        for round in ["gone", "made anew"] {
            say!("{round}");
            tried("  stat", dir.stat().await.map(|_| ()));
            tried("  hash", dir.metadata_hash().await.map(|_| ()));
            tried("  type", dir.get_type().await.map(|_| ()));
            show("  list", names(&dir).await);
            tried("  open", open(&dir, "x").await.map(drop));
            tried(
                "  create",
                open_write(&dir, "x", OpenFlags::CREATE).await.map(drop),
            );
            tried("  mkdir", dir.create_directory_at("y").await);
            tried("  symlink", dir.symlink_at("x", "y").await);
            tried(
                "  link",
                root.link_at(PathFlags::empty(), "dir/two", &dir, "y").await,
            );
            tried("  rename in", root.rename_at("dir/two", &dir, "y").await);
            tried("  unlink", dir.unlink_file_at("x").await);
            tried(
                "  stat at",
                dir.stat_at(PathFlags::empty(), "x").await.map(|_| ()),
            );
            if round == "gone" {
                tried("mkdir", root.create_directory_at(path).await);
                tried(
                    "make in it",
                    write_file(&root, &format!("{path}/x"), b"new").await,
                );
            }
        }
        show_names(&root, path).await;
    }
}

guests_p3::command!(run);
