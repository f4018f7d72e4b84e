//! [`PartialBlob`]: a blob that is being downloaded, and goes on where an earlier download stopped.

use super::files::Temp;
use super::follow::Progress;
use super::{PARTIAL, Store, blob_name};
use crate::digest::{Digest, Hasher};
use crate::error::{Error, Result};
use crate::source::CHUNK;
use std::io::Read;
use std::sync::Arc;

/// A blob that is being downloaded. Its bytes survive a drop and a crash, and the next download of the same
/// digest goes on after them. It gets its final name only after its digest was checked.
///
/// It is locked against other processes until it is dropped.
pub struct PartialBlob {
    pub(super) digest: Digest,
    pub(super) size: Option<u64>,
    pub(super) progress: Arc<Progress>,
    state: State,
}

enum State {
    /// The store has the blob, perhaps since another process completed it.
    Complete { length: u64 },
    /// Some of its bytes are missing.
    Partial {
        temp: Temp,
        length: u64,
        hasher: Hasher,
    },
}

impl Store {
    /// Begins or continues a download. Waits while another process downloads the same blob; if that
    /// completed it, the result [is complete](PartialBlob::is_complete). A blob of another size is damaged, and
    /// downloaded again.
    ///
    /// # Errors
    /// [`Error::ReadOnlyStore`]; [`Error::NoSpace`] if `size` does not fit on the disk; [`Error::Io`].
    pub fn partial(&self, digest: &Digest, size: Option<u64>) -> Result<PartialBlob> {
        self.files
            .check_writable(|| format!("download the blob {digest}"))?;
        let name = format!("{PARTIAL}/{}", digest.hex());
        let mut temp = self.files.open_exclusive(&name)?;
        let there = self.size(digest)?;
        let state = if let Some(length) = there
            && size.is_none_or(|size| size == length)
            && self.has(digest)?
        {
            State::Complete { length }
        } else {
            let (length, hasher) = match read_again(&temp, size)? {
                Some(read) => read,
                None => {
                    temp.truncate()?;
                    (0, Hasher::default())
                }
            };
            temp.set_stays(length > 0);
            if let Some(size) = size {
                let what = format!("cannot download {digest}");
                self.files.check_space(&what, size - length)?;
            }
            State::Partial {
                temp,
                length,
                hasher,
            }
        };
        let blob = PartialBlob {
            digest: *digest,
            size,
            progress: Arc::default(),
            state,
        };
        blob.progress.set_length(blob.len());
        Ok(blob)
    }
}

/// Hashes what an earlier download left. `None` if it is longer than the blob.
fn read_again(temp: &Temp, size: Option<u64>) -> Result<Option<(u64, Hasher)>> {
    let length = temp.len()?;
    if size.is_some_and(|size| length > size) {
        return Ok(None);
    }
    let mut hasher = Hasher::default();
    let mut file = temp.file();
    let mut buffer = vec![0; CHUNK];
    let mut read = 0;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(Some((read, hasher))),
            Ok(count) => {
                hasher.update(&buffer[..count]);
                read += count as u64;
            }
            Err(error) => return Err(Error::io("cannot read a partial download", error)),
        }
    }
}

impl PartialBlob {
    /// The digest that the blob has to have.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Bytes that were downloaded, also by earlier downloads.
    #[expect(
        clippy::len_without_is_empty,
        reason = "it is the offset at which a download goes on"
    )]
    pub fn len(&self) -> u64 {
        match self.state {
            State::Complete { length } | State::Partial { length, .. } => length,
        }
    }

    /// Whether the store has the blob, so that nothing needs to be downloaded.
    pub fn is_complete(&self) -> bool {
        matches!(self.state, State::Complete { .. })
    }

    /// Appends bytes. After an error, drop the download: the next one goes on after what was written.
    ///
    /// # Errors
    /// [`Error::WrongSize`] if there are more than the blob has; [`Error::NoSpace`], [`Error::Io`].
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let digest = self.digest;
        if let Some(expected) = self.size
            && self.len() + bytes.len() as u64 > expected
        {
            return Err(Error::WrongSize {
                what: format!("the blob {digest}"),
                expected,
                actual: self.len() + bytes.len() as u64,
            });
        }
        let State::Partial {
            temp,
            length,
            hasher,
        } = &mut self.state
        else {
            return Ok(());
        };
        temp.set_stays(true);
        temp.write(bytes)?;
        hasher.update(bytes);
        *length += bytes.len() as u64;
        self.progress.set_length(*length);
        Ok(())
    }

    /// Forgets the bytes, for a server that cannot continue.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn restart(&mut self) -> Result<()> {
        if let State::Partial {
            temp,
            length,
            hasher,
        } = &mut self.state
        {
            temp.truncate()?;
            temp.set_stays(false);
            *length = 0;
            *hasher = Hasher::default();
            self.progress.restart();
        }
        Ok(())
    }

    /// Checks size and digest, and gives the blob its final name, durably.
    ///
    /// # Errors
    /// [`Error::WrongSize`] if bytes are missing, which stay for the next download; [`Error::WrongDigest`],
    /// after which the bytes are removed; [`Error::NoSpace`], [`Error::Io`].
    pub fn commit(mut self) -> Result<()> {
        let length = self.len();
        let state = std::mem::replace(&mut self.state, State::Complete { length });
        let State::Partial {
            mut temp,
            length,
            hasher,
        } = state
        else {
            return Ok(());
        };
        if let Some(expected) = self.size
            && length != expected
        {
            return Err(Error::WrongSize {
                what: format!("the blob {}", self.digest),
                expected,
                actual: length,
            });
        }
        let actual = hasher.finish();
        if actual != self.digest {
            temp.set_stays(false);
            return Err(Error::WrongDigest {
                what: "the downloaded blob".to_owned(),
                expected: self.digest,
                actual,
            });
        }
        temp.publish(&blob_name(&self.digest), true)
    }

    /// The file with the bytes, opened once more. `None` if the blob is complete.
    pub(super) fn clone_file(&self) -> Result<Option<std::fs::File>> {
        match &self.state {
            State::Complete { .. } => Ok(None),
            State::Partial { temp, .. } => match temp.file().try_clone() {
                Ok(file) => Ok(Some(file)),
                Err(error) => {
                    let what = format!("cannot download {}", self.digest);
                    Err(Error::io(what, error))
                }
            },
        }
    }
}

/// Followers wait for nothing more.
impl Drop for PartialBlob {
    fn drop(&mut self) {
        self.progress.end();
    }
}

impl std::fmt::Debug for PartialBlob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PartialBlob")
            .field("digest", &self.digest)
            .field("length", &self.len())
            .finish_non_exhaustive()
    }
}
