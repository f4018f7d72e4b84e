//! The layers of a plan, in memory or written to a directory in OCI form.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;
use wasi_overlay_core::layer::{MemoryBuilder, MemoryLayer};
use wasi_overlay_core::{SetTime, SetTimes, Timestamp};

/// The nanoseconds of all times that layers have and that steps set. A clock rarely shows this value, so
/// it distinguishes a time that was set from the clock's.
pub const SET: u32 = 7;

/// A layer as a list of entries, each a line of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layer {
    entries: Vec<Entry>,
}

/// One entry of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The path. Its parent directories need no entries.
    pub path: String,
    /// The kind, with the contents.
    pub what: What,
}

/// The kind of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A directory.
    Dir {
        /// Whether it hides the lower directories of its path.
        opaque: bool,
    },
    /// A regular file and its data.
    File(String),
    /// A symbolic link and its target.
    Link(String),
    /// A whiteout.
    Whiteout,
}

impl Layer {
    /// Adds the entry in a line of a plan.
    ///
    /// # Errors
    /// The reason why the line is invalid.
    pub fn add(&mut self, line: &str) -> Result<(), String> {
        let entry = Entry::parse(line).ok_or("no entry of a layer")?;
        self.push(entry)
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// The reason why it is invalid: its path leads through a file, or is taken.
    pub fn push(&mut self, entry: Entry) -> Result<(), String> {
        let names = entry.path.split('/');
        let mut all = names.clone();
        if all.any(|name| matches!(name, "" | "." | "..") || name.starts_with(".wh.")) {
            return Err("no path of a layer".to_owned());
        }
        let fits = |other: &Entry| {
            if entry.path == other.path {
                return matches!(
                    (&entry.what, &other.what),
                    (What::Dir { .. }, What::Dir { .. })
                );
            }
            (!is_below(&entry.path, &other.path) || matches!(other.what, What::Dir { .. }))
                && (!is_below(&other.path, &entry.path) || matches!(entry.what, What::Dir { .. }))
        };
        if !self.entries.iter().all(fits) {
            return Err("the layer has something else there".to_owned());
        }
        self.entries.push(entry);
        Ok(())
    }

    /// The entries, in the order in which they were added.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(crate) fn entries_mut(&mut self) -> &mut Vec<Entry> {
        &mut self.entries
    }

    /// All files of the layer, with the parent directories of each, and their times. A directory precedes
    /// its entries. The times depend on the number of the layer.
    pub fn all(&self, number: usize) -> Vec<(&str, &What, u64)> {
        let mut all: BTreeMap<&str, &What> = BTreeMap::new();
        for entry in &self.entries {
            for (at, _) in entry.path.match_indices('/') {
                all.entry(&entry.path[..at])
                    .or_insert(&What::Dir { opaque: false });
            }
            let is_known_opaque = matches!(all.get(&*entry.path), Some(What::Dir { opaque: true }));
            if !is_known_opaque {
                all.insert(&entry.path, &entry.what);
            }
        }
        let first = 1_000_000 * (number as u64 + 1);
        let numbered = all.into_iter().zip(first..);
        numbered
            .map(|((path, what), time)| (path, what, time))
            .collect()
    }

    /// Creates the layer in memory.
    ///
    /// # Panics
    /// If it cannot be created.
    pub fn in_memory(&self, number: usize) -> MemoryLayer {
        let mut builder: MemoryBuilder = MemoryLayer::build();
        for (path, what, time) in self.all(number) {
            builder = match what {
                What::Dir { opaque: false } => builder.dir(path),
                What::Dir { opaque: true } => builder.opaque(path),
                What::File(text) => builder.file(path, text),
                What::Link(target) => builder.symlink(path, target),
                What::Whiteout => builder.whiteout(path),
            };
            if *what != What::Whiteout {
                builder = builder.times(path, at(time));
            }
        }
        builder.finish().expect("a layer that was checked")
    }

    /// Writes the layer to a directory, in OCI form.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn write(&self, number: usize, dir: &Path) {
        let all = self.all(number);
        for (path, what, _) in &all {
            let at = dir.join(path);
            match what {
                What::Whiteout => {
                    let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
                    touch(&dir.join(above).join(format!(".wh.{name}")));
                }
                What::Dir { opaque } => {
                    fs::create_dir(&at).expect("a directory");
                    if *opaque {
                        touch(&at.join(".wh..wh..opq"));
                    }
                }
                What::File(text) => fs::write(&at, text).expect("a file"),
                What::Link(target) => std::os::unix::fs::symlink(target, &at).expect("a link"),
            }
        }
        // The entries of a directory before the directory.
        for (path, what, time) in all.iter().rev() {
            if **what != What::Whiteout {
                set_time(&dir.join(path), *time);
            }
        }
    }
}

impl Entry {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let (kind, path) = (words.next()?, words.next()?.to_owned());
        let text = |word: &str| {
            if word == "-" {
                String::new()
            } else {
                word.to_owned()
            }
        };
        let what = match kind {
            "dir" => What::Dir { opaque: false },
            "opaque" => What::Dir { opaque: true },
            "file" => What::File(text(words.next()?)),
            "link" => What::Link(words.next().filter(|target| !target.is_empty())?.to_owned()),
            "whiteout" => What::Whiteout,
            _ => return None,
        };
        words.next().is_none().then_some(Self { path, what })
    }
}

/// Sets the time of modification of a file, and follows no link.
pub fn set_time(path: &Path, seconds: u64) {
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
    let time = Timespec {
        tv_sec: seconds as i64,
        tv_nsec: SET.into(),
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).expect("times can be set");
}

fn touch(path: &Path) {
    fs::write(path, "").expect("a whiteout");
}

/// Sets the time of modification to `seconds` and [`SET`].
pub fn at(seconds: u64) -> SetTimes {
    let time = SetTime::To(Timestamp {
        seconds: seconds as i64,
        nanoseconds: SET,
    });
    SetTimes {
        accessed: SetTime::Keep,
        modified: time,
    }
}

/// Whether `path` is inside of `dir`.
pub(crate) fn is_below(path: &str, dir: &str) -> bool {
    path.strip_prefix(dir)
        .is_some_and(|rest| rest.starts_with('/'))
}

impl fmt::Display for Layer {
    /// A line an entry.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.entries.iter().map(Entry::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.path;
        match &self.what {
            What::Dir { opaque: false } => write!(f, "dir {path}"),
            What::Dir { opaque: true } => write!(f, "opaque {path}"),
            What::File(text) if text.is_empty() => write!(f, "file {path} -"),
            What::File(text) => write!(f, "file {path} {text}"),
            What::Link(target) => write!(f, "link {path} {target}"),
            What::Whiteout => write!(f, "whiteout {path}"),
        }
    }
}
