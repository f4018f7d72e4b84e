//! The error codes of a component that tries to change a read-only filesystem: an error in the call itself
//! comes first, and only then `read-only`. On a writable filesystem it does nothing.

use guests_p3::{
    Descriptor, DescriptorFlags, ErrorCode, NewTimestamp, OpenFlags, PathFlags, Result, open,
    open_write, root, show_file, show_names,
};

/// Asserts that a call fails with a code.
fn assert_fails<T>(what: &str, code: &ErrorCode, result: Result<T>) {
    match result {
        Ok(_) => panic!("{what} succeeded"),
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
            check_refusals(&root).await;
        }
    }
    show_file(&root, "hello.txt").await;
    show_names(&root, ".").await;
}

/// Asserts that every change fails with the right code.
async fn check_refusals(root: &Descriptor) {
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
        assert_fails(
            &format!("mkdir {path}"),
            &code,
            root.create_directory_at(path).await,
        );
        assert_fails(
            &format!("symlink {path}"),
            &code,
            root.symlink_at("x", path).await,
        );
        assert_fails(
            &format!("link to {path}"),
            &code,
            root.link_at(PathFlags::empty(), "empty", root, path).await,
        );
        assert_fails(
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
        assert_fails(
            &format!("write {path}"),
            &code,
            open_write(root, path, OpenFlags::empty()).await,
        );
        assert_fails(
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
        assert_fails(
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
        assert_fails(
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
        assert_fails(
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
        assert_fails(
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
        assert_fails(
            &format!("set times of {path}"),
            &code,
            root.set_times_at(PathFlags::empty(), path, none, now).await,
        );
    }
    let file = open(root, "hello.txt").await.expect("it can be read");
    assert_fails(
        "set times of an open file",
        &ReadOnly,
        file.set_times(none, now).await,
    );
    // A call that requests no change is not refused.
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
