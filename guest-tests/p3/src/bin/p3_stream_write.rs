//! Output streams write and append in order and at the right offset, and all data is in the file once their
//! future is ready.

use guests_p3::{
    Descriptor, DescriptorFlags, OpenFlags, PathFlags, append, digest, open, open_write, read_all,
    root, show, show_file, sink, tried, write_at,
};

guests_p3::command!(run);

async fn size(file: &Descriptor) {
    show("size", file.stat().await.map(|stat| stat.size));
}

async fn run() {
    let root = root();
    for path in ["hello.txt", "dir/one", "big.bin", "new"] {
        let file = open_write(&root, path, OpenFlags::CREATE)
            .await
            .expect("it can be opened");
        let (mut writer, ended) = sink(&file, Some(3));
        for piece in ["first ", "second"] {
            let left = writer.write_all(piece.as_bytes().to_vec()).await;
            assert!(left.is_empty(), "a file takes all");
        }
        // Accepted data is in the file, although the stream is still open.
        show_file(&root, path).await;
        drop(writer);
        tried("its end", ended.await);
        show_file(&root, path).await;
        let long: Vec<u8> = (0..200_000_u32)
            .map(|at| at.to_le_bytes()[0] ^ 0x5a)
            .collect();
        show("long", write_at(&file, &long, 70_000).await);
        show_file(&root, path).await;
        size(&file).await;
        let (mut writer, ended) = sink(&file, None);
        for piece in ["at the end", ", and on"] {
            writer.write_all(piece.as_bytes().to_vec()).await;
        }
        show("by another", append(&file, b", by another").await);
        writer.write_all(b", and on again".to_vec()).await;
        drop(writer);
        tried("its end", ended.await);
        show_file(&root, path).await;
        size(&file).await;
        show("nothing", write_at(&file, b"", 5).await);
        show("nothing at the end", append(&file, b"").await);
        size(&file).await;
    }
    // Large offsets: one makes a hole, the others are out of range.
    let file = open_write(&root, "holes", OpenFlags::CREATE)
        .await
        .expect("it can be made");
    show("far out", write_at(&file, b"far", 1 << 20).await);
    size(&file).await;
    for offset in [i64::MAX as u64, 1 << 63, u64::MAX] {
        show(
            format_args!("at {offset}"),
            write_at(&file, b"xyz", offset).await,
        );
    }
    size(&file).await;

    let dir = open(&root, "dir").await.expect("it is there");
    tried("of a directory", write_at(&dir, b"x", 0).await);
    tried("append to a directory", append(&dir, b"x").await);
    let reader = open(&root, "dir/two").await.expect("it is there");
    tried(
        "of one opened for reading",
        write_at(&reader, b"x", 0).await,
    );
    tried("append to it", append(&reader, b"x").await);
    // The file is unlinked while the stream is open.
    let flags = DescriptorFlags::READ | DescriptorFlags::WRITE;
    let file = root
        .open_at(PathFlags::empty(), "dir/two", OpenFlags::empty(), flags)
        .await
        .expect("it can be opened");
    let (mut writer, ended) = sink(&file, Some(0));
    tried("unlink", root.unlink_file_at("dir/two").await);
    writer.write_all(b"to nobody".to_vec()).await;
    drop(writer);
    tried("its end", ended.await);
    show("read", read_all(&file).await.map(|data| digest(&data)));
    tried(
        "is it back?",
        root.stat_at(PathFlags::empty(), "dir/two")
            .await
            .map(|_| ()),
    );
}
