//! Sources of bytes: a range of another source, a file of a layer, and a [`std::io::Read`] over one.

use crate::digest::{Digest, Hasher};
use crate::error::{Error, Result};
use std::io;
use std::sync::Arc;
use wasi_overlay_core::layer::{Advice, ReadAt};
use wasi_overlay_core::tar::Source;

/// Bytes read at once.
pub(crate) const CHUNK: usize = 256 << 10;

/// A file of an archive, as a source.
pub(crate) struct FileSource<F>(pub(crate) F);

impl<F: ReadAt> Source for FileSource<F> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> wasi_overlay_core::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn read_vec_at(&self, length: usize, offset: u64) -> wasi_overlay_core::Result<Vec<u8>> {
        self.0.read_vec_at(length, offset)
    }

    fn size(&self) -> wasi_overlay_core::Result<u64> {
        Ok(self.0.meta()?.size)
    }

    fn advise(&self, offset: u64, length: u64, advice: Advice) -> wasi_overlay_core::Result<()> {
        self.0.advise(offset, length, advice)
    }
}

/// Reads a source from its start to its end.
pub(crate) struct Reader {
    source: Arc<dyn Source>,
    position: u64,
}

impl Reader {
    pub(crate) fn new(source: Arc<dyn Source>) -> Self {
        // A hint: reading works without it.
        let _ = source.advise(0, u64::MAX >> 1, Advice::Sequential);
        Self {
            source,
            position: 0,
        }
    }
}

impl io::Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read_at(buffer, self.position)?;
        self.position += read as u64;
        Ok(read)
    }
}

/// The whole of a small source, of at most `limit` bytes. `what` names it in errors.
///
/// # Errors
/// [`Error::TooLarge`]; any error of the source.
pub(crate) fn read_all(source: &dyn Source, what: &str, limit: u64) -> Result<Vec<u8>> {
    let failed = |error: wasi_overlay_core::Error| Error::io(what, error.into());
    let size = source.size().map_err(failed)?;
    if size > limit {
        return Err(Error::too_large(what, limit));
    }
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < size {
        let rest = size - bytes.len() as u64;
        let chunk = usize::try_from(rest).map_or(CHUNK, |rest| rest.min(CHUNK));
        let read = source
            .read_vec_at(chunk, bytes.len() as u64)
            .map_err(failed)?;
        if read.is_empty() {
            return Err(Error::io(what, io::ErrorKind::UnexpectedEof.into()));
        }
        bytes.extend_from_slice(&read);
    }
    Ok(bytes)
}

/// The digest of a whole source.
///
/// # Errors
/// Any error of the source.
pub(crate) fn digest(source: &Arc<dyn Source>, what: &str) -> Result<Digest> {
    let mut hasher = Hasher::default();
    each_chunk(source, what, |chunk| {
        hasher.update(chunk);
        Ok(())
    })?;
    Ok(hasher.finish())
}

/// Calls `each` with all bytes of a source, in order.
///
/// # Errors
/// Any error of the source or of `each`.
pub(crate) fn each_chunk(
    source: &Arc<dyn Source>,
    what: &str,
    mut each: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let mut reader = Reader::new(Arc::clone(source));
    let mut buffer = vec![0; CHUNK];
    loop {
        match io::Read::read(&mut reader, &mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => each(&buffer[..read])?,
            Err(error) => return Err(Error::io(what, error)),
        }
    }
}
