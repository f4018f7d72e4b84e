//! Archives of images: tars of OCI layouts, and the output of `docker save`. They are read in place,
//! through the engine's own tar layer, and never unpacked.

use crate::config::Config;
use crate::content::Content;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::json;
use crate::layout::is_same_name;
use crate::limits::{MAX_CONFIG, MAX_LINKS, MAX_MANIFEST};
use crate::source::{self, FileSource};
use crate::transport::Selector;
use std::sync::Arc;
use wasi_overlay_core::layer::{Found, Layer};
use wasi_overlay_core::tar::{Source, TarIndex, TarLayer};
use wasi_overlay_core::{Kind, Name};

/// A tar whose files are read by path.
pub(crate) struct Archive {
    layer: TarLayer,
    label: String,
}

impl Archive {
    /// The archive with this index. `label` names it in errors.
    pub(crate) fn new(label: String, index: Arc<TarIndex>, source: Arc<dyn Source>) -> Self {
        Self {
            layer: TarLayer::new(index, source),
            label,
        }
    }

    /// Looks up a path. Links are followed within the archive: `docker save` wrote layers that several
    /// images share as links to one of them.
    fn open(&self, path: &str) -> wasi_overlay_core::Result<Option<Arc<dyn Source>>> {
        let mut path = path.as_bytes().to_vec();
        for _ in 0..MAX_LINKS {
            let (folders, last) = normalize(&path);
            let Some(last) = last else {
                return Ok(None);
            };
            let Some(dir) = self.open_dir(&folders)? else {
                return Ok(None);
            };
            let name = Name::new(&last)?;
            match self.layer.find(&dir, name)? {
                Found::Here { meta, .. } if meta.kind == Kind::File => {
                    let file = self.layer.open_file(&dir, name)?;
                    return Ok(Some(Arc::new(FileSource(file))));
                }
                Found::Here { meta, .. } if meta.kind == Kind::Symlink => {
                    let target = self.layer.read_link(&dir, name)?;
                    let mut next = folders.join(&b'/');
                    next.push(b'/');
                    next.extend_from_slice(&target);
                    path = if target.starts_with(b"/") {
                        target.into_vec()
                    } else {
                        next
                    };
                }
                _ => return Ok(None),
            }
        }
        Ok(None)
    }

    /// Opens a folder. `None` if there is none.
    fn open_dir(
        &self,
        folders: &[Vec<u8>],
    ) -> wasi_overlay_core::Result<Option<<TarLayer as Layer>::Dir>> {
        let mut dir = self.layer.root()?;
        for folder in folders {
            let name = Name::new(folder)?;
            match self.layer.find(&dir, name)? {
                Found::Here { meta, .. } if meta.kind == Kind::Dir => {
                    dir = self.layer.open_dir(&dir, name)?;
                }
                _ => return Ok(None),
            }
        }
        Ok(Some(dir))
    }

    /// A whole small file. `None` if there is no such file.
    ///
    /// # Errors
    /// [`Error::TooLarge`]; any error of the archive.
    pub(crate) fn read(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let what = format!("{path} in {}", self.label);
        match self.file(path)? {
            Some(file) => source::read_all(&file, &what, limit).map(Some),
            None => Ok(None),
        }
    }
}

/// The folders of a path and its last name, without `.` and `..`. A path above the root stays in it.
fn normalize(path: &[u8]) -> (Vec<Vec<u8>>, Option<Vec<u8>>) {
    let mut names: Vec<Vec<u8>> = Vec::new();
    for name in path.split(|&b| b == b'/') {
        match name {
            b"" | b"." => {}
            b".." => {
                names.pop();
            }
            name => names.push(name.to_vec()),
        }
    }
    let last = names.pop();
    (names, last)
}

impl Content for Archive {
    fn label(&self) -> String {
        self.label.clone()
    }

    fn blob(&self, digest: &Digest) -> Result<Option<Arc<dyn Source>>> {
        self.file(&format!("blobs/sha256/{}", digest.hex()))
    }

    fn file(&self, path: &str) -> Result<Option<Arc<dyn Source>>> {
        self.open(path)
            .map_err(|error| Error::layer(format_args!("{path} in {}", self.label), error))
    }
}

/// An image in the output of `docker save` before version 25.
pub(crate) struct Saved {
    pub(crate) config: Config,
    pub(crate) config_bytes: Vec<u8>,
    pub(crate) layers: Vec<SavedLayer>,
}

/// A layer of such an image.
pub(crate) struct SavedLayer {
    pub(crate) path: String,
    pub(crate) diff_id: Digest,
    pub(crate) size: u64,
}

/// Reads the image that `selector` means from the `manifest.json` of an archive.
///
/// # Errors
/// [`Error::NotFound`] and [`Error::Ambiguous`], with the names there are; [`Error::Malformed`].
pub(crate) fn saved_image(archive: &Archive, selector: &Selector) -> Result<Saved> {
    let label = archive.label();
    let what = format!("manifest.json in {label}");
    let Some(bytes) = archive.read("manifest.json", MAX_MANIFEST)? else {
        return Err(Error::NotFound {
            what: label,
            reason: "it is not the output of `docker save`, since it has no manifest.json; for a layer, name it `tar:FILE`".to_owned(),
        });
    };
    let serde_json::Value::Array(images) = json::value(&what, &bytes)? else {
        return Err(Error::malformed(what, "it is not a list"));
    };
    let image = select(&label, &images, selector)?;
    let Some(config_path) = image.get("Config").and_then(serde_json::Value::as_str) else {
        return Err(Error::malformed(what, "an image has no `Config`"));
    };
    let Some(config_bytes) = archive.read(config_path, MAX_CONFIG)? else {
        return Err(missing(config_path, &label));
    };
    check_config(config_path, &label, &config_bytes)?;
    let config = Config::parse(&format!("{config_path} in {label}"), &config_bytes)?;
    // Some tools write empty strings for empty layers.
    let paths: Vec<_> = strings(image, "Layers")
        .filter(|path| !path.is_empty())
        .collect();
    if paths.len() != config.diff_ids.len() {
        return Err(Error::malformed(
            what,
            format_args!(
                "an image has {} layers, and its config has {} diff IDs",
                paths.len(),
                config.diff_ids.len()
            ),
        ));
    }
    let layers = paths
        .into_iter()
        .zip(&config.diff_ids)
        .map(|(path, &diff_id)| {
            let Some(file) = archive.file(path)? else {
                return Err(missing(path, &label));
            };
            let size = file
                .size()
                .map_err(|error| Error::layer(format_args!("{path} in {label}"), error))?;
            Ok(SavedLayer {
                path: path.to_owned(),
                diff_id,
                size,
            })
        })
        .collect::<Result<_>>()?;
    Ok(Saved {
        config,
        config_bytes,
        layers,
    })
}

fn missing(path: &str, label: &str) -> Error {
    Error::NotFound {
        what: format!("{} in {label}", path.escape_debug()),
        reason: "it is missing; save the image again".to_owned(),
    }
}

/// A config is named by its digest: `HEX.json` or `blobs/sha256/HEX`. With another name it is not checked.
fn check_config(path: &str, label: &str, bytes: &[u8]) -> Result<()> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let hex = name.strip_suffix(".json").unwrap_or(name);
    let actual = Digest::of(bytes);
    match Digest::from_hex(hex) {
        Some(expected) if expected != actual => Err(Error::WrongDigest {
            what: format!("{path} in {label}"),
            expected,
            actual,
        }),
        _ => Ok(()),
    }
}

fn strings<'a>(image: &'a serde_json::Value, name: &str) -> impl Iterator<Item = &'a str> {
    let items = image.get(name).and_then(serde_json::Value::as_array);
    items
        .into_iter()
        .flatten()
        .filter_map(serde_json::Value::as_str)
}

fn select<'a>(
    label: &str,
    images: &'a [serde_json::Value],
    selector: &Selector,
) -> Result<&'a serde_json::Value> {
    let available = || {
        let names: Vec<_> = images
            .iter()
            .enumerate()
            .map(
                |(position, image)| match strings(image, "RepoTags").next() {
                    Some(name) => format!("`{}`", name.escape_debug()),
                    None => format!("`@{position}`"),
                },
            )
            .take(20)
            .collect();
        names.join(", ")
    };
    let found = match selector {
        Selector::Only => match images {
            [only] => Some(only),
            [] => None,
            _ => {
                return Err(Error::Ambiguous {
                    what: format!("{label} has several images"),
                    reason: format!("append one of their names after a colon: {}", available()),
                });
            }
        },
        Selector::Position(position) => images.get(*position),
        Selector::Name(wanted) => images
            .iter()
            .find(|image| strings(image, "RepoTags").any(|name| is_same_name(name, wanted))),
        Selector::Digest(_) => None,
    };
    found.ok_or_else(|| Error::NotFound {
        what: format!("{label} has no image {selector}"),
        reason: format!("it has {}", available()),
    })
}
