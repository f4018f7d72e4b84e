//! Opening what a transport names: layers for an overlay, and images.

use crate::archive::{Archive, saved_image};
use crate::compress::Format;
use crate::content::Content;
use crate::error::{Error, Result};
use crate::host_file;
use crate::image::Image;
use crate::layer::format;
use crate::layout::{Layout, is_skopeo_dir, open_regular, parse_index, resolve, select};
use crate::limits::MAX_INDEX;
use crate::platform::Choice;
use crate::source;
use crate::store::{OpenLayer, Store};
use crate::transport::{Selector, Transport, hint_of_directory};
use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;
use wasi_overlay_core::tar::{Source, TarIndex};
use wasi_overlay_core::{Limits, Lower};

impl Transport {
    /// The layers that it names, the bottom one first: one for a directory or a tar, all layers of an image.
    ///
    /// `store` is needed for compressed layers, and for images of the store and of registries, which have
    /// to be pulled before.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such file or image; [`Error::Ambiguous`] if several images fit;
    /// [`Error::NeedsStore`]; [`Error::Layer`] for what cannot be a layer; those of [`Image::lowers`].
    pub fn lowers(
        &self,
        store: Option<&Store>,
        choice: &Choice,
        limits: &Limits,
    ) -> Result<Vec<Lower>> {
        match self {
            Self::Dir(path) => open_dir(path).map(|lower| vec![lower]),
            Self::Tar(path) => {
                let label = path.display().to_string();
                let open = open_tar(path, store, limits)?;
                warn_of_images(&label, &open);
                Ok(vec![open.lower(&label)])
            }
            _ => self.image(store, choice, limits)?.lowers(limits),
        }
    }

    /// The image that it names.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a directory or a tar; as [`lowers`](Self::lowers).
    pub fn image(&self, store: Option<&Store>, choice: &Choice, limits: &Limits) -> Result<Image> {
        self.open_image(store, choice, limits)
            .map_err(|error| self.with_hint(error))
    }

    /// Adds what to type if a file of the host has the whole text as its name.
    fn with_hint(&self, mut error: Error) -> Error {
        if let Error::NotFound { reason, .. } = &mut error {
            reason.push_str(&hint_of_directory(OsStr::new(&self.to_string())));
        }
        error
    }

    fn open_image(&self, store: Option<&Store>, choice: &Choice, limits: &Limits) -> Result<Image> {
        let name = self.to_string();
        match self {
            Self::Dir(_) | Self::Tar(_) => Err(Error::unsupported(
                name,
                "it is a layer, and not an image; name an image, such as `oci:DIR`",
            )),
            Self::OciLayout { path, image } => {
                let layout = Layout::open(path)?;
                let index = layout.file("index.json")?;
                open_layout(name, Arc::new(layout), index, image, store, choice)
            }
            Self::OciArchive { path, image } => {
                let archive = open_archive(path, store, limits)?;
                let Some(index) = archive.file("index.json")? else {
                    return Err(Error::NotFound {
                        what: path.display().to_string(),
                        reason: if archive.file("manifest.json")?.is_some() {
                            "it is the output of `docker save`; name it `docker-archive:FILE`"
                                .to_owned()
                        } else {
                            "it is not a tar of an OCI layout, since it has no index.json"
                                .to_owned()
                        },
                    });
                };
                open_layout(name, Arc::new(archive), Some(index), image, store, choice)
            }
            Self::DockerArchive { path, image } => {
                let archive = open_archive(path, store, limits)?;
                // Since version 25 the output of `docker save` is an OCI layout as well.
                let index = match archive.file("oci-layout")? {
                    Some(_) => archive.file("index.json")?,
                    None => None,
                };
                if index.is_some() {
                    return open_layout(name, Arc::new(archive), index, image, store, choice);
                }
                open_saved(name, archive, image, store, choice)
            }
            Self::Registry(reference) | Self::Store(reference) => match store {
                Some(store) => store.image(reference, choice),
                None => Err(Error::NoStoreFolder),
            },
        }
    }
}

fn open_dir(path: &Path) -> Result<Lower> {
    // skopeo's `dir:` is an image and not a layer.
    if is_skopeo_dir(path) {
        return Err(Error::unsupported(
            path.display(),
            format_args!(
                "it is an image in skopeo's `dir:` form; type `skopeo copy dir:{0} oci:{0}-oci`, and name it `oci:{0}-oci`",
                path.display()
            ),
        ));
    }
    Lower::path(path).map_err(|error| Error::layer(path.display(), error))
}

fn open_layout(
    name: String,
    content: Arc<dyn Content>,
    index: Option<Arc<dyn Source>>,
    image: &Selector,
    store: Option<&Store>,
    choice: &Choice,
) -> Result<Image> {
    let label = content.label();
    let what = format!("index.json in {label}");
    let Some(index) = index else {
        return Err(Error::NotFound {
            what: label,
            reason: "it is not an OCI layout, since it has no index.json".to_owned(),
        });
    };
    let entries = parse_index(&what, &source::read_all(&index, &what, MAX_INDEX)?)?;
    let entries = select(&label, entries, image)?;
    let resolved = resolve(&*content, &name, entries, choice)?;
    Image::new(name, content, store.cloned(), resolved)
}

fn open_saved(
    name: String,
    archive: Archive,
    image: &Selector,
    store: Option<&Store>,
    choice: &Choice,
) -> Result<Image> {
    let saved = saved_image(&archive, image)?;
    if let Some(wanted) = &choice.platform {
        let own = saved.config.platform.as_ref();
        if !own.is_some_and(|own| wanted.accepts(own)) {
            return Err(Error::Platform {
                what: name,
                wanted: wanted.to_string(),
                available: own.map_or("no platform".to_owned(), ToString::to_string),
                remedy: String::new(),
            });
        }
    }
    Ok(Image::saved(name, Arc::new(archive), store.cloned(), saved))
}

fn open_archive(path: &Path, store: Option<&Store>, limits: &Limits) -> Result<Archive> {
    let open = open_tar(path, store, limits)?;
    let label = path.display().to_string();
    Ok(Archive::new(label, open.index, open.source))
}

/// Opens a tar of the host. A plain one is indexed where it is. A compressed one is decompressed into the
/// store, unless the store has its content from an earlier time.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::NeedsStore`]; [`Error::Layer`]; those of decompressing.
fn open_tar(path: &Path, store: Option<&Store>, limits: &Limits) -> Result<OpenLayer> {
    let label = path.display().to_string();
    let Some(file) = open_regular(path)? else {
        return Err(Error::NotFound {
            what: label,
            reason: "there is no such file or directory".to_owned(),
        });
    };
    let file = Arc::new(file);
    let blob: Arc<dyn Source> = Arc::clone(&file) as _;
    if format(&blob, &label)? == Format::Plain {
        let index = TarIndex::scan(&blob, limits).map_err(|error| Error::layer(&label, error))?;
        for warning in index.warnings() {
            tracing::warn!("{label}: {warning}");
        }
        return Ok(OpenLayer {
            index: Arc::new(index),
            source: blob,
        });
    }
    let Some(store) = store else {
        return Err(Error::NeedsStore { what: label });
    };
    host_file::open(store, &file, blob, &label, limits)
}

/// Says so if a tar that is used as a layer is an archive of images.
fn warn_of_images(label: &str, open: &OpenLayer) {
    let archive = Archive::new(
        label.to_owned(),
        Arc::clone(&open.index),
        Arc::clone(&open.source),
    );
    let has = |path: &str| archive.file(path).is_ok_and(|file| file.is_some());
    if has("oci-layout") && has("index.json") {
        tracing::warn!(
            "{label} looks like an archive of an image; for its layers, name it `oci-archive:{label}`"
        );
    } else if has("manifest.json") && has("repositories") {
        tracing::warn!(
            "{label} looks like the output of `docker save`; for its layers, name it `docker-archive:{label}`"
        );
    }
}
