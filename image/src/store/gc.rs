//! Collection of blobs that no image and no process uses.

use super::files::{TEMP, try_lock};
use super::unpack::index_name;
use super::{BLOBS, HOST_FILES, INDEX, PARTIAL, Store, UNPACKED, blob_name, names};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::json;
use crate::limits::{MAX_CONFIG, MAX_MANIFEST, MAX_MANIFESTS};
use oci_spec::image::{Descriptor, MediaType};
use rustix::fs::FlockOperation;
use serde_json::Value;
use std::collections::HashSet;
use std::time::{Duration, SystemTime};

/// What to collect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prune {
    /// Also compressed blobs whose plain tar the store has. The images can be used, but not pushed.
    pub compressed: bool,
    /// Also images that no process uses: their names are removed.
    pub images: bool,
    /// Younger blobs stay: an image that is being pulled has no name yet. A pull that takes longer shows that
    /// it is in progress ([`Store::adding`]).
    pub min_age: Duration,
    /// Only report what would be removed.
    pub dry_run: bool,
}

impl Default for Prune {
    fn default() -> Self {
        Self {
            compressed: false,
            images: false,
            min_age: Duration::from_secs(3600),
            dry_run: false,
        }
    }
}

/// What was collected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pruned {
    /// Names that were removed.
    pub names: Vec<String>,
    /// Blobs that were removed.
    pub blobs: Vec<Digest>,
    /// Bytes that are free now.
    pub bytes: u64,
}

/// The blobs that images use.
#[derive(Default)]
pub(super) struct Live {
    /// Everything that an image may use.
    pub(super) blobs: HashSet<Digest>,
    /// Compressed layers and the plain tars that replace them.
    pub(super) layers: Vec<(Digest, Digest)>,
}

impl Store {
    /// Removes blobs that no image and no process uses, and remains of interrupted work.
    ///
    /// # Errors
    /// [`Error::Malformed`] and [`Error::WrongDigest`] for a damaged manifest, since it is
    /// unknown which blobs it needs: nothing is removed then. [`Error::ReadOnlyStore`], [`Error::Io`].
    pub fn prune(&self, what: &Prune) -> Result<Pruned> {
        self.files.check_writable(|| "prune".to_owned())?;
        // Held until the end, so that no image gets a name while its blobs are removed.
        let _lock = names::lock(&self.files)?;
        let cutoff = self.cutoff(what.min_age)?;
        let mut pruned = Pruned::default();
        if what.images {
            self.remove_unused_names_locked(what.dry_run, &mut pruned)?;
        }
        let mut live = Live::default();
        for entry in self.entries()? {
            if what.dry_run
                && entry
                    .name
                    .as_ref()
                    .is_some_and(|name| pruned.names.contains(name))
            {
                continue;
            }
            self.mark(&entry.descriptor, &mut live)?;
        }
        if what.compressed {
            for (blob, plain) in &live.layers {
                if blob != plain && self.size(plain)?.is_some() {
                    live.blobs.remove(blob);
                }
            }
        }
        for name in self.files.list(BLOBS)? {
            if let Some(digest) = Digest::from_hex(&name)
                && !live.blobs.contains(&digest)
            {
                let name = blob_name(&digest);
                if let Some(size) = self.collect(&name, cutoff, what)? {
                    pruned.blobs.push(digest);
                    pruned.bytes += size;
                }
            }
        }
        for name in self.files.list(PARTIAL)? {
            let size = self.collect(&format!("{PARTIAL}/{name}"), cutoff, what)?;
            pruned.bytes += size.unwrap_or(0);
        }
        pruned.bytes += self.remove_remains(what)?;
        self.remove_stale_caches(what)?;
        Ok(pruned)
    }

    /// Removes files of `tmp` whose processes ended, and returns their size.
    pub(super) fn remove_remains(&self, what: &Prune) -> Result<u64> {
        // Not one that is about to be locked by the process that just created it.
        let cutoff = SystemTime::now() - what.min_age.min(Duration::from_secs(60));
        let mut bytes = 0;
        for name in self.files.list(TEMP)? {
            let size = self.collect(&format!("{TEMP}/{name}"), cutoff, what)?;
            bytes += size.unwrap_or(0);
        }
        Ok(bytes)
    }

    /// Removes a file that is old enough and not locked. Returns its size; `None` if it stays.
    fn collect(&self, name: &str, cutoff: SystemTime, what: &Prune) -> Result<Option<u64>> {
        let Some(file) = self.files.open_file(name)? else {
            return Ok(None);
        };
        let failed = |error| Error::io(format!("cannot remove {name}"), error);
        let meta = file.metadata().map_err(failed)?;
        let modified = meta.modified().map_err(failed)?;
        if modified > cutoff {
            return Ok(None);
        }
        // Held until the file is removed: a process that waits for it finds that it is gone.
        match try_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(true) => {}
            // If the filesystem cannot lock the file, the file may be in use.
            Ok(false) | Err(_) => return Ok(None),
        }
        if !what.dry_run {
            self.files.remove(name)?;
        }
        Ok(Some(meta.len()))
    }

    /// Removes caches that belong to no blob.
    fn remove_stale_caches(&self, what: &Prune) -> Result<()> {
        if what.dry_run {
            return Ok(());
        }
        for name in self.files.list(INDEX)? {
            let digest = name
                .split_once('.')
                .and_then(|(hex, _)| Digest::from_hex(hex));
            let is_used = match digest {
                Some(digest) => {
                    self.size(&digest)?.is_some()
                        && index_name(&digest) == format!("{INDEX}/{name}")
                }
                None => false,
            };
            if !is_used {
                self.files.remove(&format!("{INDEX}/{name}"))?;
            }
        }
        for folder in [UNPACKED, HOST_FILES] {
            for name in self.files.list(folder)? {
                let name = format!("{folder}/{name}");
                let is_used = match self.read_digest(&name)? {
                    Some(digest) => self.size(&digest)?.is_some(),
                    None => false,
                };
                if !is_used {
                    self.files.remove(&name)?;
                }
            }
        }
        Ok(())
    }

    /// Removes the names of images of which no blob is locked.
    ///
    /// Preconditions: the lock of `index.json` is held.
    fn remove_unused_names_locked(&self, dry_run: bool, pruned: &mut Pruned) -> Result<()> {
        let mut unused = Vec::new();
        for entry in self.entries()? {
            let mut live = Live::default();
            self.mark(&entry.descriptor, &mut live)?;
            let mut is_used = false;
            for digest in &live.blobs {
                is_used |= self.is_locked(digest)?;
            }
            if !is_used {
                pruned.names.push(match &entry.name {
                    Some(name) => name.clone(),
                    None => entry.descriptor.digest().to_string(),
                });
                unused.push(entry.descriptor);
            }
        }
        if dry_run || unused.is_empty() {
            return Ok(());
        }
        let unused: Vec<_> = unused
            .iter()
            .filter_map(|descriptor| serde_json::to_value(descriptor).ok())
            .map(|value| identity(&value))
            .collect();
        self.change_entries_locked(|entries| {
            entries.retain(|entry| !unused.contains(&identity(entry)));
            Ok(((), true))
        })
    }

    fn is_locked(&self, digest: &Digest) -> Result<bool> {
        let Some(file) = self.files.open_file(&blob_name(digest))? else {
            return Ok(false);
        };
        // If the filesystem cannot lock, the blob counts as used.
        Ok(!try_lock(&file, FlockOperation::NonBlockingLockExclusive).unwrap_or(false))
    }

    /// Collects the blobs that an image needs, of all its platforms. A manifest that is missing needs none:
    /// of an index, often only one platform was pulled.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::WrongDigest`] for a manifest that cannot be read.
    pub(super) fn mark(&self, descriptor: &Descriptor, live: &mut Live) -> Result<()> {
        let mut rest = vec![descriptor.clone()];
        let mut seen = HashSet::new();
        while let Some(descriptor) = rest.pop() {
            let Ok(digest) = Digest::try_from(descriptor.digest()) else {
                // Another algorithm: not in this folder.
                continue;
            };
            if !seen.insert(digest) {
                continue;
            }
            if seen.len() > MAX_MANIFESTS {
                return Err(Error::malformed(
                    digest,
                    format_args!("it has more than {MAX_MANIFESTS} manifests"),
                ));
            }
            live.blobs.insert(digest);
            let Some(bytes) = self.read_blob(&digest, MAX_MANIFEST)? else {
                continue;
            };
            let document = json::value(&format!("the manifest {digest}"), &bytes)?;
            rest.extend(descriptors(&document, "manifests"));
            rest.extend(descriptor_in(&document, "subject"));
            self.mark_manifest(&document, live)?;
        }
        Ok(())
    }

    /// Marks the config and the layers of a manifest.
    fn mark_manifest(&self, manifest: &Value, live: &mut Live) -> Result<()> {
        let digest_of = |descriptor: &Descriptor| Digest::try_from(descriptor.digest()).ok();
        let layers: Vec<_> = descriptors(manifest, "layers")
            .iter()
            .filter_map(digest_of)
            .collect();
        live.blobs.extend(&layers);
        let Some(descriptor) = descriptor_in(manifest, "config") else {
            return Ok(());
        };
        let Some(config) = digest_of(&descriptor) else {
            return Ok(());
        };
        live.blobs.insert(config);
        // The diff IDs are read leniently, since an artifact's config may be anything.
        let is_json = matches!(descriptor.media_type(), MediaType::ImageConfig)
            || descriptor.media_type().as_ref().ends_with("json");
        if !is_json {
            return Ok(());
        }
        let Some(bytes) = self.read_blob(&config, MAX_CONFIG)? else {
            return Ok(());
        };
        let Ok(config) = serde_json::from_slice::<Value>(&bytes) else {
            return Ok(());
        };
        let diff_ids: Vec<Digest> = config
            .pointer("/rootfs/diff_ids")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|id| id.as_str()?.parse().ok())
            .collect();
        live.blobs.extend(&diff_ids);
        if diff_ids.len() == layers.len() {
            live.layers.extend(layers.into_iter().zip(diff_ids));
        }
        Ok(())
    }

    /// The blobs that an image needs and the store does not have. A layer may be there plain or compressed.
    /// Manifests of an index may be missing.
    pub(crate) fn missing_blobs(&self, descriptor: &Descriptor) -> Result<Vec<Digest>> {
        let root = Digest::try_from(descriptor.digest())?;
        if self.size(&root)?.is_none() {
            return Ok(vec![root]);
        }
        let mut live = Live::default();
        self.mark(descriptor, &mut live)?;
        let bytes = self.read_blob(&root, MAX_MANIFEST)?.unwrap_or_default();
        let document = json::value(&format!("the manifest {root}"), &bytes)?;
        let mut missing = Vec::new();
        let own = descriptors(&document, "layers")
            .into_iter()
            .chain(descriptor_in(&document, "config"));
        for descriptor in own {
            let Ok(digest) = Digest::try_from(descriptor.digest()) else {
                continue;
            };
            // One of another size is damaged.
            let mut has = self.has(&digest)? && self.size(&digest)? == Some(descriptor.size());
            for (blob, plain) in &live.layers {
                has |= *blob == digest && self.has(plain)?;
            }
            if !has {
                missing.push(digest);
            }
        }
        Ok(missing)
    }
}

/// What distinguishes an entry of `index.json`.
fn identity(entry: &Value) -> (Option<String>, Option<Value>) {
    let digest = entry.get("digest").and_then(Value::as_str);
    (digest.map(str::to_owned), entry.get("annotations").cloned())
}

fn descriptors(document: &Value, name: &str) -> Vec<Descriptor> {
    let items = document.get(name).and_then(Value::as_array);
    items
        .into_iter()
        .flatten()
        .filter_map(|item| serde_json::from_value(item.clone()).ok())
        .collect()
}

fn descriptor_in(document: &Value, name: &str) -> Option<Descriptor> {
    serde_json::from_value(document.get(name)?.clone()).ok()
}
