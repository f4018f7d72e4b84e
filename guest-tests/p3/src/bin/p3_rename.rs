//! Renames of files: onto themselves, onto links and files, between directories, and to invalid paths.
//!
//! The assertions of wasi-testsuite's `filesystem-rename`; error codes for invalid paths are in
//! `p3_path_codes`.

use guests_p3::{
    Descriptor, ErrorCode, PathFlags, assert_refused, open_dir, read_file, root, say, write_file,
};

guests_p3::command!(run);

async fn run() {
    let root = root();
    let (new, lower) = ("new", "dir");
    root.create_directory_at(new).await.expect("it is new");
    write_file(&root, "new-file", b"new\n")
        .await
        .expect("it can be made");
    for file in ["hello.txt", "empty", "big.bin", "new-file"] {
        onto_itself_and_a_link(&root, file).await;
        for dir in [lower, new] {
            let dir = open_dir(&root, dir).await.expect("it is there");
            there_and_back(&root, &dir, file).await;
        }
        say!("{file}: all as it should be");
    }
}

async fn renamed(from: &Descriptor, old: &str, to: &Descriptor, new: &str) {
    let data = read_file(from, old).await;
    assert_eq!(from.rename_at(old, to, new).await, Ok(()), "{old}, {new}");
    assert_eq!(read_file(to, new).await, data, "{old}, {new}");
}

async fn gone(from: &Descriptor, old: &str, to: &Descriptor, new: &str) {
    assert_refused(
        old,
        from.rename_at(old, to, new).await,
        &[ErrorCode::NoEntry],
    );
    assert_refused(
        old,
        from.stat_at(PathFlags::empty(), old).await,
        &[ErrorCode::NoEntry],
    );
}

async fn onto_itself_and_a_link(root: &Descriptor, file: &str) {
    renamed(root, file, root, file).await;
    // A rename replaces a link at the new name, and does not follow it.
    for target in [file, "dir/one", "missing"] {
        root.symlink_at(target, "other").await.expect("it is new");
        renamed(root, file, root, "other").await;
        assert_refused(file, root.readlink_at("other").await, &[ErrorCode::Invalid]);
        gone(root, file, root, file).await;
        gone(root, file, root, "other").await;
        renamed(root, "other", root, file).await;
        gone(root, "other", root, file).await;
    }
    let data = read_file(root, file).await;
    write_file(root, "other", b"other\n")
        .await
        .expect("it can be made");
    renamed(root, file, root, "other").await;
    renamed(root, "other", root, file).await;
    assert_eq!(read_file(root, file).await, data, "{file}");
}

async fn there_and_back(root: &Descriptor, dir: &Descriptor, file: &str) {
    renamed(root, file, dir, "whatever").await;
    gone(root, file, root, "whatever").await;
    gone(root, "whatever", root, "whatever").await;
    gone(root, file, dir, "whatever").await;
    renamed(dir, "whatever", root, file).await;
    gone(dir, "whatever", root, file).await;
}
