//! The type and flags of descriptors, also of a directory opened below another.

use guests_p2::{DescriptorFlags, OpenFlags, PathFlags, open_dir, root, show};

fn run() {
    let root = root();
    show("root", root.get_flags());
    show("root", root.get_type());
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
            let opened = root.open_at(PathFlags::SYMLINK_FOLLOW, path, OpenFlags::empty(), asked);
            show(
                format_args!("{path} for {asked:?}"),
                opened.and_then(|opened| Ok((opened.get_type()?, opened.get_flags()?))),
            );
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
        .expect("it is there");
    show("mkdir below it", dir.create_directory_at("made"));
    show(
        "open below it for writing",
        guests_p2::open_write(&dir, "one", OpenFlags::empty()).and_then(|file| file.get_flags()),
    );
    let dir = open_dir(&root, "dir").expect("it is there");
    show("unlink below another", dir.unlink_file_at("two"));
}

guests_p2::command!(run);
