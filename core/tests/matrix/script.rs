//! Operations as lines of text, so that the table of them can be read.
//!
//! A script is steps between `;`. A step is a word and paths: `@` is the name under test, `^` the
//! directory it stands in, any other path is relative to the root. Letters behind a dot are flags:
//! `open.rwc` opens for reading and writing and creates.
//!
//! `hold.rw @` opens and keeps the handle; steps that begin with `held` are done to it, and steps
//! that begin with `in` take paths relative to it.

use crate::tree::mtime;
use wasi_overlay_core::{Dir, File, Kind, OpenHow, Opened, Result, SetTime, SetTimes, Stat};

/// A script as it is run: what it holds open.
pub(crate) struct Script<'a> {
    root: &'a Dir,
    slot: &'a str,
    held: Option<Opened>,
}

impl<'a> Script<'a> {
    /// A script at `slot`, of which nothing was run.
    pub(crate) fn new(root: &'a Dir, slot: &'a str) -> Self {
        Self {
            root,
            slot,
            held: None,
        }
    }

    /// Runs `script` at `slot` and returns what each step answered.
    pub(crate) fn run(root: &'a Dir, slot: &'a str, script: &str) -> Vec<String> {
        let mut this = Self::new(root, slot);
        script
            .split(';')
            .map(|step| format!("{}: {}", step.trim(), this.take(step)))
            .collect()
    }

    /// Runs one step and returns what it answered.
    pub(crate) fn take(&mut self, step: &str) -> String {
        let words: Vec<_> = step.split_whitespace().collect();
        let answer = self.step(&words);
        answer.unwrap_or_else(|error| format!("{:?}", error.errno()))
    }

    fn path(&self, path: &str) -> String {
        let parent = self.slot.rsplit_once('/').map_or(".", |(parent, _)| parent);
        match (path.strip_prefix('@'), path.strip_prefix('^')) {
            (Some(rest), _) => format!("{}{rest}", self.slot),
            (_, Some(rest)) => format!("{parent}{rest}"),
            _ => path.to_owned(),
        }
    }

    fn step(&mut self, words: &[&str]) -> Result<String> {
        match words {
            ["held", rest @ ..] => self.held(rest),
            ["in", rest @ ..] => match self.held.clone() {
                Some(Opened::Dir(dir)) => self.at(&dir, rest),
                Some(Opened::File(_)) | None => Ok("no directory is held".to_owned()),
            },
            _ => self.at(&self.root.clone(), words),
        }
    }

    fn at(&mut self, dir: &Dir, words: &[&str]) -> Result<String> {
        let (word, flags) = words[0].split_once('.').unwrap_or((words[0], ""));
        let path = self.path(words.get(1).copied().unwrap_or_default());
        let path = path.as_str();
        let second = self.path(words.get(2).copied().unwrap_or_default());
        let follow = !flags.contains('n');
        let done = |()| "done".to_owned();
        match word {
            "open" => Ok(look(&dir.open_at(path, how(flags))?)),
            "hold" => {
                let opened = dir.open_at(path, how(flags))?;
                let answer = look(&opened);
                self.held = Some(opened);
                Ok(answer)
            }
            "stat" => dir.stat_at(path, follow).map(|stat| shown(&stat)),
            "same" => {
                let (one, two) = (
                    dir.identity_at(path, false)?,
                    dir.identity_at(&second, false)?,
                );
                Ok(format!("{}", one == two))
            }
            "readlink" => dir.readlink_at(path),
            "times" => dir
                .set_times_at(path, follow, mtime(1_234_567_890))
                .map(done),
            "now" => dir.set_times_at(path, follow, NOW).map(done),
            "keep" => dir
                .set_times_at(path, follow, SetTimes::default())
                .map(done),
            "mkdir" => dir.create_directory_at(path).map(done),
            "rmdir" => dir.remove_directory_at(path).map(done),
            "unlink" => dir.unlink_file_at(path).map(done),
            // The target is not a path of the script.
            "symlink" => dir.symlink_at(words[1], &second).map(done),
            "link" => dir.link_at(path, self.root, &second).map(done),
            "rename" => dir.rename_at(path, self.root, &second).map(done),
            "write" | "append" | "cut" | "grow" | "sync" => {
                let flags = if word == "sync" { "r" } else { "w" };
                match (dir.open_at(path, how(flags))?, word) {
                    (Opened::File(file), "write") => file.write_at(b"WW", 1).map(count),
                    (Opened::File(file), "append") => file.append(b"end").map(count),
                    (Opened::File(file), "cut") => file.set_size(3).map(done),
                    (Opened::File(file), "grow") => file.set_size(100).map(done),
                    (Opened::File(file), _) => file.sync(false).map(done),
                    (Opened::Dir(dir), _) => dir.sync(false).map(done),
                }
            }
            _ => panic!("no such step: {words:?}"),
        }
    }

    fn held(&mut self, words: &[&str]) -> Result<String> {
        let done = |()| "done".to_owned();
        match (self.held.as_ref(), words) {
            (None, _) => Ok("nothing is held".to_owned()),
            (Some(opened), ["look"]) => Ok(look(opened)),
            (Some(Opened::File(file)), ["write"]) => file.write_at(b"HH", 2).map(count),
            (Some(Opened::File(file)), ["append"]) => file.append(b"held").map(count),
            (Some(Opened::File(file)), ["cut"]) => file.set_size(2).map(done),
            (Some(Opened::File(file)), ["times"]) => file.set_times(mtime(1_222_222_222)).map(done),
            (Some(Opened::File(file)), ["sync"]) => file.sync(true).map(done),
            (Some(Opened::File(file)), ["is", path]) => {
                let path = self.path(path);
                let there = self.root.identity_at(&path, false)?;
                Ok(format!("{}", file.identity()? == there))
            }
            (Some(Opened::Dir(dir)), ["list"]) => names(dir),
            (Some(Opened::Dir(dir)), ["times"]) => dir.set_times(mtime(1_222_222_222)).map(done),
            (Some(Opened::Dir(dir)), ["sync"]) => dir.sync(true).map(done),
            (Some(Opened::Dir(dir)), ["is", path]) => {
                let path = self.path(path);
                let there = self.root.identity_at(&path, false)?;
                Ok(format!("{}", dir.identity()? == there))
            }
            (Some(_), _) => Ok("of another kind".to_owned()),
        }
    }
}

const NOW: SetTimes = SetTimes {
    accessed: SetTime::Now,
    modified: SetTime::Now,
};

fn count(bytes: usize) -> String {
    format!("{bytes} bytes")
}

fn how(flags: &str) -> OpenHow {
    OpenHow {
        follow: !flags.contains('n'),
        create: flags.contains('c'),
        directory: flags.contains('d'),
        exclusive: flags.contains('x'),
        truncate: flags.contains('t'),
        read: flags.contains('r'),
        write: flags.contains('w'),
    }
}

/// All that can be seen through a handle.
fn look(opened: &Opened) -> String {
    let text =
        |result: Result<String>| result.unwrap_or_else(|error| format!("{:?}", error.errno()));
    match opened {
        Opened::Dir(dir) => {
            let stat = text(dir.stat().map(|stat| shown(&stat)));
            format!("{stat} {}", text(names(dir)))
        }
        Opened::File(file) => {
            let stat = text(file.stat().map(|stat| shown(&stat)));
            let rights = (file.is_readable(), file.is_writable());
            format!("{stat} {rights:?} {}", text(data(file)))
        }
    }
}

pub(crate) fn data(file: &File) -> Result<String> {
    let mut all = Vec::new();
    let mut buffer = [0; 256];
    loop {
        match file.read_at(&mut buffer, all.len() as u64)? {
            0 => return Ok(all.escape_ascii().to_string()),
            n => all.extend_from_slice(&buffer[..n]),
        }
    }
}

/// Checks what listings promise on the way.
pub(crate) fn names(dir: &Dir) -> Result<String> {
    let listing = dir.list()?;
    let mut names = Vec::new();
    for entry in listing.iter() {
        let (stat, identity) = dir.stat_and_identity_at(entry.name.to_str()?, false)?;
        // 0 says that the listing does not know.
        let inodes = [identity.lower, 0];
        let wrong = if entry.kind == stat.kind && inodes.contains(&entry.inode()?) {
            ""
        } else {
            " (listed as another)"
        };
        names.push(format!("{}{wrong}", entry.name));
    }
    names.sort();
    Ok(format!("{names:?}"))
}

/// What two trees that look alike must show alike.
pub(crate) fn shown(stat: &Stat) -> String {
    let time = match stat.modified.seconds {
        seconds if seconds > 1_500_000_000 => "now".to_owned(),
        seconds => format!("{seconds}.{}", stat.modified.nanoseconds),
    };
    match stat.kind {
        Kind::Dir => format!("Dir {time}"),
        kind => format!("{kind:?} of {} x{} {time}", stat.size, stat.links),
    }
}
