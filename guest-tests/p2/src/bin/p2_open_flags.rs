//! The effect of each combination of open flags and descriptor flags on each kind of file.

use guests_p2::{
    Descriptor, DescriptorFlags, DescriptorType, OpenFlags, PathFlags, root, say, show, tried,
};

const HOWS: [(&str, OpenFlags); 8] = [
    ("open", OpenFlags::empty()),
    ("create", OpenFlags::CREATE),
    (
        "create exclusive",
        OpenFlags::CREATE.union(OpenFlags::EXCLUSIVE),
    ),
    ("exclusive", OpenFlags::EXCLUSIVE),
    ("directory", OpenFlags::DIRECTORY),
    (
        "create directory",
        OpenFlags::CREATE.union(OpenFlags::DIRECTORY),
    ),
    (
        "directory exclusive",
        OpenFlags::DIRECTORY.union(OpenFlags::EXCLUSIVE),
    ),
    (
        "directory truncate",
        OpenFlags::DIRECTORY.union(OpenFlags::TRUNCATE),
    ),
];

const WHATS: [(&str, DescriptorFlags); 7] = [
    ("nothing", DescriptorFlags::empty()),
    ("read", DescriptorFlags::READ),
    ("write", DescriptorFlags::WRITE),
    (
        "read, write",
        DescriptorFlags::READ.union(DescriptorFlags::WRITE),
    ),
    (
        "mutate",
        DescriptorFlags::READ.union(DescriptorFlags::MUTATE_DIRECTORY),
    ),
    (
        "read, data sync",
        DescriptorFlags::READ.union(DescriptorFlags::DATA_INTEGRITY_SYNC),
    ),
    (
        "write, file sync",
        DescriptorFlags::WRITE.union(DescriptorFlags::FILE_INTEGRITY_SYNC),
    ),
];

fn attempt(root: &Descriptor, path: &str, flags: PathFlags) {
    for (how, open_flags) in HOWS {
        for (what, descriptor_flags) in WHATS {
            let exists = root.stat_at(PathFlags::empty(), path).is_ok();
            let opened = root.open_at(flags, path, open_flags, descriptor_flags);
            if let Some(opened) = tried(format_args!("  {how} for {what}"), opened) {
                let kind = opened.get_type().expect("it is open");
                say!("    {:?} {:?}", kind, opened.get_flags());
                if !exists && kind == DescriptorType::RegularFile {
                    root.unlink_file_at(path).expect("it was made just now");
                }
            }
        }
    }
}

fn run() {
    let root = root();
    for path in [
        "hello.txt",
        "dir",
        "absent",
        "links/rel",
        "links/dir",
        "gone-dir",
        "missing/x",
        "hello.txt/",
        "dir/",
    ] {
        say!("{path:?}, followed");
        attempt(&root, path, PathFlags::SYMLINK_FOLLOW);
    }
    for path in [
        "hello.txt",
        "links/rel",
        "links/dir",
        "links/dir/",
        "links/dangling",
    ] {
        say!("{path:?}, not followed");
        attempt(&root, path, PathFlags::empty());
    }
    // A successful open truncates, and a failed one does not.
    let write = DescriptorFlags::WRITE;
    for (path, how, what) in [
        ("dir/one", OpenFlags::TRUNCATE, write),
        (
            "dir/two",
            OpenFlags::TRUNCATE | OpenFlags::CREATE | OpenFlags::EXCLUSIVE,
            write,
        ),
        ("dir/three", OpenFlags::TRUNCATE, DescriptorFlags::READ),
        ("dir/sub", OpenFlags::TRUNCATE, write),
        ("links/rel", OpenFlags::TRUNCATE | OpenFlags::CREATE, write),
    ] {
        tried(
            format_args!("truncate {path}"),
            root.open_at(PathFlags::SYMLINK_FOLLOW, path, how, what),
        );
        show(
            format_args!("size of {path}"),
            root.stat_at(PathFlags::SYMLINK_FOLLOW, path).map(|stat| {
                (
                    stat.type_,
                    stat.type_ == DescriptorType::RegularFile && stat.size > 0,
                )
            }),
        );
    }
}

guests_p2::command!(run);
