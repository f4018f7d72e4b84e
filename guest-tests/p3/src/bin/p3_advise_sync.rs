//! Advice and syncs on files and directories, before and after a copy-up.

use guests_p3::{Advice, OpenFlags, open, open_dir, open_write, root, show, tried};

async fn run() {
    let root = root();
    let advices = [
        Advice::Normal,
        Advice::Sequential,
        Advice::Random,
        Advice::WillNeed,
        Advice::DontNeed,
        Advice::NoReuse,
    ];
    for path in ["hello.txt", "big.bin", "empty"] {
        let file = open(&root, path).await.expect("it can be opened");
        for advice in advices {
            tried(
                format_args!("{path} {advice:?}"),
                file.advise(0, 100, advice).await,
            );
        }
        tried("to the end", file.advise(10, 0, Advice::WillNeed).await);
        tried(
            "past the end",
            file.advise(1 << 40, 1 << 40, Advice::WillNeed).await,
        );
        tried("sync", file.sync().await);
        tried("sync data", file.sync_data().await);
    }
    let file = open_write(&root, "hello.txt", OpenFlags::empty())
        .await
        .expect("it can be opened");
    show("write", file.write(b"synced", 0).await);
    tried("sync data", file.sync_data().await);
    tried("sync", file.sync().await);
    tried("advise", file.advise(0, 6, Advice::DontNeed).await);
    let file = open_write(&root, "new", OpenFlags::CREATE)
        .await
        .expect("it can be made");
    tried("sync a new one", file.sync().await);
    tried("unlink", root.unlink_file_at("new").await);
    tried("sync a dead one", file.sync().await);
    for path in [".", "dir", "emptydir"] {
        let dir = open_dir(&root, path).await.expect("it can be opened");
        tried(format_args!("sync {path}"), dir.sync().await);
        tried(format_args!("sync data of {path}"), dir.sync_data().await);
        tried(
            format_args!("advise {path}"),
            dir.advise(0, 1, Advice::Normal).await,
        );
    }
}

guests_p3::command!(run);
