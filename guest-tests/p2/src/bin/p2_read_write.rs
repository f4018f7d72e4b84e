//! Reads and writes at offsets, and changes of size, all of which a copy-up has to preserve.

use guests_p2::{OpenFlags, digest, open, open_write, read_all, root, show, show_file, tried};

fn run() {
    let root = root();
    for path in ["hello.txt", "big.bin", "empty", "fresh"] {
        let early = open(&root, path).ok();
        let file = open_write(&root, path, OpenFlags::CREATE).expect("it can be opened");
        for (data, offset) in [
            (&b"at the start"[..], 0),
            (b"", 5),
            (b"in the middle", 65_530),
            (b"far", 400_000),
        ] {
            show(format_args!("write at {offset}"), file.write(data, offset));
        }
        show("all", read_all(&file).map(|data| digest(&data)));
        for (length, offset) in [
            (20, 0),
            (0, 0),
            (100, 399_990),
            (1, 400_003),
            (u64::MAX, 399_999),
            (10, 1 << 50),
        ] {
            let read = file
                .read(length, offset)
                .map(|(data, end)| (digest(&data), data.is_empty() && end));
            show(format_args!("read {length} at {offset}"), read);
        }
        for size in [10, 100, 0, 7] {
            tried(format_args!("set size to {size}"), file.set_size(size));
            show("all", read_all(&file).map(|data| digest(&data)));
        }
        if let Some(early) = early {
            show(
                "as one opened before saw it",
                read_all(&early).map(|data| digest(&data)),
            );
            tried("write to it", early.write(b"x", 0));
            tried("cut it", early.set_size(0));
        }
        show_file(&root, path);
    }
    let file = open_write(&root, "dir/one", OpenFlags::empty()).expect("it can be opened");
    for offset in [i64::MAX as u64, 1 << 63, u64::MAX] {
        tried(
            format_args!("write at {offset}"),
            file.write(b"xyz", offset),
        );
        show(format_args!("read at {offset}"), file.read(8, offset));
    }
    for size in [i64::MAX as u64 + 1, u64::MAX] {
        tried(format_args!("set size to {size}"), file.set_size(size));
    }
    show_file(&root, "dir/one");
    let dir = open(&root, "dir").expect("it can be opened");
    tried("read a directory", dir.read(1, 0));
    tried("write a directory", dir.write(b"x", 0));
    tried("cut a directory", dir.set_size(0));
}

guests_p2::command!(run);
