//! Reads that the guest cancels: no data is lost, and the stream continues.

use guests_p3::{
    OpenFlags, StreamResult, digest, open, open_write, poll_once, read_all, root, say, show, tried,
    write_at,
};
use std::pin::pin;

guests_p3::command!(run);

async fn run() {
    let root = root();
    let file = open(&root, "big.bin").await.expect("it is there");
    let whole = read_all(&file).await.expect("it can be read");
    // Each read is cancelled immediately, but may have been made before.
    let (mut stream, ended) = file.read_via_stream(0);
    let mut seen = Vec::new();
    for _ in 0..200 {
        let mut read = pin!(stream.read(Vec::with_capacity(500)));
        let data = match poll_once(read.as_mut()).await {
            Some((_, data)) => data,
            None => read.cancel().1,
        };
        seen.extend(data);
    }
    assert_eq!(
        seen,
        whole[..seen.len()],
        "no byte is skipped or comes twice"
    );
    seen.extend(stream.collect().await);
    assert!(seen == whole, "what is left comes afterwards");
    tried("its end", ended.await);
    // A read and its stream are dropped.
    for _ in 0..50 {
        let (mut stream, ended) = file.read_via_stream(1000);
        {
            let mut read = pin!(stream.read(Vec::with_capacity(100_000)));
            let _started = poll_once(read.as_mut()).await;
        }
        drop(stream);
        ended.await.expect("no error");
    }
    say!("dropped fifty");
    // The read of a listing is cancelled.
    let many = open(&root, "many").await.expect("it is there");
    let (mut stream, ended) = many.read_directory();
    let mut count = 0;
    loop {
        let mut read = pin!(stream.read(Vec::with_capacity(7)));
        let (result, entries) = match poll_once(read.as_mut()).await {
            Some(read) => read,
            None => read.cancel(),
        };
        count += entries.len();
        if result == StreamResult::Dropped {
            break;
        }
    }
    show("entries", ended.await.map(|()| count));
    // A read after a write returns the written data, whatever was cancelled before.
    let writer = open_write(&root, "hello.txt", OpenFlags::empty())
        .await
        .expect("it can be opened");
    let reader = open(&root, "hello.txt").await.expect("it is there");
    for round in 0..20 {
        let (mut stream, _) = reader.read_via_stream(0);
        {
            let mut read = pin!(stream.read(Vec::with_capacity(1)));
            let (_, first) = match poll_once(read.as_mut()).await {
                Some(read) => read,
                None => read.cancel(),
            };
            if !first.is_empty() {
                continue;
            }
        }
        let text = format!("{round:05}");
        write_at(&writer, text.as_bytes(), 0)
            .await
            .expect("there is room");
        let (_, data) = stream.read(Vec::with_capacity(5)).await;
        assert_eq!(data, text.as_bytes(), "nothing was read ahead");
    }
    write_at(&writer, b"done.", 0).await.expect("there is room");
    // Other calls are cancelled.
    for _ in 0..50 {
        let mut stat = pin!(reader.stat());
        let _started = poll_once(stat.as_mut()).await;
    }
    say!("{}", digest(&whole));
}
