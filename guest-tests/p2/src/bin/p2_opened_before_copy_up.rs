//! A file that was opened for reading before its copy-up shows what is written afterwards, by each way to
//! read.

use guests_p2::{OpenFlags, PathFlags, digest, open, open_write, read_all, root, say, show, tried};

fn run() {
    let root = root();
    for path in ["hello.txt", "dir/sub/inner", "big.bin"] {
        let early = open(&root, path).expect("it can be opened");
        let stream = early.read_via_stream(0).expect("it can be read");
        let writer = open_write(&root, path, OpenFlags::empty()).expect("it can be opened");
        show("write", writer.write(b"NEW", 0));
        show("read", early.read(8, 0).map(|(data, _)| digest(&data)));
        say!(
            "stream {:?}",
            stream.blocking_read(3).map(|data| digest(&data)).ok()
        );
        tried("cut", writer.set_size(2));
        show("read", read_all(&early).map(|data| digest(&data)));
        show("size", early.stat().map(|stat| stat.size));
        tried("rename", root.rename_at(path, &root, "elsewhere"));
        show("write", writer.write(b"after", 0));
        show("read", read_all(&early).map(|data| digest(&data)));
        tried("unlink", root.unlink_file_at("elsewhere"));
        show("write", writer.write(b"AFTER", 0));
        show("read", read_all(&early).map(|data| digest(&data)));
        tried(
            "by name",
            root.stat_at(PathFlags::empty(), path).map(|_| ()),
        );
    }
}

guests_p2::command!(run);
