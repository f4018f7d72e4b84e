//! Output streams that end early: dropped before the first byte, halfway, and in the middle of a write.

use guests_p3::{
    OpenFlags, filled, open, open_write, poll_once, read_all, root, say, show, show_file, sink,
    tried,
};
use std::pin::pin;

guests_p3::command!(run);

async fn run() {
    let root = root();
    for path in ["hello.txt", "big.bin", "new"] {
        let file = open_write(&root, path, OpenFlags::CREATE)
            .await
            .expect("it can be opened");
        let (writer, ended) = sink(&file, Some(0));
        drop(writer);
        tried(format_args!("{path}, nothing written"), ended.await);
        show_file(&root, path).await;
        let (mut writer, ended) = sink(&file, Some(2));
        writer.write_all(b"half".to_vec()).await;
        drop(writer);
        tried("half-way", ended.await);
        show_file(&root, path).await;
        let (mut writer, ended) = sink(&file, None);
        drop(ended);
        let left = writer.write_all(b" without its future".to_vec()).await;
        show("left", Ok(left.len()));
        drop(writer);
        // A call that waits for the file, so that earlier data is in it.
        tried("sync", file.sync().await);
        show_file(&root, path).await;
    }
    // Cancelled in the middle of a write: the file holds the accepted data, and no more.
    let data = filled(3_000_000);
    let file = open_write(&root, "big.bin", OpenFlags::TRUNCATE)
        .await
        .expect("it can be opened");
    let (mut writer, ended) = sink(&file, Some(0));
    let mut accepted = 0;
    for _ in 0..20 {
        let piece = data[accepted..].to_vec();
        let length = piece.len();
        let mut write = pin!(writer.write(piece));
        let buffer = match poll_once(write.as_mut()).await {
            Some((_, buffer)) => buffer,
            None => write.cancel().1,
        };
        accepted += length - buffer.remaining();
    }
    drop(writer);
    tried("taken back", ended.await);
    let seen = read_all(&file).await.expect("it can be read");
    assert!(seen == data[..accepted], "{} of {accepted}", seen.len());
    // The host decides how much it accepted.
    tried("cut", file.set_size(0).await);
    // The descriptor is dropped before the stream.
    let file = open_write(&root, "dir/one", OpenFlags::empty())
        .await
        .expect("it can be opened");
    let (mut writer, ended) = sink(&file, Some(0));
    drop(file);
    let left = writer.write_all(b"on and on".to_vec()).await;
    show("left", Ok(left.len()));
    drop(writer);
    tried("without its descriptor", ended.await);
    show_file(&root, "dir/one").await;
    let file = open(&root, "dir/two").await.expect("it is there");
    let (mut writer, ended) = sink(&file, Some(0));
    let left = writer.write_all(b"refused".to_vec()).await;
    show("left", Ok(left.len()));
    tried("of one opened for reading", ended.await);
    say!("done");
}
