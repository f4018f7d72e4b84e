//! [`Content`]: where the blobs of an image are read from by digest.

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::source;
use std::sync::Arc;
use wasi_overlay_core::tar::Source;

/// A store, a layout or an archive of one.
pub(crate) trait Content: Send + Sync {
    /// Names it in errors.
    fn label(&self) -> String;

    /// A blob, unchecked. `None` if there is no such blob.
    fn blob(&self, digest: &Digest) -> Result<Option<Arc<dyn Source>>>;

    /// A file by its path, for archives that name layers so. `None` if there is no such file.
    fn file(&self, path: &str) -> Result<Option<Arc<dyn Source>>> {
        let _ = path; // Named for implementers.
        Ok(None)
    }

    /// Whether an index may list manifests that are not there. Otherwise looking for one downloads it.
    fn may_lack_manifests(&self) -> bool {
        true
    }

    /// What to do if a blob is missing.
    fn remedy(&self) -> &'static str {
        "copy the image again"
    }
}

/// A whole document of at most `limit` bytes. Its digest is checked, and its size if it is known.
///
/// # Errors
/// [`Error::NotFound`], [`Error::TooLarge`], [`Error::WrongSize`], [`Error::WrongDigest`]; any error of
/// reading.
pub(crate) fn read(
    content: &dyn Content,
    kind: &str,
    digest: &Digest,
    size: Option<u64>,
    limit: u64,
) -> Result<Vec<u8>> {
    let what = format!("the {kind} {digest} in {}", content.label());
    let Some(blob) = content.blob(digest)? else {
        return Err(missing(content, &what));
    };
    let bytes = source::read_all(&blob, &what, limit)?;
    let actual = bytes.len() as u64;
    if let Some(expected) = size.filter(|&size| size != actual) {
        return Err(Error::WrongSize {
            what,
            expected,
            actual,
        });
    }
    let actual = Digest::of(&bytes);
    if actual != *digest {
        return Err(Error::WrongDigest {
            what,
            expected: *digest,
            actual,
        });
    }
    Ok(bytes)
}

/// The error of a blob that is not there.
pub(crate) fn missing(content: &dyn Content, what: &str) -> Error {
    Error::NotFound {
        what: what.to_owned(),
        reason: format!("it is missing; {}", content.remedy()),
    }
}
