//! [`LayerArg`]: the value of `--layer`, and opening the layers that it names.

use crate::image::{Images, Wanted};
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

    /// The directories in which its files lie, which no mount may change.
    pub(crate) fn folders(&self, images: &Images) -> Vec<PathBuf> {
        let folder = self.transport.path().map(|path| match &self.transport {
            Transport::OciLayout { .. } | Transport::Dir(_) => path.to_owned(),
            _ => match path.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
                _ => PathBuf::from("."),
            },
        });
        folder.into_iter().chain(images.store_path()).collect()
    }

    /// Opens its layers, the bottom one first. Pulls the image if it is in a registry.
    pub(crate) fn open(&self, images: &mut Images) -> Result<Vec<Lower>> {
        let limits = Limits::default();
        let wanted = Wanted {
            purpose: Purpose::Data,
            platform: None,
        };
        let choice = images.choice(wanted);
        if self.is_image() {
            let image = images.open(&self.transport, wanted)?;
            ensure!(
                !image.is_artifact(),
                "it is a WebAssembly program and has no layers; run it, as in `wasi-overlay run {}`",
                self.text.display()
            );
            return Ok(image.lowers(&limits)?);
        }
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
