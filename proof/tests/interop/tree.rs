//! A directory tree as data, read from a host directory or from an overlay.

use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use wasi_overlay_core::{
    AbsoluteSymlinks, Dir, Errno, Kind, Lower, Name, Opened, Overlay, OverlayBuilder,
};
use wasi_overlay_proof::kit::{capability, how};

/// The entries by path; the root has the empty path.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Tree(pub(crate) BTreeMap<String, Entry>);

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    Here {
        kind: Kind,
        /// Modification time: seconds and nanoseconds.
        modified: (i64, u32),
        /// The data of a file, or the target of a link.
        data: Vec<u8>,
        /// Xattrs in `user.*`, without those of overlays.
        attributes: BTreeMap<String, Vec<u8>>,
    },
    /// The entry is listed but cannot be opened: the engine refuses it, or it is a whiteout that listings cannot
    /// detect.
    Refused { errno: Errno, words: String },
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here {
                kind,
                modified: (seconds, nanoseconds),
                data,
                attributes,
            } => {
                write!(
                    f,
                    "{kind:?} {seconds}.{nanoseconds:09} {}",
                    data.escape_ascii()
                )?;
                for (name, value) in attributes {
                    write!(f, " {name}={}", value.escape_ascii())?;
                }
                Ok(())
            }
            Self::Refused { words, .. } => write!(f, "refused: {words}"),
        }
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (path, entry) in &self.0 {
            writeln!(f, "  /{path} {entry:?}")?;
        }
        Ok(())
    }
}

fn is_shown(attribute: &str) -> bool {
    let is_overlays = |prefix| attribute.starts_with(prefix);
    is_overlays("user.") && !is_overlays("user.overlay.") && !is_overlays("user.fuseoverlayfs.")
}

impl Tree {
    /// The tree of a host directory.
    pub(crate) fn of_host(root: &Path) -> Self {
        let mut tree = Self::default();
        let mut dirs = vec![String::new()];
        while let Some(dir) = dirs.pop() {
            tree.0.insert(dir.clone(), of_file(&root.join(&dir)));
            for entry in std::fs::read_dir(root.join(&dir)).expect("a listing") {
                let entry = entry.expect("an entry");
                let path = join(&dir, entry.file_name().to_str().expect("a name in UTF-8"));
                if entry.file_type().expect("a type").is_dir() {
                    dirs.push(path);
                } else {
                    let file = of_file(&root.join(&path));
                    tree.0.insert(path, file);
                }
            }
        }
        tree
    }

    /// The tree of an overlay.
    pub(crate) fn of_mount(overlay: &Overlay) -> Self {
        let mut tree = Self::default();
        let root = overlay.root();
        let mut dirs = vec![String::new()];
        while let Some(dir) = dirs.pop() {
            match of_entry(&root, &dir) {
                Ok((here, opened)) => {
                    tree.0.insert(dir.clone(), here);
                    let listing = opened.map(|dir| dir.list());
                    match listing {
                        Some(Ok(listing)) => {
                            dirs.extend(listing.iter().map(|entry| join(&dir, text(entry.name))))
                        }
                        Some(Err(error)) => {
                            tree.0.insert(dir, refused(&error));
                        }
                        None => {}
                    }
                }
                Err(error) => {
                    tree.0.insert(dir, refused(&error));
                }
            }
        }
        tree
    }

    /// The tree of an overlay of `layers`, bottom first.
    pub(crate) fn of_layers(layers: &[PathBuf]) -> Self {
        match on_layers(layers).build() {
            Ok(overlay) => Self::of_mount(&overlay),
            Err(error) => panic!("{layers:?}: {error}"),
        }
    }

    /// The differences from `other`, one line each; `maker` and `reader` name the two.
    pub(crate) fn differences(&self, maker: &str, other: &Self, reader: &str) -> String {
        let mut lines = String::new();
        let paths: std::collections::BTreeSet<_> = self.0.keys().chain(other.0.keys()).collect();
        for path in paths {
            let (one, two) = (self.0.get(path), other.0.get(path));
            if one != two {
                let say = |entry: Option<&Entry>| match entry {
                    Some(entry) => format!("{entry:?}"),
                    None => "not there".into(),
                };
                lines += &format!(
                    "/{path}\n  {maker}: {}\n  {reader}: {}\n",
                    say(one),
                    say(two)
                );
            }
        }
        lines
    }

    /// The tree without directory times, which unpacking changes, and without xattrs, which archives omit.
    pub(crate) fn unpacked_only(mut self) -> Self {
        for entry in self.0.values_mut() {
            if let Entry::Here {
                kind,
                modified,
                attributes,
                ..
            } = entry
            {
                attributes.clear();
                if *kind == Kind::Dir {
                    *modified = (0, 0);
                }
            }
        }
        self
    }

    /// The tree without times, which umoci rounds.
    pub(crate) fn without_times(mut self) -> Self {
        for entry in self.0.values_mut() {
            if let Entry::Here { modified, .. } = entry {
                *modified = (0, 0);
            }
        }
        self
    }

    /// The refused entries by path.
    pub(crate) fn refusals(&self) -> BTreeMap<&str, &str> {
        let refused = self.0.iter().filter_map(|(path, entry)| match entry {
            Entry::Refused { words, .. } => Some((path.as_str(), words.as_str())),
            Entry::Here { .. } => None,
        });
        refused.collect()
    }
}

/// An overlay of `layers`, bottom first, each labelled by its path.
pub(crate) fn on_layers(layers: &[PathBuf]) -> OverlayBuilder {
    let mut builder = Overlay::builder().absolute_symlinks(AbsoluteSymlinks::Root);
    for layer in layers {
        let lower = Lower::dir(layer.display().to_string(), capability(layer));
        match lower {
            Ok(lower) => builder = builder.lower(lower),
            Err(error) => panic!("{}: {error}", layer.display()),
        }
    }
    builder
}

/// The path of `name` in `dir`.
pub(crate) fn join(dir: &str, name: &str) -> String {
    match dir {
        "" => name.into(),
        dir => format!("{dir}/{name}"),
    }
}

/// A name as text; all names here are UTF-8.
pub(crate) fn text(name: Name<'_>) -> &str {
    std::str::from_utf8(name.as_bytes()).expect("a name in UTF-8")
}

fn of_file(path: &Path) -> Entry {
    let meta = match path.symlink_metadata() {
        Ok(meta) => meta,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return refused(&Errno::NoEntry.into());
        }
        Err(error) => panic!("{}: {error}", path.display()),
    };
    let kind = meta.file_type();
    let (kind, data) = if kind.is_dir() {
        (Kind::Dir, Vec::new())
    } else if kind.is_symlink() {
        let target = std::fs::read_link(path).expect("a target");
        (Kind::Symlink, target.into_os_string().into_encoded_bytes())
    } else if kind.is_file() {
        (Kind::File, std::fs::read(path).expect("content"))
    } else if kind.is_fifo() {
        (Kind::Fifo, Vec::new())
    } else if kind.is_socket() {
        (Kind::Socket, Vec::new())
    } else if kind.is_char_device() {
        (Kind::CharDevice, Vec::new())
    } else {
        (Kind::BlockDevice, Vec::new())
    };
    Entry::Here {
        kind,
        modified: (meta.mtime(), meta.mtime_nsec() as u32),
        data,
        attributes: attributes_of_file(path),
    }
}

fn attributes_of_file(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut names = vec![0; 1 << 16];
    let Ok(length) = rustix::fs::llistxattr(path, &mut names[..]) else {
        return BTreeMap::new();
    };
    let names = String::from_utf8_lossy(&names[..length]).into_owned();
    let shown = names.split_terminator('\0').filter(|name| is_shown(name));
    let value = |name: &str| {
        let mut value = vec![0; 1 << 16];
        let length = rustix::fs::lgetxattr(path, name, &mut value[..]).expect("an attribute");
        (name.to_string(), value[..length].to_vec())
    };
    shown.map(value).collect()
}

fn of_entry(root: &Dir, path: &str) -> wasi_overlay_core::Result<(Entry, Option<Dir>)> {
    let at = if path.is_empty() { "." } else { path };
    let stat = root.stat_at(at, false)?;
    let mut opened = None;
    let data = match stat.kind {
        Kind::File => match root.open_at(at, how("rn"))? {
            Opened::File(file) => {
                let mut data = vec![0; usize::try_from(stat.size).expect("a small file") + 1];
                let mut length = 0;
                loop {
                    let read = file.read_at(&mut data[length..], length as u64)?;
                    length += read;
                    if read == 0 {
                        break;
                    }
                }
                data.truncate(length);
                assert_eq!(data.len() as u64, stat.size, "{path}");
                data
            }
            Opened::Dir(_) => panic!("{path} is a file and opens as a directory"),
        },
        Kind::Dir => match root.open_at(at, how("rn"))? {
            Opened::Dir(dir) => {
                opened = Some(dir);
                Vec::new()
            }
            Opened::File(_) => panic!("{path} is a directory and opens as a file"),
        },
        Kind::Symlink => root.readlink_at(at)?.into_bytes(),
        _ => Vec::new(),
    };
    let overlay = root.as_overlay().expect("a directory of an overlay");
    let mut attributes = BTreeMap::new();
    for name in overlay.xattrs_at(at, false)? {
        let name = String::from_utf8(name.into_vec()).expect("a name in UTF-8");
        if is_shown(&name) {
            let value = overlay.xattr_at(at, false, name.as_bytes())?;
            attributes.insert(name, value.expect("a listed attribute"));
        }
    }
    let here = Entry::Here {
        kind: stat.kind,
        modified: (stat.modified.seconds, stat.modified.nanoseconds),
        data,
        attributes,
    };
    Ok((here, opened))
}

fn refused(error: &wasi_overlay_core::Error) -> Entry {
    Entry::Refused {
        errno: error.errno(),
        words: error.to_string(),
    }
}
