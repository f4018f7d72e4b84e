//! Directories are renamed with all their content, by descriptors of both parent directories.

use guests_p3::{
    OpenFlags, PathFlags, names, open_dir, open_write, root, say, show, show_file, show_names,
    tried, write_file,
};

async fn run() {
    let root = root();
    let (a, dir) = (
        open_dir(&root, "a").await.expect("it is there"),
        open_dir(&root, "dir").await.expect("it is there"),
    );
    let file = open_write(&root, "dir/sub/inner", OpenFlags::empty())
        .await
        .expect("it can be opened");
    tried("dir/sub to a/sub", dir.rename_at("sub", &a, "sub").await);
    show_names(&root, "a/sub").await;
    show_names(&root, "dir").await;
    show("write to a file in it", file.write(b"INNER", 0).await);
    show_file(&root, "a/sub/inner").await;
    tried("a to dir/a", root.rename_at("a", &dir, "a").await);
    tried(
        "through the open directory",
        write_file(&a, "made", b"made").await,
    );
    show_names(&root, "dir/a").await;
    tried("dir into itself", root.rename_at("dir", &a, "dir").await);
    tried(
        "dir to gone-dir",
        root.rename_at("dir", &root, "gone-dir").await,
    );
    show_names(&root, "gone-dir").await;
    show_file(&root, "gone-dir/a/sub/sub2/x").await;
    tried(
        "many onto emptydir",
        root.rename_at("many", &root, "emptydir").await,
    );
    let dir_of_many = open_dir(&root, "emptydir").await.expect("it is there");
    let count = names(&dir_of_many).await.map(|names| names.len());
    show("entries", count);
    tried(
        "onto one that is not empty",
        root.rename_at("gone-dir", &root, "emptydir").await,
    );
    tried(
        "onto a file",
        root.rename_at("gone-dir", &root, "hello.txt").await,
    );
    tried(
        "a file onto it",
        root.rename_at("hello.txt", &root, "gone-dir").await,
    );
    tried(
        "to itself",
        root.rename_at("gone-dir", &root, "gone-dir").await,
    );
    for _ in 0..3 {
        root.rename_at("gone-dir", &root, "dir")
            .await
            .expect("it can be renamed");
        root.rename_at("dir", &root, "gone-dir")
            .await
            .expect("it can be renamed");
    }
    show_names(&root, "gone-dir/a/sub").await;
    tried("mkdir dir", root.create_directory_at("dir").await);
    show_names(&root, "dir").await;
    tried(
        "the old path",
        root.stat_at(PathFlags::empty(), "dir/a").await.map(|_| ()),
    );
    say!("done");
}

guests_p3::command!(run);
