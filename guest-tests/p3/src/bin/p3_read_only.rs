//! What a component is told that tries to change what it may only read: first what is wrong with
//! the call itself, and only then that the filesystem is read-only. Nothing to see where it is not.

use guests_p3::{
    Descriptor, DescriptorFlags, ErrorCode, NewTimestamp, OpenFlags, PathFlags, Result, open,
    open_write, root, show_file, show_names,
};

/// Asserts that a call fails, and how.
fn fails<T>(what: &str, code: &ErrorCode, result: Result<T>) {
    match result {
        Ok(_) => panic!("{what} went well"),
        Err(error) => assert_eq!(error, *code, "{what}"),
    }
}

async fn run() {
    let root = root();
    match root.create_directory_at("probe").await {
        Ok(()) => root
            .remove_directory_at("probe")
            .await
            .expect("it was made just now"),
        Err(code) => {
            assert_eq!(code, ErrorCode::ReadOnly, "mkdir");
            refusals(&root).await;
        }
    }
    show_file(&root, "hello.txt").await;
    show_names(&root, ".").await;
}

/// Every change is refused, with the right error.
async fn refusals(root: &Descriptor) {
    use ErrorCode::{
        Exist, IsDirectory, Loop, NoEntry, NotDirectory, NotEmpty, NotPermitted, ReadOnly,
    };
    assert!(
        !root
            .get_flags()
            .await
            .expect("it is open")
            .contains(DescriptorFlags::MUTATE_DIRECTORY)
    );
    let exclusive = OpenFlags::CREATE | OpenFlags::EXCLUSIVE;
    for (path, code) in [
        ("hello.txt", Exist),
        ("dir", Exist),
        ("links/dangling", Exist),
        ("missing/x", NoEntry),
        ("hello.txt/x", NotDirectory),
        ("../x", NotPermitted),
        ("links/self/x", Loop),
        ("gone-dir", ReadOnly),
    ] {
        fails(
            &format!("mkdir {path}"),
            &code,
            root.create_directory_at(path).await,
        );
        fails(
            &format!("symlink {path}"),
            &code,
            root.symlink_at("x", path).await,
        );
        fails(
            &format!("link to {path}"),
            &code,
            root.link_at(PathFlags::empty(), "empty", root, path).await,
        );
        fails(
            &format!("create {path}"),
            &code,
            open_write(root, path, exclusive).await,
        );
    }
    for (path, code) in [
        ("hello.txt", ReadOnly),
        ("links/rel", ReadOnly),
        ("missing", NoEntry),
        ("dir", IsDirectory),
        ("hello.txt/x", NotDirectory),
        ("links/self", Loop),
        ("links/dangling", NoEntry),
    ] {
        fails(
            &format!("write {path}"),
            &code,
            open_write(root, path, OpenFlags::empty()).await,
        );
        fails(
            &format!("truncate {path}"),
            &code,
            open_write(root, path, OpenFlags::TRUNCATE).await,
        );
    }
    for (path, code) in [
        ("new", ReadOnly),
        ("hello.txt", ReadOnly),
        ("dir", IsDirectory),
        ("missing/x", NoEntry),
    ] {
        fails(
            &format!("create or open {path}"),
            &code,
            open_write(root, path, OpenFlags::CREATE).await,
        );
    }
    for (path, code) in [
        ("hello.txt", ReadOnly),
        ("links/dangling", ReadOnly),
        ("missing", NoEntry),
        ("gone-file", NoEntry),
        ("dir", IsDirectory),
        ("hello.txt/x", NotDirectory),
    ] {
        fails(
            &format!("unlink {path}"),
            &code,
            root.unlink_file_at(path).await,
        );
    }
    for (path, code) in [
        ("emptydir", ReadOnly),
        ("dir", NotEmpty),
        ("hello.txt", NotDirectory),
        ("links/dir", NotDirectory),
        ("missing", NoEntry),
    ] {
        fails(
            &format!("rmdir {path}"),
            &code,
            root.remove_directory_at(path).await,
        );
    }
    for (from, to, code) in [
        ("hello.txt", "new", ReadOnly),
        ("dir", "new", ReadOnly),
        ("missing", "new", NoEntry),
        ("hello.txt", "missing/x", NoEntry),
        ("hello.txt", "dir", IsDirectory),
        ("dir", "hello.txt", NotDirectory),
        ("dir", "a", NotEmpty),
    ] {
        fails(
            &format!("rename {from} to {to}"),
            &code,
            root.rename_at(from, root, to).await,
        );
    }
    let (none, now) = (NewTimestamp::NoChange, NewTimestamp::Now);
    for (path, code) in [
        ("hello.txt", ReadOnly),
        ("dir", ReadOnly),
        ("missing", NoEntry),
    ] {
        fails(
            &format!("set times of {path}"),
            &code,
            root.set_times_at(PathFlags::empty(), path, none, now).await,
        );
    }
    let file = open(root, "hello.txt").await.expect("it can be read");
    fails(
        "set times of an open file",
        &ReadOnly,
        file.set_times(none, now).await,
    );
    // No change asked for is none refused.
    assert_eq!(file.set_times(none, none).await, Ok(()), "set no times");
    assert_eq!(file.sync().await, Ok(()), "sync");
    assert_eq!(
        root.set_times_at(PathFlags::empty(), "dir", none, none)
            .await,
        Ok(()),
        "set no times of a directory"
    );
}

guests_p3::command!(run);
