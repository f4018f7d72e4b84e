//! The names of images: `index.json`, changed under a lock.

use super::files::{self, Files};
use super::{LOCK, Store};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::image::Image;
use crate::json;
use crate::layout::{self, REF_NAME, descriptor_of, is_digest, is_same_name};
use crate::limits::MAX_INDEX;
use crate::platform::Choice;
use crate::reference::{DEFAULT_REGISTRY, DEFAULT_TAG, Reference};
use crate::source;
use oci_spec::image::Descriptor;
use rustix::fs::FlockOperation;
use serde_json::Value;
use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, Instant};

const INDEX_JSON: &str = "index.json";

/// An entry of the store's `index.json`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// The full reference. `None` for an image without a name.
    pub name: Option<String>,
    /// The manifest or index.
    pub descriptor: Descriptor,
}

/// How long a process waits for the lock before it says so: changes take milliseconds.
const PATIENCE: Duration = Duration::from_secs(1);

/// Waits for the lock of `index.json`. It is released when the file is dropped.
pub(super) fn lock(files: &Files) -> Result<File> {
    let file = files.open_or_create(LOCK)?;
    let path = || files.path().join(LOCK).display().to_string();
    let failed = |error| Error::io(format_args!("cannot lock {}", path()), error);
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if files::try_lock(&file, FlockOperation::NonBlockingLockExclusive).map_err(failed)? {
            return Ok(file);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    tracing::warn!(
        "waiting for another process that holds the lock {}, such as `prune`",
        path()
    );
    files::lock(&file, FlockOperation::LockExclusive).map_err(failed)?;
    Ok(file)
}

impl Store {
    /// The images, in the order in which they were added.
    ///
    /// # Errors
    /// [`Error::Malformed`]; [`Error::Io`].
    pub fn entries(&self) -> Result<Vec<Entry>> {
        let what = self.path().join(INDEX_JSON).display().to_string();
        let entries = layout::parse_index(&what, &self.read_index()?)?;
        Ok(entries
            .into_iter()
            .map(|descriptor| {
                let name = layout::names(&descriptor).next().map(str::to_owned);
                Entry { name, descriptor }
            })
            .collect())
    }

    fn read_index(&self) -> Result<Vec<u8>> {
        let what = self.path().join(INDEX_JSON).display().to_string();
        match self.files.open_file(INDEX_JSON)? {
            Some(file) => source::read_all(&file, &what, MAX_INDEX),
            None => Err(Error::NotAStore {
                path: self.path().display().to_string(),
            }),
        }
    }

    /// Changes the entries of `index.json`, under its lock. What other tools wrote there stays. `change`
    /// returns whether there is anything to write.
    pub(super) fn change_entries<T>(
        &self,
        change: impl FnOnce(&mut Vec<Value>) -> Result<(T, bool)>,
    ) -> Result<T> {
        self.files
            .check_writable(|| "change its images".to_owned())?;
        let _lock = lock(&self.files)?;
        self.change_entries_locked(change)
    }

    /// Preconditions: the lock of `index.json` is held.
    pub(super) fn change_entries_locked<T>(
        &self,
        change: impl FnOnce(&mut Vec<Value>) -> Result<(T, bool)>,
    ) -> Result<T> {
        let what = self.path().join(INDEX_JSON).display().to_string();
        let mut index = json::value(&what, &self.read_index()?)?;
        let entries = match index.as_object_mut() {
            Some(index) => index
                .entry("manifests")
                .or_insert_with(|| Value::Array(Vec::new())),
            None => return Err(Error::malformed(what, "it is not an object")),
        };
        if entries.is_null() {
            *entries = Value::Array(Vec::new());
        }
        let Some(entries) = entries.as_array_mut() else {
            return Err(Error::malformed(what, "its `manifests` is not a list"));
        };
        let (result, is_changed) = change(entries)?;
        if is_changed {
            let bytes =
                serde_json::to_vec(&index).map_err(|error| Error::malformed(&what, error))?;
            if bytes.len() as u64 > MAX_INDEX {
                return Err(Error::too_large(what, MAX_INDEX));
            }
            self.files.replace(INDEX_JSON, &[&bytes], true)?;
        }
        Ok(result)
    }

    /// Names an image whose blobs are in the store. Another image with that name loses it.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the manifest, or a blob that it names, is missing; [`Error::ReadOnlyStore`],
    /// [`Error::NoSpace`], [`Error::Io`].
    pub fn add_image(&self, reference: &Reference, manifest: &Descriptor) -> Result<()> {
        let name = reference.to_string();
        let mut descriptor = manifest.clone();
        let mut annotations = descriptor.annotations().clone().unwrap_or_default();
        annotations.insert(REF_NAME.to_owned(), name.clone());
        descriptor.set_annotations(Some(annotations));
        let entry =
            serde_json::to_value(&descriptor).map_err(|error| Error::malformed(&name, error))?;
        self.change_entries(|entries| {
            // Blobs are collected under the same lock.
            if let Some(missing) = self.missing_blobs(manifest)?.first() {
                return Err(Error::NotFound {
                    what: format!("the blob {missing} of {name}"),
                    reason: "it is not in the store; pull the image again".to_owned(),
                });
            }
            entries.retain(|entry| !has_name(entry, &name));
            entries.push(entry);
            Ok(((), true))
        })
    }

    /// Gives an image another name as well.
    ///
    /// # Errors
    /// [`Error::NotInStore`]; [`Error::Reference`] for a name with a digest; as
    /// [`add_image`](Self::add_image).
    pub fn tag(&self, image: &Reference, name: &Reference) -> Result<()> {
        if name.digest().is_some() {
            return Err(Error::Reference {
                text: name.to_string(),
                reason: "a new name has no digest; expected `NAME[:TAG]`".to_owned(),
            });
        }
        let mut descriptor = self.find_one(image)?;
        let annotations = descriptor.annotations().clone().map(|mut annotations| {
            // The names of other tools belong to the old name.
            annotations.retain(|key, _| key != "io.containerd.image.name");
            annotations
        });
        descriptor.set_annotations(annotations);
        if descriptor.size() == 0 {
            let digest = Digest::try_from(descriptor.digest())?;
            descriptor.set_size(self.size(&digest)?.unwrap_or(0));
            descriptor.set_media_type(self.media_type(&digest)?);
        }
        self.add_image(name, &descriptor)
    }

    /// The media type of a manifest or an index of which only the digest is known.
    fn media_type(&self, digest: &Digest) -> Result<oci_spec::image::MediaType> {
        use oci_spec::image::MediaType;
        let what = format!("the manifest {digest}");
        let bytes =
            crate::content::read(self, "manifest", digest, None, crate::limits::MAX_MANIFEST)?;
        let value = json::value(&what, &bytes)?;
        let media_type = value.get("mediaType").and_then(Value::as_str);
        Ok(match media_type {
            Some(media_type) => MediaType::from(media_type),
            None if value.get("manifests").is_some() => MediaType::ImageIndex,
            None => MediaType::ImageManifest,
        })
    }

    /// Removes a name, or all names of the image with the digest, or with the only digest that begins so, if
    /// no image has the name. The blobs stay until [`prune`](Self::prune), so what runs the image is not disturbed.
    ///
    /// # Errors
    /// [`Error::NotInStore`]; [`Error::Ambiguous`]; [`Error::ReadOnlyStore`], [`Error::NoSpace`], [`Error::Io`].
    pub fn remove_image(&self, name: &Reference) -> Result<()> {
        self.change_entries(|entries| {
            let before = entries.len();
            let full = name.to_string();
            entries.retain(|entry| !has_name(entry, &full));
            if entries.len() == before {
                let digest = self.find_one(name)?.digest().to_string();
                entries.retain(|entry| entry.get("digest") != Some(&Value::from(digest.as_str())));
            }
            if entries.len() == before {
                // A manifest without a name, which is in the store all the same.
                return Err(self.not_found(name));
            }
            Ok(((), true))
        })
    }

    /// The digest of the manifest or the index that a name stands for.
    ///
    /// # Errors
    /// [`Error::NotInStore`]; [`Error::Ambiguous`]; [`Error::Malformed`], [`Error::Io`].
    pub fn digest_of(&self, name: &Reference) -> Result<Digest> {
        let descriptor = self.find_one(name)?;
        Digest::try_from(descriptor.digest())
    }

    fn find_one(&self, name: &Reference) -> Result<Descriptor> {
        let mut found = self.find(name)?;
        match found.pop() {
            Some(descriptor) if found.is_empty() => Ok(descriptor),
            _ => Err(Error::Ambiguous {
                what: format!("{name} in {}", self.path().display()),
                reason: "other tools gave several manifests this name; use a digest".to_owned(),
            }),
        }
    }

    fn not_found(&self, reference: &Reference) -> Error {
        Error::NotInStore {
            name: reference.to_string(),
            store: self.path().display().to_string(),
        }
    }

    /// The entries that a reference means: those with its name, or for a digest that manifest, even if it
    /// has another name or is one of an index. A name that no image has may be the beginning of a digest.
    pub(super) fn find(&self, reference: &Reference) -> Result<Vec<Descriptor>> {
        let entries = self.entries()?;
        if let Some(digest) = reference.digest() {
            let mut entries = entries.into_iter().map(|entry| entry.descriptor);
            if let Some(descriptor) = entries.find(|entry| is_digest(entry, &digest)) {
                return Ok(vec![descriptor]);
            }
            return if self.has(&digest)? {
                Ok(vec![descriptor_of(&digest)?])
            } else {
                Err(self.not_found(reference))
            };
        }
        let wanted = reference.to_string();
        let (found, others): (Vec<_>, Vec<_>) = entries
            .into_iter()
            .map(|entry| entry.descriptor)
            .partition(|entry| layout::names(entry).any(|name| is_same_name(name, &wanted)));
        if !found.is_empty() {
            return Ok(found);
        }
        match digest_of_prefix(reference, others.iter().map(Descriptor::digest))? {
            Some(digest) => Ok(others
                .into_iter()
                .filter(|entry| is_digest(entry, &digest))
                .take(1)
                .collect()),
            None => Err(self.not_found(reference)),
        }
    }

    /// Opens an image.
    ///
    /// # Errors
    /// [`Error::NotInStore`]; [`Error::Platform`] if it has no manifest for `choice`; [`Error::NotFound`] if
    /// its manifest or config is missing; [`Error::Malformed`], [`Error::WrongDigest`], [`Error::Io`].
    pub fn image(&self, reference: &Reference, choice: &Choice) -> Result<Image> {
        let name = reference.to_string();
        let entries = self.find(reference)?;
        let resolved = layout::resolve(self, &name, entries, choice)?;
        Image::new(name, Arc::new(self.clone()), Some(self.clone()), resolved)
    }

    /// Opens the image of an entry.
    ///
    /// # Errors
    /// As [`image`](Self::image).
    pub fn image_of(&self, entry: &Entry, choice: &Choice) -> Result<Image> {
        let name = match &entry.name {
            Some(name) => name.clone(),
            None => entry.descriptor.digest().to_string(),
        };
        let resolved = layout::resolve(self, &name, vec![entry.descriptor.clone()], choice)?;
        Image::new(name, Arc::new(self.clone()), Some(self.clone()), resolved)
    }
}

/// Digits of a digest below which a word is only a name.
const MIN_PREFIX: usize = 6;

/// The digest that begins with the digits that a reference consists of, as `images` shows them.
///
/// # Errors
/// [`Error::Ambiguous`] if several do.
fn digest_of_prefix<'a>(
    reference: &Reference,
    digests: impl Iterator<Item = &'a oci_spec::image::Digest>,
) -> Result<Option<Digest>> {
    let is_bare = reference.registry() == DEFAULT_REGISTRY && reference.tag() == Some(DEFAULT_TAG);
    let prefix = match reference.repository().strip_prefix("library/") {
        Some(word) if is_bare && word.len() >= MIN_PREFIX => word,
        _ => return Ok(None),
    };
    if !prefix.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(None);
    }
    let mut found: Vec<_> = digests
        .filter(|digest| digest.digest().starts_with(prefix))
        .filter_map(|digest| Digest::try_from(digest).ok())
        .collect();
    found.sort();
    found.dedup();
    match found.as_slice() {
        [] => Ok(None),
        [digest] => Ok(Some(*digest)),
        _ => Err(Error::Ambiguous {
            what: format!("several images have a digest that begins with {prefix}"),
            reason: "write more of its digits".to_owned(),
        }),
    }
}

/// Whether an entry has exactly this name.
fn has_name(entry: &Value, name: &str) -> bool {
    let annotation = entry
        .get("annotations")
        .and_then(|annotations| annotations.get(REF_NAME));
    annotation
        .and_then(Value::as_str)
        .is_some_and(|own| is_same_name(own, name))
}
