//! Directories are renamed with all their content, by descriptors of both parent directories.

use guests_p2::{
    OpenFlags, PathFlags, open_dir, open_write, root, say, show, show_file, show_names, tried,
    write_file,
};

fn run() {
    let root = root();
    let (a, dir) = (
        open_dir(&root, "a").expect("it is there"),
        open_dir(&root, "dir").expect("it is there"),
    );
    let file = open_write(&root, "dir/sub/inner", OpenFlags::empty()).expect("it can be opened");
    tried("dir/sub to a/sub", dir.rename_at("sub", &a, "sub"));
    show_names(&root, "a/sub");
    show_names(&root, "dir");
    show("write to a file in it", file.write(b"INNER", 0));
    show_file(&root, "a/sub/inner");
    tried("a to dir/a", root.rename_at("a", &dir, "a"));
    tried(
        "through the open directory",
        write_file(&a, "made", b"made"),
    );
    show_names(&root, "dir/a");
    tried("dir into itself", root.rename_at("dir", &a, "dir"));
    tried("dir to gone-dir", root.rename_at("dir", &root, "gone-dir"));
    show_names(&root, "gone-dir");
    show_file(&root, "gone-dir/a/sub/sub2/x");
    tried(
        "many onto emptydir",
        root.rename_at("many", &root, "emptydir"),
    );
    let count = guests_p2::open(&root, "emptydir")
        .and_then(|dir| guests_p2::names(&dir))
        .map(|names| names.len());
    show("entries", count);
    tried(
        "onto one that is not empty",
        root.rename_at("gone-dir", &root, "emptydir"),
    );
    tried(
        "onto a file",
        root.rename_at("gone-dir", &root, "hello.txt"),
    );
    tried(
        "a file onto it",
        root.rename_at("hello.txt", &root, "gone-dir"),
    );
    tried("to itself", root.rename_at("gone-dir", &root, "gone-dir"));
    for _ in 0..3 {
        root.rename_at("gone-dir", &root, "dir")
            .expect("it can be renamed");
        root.rename_at("dir", &root, "gone-dir")
            .expect("it can be renamed");
    }
    show_names(&root, "gone-dir/a/sub");
    tried("mkdir dir", root.create_directory_at("dir"));
    show_names(&root, "dir");
    tried(
        "the old path",
        root.stat_at(PathFlags::empty(), "dir/a").map(|_| ()),
    );
    say!("done");
}

guests_p2::command!(run);
