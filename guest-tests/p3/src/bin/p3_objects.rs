//! Descriptors, metadata hashes and directory entries: which of them are of the same file.
//!
//! The assertions of wasi-testsuite's `filesystem-is-same-object`, `filesystem-metadata-hash` and
//! `filesystem-read-directory`; error codes for invalid paths are in `p3_path_codes`.

use guests_p3::{Descriptor, PathFlags, entries, names, open, root, say};

guests_p3::command!(run);

const STAY: PathFlags = PathFlags::empty();

async fn run() {
    let root = root();
    root.create_directory_at("new-dir")
        .await
        .expect("it is new");
    objects(&root).await;
    for dir in [".", "dir", "emptydir", "new-dir"] {
        listing(&open(&root, dir).await.expect("it is there")).await;
        say!("{dir}: all as it should be");
    }
}

/// Files, directories and links, opened in each way: equal hashes mean equal metadata, and descriptors are
/// the same object if and only if they are of the same file.
async fn objects(root: &Descriptor) {
    for dir in ["dir", "new-dir"] {
        let linked = format!("{dir}/linked");
        let made = root.link_at(STAY, "hello.txt", root, &linked).await;
        made.expect("it can be linked");
        let link = format!("{dir}/symlink");
        let made = root.symlink_at("../hello.txt", &link).await;
        made.expect("it is new");
    }
    // Each path with the file that it names.
    let paths = [
        (".", 0),
        ("dir/..", 0),
        ("dir", 1),
        ("dir/one", 2),
        ("hello.txt", 3),
        ("dir/linked", 3),
        ("new-dir/linked", 3),
        ("dir/symlink", 3),
        ("new-dir/symlink", 3),
    ];
    for (path, file) in paths {
        let one = open(root, path).await.expect("it is there");
        for (other_path, other_file) in paths {
            let other = open(root, other_path).await.expect("it is there");
            let same = one.is_same_object(&other).await;
            assert_eq!(same, file == other_file, "{path}, {other_path}");
            if one.metadata_hash().await == other.metadata_hash().await {
                assert_eq!(one.stat().await, other.stat().await, "{path}, {other_path}");
            }
            for flags in [STAY, PathFlags::SYMLINK_FOLLOW] {
                let hashes = (
                    root.metadata_hash_at(STAY, path).await,
                    root.metadata_hash_at(flags, other_path).await,
                );
                if hashes.0 == hashes.1 {
                    let stat = root.stat_at(flags, other_path).await;
                    assert_eq!(root.stat_at(STAY, path).await, stat, "{path}, {other_path}");
                }
            }
        }
    }
    assert_eq!(root.stat_at(STAY, ".").await, root.stat().await);
}

async fn listing(dir: &Descriptor) {
    let before = names(dir).await.expect("it can be listed");
    dir.symlink_at("..", "up").await.expect("it is new");
    let mut expected = [before, vec!["l up".to_owned()]].concat();
    expected.sort();
    assert_eq!(names(dir).await, Ok(expected));
    for entry in entries(dir).await.expect("it can be listed") {
        let stat = dir.stat_at(STAY, &entry.name).await;
        assert_eq!(
            stat.expect("it is listed").type_,
            entry.type_,
            "{}",
            entry.name
        );
    }
}
