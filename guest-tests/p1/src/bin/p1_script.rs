//! An interpreter of scripts in the format of `guests-script`: each argument is a script or some of its
//! lines.
//!
//! A line of the transcript is a step and its answer. Without arguments it runs the example.
//!
//! The answers are those of `p2_script`: errors have the names of later versions of WASI. WASI 0.1 has no
//! streams, so a read or write of a stream is one that continues at the end of the previous one.

use guests_p1::wasi::{
    self, FDFLAGS_APPEND, FILETYPE_DIRECTORY, FILETYPE_REGULAR_FILE, FILETYPE_SYMBOLIC_LINK,
    FSTFLAGS_MTIM, Fd, Filestat, LOOKUPFLAGS_SYMLINK_FOLLOW, OFLAGS_CREAT, OFLAGS_DIRECTORY,
    OFLAGS_EXCL, OFLAGS_TRUNC, RIGHTS_FD_READ, RIGHTS_FD_SEEK, RIGHTS_FD_WRITE,
};
use guests_p1::{ROOT, raw, script_code};
use guests_script::{EXAMPLE, Flags, SLOTS, Step};
use std::rc::Rc;

fn main() {
    let mut scripts: Vec<_> = std::env::args().skip(1).collect();
    if scripts.is_empty() {
        scripts.push(EXAMPLE.to_owned());
    }
    let mut state = State::default();
    state.slots[0] = Some(Rc::new(Held::Preopen(ROOT)));
    for line in scripts.iter().flat_map(|script| script.lines()) {
        let step = Step::parse(line).unwrap_or_else(|| panic!("no step: {line:?}"));
        let answer = state.step(step).unwrap_or_else(|none| match none {
            NoAnswer::Code(code) => script_code(code).to_owned(),
            NoAnswer::EmptySlot => "-".to_owned(),
            NoAnswer::End => "end".to_owned(),
        });
        println!("{line} = {answer}");
    }
}

/// The state across steps.
#[derive(Default)]
struct State {
    input: Option<Stream>,
    output: Option<Stream>,
    slots: [Option<Rc<Held>>; SLOTS],
}

/// A descriptor that is closed when nothing holds it any more.
enum Held {
    Opened(Fd),
    /// A preopened descriptor, which stays open.
    Preopen(Fd),
}

/// A file with the position of the next read or write; no file after the end or an error.
struct Stream {
    file: Option<Rc<Held>>,
    position: u64,
}

/// Why a step has no value as its answer.
enum NoAnswer {
    Code(wasi::Errno),
    /// The slot is empty.
    EmptySlot,
    /// The stream is at its end.
    End,
}

impl From<wasi::Errno> for NoAnswer {
    fn from(code: wasi::Errno) -> Self {
        Self::Code(code)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Self::Opened(fd) = self {
            raw::close(*fd).expect("it is open");
        }
    }
}

impl Held {
    fn fd(&self) -> Fd {
        match self {
            Self::Opened(fd) | Self::Preopen(fd) => *fd,
        }
    }

    fn status(&self) -> raw::Result<wasi::Fdstat> {
        // SAFETY: a call to the host; the descriptor is a number.
        unsafe { wasi::fd_fdstat_get(self.fd()) }
    }

    fn set_flags(&self, flags: wasi::Fdflags) -> raw::Result<()> {
        // SAFETY: a call to the host.
        unsafe { wasi::fd_fdstat_set_flags(self.fd(), flags) }
    }
}

type Answer<T> = std::result::Result<T, NoAnswer>;

impl Stream {
    /// Makes one read or write of the file, which continues at the end of the previous one.
    fn transfer<T>(
        &mut self,
        call: impl FnOnce(Fd, u64) -> raw::Result<T>,
        length: impl FnOnce(&T) -> usize,
    ) -> Answer<T> {
        let file = self.file.take().ok_or(NoAnswer::End)?;
        let done = call(file.fd(), self.position)?;
        match length(&done) {
            0 => Err(NoAnswer::End),
            length => {
                self.position += length as u64;
                self.file = Some(file);
                Ok(done)
            }
        }
    }
}

impl State {
    fn held(&self, slot: usize) -> Answer<&Rc<Held>> {
        self.slots[slot].as_ref().ok_or(NoAnswer::EmptySlot)
    }

    fn fd(&self, slot: usize) -> Answer<Fd> {
        Ok(self.held(slot)?.fd())
    }

    /// A stream on the file in a slot, if it was opened with the right. For a directory the answer is
    /// `directory`, as it depends on the call in later versions.
    fn stream(
        &self,
        slot: usize,
        position: u64,
        right: wasi::Rights,
        directory: wasi::Errno,
    ) -> Answer<Stream> {
        let held = self.held(slot)?;
        let status = held.status()?;
        if status.fs_filetype == FILETYPE_DIRECTORY {
            return Err(directory.into());
        }
        if status.fs_rights_base & right == 0 {
            return Err(wasi::ERRNO_BADF.into());
        }
        let file = Some(held.clone());
        Ok(Stream { file, position })
    }

    fn step(&mut self, step: Step<'_>) -> Answer<String> {
        let done = |()| "done".to_owned();
        Ok(match step {
            Step::Open {
                slot,
                base,
                how,
                path,
            } => {
                let base = self.fd(base)?;
                let fd = raw::open(base, path, follow(how), open_flags(how), rights(how), 0)?;
                let opened = Held::Opened(fd);
                let answer = name(opened.status()?.fs_filetype).to_owned();
                self.slots[slot] = Some(Rc::new(opened));
                answer
            }
            Step::Close { slot } => {
                self.slots[slot].take().ok_or(NoAnswer::EmptySlot)?;
                "done".to_owned()
            }
            Step::Preopen { slot, name } => {
                self.slots[slot] = Some(Rc::new(preopen(name).ok_or(NoAnswer::EmptySlot)?));
                "done".to_owned()
            }
            Step::Read {
                slot,
                offset,
                length,
            } => {
                let data = raw::pread(self.fd(slot)?, limit_length(length), offset)?;
                format!("{} {}", data.escape_ascii(), data.is_empty())
            }
            Step::Write { slot, offset, text } => {
                raw::pwrite(self.fd(slot)?, text.as_bytes(), offset)?.to_string()
            }
            Step::Append { slot, text } => {
                let held = self.held(slot)?;
                held.set_flags(FDFLAGS_APPEND)?;
                let written = raw::write(held.fd(), text.as_bytes());
                held.set_flags(0)?;
                assert_eq!(written?, text.len(), "a file takes all");
                "done".to_owned()
            }
            Step::ReadStream {
                slot,
                offset,
                length,
            } => {
                let mut stream = self.stream(slot, offset, !0, wasi::ERRNO_ISDIR)?;
                read(&mut stream, length)?
            }
            Step::WriteStream { slot, offset, text } => {
                let mut stream = self.stream(slot, offset, !0, wasi::ERRNO_BADF)?;
                write(&mut stream, text)?
            }
            Step::KeepInput { slot, offset } => {
                let stream = self.stream(slot, offset, RIGHTS_FD_READ, wasi::ERRNO_ISDIR)?;
                self.input = Some(stream);
                "done".to_owned()
            }
            Step::ReadKept { length } => {
                read(self.input.as_mut().ok_or(NoAnswer::EmptySlot)?, length)?
            }
            Step::KeepOutput { slot, offset } => {
                let stream = self.stream(slot, offset, RIGHTS_FD_WRITE, wasi::ERRNO_BADF)?;
                self.output = Some(stream);
                "done".to_owned()
            }
            Step::WriteKept { text } => {
                write(self.output.as_mut().ok_or(NoAnswer::EmptySlot)?, text)?
            }
            Step::SetSize { slot, size } => {
                // SAFETY: a call to the host.
                done(unsafe { wasi::fd_filestat_set_size(self.fd(slot)?, size) }?)
            }
            Step::SetTimes { slot, seconds } => {
                let (fd, time) = (self.fd(slot)?, time(seconds));
                // SAFETY: a call to the host.
                done(unsafe { wasi::fd_filestat_set_times(fd, 0, time, FSTFLAGS_MTIM) }?)
            }
            Step::SetTimesAt {
                base,
                how,
                path,
                seconds,
            } => {
                let (fd, time) = (self.fd(base)?, time(seconds));
                let lookup = lookup(how);
                // SAFETY: a call to the host; the path outlives it.
                done(unsafe {
                    wasi::path_filestat_set_times(fd, lookup, path, 0, time, FSTFLAGS_MTIM)
                }?)
            }
            Step::Sync { slot } => {
                // SAFETY: a call to the host.
                done(unsafe { wasi::fd_sync(self.fd(slot)?) }?)
            }
            Step::Stat { slot } => shown(&raw::fstat(self.fd(slot)?)?),
            Step::StatAt { base, how, path } => {
                shown(&raw::stat(self.fd(base)?, path, follow(how))?)
            }
            Step::List { slot } => list(self.fd(slot)?)?,
            Step::Mkdir { base, path } => done(raw::mkdir(self.fd(base)?, path)?),
            Step::Rmdir { base, path } => done(raw::rmdir(self.fd(base)?, path)?),
            Step::Unlink { base, path } => done(raw::unlink(self.fd(base)?, path)?),
            Step::Symlink { target, base, path } => {
                done(raw::symlink(target, self.fd(base)?, path)?)
            }
            Step::Readlink { base, path } => raw::readlink(self.fd(base)?, path, 4096)?,
            Step::Link {
                base,
                how,
                path,
                new_base,
                new_path,
            } => {
                let (fd, new_fd) = (self.fd(base)?, self.fd(new_base)?);
                // SAFETY: a call to the host; the paths outlive it.
                done(unsafe { wasi::path_link(fd, lookup(how), path, new_fd, new_path) }?)
            }
            Step::Rename {
                base,
                path,
                new_base,
                new_path,
            } => done(raw::rename(
                self.fd(base)?,
                path,
                self.fd(new_base)?,
                new_path,
            )?),
            Step::IsSame { one, other } => {
                let (one, other) = (self.fd(one)?, self.fd(other)?);
                (identity(&raw::fstat(one)?) == identity(&raw::fstat(other)?)).to_string()
            }
            Step::SameHash {
                slot,
                base,
                how,
                path,
            } => {
                let (fd, base) = (self.held(slot)?.fd(), self.fd(base));
                let open = identity(&raw::fstat(fd)?);
                (open == identity(&raw::stat(base?, path, follow(how))?)).to_string()
            }
        })
    }
}

fn read(stream: &mut Stream, length: u64) -> Answer<String> {
    let data = stream.transfer(|fd, at| raw::pread(fd, limit_length(length), at), Vec::len)?;
    Ok(data.escape_ascii().to_string())
}

fn write(stream: &mut Stream, text: &str) -> Answer<String> {
    let written = stream.transfer(
        |fd, at| raw::pwrite(fd, text.as_bytes(), at),
        |count| *count,
    )?;
    assert_eq!(written, text.len(), "a file takes all");
    Ok("done".to_owned())
}

fn preopen(name: &str) -> Option<Held> {
    for fd in ROOT.. {
        // SAFETY: a call to the host.
        let stat = unsafe { wasi::fd_prestat_get(fd) }.ok()?;
        // SAFETY: only directories can be preopened, so this is the field that is set.
        let mut path = vec![0; unsafe { stat.u.dir.pr_name_len }];
        // SAFETY: the buffer has the length that is passed.
        unsafe { wasi::fd_prestat_dir_name(fd, path.as_mut_ptr(), path.len()) }.ok()?;
        if path == name.as_bytes() {
            return Some(Held::Preopen(fd));
        }
    }
    None
}

fn limit_length(length: u64) -> usize {
    usize::try_from(length).expect("scripts ask for little")
}

fn identity(stat: &Filestat) -> (u64, u64) {
    (stat.dev, stat.ino)
}

/// Nanoseconds of the times that a script sets, as in `p2_script`.
const SET: u64 = 7;

fn time(seconds: u64) -> u64 {
    seconds * 1_000_000_000 + SET
}

fn name(kind: wasi::Filetype) -> &'static str {
    match kind {
        FILETYPE_DIRECTORY => "directory",
        FILETYPE_REGULAR_FILE => "file",
        FILETYPE_SYMBOLIC_LINK => "link",
        _ => "other",
    }
}

fn shown(stat: &Filestat) -> String {
    let size = match stat.filetype {
        FILETYPE_DIRECTORY => String::new(),
        _ => format!(" {}", stat.size),
    };
    let time = match stat.mtim % 1_000_000_000 {
        SET => format!(" at {}", stat.mtim / 1_000_000_000),
        _ => String::new(),
    };
    format!("{}{size}{time}", name(stat.filetype))
}

/// The names in a directory; none if it was removed, as in `p2_script`.
fn list(dir: Fd) -> raw::Result<String> {
    let entries = match raw::readdir_all(dir, 4096) {
        Err(wasi::ERRNO_NOENT) => Vec::new(),
        entries => entries?,
    };
    let mut names: Vec<_> = entries
        .iter()
        .filter(|entry| !matches!(&*entry.name, "." | ".."))
        .map(|entry| {
            let letter = match entry.kind {
                kind if kind == FILETYPE_DIRECTORY.raw() => 'd',
                kind if kind == FILETYPE_REGULAR_FILE.raw() => 'f',
                kind if kind == FILETYPE_SYMBOLIC_LINK.raw() => 'l',
                _ => '?',
            };
            format!("{letter} {}", entry.name)
        })
        .collect();
    names.sort();
    Ok(format!("{names:?}"))
}

fn follow(how: Flags<'_>) -> bool {
    !how.has('n')
}

fn lookup(how: Flags<'_>) -> wasi::Lookupflags {
    match follow(how) {
        true => LOOKUPFLAGS_SYMLINK_FOLLOW,
        false => 0,
    }
}

fn open_flags(how: Flags<'_>) -> wasi::Oflags {
    let flag = |letter, flag| if how.has(letter) { flag } else { 0 };
    flag('c', OFLAGS_CREAT)
        | flag('d', OFLAGS_DIRECTORY)
        | flag('x', OFLAGS_EXCL)
        | flag('t', OFLAGS_TRUNC)
}

fn rights(how: Flags<'_>) -> wasi::Rights {
    let right = |letter, right| if how.has(letter) { right } else { 0 };
    right('r', RIGHTS_FD_READ) | right('w', RIGHTS_FD_WRITE) | RIGHTS_FD_SEEK
}
