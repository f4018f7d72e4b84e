//! `filesystem-error-code` returns the code of a stream's error, if the error is one of the filesystem.

use guests_p2::{
    OpenFlags, StreamError, filesystem_error_code, open, open_write, root, say, tried,
};

fn run() {
    let root = root();
    // A write at the largest offset, where no filesystem can have a byte.
    let file = open_write(&root, "hello.txt", OpenFlags::empty()).expect("it can be opened");
    for offset in [i64::MAX as u64, u64::MAX] {
        let stream = file
            .write_via_stream(offset)
            .expect("a stream begins anywhere");
        match stream.blocking_write_and_flush(b"xyz") {
            Ok(()) => say!("write at {offset}: written"),
            Err(StreamError::Closed) => say!("write at {offset}: closed"),
            Err(StreamError::LastOperationFailed(error)) => {
                say!(
                    "write at {offset}: {:?}",
                    filesystem_error_code(&error).map(|code| code.name().to_owned())
                );
                let said = error.to_debug_string();
                assert!(
                    !said.contains("/tmp") && !said.contains("/work"),
                    "no path of the host: {said}"
                );
                // The stream is closed from here on.
                say!(
                    "again: {}",
                    matches!(
                        stream.blocking_write_and_flush(b"x"),
                        Err(StreamError::Closed)
                    )
                );
            }
        }
    }
    tried("size", file.stat().map(|stat| assert_eq!(stat.size, 14)));
    // The end of a stream is not an error.
    let stream = open(&root, "empty")
        .and_then(|file| file.read_via_stream(0))
        .expect("it can be read");
    say!(
        "an empty file: {}",
        matches!(stream.blocking_read(1), Err(StreamError::Closed))
    );
}

guests_p2::command!(run);
