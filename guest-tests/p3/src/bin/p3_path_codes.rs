//! Error codes of calls with paths, as assertions: stock wasmtime-wasi has to pass them too.
//!
//! The assertions of wasi-testsuite's `filesystem-dotdot`, `filesystem-hard-links`,
//! `filesystem-mkdir-rmdir`, `filesystem-open-errors` and `filesystem-unlink-errors`, and of
//! `filesystem-metadata-hash`, `filesystem-rename` and `filesystem-stat` those about paths.

use guests_p3::{
    Descriptor, DescriptorFlags, ErrorCode, NewTimestamp, OpenFlags, PathFlags, Result,
    assert_refused, names, open, root, say, write_file,
};

guests_p3::command!(run);

const STAY: PathFlags = PathFlags::empty();
const FOLLOW: PathFlags = PathFlags::SYMLINK_FOLLOW;

async fn run() {
    let root = root();
    root.symlink_at("..", "parent").await.expect("it is new");
    for path in ["new-dir", "new-dir/sub"] {
        root.create_directory_at(path).await.expect("it is new");
    }
    for path in ["new-file", "new-dir/one"] {
        let written = write_file(&root, path, b"new\n").await;
        written.expect("it can be made");
    }
    // First on files and directories of lower layers, then on new ones.
    for (dir, file) in [("dir", "hello.txt"), ("new-dir", "new-file")] {
        for path in ["..", "../x", "/", "/x", "/etc/passwd", "parent/x"] {
            paths_that_lead_out(&root, file, path).await;
        }
        let climbing = format!("{dir}/../../{dir}/one");
        paths_that_lead_out(&root, file, &climbing).await;
        empty_path(&root, file).await;
        path_dot(&root).await;
        missing_files(&root, file).await;
        wrong_kinds_of_file(&root, dir, file).await;
        from_a_subdirectory(&root, dir, file).await;
        create_and_remove(&root, dir, file).await;
        say!("{dir}, {file}: all as it should be");
    }
    through_a_link(&root).await;
    say!("all as it should be");
}

async fn opened(dir: &Descriptor, flags: PathFlags, path: &str) -> Result<()> {
    let opened = dir.open_at(flags, path, OpenFlags::empty(), DescriptorFlags::READ);
    opened.await.map(drop)
}

async fn set_times(dir: &Descriptor, flags: PathFlags, path: &str) -> Result<()> {
    let now = NewTimestamp::Now;
    dir.set_times_at(flags, path, now, NewTimestamp::Now).await
}

/// Makes every call with a path, except those that make links and those with other error codes.
async fn check_every_call(root: &Descriptor, file: &str, path: &str, code: ErrorCode) {
    let code = &[code];
    for flags in [STAY, FOLLOW] {
        assert_refused(path, root.stat_at(flags, path).await, code);
        assert_refused(path, opened(root, flags, path).await, code);
        assert_refused(path, root.metadata_hash_at(flags, path).await, code);
        assert_refused(path, set_times(root, flags, path).await, code);
    }
    assert_refused(path, root.create_directory_at(path).await, code);
    assert_refused(path, root.remove_directory_at(path).await, code);
    assert_refused(path, root.link_at(STAY, path, root, "linked").await, code);
    assert_refused(path, root.link_at(STAY, file, root, path).await, code);
    assert_refused(path, root.rename_at(path, root, "renamed").await, code);
    assert_refused(path, root.rename_at(file, root, path).await, code);
}

/// The codes for an attempt to unlink a directory.
const NO_FILE: [ErrorCode; 3] = [
    ErrorCode::NotPermitted,
    ErrorCode::IsDirectory,
    ErrorCode::Access,
];

async fn paths_that_lead_out(root: &Descriptor, file: &str, path: &str) {
    check_every_call(root, file, path, ErrorCode::NotPermitted).await;
    let unlinked = root.unlink_file_at(path).await;
    if matches!(path, ".." | "/") {
        assert_refused(path, unlinked, &NO_FILE);
    } else {
        assert_refused(path, unlinked, &[ErrorCode::NotPermitted]);
    }
    // No host follows the path of a hard link; the right code is an open question:
    // <https://github.com/WebAssembly/WASI/issues/710>.
    let linked = root.link_at(FOLLOW, path, root, "linked").await;
    assert_refused(path, linked, &[ErrorCode::Invalid]);
}

async fn empty_path(root: &Descriptor, file: &str) {
    check_every_call(root, file, "", ErrorCode::NoEntry).await;
    assert_refused(
        "both",
        root.link_at(STAY, "", root, "").await,
        &[ErrorCode::NoEntry],
    );
    assert_refused(
        "unlink",
        root.unlink_file_at("").await,
        &[ErrorCode::NoEntry],
    );
}

async fn path_dot(root: &Descriptor) {
    let invalid = [ErrorCode::Invalid, ErrorCode::Access, ErrorCode::Busy];
    assert_refused(
        "mkdir .",
        root.create_directory_at(".").await,
        &[ErrorCode::Exist],
    );
    assert_refused(
        "rmdir .",
        root.remove_directory_at(".").await,
        &invalid[..2],
    );
    assert_refused(
        "rename .",
        root.rename_at(".", root, "renamed").await,
        &invalid,
    );
    let linked = root.link_at(STAY, ".", root, "linked").await;
    assert_refused(
        "link .",
        linked,
        &[ErrorCode::NotPermitted, ErrorCode::Access],
    );
    for path in [".", "../"] {
        assert_refused(path, root.unlink_file_at(path).await, &NO_FILE);
    }
}

async fn missing_files(root: &Descriptor, file: &str) {
    let code = &[ErrorCode::NoEntry];
    assert_refused("stat", root.stat_at(STAY, "missing").await, code);
    assert_refused("open", opened(root, STAY, "missing").await, code);
    assert_refused("set times", set_times(root, STAY, "missing").await, code);
    assert_refused("unlink", root.unlink_file_at("missing").await, code);
    assert_refused("rmdir", root.remove_directory_at("missing").await, code);
    assert_refused("rename", root.rename_at("missing", root, file).await, code);
}

async fn wrong_kinds_of_file(root: &Descriptor, dir: &str, file: &str) {
    let code = &[ErrorCode::NotDirectory];
    assert_refused("rmdir a file", root.remove_directory_at(file).await, code);
    let descriptor = open(root, file).await.expect("it is there");
    for path in ["x", "."] {
        assert_refused(path, descriptor.stat_at(STAY, path).await, code);
    }
    let linked = root.link_at(STAY, dir, root, "linked").await;
    assert_refused(
        "link a directory",
        linked,
        &[ErrorCode::NotPermitted, ErrorCode::Access],
    );
    let code = &[ErrorCode::Exist];
    assert_refused("mkdir", root.create_directory_at(file).await, code);
    assert_refused("link", root.link_at(STAY, file, root, file).await, code);
}

async fn from_a_subdirectory(root: &Descriptor, dir: &str, file: &str) {
    let flags = DescriptorFlags::MUTATE_DIRECTORY;
    let child = root.open_at(STAY, dir, OpenFlags::DIRECTORY, flags).await;
    let child = child.expect("it is there");
    let code = &[ErrorCode::NotPermitted];
    let above = format!("../{file}");
    assert_refused("open", opened(&child, STAY, &above).await, code);
    for path in ["../new", "../emptydir", "../emptydir/new"] {
        assert_refused(path, child.create_directory_at(path).await, code);
        assert_refused(path, child.remove_directory_at(path).await, code);
    }
    assert_eq!(child.create_directory_at("new").await, Ok(()));
    assert_eq!(child.remove_directory_at("new").await, Ok(()));
}

async fn create_and_remove(root: &Descriptor, dir: &str, file: &str) {
    let before = names(root).await;
    for path in ["made", "made/", "made/////"] {
        assert_eq!(root.create_directory_at(path).await, Ok(()), "{path}");
        let outward = root.remove_directory_at("made/../../made").await;
        assert_refused(path, outward, &[ErrorCode::NotPermitted]);
        if path != "made" {
            // POSIX allows the slash. wasmtime-wasi does not, and we do as wasmtime-wasi:
            // <https://github.com/bytecodealliance/wasmtime/issues/11524>.
            assert_refused(
                path,
                root.remove_directory_at(path).await,
                &[ErrorCode::Invalid],
            );
        }
        assert_eq!(root.remove_directory_at("made").await, Ok(()), "{path}");
    }
    for path in ["made".to_owned(), format!("{dir}/made")] {
        assert_eq!(
            root.link_at(STAY, file, root, &path).await,
            Ok(()),
            "{path}"
        );
        assert_eq!(root.unlink_file_at(&path).await, Ok(()), "{path}");
    }
    assert_eq!(names(root).await, before);
}

/// The link leads out of the directory: calls that do not follow it succeed, and all others fail.
async fn through_a_link(root: &Descriptor) {
    let code = &[ErrorCode::NotPermitted];
    assert_refused("open", opened(root, FOLLOW, "parent").await, code);
    assert_refused("stat", root.stat_at(FOLLOW, "parent").await, code);
    assert_refused("set times", set_times(root, FOLLOW, "parent").await, code);
    assert_refused("rmdir", root.remove_directory_at("parent/").await, code);
    assert_refused(
        "rmdir",
        root.remove_directory_at("parent").await,
        &[ErrorCode::NotDirectory],
    );
    assert_eq!(root.unlink_file_at("parent").await, Ok(()));
}
