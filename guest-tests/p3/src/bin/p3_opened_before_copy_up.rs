//! A file that was opened for reading before its copy-up shows what is written afterwards, by each way to
//! read.

use guests_p3::{OpenFlags, PathFlags, digest, open, open_write, read_all, root, say, show, tried};

async fn run() {
    let root = root();
    for path in ["hello.txt", "dir/sub/inner", "big.bin"] {
        let early = open(&root, path).await.expect("it can be opened");
        let (mut stream, ended) = early.read_via_stream(0);
        let writer = open_write(&root, path, OpenFlags::empty())
            .await
            .expect("it can be opened");
        show("write", writer.write(b"NEW", 0).await);
        show(
            "read",
            early.read(8, 0).await.map(|(data, _)| digest(&data)),
        );
        let (_, data) = stream.read(Vec::with_capacity(3)).await;
        say!("stream {:?}", digest(&data));
        tried("cut", writer.set_size(2).await);
        show("read", read_all(&early).await.map(|data| digest(&data)));
        show("size", early.stat().await.map(|stat| stat.size));
        let (_, data) = stream.read(Vec::with_capacity(3)).await;
        say!("stream {:?}", digest(&data));
        tried("its end", ended.await);
        tried("rename", root.rename_at(path, &root, "elsewhere").await);
        show("write", writer.write(b"after", 0).await);
        show("read", read_all(&early).await.map(|data| digest(&data)));
        tried("unlink", root.unlink_file_at("elsewhere").await);
        show("write", writer.write(b"AFTER", 0).await);
        show("read", read_all(&early).await.map(|data| digest(&data)));
        tried(
            "by name",
            root.stat_at(PathFlags::empty(), path).await.map(|_| ()),
        );
    }
}

guests_p3::command!(run);
