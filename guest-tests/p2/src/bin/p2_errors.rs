//! The error codes of every operation on every wrong kind of file, path by path.

use guests_p2::{
    Descriptor, DescriptorFlags, NewTimestamp, OpenFlags, PathFlags, open, root, say, show, tried,
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

fn run() {
    let root = root();
    for path in PATHS {
        say!("{path:?}");
        on_path(&root, path);
    }
    let file =
        guests_p2::open_write(&root, "dir/one", OpenFlags::empty()).expect("it can be opened");
    for (name, descriptor) in [
        ("a file", file),
        ("a directory", open(&root, "dir").expect("it is there")),
    ] {
        say!("on {name}");
        on_path(&descriptor, "two");
        tried("  list", descriptor.read_directory().map(drop));
        tried("  read", descriptor.read(1, 0));
        tried("  write", descriptor.write(b"", 0));
        tried("  set size", descriptor.set_size(4));
        tried("  sync", descriptor.sync());
        tried(
            "  set times",
            descriptor.set_times(NewTimestamp::NoChange, NewTimestamp::NoChange),
        );
        tried("  read via stream", descriptor.read_via_stream(0).map(drop));
        tried(
            "  write via stream",
            descriptor.write_via_stream(0).map(drop),
        );
        tried(
            "  append via stream",
            descriptor.append_via_stream().map(drop),
        );
        tried("  stat", descriptor.stat().map(|_| ()));
        tried("  hash", descriptor.metadata_hash().map(|_| ()));
    }
    for path in PATHS
        .into_iter()
        .filter(|path| !matches!(*path, "." | "dir/.."))
    {
        tried(
            format_args!("rmdir {path:?}"),
            root.remove_directory_at(path),
        );
        tried(format_args!("unlink {path:?}"), root.unlink_file_at(path));
    }
}

fn on_path(dir: &Descriptor, path: &str) {
    let (follow, stay) = (PathFlags::SYMLINK_FOLLOW, PathFlags::empty());
    show("  stat", dir.stat_at(follow, path).map(|stat| stat.type_));
    show("  lstat", dir.stat_at(stay, path).map(|stat| stat.type_));
    show("  readlink", dir.readlink_at(path));
    tried("  hash", dir.metadata_hash_at(follow, path).map(|_| ()));
    tried(
        "  open",
        dir.open_at(follow, path, OpenFlags::empty(), DescriptorFlags::READ)
            .map(drop),
    );
    tried(
        "  open it itself",
        dir.open_at(stay, path, OpenFlags::empty(), DescriptorFlags::READ)
            .map(drop),
    );
    tried(
        "  open to write",
        dir.open_at(follow, path, OpenFlags::empty(), DescriptorFlags::WRITE)
            .map(drop),
    );
    tried(
        "  open as directory",
        dir.open_at(follow, path, OpenFlags::DIRECTORY, DescriptorFlags::READ)
            .map(drop),
    );
    tried(
        "  times",
        dir.set_times_at(stay, path, NewTimestamp::NoChange, NewTimestamp::NoChange),
    );
    let exclusive = OpenFlags::CREATE | OpenFlags::EXCLUSIVE;
    if tried(
        "  create",
        dir.open_at(stay, path, exclusive, DescriptorFlags::WRITE)
            .map(drop),
    )
    .is_some()
    {
        dir.unlink_file_at(path).expect("it was made just now");
    }
    if tried("  mkdir", dir.create_directory_at(path)).is_some() {
        dir.remove_directory_at(path).expect("it was made just now");
    }
    if tried("  symlink", dir.symlink_at("x", path)).is_some() {
        dir.unlink_file_at(path).expect("it was made just now");
    }
    if tried("  link", dir.link_at(stay, path, dir, "linked")).is_some() {
        dir.unlink_file_at("linked").expect("it was made just now");
    }
    tried("  link, followed", dir.link_at(follow, path, dir, "linked"));
    // A path through the file that it names is invalid after the call.
    if !path.contains("..") && tried("  rename", dir.rename_at(path, dir, "renamed")).is_some() {
        dir.rename_at("renamed", dir, path.trim_end_matches('/'))
            .expect("it was renamed just now");
    }
}

guests_p2::command!(run);
