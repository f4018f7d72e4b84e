//! [`Scanner`]: makes an index in one pass over the bytes of an archive.

use super::entry::{Item, Sparse, data_bytes, invalid, padded};
use super::index::TarIndex;
use super::pax::Records;
use super::source::Source;
use super::tree::Tree;
use crate::error::{Errno, Error, Result};
use crate::limits::Limits;
use crate::log::Escaped;
use tar_core::HEADER_SIZE;
use tar_core::parse::{ParseError, ParseEvent, ParsedEntry, Parser};

/// Bytes that one read of headers asks for: most entries and their headers fit.
const READ_BYTES: usize = 8 * 1024;

/// The maximum number of chunks of a sparse file.
const MAX_CHUNKS: usize = 65_536;

/// Bytes of a chunk in the map of a sparse file, at most: two numbers and what separates them.
const MAP_BYTES_PER_CHUNK: usize = 42;

/// Makes a [`TarIndex`] from the bytes of an archive, which may come in pieces of any size: while it is
/// decompressed, for example.
///
/// ```
/// use wasi_overlay_core::{Limits, tar::Scanner};
/// # fn main() -> wasi_overlay_core::Result<()> {
/// let mut scanner = Scanner::new(&Limits::default());
/// for piece in [[0; 512], [0; 512]] {
///     scanner.push(&piece)?;
/// }
/// let index = scanner.finish()?;
/// assert_eq!(index.len(), 1); // The root.
/// # Ok(())
/// # }
/// ```
pub struct Scanner {
    parser: Parser,
    tree: Tree,
    globals: Records,
    /// Bytes that do not make a whole header yet.
    buffer: Vec<u8>,
    /// How many bytes the buffer has to hold before it is worth a try.
    needed: usize,
    /// Where the buffer begins in the archive.
    position: u64,
    /// Bytes of data and padding to skip, from `position` on.
    skip: u64,
    /// Where the data of the last entry ends in the archive.
    data_end: u64,
    /// Whether the end of the archive was found. What follows is ignored.
    is_done: bool,
    /// The maximum number of bytes of an entry's headers.
    max_header: usize,
}

impl Scanner {
    /// Begins an archive.
    pub fn new(limits: &Limits) -> Self {
        let header_bytes = limits.archive_header_bytes;
        let parser_limits = tar_core::parse::Limits {
            max_metadata_size: u32::try_from(header_bytes).unwrap_or(u32::MAX),
            max_path_len: Some(u32::try_from(limits.path_bytes).unwrap_or(u32::MAX)),
            max_sparse_entries: MAX_CHUNKS,
            ..tar_core::parse::Limits::default()
        };
        let mut parser = Parser::new(parser_limits);
        // They are read, and refused, by `pax`, which knows signs and fractions.
        parser.set_ignore_pax_errors(true);
        Self {
            parser,
            tree: Tree::new(limits.archive_entries, limits.archive_index_bytes),
            globals: Records::default(),
            buffer: Vec::new(),
            needed: HEADER_SIZE,
            position: 0,
            skip: 0,
            data_end: 0,
            is_done: false,
            max_header: header_bytes
                .saturating_mul(2)
                .saturating_add(MAX_CHUNKS * MAP_BYTES_PER_CHUNK),
        }
    }

    /// Takes the next bytes of the archive.
    ///
    /// # Errors
    /// `invalid` for bytes that are not a tar, or hold something that a layer cannot have; `not-permitted`
    /// for a path that leads out of the layer; `name-too-long` for a name of more than 255 bytes; `unsupported` for an entry of another type; `overflow` past
    /// a bound of [`Limits`]. The message names the entry.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            if self.buffer.is_empty() {
                let consumed = self.consume(bytes)?;
                bytes = &bytes[consumed..];
                if !bytes.is_empty() {
                    self.buffer.extend_from_slice(bytes);
                }
                return Ok(());
            }
            let missing = self.needed.saturating_sub(self.buffer.len());
            let (piece, rest) = bytes.split_at(bytes.len().min(missing.max(READ_BYTES)));
            self.buffer.extend_from_slice(piece);
            bytes = rest;
            if self.buffer.len() >= self.needed {
                let mut buffer = std::mem::take(&mut self.buffer);
                let consumed = self.consume(&buffer)?;
                buffer.drain(..consumed);
                self.buffer = buffer;
            }
        }
        Ok(())
    }

    /// Ends the archive.
    ///
    /// # Errors
    /// `invalid` if it ends in the middle of an entry; `no-entry` for a hard link to a file that it does
    /// not have.
    pub fn finish(self) -> Result<TarIndex> {
        let end = self.position + self.buffer.len() as u64;
        // A lone block of zeroes, or a part of one.
        let has_rest = self.buffer.iter().any(|byte| *byte != 0);
        if self.position == 0 && has_rest {
            return Err(not_a_tar("it is shorter than a header"));
        }
        if has_rest || end < self.data_end {
            return Err(invalid(format_args!(
                "the archive ends after {end} bytes, in the middle of an entry: it is not complete"
            )));
        }
        self.tree.finish(end)
    }

    /// Consumes the whole entries at the begin of `bytes`, and data to skip. Returns how many bytes those
    /// are.
    fn consume(&mut self, bytes: &[u8]) -> Result<usize> {
        let mut at = 0;
        loop {
            let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX);
            let skipped = skipped.min(bytes.len() - at);
            self.skip -= skipped as u64;
            self.advance(skipped);
            at += skipped;
            if self.is_done {
                self.advance(bytes.len() - at);
                return Ok(bytes.len());
            }
            let rest = &bytes[at..];
            if rest.is_empty() {
                self.needed = HEADER_SIZE;
                return Ok(at);
            }
            // One block of zeroes ends an archive for GNU tar, bsdtar and Python, and two for POSIX. What
            // follows the first is shown by none of them.
            if rest.len() >= HEADER_SIZE && rest[..HEADER_SIZE].iter().all(|byte| *byte == 0) {
                self.is_done = true;
                continue;
            }
            let event = self.parser.parse(rest).map_err(parse_error);
            let consumed = match event.map_err(|error| self.located(error))? {
                ParseEvent::NeedData { min_bytes } => {
                    if min_bytes > self.max_header {
                        return Err(self.located(Error::new(
                            Errno::Overflow,
                            "the headers of an entry are larger than \
                             Limits::archive_header_bytes allows",
                        )));
                    }
                    self.needed = min_bytes;
                    return Ok(at);
                }
                ParseEvent::Entry { consumed, entry } => {
                    self.apply(&entry, None, consumed)?;
                    consumed
                }
                ParseEvent::SparseEntry {
                    consumed,
                    entry,
                    sparse_map,
                    real_size,
                } => {
                    let sparse = Sparse {
                        map: sparse_map,
                        size: real_size,
                    };
                    self.apply(&entry, Some(sparse), consumed)?;
                    consumed
                }
                ParseEvent::GlobalExtensions { consumed, pax_data } => {
                    let added = self.globals.add_global(pax_data);
                    added.map_err(|error| self.located(error))?;
                    consumed
                }
                ParseEvent::End { consumed } => {
                    self.is_done = true;
                    consumed
                }
            };
            self.advance(consumed);
            at += consumed;
        }
    }

    fn advance(&mut self, bytes: usize) {
        self.position = self.position.saturating_add(bytes as u64);
    }

    /// Adds an entry whose headers take `consumed` bytes, and skips its data.
    fn apply(
        &mut self,
        entry: &ParsedEntry<'_>,
        sparse: Option<Sparse>,
        consumed: usize,
    ) -> Result<()> {
        let named = |error: Error| error.context(Escaped::new(&entry.path));
        let data = self.position.saturating_add(consumed as u64);
        let bytes = data_bytes(entry);
        let skip = padded(bytes).filter(|skip| data.checked_add(*skip).is_some());
        let Some(skip) = skip else {
            return Err(named(invalid("its size is larger than any archive")));
        };
        self.skip = skip;
        self.data_end = data + bytes;
        self.add(entry, sparse, data).map_err(named)
    }

    fn add(&mut self, entry: &ParsedEntry<'_>, sparse: Option<Sparse>, data: u64) -> Result<()> {
        match Item::new(entry, sparse, data, &self.globals)? {
            Item::Node(node, extras) => self.tree.put(&entry.path, node, &extras),
            Item::Link(target) => self.tree.link(&entry.path, &target),
            Item::Whiteout => self.tree.put_whiteout(&entry.path),
        }
    }

    /// Adds to an error where in the archive it occurred.
    fn located(&self, error: Error) -> Error {
        if self.position == 0 && error.errno() == Errno::Invalid {
            return not_a_tar(error);
        }
        error.context(format_args!("at byte {} of the archive", self.position))
    }

    /// Skips data that a reader need not read, in an archive of `size` bytes. Returns where the next bytes
    /// to push begin.
    fn skip_data(&mut self, size: u64) -> u64 {
        if self.buffer.is_empty() {
            let skipped = self.skip.min(size.saturating_sub(self.position));
            self.position += skipped;
            self.skip -= skipped;
        }
        self.position + self.buffer.len() as u64
    }
}

impl TarIndex {
    /// Makes the index of an archive. Reads its headers and skips its data.
    ///
    /// # Errors
    /// As [`Scanner::push`] and [`Scanner::finish`]; any error of `archive`.
    pub fn scan(archive: &dyn Source, limits: &Limits) -> Result<Self> {
        let size = archive.size()?;
        let mut scanner = Scanner::new(limits);
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let position = scanner.skip_data(size);
            if position >= size {
                break;
            }
            let read = archive.read_at(&mut buffer, position)?;
            if read == 0 || scanner.is_done {
                break;
            }
            scanner.push(&buffer[..read])?;
        }
        // What follows the end of the archive belongs to it, but is not read.
        if scanner.is_done {
            scanner.position = size;
            scanner.buffer.clear();
        }
        scanner.finish()
    }
}

fn not_a_tar(why: impl std::fmt::Display) -> Error {
    invalid(format_args!("it is not a tar archive ({why})")).with_remedy(
        || "a layer is a directory, a tar (plain or compressed with gzip or zstd) or an image",
    )
}

fn parse_error(error: ParseError) -> Error {
    let errno = match error {
        ParseError::PathTooLong { .. }
        | ParseError::MetadataTooLarge { .. }
        | ParseError::TooManyPendingEntries { .. }
        | ParseError::TooManySparseEntries { .. } => Errno::Overflow,
        _ => Errno::Invalid,
    };
    Error::new(errno, error)
}
