//! Input streams read from an offset to the end, several at a time, and across changes of the file.

use guests_p3::{
    DescriptorFlags, OpenFlags, PathFlags, Result, StreamReader, StreamResult, both, digest, open,
    open_write, read_at, root, say, show, tried,
};

guests_p3::command!(run);

/// Reads the rest of a stream, in pieces of at most `length`.
async fn drain(mut stream: StreamReader<u8>, length: usize) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let (result, data) = stream.read(Vec::with_capacity(length)).await;
        assert!(data.len() <= length, "no more than was asked for");
        all.extend(data);
        match result {
            StreamResult::Complete(count) => assert!(count > 0, "a read waits for something"),
            _ => return all,
        }
    }
}

async fn run() {
    let root = root();
    for path in ["hello.txt", "empty", "big.bin", "a/b/c/deep.txt"] {
        let file = open(&root, path).await.expect("it can be opened");
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
            let (stream, ended) = file.read_via_stream(offset);
            let data = drain(stream, length).await;
            let read: Result<_> = ended.await.map(|()| digest(&data));
            show(format_args!("{path} from {offset} by {length}"), read);
        }
        tried("from the very end", read_at(&file, u64::MAX).await);
    }
    // Two streams at the same time, each with its own position.
    let file = open(&root, "big.bin").await.expect("it can be opened");
    let ((mut one, _), (mut two, _)) = (file.read_via_stream(0), file.read_via_stream(100));
    let (first, second) = both(
        one.read(Vec::with_capacity(200)),
        two.read(Vec::with_capacity(100)),
    )
    .await;
    say!("one {} two {}", digest(&first.1), digest(&second.1));
    // A stream outlives its descriptor and the file's name.
    let (stream, ended) = open(&root, "dir/one")
        .await
        .expect("it can be opened")
        .read_via_stream(0);
    tried("unlink", root.unlink_file_at("dir/one").await);
    say!("of an unlinked file: {}", digest(&drain(stream, 64).await));
    tried("its end", ended.await);
    // A stream shows what another descriptor writes in the meantime.
    let (mut stream, ended) = open(&root, "dir/two")
        .await
        .expect("it can be opened")
        .read_via_stream(0);
    let (_, data) = stream.read(Vec::with_capacity(2)).await;
    let writer = open_write(&root, "dir/two", OpenFlags::empty())
        .await
        .expect("it can be written");
    show("write", writer.write(b"changed below it", 0).await);
    let rest = drain(stream, 64).await;
    say!(
        "before {}, after a copy-up {}",
        digest(&data),
        digest(&rest)
    );
    tried("its end", ended.await);

    let dir = open(&root, "dir").await.expect("it is there");
    tried("of a directory", read_at(&dir, 0).await);
    let write_only = root
        .open_at(
            PathFlags::empty(),
            "hello.txt",
            OpenFlags::empty(),
            DescriptorFlags::WRITE,
        )
        .await
        .expect("it can be opened");
    tried("of one opened for writing", read_at(&write_only, 0).await);
    // A future that is never awaited, and a stream that is never read.
    let (stream, ended) = file.read_via_stream(0);
    drop(ended);
    say!("without its future: {}", drain(stream, 1 << 20).await.len());
    let (stream, ended) = file.read_via_stream(0);
    drop(stream);
    tried("without its stream", ended.await);
}
