//! [`LayerArg`]: the value of `--layer`, and opening the layers that it names.

use crate::image::Images;
use anyhow::{Result, ensure};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use wasi_overlay::{Limits, Lower};
use wasi_overlay_image::{Error, Purpose, Transport};

/// A directory, an archive, or an image with all its layers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LayerArg {
    text: OsString,
    transport: Transport,
}

impl LayerArg {
    /// Parses the value. A directory whose name begins like a transport is written `./oci:x`.
    pub(crate) fn parse(text: OsString) -> Result<Self> {
        ensure!(
            !text.is_empty(),
            "the value is empty; pass a directory, an archive or an image"
        );
        let transport = Transport::parse(&text)?;
        Ok(Self { text, transport })
    }

    /// The value as the user typed it.
    pub(crate) fn text(&self) -> &OsStr {
        &self.text
    }

    /// The directory, if it is one. A path that cannot be read is taken for one, too: its error is that of a
    /// directory then.
    pub(crate) fn as_dir(&self) -> Option<&Path> {
        match &self.transport {
            // Opening it says what to type instead.
            Transport::Dir(path) if is_image_of_skopeo(path) => None,
            Transport::Dir(path) => Some(path),
            Transport::Tar(path) if path.metadata().is_err() && !has_archive_suffix(path) => {
                Some(path)
            }
            _ => None,
        }
    }

    /// Whether it is an image, within which absolute links are resolved.
    pub(crate) fn is_image(&self) -> bool {
        !matches!(self.transport, Transport::Dir(_) | Transport::Tar(_))
    }

    /// Where its files lie, which no mount may change.
    pub(crate) fn folders(&self, images: &Images) -> Vec<Folder> {
        folders(&self.transport, images)
    }

    /// Opens its layers, the bottom one first. Pulls the image if it is in a registry.
    pub(crate) fn open(&self, images: &mut Images) -> Result<Vec<Lower>> {
        let limits = Limits::default();
        if self.is_image() {
            let image = images.open(&self.transport, Purpose::Data)?;
            ensure!(
                !image.is_artifact(),
                "it is a WebAssembly program and has no layers; run it, as in `wasi-overlay run {}`",
                self.text.display()
            );
            return Ok(image.lowers(&limits)?);
        }
        let choice = images.choice(Purpose::Data);
        match self
            .transport
            .lowers(images.known_store(), &choice, &limits)
        {
            Err(Error::NeedsStore { .. } | Error::NoStoreFolder) => {
                let store = images.store()?;
                Ok(self.transport.lowers(Some(store), &choice, &limits)?)
            }
            opened => Ok(opened?),
        }
    }
}

/// Where files of a layer lie.
pub(crate) enum Folder {
    /// A directory that belongs to the layer: a layout, or the store.
    Whole(PathBuf),
    /// The directory in which the file lies, beside others.
    OfFile(PathBuf),
}

/// Where the files of a layer or an image lie, the store included if it is used.
pub(crate) fn folders(transport: &Transport, images: &Images) -> Vec<Folder> {
    let own = transport.path().map(|path| match transport {
        Transport::OciLayout { .. } | Transport::Dir(_) => Folder::Whole(path.to_owned()),
        _ => match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => Folder::OfFile(parent.to_owned()),
            _ => Folder::OfFile(PathBuf::from(".")),
        },
    });
    let store = images.store_path().map(Folder::Whole);
    own.into_iter().chain(store).collect()
}

/// Whether a value of `--layer` names an archive or an image by its form.
pub(crate) fn is_archive(text: &OsStr) -> bool {
    has_archive_suffix(Path::new(text))
        || Transport::parse(text)
            .is_ok_and(|transport| !matches!(transport, Transport::Dir(_) | Transport::Tar(_)))
}

/// Whether a directory is an image in the form that skopeo calls `dir:`.
fn is_image_of_skopeo(path: &Path) -> bool {
    path.join("manifest.json").exists() && path.join("version").exists()
}

pub(crate) fn has_archive_suffix(path: &Path) -> bool {
    let name = path.as_os_str().as_encoded_bytes();
    [&b".tar"[..], b".tgz", b".tar.gz", b".tar.zst", b".tzst"]
        .iter()
        .any(|suffix| name.ends_with(suffix))
}
