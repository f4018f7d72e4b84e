//! Scripts: filesystem calls as words, and the interpreter that makes them on a mount.
//!
//! A script is calls with `;` between them. A call is a [`Step`] of guests-script, as in a plan, or
//! one of the shorter forms below, which name files by *places*:
//!
//! | place | names |
//! |---|---|
//! | `a/b` | a path from the root of the mount |
//! | `#1` | what slot 1 holds |
//! | `#1/a/b` | a path from the directory in slot 1 |
//! | `@`, `@/a` | the place under test, which the test chooses |
//! | `^`, `^/a` | the directory of the place under test |
//!
//! Letters behind a dot are flags, those of `open` in guests-script; `n` does not follow a link.
//! `P` and `Q` are places, and `[…]` is optional.
//!
//! | call | does |
//! |---|---|
//! | `open[.FLAGS] P` | opens, and answers everything that the handle shows |
//! | `hold[.FLAGS] P` | the same, and keeps the handle in the first free slot |
//! | `look P`, `list P`, `files P` | everything that a handle shows; the names of one listing; the data of each file in a directory |
//! | `stat[.n] P`, `same[.n] P Q`, `readlink P` | metadata; whether two places are one file; a target |
//! | `times[.n] P`, `now[.n] P`, `keep[.n] P` | sets the time of modification, sets both to the clock, sets neither |
//! | `create[.FLAGS] P [TEXT]` | creates a file that must not exist, and writes to it |
//! | `write[.FLAGS] P [TEXT [OFFSET]]`, `append[.FLAGS] P [TEXT]`, `size P N` | changes a file; opens it first if `P` is a path |
//! | `sync[.d] P` | syncs; with `d` the data alone |
//! | `mkdir P`, `rmdir P`, `unlink P`, `empty P` | `empty` removes everything in a directory |
//! | `symlink TARGET P`, `link P Q`, `rename P Q` | |
//! | `set-xattr P`, `remove-xattr[.n] P`, `xattr P`, `xattrs P` | one attribute, `user.mark`; or how many there are |

pub use crate::kit::how;
use crate::mount::Held;
use crate::outcome;
use crate::run::{Runner, Stop};
use guests_script::{SLOTS, Step};
use wasi_overlay_core::{Dir, Errno, File, Kind, Opened, OverlayDir, SetTime, SetTimes, Timestamp};

/// The attribute of the calls on extended attributes: any user may set it.
const ATTRIBUTE: &[u8] = b"user.mark";

const NOW: SetTimes = SetTimes {
    accessed: SetTime::Now,
    modified: SetTime::Now,
};

/// Sets the time of modification.
pub fn mtime(seconds: i64) -> SetTimes {
    SetTimes {
        accessed: SetTime::Keep,
        modified: SetTime::To(Timestamp {
            seconds,
            nanoseconds: 0,
        }),
    }
}

/// The interpreter of scripts, with the handles that a script keeps.
#[derive(Clone, Debug)]
pub struct Script {
    runner: Runner,
    /// The place under test, `@`.
    place: String,
}

/// A file or directory that a call names.
enum Place {
    Path(Dir, String),
    Handle(Opened),
}

type Answer<T = String> = Result<T, Stop>;

impl Script {
    /// An interpreter on `root`. `@` stands for `place`.
    pub fn new(root: &Dir, place: &str) -> Self {
        Self {
            runner: Runner::new(root.clone()),
            place: place.to_owned(),
        }
    }

    /// Runs `script` at `place`, and returns each call with its answer.
    pub fn run(root: &Dir, place: &str, script: &str) -> Vec<String> {
        let mut this = Self::new(root, place);
        script
            .split(';')
            .map(|call| format!("{}: {}", call.trim(), this.call(call)))
            .collect()
    }

    /// From here on, `@` stands for `place`.
    pub fn set_place(&mut self, place: &str) {
        place.clone_into(&mut self.place);
    }

    /// The handles that are kept, with their slots.
    pub fn handles(&self) -> impl Iterator<Item = (usize, Opened)> {
        (1..SLOTS).filter_map(|slot| Some((slot, opened(self.runner.slot(slot)?))))
    }

    /// Makes one call, and returns its answer or its error code.
    ///
    /// # Panics
    /// If it is not a call.
    pub fn call(&mut self, call: &str) -> String {
        self.try_call(call).unwrap_or_else(|code| code)
    }

    /// Makes one call.
    ///
    /// # Errors
    /// Its error code.
    ///
    /// # Panics
    /// If it is not a call.
    pub fn try_call(&mut self, call: &str) -> Result<String, String> {
        let call = call.trim();
        let answer = match Step::parse(call) {
            Some(step) => self.runner.answer(step),
            None => self.answer(call),
        };
        answer.map_err(Stop::text)
    }

    fn answer(&mut self, call: &str) -> Answer {
        let words: Vec<_> = call.split_whitespace().collect();
        let (verb, flags) = words[0].split_once('.').unwrap_or((words[0], ""));
        let follow = !flags.contains('n');
        let done = |()| "done".to_owned();
        match (verb, &words[1..]) {
            ("open" | "look", [place]) => Ok(outcome::handle(&self.open(place, flags)?)),
            ("hold", [place]) => {
                let opened = self.open(place, flags)?;
                let answer = outcome::handle(&opened);
                self.runner.hold(match opened {
                    Opened::Dir(dir) => Held::Dir(dir),
                    Opened::File(file) => Held::File(file),
                });
                Ok(answer)
            }
            ("list", [place]) => Ok(outcome::listing(&self.dir(place)?)?),
            ("files", [place]) => self.files(place),
            ("stat", [place]) => match self.place(place)? {
                Place::Path(dir, path) => Ok(outcome::stat(&dir.stat_at(&path, follow)?)),
                Place::Handle(opened) => Ok(outcome::stat(&opened.stat()?)),
            },
            ("same", [one, other]) => {
                let identity = |place| match self.place(place)? {
                    Place::Path(dir, path) => Answer::Ok(dir.identity_at(&path, follow)?),
                    Place::Handle(opened) => Ok(opened.identity()?),
                };
                Ok((identity(one)? == identity(other)?).to_string())
            }
            ("readlink", [place]) => {
                let (dir, path) = self.path(place)?;
                Ok(dir.readlink_at(&path)?)
            }
            ("times" | "now" | "keep", [place]) => {
                let times = |seconds| match verb {
                    "times" => mtime(seconds),
                    "now" => NOW,
                    _ => SetTimes::default(),
                };
                Ok({
                    let _: () = match self.place(place)? {
                        Place::Path(dir, path) => {
                            dir.set_times_at(&path, follow, times(1_234_567_890))?
                        }
                        Place::Handle(Opened::Dir(dir)) => dir.set_times(times(1_222_222_222))?,
                        Place::Handle(Opened::File(file)) => {
                            file.set_times(times(1_222_222_222))?
                        }
                    };
                    done(())
                })
            }
            ("create", [place, text @ ..]) => {
                let file = self.file(place, if flags.is_empty() { "wcx" } else { flags })?;
                match text {
                    [text] => Ok(bytes(file.write_at(text.as_bytes(), 0)?)),
                    _ => Ok("done".to_owned()),
                }
            }
            ("write", [place, rest @ ..]) => {
                let (text, offset) = match rest {
                    [] => ("WW", "1"),
                    [text] => (*text, "0"),
                    [text, offset, ..] => (*text, *offset),
                };
                let file = self.file(place, writable(flags))?;
                Ok(bytes(file.write_at(text.as_bytes(), number(offset))?))
            }
            ("append", [place, text @ ..]) => {
                let text = text.first().unwrap_or(&"end");
                let file = self.file(place, writable(flags))?;
                Ok(bytes(file.append(text.as_bytes())?))
            }
            ("size", [place, size]) => {
                let file = self.file(place, writable(flags))?;
                Ok(done(file.set_size(number(size))?))
            }
            ("sync", [place]) => match self.open(place, "r")? {
                Opened::Dir(dir) => Ok(done(dir.sync(flags.contains('d'))?)),
                Opened::File(file) => Ok(done(file.sync(flags.contains('d'))?)),
            },
            ("mkdir", [place]) => {
                let (dir, path) = self.path(place)?;
                Ok(done(dir.create_directory_at(&path)?))
            }
            ("rmdir", [place]) => {
                let (dir, path) = self.path(place)?;
                Ok(done(dir.remove_directory_at(&path)?))
            }
            ("unlink", [place]) => {
                let (dir, path) = self.path(place)?;
                Ok(done(dir.unlink_file_at(&path)?))
            }
            ("empty", [place]) => empty(&self.dir(place)?),
            ("symlink", [target, place]) => {
                let (dir, path) = self.path(place)?;
                Ok(done(dir.symlink_at(&self.expanded(target), &path)?))
            }
            ("link", [old, new]) => {
                let ((dir, path), (new_dir, new_path)) = (self.path(old)?, self.path(new)?);
                Ok(done(dir.link_at(&path, &new_dir, &new_path)?))
            }
            ("rename", [old, new]) => {
                let ((dir, path), (new_dir, new_path)) = (self.path(old)?, self.path(new)?);
                Ok(done(dir.rename_at(&path, &new_dir, &new_path)?))
            }
            ("set-xattr" | "remove-xattr" | "xattr" | "xattrs", [place]) => {
                let (dir, path) = self.path(place)?;
                let dir = dir.as_overlay().ok_or(Errno::Unsupported)?;
                attributes(dir, verb, &path, follow)
            }
            _ => panic!("no such call: {call:?}"),
        }
    }

    /// A word with `@` and `^` replaced.
    fn expanded(&self, word: &str) -> String {
        let parent = || {
            self.place
                .rsplit_once('/')
                .map_or(".", |(parent, _)| parent)
        };
        if let Some(rest) = word.strip_prefix('@') {
            format!("{}{rest}", self.place)
        } else if let Some(rest) = word.strip_prefix('^') {
            format!("{}{rest}", parent())
        } else {
            word.to_owned()
        }
    }

    fn place(&self, word: &str) -> Answer<Place> {
        let place = self.expanded(word);
        let Some(handle) = place.strip_prefix('#') else {
            return Ok(Place::Path(self.runner.dir(0)?, place));
        };
        let (slot, path) = handle
            .split_once('/')
            .map_or((handle, None), |(slot, path)| (slot, Some(path)));
        let slot = usize::try_from(number(slot)).unwrap_or(SLOTS);
        match path {
            Some(path) => Ok(Place::Path(self.runner.dir(slot)?, path.to_owned())),
            None => Ok(Place::Handle(opened(&self.runner.held(slot)?))),
        }
    }

    fn path(&self, word: &str) -> Answer<(Dir, String)> {
        match self.place(word)? {
            Place::Path(dir, path) => Ok((dir, path)),
            Place::Handle(_) => panic!("the call takes a path, and {word} is a handle"),
        }
    }

    fn open(&self, word: &str, flags: &str) -> Answer<Opened> {
        match self.place(word)? {
            Place::Path(dir, path) => Ok(dir.open_at(&path, how(flags))?),
            Place::Handle(opened) => Ok(opened),
        }
    }

    fn dir(&self, word: &str) -> Answer<Dir> {
        match self.open(word, "r")? {
            Opened::Dir(dir) => Ok(dir),
            Opened::File(_) => Err(Errno::NotDirectory.into()),
        }
    }

    fn file(&self, word: &str, flags: &str) -> Answer<File> {
        match self.open(word, flags)? {
            Opened::File(file) => Ok(file),
            Opened::Dir(_) => Err(Errno::BadDescriptor.into()),
        }
    }

    /// The names in a directory, and the data of each file.
    fn files(&self, word: &str) -> Answer {
        let dir = self.dir(word)?;
        let mut answer = String::new();
        for entry in dir.list()?.iter() {
            answer += &format!("{} ", entry.name);
            if let Ok(name) = entry.name.to_str()
                && let Ok(Opened::File(file)) = dir.open_at(name, how("r"))
            {
                answer += &outcome::text(outcome::data(&file));
            }
        }
        Ok(answer)
    }
}

fn opened(held: &Held<Dir, File>) -> Opened {
    match held {
        Held::Dir(dir) => Opened::Dir(dir.clone()),
        Held::File(file) => Opened::File(file.clone()),
    }
}

/// Removes everything in a directory, and answers the names.
fn empty(dir: &Dir) -> Answer {
    let mut removed = Vec::new();
    for entry in dir.list()?.iter() {
        let name = entry.name.to_str()?;
        if entry.kind == Kind::Dir {
            if let Opened::Dir(inner) = dir.open_at(name, how("r"))? {
                empty(&inner)?;
            }
            dir.remove_directory_at(name)?;
        } else {
            dir.unlink_file_at(name)?;
        }
        removed.push(name.to_owned());
    }
    removed.sort();
    Ok(removed.join(" "))
}

fn attributes(dir: &OverlayDir, verb: &str, path: &str, follow: bool) -> Answer {
    match verb {
        "set-xattr" => dir.set_xattr_at(path, follow, ATTRIBUTE, b"1")?,
        "remove-xattr" => dir.remove_xattr_at(path, follow, ATTRIBUTE)?,
        "xattr" => return Ok(format!("{:?}", dir.xattr_at(path, follow, ATTRIBUTE)?)),
        _ => return Ok(dir.xattrs_at(path, follow)?.len().to_string()),
    }
    Ok("done".to_owned())
}

fn writable(flags: &str) -> &str {
    if flags.is_empty() { "w" } else { flags }
}

fn bytes(count: usize) -> String {
    format!("{count} bytes")
}

fn number(word: &str) -> u64 {
    match word.parse() {
        Ok(number) => number,
        Err(_) => panic!("{word:?} is not a number"),
    }
}
