//! `is-same-object` for descriptors that were opened in different ways.

use guests_p2::{OpenFlags, PathFlags, open, open_write, root, say};

fn run() {
    let root = root();
    let one = open(&root, "dir/one").expect("it is there");
    let again = open(&root, "dir/sub/../one").expect("it is there");
    let other = open(&root, "dir/two").expect("it is there");
    let dir = open(&root, "dir").expect("it is there");
    let through_link = open(&root, "links/dir").expect("it is there");
    say!("itself: {}", one.is_same_object(&one));
    say!("by another path: {}", one.is_same_object(&again));
    say!("another: {}", one.is_same_object(&other));
    say!("a directory: {}", one.is_same_object(&dir));
    say!("through a link: {}", dir.is_same_object(&through_link));
    say!("its parent: {}", dir.is_same_object(&root));
    say!(
        "the root by a dot: {}",
        root.is_same_object(&open(&root, ".").expect("it is there"))
    );

    // One opened before a copy-up and one after it.
    let writer = open_write(&root, "dir/one", OpenFlags::empty()).expect("it can be written");
    say!("after a copy-up: {}", one.is_same_object(&writer));
    writer.write(b"x", 0).expect("it can be written");
    say!("after a write: {}", one.is_same_object(&writer));
    root.link_at(PathFlags::empty(), "dir/one", &root, "linked")
        .expect("it can be linked");
    say!(
        "by a second name: {}",
        one.is_same_object(&open(&root, "linked").expect("it is there"))
    );
    root.rename_at("dir", &root, "folder")
        .expect("it can be renamed");
    say!(
        "after its directory was renamed: {}",
        one.is_same_object(&open(&root, "folder/one").expect("it is there"))
    );
    say!(
        "the directory: {}",
        dir.is_same_object(&open(&root, "folder").expect("it is there"))
    );
    root.unlink_file_at("linked").expect("it can be removed");
    root.unlink_file_at("folder/one")
        .expect("it can be removed");
    let new = open_write(&root, "folder/one", OpenFlags::CREATE).expect("it can be made");
    say!("a new one of its name: {}", one.is_same_object(&new));
    say!("itself, dead: {}", one.is_same_object(&writer));
}

guests_p2::command!(run);
