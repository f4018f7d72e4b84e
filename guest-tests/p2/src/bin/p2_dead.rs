//! Descriptors of removed files keep working, those of removed directories have no entries, and no removed
//! file reappears.

use guests_p2::{
    OpenFlags, PathFlags, digest, names, open, open_dir, open_write, read_all, root, say, show,
    show_file, show_names, tried, write_file,
};

fn run() {
    let root = root();
    for path in ["hello.txt", "dir/one", "fresh"] {
        let file = open_write(&root, path, OpenFlags::CREATE).expect("it can be opened");
        tried(format_args!("unlink {path}"), root.unlink_file_at(path));
        show("write", file.write(b"dead", 0));
        show("read", read_all(&file).map(|data| digest(&data)));
        tried("cut", file.set_size(2));
        show("size", file.stat().map(|stat| stat.size));
        tried("hash", file.metadata_hash().map(|_| ()));
        tried("sync", file.sync());
        tried("make another", write_file(&root, path, b"another"));
        show("read the dead", read_all(&file).map(|data| digest(&data)));
        show_file(&root, path);
    }
    for path in ["emptydir", "dir/sub/sub2"] {
        let dir = open_dir(&root, path).expect("it can be opened");
        if path != "emptydir" {
            tried("empty it", dir.unlink_file_at("x"));
        }
        tried(format_args!("rmdir {path}"), root.remove_directory_at(path));
        for round in ["gone", "made anew"] {
            say!("{round}");
            tried("  stat", dir.stat().map(|_| ()));
            tried("  hash", dir.metadata_hash().map(|_| ()));
            tried("  type", dir.get_type().map(|_| ()));
            show("  list", names(&dir));
            tried("  open", open(&dir, "x").map(drop));
            tried(
                "  create",
                open_write(&dir, "x", OpenFlags::CREATE).map(drop),
            );
            tried("  mkdir", dir.create_directory_at("y"));
            tried("  symlink", dir.symlink_at("x", "y"));
            tried(
                "  link",
                root.link_at(PathFlags::empty(), "dir/two", &dir, "y"),
            );
            tried("  rename in", root.rename_at("dir/two", &dir, "y"));
            tried("  unlink", dir.unlink_file_at("x"));
            tried(
                "  stat at",
                dir.stat_at(PathFlags::empty(), "x").map(|_| ()),
            );
            if round == "gone" {
                tried("mkdir", root.create_directory_at(path));
                tried(
                    "make in it",
                    write_file(&root, &format!("{path}/x"), b"new"),
                );
            }
        }
        show_names(&root, path);
    }
}

guests_p2::command!(run);
