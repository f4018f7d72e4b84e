//! A stream of data that may not fit: the file holds the accepted bytes, the future reports why the stream
//! ended, and freed space can be used again.

use guests_p3::{
    OpenFlags, filled, open_write, read_all, root, say, show, sink, tried, write_file,
};

guests_p3::command!(run);

/// How many bytes the guest tries to write.
const LENGTH: usize = 4 << 20;

async fn run() {
    let root = root();
    let data = filled(LENGTH);
    for path in ["new", "hello.txt"] {
        let file = open_write(&root, path, OpenFlags::CREATE | OpenFlags::TRUNCATE)
            .await
            .expect("it can be opened");
        let (mut writer, ended) = sink(&file, Some(0));
        let mut accepted = 0;
        for piece in data.chunks(100_000) {
            let left = writer.write_all(piece.to_vec()).await;
            accepted += piece.len() - left.len();
            if !left.is_empty() {
                break;
            }
        }
        drop(writer);
        let ended = ended.await;
        assert_eq!(ended.is_ok(), accepted == LENGTH, "{accepted} accepted");
        tried(format_args!("write {path}"), ended);
        let seen = read_all(&file).await.expect("it can be read");
        assert!(seen == data[..accepted], "{} of {accepted}", seen.len());
        tried("cut", file.set_size(0).await);
        tried("write a little", write_file(&root, path, b"a little").await);
        show("read", read_all(&file).await.map(|data| data.len()));
    }
    say!("done");
}
