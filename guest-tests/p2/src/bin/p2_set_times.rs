//! Times are set to the requested values, and a call that requests no change changes nothing.

use guests_p2::wall_clock::Datetime;
use guests_p2::{
    Descriptor, NewTimestamp, OpenFlags, PathFlags, open, open_dir, open_write, root, say, show,
    tried,
};

fn at(seconds: u64, nanoseconds: u32) -> NewTimestamp {
    NewTimestamp::Timestamp(Datetime {
        seconds,
        nanoseconds,
    })
}

fn times(dir: &Descriptor, path: &str) -> (Option<(u64, u32)>, Option<(u64, u32)>) {
    let stat = dir.stat_at(PathFlags::empty(), path).expect("it is there");
    let pair = |time: Option<Datetime>| time.map(|time| (time.seconds, time.nanoseconds));
    (
        pair(stat.data_access_timestamp),
        pair(stat.data_modification_timestamp),
    )
}

fn run() {
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
            set(at(100, 1), at(200, 999_999_999)),
        );
        say!("{:?}", times(&root, path));
        tried("set one", set(NewTimestamp::NoChange, at(300, 0)));
        say!("{:?}", times(&root, path));
        tried(
            "set none",
            set(NewTimestamp::NoChange, NewTimestamp::NoChange),
        );
        say!("{:?}", times(&root, path));
        tried("set to now", set(NewTimestamp::NoChange, NewTimestamp::Now));
        assert!(times(&root, path).1 > Some((1_600_000_000, 0)), "{path}");
        tried(
            "a second has no more",
            set(at(1, 1_000_000_000), at(1, u32::MAX)),
        );
    }
    tried(
        "through a link",
        root.set_times_at(PathFlags::SYMLINK_FOLLOW, "links/rel", at(5, 5), at(6, 6)),
    );
    say!("{:?}", times(&root, "hello.txt"));
    for path in ["missing", "links/dangling", "links/self", "hello.txt/x", ""] {
        tried(
            format_args!("set {path:?}"),
            root.set_times_at(PathFlags::SYMLINK_FOLLOW, path, at(1, 1), at(1, 1)),
        );
    }
    // Times far from now, in both directions that WASI can express.
    for seconds in [0, 1 << 31, 1 << 33] {
        tried(
            format_args!("set to {seconds}"),
            root.set_times_at(
                PathFlags::empty(),
                "dir/one",
                at(seconds, 0),
                at(seconds, 0),
            ),
        );
        say!("{:?}", times(&root, "dir/one"));
    }
    tried(
        "set past the end of time",
        root.set_times_at(
            PathFlags::empty(),
            "dir/two",
            at(u64::MAX, 0),
            at(u64::MAX, 0),
        ),
    );

    let file = open_write(&root, "dir/two", OpenFlags::empty()).expect("it can be opened");
    tried("set an open one", file.set_times(at(7, 7), at(8, 8)));
    say!("{:?}", times(&root, "dir/two"));
    let reader = open(&root, "dir/three").expect("it can be opened");
    tried(
        "set one opened for reading",
        reader.set_times(at(7, 7), at(8, 8)),
    );
    say!("{:?}", times(&root, "dir/three"));
    tried(
        "set an open directory",
        open_dir(&root, "dir/sub").and_then(|dir| dir.set_times(at(7, 7), at(8, 8))),
    );
    say!("{:?}", times(&root, "dir/sub"));
    show("write moves it", file.write(b"x", 0));
    assert_ne!(times(&root, "dir/two").1, Some((8, 8)));
}

guests_p2::command!(run);
