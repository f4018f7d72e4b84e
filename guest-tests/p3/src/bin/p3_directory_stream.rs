//! A listing is a snapshot from its start, with each name once, without `.` and `..`, and with one end.

use guests_p3::{
    DescriptorFlags, DescriptorType, OpenFlags, PathFlags, StreamResult, both, entries, names,
    open, open_dir, root, say, show, show_names, tried, write_file,
};
use std::collections::BTreeSet;

guests_p3::command!(run);

async fn run() {
    let root = root();
    for path in [".", "dir", "a", "links", "emptydir", "long"] {
        show_names(&root, path).await;
    }
    let many = open(&root, "many").await.expect("it can be opened");
    let listed = names(&many).await.expect("it can be listed");
    let unique: BTreeSet<_> = listed.iter().collect();
    assert_eq!(unique.len(), listed.len(), "each name comes once");
    say!("many: {} entries", listed.len());
    // The types match `stat`.
    for entry in entries(&root).await.expect("it can be listed") {
        let stat = root
            .stat_at(PathFlags::empty(), &entry.name)
            .await
            .expect("what is listed is there");
        assert_eq!(stat.type_, entry.type_, "{}", entry.name);
    }
    // Reads of one and of seven entries, and two streams of one directory at the same time.
    for room in [1, 7, 1000] {
        let (mut stream, ended) = many.read_directory();
        let mut count = 0;
        loop {
            let (result, some) = stream.read(Vec::with_capacity(room)).await;
            assert!(some.len() <= room, "no more than was asked for");
            count += some.len();
            if !matches!(result, StreamResult::Complete(_)) {
                break;
            }
        }
        say!("by {room}: {count}");
        tried("its end", ended.await);
    }
    let dir = open_dir(&root, "dir").await.expect("it can be opened");
    let (one, two) = both(names(&dir), names(&dir)).await;
    assert_eq!(one, two);
    show("both", one);
    // A reader that stops early.
    let (mut stream, ended) = many.read_directory();
    let (_, some) = stream.read(Vec::with_capacity(3)).await;
    assert!(!some.is_empty() && some.len() <= 3);
    drop(stream);
    tried("the end of one that was dropped", ended.await);
    // Removal while listing, as `remove_dir_all` does it: the listing still has all names.
    let (mut stream, ended) = many.read_directory();
    let mut removed = 0;
    while let Some(entry) = stream.next().await {
        assert_eq!(entry.type_, DescriptorType::RegularFile);
        many.unlink_file_at(&entry.name)
            .await
            .expect("what is listed can be removed");
        removed += 1;
    }
    tried("its end", ended.await);
    say!("removed {removed}");
    show_names(&root, "many").await;
    tried("rmdir", root.remove_directory_at("many").await);
    tried("list what is removed", names(&many).await.map(drop));
    // A new stream shows every change immediately.
    for step in 0..6 {
        match step {
            0 => write_file(&dir, "new", b"new").await,
            1 => dir.unlink_file_at("one").await,
            2 => dir.rename_at("two", &root, "two").await,
            3 => dir.create_directory_at("d").await,
            4 => dir.rename_at("d", &dir, "e").await,
            _ => dir.symlink_at("x", "s").await,
        }
        .expect("it can be done");
        show(format_args!("after step {step}"), names(&dir).await);
    }
    let file = open(&root, "hello.txt").await.expect("it can be opened");
    tried("list a file", names(&file).await.map(drop));
    let dir = root
        .open_at(
            PathFlags::empty(),
            "dir",
            OpenFlags::DIRECTORY,
            DescriptorFlags::empty(),
        )
        .await
        .expect("it is there");
    show("list one opened for nothing", names(&dir).await);
}
