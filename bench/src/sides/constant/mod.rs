//! The floor: hosts whose every answer is a constant. What a guest takes on them is taken by the
//! guest and by wasmtime, which carries arguments in and answers out; no filesystem can be faster.
//!
//! What nobody can know before it is asked for, they ask the system for: a page of a large file that is
//! read by its position, and what is found on a first walk. Where a file of a lower layer is changed, they
//! do what the native program does.
//!
//! They know the names that the guests of the benchmark ask for, and no other.

mod asked;
mod changed;
pub(crate) mod p2;
pub(crate) mod p3;

pub(crate) use asked::Asked;

use crate::trees::{FILES_OF_DIRECTORY, SMALL};
use wasi_overlay::engine::{Kind, Stat, Timestamp};
use wasmtime::component::Resource;

/// The data of a small file.
static PAGE: [u8; SMALL] = [7; SMALL];

/// The name of each file that is listed.
const NAME: &str = "entry-0000";

/// What a guest's descriptor stands for, in the number that is all there is of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Object {
    File,
    /// A directory of so many files, or of directories.
    Dir {
        entries: u32,
        of_dirs: bool,
    },
}

/// The type of resource that has those numbers.
struct Descriptor;

impl Object {
    const ROOT: Self = Self::Dir {
        entries: 0,
        of_dirs: true,
    };

    fn number(self) -> u32 {
        match self {
            Self::File => 0,
            Self::Dir { entries, of_dirs } => entries << 2 | u32::from(of_dirs) << 1 | 1,
        }
    }

    fn descriptor(self) -> Resource<Descriptor> {
        Resource::new_own(self.number())
    }

    fn of(descriptor: &Resource<Descriptor>) -> Self {
        Self::of_number(descriptor.rep())
    }

    fn of_number(number: u32) -> Self {
        match number {
            0 => Self::File,
            _ => Self::Dir {
                entries: number >> 2,
                of_dirs: number & 2 != 0,
            },
        }
    }

    /// What a path leads to, in a tree of so many files to walk.
    fn at(path: &str, files: u32) -> Self {
        if let Some(entries) = path.strip_prefix("many-") {
            let entries = entries.parse().unwrap_or(0);
            let of_dirs = false;
            return Self::Dir { entries, of_dirs };
        }
        match (path.starts_with("tree"), is_below_top(path)) {
            (false, _) => Self::File,
            (true, false) => Self::Dir {
                entries: files / FILES_OF_DIRECTORY,
                of_dirs: true,
            },
            (true, true) => Self::Dir {
                entries: FILES_OF_DIRECTORY,
                of_dirs: false,
            },
        }
    }

    /// How many entries it has.
    fn entries(self) -> u32 {
        match self {
            Self::File => 0,
            Self::Dir { entries, .. } => entries,
        }
    }

    fn kind(self) -> Kind {
        match self {
            Self::File => Kind::File,
            Self::Dir { .. } => Kind::Dir,
        }
    }

    fn kind_of_entries(self) -> Kind {
        match self {
            Self::Dir { of_dirs: true, .. } => Kind::Dir,
            Self::Dir { .. } | Self::File => Kind::File,
        }
    }
}

/// The one directory that is preopened.
fn root() -> Vec<(Resource<Descriptor>, String)> {
    vec![(Object::ROOT.descriptor(), "/".to_owned())]
}

/// The answer to what would change something.
fn refuse() -> wasmtime::Result<()> {
    wasmtime::bail!("a constant does not change")
}

/// Whether a path has two names.
fn is_below_top(path: &str) -> bool {
    path.bytes().filter(|byte| *byte == b'/').count() == 1
}

/// What a path of the tree that is walked leads to. All others are those of files.
fn kind_at(path: &str) -> Kind {
    match path.starts_with("tree/") && is_below_top(path) {
        true => Kind::Dir,
        false => Kind::File,
    }
}

/// What is told of every file.
fn stat(kind: Kind) -> Stat {
    let time = Timestamp {
        seconds: 1,
        nanoseconds: 0,
    };
    Stat {
        kind,
        size: SMALL as u64,
        links: 1,
        accessed: time,
        modified: time,
        changed: time,
    }
}

/// Whether a path is the one that leads nowhere.
fn is_missing(path: &str) -> bool {
    path.ends_with("/none")
}

#[cfg(test)]
mod tests {
    use super::Object;

    #[test]
    fn a_number_is_an_object() {
        for object in [
            Object::File,
            Object::ROOT,
            Object::at("many-10000", 0),
            Object::at("tree", 20_000),
            Object::at("tree/d", 20_000),
        ] {
            assert_eq!(Object::of_number(object.number()), object);
        }
        assert_eq!(Object::at("tree", 20_000).entries(), 200);
        assert_eq!(Object::at("a/b/c", 20_000), Object::File);
    }
}
