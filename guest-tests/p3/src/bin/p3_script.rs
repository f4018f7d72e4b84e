//! An interpreter of scripts in the format of `guests-script`: each argument is a script or some of its
//! lines.
//!
//! A line of the transcript is a step and its answer, which is that of `p2_script`. Without arguments it runs
//! the example.

use guests_p3::bindings::wasi::cli::environment::get_arguments;
use guests_p3::bindings::wasi::filesystem::preopens::get_directories;
use guests_p3::system_clock::Instant;
use guests_p3::{
    Descriptor, DescriptorFlags, DescriptorStat, DescriptorType, Ended, ErrorCode, NewTimestamp,
    OpenFlags, PathFlags, Result, Sink, StreamReader, StreamResult, append, code, names, root, say,
    sink, write_at,
};
use guests_script::{EXAMPLE, Flags, SLOTS, Step};

guests_p3::command!(run);

async fn run() {
    let mut arguments = get_arguments();
    arguments.drain(..arguments.len().min(1));
    if arguments.is_empty() {
        arguments.push(EXAMPLE.to_owned());
    }
    let mut state = State::default();
    state.slots[0] = Some(root());
    for line in arguments.iter().flat_map(|script| script.lines()) {
        let step = Step::parse(line).unwrap_or_else(|| panic!("no step: {line:?}"));
        let answer = state.step(step).await.unwrap_or_else(|none| match none {
            NoAnswer::Code(error) => code(&error),
            NoAnswer::EmptySlot => "-".to_owned(),
            NoAnswer::End => "end".to_owned(),
        });
        say!("{line} = {answer}");
    }
}

/// The state across steps.
#[derive(Default)]
struct State {
    input: Option<Input>,
    output: Option<Output>,
    slots: [Option<Descriptor>; SLOTS],
}

/// A stream to read from, with its future until that is awaited.
struct Input {
    stream: StreamReader<u8>,
    ended: Option<Ended>,
}

/// A stream to write to, with its future until that is awaited.
struct Output {
    sink: Option<Sink>,
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

impl Input {
    fn new(file: &Descriptor, offset: u64) -> Self {
        let (stream, ended) = file.read_via_stream(offset);
        Self {
            stream,
            ended: Some(ended),
        }
    }

    /// Reads some bytes, and waits until there are any.
    async fn read(&mut self, length: u64) -> std::result::Result<Vec<u8>, NoAnswer> {
        let length = usize::try_from(length).expect("scripts ask for little");
        // A stream that has ended must not be read again.
        let ended = self.ended.take().ok_or(NoAnswer::End)?;
        let (result, data) = self.stream.read(Vec::with_capacity(length)).await;
        if let StreamResult::Complete(_) = result {
            self.ended = Some(ended);
            return Ok(data);
        }
        ended.await?;
        Err(NoAnswer::End)
    }
}

impl Output {
    async fn write(&mut self, text: &str) -> std::result::Result<(), NoAnswer> {
        let (writer, _) = self.sink.as_mut().ok_or(NoAnswer::End)?;
        if writer.write_all(text.as_bytes().to_vec()).await.is_empty() {
            return Ok(());
        }
        if let Some((_, ended)) = self.sink.take() {
            ended.await?;
        }
        Err(NoAnswer::End)
    }
}

impl State {
    fn held(&self, slot: usize) -> std::result::Result<&Descriptor, NoAnswer> {
        self.slots[slot].as_ref().ok_or(NoAnswer::EmptySlot)
    }

    /// The descriptor in a slot, unless it is a file that was not opened with the flags, which otherwise the
    /// future of the stream would report.
    async fn opened_for(
        &self,
        slot: usize,
        flag: DescriptorFlags,
    ) -> std::result::Result<&Descriptor, NoAnswer> {
        let held = self.held(slot)?;
        let is_file = matches!(held.get_type().await?, DescriptorType::RegularFile);
        match is_file && !held.get_flags().await?.contains(flag) {
            true => Err(NoAnswer::Code(ErrorCode::BadDescriptor)),
            false => Ok(held),
        }
    }

    async fn step(&mut self, step: Step<'_>) -> std::result::Result<String, NoAnswer> {
        let done = |()| "done".to_owned();
        Ok(match step {
            Step::Open {
                slot,
                base,
                how,
                path,
            } => {
                let opened = self
                    .held(base)?
                    .open_at(follow(how), path, open_flags(how), flags(how))
                    .await?;
                let answer = name(&opened.get_type().await?).to_owned();
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
                self.slots[slot] = Some(Descriptor(found.ok_or(NoAnswer::EmptySlot)?.0));
                "done".to_owned()
            }
            Step::Read {
                slot,
                offset,
                length,
            } => {
                let (data, end) = self.held(slot)?.read(length, offset).await?;
                format!("{} {end}", data.escape_ascii())
            }
            Step::Write { slot, offset, text } => {
                let written = write_at(self.held(slot)?, text.as_bytes(), offset).await?;
                written.to_string()
            }
            Step::Append { slot, text } => {
                append(self.held(slot)?, text.as_bytes()).await?;
                done(())
            }
            Step::ReadStream {
                slot,
                offset,
                length,
            } => {
                let mut stream = Input::new(self.held(slot)?, offset);
                stream.read(length).await?.escape_ascii().to_string()
            }
            Step::WriteStream { slot, offset, text } => {
                write_at(self.held(slot)?, text.as_bytes(), offset).await?;
                done(())
            }
            Step::KeepInput { slot, offset } => {
                let file = self.opened_for(slot, DescriptorFlags::READ).await?;
                refuse_directory(file, ErrorCode::IsDirectory).await?;
                self.input = Some(Input::new(file, offset));
                done(())
            }
            Step::ReadKept { length } => {
                let stream = self.input.as_mut().ok_or(NoAnswer::EmptySlot)?;
                stream.read(length).await?.escape_ascii().to_string()
            }
            Step::KeepOutput { slot, offset } => {
                let file = self.opened_for(slot, DescriptorFlags::WRITE).await?;
                refuse_directory(file, ErrorCode::BadDescriptor).await?;
                self.output = Some(Output {
                    sink: Some(sink(file, Some(offset))),
                });
                done(())
            }
            Step::WriteKept { text } => {
                let stream = self.output.as_mut().ok_or(NoAnswer::EmptySlot)?;
                done(stream.write(text).await?)
            }
            Step::SetSize { slot, size } => done(self.held(slot)?.set_size(size).await?),
            Step::SetTimes { slot, seconds } => done(
                self.held(slot)?
                    .set_times(NewTimestamp::NoChange, time(seconds))
                    .await?,
            ),
            Step::SetTimesAt {
                base,
                how,
                path,
                seconds,
            } => done(
                self.held(base)?
                    .set_times_at(follow(how), path, NewTimestamp::NoChange, time(seconds))
                    .await?,
            ),
            Step::Sync { slot } => done(self.held(slot)?.sync().await?),
            Step::Stat { slot } => shown(&self.held(slot)?.stat().await?),
            Step::StatAt { base, how, path } => {
                shown(&self.held(base)?.stat_at(follow(how), path).await?)
            }
            Step::List { slot } => list(self.held(slot)?).await?,
            Step::Mkdir { base, path } => done(self.held(base)?.create_directory_at(path).await?),
            Step::Rmdir { base, path } => done(self.held(base)?.remove_directory_at(path).await?),
            Step::Unlink { base, path } => done(self.held(base)?.unlink_file_at(path).await?),
            Step::Symlink { target, base, path } => {
                done(self.held(base)?.symlink_at(target, path).await?)
            }
            Step::Readlink { base, path } => self.held(base)?.readlink_at(path).await?,
            Step::Link {
                base,
                how,
                path,
                new_base,
                new_path,
            } => done(
                self.held(base)?
                    .link_at(follow(how), path, self.held(new_base)?, new_path)
                    .await?,
            ),
            Step::Rename {
                base,
                path,
                new_base,
                new_path,
            } => done(
                self.held(base)?
                    .rename_at(path, self.held(new_base)?, new_path)
                    .await?,
            ),
            Step::IsSame { one, other } => self
                .held(one)?
                .is_same_object(self.held(other)?)
                .await
                .to_string(),
            Step::SameHash {
                slot,
                base,
                how,
                path,
            } => {
                let hash = self.held(slot)?.metadata_hash().await?;
                let other = self.held(base)?.metadata_hash_at(follow(how), path).await?;
                (hash.lower == other.lower && hash.upper == other.upper).to_string()
            }
        })
    }
}

/// Fails immediately for a directory, with the code that the stream's future would report.
async fn refuse_directory(held: &Descriptor, code: ErrorCode) -> Result<()> {
    match held.get_type().await? {
        DescriptorType::Directory => Err(code),
        _ => Ok(()),
    }
}

/// The nanoseconds of the times that a script sets. A clock hardly ever has this value, so it distinguishes a
/// time that was set from one of the clock, which must not be in a transcript.
const SET: u32 = 7;

fn time(seconds: u64) -> NewTimestamp {
    NewTimestamp::Timestamp(Instant {
        seconds: i64::try_from(seconds).expect("scripts set near times"),
        nanoseconds: SET,
    })
}

fn name(kind: &DescriptorType) -> &'static str {
    match kind {
        DescriptorType::Directory => "directory",
        DescriptorType::RegularFile => "file",
        DescriptorType::SymbolicLink => "link",
        _ => "other",
    }
}

fn shown(stat: &DescriptorStat) -> String {
    let size = match &stat.type_ {
        // The size of a directory depends on the filesystem.
        DescriptorType::Directory => String::new(),
        _ => format!(" {}", stat.size),
    };
    let time = match &stat.data_modification_timestamp {
        Some(time) if time.nanoseconds == SET => format!(" at {}", time.seconds),
        Some(_) => String::new(),
        None => " at no time".to_owned(),
    };
    format!("{}{size}{time}", name(&stat.type_))
}

/// The names in a directory. There are none in a removed one, where hosts differ: some fail with `no-entry`,
/// others return an empty listing (`p3_dead` tests the difference).
async fn list(dir: &Descriptor) -> Result<String> {
    match names(dir).await {
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
