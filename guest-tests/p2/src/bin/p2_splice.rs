//! `splice` copies one file's stream to another's, without copying the data into guest memory.

use guests_p2::{OpenFlags, StreamError, open, open_write, read_file, root, say, show_file, tried};

fn run() {
    let root = root();
    for (from, to) in [
        ("big.bin", "copy"),
        ("hello.txt", "dir/one"),
        ("empty", "dir/two"),
        ("a/b/c/deep.txt", "empty"),
    ] {
        let source = open(&root, from)
            .expect("it can be read")
            .read_via_stream(0)
            .expect("it can be read");
        let file = open_write(&root, to, OpenFlags::CREATE | OpenFlags::TRUNCATE)
            .expect("it can be written");
        let sink = file.write_via_stream(0).expect("it can be written");
        let mut total = 0;
        let end = loop {
            match sink.blocking_splice(&source, 100_000) {
                Ok(count) => total += count,
                Err(StreamError::Closed) => break "closed",
                Err(StreamError::LastOperationFailed(_)) => break "failed",
            }
        };
        say!("{from} to {to}: {total} bytes, then {end}");
        // The source is at its end; the sink accepts more, unless it was closed too.
        say!("sink after that: {}", sink.blocking_flush().is_ok());
        drop(sink);
        assert!(
            read_file(&root, to) == read_file(&root, from),
            "{to} is {from}"
        );
        show_file(&root, to);
    }
    tried("done", Ok(()));
}

guests_p2::command!(run);
