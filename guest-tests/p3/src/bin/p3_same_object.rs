//! `is-same-object` for descriptors that were opened in different ways.

use guests_p3::{OpenFlags, PathFlags, open, open_write, root, say};

async fn run() {
    let root = root();
    let one = open(&root, "dir/one").await.expect("it is there");
    let again = open(&root, "dir/sub/../one").await.expect("it is there");
    let other = open(&root, "dir/two").await.expect("it is there");
    let dir = open(&root, "dir").await.expect("it is there");
    let through_link = open(&root, "links/dir").await.expect("it is there");
    say!("itself: {}", one.is_same_object(&one).await);
    say!("by another path: {}", one.is_same_object(&again).await);
    say!("another: {}", one.is_same_object(&other).await);
    say!("a directory: {}", one.is_same_object(&dir).await);
    say!(
        "through a link: {}",
        dir.is_same_object(&through_link).await
    );
    say!("its parent: {}", dir.is_same_object(&root).await);
    say!(
        "the root by a dot: {}",
        root.is_same_object(&open(&root, ".").await.expect("it is there"))
            .await
    );

    // One opened before a copy-up and one after it.
    let writer = open_write(&root, "dir/one", OpenFlags::empty())
        .await
        .expect("it can be written");
    say!("after a copy-up: {}", one.is_same_object(&writer).await);
    writer.write(b"x", 0).await.expect("it can be written");
    say!("after a write: {}", one.is_same_object(&writer).await);
    root.link_at(PathFlags::empty(), "dir/one", &root, "linked")
        .await
        .expect("it can be linked");
    say!(
        "by a second name: {}",
        one.is_same_object(&open(&root, "linked").await.expect("it is there"))
            .await
    );
    root.rename_at("dir", &root, "folder")
        .await
        .expect("it can be renamed");
    say!(
        "after its directory was renamed: {}",
        one.is_same_object(&open(&root, "folder/one").await.expect("it is there"))
            .await
    );
    say!(
        "the directory: {}",
        dir.is_same_object(&open(&root, "folder").await.expect("it is there"))
            .await
    );
    root.unlink_file_at("linked")
        .await
        .expect("it can be removed");
    root.unlink_file_at("folder/one")
        .await
        .expect("it can be removed");
    let new = open_write(&root, "folder/one", OpenFlags::CREATE)
        .await
        .expect("it can be made");
    say!("a new one of its name: {}", one.is_same_object(&new).await);
    say!("itself, dead: {}", one.is_same_object(&writer).await);
}

guests_p3::command!(run);
