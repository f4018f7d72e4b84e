//! A small tree, and steps on it as words.

use crate::Outcome;
use wasi_overlay_core::layer::MemoryLayer;
use wasi_overlay_core::{
    Dir, File, Kind, Limits, Lower, OpenHow, Opened, Overlay, OverlayDir, Result, SetTime,
    SetTimes, Timestamp,
};

/// Where changes go.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mount {
    Memory,
    /// Memory, and hardly a handle, a table or a listing is kept.
    Forgetful,
    #[cfg(feature = "dir")]
    Directory,
    /// A directory, and next to nothing is kept: what nobody holds is forgotten all the time.
    #[cfg(feature = "dir")]
    ForgetfulDirectory,
}

pub(crate) struct World {
    overlay: Overlay,
    #[cfg(feature = "dir")]
    temp: Option<tempfile::TempDir>,
}

/// What one thread holds, and what it was answered.
pub(crate) struct Hand {
    overlay: Overlay,
    root: Dir,
    file: Option<File>,
    dir: Option<Dir>,
    answers: Vec<String>,
}

fn lower() -> Lower {
    let layer = MemoryLayer::build()
        .file("d/f", "low")
        .file("d/g", "low")
        .file("d/s/x", "low")
        .dir("d/o")
        .file("e/h", "low")
        .file("w", "low");
    Lower::new("lower", layer.finish().unwrap())
}

fn next_to_nothing() -> Limits {
    let mut limits = Limits::default();
    (limits.kept_handles, limits.table_entries) = (1, 1);
    (limits.kept_nodes, limits.kept_listings) = (1, 1);
    limits.recent_dirs = 1;
    limits
}

impl World {
    pub(crate) fn new(mount: Mount) -> Self {
        let builder = Overlay::builder().lower(lower()).volatile(true);
        #[cfg(feature = "dir")]
        let mut temp = None;
        let builder = match mount {
            Mount::Memory => builder.upper_memory(1 << 20),
            Mount::Forgetful => builder.upper_memory(1 << 20).limits(next_to_nothing()),
            #[cfg(feature = "dir")]
            Mount::Directory | Mount::ForgetfulDirectory => {
                let builder = match mount {
                    Mount::ForgetfulDirectory => builder.limits(next_to_nothing()),
                    _ => builder,
                };
                let made = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
                let made = temp.insert(made.unwrap());
                let dir =
                    cap_std::fs::Dir::open_ambient_dir(made.path(), cap_std::ambient_authority());
                builder.upper_dir("upper", dir.unwrap())
            }
        };
        Self {
            overlay: builder.build().unwrap(),
            #[cfg(feature = "dir")]
            temp,
        }
    }

    pub(crate) fn hand(&self) -> Hand {
        Hand {
            overlay: self.overlay.clone(),
            root: self.overlay.root(),
            file: None,
            dir: None,
            answers: Vec::new(),
        }
    }

    /// What was answered and what is left.
    pub(crate) fn end(self, answers: Vec<Vec<String>>) -> Outcome {
        let mut outcome: Vec<_> = answers.into_iter().map(|a| a.join("; ")).collect();
        if outcome.iter().any(|answers| answers.starts_with("close")) {
            // What can still be seen is what was seen before.
            return outcome;
        }
        outcome.push("left:".to_owned());
        let mut found = Vec::new();
        let mut dirs = vec![(String::new(), self.overlay.root())];
        while let Some((path, dir)) = dirs.pop() {
            let listing = match dir.list() {
                Ok(listing) => listing,
                Err(error) => {
                    found.push(format!("{path}/ {:?}", error.errno()));
                    continue;
                }
            };
            for entry in listing.iter() {
                let name = entry.name.to_str().unwrap();
                let path = format!("{path}/{name}");
                let more = match dir.open_at(name, OpenHow::default()) {
                    Ok(Opened::File(file)) => {
                        let mark = marks(&dir).xattr_at(name, false, MARK);
                        let is_marked = mark.is_ok_and(|mark| mark.is_some());
                        let (data, links) = (text(data(&file)), text(links(&file)));
                        format!("{data} {links}{}", if is_marked { " marked" } else { "" })
                    }
                    Ok(Opened::Dir(dir)) => {
                        dirs.push((path.clone(), dir));
                        "dir".to_owned()
                    }
                    Err(error) => format!("{:?}", error.errno()),
                };
                found.push(format!("{path} {more}"));
            }
        }
        found.sort();
        outcome.extend(found);
        #[cfg(feature = "dir")]
        if let Some(temp) = &self.temp {
            // What the guest saw is what the disk has.
            text(self.overlay.close().map(|()| String::new()));
            let mut left = Vec::new();
            for entry in std::fs::read_dir(temp.path()).unwrap() {
                let name = entry.unwrap().file_name();
                if name.to_string_lossy().starts_with(".wh..wh.") {
                    left.push(name);
                }
            }
            assert!(left.is_empty(), "staging is left: {left:?}");
        }
        outcome
    }
}

impl Hand {
    pub(crate) fn step(&mut self, step: &str) {
        let words: Vec<_> = step.split(' ').collect();
        let answer = text(self.call(&words));
        self.answers.push(format!("{step}: {answer}"));
    }

    pub(crate) fn answers(self) -> Vec<String> {
        self.answers
    }

    fn call(&mut self, words: &[&str]) -> Result<String> {
        let root = self.root.clone();
        let done = |()| "done".to_owned();
        match *words {
            ["rename", from, to] => root.rename_at(from, &root, to).map(done),
            ["link", from, to] => root.link_at(from, &root, to).map(done),
            ["unlink", path] => root.unlink_file_at(path).map(done),
            ["mkdir", path] => root.create_directory_at(path).map(done),
            ["rmdir", path] => root.remove_directory_at(path).map(done),
            ["symlink", target, path] => root.symlink_at(target, path).map(done),
            ["create", path] => open(&root, path, CREATE).map(|_| "made".to_owned()),
            // Opens are the calls; a write to what was opened is its own.
            ["write", path, data] => {
                let file = file(open(&root, path, WRITE)?);
                file.write_at(data.as_bytes(), 0)
                    .map(|count| count.to_string())
            }
            ["append", path, data] => {
                let file = file(open(&root, path, WRITE)?);
                file.append(data.as_bytes()).map(|count| count.to_string())
            }
            ["stat", path] => root
                .stat_at(path, false)
                .map(|stat| format!("{:?} {} x{}", stat.kind, stat.size, stat.links)),
            ["times", path] => root.set_times_at(path, true, TIMES).map(done),
            ["mark", path] => marks(&root).set_xattr_at(path, true, MARK, b"1").map(done),
            ["unmark", path] => marks(&root).remove_xattr_at(path, true, MARK).map(done),
            ["marks", path] => {
                let value = marks(&root).xattr_at(path, true, MARK)?;
                Ok(format!("{value:?}"))
            }
            ["list", path] => match open(&root, path, READ)? {
                Opened::Dir(dir) => names(&dir),
                Opened::File(_) => Ok("a file".to_owned()),
            },
            ["open", path] => {
                self.file = Some(file(open(&root, path, READ)?));
                Ok("opened".to_owned())
            }
            ["openDir", path] => match open(&root, path, READ)? {
                Opened::Dir(dir) => {
                    self.dir = Some(dir);
                    Ok("opened".to_owned())
                }
                Opened::File(_) => Ok("a file".to_owned()),
            },
            ["inside", name] => match &self.dir {
                Some(dir) => open(dir, name, CREATE).map(|_| "made".to_owned()),
                None => Ok("nothing is held".to_owned()),
            },
            ["close"] => self.overlay.close().map(done),
            ["read"] => self.held(data),
            ["times"] => self.held(|file| file.set_times(TIMES).map(done)),
            ["look"] => self.held(|file| {
                let stat = file.stat()?;
                let is_set = SetTime::To(stat.modified) == TIMES.modified;
                Ok(format!("{} x{} {is_set}", stat.size, stat.links))
            }),
            ["same", path] => {
                let there = root.identity_at(path, false);
                self.held(|file| Ok(format!("{}", file.identity()? == there?)))
            }
            _ => panic!("no such step: {words:?}"),
        }
    }

    fn held(&self, call: impl FnOnce(&File) -> Result<String>) -> Result<String> {
        match &self.file {
            Some(file) => call(file),
            None => Ok("nothing is held".to_owned()),
        }
    }
}

const READ: OpenHow = OpenHow {
    follow: true,
    create: false,
    directory: false,
    exclusive: false,
    truncate: false,
    read: true,
    write: false,
};
const WRITE: OpenHow = OpenHow {
    write: true,
    ..READ
};
const CREATE: OpenHow = OpenHow {
    create: true,
    exclusive: true,
    ..WRITE
};
/// An attribute that anybody may set, on a filesystem that has such.
const MARK: &[u8] = b"user.mark";
const TIMES: SetTimes = SetTimes {
    accessed: SetTime::Keep,
    modified: SetTime::To(Timestamp {
        seconds: 1_222_222_222,
        nanoseconds: 0,
    }),
};

fn open(dir: &Dir, path: &str, how: OpenHow) -> Result<Opened> {
    dir.open_at(path, how)
}

fn marks(dir: &Dir) -> &OverlayDir {
    dir.as_overlay().unwrap()
}

fn file(opened: Opened) -> File {
    match opened {
        Opened::File(file) => file,
        Opened::Dir(_) => panic!("a directory"),
    }
}

fn text(result: Result<String>) -> String {
    result.unwrap_or_else(|error| format!("{:?}", error.errno()))
}

fn links(file: &File) -> Result<String> {
    let stat = file.stat()?;
    assert_eq!(stat.kind, Kind::File);
    Ok(format!("x{}", stat.links))
}

fn data(file: &File) -> Result<String> {
    let mut buffer = [0; 64];
    let read = file.read_at(&mut buffer, 0)?;
    Ok(String::from_utf8_lossy(&buffer[..read]).into_owned())
}

fn names(dir: &Dir) -> Result<String> {
    let listing = dir.list()?;
    let mut names: Vec<_> = listing.iter().map(|e| e.name.to_string()).collect();
    names.sort();
    let before = names.len();
    names.dedup();
    assert_eq!(names.len(), before, "a name twice");
    Ok(names.join(" "))
}
