//! Opening the layers of images: from the store, or where they are.

use crate::compress::{Format, HEAD};
use crate::content::{self, Content};
use crate::digest::{Digest, Hasher};
use crate::error::{Error, Result};
use crate::image::ImageLayer;
use crate::source;
use crate::store::{Expected, OpenLayer, Store};
use std::sync::Arc;
use wasi_overlay_core::tar::{Scanner, Source, TarLayer};
use wasi_overlay_core::{Limits, Lower};

impl OpenLayer {
    /// The layer of an overlay. `label` names it in messages.
    pub(crate) fn lower(self, label: &str) -> Lower {
        Lower::new(label, TarLayer::new(self.index, self.source))
    }
}

/// Opens a layer of an image. If the store has its plain tar, and made it from this blob, nothing else is
/// read. A config alone does not tell which tar belongs to a blob: it could name that of another image.
///
/// # Errors
/// [`Error::NotFound`] if the blob is missing; [`Error::NeedsStore`]; those of decompressing.
pub(crate) fn open_layer(
    content: &dyn Content,
    store: Option<&Store>,
    layer: &ImageLayer,
    label: &str,
    limits: &Limits,
) -> Result<Lower> {
    if let (Some(store), Some(diff_id)) = (store, &layer.diff_id)
        && store.is_plain_of(diff_id, layer.digest.as_ref(), layer.size)?
        && let Some(open) = store.open_layer(diff_id, limits)?
    {
        return Ok(open.lower(label));
    }
    let blob = match (&layer.path, &layer.digest) {
        (Some(path), _) => content.file(path)?,
        (None, Some(digest)) => content.blob(digest)?,
        (None, None) => None,
    };
    let Some(blob) = blob else {
        if is_foreign(&layer.media_type) {
            return Err(Error::unsupported(
                label,
                "it is a foreign layer, which images name and do not contain; it is not fetched from elsewhere",
            ));
        }
        return Err(content::missing(content, label));
    };
    if layer.digest.is_some() {
        check_size(&blob, layer.size, label)?;
    }
    let expected = Expected {
        blob: layer.digest,
        plain: layer.diff_id,
    };
    match store {
        Some(store) if store.is_writable() => {
            let (_, open) = store.unpack(label, blob, &expected, limits)?;
            Ok(open.lower(label))
        }
        _ => in_place(store, blob, &expected, label, limits),
    }
}

fn is_foreign(media_type: &str) -> bool {
    media_type.contains(".nondistributable.") || media_type.contains(".foreign.")
}

fn check_size(blob: &Arc<dyn Source>, expected: u64, label: &str) -> Result<()> {
    let actual = blob.size().map_err(|error| Error::layer(label, error))?;
    if actual == expected {
        return Ok(());
    }
    Err(Error::WrongSize {
        what: label.to_owned(),
        expected,
        actual,
    })
}

/// A plain tar that is checked and read in place, because there is no store to copy it to.
fn in_place(
    store: Option<&Store>,
    blob: Arc<dyn Source>,
    expected: &Expected,
    label: &str,
    limits: &Limits,
) -> Result<Lower> {
    if format(&blob, label)? != Format::Plain {
        return Err(match store {
            Some(store) => Error::ReadOnlyStore {
                action: format!("decompress {label}"),
                path: store.path().display().to_string(),
            },
            None => Error::NeedsStore {
                what: label.to_owned(),
            },
        });
    }
    let failed = |error| Error::layer(label, error);
    let mut scanner = Scanner::new(limits);
    let mut hasher = Hasher::default();
    source::each_chunk(&blob, label, |chunk| {
        hasher.update(chunk);
        scanner.push(chunk).map_err(failed)
    })?;
    expected.check(label, hasher.finish(), None)?;
    let index = Arc::new(scanner.finish().map_err(failed)?);
    Ok(OpenLayer {
        index,
        source: blob,
    }
    .lower(label))
}

/// The format of a blob.
///
/// # Errors
/// [`Error::Unsupported`]; any error of reading.
pub(crate) fn format(blob: &Arc<dyn Source>, label: &str) -> Result<Format> {
    let mut head = [0; HEAD];
    let mut filled = 0;
    while filled < HEAD {
        let read = blob
            .read_at(&mut head[filled..], filled as u64)
            .map_err(|error| Error::layer(label, error))?;
        if read == 0 {
            break;
        }
        filled += read;
    }
    Format::detect(label, &head[..filled])
}

impl Expected {
    /// Checks the digests of a plain tar and of the blob that it came from. Without a blob the tar is the
    /// blob itself.
    ///
    /// # Errors
    /// [`Error::WrongDigest`].
    pub(crate) fn check(&self, label: &str, plain: Digest, blob: Option<Digest>) -> Result<()> {
        let pairs = [
            (self.blob, blob.unwrap_or(plain), label.to_owned()),
            (self.plain, plain, format!("the tar in {label}")),
        ];
        for (expected, actual, what) in pairs {
            if let Some(expected) = expected
                && expected != actual
            {
                return Err(Error::WrongDigest {
                    what,
                    expected,
                    actual,
                });
            }
        }
        Ok(())
    }
}
