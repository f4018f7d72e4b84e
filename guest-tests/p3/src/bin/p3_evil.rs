//! Attacks of a hostile component: it tries to escape, to use reserved names, and to make the host allocate
//! memory.

use guests_p3::{
    DescriptorFlags, OpenFlags, PathFlags, open, open_dir, root, say, show, show_names, tried,
};

async fn run() {
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
            root.stat_at(PathFlags::SYMLINK_FOLLOW, path)
                .await
                .map(|_| ()),
        );
        tried("  open", open(&root, path).await.map(drop));
        tried(
            "  create",
            root.open_at(
                PathFlags::empty(),
                path,
                OpenFlags::CREATE,
                DescriptorFlags::WRITE,
            )
            .await
            .map(drop),
        );
        tried("  unlink", root.unlink_file_at(path).await);
        tried("  mkdir", root.create_directory_at(path).await);
        tried("  rmdir", root.remove_directory_at(path).await);
        tried("  symlink to", root.symlink_at(path, "link").await);
        tried(
            "  through it",
            root.stat_at(PathFlags::SYMLINK_FOLLOW, "link")
                .await
                .map(|_| ()),
        );
        tried("  unlink it", root.unlink_file_at("link").await);
        if tried("  rename to", root.rename_at("empty", &root, path).await).is_some() {
            root.rename_at(path, &root, "empty")
                .await
                .expect("it was renamed just now");
        }
        tried(
            "  link to",
            root.link_at(PathFlags::empty(), "empty", &root, path).await,
        );
    }
    // Escapes from a subdirectory, by a link made for it, and by moving the directory away.
    let sub = open_dir(&root, "dir/sub").await.expect("it is there");
    tried("symlink", sub.symlink_at("../../hello.txt", "out").await);
    tried(
        "out of it",
        sub.stat_at(PathFlags::SYMLINK_FOLLOW, "out")
            .await
            .map(|_| ()),
    );
    tried(
        "from the root",
        root.stat_at(PathFlags::SYMLINK_FOLLOW, "dir/sub/out")
            .await
            .map(|_| ()),
    );
    tried(
        "rename the ground",
        root.rename_at("dir/sub", &root, "a/sub").await,
    );
    tried(
        "up from it",
        sub.stat_at(PathFlags::SYMLINK_FOLLOW, "..")
            .await
            .map(|_| ()),
    );
    tried("out of it", open(&sub, "out").await.map(drop));
    // A read of the whole file, and of more than it has.
    let file = open(&root, "hello.txt").await.expect("it is there");
    show(
        "read 2^64-1",
        file.read(u64::MAX, 0).await.map(|(data, _)| data.len()),
    );
    // A buffer as large as a guest can have.
    let (mut stream, _) = file.read_via_stream(0);
    let (_, data) = stream.read(Vec::with_capacity(64 << 20)).await;
    say!("stream into 64 MiB: {}", data.len());
    let (mut stream, _) = root.read_directory();
    let (_, entries) = stream.read(Vec::with_capacity(100_000)).await;
    say!("entries into room for 100000: {}", !entries.is_empty());
    // Hundreds of open streams and listings.
    let streams: Vec<_> = (0..300).map(|_| file.read_via_stream(0)).collect();
    let listings: Vec<_> = (0..300).map(|_| root.read_directory()).collect();
    say!("{} streams, {} listings", streams.len(), listings.len());
    show_names(&root, "dir").await;
}

guests_p3::command!(run);
