//! Output streams write and append in order and at the right offset, and all data is in the file after a
//! flush.

use guests_p2::{
    Descriptor, DescriptorFlags, OpenFlags, OutputStream, PathFlags, StreamError, open, open_write,
    root, say, show, show_file, tried,
};

/// Writes all of the data, as much at a time as the stream accepts, and flushes.
fn write(stream: &OutputStream, mut data: &[u8]) {
    while !data.is_empty() {
        let permitted =
            usize::try_from(stream.check_write().expect("the stream is open")).expect("it fits");
        if permitted == 0 {
            stream.subscribe().block();
            continue;
        }
        let count = permitted.min(data.len());
        stream.write(&data[..count]).expect("so much is permitted");
        data = &data[count..];
    }
    stream.blocking_flush().expect("it can be flushed");
}

fn size(file: &Descriptor) {
    show("size", file.stat().map(|stat| stat.size));
}

fn open_new(root: &Descriptor) -> guests_p2::Result<Descriptor> {
    open_write(root, "new", OpenFlags::empty())
}

/// Ways to write nothing, each up to the call that would report an error.
type EmptyWrite = fn(&OutputStream) -> Result<(), StreamError>;
const EMPTY_WRITES: [(&str, EmptyWrite); 4] = [
    ("write and wait", |stream| {
        stream.blocking_write_and_flush(b"")
    }),
    ("write and flush", |stream| {
        stream.check_write()?;
        stream.write(b"")?;
        stream.blocking_flush()
    }),
    ("write zeroes and wait", |stream| {
        stream.blocking_write_zeroes_and_flush(0)
    }),
    ("write zeroes and flush", |stream| {
        stream.check_write()?;
        stream.write_zeroes(0)?;
        stream.blocking_flush()
    }),
];

/// Prints the result of a write, whether making the stream failed or the write.
fn outcome(
    what: impl std::fmt::Display,
    stream: guests_p2::Result<OutputStream>,
    write: EmptyWrite,
) {
    let written = stream.and_then(|stream| match write(&stream) {
        Ok(()) => Ok("written"),
        Err(StreamError::Closed) => Ok("closed"),
        Err(StreamError::LastOperationFailed(error)) => {
            Err(guests_p2::filesystem_error_code(&error).expect("the file has failed"))
        }
    });
    show(what, written);
}

fn run() {
    let root = root();
    for path in ["hello.txt", "dir/one", "big.bin", "new"] {
        let file = open_write(&root, path, OpenFlags::CREATE).expect("it can be opened");
        let stream = file.write_via_stream(3).expect("it can be written");
        write(&stream, b"first ");
        write(&stream, b"second");
        show_file(&root, path);
        drop(stream);
        let long: Vec<u8> = (0..200_000_u32)
            .map(|at| at.to_le_bytes()[0] ^ 0x5a)
            .collect();
        let stream = file.write_via_stream(70_000).expect("it can be written");
        write(&stream, &long);
        drop(stream);
        show_file(&root, path);
        size(&file);
        let stream = file.append_via_stream().expect("it can be appended to");
        write(&stream, b"at the end");
        write(&stream, b", and on");
        drop(stream);
        let stream = file.append_via_stream().expect("it can be appended to");
        write(&stream, b", by another");
        drop(stream);
        show_file(&root, path);
        size(&file);
        let stream = file.write_via_stream(1).expect("it can be written");
        stream
            .blocking_write_and_flush(b"small")
            .expect("it can be written");
        stream
            .blocking_write_zeroes_and_flush(7)
            .expect("it can be written");
        drop(stream);
        show_file(&root, path);
    }
    // Large offsets: one makes a hole, the other is out of range.
    let file = open_write(&root, "holes", OpenFlags::CREATE).expect("it can be made");
    write(
        &file.write_via_stream(1 << 20).expect("it can be written"),
        b"far",
    );
    size(&file);
    say!(
        "at the end of all: {}",
        match file.write_via_stream(u64::MAX) {
            Ok(stream) => match stream.blocking_write_and_flush(b"x") {
                Ok(()) => "written".to_owned(),
                Err(StreamError::Closed) => "closed".to_owned(),
                Err(StreamError::LastOperationFailed(error)) =>
                    format!("failed, {:?}", guests_p2::filesystem_error_code(&error)),
            },
            Err(code) => code.name().to_owned(),
        }
    );
    size(&file);

    tried(
        "of a directory",
        open(&root, "dir")
            .and_then(|dir| dir.write_via_stream(0))
            .map(drop),
    );
    tried(
        "append to a directory",
        open(&root, "dir")
            .and_then(|dir| dir.append_via_stream())
            .map(drop),
    );
    tried(
        "of one opened for reading",
        open(&root, "dir/two")
            .and_then(|file| file.write_via_stream(0))
            .map(drop),
    );
    tried(
        "append to one opened for reading",
        open(&root, "dir/two")
            .and_then(|file| file.append_via_stream())
            .map(drop),
    );
    // An empty write, by each call that writes: the file refuses it too.
    for (path, file) in [
        ("dir/two", open(&root, "dir/two")),
        ("new", open_new(&root)),
    ] {
        let file = file.expect("it can be opened");
        for (how, write) in EMPTY_WRITES {
            let at = file.write_via_stream(0);
            outcome(format_args!("{how} into {path}"), at, write);
            let append = file.append_via_stream();
            outcome(format_args!("{how}, appended to {path}"), append, write);
        }
    }
    size(&open(&root, "new").expect("it is there"));
    // The file is unlinked while the stream is open.
    let file = root
        .open_at(
            PathFlags::empty(),
            "dir/two",
            OpenFlags::empty(),
            DescriptorFlags::READ | DescriptorFlags::WRITE,
        )
        .expect("it can be opened");
    let stream = file.write_via_stream(0).expect("it can be written");
    tried("unlink", root.unlink_file_at("dir/two"));
    write(&stream, b"to nobody");
    drop(stream);
    show(
        "read",
        guests_p2::read_all(&file).map(|data| guests_p2::digest(&data)),
    );
    tried(
        "is it back?",
        root.stat_at(PathFlags::empty(), "dir/two").map(|_| ()),
    );
}

guests_p2::command!(run);
