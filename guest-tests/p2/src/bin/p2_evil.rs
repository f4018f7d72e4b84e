//! Attacks of a hostile component: it tries to escape, to use reserved names, and to make the host allocate
//! memory.

use guests_p2::{
    DescriptorFlags, OpenFlags, PathFlags, open, open_dir, root, say, show, show_names, tried,
};

fn run() {
    let root = root();
    let long = "x/".repeat(40_000);
    let name = "n".repeat(256);
    let ups = "../".repeat(10_000);
    for path in [
        "nul\0",
        "\0",
        "hello.txt\0x",
        "dir/\0/x",
        "//",
        "///hello.txt",
        "...",
        "dir/../../x",
        "a/b/c/../../../../x",
        "missing/../..",
        &long,
        &name,
        &ups,
    ] {
        let shown = path.escape_debug().to_string();
        say!("{} ({} bytes)", &shown[..shown.len().min(24)], path.len());
        tried(
            "  stat",
            root.stat_at(PathFlags::SYMLINK_FOLLOW, path).map(|_| ()),
        );
        tried("  open", open(&root, path).map(drop));
        tried(
            "  create",
            root.open_at(
                PathFlags::empty(),
                path,
                OpenFlags::CREATE,
                DescriptorFlags::WRITE,
            )
            .map(drop),
        );
        tried("  unlink", root.unlink_file_at(path));
        tried("  mkdir", root.create_directory_at(path));
        tried("  rmdir", root.remove_directory_at(path));
        tried("  symlink to", root.symlink_at(path, "link"));
        tried(
            "  through it",
            root.stat_at(PathFlags::SYMLINK_FOLLOW, "link").map(|_| ()),
        );
        tried("  unlink it", root.unlink_file_at("link"));
        if tried("  rename to", root.rename_at("empty", &root, path)).is_some() {
            root.rename_at(path, &root, "empty")
                .expect("it was renamed just now");
        }
        tried(
            "  link to",
            root.link_at(PathFlags::empty(), "empty", &root, path),
        );
    }
    // Escapes from a subdirectory, by a link made for it, and by moving the directory away.
    let sub = open_dir(&root, "dir/sub").expect("it is there");
    tried("symlink", sub.symlink_at("../../hello.txt", "out"));
    tried(
        "out of it",
        sub.stat_at(PathFlags::SYMLINK_FOLLOW, "out").map(|_| ()),
    );
    tried(
        "from the root",
        root.stat_at(PathFlags::SYMLINK_FOLLOW, "dir/sub/out")
            .map(|_| ()),
    );
    tried(
        "rename the ground",
        root.rename_at("dir/sub", &root, "a/sub"),
    );
    tried(
        "up from it",
        sub.stat_at(PathFlags::SYMLINK_FOLLOW, "..").map(|_| ()),
    );
    tried("out of it", open(&sub, "out").map(drop));
    // A read of the whole file, and of more than it has.
    let file = open(&root, "hello.txt").expect("it is there");
    show(
        "read 2^64-1",
        file.read(u64::MAX, 0).map(|(data, _)| data.len()),
    );
    let stream = file.read_via_stream(0).expect("it can be read");
    say!(
        "stream 2^64-1: {:?}",
        stream.blocking_read(u64::MAX).map(|data| data.len()).ok()
    );
    // Hundreds of open streams and listings.
    let streams: Vec<_> = (0..300)
        .map(|_| file.read_via_stream(0).expect("it can be read"))
        .collect();
    let listings: Vec<_> = (0..300)
        .map(|_| root.read_directory().expect("it can be listed"))
        .collect();
    say!("{} streams, {} listings", streams.len(), listings.len());
    show_names(&root, "dir");
}

guests_p2::command!(run);
