//! OCI layouts: the image that a name means, among manifests in indexes in indexes.

use crate::content::{self, Content};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::json;
use crate::limits::{MAX_CONFIG, MAX_INDEX_DEPTH, MAX_MANIFEST, MAX_MANIFESTS};
use crate::platform::{Candidate, Choice, Platform, Purpose, choose, is_attestation};
use crate::reference::Reference;
use crate::transport::Selector;
use oci_spec::image::{Descriptor, ImageIndex, ImageManifest, MediaType};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wasi_overlay_core::tar::Source;

/// The annotation with the name of an image in an `index.json`.
pub(crate) const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The annotation in which containerd and docker write the full name, with only the tag in [`REF_NAME`].
const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// A layout in a directory of the host.
pub(crate) struct Layout {
    path: PathBuf,
}

impl Layout {
    /// The layout at `path`.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it is not a layout.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let layout = Self {
            path: path.to_owned(),
        };
        if layout.file("oci-layout")?.is_none() {
            let hint = if is_skopeo_dir(path) {
                format!(
                    "it is a directory of skopeo's `dir:`; type `skopeo copy dir:{0} oci:{0}-oci`",
                    path.display()
                )
            } else if path.exists() {
                "it is not an OCI layout, since it has no `oci-layout`".to_owned()
            } else {
                "it does not exist".to_owned()
            };
            return Err(Error::NotFound {
                what: path.display().to_string(),
                reason: hint,
            });
        }
        Ok(layout)
    }
}

impl Content for Layout {
    fn label(&self) -> String {
        self.path.display().to_string()
    }

    fn blob(&self, digest: &Digest) -> Result<Option<Arc<dyn Source>>> {
        self.file(&format!("blobs/sha256/{}", digest.hex()))
    }

    /// Links are followed: some tools link blobs to a cache. What is read is checked against a digest.
    fn file(&self, path: &str) -> Result<Option<Arc<dyn Source>>> {
        let path = self.path.join(path);
        Ok(open_regular(&path)?.map(|file| Arc::new(file) as Arc<dyn Source>))
    }
}

/// Whether a directory is an image in the form of skopeo's `dir:`.
pub(crate) fn is_skopeo_dir(path: &Path) -> bool {
    const VERSION: &[u8] = b"Directory Transport Version";
    if !path.join("manifest.json").is_file() {
        return false;
    }
    // If the file cannot be read, the directory is used as what it was named.
    let Ok(Some(version)) = open_regular(&path.join("version")) else {
        return false;
    };
    let mut head = [0; VERSION.len()];
    matches!(version.read_at(&mut head, 0), Ok(read) if head[..read] == *VERSION)
}

/// Opens a regular file of the host. `None` if it does not exist.
///
/// # Errors
/// [`Error::Io`]; [`Error::Malformed`] if it is not a regular file.
pub(crate) fn open_regular(path: &Path) -> Result<Option<File>> {
    let failed =
        |error: std::io::Error| Error::io(format!("cannot open {}", path.display()), error);
    // A FIFO would block without NONBLOCK.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(fd) => File::from(fd),
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        Err(error) => return Err(failed(error.into())),
    };
    let meta = file.metadata().map_err(failed)?;
    if !meta.is_file() {
        return Err(Error::malformed(path.display(), "it is not a regular file"));
    }
    Ok(Some(file))
}

/// The manifests in an `index.json`.
///
/// # Errors
/// [`Error::Malformed`].
pub(crate) fn parse_index(what: &str, bytes: &[u8]) -> Result<Vec<Descriptor>> {
    let index: ImageIndex = json::parse(what, bytes, &[&["manifests"]])?;
    Ok(index.manifests().clone())
}

/// The names of an entry of an `index.json`.
pub(crate) fn names(descriptor: &Descriptor) -> impl Iterator<Item = &str> {
    let annotations = descriptor.annotations().as_ref();
    [REF_NAME, CONTAINERD_NAME]
        .into_iter()
        .filter_map(move |key| annotations?.get(key).map(String::as_str))
}

/// Whether a name in a layout means what was asked for: the same text, or the same reference.
pub(crate) fn is_same_name(name: &str, wanted: &str) -> bool {
    name == wanted
        || matches!(
            (name.parse::<Reference>(), wanted.parse::<Reference>()),
            (Ok(name), Ok(wanted)) if name == wanted
        )
}

/// The entries of an `index.json` that `selector` means. `what` names the layout.
///
/// # Errors
/// [`Error::NotFound`] and [`Error::Ambiguous`], with the names there are.
pub(crate) fn select(
    what: &str,
    entries: Vec<Descriptor>,
    selector: &Selector,
) -> Result<Vec<Descriptor>> {
    let entries: Vec<_> = entries
        .into_iter()
        .filter(|entry| !is_attestation(entry))
        .collect();
    let available = list_names(&entries);
    let not_found = |wanted: String| {
        Err(Error::NotFound {
            what: format!("{what} has no image {wanted}"),
            reason: format!("it has {available}"),
        })
    };
    match selector {
        Selector::Only => {
            let mut distinct: Vec<_> = entries.iter().flat_map(names).collect();
            distinct.sort_unstable();
            distinct.dedup();
            let has_unnamed = entries.iter().any(|entry| names(entry).next().is_none());
            // Several names of one manifest mean the same image.
            let is_one = entries
                .windows(2)
                .all(|pair| pair[0].digest() == pair[1].digest());
            if entries.is_empty() {
                return Err(Error::NotFound {
                    what: what.to_owned(),
                    reason: "it has no images".to_owned(),
                });
            }
            if !is_one && (distinct.len() > 1 || !distinct.is_empty() && has_unnamed) {
                return Err(Error::Ambiguous {
                    what: format!("{what} has several images"),
                    reason: format!("append one of their names after a colon: {available}"),
                });
            }
            Ok(if is_one {
                entries.into_iter().take(1).collect()
            } else {
                entries
            })
        }
        Selector::Name(wanted) => {
            let found: Vec<_> = entries
                .into_iter()
                .filter(|entry| names(entry).any(|name| is_same_name(name, wanted)))
                .collect();
            if found.is_empty() {
                return not_found(format!("`{}`", wanted.escape_debug()));
            }
            Ok(found)
        }
        Selector::Position(position) => match entries.into_iter().nth(*position) {
            Some(entry) => Ok(vec![entry]),
            None => not_found(format!("at position {position}")),
        },
        // A digest may be that of a manifest in an index, which is found by its blob.
        Selector::Digest(digest) => Ok(vec![
            entries
                .into_iter()
                .find(|entry| is_digest(entry, digest))
                .map_or_else(|| descriptor_of(digest), Ok)?,
        ]),
    }
}

fn list_names(entries: &[Descriptor]) -> String {
    let mut available: Vec<_> = entries
        .iter()
        .map(|entry| match names(entry).next() {
            Some(name) => format!("`{}`", name.escape_debug()),
            None => format!("@{}", entry.digest()),
        })
        .collect();
    available.sort();
    available.dedup();
    if available.is_empty() {
        return "none".to_owned();
    }
    let more = available.len().saturating_sub(20);
    available.truncate(20);
    let list = available.join(", ");
    if more > 0 {
        format!("{list} and {more} more")
    } else {
        list
    }
}

pub(crate) fn is_digest(descriptor: &Descriptor, digest: &Digest) -> bool {
    Digest::try_from(descriptor.digest()).is_ok_and(|own| own == *digest)
}

/// A descriptor of a manifest or index of which only the digest is known. Its size is 0.
pub(crate) fn descriptor_of(digest: &Digest) -> Result<Descriptor> {
    let digest = oci_spec::image::Digest::try_from(*digest)?;
    Ok(Descriptor::new(MediaType::Other(String::new()), 0, digest))
}

/// A manifest that was chosen.
pub(crate) struct Resolved {
    pub(crate) digest: Digest,
    pub(crate) bytes: Vec<u8>,
    pub(crate) manifest: ImageManifest,
    /// Of the descriptor, if it has one.
    pub(crate) platform: Option<Platform>,
}

/// Chooses the manifest of an image among `entries`, which are manifests and indexes. `what` names the
/// image.
///
/// A single manifest needs no platform: only `choice.platform`, if given, has to fit.
///
/// # Errors
/// [`Error::Platform`]; those of reading and parsing.
pub(crate) fn resolve(
    content: &dyn Content,
    what: &str,
    entries: Vec<Descriptor>,
    choice: &Choice,
) -> Result<Resolved> {
    let is_single = entries.len() == 1 && entries.iter().all(|entry| !is_index(entry));
    let mut candidates = Vec::new();
    let mut documents = Documents::default();
    // The last one is taken first, so the order is that of the indexes.
    let mut rest: Vec<_> = entries.into_iter().rev().map(|entry| (entry, 0)).collect();
    while let Some((descriptor, depth)) = rest.pop() {
        if is_attestation(&descriptor) {
            continue;
        }
        let is_index = is_index(&descriptor)
            || is_unknown(&descriptor) && documents.is_index(content, &descriptor)?;
        if !is_index {
            let platform = descriptor.platform().as_ref().map(Platform::from);
            candidates.push(Candidate {
                descriptor,
                platform,
            });
        } else if depth == MAX_INDEX_DEPTH {
            return Err(Error::malformed(
                what,
                format_args!("its indexes are nested deeper than {MAX_INDEX_DEPTH} levels"),
            ));
        } else {
            let (_, bytes) = documents.read(content, "index", &descriptor)?;
            let inner = parse_index(&format!("the index {}", descriptor.digest()), &bytes)?;
            rest.extend(inner.into_iter().rev().map(|inner| (inner, depth + 1)));
        }
        if rest.len() + candidates.len() > MAX_MANIFESTS {
            return Err(Error::malformed(
                what,
                format_args!("it has more than {MAX_MANIFESTS} manifests"),
            ));
        }
    }
    if choice.platform.is_some() {
        for candidate in &mut candidates {
            if candidate.platform.is_none() {
                candidate.platform = platform_of_config(content, &mut documents, candidate)?;
            }
        }
    }
    let chosen = match candidates.as_slice() {
        [only] if is_single && choice.platform.is_none() => only,
        all => match choose_present(content, all, choice)? {
            Some(present) => present,
            None => choose(what, all, choice)?,
        },
    };
    let (digest, bytes) = documents.read(content, "manifest", &chosen.descriptor)?;
    let manifest = parse_manifest(&format!("the manifest {digest}"), &bytes)?;
    Ok(Resolved {
        digest,
        bytes,
        manifest,
        platform: chosen.platform.clone(),
    })
}

/// The choice among the manifests that are there, if no platform is asked for: of an index, often only one was
/// pulled or copied.
///
/// # Errors
/// Any error of reading.
fn choose_present<'a>(
    content: &dyn Content,
    candidates: &'a [Candidate],
    choice: &Choice,
) -> Result<Option<&'a Candidate>> {
    if choice.platform.is_some() || !content.may_lack_manifests() {
        return Ok(None);
    }
    let mut present = Vec::new();
    for candidate in candidates {
        let digest = Digest::try_from(candidate.descriptor.digest())?;
        if content.blob(&digest)?.is_some() {
            present.push(candidate);
        }
    }
    let only = match (choice.purpose, present.as_slice()) {
        (Purpose::Present, [only]) => Some(*only),
        _ => None,
    };
    Ok(choose("", present, choice).ok().or(only))
}

/// Parses a manifest.
///
/// # Errors
/// [`Error::Malformed`]; [`Error::Unsupported`] for Docker's first version.
pub(crate) fn parse_manifest(what: &str, bytes: &[u8]) -> Result<ImageManifest> {
    let value = json::value(what, bytes)?;
    if value
        .get("schemaVersion")
        .and_then(serde_json::Value::as_u64)
        == Some(1)
    {
        return Err(Error::unsupported(
            what,
            "it is a manifest of Docker's schema 1; push the image again with a current tool",
        ));
    }
    json::parse(what, bytes, &[&["layers"]])
}

fn platform_of_config(
    content: &dyn Content,
    documents: &mut Documents,
    candidate: &Candidate,
) -> Result<Option<Platform>> {
    let (_, bytes) = documents.read(content, "manifest", &candidate.descriptor)?;
    let what = format!("the manifest {}", candidate.descriptor.digest());
    let manifest = parse_manifest(&what, &bytes)?;
    let config = manifest.config();
    let digest = Digest::try_from(config.digest())?;
    let bytes = content::read(content, "config", &digest, Some(config.size()), MAX_CONFIG)?;
    Ok(crate::config::platform(&json::value(
        &format!("the config {digest}"),
        &bytes,
    )?))
}

fn is_index(descriptor: &Descriptor) -> bool {
    match descriptor.media_type() {
        MediaType::ImageIndex => true,
        MediaType::Other(other) => {
            other == "application/vnd.docker.distribution.manifest.list.v2+json"
        }
        _ => false,
    }
}

fn is_unknown(descriptor: &Descriptor) -> bool {
    match descriptor.media_type() {
        MediaType::ImageManifest => false,
        MediaType::Other(other) => other != "application/vnd.docker.distribution.manifest.v2+json",
        _ => true,
    }
}

/// Reads manifests and indexes. The last one is kept, since it is often read twice.
#[derive(Default)]
struct Documents {
    last: Option<(Digest, Vec<u8>)>,
}

impl Documents {
    fn read(
        &mut self,
        content: &dyn Content,
        kind: &str,
        descriptor: &Descriptor,
    ) -> Result<(Digest, Vec<u8>)> {
        let digest = Digest::try_from(descriptor.digest())?;
        if let Some((last, bytes)) = &self.last
            && *last == digest
        {
            return Ok((digest, bytes.clone()));
        }
        let size = Some(descriptor.size()).filter(|&size| size > 0);
        let bytes = content::read(content, kind, &digest, size, MAX_MANIFEST)?;
        self.last = Some((digest, bytes.clone()));
        Ok((digest, bytes))
    }

    fn is_index(&mut self, content: &dyn Content, descriptor: &Descriptor) -> Result<bool> {
        let (digest, bytes) = self.read(content, "manifest", descriptor)?;
        let value = json::value(&format!("the manifest {digest}"), &bytes)?;
        Ok(value.get("manifests").is_some() && value.get("layers").is_none())
    }
}
