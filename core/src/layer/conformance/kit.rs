//! Helpers that the parts of the suite share.

use crate::error::{Errno, Result};
use crate::layer::{
    At, Durability, Found, Layer, Leave, Listed, New, Over, ReadAt, Upper, WriteAt,
};
use crate::meta::{Kind, Meta, SetTime, SetTimes, Timestamp};
use crate::name::Name;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::{ControlFlow, Deref};

/// A mounted upper, unmounted on drop.
pub(super) struct Mounted<U: Upper>(U);

impl<U: Upper> Mounted<U> {
    #[track_caller]
    pub(super) fn new(make: &dyn Fn() -> U) -> Self {
        Self::of(make())
    }

    #[track_caller]
    pub(super) fn of(upper: U) -> Self {
        ok("mount", upper.mount(Durability::Durable));
        Self(upper)
    }
}

impl<U: Upper> Deref for Mounted<U> {
    type Target = U;

    fn deref(&self) -> &U {
        &self.0
    }
}

impl<U: Upper> Drop for Mounted<U> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            ok("unmount", self.0.unmount());
        }
    }
}

/// A time long ago, so that any update of a time shows without waiting.
pub(super) const LONG_AGO: Timestamp = Timestamp {
    seconds: 1_000_000_000,
    nanoseconds: 123_456_000,
};

/// Another time, later.
pub(super) const LATER: Timestamp = Timestamp {
    seconds: 1_100_000_000,
    nanoseconds: 500_000_000,
};

pub(super) fn both(time: Timestamp) -> SetTimes {
    SetTimes {
        accessed: SetTime::To(time),
        modified: SetTime::To(time),
    }
}

#[track_caller]
pub(super) fn ok<T>(what: &str, result: Result<T>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{what} failed: {error}"),
    }
}

#[track_caller]
pub(super) fn fails<T>(what: &str, result: Result<T>, expected: Errno) {
    match result {
        Ok(_) => panic!("{what} succeeded; it must fail with {expected}"),
        Err(error) => assert_eq!(
            error.errno(),
            expected,
            "{what} failed differently: {error}"
        ),
    }
}

#[track_caller]
pub(super) fn name(bytes: &(impl AsRef<[u8]> + ?Sized)) -> Name<'_> {
    ok("a name", Name::new(bytes.as_ref()))
}

#[track_caller]
pub(super) fn at<'a, D>(dir: &'a D, bytes: &'a (impl AsRef<[u8]> + ?Sized)) -> At<'a, D> {
    At::new(dir, name(bytes))
}

#[track_caller]
pub(super) fn root<L: Layer>(layer: &L) -> L::Dir {
    ok("root", layer.root())
}

#[track_caller]
pub(super) fn make_dir<U: Upper>(upper: &U, at: At<'_, U::Dir>) -> U::Dir {
    let new = New::Dir { opaque: false };
    let none = ok("create a directory", upper.create(new, at, Over::Nothing));
    assert!(none.is_none(), "a new directory came with an open file");
    ok("open the new directory", upper.open_dir(at.dir, at.name))
}

#[track_caller]
pub(super) fn make_file<U: Upper>(upper: &U, at: At<'_, U::Dir>, data: &[u8]) -> U::Writable {
    let file = ok("create a file", upper.create(New::File, at, Over::Nothing));
    let Some(file) = file else {
        panic!("a new file came without an open file");
    };
    write_all(&file, data, 0);
    file
}

#[track_caller]
pub(super) fn write_all(file: &dyn WriteAt, mut data: &[u8], mut offset: u64) {
    while !data.is_empty() {
        let done = ok("write_at", file.write_at(data, offset));
        assert!(
            (1..=data.len()).contains(&done),
            "write_at of {} bytes returned {done}",
            data.len()
        );
        data = &data[done..];
        offset += done as u64;
    }
}

/// Reads all bytes, in steps of odd sizes.
#[track_caller]
pub(super) fn read_all(file: &dyn ReadAt) -> Vec<u8> {
    let mut data = Vec::new();
    let mut buffer = [0xa5; 1013];
    loop {
        let done = ok("read_at", file.read_at(&mut buffer, data.len() as u64));
        assert!(
            done <= buffer.len(),
            "read_at returned more than the length of the buffer"
        );
        if done == 0 {
            return data;
        }
        data.extend_from_slice(&buffer[..done]);
    }
}

/// What a layer has at a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Absent,
    Hidden,
    File(Vec<u8>),
    Dir { opaque: bool },
    Symlink(Vec<u8>),
    Other(Kind),
}

/// What the layer has at `name`, by every method that tells, all of which must agree.
#[track_caller]
pub(super) fn seen<L: Layer>(layer: &L, dir: &L::Dir, name: Name<'_>) -> Seen {
    let found = ok("find", layer.find(dir, name));
    let listed = listing(layer, dir).remove(name.as_bytes());
    let (meta, opaque) = match found {
        Found::Absent => {
            assert_eq!(listed, None, "{name} is not found, but listed");
            fails(
                "open_dir of nothing",
                layer.open_dir(dir, name),
                Errno::NoEntry,
            );
            return Seen::Absent;
        }
        Found::Hidden => {
            let expected = Some(Listed::Hidden);
            assert_eq!(
                listed, expected,
                "{name} is found hidden, and listed otherwise"
            );
            fails(
                "open_file of a whiteout",
                layer.open_file(dir, name),
                Errno::NoEntry,
            );
            fails(
                "open_dir of a whiteout",
                layer.open_dir(dir, name),
                Errno::NoEntry,
            );
            fails(
                "read_link of a whiteout",
                layer.read_link(dir, name),
                Errno::NoEntry,
            );
            return Seen::Hidden;
        }
        Found::Here { meta, opaque } => (meta, opaque),
    };
    let here = |inode| {
        let kind = meta.kind;
        Some(Listed::Here { kind, inode })
    };
    assert!(
        listed == here(meta.inode) || listed == here(0),
        "{name} is found as {meta:?} and listed as {listed:?}"
    );
    match meta.kind {
        Kind::Dir => {
            let handle = ok("open_dir", layer.open_dir(dir, name));
            let own = ok("dir_meta", layer.dir_meta(&handle));
            assert_same("find and dir_meta", &meta, &own);
            Seen::Dir { opaque }
        }
        Kind::File => {
            assert!(!opaque, "{name} is a file and opaque");
            let file = ok("open_file", layer.open_file(dir, name));
            assert_same("find and an open file", &meta, &ok("meta", file.meta()));
            let data = read_all(&file);
            assert_eq!(data.len() as u64, meta.size, "{name} has another size");
            Seen::File(data)
        }
        Kind::Symlink => {
            let target = ok("read_link", layer.read_link(dir, name));
            assert_eq!(target.len() as u64, meta.size, "{name} has another size");
            Seen::Symlink(target.into())
        }
        other => Seen::Other(other),
    }
}

#[track_caller]
pub(super) fn assert_same(what: &str, a: &Meta, b: &Meta) {
    // Reading may update the access time, and layers may count the links of directories differently.
    let key = |meta: &Meta| (meta.kind, meta.device, meta.inode, meta.modified, meta.mode);
    assert_eq!(key(a), key(b), "{what} disagree");
}

/// The metadata of an entry.
#[track_caller]
pub(super) fn meta<L: Layer>(layer: &L, dir: &L::Dir, name: Name<'_>) -> Meta {
    match ok("find", layer.find(dir, name)) {
        Found::Here { meta, .. } => meta,
        other => panic!("{name} has to be here, and is {other:?}"),
    }
}

/// The names of a directory. An entry takes precedence over a whiteout of its name.
#[track_caller]
pub(super) fn listing<L: Layer>(layer: &L, dir: &L::Dir) -> BTreeMap<Vec<u8>, Listed> {
    let mut names = BTreeMap::new();
    let mut twice = None;
    let listed = layer.list(dir, &mut |name, listed| {
        let old = names.insert(name.as_bytes().to_vec(), listed);
        match (old, listed) {
            (None, _) | (Some(Listed::Hidden), Listed::Here { .. }) => {}
            (Some(entry @ Listed::Here { .. }), Listed::Hidden) => {
                names.insert(name.as_bytes().to_vec(), entry);
            }
            _ => twice = Some(name.to_owned()),
        }
        ControlFlow::Continue(())
    });
    ok("list", listed);
    assert_eq!(twice, None, "a name is listed twice");
    names
}

/// What the upper has at a name before a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Was {
    Nothing,
    Whiteout,
    File,
    Symlink,
    EmptyDir,
    OpaqueDir,
    DirOfMarks,
}

impl Was {
    pub(super) const ALL: [Self; 7] = [
        Self::Nothing,
        Self::Whiteout,
        Self::File,
        Self::Symlink,
        Self::EmptyDir,
        Self::OpaqueDir,
        Self::DirOfMarks,
    ];

    pub(super) fn over(self) -> Over {
        match self {
            Self::Nothing => Over::Nothing,
            Self::Whiteout => Over::Whiteout,
            Self::File | Self::Symlink => Over::File,
            Self::EmptyDir | Self::OpaqueDir | Self::DirOfMarks => Over::EmptyDir,
        }
    }

    #[track_caller]
    pub(super) fn prepare<U: Upper>(self, upper: &U, at: At<'_, U::Dir>) {
        match self {
            Self::Nothing => {}
            Self::Whiteout => hide(upper, at),
            Self::File => drop(make_file(upper, at, b"what was here before")),
            Self::Symlink => {
                let new = New::Symlink(b"elsewhere");
                ok("create a link", upper.create(new, at, Over::Nothing));
            }
            Self::EmptyDir => drop(make_dir(upper, at)),
            Self::OpaqueDir => {
                let dir = make_dir(upper, at);
                ok("set_opaque", upper.set_opaque(&dir));
            }
            Self::DirOfMarks => {
                let dir = make_dir(upper, at);
                hide(upper, self::at(&dir, "hidden"));
                hide(upper, self::at(&dir, "hidden too"));
            }
        }
    }
}

/// Hides a name at which the upper holds nothing.
#[track_caller]
pub(super) fn hide<U: Upper>(upper: &U, at: At<'_, U::Dir>) {
    let hidden = upper.remove(at, Over::Nothing, Leave::Whiteout);
    ok("hide a name", hidden);
}

/// Sets a directory's times to long ago, and returns its metadata.
#[track_caller]
pub(super) fn age<U: Upper>(upper: &U, dir: &U::Dir) -> Meta {
    let set = upper.set_times(dir, None, both(LONG_AGO));
    ok("set_times of a directory", set);
    ok("dir_meta", upper.dir_meta(dir))
}

/// Whether a directory's `modified` changed since [`age`].
#[track_caller]
pub(super) fn moved<U: Upper>(upper: &U, dir: &U::Dir) -> bool {
    ok("dir_meta", upper.dir_meta(dir)).modified != LONG_AGO
}

/// A pattern of bytes that shows misplaced data.
pub(super) fn pattern(seed: u64, length: usize) -> Vec<u8> {
    (0..length as u64)
        .map(|i| ((i ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8)
        .collect()
}
