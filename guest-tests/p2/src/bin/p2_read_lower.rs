//! Files of every size are read completely, at offsets and past their end.

use guests_p2::{digest, open, root, show, show_file, show_names};

guests_p2::command!(run);

fn run() {
    let root = root();
    for name in [
        "hello.txt",
        "empty",
        "big.bin",
        "a/b/c/deep.txt",
        "dir/sub/inner",
        "links/rel",
    ] {
        show_file(&root, name);
        let stat = root.stat_at(guests_p2::PathFlags::SYMLINK_FOLLOW, name);
        show(
            format_args!("stat {name}"),
            stat.map(|stat| (stat.type_, stat.size)),
        );
    }
    for name in ["missing", "missing/x", "hello.txt/x", "dir", ""] {
        show_file(&root, name);
    }
    for name in ["dir", "a/b", "emptydir", "hello.txt", "missing"] {
        show_names(&root, name);
    }

    let file = open(&root, "big.bin").expect("it was read before");
    for (length, offset) in [
        (10, 0),
        (10, 65_530),
        (0, 5),
        (1, u64::from(u32::MAX)),
        (1, u64::MAX),
    ] {
        let read = file.read(length, offset);
        show(
            format_args!("read {length} at {offset}"),
            read.map(|(data, end)| (digest(&data), end)),
        );
    }
}
