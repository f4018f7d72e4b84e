//! A text format for scripts of filesystem calls, and its parser. With it one guest can make any sequence of
//! calls.
//!
//! Each line of a script is a step. A step consists of words with one space between them: the call, then
//! numbers, flags and paths. `-` means no flags, or the empty path.
//!
//! ```text
//! open 1 0 rwc a/b       opens a/b below the directory in slot 0, and stores the descriptor in slot 1
//! write 1 5 text         writes to the file in slot 1, at offset 5
//! rename 0 a/b 0 c
//! read 1 0 100
//! ```
//!
//! At the start, slot 0 holds the first preopened directory. The answer of a step on an empty slot is `-`, so
//! that any sequence of steps is a valid script. The descriptor in a slot stays open until the slot gets
//! another one. The format is the same for every version of WASI.

pub mod works;

/// A script for the fixture of the guests, with a few calls of each kind.
pub const EXAMPLE: &str = include_str!("example.txt");

/// The number of slots.
pub const SLOTS: usize = 8;

/// The flags of a call, one letter each.
///
/// For `open`: `r`ead, `w`rite, `m`utate directory, `c`reate, `d`irectory, e`x`clusive,
/// `t`runcate. For every path: `n`ot through a symbolic link at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags<'a>(&'a str);

impl Flags<'_> {
    /// Whether a flag is set.
    pub fn has(self, letter: char) -> bool {
        self.0.contains(letter)
    }
}

/// One step of a script. `base` is the slot of the directory from which a path starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the fields are what the WASI calls of these names take"
)]
pub enum Step<'a> {
    Open {
        slot: usize,
        base: usize,
        how: Flags<'a>,
        path: &'a str,
    },
    Close {
        slot: usize,
    },
    /// Stores the preopened directory of that name in a slot.
    Preopen {
        slot: usize,
        name: &'a str,
    },
    Read {
        slot: usize,
        offset: u64,
        length: u64,
    },
    Write {
        slot: usize,
        offset: u64,
        text: &'a str,
    },
    Append {
        slot: usize,
        text: &'a str,
    },
    /// Reads through a stream that is closed at the end of the step.
    ReadStream {
        slot: usize,
        offset: u64,
        length: u64,
    },
    /// Writes through a stream that is closed at the end of the step.
    WriteStream {
        slot: usize,
        offset: u64,
        text: &'a str,
    },
    /// Opens the input stream, of which there is one at a time.
    KeepInput {
        slot: usize,
        offset: u64,
    },
    /// Reads from the input stream.
    ReadKept {
        length: u64,
    },
    /// Opens the output stream, of which there is one at a time.
    KeepOutput {
        slot: usize,
        offset: u64,
    },
    /// Writes to the output stream.
    WriteKept {
        text: &'a str,
    },
    SetSize {
        slot: usize,
        size: u64,
    },
    SetTimes {
        slot: usize,
        seconds: u64,
    },
    SetTimesAt {
        base: usize,
        how: Flags<'a>,
        path: &'a str,
        seconds: u64,
    },
    Sync {
        slot: usize,
    },
    Stat {
        slot: usize,
    },
    StatAt {
        base: usize,
        how: Flags<'a>,
        path: &'a str,
    },
    List {
        slot: usize,
    },
    Mkdir {
        base: usize,
        path: &'a str,
    },
    Rmdir {
        base: usize,
        path: &'a str,
    },
    Unlink {
        base: usize,
        path: &'a str,
    },
    Symlink {
        target: &'a str,
        base: usize,
        path: &'a str,
    },
    Readlink {
        base: usize,
        path: &'a str,
    },
    Link {
        base: usize,
        how: Flags<'a>,
        path: &'a str,
        new_base: usize,
        new_path: &'a str,
    },
    Rename {
        base: usize,
        path: &'a str,
        new_base: usize,
        new_path: &'a str,
    },
    /// Whether two slots hold the same object.
    IsSame {
        one: usize,
        other: usize,
    },
    /// Whether a slot and a path have the same metadata hash.
    SameHash {
        slot: usize,
        base: usize,
        how: Flags<'a>,
        path: &'a str,
    },
}

impl<'a> Step<'a> {
    /// Parses a line; returns `None` if it is not a step.
    pub fn parse(line: &'a str) -> Option<Self> {
        let mut words = Words(line.split(' '));
        let step = words.step()?;
        words.0.next().is_none().then_some(step)
    }
}

/// The remaining words of a line.
struct Words<'a>(std::str::Split<'a, char>);

impl<'a> Words<'a> {
    fn step(&mut self) -> Option<Step<'a>> {
        // Rust evaluates the fields in the order in which they are written here.
        Some(match self.text()? {
            "open" => Step::Open {
                slot: self.slot()?,
                base: self.slot()?,
                how: self.flags()?,
                path: self.path()?,
            },
            "close" => Step::Close { slot: self.slot()? },
            "preopen" => Step::Preopen {
                slot: self.slot()?,
                name: self.text()?,
            },
            "read" => Step::Read {
                slot: self.slot()?,
                offset: self.number()?,
                length: self.number()?,
            },
            "write" => Step::Write {
                slot: self.slot()?,
                offset: self.number()?,
                text: self.text()?,
            },
            "append" => Step::Append {
                slot: self.slot()?,
                text: self.text()?,
            },
            "read-stream" => Step::ReadStream {
                slot: self.slot()?,
                offset: self.number()?,
                length: self.number()?,
            },
            "write-stream" => Step::WriteStream {
                slot: self.slot()?,
                offset: self.number()?,
                text: self.text()?,
            },
            "keep-input" => Step::KeepInput {
                slot: self.slot()?,
                offset: self.number()?,
            },
            "read-kept" => Step::ReadKept {
                length: self.number()?,
            },
            "keep-output" => Step::KeepOutput {
                slot: self.slot()?,
                offset: self.number()?,
            },
            "write-kept" => Step::WriteKept { text: self.text()? },
            "set-size" => Step::SetSize {
                slot: self.slot()?,
                size: self.number()?,
            },
            "set-times" => Step::SetTimes {
                slot: self.slot()?,
                seconds: self.number()?,
            },
            "set-times-at" => Step::SetTimesAt {
                base: self.slot()?,
                how: self.flags()?,
                path: self.path()?,
                seconds: self.number()?,
            },
            "sync" => Step::Sync { slot: self.slot()? },
            "stat" => Step::Stat { slot: self.slot()? },
            "stat-at" => Step::StatAt {
                base: self.slot()?,
                how: self.flags()?,
                path: self.path()?,
            },
            "list" => Step::List { slot: self.slot()? },
            "mkdir" => Step::Mkdir {
                base: self.slot()?,
                path: self.path()?,
            },
            "rmdir" => Step::Rmdir {
                base: self.slot()?,
                path: self.path()?,
            },
            "unlink" => Step::Unlink {
                base: self.slot()?,
                path: self.path()?,
            },
            "symlink" => Step::Symlink {
                target: self.path()?,
                base: self.slot()?,
                path: self.path()?,
            },
            "readlink" => Step::Readlink {
                base: self.slot()?,
                path: self.path()?,
            },
            "link" => Step::Link {
                base: self.slot()?,
                how: self.flags()?,
                path: self.path()?,
                new_base: self.slot()?,
                new_path: self.path()?,
            },
            "rename" => Step::Rename {
                base: self.slot()?,
                path: self.path()?,
                new_base: self.slot()?,
                new_path: self.path()?,
            },
            "is-same" => Step::IsSame {
                one: self.slot()?,
                other: self.slot()?,
            },
            "same-hash" => Step::SameHash {
                slot: self.slot()?,
                base: self.slot()?,
                how: self.flags()?,
                path: self.path()?,
            },
            _ => return None,
        })
    }

    fn text(&mut self) -> Option<&'a str> {
        self.0.next().filter(|word| !word.is_empty())
    }

    fn path(&mut self) -> Option<&'a str> {
        self.text().map(|word| if word == "-" { "" } else { word })
    }

    fn flags(&mut self) -> Option<Flags<'a>> {
        let word = self.text()?;
        let known = word == "-" || word.chars().all(|letter| "rwmcdxtn".contains(letter));
        known.then_some(Flags(word))
    }

    fn number(&mut self) -> Option<u64> {
        self.text()?.parse().ok()
    }

    fn slot(&mut self) -> Option<usize> {
        self.text()?.parse().ok().filter(|slot| *slot < SLOTS)
    }
}
