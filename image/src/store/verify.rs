//! The check of a store: digests of blobs, blobs that are missing, and indexes.

use super::{BLOBS, Store, gc::Live};
use crate::digest::{Digest, Hasher};
use crate::error::{Error, Result};
use crate::reference::Reference;
use crate::source;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use wasi_overlay_core::Limits;
use wasi_overlay_core::tar::{Scanner, Source};

/// Something that is wrong with a store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// A blob does not have the digest that it is named by.
    Damaged {
        /// Its name.
        digest: Digest,
        /// The digest of what is in it.
        actual: Digest,
    },
    /// An image needs a blob that is not there.
    Missing {
        /// The image.
        image: String,
        /// The blob.
        digest: Digest,
    },
    /// A manifest cannot be read.
    Unreadable {
        /// The image.
        image: String,
        /// Why.
        reason: String,
    },
    /// The saved index of a layer is not that of its tar. It is made again when the layer is used.
    Index {
        /// The diffID of the layer.
        digest: Digest,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged { digest, actual } => write!(
                f,
                "the blob {digest} is damaged: its content has the digest {actual}; remove it and pull its images again"
            ),
            Self::Missing { image, digest } => {
                write!(f, "{image}: the blob {digest} is missing; pull it again")
            }
            Self::Unreadable { image, reason } => write!(f, "{image}: {reason}"),
            Self::Index { digest } => write!(
                f,
                "the index of the layer {digest} did not fit, and was removed"
            ),
        }
    }
}

impl Store {
    /// Reads all blobs of an image, or of the whole store, and returns what is wrong. Indexes that do not
    /// fit are removed.
    ///
    /// # Errors
    /// [`Error::NotInStore`] if there is no such image; [`Error::Io`] if the disk cannot be read.
    pub fn verify(&self, image: Option<&Reference>) -> Result<Vec<Problem>> {
        let mut problems = Vec::new();
        let mut blobs = BTreeSet::new();
        if image.is_none() {
            let names = self.files.list(BLOBS)?;
            blobs.extend(names.iter().filter_map(|name| Digest::from_hex(name)));
        }
        for (name, descriptor) in self.images_to_verify(image)? {
            let mut live = Live::default();
            let marked = self
                .mark(&descriptor, &mut live)
                .and_then(|()| self.missing_blobs(&descriptor));
            match marked {
                Ok(missing) => {
                    problems.extend(missing.into_iter().map(|digest| Problem::Missing {
                        image: name.clone(),
                        digest,
                    }))
                }
                Err(error @ Error::Io { .. }) => return Err(error),
                Err(error) => problems.push(Problem::Unreadable {
                    image: name,
                    reason: error.to_string(),
                }),
            }
            blobs.extend(live.blobs);
        }
        for digest in blobs {
            problems.extend(self.verify_blob(&digest)?);
        }
        Ok(problems)
    }

    fn images_to_verify(
        &self,
        image: Option<&Reference>,
    ) -> Result<Vec<(String, oci_spec::image::Descriptor)>> {
        if let Some(image) = image {
            let found = self.find(image)?;
            return Ok(found
                .into_iter()
                .map(|descriptor| (image.to_string(), descriptor))
                .collect());
        }
        Ok(self
            .entries()?
            .into_iter()
            .map(|entry| {
                let digest = entry.descriptor.digest().to_string();
                (entry.name.unwrap_or(digest), entry.descriptor)
            })
            .collect())
    }

    /// Hashes a blob, and compares the index of a layer with a new one. A blob that is not there is no
    /// problem of its own.
    fn verify_blob(&self, digest: &Digest) -> Result<Vec<Problem>> {
        let Some(lease) = self.lease(digest)? else {
            return Ok(Vec::new());
        };
        let what = self.blob_path(digest).display().to_string();
        let size = lease.size().map_err(|error| Error::layer(&what, error))?;
        let index_file = super::unpack::index_name(digest);
        let has_index = self.files.stat(&index_file)?.is_some();
        // The limits of the process that made the index may have been others: these only bound the check.
        let limits = Limits::default();
        let saved = self.saved_index(digest, size, &limits)?;
        let mut hasher = Hasher::default();
        let mut scanner = saved.is_some().then(|| Scanner::new(&limits));
        let blob: Arc<dyn Source> = Arc::new(lease);
        source::each_chunk(&blob, &what, |chunk| {
            hasher.update(chunk);
            if let Some(scanning) = &mut scanner
                && scanning.push(chunk).is_err()
            {
                scanner = None;
            }
            Ok(())
        })?;
        let mut problems = Vec::new();
        let actual = hasher.finish();
        if actual != *digest {
            problems.push(Problem::Damaged {
                digest: *digest,
                actual,
            });
        }
        let fits = match (saved, scanner.map(Scanner::finish)) {
            (Some(saved), Some(Ok(index))) => saved.as_bytes() == index.as_bytes(),
            _ => !has_index,
        };
        if !fits {
            if self.files.is_writable() {
                self.files.remove(&index_file)?;
            }
            problems.push(Problem::Index { digest: *digest });
        }
        Ok(problems)
    }
}
