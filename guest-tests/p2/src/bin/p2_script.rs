//! An interpreter of scripts in the format of `guests-script`: each argument is a script or some of its
//! lines.
//!
//! A line of the transcript is a step and its answer. Without arguments it runs the example.

use guests_p2::bindings::wasi::cli::environment::get_arguments;
use guests_p2::bindings::wasi::filesystem::preopens::get_directories;
use guests_p2::wall_clock::Datetime;
use guests_p2::{
    Descriptor, DescriptorFlags, DescriptorStat, DescriptorType, ErrorCode, InputStream,
    NewTimestamp, OpenFlags, OutputStream, PathFlags, Result, StreamError, filesystem_error_code,
    names, root, say,
};
use guests_script::{EXAMPLE, Flags, SLOTS, Step};

guests_p2::command!(run);

fn run() {
    let mut arguments = get_arguments();
    arguments.drain(..arguments.len().min(1));
    if arguments.is_empty() {
        arguments.push(EXAMPLE.to_owned());
    }
    let mut state = State::default();
    state.slots[0] = Some(root());
    for line in arguments.iter().flat_map(|script| script.lines()) {
        let step = Step::parse(line).unwrap_or_else(|| panic!("no step: {line:?}"));
        let answer = state.step(step).unwrap_or_else(|none| match none {
            NoAnswer::Code(code) => code.name().to_owned(),
            NoAnswer::EmptySlot => "-".to_owned(),
            NoAnswer::End => "end".to_owned(),
        });
        say!("{line} = {answer}");
    }
}

/// The state across steps.
#[derive(Default)]
struct State {
    // Fields are dropped in this order, and streams have to be dropped before their descriptors.
    input: Option<InputStream>,
    output: Option<OutputStream>,
    slots: [Option<Descriptor>; SLOTS],
}

/// Why a step has no value as its answer.
enum NoAnswer {
    Code(ErrorCode),
    /// The slot is empty.
    EmptySlot,
    /// The stream is at its end.
    End,
}

impl From<ErrorCode> for NoAnswer {
    fn from(code: ErrorCode) -> Self {
        Self::Code(code)
    }
}

impl From<StreamError> for NoAnswer {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::Closed => Self::End,
            // A stream's error without a filesystem code counts as any other failure.
            StreamError::LastOperationFailed(error) => {
                Self::Code(filesystem_error_code(&error).unwrap_or(ErrorCode::Io))
            }
        }
    }
}

impl State {
    fn held(&self, slot: usize) -> std::result::Result<&Descriptor, NoAnswer> {
        self.slots[slot].as_ref().ok_or(NoAnswer::EmptySlot)
    }

    /// The descriptor in a slot, unless it is a file that was not opened with the flags. Some hosts report
    /// that when a stream is made and some when it is used (`p2_stream_write` tests the difference).
    fn opened_for(
        &self,
        slot: usize,
        flag: DescriptorFlags,
    ) -> std::result::Result<&Descriptor, NoAnswer> {
        let held = self.held(slot)?;
        let is_file = held.get_type()? == DescriptorType::RegularFile;
        match is_file && !held.get_flags()?.contains(flag) {
            true => Err(NoAnswer::Code(ErrorCode::BadDescriptor)),
            false => Ok(held),
        }
    }

    fn step(&mut self, step: Step<'_>) -> std::result::Result<String, NoAnswer> {
        let done = |()| "done".to_owned();
        Ok(match step {
            Step::Open {
                slot,
                base,
                how,
                path,
            } => {
                let opened =
                    self.held(base)?
                        .open_at(follow(how), path, open_flags(how), flags(how))?;
                let answer = name(opened.get_type()?).to_owned();
                self.slots[slot] = Some(opened);
                answer
            }
            Step::Close { slot } => {
                self.slots[slot].take().ok_or(NoAnswer::EmptySlot)?;
                "done".to_owned()
            }
            Step::Preopen { slot, name } => {
                let mut all = get_directories().into_iter();
                let found = all.find(|(_, known)| known == name);
                self.slots[slot] = Some(found.ok_or(NoAnswer::EmptySlot)?.0);
                "done".to_owned()
            }
            Step::Read {
                slot,
                offset,
                length,
            } => {
                let (data, end) = self.held(slot)?.read(length, offset)?;
                format!("{} {end}", data.escape_ascii())
            }
            Step::Write { slot, offset, text } => {
                self.held(slot)?.write(text.as_bytes(), offset)?.to_string()
            }
            Step::Append { slot, text } => {
                let stream = self.held(slot)?.append_via_stream()?;
                done(stream.blocking_write_and_flush(text.as_bytes())?)
            }
            Step::ReadStream {
                slot,
                offset,
                length,
            } => {
                let stream = self.held(slot)?.read_via_stream(offset)?;
                stream.blocking_read(length)?.escape_ascii().to_string()
            }
            Step::WriteStream { slot, offset, text } => {
                let stream = self.held(slot)?.write_via_stream(offset)?;
                done(stream.blocking_write_and_flush(text.as_bytes())?)
            }
            Step::KeepInput { slot, offset } => {
                let file = self.opened_for(slot, DescriptorFlags::READ)?;
                self.input = Some(file.read_via_stream(offset)?);
                "done".to_owned()
            }
            Step::ReadKept { length } => {
                let stream = self.input.as_ref().ok_or(NoAnswer::EmptySlot)?;
                stream.blocking_read(length)?.escape_ascii().to_string()
            }
            Step::KeepOutput { slot, offset } => {
                let file = self.opened_for(slot, DescriptorFlags::WRITE)?;
                self.output = Some(file.write_via_stream(offset)?);
                "done".to_owned()
            }
            Step::WriteKept { text } => {
                let stream = self.output.as_ref().ok_or(NoAnswer::EmptySlot)?;
                done(stream.blocking_write_and_flush(text.as_bytes())?)
            }
            Step::SetSize { slot, size } => done(self.held(slot)?.set_size(size)?),
            Step::SetTimes { slot, seconds } => done(
                self.held(slot)?
                    .set_times(NewTimestamp::NoChange, time(seconds))?,
            ),
            Step::SetTimesAt {
                base,
                how,
                path,
                seconds,
            } => done(self.held(base)?.set_times_at(
                follow(how),
                path,
                NewTimestamp::NoChange,
                time(seconds),
            )?),
            Step::Sync { slot } => done(self.held(slot)?.sync()?),
            Step::Stat { slot } => shown(&self.held(slot)?.stat()?),
            Step::StatAt { base, how, path } => {
                shown(&self.held(base)?.stat_at(follow(how), path)?)
            }
            Step::List { slot } => list(self.held(slot)?)?,
            Step::Mkdir { base, path } => done(self.held(base)?.create_directory_at(path)?),
            Step::Rmdir { base, path } => done(self.held(base)?.remove_directory_at(path)?),
            Step::Unlink { base, path } => done(self.held(base)?.unlink_file_at(path)?),
            Step::Symlink { target, base, path } => {
                done(self.held(base)?.symlink_at(target, path)?)
            }
            Step::Readlink { base, path } => self.held(base)?.readlink_at(path)?,
            Step::Link {
                base,
                how,
                path,
                new_base,
                new_path,
            } => {
                done(
                    self.held(base)?
                        .link_at(follow(how), path, self.held(new_base)?, new_path)?,
                )
            }
            Step::Rename {
                base,
                path,
                new_base,
                new_path,
            } => done(
                self.held(base)?
                    .rename_at(path, self.held(new_base)?, new_path)?,
            ),
            Step::IsSame { one, other } => self
                .held(one)?
                .is_same_object(self.held(other)?)
                .to_string(),
            Step::SameHash {
                slot,
                base,
                how,
                path,
            } => {
                let hash = self.held(slot)?.metadata_hash()?;
                let other = self.held(base)?.metadata_hash_at(follow(how), path)?;
                (hash.lower == other.lower && hash.upper == other.upper).to_string()
            }
        })
    }
}

/// The nanoseconds of the times that a script sets. A clock hardly ever has this value, so it distinguishes a
/// time that was set from one of the clock, which must not be in a transcript.
const SET: u32 = 7;

fn time(seconds: u64) -> NewTimestamp {
    NewTimestamp::Timestamp(Datetime {
        seconds,
        nanoseconds: SET,
    })
}

fn name(kind: DescriptorType) -> &'static str {
    match kind {
        DescriptorType::Directory => "directory",
        DescriptorType::RegularFile => "file",
        DescriptorType::SymbolicLink => "link",
        _ => "other",
    }
}

fn shown(stat: &DescriptorStat) -> String {
    let size = match stat.type_ {
        // The size of a directory depends on the filesystem.
        DescriptorType::Directory => String::new(),
        _ => format!(" {}", stat.size),
    };
    let time = match stat.data_modification_timestamp {
        Some(time) if time.nanoseconds == SET => format!(" at {}", time.seconds),
        Some(_) => String::new(),
        None => " at no time".to_owned(),
    };
    format!("{}{size}{time}", name(stat.type_))
}

/// The names in a directory. There are none in a removed one, where hosts differ: some fail with `no-entry`,
/// others return an empty listing (`p2_dead` tests the difference).
fn list(dir: &Descriptor) -> Result<String> {
    match names(dir) {
        Ok(names) => Ok(format!("{names:?}")),
        Err(ErrorCode::NoEntry) => Ok("[]".to_owned()),
        Err(code) => Err(code),
    }
}

fn follow(how: Flags<'_>) -> PathFlags {
    match how.has('n') {
        true => PathFlags::empty(),
        false => PathFlags::SYMLINK_FOLLOW,
    }
}

fn open_flags(how: Flags<'_>) -> OpenFlags {
    let flag = |letter, flag| match how.has(letter) {
        true => flag,
        false => OpenFlags::empty(),
    };
    flag('c', OpenFlags::CREATE)
        | flag('d', OpenFlags::DIRECTORY)
        | flag('x', OpenFlags::EXCLUSIVE)
        | flag('t', OpenFlags::TRUNCATE)
}

fn flags(how: Flags<'_>) -> DescriptorFlags {
    let flag = |letter, flag| match how.has(letter) {
        true => flag,
        false => DescriptorFlags::empty(),
    };
    flag('r', DescriptorFlags::READ)
        | flag('w', DescriptorFlags::WRITE)
        | flag('m', DescriptorFlags::MUTATE_DIRECTORY)
}
