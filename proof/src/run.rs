//! The runner of steps on a mount: an overlay, a live directory, or the reference.
//!
//! Every step has an answer of one line; an error is its code. The steps are those of the guest program
//! `p2_script`. The answers contain more than a guest gets: the types in a listing, and link counts.

use crate::deviations::Deviation;
use crate::layers;
use crate::mount::{Engine, Held, Mount};
use crate::outcome;
use guests_script::{Flags, SLOTS, Step};
use std::fmt::Write;
use wasi_overlay_core::{Dir, Errno, Error, Identity, Kind, OpenHow, Stat};

type Slot<M> = Held<<M as Mount>::Dir, <M as Mount>::File>;

/// The interpreter of steps, with the handles that they open.
#[derive(Clone, Debug)]
pub struct Runner<M: Mount = Engine> {
    /// The mount.
    pub mount: M,
    slots: [Option<Slot<M>>; SLOTS],
    input: Option<(M::File, u64)>,
    output: Option<(M::File, u64)>,
}

/// Why a call has no answer of its own.
pub(crate) enum Stop {
    /// It failed.
    Code(Errno),
    /// The slot is empty.
    Nothing,
    /// The stream is at its end.
    End,
}

impl From<Errno> for Stop {
    fn from(code: Errno) -> Self {
        Self::Code(code)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Code(error.errno())
    }
}

impl Stop {
    /// The answer of the call.
    pub(crate) fn text(self) -> String {
        match self {
            Self::Code(code) => outcome::code(code),
            Self::Nothing => "-".to_owned(),
            Self::End => "end".to_owned(),
        }
    }
}

impl Runner {
    /// A runner whose slot 0 holds `root`.
    pub fn new(root: Dir) -> Self {
        Self::on(Engine, root)
    }
}

impl<M: Mount> Runner<M> {
    /// A runner whose slot 0 holds `root`, a directory of `mount`.
    pub fn on(mount: M, root: M::Dir) -> Self {
        let mut slots: [Option<Slot<M>>; SLOTS] = Default::default();
        slots[0] = Some(Held::Dir(root));
        Self {
            mount,
            slots,
            input: None,
            output: None,
        }
    }

    /// Drops all handles, and continues at `root`.
    pub fn restart(&mut self, root: M::Dir) {
        self.slots = Default::default();
        self.slots[0] = Some(Held::Dir(root));
        (self.input, self.output) = (None, None);
    }

    /// The handle in a slot.
    pub fn slot(&self, slot: usize) -> Option<&Slot<M>> {
        self.slots.get(slot)?.as_ref()
    }

    /// Makes a step, and returns its answer or its error code.
    pub fn step(&mut self, step: Step<'_>) -> String {
        self.answer(step).unwrap_or_else(Stop::text)
    }

    /// Makes a step.
    ///
    /// # Errors
    /// Its error code, or `-` if a slot is empty, or `end` at the end of a stream.
    pub fn try_step(&mut self, step: Step<'_>) -> Result<String, String> {
        self.answer(step).map_err(Stop::text)
    }

    /// Keeps a handle in the first free slot.
    ///
    /// # Panics
    /// If no slot is free.
    pub(crate) fn hold(&mut self, handle: Slot<M>) {
        let free = self.slots.iter_mut().find(|slot| slot.is_none());
        *free.expect("a free slot") = Some(handle);
    }

    pub(crate) fn held(&self, slot: usize) -> Result<Slot<M>, Stop> {
        self.slots[slot].clone().ok_or(Stop::Nothing)
    }

    pub(crate) fn dir(&self, slot: usize) -> Result<M::Dir, Stop> {
        match self.held(slot)? {
            Held::Dir(dir) => Ok(dir),
            Held::File(_) => Err(Errno::NotDirectory.into()),
        }
    }

    fn file(&self, slot: usize) -> Result<M::File, Stop> {
        match self.held(slot)? {
            Held::File(file) => Ok(file),
            Held::Dir(_) => Err(Errno::BadDescriptor.into()),
        }
    }

    /// The file, if it is open for reading. A stream checks that when it is created.
    fn readable(&self, slot: usize) -> Result<M::File, Stop> {
        let file = self.file(slot)?;
        if self.mount.may(&file).read {
            Ok(file)
        } else {
            Err(Errno::BadDescriptor.into())
        }
    }

    fn writable(&self, slot: usize) -> Result<M::File, Stop> {
        let file = self.file(slot)?;
        if self.mount.may(&file).write {
            Ok(file)
        } else {
            Err(Errno::BadDescriptor.into())
        }
    }

    pub(crate) fn answer(&mut self, step: Step<'_>) -> Result<String, Stop> {
        let done = |made: Result<(), Errno>| made.map(|()| "done".to_owned());
        Ok(match step {
            Step::Open {
                slot,
                base,
                how,
                path,
            } => {
                let base = self.dir(base)?;
                let opened = self.mount.open_at(&base, path, open_how(how))?;
                let answer = match opened {
                    Held::File(_) => "file",
                    Held::Dir(_) => "directory",
                };
                self.slots[slot] = Some(opened);
                answer.to_owned()
            }
            Step::Close { slot } => {
                self.slots[slot].take().ok_or(Stop::Nothing)?;
                "done".to_owned()
            }
            // The only preopened directory has no name here.
            Step::Preopen { .. } => return Err(Stop::Nothing),
            Step::Read {
                slot,
                offset,
                length,
            } => {
                let file = self.file(slot)?;
                let data = self.mount.read(&file, offset, length)?;
                format!("{} {}", data.escape_ascii(), data.is_empty())
            }
            Step::Write { slot, offset, text } => {
                let file = self.file(slot)?;
                self.mount
                    .write(&file, offset, text.as_bytes())?
                    .to_string()
            }
            Step::Append { slot, text } => {
                let file = self.writable(slot)?;
                done(self.mount.append(&file, text.as_bytes()))?
            }
            Step::ReadStream {
                slot,
                offset,
                length,
            } => {
                let file = self.readable(slot)?;
                stream(self.mount.read(&file, offset, length)?, length)?
            }
            Step::WriteStream { slot, offset, text } => {
                let file = self.writable(slot)?;
                self.mount.write(&file, offset, text.as_bytes())?;
                "done".to_owned()
            }
            Step::KeepInput { slot, offset } => {
                self.input = Some((self.readable(slot)?, offset));
                "done".to_owned()
            }
            Step::ReadKept { length } => {
                let (file, at) = self.input.as_mut().ok_or(Stop::Nothing)?;
                let data = self.mount.read(file, *at, length)?;
                *at += data.len() as u64;
                stream(data, length)?
            }
            Step::KeepOutput { slot, offset } => {
                self.output = Some((self.writable(slot)?, offset));
                "done".to_owned()
            }
            Step::WriteKept { text } => {
                let (file, at) = self.output.as_mut().ok_or(Stop::Nothing)?;
                *at += self.mount.write(file, *at, text.as_bytes())? as u64;
                "done".to_owned()
            }
            Step::SetSize { slot, size } => {
                let file = self.file(slot)?;
                done(self.mount.set_size(&file, size))?
            }
            Step::SetTimes { slot, seconds } => {
                let held = self.held(slot)?;
                done(self.mount.set_times(&held, layers::at(seconds)))?
            }
            Step::SetTimesAt {
                base,
                how,
                path,
                seconds,
            } => {
                let (base, times) = (self.dir(base)?, layers::at(seconds));
                done(self.mount.set_times_at(&base, path, follow(how), times))?
            }
            Step::Sync { slot } => {
                let held = self.held(slot)?;
                done(self.mount.sync(&held))?
            }
            Step::Stat { slot } => {
                let held = self.held(slot)?;
                shown(&self.mount.stat(&held)?)
            }
            Step::StatAt { base, how, path } => {
                let base = self.dir(base)?;
                shown(&self.mount.stat_at(&base, path, follow(how))?)
            }
            Step::List { slot } => {
                let dir = self.dir(slot)?;
                list(self.mount.list(&dir))?
            }
            Step::Mkdir { base, path } => {
                let base = self.dir(base)?;
                done(self.mount.create_directory_at(&base, path))?
            }
            Step::Rmdir { base, path } => {
                let base = self.dir(base)?;
                done(self.mount.remove_directory_at(&base, path))?
            }
            Step::Unlink { base, path } => {
                let base = self.dir(base)?;
                done(self.mount.unlink_file_at(&base, path))?
            }
            Step::Symlink { target, base, path } => {
                let base = self.dir(base)?;
                done(self.mount.symlink_at(target, &base, path))?
            }
            Step::Readlink { base, path } => {
                let base = self.dir(base)?;
                self.mount.readlink_at(&base, path)?
            }
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
                done(self.mount.link_at(&old, path, &new, new_path))?
            }
            Step::Rename {
                base,
                path,
                new_base,
                new_path,
            } => {
                let (old, new) = (self.dir(base)?, self.dir(new_base)?);
                done(self.mount.rename_at(&old, path, &new, new_path))?
            }
            Step::IsSame { one, other } => {
                (self.identity(one)? == self.identity(other)?).to_string()
            }
            Step::SameHash {
                slot,
                base,
                how,
                path,
            } => {
                let (held, base) = (self.identity(slot)?, self.dir(base)?);
                let other = self.mount.identity_at(&base, path, follow(how))?;
                (held == other).to_string()
            }
        })
    }

    fn identity(&mut self, slot: usize) -> Result<Identity, Stop> {
        let held = self.held(slot)?;
        Ok(self.mount.identity(&held)?)
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

/// The answer of a stream, which ends after the last byte.
fn stream(data: Vec<u8>, length: u64) -> Result<String, Stop> {
    if data.is_empty() && length > 0 {
        Err(Stop::End)
    } else {
        Ok(data.escape_ascii().to_string())
    }
}

/// The metadata in which an overlay and a plain directory must agree.
pub fn shown(stat: &Stat) -> String {
    let mut line = outcome::stat(stat);
    if stat.kind == Kind::Dir && !Deviation::Attributes.is_listed() {
        let _ = write!(line, " of {} x{}", stat.size, stat.links);
    }
    line
}

pub(crate) fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Dir => "directory",
        Kind::File => "file",
        Kind::Symlink => "link",
        Kind::Fifo | Kind::Socket | Kind::CharDevice | Kind::BlockDevice => "other",
    }
}

/// The names in a directory. For a removed directory some hosts fail with `NoEntry` and others return an
/// empty listing; both count as empty.
fn list(listed: Result<Vec<(String, Kind)>, Errno>) -> Result<String, Stop> {
    let mut names: Vec<_> = match listed {
        Err(Errno::NoEntry) => Vec::new(),
        listed => listed?
            .into_iter()
            .map(|(name, kind)| format!("{name} {}", kind_name(kind)))
            .collect(),
    };
    names.sort();
    Ok(format!("{names:?}"))
}
