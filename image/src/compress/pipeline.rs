//! The pass from a blob to a plain tar: this thread reads and decompresses, and a second one hashes, writes
//! and indexes what comes out, so that the slowest step alone decides how long it takes.
//!
//! A third thread syncs what was written now and then. The disk then writes while the others compute, and
//! little is left for the last sync.

use super::{Decode, Format, HEAD, decoder};
use crate::digest::{Digest, Hasher};
use crate::error::{Bytes, Error, Result};
use crate::limits::unpacked_bytes;
use crate::source::CHUNK;
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use wasi_overlay_core::Limits;
use wasi_overlay_core::tar::{Scanner, TarIndex};

/// Buffers between the two threads: enough for one to go on while the other is in a system call.
const BUFFERS: usize = 8;
/// Bytes after which what was written is synced.
const SYNC_EVERY: u64 = 32 << 20;

/// A blob to read.
pub(crate) struct Input<'a> {
    pub(crate) reader: &'a mut dyn Read,
    /// Names the blob in errors.
    pub(crate) what: &'a str,
    /// Its size, if known. Another size is an error.
    pub(crate) size: Option<u64>,
}

/// Where the plain tar goes.
pub(crate) trait Sink: Sync {
    /// Appends bytes.
    fn write(&self, bytes: &[u8]) -> Result<()>;
    /// Syncs what was written, while more is.
    fn sync_data(&self) -> Result<()>;
}

/// The result of a pass.
pub(crate) struct Unpacked {
    /// The digest and size of the blob.
    pub(crate) blob: Digest,
    pub(crate) blob_bytes: u64,
    /// The digest of the plain tar: the diffID of the layer.
    pub(crate) plain: Digest,
    pub(crate) index: TarIndex,
}

struct Buffer {
    bytes: Box<[u8]>,
    filled: usize,
}

/// Decompresses `input` into `sink`.
///
/// # Errors
/// [`Error::TooLarge`] for a blob that decompresses to more than `limits`; [`Error::WrongSize`];
/// [`Error::Io`] for damaged or truncated data, and for any error of the input and the sink;
/// [`Error::Layer`] for a tar that is not a layer.
pub(crate) fn unpack(mut input: Input<'_>, sink: &dyn Sink, limits: &Limits) -> Result<Unpacked> {
    let what = input.what;
    let (full_sender, full) = sync_channel(BUFFERS);
    let (empty_sender, empty) = sync_channel(BUFFERS);
    for _ in 0..BUFFERS {
        let buffer = Buffer {
            bytes: vec![0; CHUNK].into_boxed_slice(),
            filled: 0,
        };
        // The channel has room for all of them.
        let _ = empty_sender.send(buffer);
    }
    let (sync_sender, syncs) = sync_channel(1);
    thread::scope(|scope| {
        let failed = |error| Error::io("cannot start a thread", error);
        let syncer = thread::Builder::new()
            .spawn_scoped(scope, move || {
                syncs.iter().try_for_each(|()| sink.sync_data())
            })
            .map_err(failed)?;
        let consumer = thread::Builder::new()
            .spawn_scoped(scope, move || {
                consume(what, &full, &empty_sender, &sync_sender, sink, limits)
            })
            .map_err(failed)?;
        let produced = produce(&mut input, &empty, full_sender, limits);
        let consumed = consumer.join();
        let synced = syncer.join();
        let consumed = consumed.map_err(|_| stopped(what));
        // A producer that failed leaves the consumer with a truncated tar, and a consumer that failed makes
        // the producer stop: the first error is the cause.
        let Some((blob, blob_bytes, is_plain)) = produced? else {
            return Err(consumed?.err().unwrap_or_else(|| stopped(what)));
        };
        let (plain, index) = consumed??;
        synced.map_err(|_| stopped(what))??;
        Ok(Unpacked {
            blob: if is_plain { plain } else { blob },
            blob_bytes,
            plain,
            index,
        })
    })
}

fn stopped(what: &str) -> Error {
    Error::io(what, io::Error::other("decompression stopped"))
}

/// Hashes, writes and indexes the plain tar.
fn consume(
    what: &str,
    full: &Receiver<Buffer>,
    empty: &SyncSender<Buffer>,
    syncs: &SyncSender<()>,
    sink: &dyn Sink,
    limits: &Limits,
) -> Result<(Digest, TarIndex)> {
    let failed = |error| Error::layer(what, error);
    let mut scanner = Scanner::new(limits);
    let mut hasher = Hasher::default();
    let mut unsynced = 0;
    for buffer in full {
        let bytes = &buffer.bytes[..buffer.filled];
        scanner.push(bytes).map_err(failed)?;
        hasher.update(bytes);
        sink.write(bytes)?;
        unsynced += bytes.len() as u64;
        if unsynced >= SYNC_EVERY && syncs.try_send(()).is_ok() {
            unsynced = 0;
        }
        // A producer that has ended takes no more buffers.
        let _ = empty.send(buffer);
    }
    let index = scanner.finish().map_err(failed)?;
    Ok((hasher.finish(), index))
}

/// Reads, hashes and decompresses the blob. Returns its digest and size, and whether it is a plain tar,
/// which is hashed only once, by the consumer. `None` if the consumer stopped.
fn produce(
    input: &mut Input<'_>,
    empty: &Receiver<Buffer>,
    full: SyncSender<Buffer>,
    limits: &Limits,
) -> Result<Option<(Digest, u64, bool)>> {
    let what = input.what;
    let mut compressed = Compressed::start(input)?;
    let format = Format::detect(what, compressed.rest())?;
    compressed.is_hashed = format != Format::Plain;
    compressed.hash_rest();
    let mut decoder = decoder(format).map_err(|error| Error::io(what, error))?;
    let mut written = 0;
    loop {
        let Ok(mut buffer) = empty.recv() else {
            return Ok(None);
        };
        buffer.filled = fill(&mut compressed, &mut *decoder, &mut buffer.bytes)?;
        if buffer.filled == 0 {
            break;
        }
        written += buffer.filled as u64;
        let limit = unpacked_bytes(limits, compressed.size());
        if written > limit {
            return Err(Error::TooLarge {
                what: format!("{what}, decompressed,"),
                limit: Bytes(limit),
                remedy: " for a blob of its size".to_owned(),
            });
        }
        if full.send(buffer).is_err() {
            return Ok(None);
        }
    }
    compressed.check_end()?;
    if !decoder.is_complete() {
        return Err(Error::io(
            what,
            io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "it ends in the middle of the compressed data",
            ),
        ));
    }
    let (digest, bytes) = compressed.finish();
    Ok(Some((digest, bytes, format == Format::Plain)))
}

/// Decompresses until `output` is full or the blob ends; returns how many bytes were written.
fn fill(
    compressed: &mut Compressed<'_, '_>,
    decoder: &mut dyn Decode,
    output: &mut [u8],
) -> Result<usize> {
    let mut filled = 0;
    while filled < output.len() {
        compressed.refill()?;
        let (read, written) = decoder
            .decode(compressed.rest(), &mut output[filled..])
            .map_err(|error| Error::io(compressed.input.what, error))?;
        compressed.start += read;
        filled += written;
        if read == 0 && written == 0 {
            if compressed.rest().is_empty() {
                break;
            }
            return Err(Error::malformed(
                compressed.input.what,
                "the decoder makes no progress",
            ));
        }
    }
    Ok(filled)
}

/// The compressed bytes, as they are read and hashed.
struct Compressed<'a, 'b> {
    input: &'a mut Input<'b>,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    total: u64,
    is_at_end: bool,
    is_hashed: bool,
    hasher: Hasher,
}

impl<'a, 'b> Compressed<'a, 'b> {
    /// Reads enough to detect the format.
    fn start(input: &'a mut Input<'b>) -> Result<Self> {
        let mut compressed = Self {
            input,
            buffer: vec![0; CHUNK].into_boxed_slice(),
            start: 0,
            end: 0,
            total: 0,
            is_at_end: false,
            is_hashed: false,
            hasher: Hasher::default(),
        };
        while compressed.end < HEAD && !compressed.is_at_end {
            compressed.read()?;
        }
        Ok(compressed)
    }

    fn rest(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// The size of the blob, or of what was read of it.
    fn size(&self) -> u64 {
        self.input.size.unwrap_or(self.total)
    }

    fn refill(&mut self) -> Result<()> {
        if self.start == self.end && !self.is_at_end {
            (self.start, self.end) = (0, 0);
            self.read()?;
            self.hash_rest();
        }
        Ok(())
    }

    fn hash_rest(&mut self) {
        if self.is_hashed {
            self.hasher.update(&self.buffer[self.start..self.end]);
        }
    }

    /// Reads once, after what is in the buffer.
    fn read(&mut self) -> Result<()> {
        let read = loop {
            match self.input.reader.read(&mut self.buffer[self.end..]) {
                Ok(read) => break read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io(self.input.what, error)),
            }
        };
        self.end += read;
        self.total += read as u64;
        self.is_at_end = read == 0;
        match self.input.size {
            Some(expected) if self.total > expected => Err(self.wrong_size(expected)),
            _ => Ok(()),
        }
    }

    fn check_end(&mut self) -> Result<()> {
        match self.input.size {
            Some(expected) if self.total != expected => Err(self.wrong_size(expected)),
            _ => Ok(()),
        }
    }

    fn wrong_size(&self, expected: u64) -> Error {
        Error::WrongSize {
            what: self.input.what.to_owned(),
            expected,
            actual: self.total,
        }
    }

    fn finish(self) -> (Digest, u64) {
        (self.hasher.finish(), self.total)
    }
}
