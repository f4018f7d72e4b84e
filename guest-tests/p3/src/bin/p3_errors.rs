//! The error codes of every operation on every wrong kind of file, path by path.

use guests_p3::{
    Descriptor, DescriptorFlags, NewTimestamp, OpenFlags, PathFlags, append, names, open, root,
    say, show, tried,
};

const PATHS: [&str; 30] = [
    "missing",
    "missing/x",
    "hello.txt",
    "hello.txt/",
    "hello.txt/.",
    "hello.txt/x",
    "dir",
    "dir/",
    "dir/.",
    "dir/..",
    "emptydir",
    "links/rel",
    "links/rel/",
    "links/dir",
    "links/dir/",
    "links/dangling",
    "links/dangling/",
    "links/self",
    "links/escape",
    "links/abs",
    "gone-file",
    "gone-dir/x",
    "",
    ".",
    "..",
    "/",
    "/hello.txt",
    "../x",
    "a/./b//c",
    "a/../a",
];

async fn run() {
    let root = root();
    for path in PATHS {
        say!("{path:?}");
        on_path(&root, path).await;
    }
    let file = guests_p3::open_write(&root, "dir/one", OpenFlags::empty())
        .await
        .expect("it can be opened");
    for (name, descriptor) in [
        ("a file", file),
        (
            "a directory",
            open(&root, "dir").await.expect("it is there"),
        ),
    ] {
        say!("on {name}");
        on_path(&descriptor, "two").await;
        tried("  list", names(&descriptor).await.map(drop));
        tried("  read", descriptor.read(1, 0).await);
        tried("  write", descriptor.write(b"", 0).await);
        tried("  set size", descriptor.set_size(4).await);
        tried("  sync", descriptor.sync().await);
        tried(
            "  set times",
            descriptor
                .set_times(NewTimestamp::NoChange, NewTimestamp::NoChange)
                .await,
        );
        tried("  append", append(&descriptor, b"").await);
        tried("  append some", append(&descriptor, b"x").await);
        tried("  stat", descriptor.stat().await.map(|_| ()));
        tried("  hash", descriptor.metadata_hash().await.map(|_| ()));
    }
    for path in PATHS
        .into_iter()
        .filter(|path| !matches!(*path, "." | "dir/.."))
    {
        tried(
            format_args!("rmdir {path:?}"),
            root.remove_directory_at(path).await,
        );
        tried(
            format_args!("unlink {path:?}"),
            root.unlink_file_at(path).await,
        );
    }
}

async fn on_path(dir: &Descriptor, path: &str) {
    let (follow, stay) = (PathFlags::SYMLINK_FOLLOW, PathFlags::empty());
    show(
        "  stat",
        dir.stat_at(follow, path).await.map(|stat| stat.type_),
    );
    show(
        "  lstat",
        dir.stat_at(stay, path).await.map(|stat| stat.type_),
    );
    show("  readlink", dir.readlink_at(path).await);
    tried(
        "  hash",
        dir.metadata_hash_at(follow, path).await.map(|_| ()),
    );
    tried(
        "  open",
        dir.open_at(follow, path, OpenFlags::empty(), DescriptorFlags::READ)
            .await
            .map(drop),
    );
    tried(
        "  open it itself",
        dir.open_at(stay, path, OpenFlags::empty(), DescriptorFlags::READ)
            .await
            .map(drop),
    );
    tried(
        "  open to write",
        dir.open_at(follow, path, OpenFlags::empty(), DescriptorFlags::WRITE)
            .await
            .map(drop),
    );
    tried(
        "  open as directory",
        dir.open_at(follow, path, OpenFlags::DIRECTORY, DescriptorFlags::READ)
            .await
            .map(drop),
    );
    tried(
        "  times",
        dir.set_times_at(stay, path, NewTimestamp::NoChange, NewTimestamp::NoChange)
            .await,
    );
    let exclusive = OpenFlags::CREATE | OpenFlags::EXCLUSIVE;
    if tried(
        "  create",
        dir.open_at(stay, path, exclusive, DescriptorFlags::WRITE)
            .await
            .map(drop),
    )
    .is_some()
    {
        dir.unlink_file_at(path)
            .await
            .expect("it was made just now");
    }
    if tried("  mkdir", dir.create_directory_at(path).await).is_some() {
        dir.remove_directory_at(path)
            .await
            .expect("it was made just now");
    }
    if tried("  symlink", dir.symlink_at("x", path).await).is_some() {
        dir.unlink_file_at(path)
            .await
            .expect("it was made just now");
    }
    if tried("  link", dir.link_at(stay, path, dir, "linked").await).is_some() {
        dir.unlink_file_at("linked")
            .await
            .expect("it was made just now");
    }
    tried(
        "  link, followed",
        dir.link_at(follow, path, dir, "linked").await,
    );
    // A path through the file that it names is invalid after the call.
    if !path.contains("..")
        && tried("  rename", dir.rename_at(path, dir, "renamed").await).is_some()
    {
        dir.rename_at("renamed", dir, path.trim_end_matches('/'))
            .await
            .expect("it was renamed just now");
    }
}

guests_p3::command!(run);
