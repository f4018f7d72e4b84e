//! [`Transport`]: where a layer or an image is read from, in skopeo's spelling.

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::reference::Reference;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Where a layer, or all layers of an image, are read from.
///
/// | text | is |
/// |---|---|
/// | `DIR`, `dir:DIR` | a directory, as one layer |
/// | `FILE`, `tar:FILE` | a tar, plain or compressed with gzip or zstd, as one layer |
/// | `oci:DIR[:TAG\|@DIGEST]` | an image in an OCI layout |
/// | `oci-archive:FILE[:TAG\|@DIGEST]` | an image in a tar of an OCI layout |
/// | `docker-archive:FILE[:REF\|:@N]` | an image in the output of `docker save` |
/// | `docker://REF` | an image in a registry |
/// | `store:REF` | an image in the store |
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A directory.
    Dir(PathBuf),
    /// A tar, perhaps compressed.
    Tar(PathBuf),
    /// An OCI layout.
    OciLayout {
        /// Its directory.
        path: PathBuf,
        /// The image in it.
        image: Selector,
    },
    /// A tar of an OCI layout.
    OciArchive {
        /// The file.
        path: PathBuf,
        /// The image in it.
        image: Selector,
    },
    /// The output of `docker save`.
    DockerArchive {
        /// The file.
        path: PathBuf,
        /// The image in it.
        image: Selector,
    },
    /// An image in a registry.
    Registry(Reference),
    /// An image in the store.
    Store(Reference),
}

/// Which image of a layout or an archive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Selector {
    /// The only one.
    #[default]
    Only,
    /// The one with this tag or reference.
    Name(String),
    /// The manifest with this digest.
    Digest(Digest),
    /// The one at this position, from 0.
    Position(usize),
}

/// The transports of skopeo that have no counterpart here, with what to type instead.
const FOREIGN: [(&str, &str); 5] = [
    (
        "containers-storage",
        "copy the image to a layout first: `skopeo copy containers-storage:NAME oci:DIR`",
    ),
    (
        "docker-daemon",
        "save the image first, `docker save -o FILE NAME`, and name it `docker-archive:FILE`",
    ),
    (
        "tarball",
        "name the tar itself, `tar:FILE`, for each of its layers",
    ),
    ("ostree", "copy the image with skopeo to `oci:DIR`"),
    ("sif", "copy the image with skopeo to `oci:DIR`"),
];

/// Why `-` is no tar, as it is for other programs.
const STDIN: &str =
    "a layer is read at any offset, so it cannot come from standard input; save it to a file";

impl Transport {
    /// Reads `text` as the command line has it. Paths may have any bytes. Only a name without a transport
    /// is looked up on disk: a directory is a layer itself, and anything else has to be a tar.
    ///
    /// # Errors
    /// [`Error::Transport`] and [`Error::Reference`], with what to type.
    pub fn parse(text: &OsStr) -> Result<Self> {
        let bytes = text.as_bytes();
        if bytes.is_empty() {
            return Err(Error::Transport {
                text: String::new(),
                reason: "it is empty; expected a path, or an image such as `oci:DIR`".to_owned(),
            });
        }
        if bytes == b"-" {
            return Err(Error::Transport {
                text: "-".to_owned(),
                reason: format!("{STDIN}{}", hint_of_directory(text)),
            });
        }
        let Some(colon) = bytes.iter().position(|&b| b == b':') else {
            return Ok(Self::bare(text));
        };
        let (name, rest) = (&bytes[..colon], OsStr::from_bytes(&bytes[colon + 1..]));
        let parsed = match name {
            b"dir" => with_path(rest).map(Self::Dir),
            b"tar" if rest == "-" => Err(STDIN.to_owned()),
            b"tar" => with_path(rest).map(Self::Tar),
            b"oci" => oci(rest).map(|(path, image)| Self::OciLayout { path, image }),
            b"oci-archive" => oci(rest).map(|(path, image)| Self::OciArchive { path, image }),
            b"docker-archive" => {
                docker_archive(rest).map(|(path, image)| Self::DockerArchive { path, image })
            }
            b"docker" => match rest.as_bytes().strip_prefix(b"//") {
                Some(reference) => return reference_in(reference).map(Self::Registry),
                None => Err(format!("expected `docker://{}`", rest.display())),
            },
            b"store" => return reference_in(rest.as_bytes()).map(Self::Store),
            other => match FOREIGN.iter().find(|(name, _)| name.as_bytes() == other) {
                Some((name, remedy)) => Err(format!("`{name}:` is not supported; {remedy}")),
                None => return Ok(Self::bare(text)),
            },
        };
        parsed.map_err(|reason| Error::Transport {
            text: text.display().to_string(),
            reason: format!("{reason}{}", hint_of_directory(text)),
        })
    }

    fn bare(text: &OsStr) -> Self {
        let path = PathBuf::from(text);
        if path.is_dir() {
            Self::Dir(path)
        } else {
            Self::Tar(path)
        }
    }

    /// The path of the host that is read, if there is one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Dir(path)
            | Self::Tar(path)
            | Self::OciLayout { path, .. }
            | Self::OciArchive { path, .. }
            | Self::DockerArchive { path, .. } => Some(path),
            Self::Registry(_) | Self::Store(_) => None,
        }
    }
}

impl std::fmt::Display for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Dir(path) => write!(f, "dir:{}", path.display()),
            Self::Tar(path) => write!(f, "tar:{}", path.display()),
            Self::OciLayout { path, image } => write!(f, "oci:{}{image}", path.display()),
            Self::OciArchive { path, image } => write!(f, "oci-archive:{}{image}", path.display()),
            Self::DockerArchive { path, image } => {
                write!(f, "docker-archive:{}{image}", path.display())
            }
            Self::Registry(reference) => write!(f, "docker://{reference}"),
            Self::Store(reference) => write!(f, "store:{reference}"),
        }
    }
}

impl std::fmt::Display for Selector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Only => Ok(()),
            Self::Name(name) => write!(f, ":{name}"),
            Self::Digest(digest) => write!(f, "@{digest}"),
            Self::Position(position) => write!(f, ":@{position}"),
        }
    }
}

/// What to type for a directory whose name begins like a transport. Empty if there is none.
pub(crate) fn hint_of_directory(text: &OsStr) -> String {
    if Path::new(text).exists() {
        let text = text.display();
        format!("; `{text}` also exists on disk: name it `./{text}`")
    } else {
        String::new()
    }
}

fn with_path(rest: &OsStr) -> Result<PathBuf, String> {
    if rest.is_empty() {
        return Err("expected a path after the colon".to_owned());
    }
    Ok(PathBuf::from(rest))
}

fn reference_in(bytes: &[u8]) -> Result<Reference> {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.parse(),
        Err(_) => Err(Error::Reference {
            text: OsStr::from_bytes(bytes).display().to_string(),
            reason: "it is not UTF-8".to_owned(),
        }),
    }
}

/// `PATH[:TAG|@DIGEST]`. As in skopeo, the path ends at the first colon.
fn oci(rest: &OsStr) -> Result<(PathBuf, Selector), String> {
    let bytes = rest.as_bytes();
    const DIGEST: &[u8] = b"@sha256:";
    let at = bytes.windows(DIGEST.len()).rposition(|part| part == DIGEST);
    if let Some(at) = at {
        let (path, digest) = (&bytes[..at], &bytes[at + 1..]);
        let digest = utf8(digest)?
            .parse()
            .map_err(|error: Error| error.to_string())?;
        return Ok((
            with_path(OsStr::from_bytes(path))?,
            Selector::Digest(digest),
        ));
    }
    let (path, name) = split_path(bytes);
    let image = match name {
        None => Selector::Only,
        Some(b"") => return Err("expected a tag after the last colon".to_owned()),
        Some(name) => Selector::Name(utf8(name)?.to_owned()),
    };
    Ok((with_path(path)?, image))
}

/// `FILE[:REF|:@N]`.
fn docker_archive(rest: &OsStr) -> Result<(PathBuf, Selector), String> {
    let (path, name) = split_path(rest.as_bytes());
    let image = match name {
        None => Selector::Only,
        Some(name) => match name.strip_prefix(b"@") {
            Some(position) => {
                let position = utf8(position)?;
                Selector::Position(position.parse().map_err(|_| {
                    format!("`@{position}` is not a position; expected `@0` for the first image")
                })?)
            }
            None => {
                let name = utf8(name)?;
                name.parse::<Reference>()
                    .map_err(|error| error.to_string())?;
                Selector::Name(name.to_owned())
            }
        },
    };
    Ok((with_path(path)?, image))
}

fn split_path(bytes: &[u8]) -> (&OsStr, Option<&[u8]>) {
    match bytes.iter().position(|&b| b == b':') {
        Some(colon) => (
            OsStr::from_bytes(&bytes[..colon]),
            Some(&bytes[colon + 1..]),
        ),
        None => (OsStr::from_bytes(bytes), None),
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes)
        .map_err(|_| "only paths may have bytes that are not UTF-8".to_owned())
}
