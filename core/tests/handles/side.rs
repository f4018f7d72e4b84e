//! One of two trees that must look alike, and steps on it as words.

use wasi_overlay_core::{
    Dir, File, Kind, OpenHow, Opened, Result, SetTime, SetTimes, Stat, Timestamp,
};

/// A tree, what is held in it, and what was answered.
pub(crate) struct Side {
    root: Dir,
    held: Vec<Opened>,
    pub(crate) log: Vec<String>,
}

impl Side {
    pub(crate) fn new(root: Dir) -> Self {
        Self {
            root,
            held: Vec::new(),
            log: Vec::new(),
        }
    }

    pub(crate) fn held(&self) -> usize {
        self.held.len()
    }

    pub(crate) fn is_file(&self, handle: usize) -> bool {
        matches!(self.held[handle], Opened::File(_))
    }

    /// A step by name.
    pub(crate) fn step(&mut self, step: &str) {
        let answer = text(self.by_name(step));
        self.log.push(format!("{step}: {answer}"));
    }

    /// Opens and keeps.
    pub(crate) fn hold(&mut self, step: &str) {
        let (flags, path) = flags_and_path(step);
        let answer = self.root.open_at(path, how(flags)).map(|opened| {
            let answer = look(&opened);
            self.held.push(opened);
            answer
        });
        self.log.push(format!("hold {step}: {}", text(answer)));
    }

    /// A step through a handle, and a look through all of them.
    pub(crate) fn held_step(&mut self, handle: usize, step: &str) {
        let answer = match &self.held[handle] {
            Opened::File(file) => text(on_file(file, step)),
            Opened::Dir(dir) => text(self.on_dir(dir, step)),
        };
        self.log.push(format!("{handle} {step}: {answer}"));
        for (index, opened) in self.held.iter().enumerate() {
            self.log.push(format!("  {index} sees {}", look(opened)));
        }
    }

    /// Which names are the held files.
    pub(crate) fn identities(&mut self, names: &[&str]) {
        for (index, opened) in self.held.iter().enumerate() {
            let mut same: Vec<String> = Vec::new();
            for name in names {
                let there = self.root.identity_at(name, false);
                if there.is_ok_and(|there| opened.identity().is_ok_and(|held| held == there)) {
                    same.push((*name).to_owned());
                }
            }
            for (other, held) in self.held.iter().enumerate() {
                if opened.is_same_object(held).unwrap_or(false) {
                    same.push(format!("#{other}"));
                }
            }
            self.log.push(format!("{index} is {same:?}"));
        }
    }

    /// The whole tree, with data.
    pub(crate) fn tree(&mut self) {
        let mut lines = Vec::new();
        let mut dirs = vec![(String::new(), self.root.clone())];
        while let Some((path, dir)) = dirs.pop() {
            let listing = match dir.list() {
                Ok(listing) => listing,
                Err(error) => {
                    lines.push(format!("{path}/ {:?}", error.errno()));
                    continue;
                }
            };
            for entry in listing.iter() {
                let name = entry.name.to_string();
                let path = format!("{path}/{name}");
                let seen = match dir.open_at(&name, OpenHow::default()) {
                    Ok(opened) => look(&opened),
                    Err(error) => format!("{:?}", error.errno()),
                };
                lines.push(format!("{path} {:?} {seen}", entry.kind));
                if let (Kind::Dir, Ok(Opened::Dir(dir))) =
                    (entry.kind, dir.open_at(&name, OpenHow::default()))
                {
                    dirs.push((path, dir));
                }
            }
        }
        lines.sort();
        self.log.extend(lines);
    }

    fn by_name(&self, step: &str) -> Result<String> {
        let words: Vec<_> = step.split(' ').collect();
        let root = &self.root;
        match *words {
            ["unlink", path] => root.unlink_file_at(path).map(done),
            ["rmdir", path] => root.remove_directory_at(path).map(done),
            ["mkdir", path] => root.create_directory_at(path).map(done),
            ["rename", from, to] => root.rename_at(from, root, to).map(done),
            ["link", from, to] => root.link_at(from, root, to).map(done),
            ["times", path] => root.set_times_at(path, true, at(1_111_111_111)).map(done),
            ["create", path] => {
                let file = file(root.open_at(path, how("wcx"))?);
                file.write_at(b"anew", 0).map(count)
            }
            ["empty", path] => empty(root, path),
            ["write" | "append" | "cut" | "grow", path] => {
                on_file(&file(root.open_at(path, how("w"))?), words[0])
            }
            [open, path] if open.starts_with("open") => {
                let (flags, _) = flags_and_path(step);
                root.open_at(path, how(flags)).map(|opened| look(&opened))
            }
            _ => panic!("no such step: {step}"),
        }
    }

    fn on_dir(&self, dir: &Dir, step: &str) -> Result<String> {
        let words: Vec<_> = step.split(' ').collect();
        match *words {
            ["look"] => Ok("looks".to_owned()),
            ["stat", name] => dir.stat_at(name, true).map(|stat| shown(&stat)),
            ["create", name] => dir.open_at(name, how("wcx")).map(|opened| look(&opened)),
            ["mkdir", name] => dir.create_directory_at(name).map(done),
            ["rmdir", name] => dir.remove_directory_at(name).map(done),
            ["symlink", name] => dir.symlink_at("c", name).map(done),
            ["readlink", name] => dir.readlink_at(name),
            ["rename", from, to] => dir.rename_at(from, dir, to).map(done),
            ["link", from, to] => dir.link_at(from, dir, to).map(done),
            ["unlink", name] => dir.unlink_file_at(name).map(done),
            ["out", from, to] => dir.rename_at(from, &self.root, to).map(done),
            ["in", from, to] => self.root.rename_at(from, dir, to).map(done),
            ["times"] => dir.set_times(at(1_222_222_222)).map(done),
            ["sync"] => dir.sync(true).map(done),
            [_, path] => {
                let (flags, _) = flags_and_path(step);
                dir.open_at(path, how(flags)).map(|opened| look(&opened))
            }
            _ => panic!("no such step: {step}"),
        }
    }
}

fn on_file(file: &File, step: &str) -> Result<String> {
    match step {
        "look" => Ok("looks".to_owned()),
        "write" => file.write_at(b"WW", 1).map(count),
        "append" => file.append(b"+end").map(count),
        "cut" => file.set_size(2).map(done),
        "grow" => file.set_size(12).map(done),
        "times" => file.set_times(at(1_222_222_222)).map(done),
        "sync" => file.sync(false).map(done),
        _ => panic!("no such step: {step}"),
    }
}

fn empty(root: &Dir, path: &str) -> Result<String> {
    let Opened::Dir(dir) = root.open_at(path, OpenHow::default())? else {
        return Ok("a file".to_owned());
    };
    let mut removed = Vec::new();
    for entry in dir.list()?.iter() {
        let name = entry.name.to_str()?;
        if entry.kind == Kind::Dir {
            empty(&dir, name)?;
            dir.remove_directory_at(name)?;
        } else {
            dir.unlink_file_at(name)?;
        }
        removed.push(name.to_owned());
    }
    removed.sort();
    Ok(removed.join(" "))
}

/// All that can be seen through a handle.
fn look(opened: &Opened) -> String {
    let stat = text(opened.stat().map(|stat| shown(&stat)));
    let inside = match opened {
        Opened::File(file) => text(data(file)),
        Opened::Dir(dir) => text(names(dir)),
    };
    format!("{stat} {inside}")
}

fn data(file: &File) -> Result<String> {
    let mut buffer = [0; 64];
    let read = file.read_at(&mut buffer, 0)?;
    Ok(buffer[..read].escape_ascii().to_string())
}

fn names(dir: &Dir) -> Result<String> {
    let listing = dir.list()?;
    let mut names: Vec<_> = listing.iter().map(|e| e.name.to_string()).collect();
    names.sort();
    Ok(format!("{names:?}"))
}

/// What two trees that look alike must show alike.
fn shown(stat: &Stat) -> String {
    let time = match stat.modified.seconds {
        seconds if seconds > 1_500_000_000 => "now".to_owned(),
        seconds => seconds.to_string(),
    };
    match stat.kind {
        Kind::Dir => format!("Dir {time}"),
        kind => format!("{kind:?} of {} x{} {time}", stat.size, stat.links),
    }
}

fn flags_and_path(step: &str) -> (&str, &str) {
    let (open, path) = step.split_once(' ').unwrap();
    (open.split_once('.').map_or("", |(_, flags)| flags), path)
}

fn how(flags: &str) -> OpenHow {
    OpenHow {
        follow: true,
        create: flags.contains('c'),
        directory: false,
        exclusive: flags.contains('x'),
        truncate: flags.contains('t'),
        read: flags.contains('r'),
        write: flags.contains('w'),
    }
}

fn file(opened: Opened) -> File {
    match opened {
        Opened::File(file) => file,
        Opened::Dir(_) => panic!("a directory"),
    }
}

pub(crate) fn at(seconds: i64) -> SetTimes {
    SetTimes {
        accessed: SetTime::Keep,
        modified: SetTime::To(Timestamp {
            seconds,
            nanoseconds: 0,
        }),
    }
}

fn done((): ()) -> String {
    "done".to_owned()
}

fn count(bytes: usize) -> String {
    format!("{bytes} bytes")
}

fn text(result: Result<String>) -> String {
    result.unwrap_or_else(|error| format!("{:?}", error.errno()))
}
