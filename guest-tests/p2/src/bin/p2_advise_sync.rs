//! Advice and syncs on files and directories, before and after a copy-up.

use guests_p2::{Advice, OpenFlags, open, open_dir, open_write, root, show, tried};

fn run() {
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
        let file = open(&root, path).expect("it can be opened");
        for advice in advices {
            tried(
                format_args!("{path} {advice:?}"),
                file.advise(0, 100, advice),
            );
        }
        tried("to the end", file.advise(10, 0, Advice::WillNeed));
        tried(
            "past the end",
            file.advise(1 << 40, 1 << 40, Advice::WillNeed),
        );
        tried("sync", file.sync());
        tried("sync data", file.sync_data());
    }
    let file = open_write(&root, "hello.txt", OpenFlags::empty()).expect("it can be opened");
    show("write", file.write(b"synced", 0));
    tried("sync data", file.sync_data());
    tried("sync", file.sync());
    tried("advise", file.advise(0, 6, Advice::DontNeed));
    let file = open_write(&root, "new", OpenFlags::CREATE).expect("it can be made");
    tried("sync a new one", file.sync());
    tried("unlink", root.unlink_file_at("new"));
    tried("sync a dead one", file.sync());
    for path in [".", "dir", "emptydir"] {
        let dir = open_dir(&root, path).expect("it can be opened");
        tried(format_args!("sync {path}"), dir.sync());
        tried(format_args!("sync data of {path}"), dir.sync_data());
        tried(
            format_args!("advise {path}"),
            dir.advise(0, 1, Advice::Normal),
        );
    }
}

guests_p2::command!(run);
