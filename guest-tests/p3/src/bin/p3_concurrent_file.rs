//! Many concurrent calls on one file: none is lost, and none affects another.

use guests_p3::{
    OpenFlags, Result, all, append, both, digest, filled, open, open_write, read_all, read_at,
    root, say, show, show_file, sink, tried, write_at,
};

guests_p3::command!(run);

/// How many bytes each writer writes.
const PIECE: usize = 100_000;

async fn run() {
    let root = root();
    // Readers of an unchanged file, at different offsets.
    let file = open(&root, "big.bin").await.expect("it is there");
    let read = all((0..20).map(|at| read_at(&file, at * 15_000))).await;
    for (at, data) in read.iter().enumerate() {
        show(
            format_args!("from {}", at * 15_000),
            data.as_ref().map(|data| digest(data)).map_err(Clone::clone),
        );
    }
    // Concurrent writers that copy one file up, each at its own offset.
    for path in ["big.bin", "hello.txt", "new"] {
        let file = &open_write(&root, path, OpenFlags::CREATE)
            .await
            .expect("it can be opened");
        let write = async |at: usize| -> Result<usize> {
            let data = vec![u8::try_from(at).expect("few") + b'a'; PIECE];
            write_at(file, &data, (at * PIECE) as u64).await
        };
        for written in all((0..8).map(write)).await {
            show("written", written);
        }
        show_file(&root, path).await;
        // Appends are atomic, in some order.
        for appended in all((0..8).map(|_| append(file, b"0123456789"))).await {
            show("appended", appended);
        }
        let data = read_all(file).await.expect("it can be read");
        let (_, tail) = data.split_at(data.len() - 80);
        assert_eq!(tail, b"0123456789".repeat(8), "no append is torn");
    }
    // A writer and a reader in alternation.
    let file = &open_write(&root, "dir/one", OpenFlags::TRUNCATE)
        .await
        .expect("it can be opened");
    let data = &filled(50_000);
    let (mut writer, ended) = sink(file, Some(0));
    let write = async {
        for piece in data.chunks(1000) {
            let left = writer.write_all(piece.to_vec()).await;
            assert!(left.is_empty(), "a file takes all");
        }
        drop(writer);
    };
    let follow = async {
        let mut seen = Vec::new();
        while seen.len() < data.len() {
            let more = read_at(file, seen.len() as u64).await.expect("it is open");
            seen.extend(more);
        }
        seen
    };
    let ((), seen) = both(write, follow).await;
    assert_eq!(seen, *data, "what was written is what was read");
    tried("its end", ended.await);
    // Changes of size, concurrently with queries of the metadata hash.
    let (sizes, hashes) = both(
        all((0..10).map(|at| file.set_size(1000 - at))),
        all((0..10).map(|_| file.metadata_hash())),
    )
    .await;
    say!("{} sizes, {} hashes", sizes.len(), hashes.len());
    assert!(sizes.iter().all(Result::is_ok));
    let first = hashes[0].as_ref().expect("it is open");
    for hash in &hashes {
        let hash = hash.as_ref().expect("it is open");
        assert_eq!((hash.lower, hash.upper), (first.lower, first.upper));
    }
    // Each size was set, but the host decides which one last.
    let size = file.stat().await.expect("it is open").size;
    assert!((991..=1000).contains(&size), "{size}");
    tried("set size", file.set_size(1000).await);
}
