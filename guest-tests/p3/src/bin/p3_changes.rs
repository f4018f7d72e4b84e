//! Files and directories are made, removed and made again, and the old content never reappears.

use guests_p3::{
    OpenFlags, PathFlags, open_write, root, show, show_file, show_names, tried, write_file,
};

async fn run() {
    let root = root();
    for path in [
        "new",
        "gone-file",
        "gone-dir",
        "dir/gone",
        "emptydir/new",
        "a/b/new",
    ] {
        tried(
            format_args!("mkdir {path}"),
            root.create_directory_at(path).await,
        );
        show_names(&root, path).await;
        tried("rmdir", root.remove_directory_at(path).await);
        tried("write", write_file(&root, path, path.as_bytes()).await);
        show_file(&root, path).await;
        tried("unlink", root.unlink_file_at(path).await);
        tried(
            "stat",
            root.stat_at(PathFlags::empty(), path).await.map(|_| ()),
        );
    }
    for path in ["hello.txt", "dir/one", "links/rel", "a/b/c/deep.txt"] {
        tried(
            format_args!("unlink {path}"),
            root.unlink_file_at(path).await,
        );
        tried("mkdir in its place", root.create_directory_at(path).await);
        show_names(&root, path).await;
        tried("rmdir", root.remove_directory_at(path).await);
        tried(
            "exclusive",
            open_write(&root, path, OpenFlags::CREATE | OpenFlags::EXCLUSIVE)
                .await
                .map(drop),
        );
        show(
            "size",
            root.stat_at(PathFlags::empty(), path)
                .await
                .map(|stat| stat.size),
        );
    }
    for path in ["dir/sub/sub2/x", "dir/sub/inner"] {
        tried(
            format_args!("unlink {path}"),
            root.unlink_file_at(path).await,
        );
    }
    tried(
        "rmdir of one that holds a directory",
        root.remove_directory_at("dir/sub").await,
    );
    tried("rmdir", root.remove_directory_at("dir/sub/sub2").await);
    tried("rmdir", root.remove_directory_at("dir/sub").await);
    tried("mkdir", root.create_directory_at("dir/sub").await);
    show_names(&root, "dir/sub").await;
    tried("mkdir", root.create_directory_at("dir/sub/sub2").await);
    show_names(&root, "dir/sub/sub2").await;
    tried(
        "rename a file to where one was",
        root.rename_at("big.bin", &root, "dir/sub/inner").await,
    );
    show_file(&root, "dir/sub/inner").await;
    show_names(&root, ".").await;
    show_names(&root, "dir").await;
}

guests_p3::command!(run);
