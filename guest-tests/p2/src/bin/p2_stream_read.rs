//! Input streams read from an offset to the end, several at a time, and across changes of the file.

use guests_p2::{
    InputStream, OpenFlags, StreamError, digest, filesystem_error_code, open, open_write, root,
    say, show, tried,
};

/// Reads the rest of a stream, in pieces of at most `length`.
fn drain(stream: &InputStream, length: u64) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        match stream.blocking_read(length) {
            Ok(data) => {
                assert!(data.len() as u64 <= length, "no more than was asked for");
                assert!(!data.is_empty(), "a blocking read waits for something");
                all.extend(data);
            }
            Err(StreamError::Closed) => return all,
            Err(StreamError::LastOperationFailed(error)) => panic!("{}", error.to_debug_string()),
        }
    }
}

fn run() {
    let root = root();
    for path in ["hello.txt", "empty", "big.bin", "a/b/c/deep.txt"] {
        let file = open(&root, path).expect("it can be opened");
        for (offset, length) in [
            (0, 4096),
            (0, 1 << 20),
            (5, 3),
            (300_000, 16),
            (1 << 40, 16),
        ] {
            if path == "big.bin" && length < 16 {
                continue;
            }
            let read = file
                .read_via_stream(offset)
                .map(|stream| digest(&drain(&stream, length)));
            show(format_args!("{path} from {offset} by {length}"), read);
        }
        let stream = file
            .read_via_stream(u64::MAX)
            .expect("a stream begins anywhere");
        say!(
            "from the very end: {}",
            match stream.blocking_read(16) {
                Ok(data) => format!("{data:?}"),
                Err(StreamError::Closed) => "closed".to_owned(),
                Err(StreamError::LastOperationFailed(_)) => "failed".to_owned(),
            }
        );
    }
    // Two streams at the same time, each with its own position; a skip moves it like a read.
    let file = open(&root, "big.bin").expect("it can be opened");
    let (one, two) = (
        file.read_via_stream(0).expect("it can be read"),
        file.read_via_stream(100).expect("it can be read"),
    );
    let first = one.blocking_read(50).expect("there is something");
    let second = two.blocking_read(50).expect("there is something");
    say!("one {} two {}", digest(&first), digest(&second));
    let skipped = one.blocking_skip(50).expect("there is something");
    say!("skipped {skipped}");
    let third = one
        .blocking_read(first.len() as u64)
        .expect("there is something");
    if first.len() == 50 && skipped == 50 {
        assert_eq!(
            third[..second.len().min(third.len())],
            second[..second.len().min(third.len())]
        );
    }
    // A stream outlives its descriptor and the file's name.
    let stream = open(&root, "dir/one")
        .and_then(|file| file.read_via_stream(0))
        .expect("it can be read");
    tried("unlink", root.unlink_file_at("dir/one"));
    say!("of an unlinked file: {}", digest(&drain(&stream, 64)));
    // A stream shows what another descriptor writes in the meantime.
    let stream = open(&root, "dir/two")
        .and_then(|file| file.read_via_stream(0))
        .expect("it can be read");
    let writer = open_write(&root, "dir/two", OpenFlags::empty()).expect("it can be written");
    show("write", writer.write(b"changed below it", 0));
    say!("after a copy-up: {}", digest(&drain(&stream, 64)));

    tried(
        "of a directory",
        open(&root, "dir")
            .and_then(|dir| dir.read_via_stream(0))
            .map(drop),
    );
    let write_only = root.open_at(
        guests_p2::PathFlags::empty(),
        "hello.txt",
        OpenFlags::empty(),
        guests_p2::DescriptorFlags::WRITE,
    );
    let write_only = write_only.expect("it can be opened");
    tried(
        "of one opened for writing",
        write_only.read_via_stream(0).map(drop),
    );
    // An empty read: the file refuses it too, either at this call or when the stream is made.
    for length in [0, 1] {
        let read = write_only.read_via_stream(0).and_then(|stream| {
            stream.blocking_read(length).map_err(|error| match error {
                StreamError::LastOperationFailed(error) => {
                    filesystem_error_code(&error).expect("the file has failed")
                }
                StreamError::Closed => panic!("nothing was read before"),
            })
        });
        show(format_args!("{length} of one opened for writing"), read);
    }
}

guests_p2::command!(run);
