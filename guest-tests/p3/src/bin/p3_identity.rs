//! A file keeps its metadata hash through copy-up, rename and link, and no two files share one.

use guests_p3::{
    Descriptor, MetadataHashValue, OpenFlags, PathFlags, open, open_write, root, say, show,
    write_file,
};

async fn hash(dir: &Descriptor, path: &str) -> (u64, u64) {
    let MetadataHashValue { lower, upper } = dir
        .metadata_hash_at(PathFlags::empty(), path)
        .await
        .expect("it is there");
    (lower, upper)
}

async fn of(file: &Descriptor) -> (u64, u64) {
    let MetadataHashValue { lower, upper } = file.metadata_hash().await.expect("it is open");
    (lower, upper)
}

async fn run() {
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
            assert_ne!(
                hash(&root, one).await,
                hash(&root, other).await,
                "{one} and {other}"
            );
        }
    }
    for path in ["hello.txt", "dir", "dir/one", "a/b/c/deep.txt"] {
        let opened = open(&root, path).await.expect("it is there");
        assert_eq!(
            of(&opened).await,
            hash(&root, path).await,
            "{path}, open and by name"
        );
    }
    let followed = root
        .metadata_hash_at(PathFlags::SYMLINK_FOLLOW, "links/rel")
        .await
        .expect("it is there");
    assert_eq!(
        (followed.lower, followed.upper),
        hash(&root, "hello.txt").await,
        "through a link"
    );
    say!("{} objects, all different", paths.len());
    for path in ["missing", "links/dangling", "hello.txt/x", "", ".."] {
        show(
            format_args!("hash of {path:?}"),
            root.metadata_hash_at(PathFlags::SYMLINK_FOLLOW, path)
                .await
                .map(|_| ()),
        );
    }

    for path in ["hello.txt", "dir/one", "big.bin"] {
        let before = hash(&root, path).await;
        let file = open_write(&root, path, OpenFlags::empty())
            .await
            .expect("it can be opened");
        assert_eq!(hash(&root, path).await, before, "{path} opened for writing");
        // Without a write, because stock wasmtime-wasi also hashes the time.
        root.rename_at(path, &root, "moved")
            .await
            .expect("it can be renamed");
        assert_eq!(hash(&root, "moved").await, before, "{path} renamed");
        assert_eq!(of(&file).await, before, "{path} renamed, open");
        root.link_at(PathFlags::empty(), "moved", &root, "linked")
            .await
            .expect("it can be linked");
        assert_eq!(hash(&root, "linked").await, before, "{path} linked");
        root.unlink_file_at("moved")
            .await
            .expect("it can be unlinked");
        root.rename_at("linked", &root, path)
            .await
            .expect("it can be renamed");
        assert_eq!(hash(&root, path).await, before, "{path} back where it was");
        say!("{path} keeps its hash");
    }
    let (dir, sub, inner) = (
        hash(&root, "dir").await,
        hash(&root, "dir/sub").await,
        hash(&root, "dir/sub/inner").await,
    );
    root.rename_at("dir", &root, "folder")
        .await
        .expect("it can be renamed");
    assert_eq!(
        (
            hash(&root, "folder").await,
            hash(&root, "folder/sub").await,
            hash(&root, "folder/sub/inner").await
        ),
        (dir, sub, inner)
    );
    root.create_directory_at("dir")
        .await
        .expect("the name is free");
    assert_ne!(
        hash(&root, "dir").await,
        dir,
        "a new directory is another one"
    );
    let held = open(&root, "empty").await.expect("it is there");
    root.unlink_file_at("empty")
        .await
        .expect("it can be removed");
    write_file(&root, "empty", b"")
        .await
        .expect("it can be made");
    assert_ne!(
        hash(&root, "empty").await,
        of(&held).await,
        "a new file is another one"
    );
    say!("done");
}

guests_p3::command!(run);
