//! Checks of every method that reads a layer.

use super::fixture::{Entry, fixture, walk};
use super::kit::{Seen, fails, listing, name, ok, read_all, root, seen};
use crate::error::Errno;
use crate::layer::{Advice, Found, Layer, Listed, ReadAt};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

/// Reads a layer that holds [`fixture`] and nothing else.
///
/// # Panics
/// If the layer violates the contract.
pub fn reads<L: Layer>(layer: &L) {
    entries(layer);
    listings(layer);
    entering(layer);
    wrong_kinds(layer);
    absence(layer);
    offsets(layer);
    identities(layer);
}

fn entries<L: Layer>(layer: &L) {
    for entry in fixture() {
        let (above, last) = entry.split();
        let expected = match &entry {
            Entry::Dir(_) => Seen::Dir { opaque: false },
            Entry::OpaqueDir(_) => Seen::Dir { opaque: true },
            Entry::File(_, data) => Seen::File(data.clone()),
            Entry::Symlink(_, target) => Seen::Symlink(target.clone()),
            Entry::Whiteout(_) => Seen::Hidden,
        };
        let found = seen(layer, &walk(layer, above), name(last));
        assert!(
            found == expected,
            "{} reads differently",
            last.escape_ascii()
        );
    }
}

fn listings<L: Layer>(layer: &L) {
    let mut expected: BTreeMap<Vec<u8>, BTreeSet<Vec<u8>>> = BTreeMap::new();
    for entry in fixture() {
        let (above, last) = entry.split();
        expected
            .entry(above.into())
            .or_default()
            .insert(last.into());
        if let Entry::Dir(path) | Entry::OpaqueDir(path) = &entry {
            expected.entry(path.clone()).or_default();
        }
    }
    for (path, names) in expected {
        let dir = walk(layer, &path);
        let listed: BTreeSet<_> = listing(layer, &dir).into_keys().collect();
        assert_eq!(listed, names, "{} lists differently", path.escape_ascii());

        let mut calls = 0;
        let stopped = layer.list(&dir, &mut |_, _| {
            calls += 1;
            ControlFlow::Break(())
        });
        ok("list", stopped);
        assert!(calls <= 1, "a listing continued after a break");

        // A caller may call the layer from inside a listing.
        let nested = layer.list(&dir, &mut |name, listed| {
            let found = ok("find inside a listing", layer.find(&dir, name));
            assert_eq!(listed == Listed::Hidden, found == Found::Hidden);
            ControlFlow::Continue(())
        });
        ok("list", nested);
    }
}

/// `enter` returns what `find` and `open_dir` return.
fn entering<L: Layer>(layer: &L) {
    for entry in fixture() {
        let opaque = match &entry {
            Entry::Dir(_) => false,
            Entry::OpaqueDir(_) => true,
            Entry::File(..) | Entry::Symlink(..) | Entry::Whiteout(_) => continue,
        };
        let (above, last) = entry.split();
        let above = walk(layer, above);
        let opened = ok("open_dir", layer.open_dir(&above, name(last)));
        let before = ok("is_opaque", layer.is_opaque(&opened));
        let names = listing(layer, &opened);
        for actual in [before, ok("is_opaque", layer.is_opaque(&opened))] {
            assert_eq!(actual, opaque, "{} by its handle", last.escape_ascii());
        }
        for listed_first in [false, true] {
            let Some(entered) = ok("enter", layer.enter(&above, name(last))) else {
                break;
            };
            let expected = ok("dir_meta", layer.dir_meta(&opened));
            assert_eq!(entered.meta, expected, "enter returns another directory");
            if listed_first {
                assert_eq!(listing(layer, &entered.dir), names);
            }
            let actual = ok("is_opaque", layer.is_opaque(&entered.dir));
            assert!(
                (entered.opaque || actual) == opaque,
                "enter and find disagree whether {} is opaque",
                last.escape_ascii()
            );
            assert_eq!(listing(layer, &entered.dir), names);
        }
    }
    let dir = root(layer);
    let others = [
        ("no such name", Errno::NoEntry),
        ("file", Errno::NotDirectory),
    ];
    for (other, errno) in others.into_iter().chain([("link", Errno::NotDirectory)]) {
        match layer.enter(&dir, name(other)) {
            Ok(None) => {}
            entered => fails("enter of no directory", entered, errno),
        }
    }
}

fn wrong_kinds<L: Layer>(layer: &L) {
    let dir = root(layer);
    for not_a_dir in ["file", "link", "dangling"] {
        let opened = layer.open_dir(&dir, name(not_a_dir));
        fails("open_dir of something else", opened, Errno::NotDirectory);
    }
    let opened = layer.open_file(&dir, name("dir"));
    fails("open_file of a directory", opened, Errno::IsDirectory);
    for link in ["link", "dangling", "absolute"] {
        let opened = layer.open_file(&dir, name(link));
        fails("open_file of a link", opened, Errno::Loop);
    }
    for not_a_link in ["file", "dir"] {
        let read = layer.read_link(&dir, name(not_a_link));
        fails("read_link of something else", read, Errno::Invalid);
    }
}

fn absence<L: Layer>(layer: &L) {
    let dir = root(layer);
    for absent in ["no such name", "File", "file ", "fil"] {
        let absent = name(absent);
        assert_eq!(seen(layer, &dir, absent), Seen::Absent);
        fails(
            "open_file of nothing",
            layer.open_file(&dir, absent),
            Errno::NoEntry,
        );
        fails(
            "read_link of nothing",
            layer.read_link(&dir, absent),
            Errno::NoEntry,
        );
    }
    // A whiteout hides its name in its own directory only.
    let bare = walk(layer, b"bare");
    assert_eq!(seen(layer, &bare, name("gone")), Seen::Absent);
}

fn offsets<L: Layer>(layer: &L) {
    let file = ok("open_file", layer.open_file(&root(layer), name("large")));
    let data = super::kit::pattern(1, 300_001);
    for (from, length) in [
        (0, 1),
        (1, 70_000),
        (65_535, 2),
        (65_536, 65_536),
        (299_990, 11),
    ] {
        let mut buffer = vec![0xa5; length];
        let mut done = 0;
        while done < length {
            let offset = (from + done) as u64;
            let count = ok("read_at", file.read_at(&mut buffer[done..], offset));
            assert!(count > 0, "read_at returned 0 before the end");
            done += count;
        }
        assert!(
            buffer == data[from..from + length],
            "read_at({from}) returned other bytes"
        );
    }
    for past in [300_001, 300_002, 1 << 40, i64::MAX as u64, u64::MAX] {
        let count = ok("read_at past the end", file.read_at(&mut [0; 8], past));
        assert_eq!(count, 0, "there are bytes at {past}, past the end");
        let stretch = ok("next_data past the end", file.next_data(past));
        assert_eq!(stretch, None, "there is data at {past}, past the end");
    }
    assert_eq!(ok("read_at into nothing", file.read_at(&mut [], 0)), 0);
    for (length, offset) in [
        (0, 0),
        (1, 0),
        (70_000, 1),
        (20, 299_990),
        (8, 300_001),
        (8, i64::MAX as u64),
        (8, u64::MAX),
    ] {
        let mut buffer = vec![0xa5; length];
        let count = ok("read_at", file.read_at(&mut buffer, offset));
        let bytes = ok("read_vec_at", file.read_vec_at(length, offset));
        // Either may be short.
        let both = count.min(bytes.len());
        assert_eq!(count == 0, bytes.is_empty(), "{length} bytes at {offset}");
        assert!(
            bytes.len() <= length,
            "read_vec_at returned more than was requested"
        );
        assert!(
            bytes[..both] == buffer[..both],
            "{length} bytes at {offset}"
        );
    }
    for advice in [Advice::Normal, Advice::Sequential, Advice::DontNeed] {
        ok("advise", file.advise(0, 1000, advice));
    }

    let empty = ok("open_file", layer.open_file(&root(layer), name("empty")));
    assert!(read_all(&empty).is_empty());
    assert_eq!(ok("next_data", empty.next_data(0)), None);
}

fn identities<L: Layer>(layer: &L) {
    let mut known = BTreeMap::new();
    let own = ok("dir_meta", layer.dir_meta(&root(layer)));
    known.insert((own.device, own.inode), b"(the root)".to_vec());
    for entry in fixture() {
        let (above, last) = entry.split();
        let dir = walk(layer, above);
        if let Found::Here { meta, .. } = ok("find", layer.find(&dir, name(last))) {
            let other = known.insert((meta.device, meta.inode), entry.path().to_vec());
            assert_eq!(other, None, "{last:?} has the inode of another file");
        }
    }
}
