//! Every call on a name with a slash behind it: of a file, a directory, nothing, and links to each.
//!
//! In the directory that the call is made on, and below it: an implementation may take a path of one
//! name for something simpler.

use guests_p3::{
    Descriptor, DescriptorFlags, NewTimestamp, OpenFlags, PathFlags, open, root, say, show, tried,
};

/// Directories to call on, what leads from there to the names, and the names.
const NAMES: [(&str, &str, &[&str]); 4] = [
    (".", "", &["hello.txt", "emptydir", "missing"]),
    ("links", "", &LINKS),
    (".", "links/", &LINKS),
    ("dir", "", &["one", "sub", "missing"]),
];
const LINKS: [&str; 6] = ["rel", "dir", "dangling", "self", "dot", "escape"];
const ENDS: [&str; 4] = ["/", "//", "/.", "/./"];

async fn run() {
    let root = root();
    for (base, before, names) in NAMES {
        let dir = open(&root, base).await.expect("it can be opened");
        for name in names {
            for end in ENDS {
                let path = format!("{before}{name}{end}");
                say!("{base:?} {path:?}");
                on_path(&root, &dir, &path, &format!("{before}{name}")).await;
            }
        }
    }
}

async fn on_path(root: &Descriptor, dir: &Descriptor, path: &str, bare: &str) {
    for (name, flags) in [
        ("", PathFlags::SYMLINK_FOLLOW),
        (", no follow", PathFlags::empty()),
    ] {
        show(
            format_args!("  stat{name}"),
            dir.stat_at(flags, path).await.map(|stat| stat.type_),
        );
        tried(
            format_args!("  hash{name}"),
            dir.metadata_hash_at(flags, path).await.map(drop),
        );
        for (how, open_flags, access) in [
            ("", OpenFlags::empty(), DescriptorFlags::READ),
            (", directory", OpenFlags::DIRECTORY, DescriptorFlags::READ),
            (", create", OpenFlags::CREATE, DescriptorFlags::WRITE),
            (
                ", create exclusive",
                OpenFlags::CREATE | OpenFlags::EXCLUSIVE,
                DescriptorFlags::WRITE,
            ),
        ] {
            let opened = dir.open_at(flags, path, open_flags, access).await;
            tried(format_args!("  open{name}{how}"), opened.map(drop));
        }
        tried(
            format_args!("  times{name}"),
            dir.set_times_at(flags, path, NewTimestamp::NoChange, NewTimestamp::NoChange)
                .await,
        );
    }
    show("  readlink", dir.readlink_at(path).await);
    if tried("  mkdir", dir.create_directory_at(path).await).is_some() {
        dir.remove_directory_at(bare)
            .await
            .expect("it was made just now");
    }
    if tried("  symlink", dir.symlink_at("x", path).await).is_some() {
        dir.unlink_file_at(bare)
            .await
            .expect("it was made just now");
    }
    let stay = PathFlags::empty();
    if tried("  link", dir.link_at(stay, path, root, "linked").await).is_some() {
        root.unlink_file_at("linked")
            .await
            .expect("it was made just now");
    }
    if tried("  rename", dir.rename_at(path, root, "renamed").await).is_some() {
        root.rename_at("renamed", dir, bare)
            .await
            .expect("it was renamed just now");
    }
    if tried("  rename to", root.rename_at("empty", dir, path).await).is_some() {
        dir.rename_at(bare, root, "empty")
            .await
            .expect("it was renamed just now");
    }
    tried("  unlink", dir.unlink_file_at(path).await);
    if tried("  rmdir", dir.remove_directory_at(path).await).is_some() {
        dir.create_directory_at(bare)
            .await
            .expect("it was removed just now");
    }
}

guests_p3::command!(run);
