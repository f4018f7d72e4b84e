//! The answers of `get-flags` and `get-type`.
//!
//! The assertions of wasi-testsuite's `filesystem-flags-and-type`, including those that it leaves out for
//! wasmtime-wasi (<https://github.com/bytecodealliance/wasmtime/issues/11667>), which reports only `read` for
//! a directory that was opened for changes.

use guests_p3::{
    Descriptor, DescriptorFlags, DescriptorType, ErrorCode, OpenFlags, PathFlags, root, say,
};

const READ: DescriptorFlags = DescriptorFlags::READ;
const WRITE: DescriptorFlags = DescriptorFlags::WRITE;
const MUTATE: DescriptorFlags = DescriptorFlags::MUTATE_DIRECTORY;
const NONE: DescriptorFlags = DescriptorFlags::empty();

async fn open(
    dir: &Descriptor,
    path: &str,
    how: OpenFlags,
    flags: DescriptorFlags,
) -> Result<Descriptor, ErrorCode> {
    dir.open_at(PathFlags::empty(), path, how, flags).await
}

async fn check(descriptor: &Descriptor, kind: DescriptorType, flags: DescriptorFlags) {
    assert_eq!(descriptor.get_flags().await, Ok(flags));
    assert_eq!(descriptor.get_type().await, Ok(kind));
}

async fn run() {
    let root = root();
    check(&root, DescriptorType::Directory, READ | MUTATE).await;
    for (how, requested, reported) in [
        (OpenFlags::empty(), NONE, READ),
        (OpenFlags::empty(), READ, READ),
        (OpenFlags::DIRECTORY, READ, READ),
        (OpenFlags::empty(), MUTATE, READ | MUTATE),
        (OpenFlags::empty(), READ | MUTATE, READ | MUTATE),
        (OpenFlags::DIRECTORY, READ | MUTATE, READ | MUTATE),
    ] {
        for path in [".", "dir", "dir/sub"] {
            let opened = open(&root, path, how, requested)
                .await
                .expect("it is there");
            let reported = if guests_p3::is_stock() {
                READ
            } else {
                reported
            };
            check(&opened, DescriptorType::Directory, reported).await;
            // A descriptor opened below it reports its own flags.
            let below = open(&opened, ".", OpenFlags::empty(), NONE).await;
            check(
                &below.expect("it is there"),
                DescriptorType::Directory,
                READ,
            )
            .await;
        }
    }
    let written = open(&root, ".", OpenFlags::empty(), WRITE).await;
    assert_eq!(written.err(), Some(ErrorCode::IsDirectory));

    let new = OpenFlags::CREATE | OpenFlags::EXCLUSIVE;
    for (path, how, requested, reported) in [
        ("hello.txt", OpenFlags::empty(), NONE, READ),
        ("hello.txt", OpenFlags::empty(), READ, READ),
        ("hello.txt", OpenFlags::empty(), WRITE, WRITE),
        ("hello.txt", OpenFlags::EXCLUSIVE, NONE, READ),
        ("made", new, NONE, READ | WRITE),
        ("made", new, READ, READ | WRITE),
        ("made", new, WRITE, WRITE),
        ("made", new, READ | WRITE, READ | WRITE),
    ] {
        let opened = open(&root, path, how, requested)
            .await
            .expect("it is as it has to be");
        check(&opened, DescriptorType::RegularFile, reported).await;
        if path == "made" {
            root.unlink_file_at(path).await.expect("it was made");
        }
    }
    say!("all as they should be");
}

guests_p3::command!(run);
