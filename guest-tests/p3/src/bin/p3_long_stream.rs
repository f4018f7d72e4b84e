//! Streams of 10 MiB, in pieces of every size and several at a time, transfer every byte correctly.

use guests_p3::{
    OpenFlags, StreamResult, both, digest, filled, open, open_write, root, say, sink, tried,
};

guests_p3::command!(run);

const LENGTH: usize = 10 << 20;

async fn run() {
    let root = root();
    let data = &filled(LENGTH);
    let file = &open_write(&root, "long-stream", OpenFlags::CREATE)
        .await
        .expect("it can be made");
    for step in [4096, 65_537, 3 << 20, LENGTH] {
        let (mut writer, ended) = sink(file, Some(0));
        for piece in data.chunks(step) {
            let left = writer.write_all(piece.to_vec()).await;
            assert!(left.is_empty(), "a file takes all");
        }
        drop(writer);
        tried(format_args!("write by {step}"), ended.await);
        let (mut stream, ended) = file.read_via_stream(0);
        let mut seen = Vec::new();
        let mut buffer = Vec::with_capacity(step);
        loop {
            let result;
            (result, buffer) = stream.read(buffer).await;
            seen.append(&mut buffer);
            if !matches!(result, StreamResult::Complete(_)) {
                break;
            }
        }
        tried(format_args!("read by {step}"), ended.await);
        assert!(seen == *data, "{} bytes", seen.len());
    }
    // From one stream into another at the same time.
    let copy = &open_write(&root, "copy", OpenFlags::CREATE)
        .await
        .expect("it can be made");
    let (stream, read) = file.read_via_stream(0);
    let written = copy.write_via_stream(stream, 0);
    let (read, written) = both(async { read.await }, async { written.await }).await;
    tried("read", read);
    tried("written", written);
    let (stream, _) = open(&root, "copy")
        .await
        .expect("it was made")
        .read_via_stream(0);
    let seen = stream.collect().await;
    assert!(seen == *data, "{} bytes", seen.len());
    say!("{}", digest(&seen));
}
