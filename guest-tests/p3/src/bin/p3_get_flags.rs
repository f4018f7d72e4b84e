//! The type and flags of descriptors, also of a directory opened below another.

use guests_p3::{DescriptorFlags, OpenFlags, PathFlags, open_dir, open_write, root, show};

async fn run() {
    let root = root();
    show("root", root.get_flags().await);
    show("root", root.get_type().await);
    let flags = [
        DescriptorFlags::empty(),
        DescriptorFlags::READ,
        DescriptorFlags::WRITE,
        DescriptorFlags::READ | DescriptorFlags::WRITE,
        DescriptorFlags::MUTATE_DIRECTORY,
        DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY,
    ];
    for path in [".", "hello.txt", "dir", "dir/sub", "links/dir", "emptydir"] {
        for asked in flags {
            let opened = root
                .open_at(PathFlags::SYMLINK_FOLLOW, path, OpenFlags::empty(), asked)
                .await;
            let known = match opened {
                Ok(opened) => Ok((opened.get_type().await, opened.get_flags().await)),
                Err(code) => Err(code),
            };
            show(format_args!("{path} for {asked:?}"), known);
        }
    }
    // The flag is reported and not enforced: names can be changed in a directory that was opened without it.
    let dir = root
        .open_at(
            PathFlags::empty(),
            "dir",
            OpenFlags::DIRECTORY,
            DescriptorFlags::READ,
        )
        .await
        .expect("it is there");
    show("mkdir below it", dir.create_directory_at("made").await);
    let below = open_write(&dir, "one", OpenFlags::empty())
        .await
        .expect("it is there");
    show("open below it for writing", below.get_flags().await);
    let dir = open_dir(&root, "dir").await.expect("it is there");
    show("unlink below another", dir.unlink_file_at("two").await);
}

guests_p3::command!(run);
