//! Files of every size are read completely, in pieces, at offsets and past their end.

use guests_p1::{ROOT, at, digest, raw, show, show_data, tried};
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};

fn main() {
    for name in [
        "hello.txt",
        "empty",
        "big.bin",
        "a/b/c/deep.txt",
        "dir/sub/inner",
        "links/rel",
    ] {
        show_data(format_args!("read {name}"), fs::read(at(name)));
        let length = fs::metadata(at(name)).map(|meta| (meta.len(), meta.is_file()));
        show(format_args!("stat {name}"), length);
    }

    let mut file = File::open(at("hello.txt")).expect("it was read before");
    let mut two = [0; 2];
    file.read_exact(&mut two).expect("it has two bytes");
    assert_eq!(two, *b"he");
    show(
        "seek from the current place",
        file.seek(SeekFrom::Current(5)),
    );
    let mut rest = String::new();
    file.read_to_string(&mut rest).expect("it is text");
    println!("rest {rest:?}");
    show("seek from the end", file.seek(SeekFrom::End(-3)));
    show("seek before the start", file.seek(SeekFrom::Current(-1000)));
    show("seek past the end", file.seek(SeekFrom::Start(1 << 40)));
    show("read there", file.read(&mut two));

    let fd = raw::open_read(ROOT, "big.bin").expect("it was read before");
    for (length, offset) in [
        (10, 0),
        (10, 65_530),
        (100_000, 250_000),
        (1, u64::from(u32::MAX)),
        (0, 5),
    ] {
        let data = raw::pread(fd, length, offset).map(|data| digest(&data));
        show(format_args!("pread {length} at {offset}"), data);
    }
    // `pread` does not move the position.
    show(
        "read after pread",
        raw::read(fd, 4).map(|data| digest(&data)),
    );
    tried("write to a file opened for reading", raw::write(fd, b"no"));
    tried("close", raw::close(fd));
    tried("close again", raw::close(fd));

    for name in ["missing", "missing/x", "hello.txt/x", "dir"] {
        show_data(format_args!("read {name}"), fs::read(at(name)));
    }
}
