//! Many concurrent calls on one directory: exactly one of several conflicting calls succeeds.

use guests_p3::{
    DescriptorFlags, OpenFlags, PathFlags, Result, all, both, is_stock, names, open_dir, read_file,
    root, say, show, show_names, tried, write_file,
};

guests_p3::command!(run);

/// Prints how many calls succeeded, and how the others failed.
fn count<T>(what: &str, results: &[Result<T>]) {
    let well = results.iter().filter(|it| it.is_ok()).count();
    let mut codes: Vec<_> = results
        .iter()
        .filter_map(|it| it.as_ref().err().map(guests_p3::code))
        .collect();
    codes.sort();
    codes.dedup();
    say!(
        "{what}: {well} of {} went well, others {codes:?}",
        results.len()
    );
}

async fn run() {
    let root = root();
    let dir = &open_dir(&root, "dir").await.expect("it is there");
    let made = all((0..50).map(async |at| write_file(dir, &format!("f{at:02}"), b"new").await));
    count("make fifty", &made.await);
    show_names(&root, "dir").await;
    let exclusive = OpenFlags::CREATE | OpenFlags::EXCLUSIVE;
    let open = || {
        dir.open_at(
            PathFlags::empty(),
            "same",
            exclusive,
            DescriptorFlags::WRITE,
        )
    };
    count("make one", &all((0..10).map(|_| open())).await);
    let mkdir = || root.create_directory_at("gone-dir");
    count("mkdir one", &all((0..10).map(|_| mkdir())).await);
    let unlink = || dir.unlink_file_at("one");
    count("unlink one", &all((0..10).map(|_| unlink())).await);
    let rename = async |at: usize| {
        let new = format!("renamed{at}");
        dir.rename_at("two", &root, &new).await
    };
    count("rename one", &all((0..10).map(rename)).await);
    let names_of_root = names(&root).await.expect("it can be listed");
    let renamed = |it: &&String| it.contains("renamed");
    let renamed: Vec<_> = names_of_root.iter().filter(renamed).collect();
    assert_eq!(renamed.len(), 1, "one file has one name");
    // Whichever call succeeded, the state is the same from here on.
    let winner = renamed[0].split(' ').next_back().expect("it has a name");
    tried(
        "rename the one",
        root.rename_at(winner, &root, "renamed").await,
    );
    let rmdir = || root.remove_directory_at("emptydir");
    count("rmdir one", &all((0..10).map(|_| rmdir())).await);
    // A listing during changes has each name at most once, and all names that are not removed.
    let remove = async |at: usize| dir.unlink_file_at(&format!("f{at:02}")).await;
    let (listed, removed) = both(names(dir), all((0..50).map(remove))).await;
    // wasmtime-wasi stats each name of the listing, and fails at one that was removed in the meantime.
    if let Ok(mut listed) = listed {
        let length = listed.len();
        listed.dedup();
        assert_eq!(listed.len(), length, "each name comes once");
        assert!(listed.contains(&"d sub".to_owned()));
    } else {
        assert!(is_stock(), "a listing is a snapshot");
    }
    count("remove fifty", &removed);
    show_names(&root, "dir").await;
    // A rename of the tree, concurrently with a read of one of its files.
    let (moved, read) = both(
        root.rename_at("dir", &root, "elsewhere"),
        read_file(dir, "sub/inner"),
    )
    .await;
    tried("rename the tree", moved);
    show("read in it", read.map(|data| data.len()));
    show_names(&root, "elsewhere").await;
}
