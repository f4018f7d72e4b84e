//! [`fixture`]: a small tree with one of every kind of entry.

use super::kit::{at, hide, make_dir, make_file, ok, root};
use crate::layer::{New, Over, Upper};
use crate::name::Name;

/// An entry of a tree. Paths are relative to its root; a directory comes before its entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A directory.
    Dir(Vec<u8>),
    /// An opaque directory.
    OpaqueDir(Vec<u8>),
    /// A regular file and its data.
    File(Vec<u8>, Vec<u8>),
    /// A symbolic link and its target.
    Symlink(Vec<u8>, Vec<u8>),
    /// A whiteout.
    Whiteout(Vec<u8>),
}

impl Entry {
    /// The path.
    pub fn path(&self) -> &[u8] {
        match self {
            Self::Dir(path)
            | Self::OpaqueDir(path)
            | Self::File(path, _)
            | Self::Symlink(path, _)
            | Self::Whiteout(path) => path,
        }
    }

    /// The path of its parent directory, and its name.
    pub(super) fn split(&self) -> (&[u8], &[u8]) {
        let path = self.path();
        match path.iter().rposition(|&byte| byte == b'/') {
            Some(slash) => (&path[..slash], &path[slash + 1..]),
            None => (b"", path),
        }
    }
}

/// The tree that [`reads`](super::reads) expects in a layer.
pub fn fixture() -> Vec<Entry> {
    let file = |path: &[u8], data: &[u8]| Entry::File(path.to_vec(), data.to_vec());
    let link = |path: &[u8], target: &[u8]| Entry::Symlink(path.to_vec(), target.to_vec());
    vec![
        file(b"empty", b""),
        file(b"file", b"some data\n"),
        file(b"large", &super::kit::pattern(1, 300_001)),
        // Names that a careless layer misinterprets.
        file(b"...", b"dots"),
        file(b"-rf", b"dash"),
        file(b"a b\tc\nd", b"blanks"),
        file(b"back\\slash", b"\\"),
        file("ä\u{301}漢".as_bytes(), b"utf-8"),
        file(b"\xff\xfe", b"no utf-8"),
        file(&[b'n'; 255], b"longest"),
        link(b"link", b"file"),
        link(b"dangling", b"no/such/file"),
        link(b"absolute", b"/etc/passwd"),
        link(b"odd", b"../../\xff//./"),
        Entry::Whiteout(b"gone".to_vec()),
        Entry::Dir(b"bare".to_vec()),
        Entry::Dir(b"dir".to_vec()),
        file(b"dir/file", b"in a directory"),
        Entry::Whiteout(b"dir/gone".to_vec()),
        Entry::Dir(b"dir/dir".to_vec()),
        file(b"dir/dir/file", b"deeper"),
        Entry::OpaqueDir(b"opaque".to_vec()),
        file(b"opaque/file", b"alone"),
    ]
}

/// Creates `entries` in an upper that is mounted and has none of them.
///
/// # Panics
/// If a call of the upper fails.
pub fn plant<U: Upper>(upper: &U, entries: &[Entry]) {
    for entry in entries {
        let (above, name) = entry.split();
        let dir = walk(upper, above);
        let to = at(&dir, name);
        match entry {
            Entry::Dir(_) => drop(make_dir(upper, to)),
            Entry::OpaqueDir(_) => {
                let staged = ok("stage", upper.stage(New::Dir { opaque: true }));
                let none = ok("publish", upper.publish(staged, to, Over::Nothing, false));
                assert!(none.is_none(), "a directory came with an open file");
            }
            Entry::File(_, data) => drop(make_file(upper, to, data)),
            Entry::Symlink(_, target) => {
                let made = upper.create(New::Symlink(target), to, Over::Nothing);
                assert!(ok("create a link", made).is_none());
            }
            Entry::Whiteout(_) => hide(upper, to),
        }
    }
}

/// The directory at a path of [`Entry`].
#[track_caller]
pub(super) fn walk<L: crate::layer::Layer>(layer: &L, path: &[u8]) -> L::Dir {
    let mut dir = root(layer);
    for part in path.split(|&byte| byte == b'/').filter(|p| !p.is_empty()) {
        let name = ok("a name", Name::new(part));
        dir = ok("open_dir", layer.open_dir(&dir, name));
    }
    dir
}
