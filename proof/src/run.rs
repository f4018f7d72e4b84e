//! Makes the steps of a script on a directory of a mount: an overlay or a live one.
//!
//! Every step is answered with a line; an error with its code, as WASI spells it. The lines are
//! those of the guest program `p2_script`, less what a host does to a call before the engine has
//! it, and more where the engine knows more: the number of a file's names, if it has several.

use crate::layers::{self, SET};
use guests_script::{Flags, SLOTS, Step};
use std::fmt::Write;
use wasi_overlay_core::{
    Dir, Errno, Error, File, Identity, Kind, Listing, OpenHow, Opened, Stat, Timestamp,
};

/// Most bytes of one read, so that no script asks for memory.
const READ: u64 = 1 << 16;

/// Makes steps, and holds across them what they open.
#[derive(Debug)]
pub struct Runner {
    slots: [Option<Opened>; SLOTS],
    input: Option<(File, u64)>,
    output: Option<(File, u64)>,
}

/// Why a step has no answer of its own.
pub(crate) enum Stop {
    Code(Errno),
    /// There is nothing in the slot.
    Nothing,
    /// The stream is at its end.
    End,
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Code(error.errno())
    }
}

impl From<Errno> for Stop {
    fn from(code: Errno) -> Self {
        Self::Code(code)
    }
}

impl Stop {
    /// The line that says so.
    pub(crate) fn into_line(self) -> String {
        match self {
            Self::Code(code) => name_of(code),
            Self::Nothing => "-".to_owned(),
            Self::End => "end".to_owned(),
        }
    }
}

/// A code as WASI spells it.
pub fn name_of(code: Errno) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

impl Runner {
    /// A runner whose slot 0 holds `root`.
    pub fn new(root: Dir) -> Self {
        let mut slots: [Option<Opened>; SLOTS] = Default::default();
        slots[0] = Some(Opened::Dir(root));
        Self {
            slots,
            input: None,
            output: None,
        }
    }

    /// What a slot holds.
    pub fn slot(&self, slot: usize) -> Option<&Opened> {
        self.slots.get(slot)?.as_ref()
    }

    /// Makes a step; its answer.
    pub fn step(&mut self, step: Step<'_>) -> String {
        self.answer(step).unwrap_or_else(Stop::into_line)
    }

    fn held(&self, slot: usize) -> Result<&Opened, Stop> {
        self.slots[slot].as_ref().ok_or(Stop::Nothing)
    }

    fn dir(&self, slot: usize) -> Result<&Dir, Stop> {
        match self.held(slot)? {
            Opened::Dir(dir) => Ok(dir),
            Opened::File(_) => Err(Errno::NotDirectory.into()),
        }
    }

    fn file(&self, slot: usize) -> Result<&File, Stop> {
        match self.held(slot)? {
            Opened::File(file) => Ok(file),
            Opened::Dir(_) => Err(Errno::BadDescriptor.into()),
        }
    }

    /// The file, if it was opened for that: a stream is asked for it when it is made.
    fn readable(&self, slot: usize) -> Result<&File, Stop> {
        let file = self.file(slot)?;
        match file.is_readable() {
            true => Ok(file),
            false => Err(Errno::BadDescriptor.into()),
        }
    }

    fn writable(&self, slot: usize) -> Result<&File, Stop> {
        let file = self.file(slot)?;
        match file.is_writable() {
            true => Ok(file),
            false => Err(Errno::BadDescriptor.into()),
        }
    }

    fn answer(&mut self, step: Step<'_>) -> Result<String, Stop> {
        let done = |made: Result<(), Error>| made.map(|()| "done".to_owned());
        Ok(match step {
            Step::Open {
                slot,
                base,
                how,
                path,
            } => {
                let opened = self.dir(base)?.open_at(path, open_how(how))?;
                let answer = match opened {
                    Opened::File(_) => "file",
                    Opened::Dir(_) => "directory",
                };
                self.slots[slot] = Some(opened);
                answer.to_owned()
            }
            Step::Close { slot } => {
                self.slots[slot].take().ok_or(Stop::Nothing)?;
                "done".to_owned()
            }
            // There is but one preopened directory, and it has no name here.
            Step::Preopen { .. } => return Err(Stop::Nothing),
            Step::Read {
                slot,
                offset,
                length,
            } => {
                let data = read(self.file(slot)?, offset, length)?;
                format!("{} {}", data.escape_ascii(), data.is_empty())
            }
            Step::Write { slot, offset, text } => self
                .file(slot)?
                .write_at(text.as_bytes(), offset)?
                .to_string(),
            Step::Append { slot, text } => {
                let file = self.writable(slot)?;
                write_all(text, |rest| file.append(rest))?
            }
            Step::ReadStream {
                slot,
                offset,
                length,
            } => stream(read(self.readable(slot)?, offset, length)?, length)?,
            Step::WriteStream { slot, offset, text } => {
                let file = self.writable(slot)?;
                let mut at = offset;
                write_all(text, |rest| {
                    let done = file.write_at(rest, at)?;
                    at += done as u64;
                    Ok::<_, Error>(done)
                })?
            }
            Step::KeepInput { slot, offset } => {
                self.input = Some((self.readable(slot)?.clone(), offset));
                "done".to_owned()
            }
            Step::ReadKept { length } => {
                let (file, at) = self.input.as_mut().ok_or(Stop::Nothing)?;
                let data = read(file, *at, length)?;
                *at += data.len() as u64;
                stream(data, length)?
            }
            Step::KeepOutput { slot, offset } => {
                self.output = Some((self.writable(slot)?.clone(), offset));
                "done".to_owned()
            }
            Step::WriteKept { text } => {
                let (file, at) = self.output.as_mut().ok_or(Stop::Nothing)?;
                write_all(text, |rest| {
                    let done = file.write_at(rest, *at)?;
                    *at += done as u64;
                    Ok::<_, Error>(done)
                })?
            }
            Step::SetSize { slot, size } => done(self.file(slot)?.set_size(size))?,
            Step::SetTimes { slot, seconds } => {
                let times = layers::at(seconds);
                done(match self.held(slot)? {
                    Opened::File(file) => file.set_times(times),
                    Opened::Dir(dir) => dir.set_times(times),
                })?
            }
            Step::SetTimesAt {
                base,
                how,
                path,
                seconds,
            } => {
                let times = layers::at(seconds);
                done(self.dir(base)?.set_times_at(path, follow(how), times))?
            }
            Step::Sync { slot } => done(match self.held(slot)? {
                Opened::File(file) => file.sync(false),
                Opened::Dir(dir) => dir.sync(false),
            })?,
            Step::Stat { slot } => shown(&match self.held(slot)? {
                Opened::File(file) => file.stat()?,
                Opened::Dir(dir) => dir.stat()?,
            }),
            Step::StatAt { base, how, path } => shown(&self.dir(base)?.stat_at(path, follow(how))?),
            Step::List { slot } => list(self.dir(slot)?)?,
            Step::Mkdir { base, path } => done(self.dir(base)?.create_directory_at(path))?,
            Step::Rmdir { base, path } => done(self.dir(base)?.remove_directory_at(path))?,
            Step::Unlink { base, path } => done(self.dir(base)?.unlink_file_at(path))?,
            Step::Symlink { target, base, path } => done(self.dir(base)?.symlink_at(target, path))?,
            Step::Readlink { base, path } => self.dir(base)?.readlink_at(path)?,
            Step::Link {
                base,
                how,
                path,
                new_base,
                new_path,
            } => {
                let (old, new) = (self.dir(base)?, self.dir(new_base)?);
                if follow(how) {
                    return Err(Errno::Invalid.into());
                }
                done(old.link_at(path, new, new_path))?
            }
            Step::Rename {
                base,
                path,
                new_base,
                new_path,
            } => done(
                self.dir(base)?
                    .rename_at(path, self.dir(new_base)?, new_path),
            )?,
            Step::IsSame { one, other } => {
                (self.identity(one)? == self.identity(other)?).to_string()
            }
            Step::SameHash {
                slot,
                base,
                how,
                path,
            } => {
                let held = self.identity(slot)?;
                let other = self.dir(base)?.identity_at(path, follow(how))?;
                (held == other).to_string()
            }
        })
    }

    fn identity(&self, slot: usize) -> Result<Identity, Stop> {
        Ok(match self.held(slot)? {
            Opened::File(file) => file.identity()?,
            Opened::Dir(dir) => dir.identity()?,
        })
    }
}

fn follow(how: Flags<'_>) -> bool {
    !how.has('n')
}

fn open_how(how: Flags<'_>) -> OpenHow {
    OpenHow {
        follow: follow(how),
        create: how.has('c'),
        directory: how.has('d'),
        exclusive: how.has('x'),
        truncate: how.has('t'),
        read: how.has('r'),
        write: how.has('w'),
    }
}

/// What is there, up to `length` bytes; a short read is not the end.
pub(crate) fn read(file: &File, offset: u64, length: u64) -> Result<Vec<u8>, Error> {
    let mut data = vec![0; usize::try_from(length.min(READ)).unwrap_or(0)];
    let mut done = 0;
    loop {
        let read = file.read_at(&mut data[done..], offset + done as u64)?;
        done += read;
        if read == 0 || done == data.len() {
            data.truncate(done);
            return Ok(data);
        }
    }
}

/// What a stream answers: an end where there is no more.
fn stream(data: Vec<u8>, length: u64) -> Result<String, Stop> {
    match data.is_empty() && length > 0 {
        true => Err(Stop::End),
        false => Ok(data.escape_ascii().to_string()),
    }
}

fn write_all(
    text: &str,
    mut write: impl FnMut(&[u8]) -> Result<usize, Error>,
) -> Result<String, Stop> {
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        let done = write(rest)?;
        rest = &rest[done..];
    }
    Ok("done".to_owned())
}

/// The line for what a file is.
pub(crate) fn shown(stat: &Stat) -> String {
    let mut line = kind_name(stat.kind).to_owned();
    if stat.kind != Kind::Dir {
        // A directory's size and links are its filesystem's affair.
        let _ = write!(line, " {}", stat.size);
        if stat.links != 1 {
            let _ = write!(line, " links {}", stat.links);
        }
    }
    line + &time(stat.modified)
}

/// A time that was set; not one of the clock.
fn time(time: Timestamp) -> String {
    match time.nanoseconds {
        SET => format!(" at {}", time.seconds),
        _ => String::new(),
    }
}

pub(crate) fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Dir => "directory",
        Kind::File => "file",
        Kind::Symlink => "link",
        Kind::Fifo | Kind::Socket | Kind::CharDevice | Kind::BlockDevice => "other",
    }
}

/// The names in a directory. A removed one has none, whether that is an error (`no-entry`) or an
/// empty listing: hosts differ.
fn list(dir: &Dir) -> Result<String, Stop> {
    match dir.list() {
        Ok(listing) => Ok(names(&listing)),
        Err(error) if error.is_not_found() => Ok("[]".to_owned()),
        Err(error) => Err(error.into()),
    }
}

fn names(listing: &Listing) -> String {
    let mut names: Vec<_> = listing
        .iter()
        .map(|entry| format!("{} {}", entry.name, kind_name(entry.kind)))
        .collect();
    names.sort();
    format!("{names:?}")
}
