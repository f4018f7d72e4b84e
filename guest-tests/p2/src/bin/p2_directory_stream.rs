//! A listing is a snapshot from its start, with each name once, without `.` and `..`, and with one end.

use guests_p2::{
    DescriptorType, PathFlags, names, open, open_dir, root, say, show, show_names, tried,
    write_file,
};
use std::collections::BTreeSet;

fn run() {
    let root = root();
    for path in [".", "dir", "a", "links", "emptydir", "long"] {
        show_names(&root, path);
    }
    let many = open(&root, "many").expect("it can be opened");
    let listed = names(&many).expect("it can be listed");
    let unique: BTreeSet<_> = listed.iter().collect();
    assert_eq!(unique.len(), listed.len(), "each name comes once");
    say!("many: {} entries", listed.len());

    // The types match `stat`.
    let stream = root.read_directory().expect("it can be listed");
    while let Some(entry) = stream.read_directory_entry().expect("it goes on") {
        let stat = root
            .stat_at(PathFlags::empty(), &entry.name)
            .expect("what is listed is there");
        assert!(stat.type_ == entry.type_, "{}", entry.name);
    }
    assert!(
        stream
            .read_directory_entry()
            .expect("it has ended")
            .is_none(),
        "an end is an end"
    );

    // Two streams of one directory do not disturb each other.
    let dir = open_dir(&root, "dir").expect("it can be opened");
    let (one, two) = (
        dir.read_directory().expect("it can be listed"),
        dir.read_directory().expect("it can be listed"),
    );
    let mut both = Vec::new();
    loop {
        let (first, second) = (
            one.read_directory_entry().expect("it goes on"),
            two.read_directory_entry().expect("it goes on"),
        );
        assert_eq!(
            first.as_ref().map(|entry| &entry.name),
            second.as_ref().map(|entry| &entry.name)
        );
        let Some(entry) = first else { break };
        both.push(entry.name);
    }
    both.sort();
    say!("both: {both:?}");

    // Removal while listing, as `remove_dir_all` does it: the listing still has all names.
    let stream = many.read_directory().expect("it can be listed");
    let mut removed = 0;
    while let Some(entry) = stream.read_directory_entry().expect("it goes on") {
        assert!(entry.type_ == DescriptorType::RegularFile);
        many.unlink_file_at(&entry.name)
            .expect("what is listed can be removed");
        removed += 1;
    }
    say!("removed {removed}");
    show_names(&root, "many");
    tried("rmdir", root.remove_directory_at("many"));
    tried("list what is removed", names(&many).map(drop));

    // A new stream shows every change immediately.
    for step in 0..6 {
        match step {
            0 => write_file(&dir, "new", b"new"),
            1 => dir.unlink_file_at("one"),
            2 => dir.rename_at("two", &root, "two"),
            3 => dir.create_directory_at("d"),
            4 => dir.rename_at("d", &dir, "e"),
            _ => dir.symlink_at("x", "s"),
        }
        .expect("it can be done");
        show(format_args!("after step {step}"), names(&dir));
    }
    tried(
        "list a file",
        open(&root, "hello.txt")
            .and_then(|file| file.read_directory())
            .map(drop),
    );
    let unread = guests_p2::DescriptorFlags::empty();
    let dir = root
        .open_at(
            PathFlags::empty(),
            "dir",
            guests_p2::OpenFlags::DIRECTORY,
            unread,
        )
        .expect("it is there");
    show("list one opened for nothing", names(&dir));
}

guests_p2::command!(run);
