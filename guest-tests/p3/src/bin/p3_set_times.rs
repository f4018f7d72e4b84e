//! Times are set to the requested values, and a call that requests no change changes nothing.

use guests_p3::system_clock::Instant;
use guests_p3::{
    Descriptor, NewTimestamp, OpenFlags, PathFlags, open, open_dir, open_write, root, say, show,
    tried,
};

fn at(seconds: i64, nanoseconds: u32) -> NewTimestamp {
    NewTimestamp::Timestamp(Instant {
        seconds,
        nanoseconds,
    })
}

async fn times(dir: &Descriptor, path: &str) -> (Option<(i64, u32)>, Option<(i64, u32)>) {
    let stat = dir
        .stat_at(PathFlags::empty(), path)
        .await
        .expect("it is there");
    let pair = |time: Option<Instant>| time.map(|time| (time.seconds, time.nanoseconds));
    (
        pair(stat.data_access_timestamp),
        pair(stat.data_modification_timestamp),
    )
}

async fn run() {
    let root = root();
    for path in [
        "hello.txt",
        "dir",
        "links/rel",
        "links/dangling",
        "emptydir",
        "a/b/c/deep.txt",
    ] {
        let set = |access, modification| {
            root.set_times_at(PathFlags::empty(), path, access, modification)
        };
        tried(
            format_args!("set both of {path}"),
            set(at(100, 1), at(200, 999_999_999)).await,
        );
        say!("{:?}", times(&root, path).await);
        tried("set one", set(NewTimestamp::NoChange, at(300, 0)).await);
        say!("{:?}", times(&root, path).await);
        tried(
            "set none",
            set(NewTimestamp::NoChange, NewTimestamp::NoChange).await,
        );
        say!("{:?}", times(&root, path).await);
        tried(
            "set to now",
            set(NewTimestamp::NoChange, NewTimestamp::Now).await,
        );
        assert!(
            times(&root, path).await.1 > Some((1_600_000_000, 0)),
            "{path}"
        );
        tried(
            "a second has no more",
            set(at(1, 1_000_000_000), at(1, u32::MAX)).await,
        );
    }
    tried(
        "through a link",
        root.set_times_at(PathFlags::SYMLINK_FOLLOW, "links/rel", at(5, 5), at(6, 6))
            .await,
    );
    say!("{:?}", times(&root, "hello.txt").await);
    for path in ["missing", "links/dangling", "links/self", "hello.txt/x", ""] {
        tried(
            format_args!("set {path:?}"),
            root.set_times_at(PathFlags::SYMLINK_FOLLOW, path, at(1, 1), at(1, 1))
                .await,
        );
    }
    // Times far from now, in both directions that WASI can express.
    for seconds in [0, 1 << 31, 1 << 33, -1, -1_000_000] {
        tried(
            format_args!("set to {seconds}"),
            root.set_times_at(
                PathFlags::empty(),
                "dir/one",
                at(seconds, 0),
                at(seconds, 0),
            )
            .await,
        );
        say!("{:?}", times(&root, "dir/one").await);
    }
    tried(
        "set past the end of time",
        root.set_times_at(
            PathFlags::empty(),
            "dir/two",
            at(i64::MAX, u32::MAX),
            at(i64::MAX, u32::MAX),
        )
        .await,
    );

    let file = open_write(&root, "dir/two", OpenFlags::empty())
        .await
        .expect("it can be opened");
    tried("set an open one", file.set_times(at(7, 7), at(8, 8)).await);
    say!("{:?}", times(&root, "dir/two").await);
    let reader = open(&root, "dir/three").await.expect("it can be opened");
    tried(
        "set one opened for reading",
        reader.set_times(at(7, 7), at(8, 8)).await,
    );
    say!("{:?}", times(&root, "dir/three").await);
    let dir = open_dir(&root, "dir/sub").await.expect("it is there");
    tried(
        "set an open directory",
        dir.set_times(at(7, 7), at(8, 8)).await,
    );
    say!("{:?}", times(&root, "dir/sub").await);
    show("write moves it", file.write(b"x", 0).await);
    assert_ne!(times(&root, "dir/two").await.1, Some((8, 8)));
}

guests_p3::command!(run);
