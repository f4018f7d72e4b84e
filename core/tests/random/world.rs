//! A plain directory and an overlay that must look the same, and calls on both.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use wasi_overlay_core::{
    Dir, File, Live, Lower, OpenHow, Opened, Overlay, Result, SetTime, SetTimes, Timestamp,
};

/// Where an overlay takes its changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory,
    /// A directory whose handles are paths.
    ByPath,
    Memory,
}

/// One call, with everything that it depends on.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    Open {
        base: usize,
        path: String,
        how: OpenHow,
        slot: usize,
    },
    Read {
        slot: usize,
    },
    Write {
        slot: usize,
        offset: u64,
        text: &'static str,
    },
    Append {
        slot: usize,
        text: &'static str,
    },
    SetSize {
        slot: usize,
        size: u64,
    },
    FileTimes {
        slot: usize,
        seconds: i64,
    },
    Stat {
        base: usize,
        path: String,
        follow: bool,
    },
    Times {
        base: usize,
        path: String,
        follow: bool,
        seconds: i64,
    },
    List {
        base: usize,
    },
    Mkdir {
        base: usize,
        path: String,
    },
    Rmdir {
        base: usize,
        path: String,
    },
    Unlink {
        base: usize,
        path: String,
    },
    Symlink {
        base: usize,
        target: String,
        path: String,
    },
    Readlink {
        base: usize,
        path: String,
    },
    Link {
        base: usize,
        path: String,
        new: String,
    },
    Rename {
        base: usize,
        path: String,
        new_base: usize,
        new: String,
    },
    Same {
        base: usize,
        path: String,
        slot: usize,
    },
}

/// One of the two trees, and what is held open in it.
struct Side {
    root: Dir,
    dirs: [Option<Dir>; 3],
    files: [Option<File>; 4],
}

pub(crate) struct World {
    kind: Kind,
    random: u64,
    plain: Side,
    overlay: Side,
    mounted: Option<Overlay>,
    plain_path: PathBuf,
    layers: usize,
    temp: TempDir,
}

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

fn capability(path: &Path) -> cap_std::fs::Dir {
    cap_std::fs::Dir::open_ambient_dir(path, cap_std::ambient_authority()).expect("a directory")
}

impl Side {
    fn new(root: Dir) -> Self {
        Self {
            root,
            dirs: Default::default(),
            files: Default::default(),
        }
    }

    fn base(&self, index: usize) -> &Dir {
        match index {
            0 => &self.root,
            index => self.dirs[index - 1].as_ref().unwrap_or(&self.root),
        }
    }
}

impl World {
    pub(crate) fn new(kind: Kind, seed: u64) -> Self {
        let temp = TempDir::new().expect("a temporary directory");
        let plain_path = temp.path().join("plain");
        std::fs::create_dir(&plain_path).expect("a directory");
        let plain = Side::new(Live::new(capability(&plain_path)).root());
        let mut world = Self {
            kind,
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            overlay: Side::new(Live::new(capability(&plain_path)).root()),
            plain,
            mounted: None,
            plain_path,
            layers: 0,
            temp,
        };
        world.mount();
        world
    }

    fn layer(&self, index: usize) -> PathBuf {
        self.temp.path().join(format!("layer{index}"))
    }

    fn mount(&mut self) {
        let mut builder = Overlay::builder().volatile(true);
        for index in 0..self.layers {
            let path = self.layer(index);
            let lower = Lower::dir(format!("layer {index}"), capability(&path));
            builder = builder.lower(lower.expect("a layer"));
        }
        let upper = self.layer(self.layers);
        builder = match self.kind {
            Kind::Directory => {
                std::fs::create_dir(&upper).expect("a directory");
                builder.upper_dir("upper", capability(&upper))
            }
            Kind::ByPath => {
                use wasi_overlay_core::{marks::Marked, plain::HostDir, plain::by_path::ByPath};
                std::fs::create_dir(&upper).expect("a directory");
                let plain = ByPath::new(HostDir::new(capability(&upper), "upper"));
                builder.upper("upper", Marked::upper_on_demand(plain))
            }
            Kind::Memory => builder.upper_memory(1 << 20),
        };
        let overlay = builder.build().expect("an overlay");
        self.overlay = Side::new(overlay.root());
        self.mounted = Some(overlay);
    }

    /// The upper becomes a layer of a new mount. What was in memory is written out as a whole.
    pub(crate) fn rotate(&mut self) {
        self.plain.dirs = Default::default();
        self.plain.files = Default::default();
        self.overlay = Side::new(self.plain.root.clone());
        if let Some(overlay) = self.mounted.take() {
            overlay.close().expect("a clean end");
        }
        // Lower hard links are lost at copy-up, and a layer's files are not one another's.
        let copy = self.temp.path().join("copy");
        let status = std::process::Command::new("cp")
            .args(["-a", "--no-preserve=links"])
            .args([&self.plain_path, &copy])
            .status();
        assert!(status.expect("cp").success());
        std::fs::remove_dir_all(&self.plain_path).expect("the plain tree");
        std::fs::rename(&copy, &self.plain_path).expect("the copy");
        self.plain.root = Live::new(capability(&self.plain_path)).root();
        if self.kind == Kind::Memory {
            self.layers = 0;
            let layer = self.layer(0);
            if layer.exists() {
                std::fs::remove_dir_all(&layer).expect("the last layer");
            }
            let status = std::process::Command::new("cp")
                .arg("-a")
                .args([&self.plain_path, &layer])
                .status();
            assert!(status.expect("cp").success());
        }
        self.layers += 1;
        self.mount();
    }

    fn next(&mut self, below: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 33) as usize % below
    }

    fn path(&mut self) -> String {
        let mut path = String::new();
        for _ in 0..=self.next(3) {
            let name = match self.next(40) {
                0 => "..",
                1 => ".",
                2 => "",
                3 => "l",
                index => NAMES[index % NAMES.len()],
            };
            path += name;
            path += "/";
        }
        while path.ends_with('/') {
            path.pop();
        }
        path
    }

    fn how(&mut self) -> OpenHow {
        OpenHow {
            follow: self.next(4) != 0,
            create: self.next(2) == 0,
            directory: self.next(8) == 0,
            exclusive: self.next(6) == 0,
            truncate: self.next(6) == 0,
            read: self.next(4) != 0,
            write: self.next(2) == 0,
        }
    }

    pub(crate) fn draw(&mut self) -> Call {
        let base = match self.next(4) {
            0 => self.next(4),
            _ => 0,
        };
        let path = self.path();
        let slot = self.next(4);
        let text = ["one", "two and more", "3"][self.next(3)];
        let seconds = self.next(1_000_000) as i64;
        let follow = self.next(3) != 0;
        match self.next(26) {
            0..=5 => Call::Open {
                base,
                path,
                how: self.how(),
                slot,
            },
            6 => Call::Read { slot },
            7 => Call::Write {
                slot,
                offset: self.next(10) as u64,
                text,
            },
            8 => Call::Append { slot, text },
            9 => Call::SetSize {
                slot,
                size: self.next(20) as u64,
            },
            10 => Call::FileTimes { slot, seconds },
            11 => Call::Stat { base, path, follow },
            12 => Call::Times {
                base,
                path,
                follow,
                seconds,
            },
            13 => Call::List { base },
            14..=16 => Call::Mkdir { base, path },
            17 => Call::Rmdir { base, path },
            18 => Call::Unlink { base, path },
            19 => Call::Symlink {
                base,
                target: self.path(),
                path,
            },
            20 => Call::Readlink { base, path },
            21 => Call::Link {
                base,
                path,
                new: self.path(),
            },
            22 => Call::Same { base, path, slot },
            _ => Call::Rename {
                base,
                path,
                new_base: self.next(4),
                new: self.path(),
            },
        }
    }

    /// Makes the call on both sides; the two answers.
    pub(crate) fn apply(&mut self, call: &Call) -> (String, String) {
        (apply(&mut self.plain, call), apply(&mut self.overlay, call))
    }

    pub(crate) fn trees(&self) -> (String, String) {
        (tree(&self.plain.root), tree(&self.overlay.root))
    }
}

fn times(seconds: i64) -> SetTimes {
    let time = SetTime::To(Timestamp {
        seconds,
        nanoseconds: 7,
    });
    SetTimes {
        accessed: SetTime::Keep,
        modified: time,
    }
}

fn say<T>(result: Result<T>, value: impl FnOnce(T) -> String) -> String {
    match result {
        Ok(value_) => value(value_),
        Err(error) => format!("{:?}", error.errno()),
    }
}

/// A modification time, if a call set it: others are the clock's.
fn set_time(time: Timestamp) -> String {
    match time.nanoseconds {
        7 => time.seconds.to_string(),
        _ => "now".into(),
    }
}

fn apply(side: &mut Side, call: &Call) -> String {
    let done = |()| "done".to_string();
    let file = |slot: &usize| side.files[*slot].as_ref();
    match call {
        Call::Open {
            base,
            path,
            how,
            slot,
        } => match side.base(*base).open_at(path, *how) {
            Ok(Opened::File(file)) => {
                let answer = format!("file {}", contents(&file));
                side.files[*slot] = Some(file);
                answer
            }
            Ok(Opened::Dir(dir)) => {
                let answer = format!("dir {}", names(&dir));
                side.dirs[*slot % 3] = Some(dir);
                answer
            }
            Err(error) => format!("{:?}", error.errno()),
        },
        Call::Read { slot } => file(slot).map_or("-".into(), contents),
        Call::Write { slot, offset, text } => file(slot).map_or("-".into(), |file| {
            say(file.write_at(text.as_bytes(), *offset), |n| n.to_string())
        }),
        Call::Append { slot, text } => file(slot).map_or("-".into(), |file| {
            say(file.append(text.as_bytes()), |n| n.to_string())
        }),
        Call::SetSize { slot, size } => {
            file(slot).map_or("-".into(), |file| say(file.set_size(*size), done))
        }
        Call::FileTimes { slot, seconds } => file(slot).map_or("-".into(), |file| {
            let set = say(file.set_times(times(*seconds)), done);
            set + &say(file.stat(), |stat| set_time(stat.modified))
        }),
        Call::Stat { base, path, follow } => say(side.base(*base).stat_at(path, *follow), |stat| {
            let size = if stat.kind == wasi_overlay_core::Kind::Dir {
                0
            } else {
                stat.size
            };
            format!("{:?} {size} {}", stat.kind, set_time(stat.modified))
        }),
        Call::Times {
            base,
            path,
            follow,
            seconds,
        } => say(
            side.base(*base)
                .set_times_at(path, *follow, times(*seconds)),
            done,
        ),
        Call::List { base } => names(side.base(*base)),
        Call::Mkdir { base, path } => say(side.base(*base).create_directory_at(path), done),
        Call::Rmdir { base, path } => say(side.base(*base).remove_directory_at(path), done),
        Call::Unlink { base, path } => say(side.base(*base).unlink_file_at(path), done),
        Call::Symlink { base, target, path } => {
            say(side.base(*base).symlink_at(target, path), done)
        }
        Call::Readlink { base, path } => say(side.base(*base).readlink_at(path), |target| target),
        Call::Link { base, path, new } => {
            say(side.base(*base).link_at(path, &side.root, new), done)
        }
        Call::Rename {
            base,
            path,
            new_base,
            new,
        } => say(
            side.base(*base).rename_at(path, side.base(*new_base), new),
            done,
        ),
        Call::Same { base, path, slot } => file(slot).map_or("-".into(), |file| {
            say(side.base(*base).identity_at(path, true), |identity| {
                (Ok(identity) == file.identity().map_err(|_| ())).to_string()
            })
        }),
    }
}

fn contents(file: &File) -> String {
    let mut buffer = [0; 128];
    say(file.read_at(&mut buffer, 0), |read| {
        buffer[..read].escape_ascii().to_string()
    })
}

fn names(dir: &Dir) -> String {
    say(dir.list(), |listing| {
        let mut names: Vec<_> = listing
            .iter()
            .map(|entry| format!("{} {:?}", entry.name, entry.kind))
            .collect();
        names.sort();
        names.join(", ")
    })
}

/// The whole tree, a line a file, with times that a call set and identities that are equal.
fn tree(root: &Dir) -> String {
    let mut out = String::new();
    let mut dirs = vec![(String::new(), root.clone())];
    let read = OpenHow {
        read: true,
        ..OpenHow::default()
    };
    while let Some((at, dir)) = dirs.pop() {
        let listing = dir.list().expect("a listing");
        let mut entries: Vec<_> = listing.iter().collect();
        entries.sort_by_key(|entry| entry.name);
        for entry in entries {
            let name = entry.name.to_string();
            let stat = dir.stat_at(&name, false).expect("a listed name");
            assert_eq!(stat.kind, entry.kind, "{at}{name}");
            assert_eq!(stat.identity.lower, entry.inode, "{at}{name}");
            let what = match dir.open_at(&name, read) {
                Ok(Opened::File(file)) => contents(&file),
                Ok(Opened::Dir(dir)) => {
                    dirs.push((format!("{at}{name}/"), dir));
                    String::new()
                }
                Err(error) => {
                    say(dir.readlink_at(&name), |target| target) + &format!(" {:?}", error.errno())
                }
            };
            let time = set_time(stat.modified);
            writeln!(out, "{at}{name} {:?} {time} {what}", stat.kind).expect("a string");
        }
    }
    out
}
