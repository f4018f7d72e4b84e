//! [`Image`]: an image from the store, a layout or an archive.

use crate::archive::Saved;
use crate::config::{Config, History, WASM_CONFIG};
use crate::content::{self, Content};
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::json;
use crate::layer::open_layer;
use crate::layout::{Resolved, descriptor_of};
use crate::limits::MAX_CONFIG;
use crate::platform::Platform;
use crate::source;
use crate::store::Store;
use oci_spec::image::{Descriptor, ImageManifest, MediaType};
use std::fmt;
use std::sync::Arc;
use wasi_overlay_core::{Limits, Lower, LowerStack, MAX_LAYERS};

/// An image: a config, and layers or a Wasm module.
pub struct Image {
    name: String,
    content: Arc<dyn Content>,
    store: Option<Store>,
    manifest: Option<(Digest, Vec<u8>)>,
    config_digest: Digest,
    config_bytes: Vec<u8>,
    config: Config,
    layers: Vec<ImageLayer>,
    modules: Vec<ImageLayer>,
}

/// A layer of an image, or the Wasm module of an artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImageLayer {
    /// The digest of the blob. `None` in the output of `docker save`.
    pub digest: Option<Digest>,
    /// The digest of the plain tar. `None` if the config has none, and for a module.
    pub diff_id: Option<Digest>,
    /// Bytes of the blob.
    pub size: u64,
    /// The media type of the blob. Empty in the output of `docker save`.
    pub media_type: String,
    /// The title of a module (`org.opencontainers.image.title`).
    pub title: Option<String>,
    /// The path in the archive, in the output of `docker save`.
    pub(crate) path: Option<String>,
}

/// A line of the history of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryLine<'a> {
    /// What the config says of the step.
    pub step: &'a History,
    /// The layer that the step made. `None` if it made none.
    pub layer: Option<&'a ImageLayer>,
}

impl ImageLayer {
    fn new(descriptor: &Descriptor, diff_id: Option<Digest>) -> Result<Self> {
        let title = descriptor
            .annotations()
            .as_ref()
            .and_then(|annotations| annotations.get("org.opencontainers.image.title"));
        Ok(Self {
            digest: Some(Digest::try_from(descriptor.digest())?),
            diff_id,
            size: descriptor.size(),
            media_type: descriptor.media_type().to_string(),
            title: title.cloned(),
            path: None,
        })
    }

    /// Names the layer in errors.
    fn label(&self, image: &str) -> String {
        match (&self.path, &self.digest) {
            (Some(path), _) => format!("the layer {path} of {image}"),
            (None, Some(digest)) => format!("the layer {digest} of {image}"),
            (None, None) => format!("a layer of {image}"),
        }
    }
}

/// Whether a blob of a manifest is a Wasm module: `application/wasm`, and the types of older tools.
fn is_wasm(descriptor: &Descriptor) -> bool {
    let media_type = descriptor.media_type().as_ref();
    media_type == "application/wasm" || media_type.ends_with("+wasm")
}

impl Image {
    /// The image of a manifest.
    pub(crate) fn new(
        name: String,
        content: Arc<dyn Content>,
        store: Option<Store>,
        resolved: Resolved,
    ) -> Result<Self> {
        let manifest = &resolved.manifest;
        let descriptor = manifest.config();
        let config_digest = Digest::try_from(descriptor.digest())?;
        let size = Some(descriptor.size());
        let config_bytes = content::read(&*content, "config", &config_digest, size, MAX_CONFIG)?;
        let mut config = parse_config(&name, manifest, &config_digest, &config_bytes)?;
        if config.platform.is_none() {
            config.platform = resolved.platform;
        }
        let (layers, modules) = split_layers(&name, manifest, &config)?;
        Ok(Self {
            name,
            content,
            store,
            manifest: Some((resolved.digest, resolved.bytes)),
            config_digest,
            config_bytes,
            config,
            layers,
            modules,
        })
    }

    /// An image in the output of `docker save`.
    pub(crate) fn saved(
        name: String,
        content: Arc<dyn Content>,
        store: Option<Store>,
        saved: Saved,
    ) -> Self {
        let layers = saved.layers.into_iter().map(|layer| ImageLayer {
            digest: None,
            diff_id: Some(layer.diff_id),
            size: layer.size,
            media_type: String::new(),
            title: None,
            path: Some(layer.path),
        });
        Self {
            name,
            content,
            store,
            manifest: None,
            config_digest: Digest::of(&saved.config_bytes),
            config_bytes: saved.config_bytes,
            config: saved.config,
            layers: layers.collect(),
            modules: Vec::new(),
        }
    }

    /// The name by which it was opened.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The digest of the manifest. `None` in the output of `docker save`.
    pub fn digest(&self) -> Option<Digest> {
        self.manifest.as_ref().map(|(digest, _)| *digest)
    }

    /// The manifest as it is stored. `None` in the output of `docker save`.
    pub fn manifest_bytes(&self) -> Option<&[u8]> {
        self.manifest.as_ref().map(|(_, bytes)| bytes.as_slice())
    }

    /// The digest of the config: the ID of the image in docker.
    pub fn config_digest(&self) -> Digest {
        self.config_digest
    }

    /// The config as it is stored.
    pub fn config_bytes(&self) -> &[u8] {
        &self.config_bytes
    }

    /// What the image says about its program.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The platform, if the image says one.
    pub fn platform(&self) -> Option<&Platform> {
        self.config.platform.as_ref()
    }

    /// The layers, the bottom one first, without modules.
    pub fn layers(&self) -> &[ImageLayer] {
        &self.layers
    }

    /// Bytes of all its blobs.
    pub fn size(&self) -> u64 {
        let manifest = self.manifest.as_ref().map_or(0, |(_, bytes)| bytes.len());
        let documents = (manifest + self.config_bytes.len()) as u64;
        let blobs = self.layers.iter().chain(&self.modules);
        blobs.fold(documents, |sum, layer| sum.saturating_add(layer.size))
    }

    /// The history, the oldest step first, with the layers that the steps made.
    pub fn history(&self) -> Vec<HistoryLine<'_>> {
        let mut layers = self.layers.iter();
        self.config
            .history
            .iter()
            .map(|step| HistoryLine {
                step,
                layer: if step.is_empty_layer {
                    None
                } else {
                    layers.next()
                },
            })
            .collect()
    }

    /// Whether the image is a Wasm artifact: its program is a blob, and not a file in a layer.
    pub fn is_artifact(&self) -> bool {
        !self.modules.is_empty()
    }

    /// The module or component of a Wasm artifact. `None` for an image whose program is a file in its layers.
    ///
    /// # Errors
    /// [`Error::Ambiguous`] for an artifact with several.
    pub fn module(&self) -> Result<Option<&ImageLayer>> {
        match self.modules.as_slice() {
            [] => Ok(None),
            [module] => Ok(Some(module)),
            several => {
                let list: Vec<_> = several
                    .iter()
                    .map(|module| match (&module.title, &module.digest) {
                        (Some(title), _) => title.escape_debug().to_string(),
                        (None, Some(digest)) => digest.to_string(),
                        (None, None) => "one without a name".to_owned(),
                    })
                    .collect();
                Err(Error::Ambiguous {
                    what: format!("{} has several Wasm layers", self.name),
                    reason: format!("{}; push an artifact with one of them", list.join(", ")),
                })
            }
        }
    }

    /// The bytes of the [module](Self::module), at most `limit`. The digest is checked.
    ///
    /// # Errors
    /// As [`module`](Self::module); [`Error::TooLarge`], [`Error::WrongDigest`]; any error of reading.
    pub fn read_module(&self, limit: u64) -> Result<Option<Vec<u8>>> {
        let Some(module) = self.module()? else {
            return Ok(None);
        };
        let Some(digest) = module.digest else {
            return Ok(None);
        };
        let size = Some(module.size);
        content::read(&*self.content, "module", &digest, size, limit).map(Some)
    }

    /// The layers as layers of an overlay, the bottom one first. Compressed ones are decompressed into the
    /// store the first time. `limits` bounds the archives.
    ///
    /// # Errors
    /// [`Error::Layer`] for an archive that is not a layer; [`Error::WrongDigest`]; [`Error::NeedsStore`];
    /// those of the store.
    pub fn lowers(&self, limits: &Limits) -> Result<Vec<Lower>> {
        self.layers
            .iter()
            .map(|layer| {
                let label = layer.label(&self.name);
                open_layer(&*self.content, self.store.as_ref(), layer, &label, limits)
            })
            .collect()
    }

    /// The layers, merged. The layers are shared with other images that have them; share the stack as well,
    /// since it caches lookups.
    ///
    /// # Errors
    /// As [`lowers`](Self::lowers); [`Error::Layer`] for more layers than an overlay may have.
    pub fn stack(&self, limits: &Limits) -> Result<Arc<LowerStack>> {
        LowerStack::new(self.lowers(limits)?, limits)
            .map_err(|error| Error::layer(&self.name, error))
    }

    /// Whether every layer and module can be opened: its blob is there, or the plain tar that was made from it.
    /// What a store has is not collected for the next hour.
    ///
    /// # Errors
    /// Any error of reading.
    pub fn is_complete(&self) -> Result<bool> {
        for layer in self.layers.iter().chain(&self.modules) {
            if !self.has(layer)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn has(&self, layer: &ImageLayer) -> Result<bool> {
        let Some(digest) = &layer.digest else {
            return Ok(true); // Its path was found in the archive.
        };
        if let Some(store) = &self.store {
            if store.has(digest)? {
                return Ok(true);
            }
            if let Some(diff_id) = &layer.diff_id
                && store.is_plain_of(diff_id, Some(digest), layer.size)?
                && store.has(diff_id)?
            {
                return Ok(true);
            }
        }
        Ok(self.content.blob(digest)?.is_some())
    }

    /// A blob as it is stored, for copying the image elsewhere. Its digest is not checked.
    ///
    /// # Errors
    /// Any error of reading.
    pub fn blob(&self, digest: &Digest) -> Result<Option<Arc<dyn wasi_overlay_core::tar::Source>>> {
        self.content.blob(digest)
    }

    /// Copies an image that has a manifest into a store, without decompressing it. Returns the descriptor
    /// to add it with ([`Store::add_image`]); hold a [`Store::adding`] until then.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for the output of `docker save` before version 25; those of reading and of
    /// the store.
    pub fn copy_to(&self, store: &Store) -> Result<Descriptor> {
        let Some((digest, bytes)) = &self.manifest else {
            return Err(Error::unsupported(
                &self.name,
                "it has no manifest; convert it with `skopeo copy docker-archive:FILE oci:DIR:NAME`",
            ));
        };
        for layer in self.layers.iter().chain(&self.modules) {
            let Some(digest) = layer.digest else { continue };
            let mut partial = store.partial(&digest, Some(layer.size))?;
            if partial.is_complete() {
                continue;
            }
            // What an earlier copy left is copied again, which is as fast as finding its end.
            partial.restart()?;
            let what = layer.label(&self.name);
            let Some(blob) = self.content.blob(&digest)? else {
                return Err(content::missing(&*self.content, &what));
            };
            source::each_chunk(&blob, &what, |chunk| partial.write(chunk))?;
            partial.commit()?;
        }
        store.write_blob(&self.config_bytes)?;
        store.write_blob(bytes)?;
        let mut descriptor = descriptor_of(digest)?;
        descriptor.set_size(bytes.len() as u64);
        let manifest = json::value(&self.name, bytes)?;
        let media_type = manifest.get("mediaType").and_then(|value| value.as_str());
        descriptor.set_media_type(media_type.map_or(MediaType::ImageManifest, MediaType::from));
        Ok(descriptor)
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image")
            .field("name", &self.name)
            .field("digest", &self.digest())
            .field("layers", &self.layers)
            .finish_non_exhaustive()
    }
}

/// Reads the config of a manifest, which for artifacts may be anything.
fn parse_config(
    name: &str,
    manifest: &ImageManifest,
    digest: &Digest,
    bytes: &[u8],
) -> Result<Config> {
    let what = format!("the config {digest} of {name}");
    let media_type = manifest.config().media_type();
    let is_image = matches!(media_type, MediaType::ImageConfig)
        || media_type.as_ref() == "application/vnd.docker.container.image.v1+json"
        || media_type.as_ref() == WASM_CONFIG;
    if is_image {
        return Config::parse(&what, bytes);
    }
    if manifest.layers().iter().any(is_wasm) {
        // Older tools write a config of their own, which may be that of an image.
        return Ok(Config::parse(&what, bytes).unwrap_or_default());
    }
    Err(Error::unsupported(
        name,
        format_args!(
            "it is not an image but an artifact, whose config has the type `{}`",
            media_type.as_ref().escape_debug()
        ),
    ))
}

/// Separates layers and modules, and gives the layers their diff IDs.
fn split_layers(
    name: &str,
    manifest: &ImageManifest,
    config: &Config,
) -> Result<(Vec<ImageLayer>, Vec<ImageLayer>)> {
    let blobs = manifest.layers();
    let tars = blobs.iter().filter(|blob| !is_wasm(blob)).count();
    if tars > MAX_LAYERS {
        return Err(Error::malformed(
            name,
            format_args!("it has {tars} layers, and the limit is {MAX_LAYERS}"),
        ));
    }
    let diff_ids = &config.diff_ids;
    let has_all = diff_ids.len() == blobs.len();
    if !has_all && diff_ids.len() != tars && !(diff_ids.is_empty() && tars < blobs.len()) {
        return Err(Error::malformed(
            name,
            format_args!(
                "it has {tars} layers, and its config has {} diff IDs",
                diff_ids.len()
            ),
        ));
    }
    let (mut layers, mut modules) = (Vec::new(), Vec::new());
    for (position, blob) in blobs.iter().enumerate() {
        if blob.media_type().as_ref().ends_with("+encrypted") {
            return Err(Error::unsupported(
                name,
                format_args!("its layer {} is encrypted", blob.digest()),
            ));
        }
        if is_wasm(blob) {
            modules.push(ImageLayer::new(blob, None)?);
        } else {
            let position = if has_all { position } else { layers.len() };
            layers.push(ImageLayer::new(blob, diff_ids.get(position).copied())?);
        }
    }
    Ok((layers, modules))
}
