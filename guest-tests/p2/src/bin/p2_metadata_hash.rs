//! A file keeps its metadata hash through copy-up, rename and link, and no two files share one.

use guests_p2::{
    Descriptor, MetadataHashValue, OpenFlags, PathFlags, open, open_write, root, say, show,
    write_file,
};

fn hash(dir: &Descriptor, path: &str) -> (u64, u64) {
    let MetadataHashValue { lower, upper } = dir
        .metadata_hash_at(PathFlags::empty(), path)
        .expect("it is there");
    (lower, upper)
}

fn of(file: &Descriptor) -> (u64, u64) {
    let MetadataHashValue { lower, upper } = file.metadata_hash().expect("it is open");
    (lower, upper)
}

fn run() {
    let root = root();
    let paths = [
        "hello.txt",
        "empty",
        "big.bin",
        "dir",
        "dir/one",
        "dir/two",
        "dir/sub",
        "a/b/c/deep.txt",
        "emptydir",
        "links/rel",
        "links/dir",
    ];
    for (index, one) in paths.iter().enumerate() {
        for other in &paths[index + 1..] {
            assert_ne!(hash(&root, one), hash(&root, other), "{one} and {other}");
        }
    }
    for path in ["hello.txt", "dir", "dir/one", "a/b/c/deep.txt"] {
        let opened = open(&root, path).expect("it is there");
        assert_eq!(of(&opened), hash(&root, path), "{path}, open and by name");
    }
    let followed = root
        .metadata_hash_at(PathFlags::SYMLINK_FOLLOW, "links/rel")
        .expect("it is there");
    assert_eq!(
        (followed.lower, followed.upper),
        hash(&root, "hello.txt"),
        "through a link"
    );
    say!("{} objects, all different", paths.len());
    for path in ["missing", "links/dangling", "hello.txt/x", "", ".."] {
        show(
            format_args!("hash of {path:?}"),
            root.metadata_hash_at(PathFlags::SYMLINK_FOLLOW, path)
                .map(|_| ()),
        );
    }

    for path in ["hello.txt", "dir/one", "big.bin"] {
        let before = hash(&root, path);
        let file = open_write(&root, path, OpenFlags::empty()).expect("it can be opened");
        assert_eq!(hash(&root, path), before, "{path} opened for writing");
        // Without a write, because stock wasmtime-wasi also hashes the time.
        root.rename_at(path, &root, "moved")
            .expect("it can be renamed");
        assert_eq!(hash(&root, "moved"), before, "{path} renamed");
        assert_eq!(of(&file), before, "{path} renamed, open");
        root.link_at(PathFlags::empty(), "moved", &root, "linked")
            .expect("it can be linked");
        assert_eq!(hash(&root, "linked"), before, "{path} linked");
        root.unlink_file_at("moved").expect("it can be unlinked");
        root.rename_at("linked", &root, path)
            .expect("it can be renamed");
        assert_eq!(hash(&root, path), before, "{path} back where it was");
        say!("{path} keeps its hash");
    }
    let (dir, sub, inner) = (
        hash(&root, "dir"),
        hash(&root, "dir/sub"),
        hash(&root, "dir/sub/inner"),
    );
    root.rename_at("dir", &root, "folder")
        .expect("it can be renamed");
    assert_eq!(
        (
            hash(&root, "folder"),
            hash(&root, "folder/sub"),
            hash(&root, "folder/sub/inner")
        ),
        (dir, sub, inner)
    );
    root.create_directory_at("dir").expect("the name is free");
    assert_ne!(hash(&root, "dir"), dir, "a new directory is another one");
    let held = open(&root, "empty").expect("it is there");
    root.unlink_file_at("empty").expect("it can be removed");
    write_file(&root, "empty", b"").expect("it can be made");
    assert_ne!(hash(&root, "empty"), of(&held), "a new file is another one");
    say!("done");
}

guests_p2::command!(run);
