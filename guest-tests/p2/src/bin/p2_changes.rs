//! Files and directories are made, removed and made again, and the old content never reappears.

use guests_p2::{
    OpenFlags, PathFlags, open_write, root, show, show_file, show_names, tried, write_file,
};

fn run() {
    let root = root();
    for path in [
        "new",
        "gone-file",
        "gone-dir",
        "dir/gone",
        "emptydir/new",
        "a/b/new",
    ] {
        tried(format_args!("mkdir {path}"), root.create_directory_at(path));
        show_names(&root, path);
        tried("rmdir", root.remove_directory_at(path));
        tried("write", write_file(&root, path, path.as_bytes()));
        show_file(&root, path);
        tried("unlink", root.unlink_file_at(path));
        tried("stat", root.stat_at(PathFlags::empty(), path).map(|_| ()));
    }
    for path in ["hello.txt", "dir/one", "links/rel", "a/b/c/deep.txt"] {
        tried(format_args!("unlink {path}"), root.unlink_file_at(path));
        tried("mkdir in its place", root.create_directory_at(path));
        show_names(&root, path);
        tried("rmdir", root.remove_directory_at(path));
        tried(
            "exclusive",
            open_write(&root, path, OpenFlags::CREATE | OpenFlags::EXCLUSIVE).map(drop),
        );
        show(
            "size",
            root.stat_at(PathFlags::empty(), path).map(|stat| stat.size),
        );
    }
    for path in ["dir/sub/sub2/x", "dir/sub/inner"] {
        tried(format_args!("unlink {path}"), root.unlink_file_at(path));
    }
    tried(
        "rmdir of one that holds a directory",
        root.remove_directory_at("dir/sub"),
    );
    tried("rmdir", root.remove_directory_at("dir/sub/sub2"));
    tried("rmdir", root.remove_directory_at("dir/sub"));
    tried("mkdir", root.create_directory_at("dir/sub"));
    show_names(&root, "dir/sub");
    tried("mkdir", root.create_directory_at("dir/sub/sub2"));
    show_names(&root, "dir/sub/sub2");
    tried(
        "rename a file to where one was",
        root.rename_at("big.bin", &root, "dir/sub/inner"),
    );
    show_file(&root, "dir/sub/inner");
    show_names(&root, ".");
    show_names(&root, "dir");
}

guests_p2::command!(run);
