//! [`Platform`], and the choice of one manifest among those of an index.

use crate::error::{Error, Result};
use oci_spec::image::Descriptor;
use std::fmt;
use std::str::FromStr;

/// An operating system and an architecture: `OS/ARCH[/VARIANT]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Platform {
    /// The operating system, such as `wasip2` or `linux`.
    pub os: String,
    /// The architecture, such as `wasm` or `amd64`.
    pub architecture: String,
    /// The variant of the architecture, such as `v8`.
    pub variant: Option<String>,
}

/// What an image is opened for. It decides which platforms fit if none is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    /// To run its program: only platforms of WebAssembly fit.
    #[default]
    Program,
    /// For its files: the platform of the host fits too, after those of WebAssembly.
    Data,
    /// For its files, as far as they are there: as [`Data`](Self::Data), and if none of them fits, the only image
    /// of an index that is there.
    Present,
}

/// Which image of an index to take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Exactly this platform (`--platform`).
    pub platform: Option<Platform>,
    /// What the image is opened for.
    pub purpose: Purpose,
}

/// The operating systems of Wasm images, the preferred one first.
const WASI: [&str; 3] = ["wasip2", "wasip1", "wasi"];
const WASM: [&str; 2] = ["wasm", "wasm32"];

impl Platform {
    fn new(os: &str, architecture: &str) -> Self {
        Self {
            os: os.to_owned(),
            architecture: architecture.to_owned(),
            variant: None,
        }
    }

    /// Linux on the architecture of this host.
    pub fn host() -> Self {
        Self::new("linux", &oci_spec::image::Arch::default().to_string())
    }

    /// Whether an image for `other` is one for this platform. Without a variant any fits.
    pub(crate) fn accepts(&self, other: &Self) -> bool {
        self.os == other.os
            && self.architecture == other.architecture
            && (self.variant.is_none() || self.variant == other.variant)
    }

    /// The platform of an attestation or another thing that is not an image.
    fn is_unknown(&self) -> bool {
        self.os == "unknown" && self.architecture == "unknown"
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Platform {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts: Vec<_> = text.split('/').collect();
        let is_word = |part: &&str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        };
        let (os, architecture, variant) = match parts.as_slice() {
            [os, architecture] => (os, architecture, None),
            [os, architecture, variant] => (os, architecture, Some(variant)),
            _ => (&"", &"", None),
        };
        if !parts.iter().all(is_word) || os.is_empty() {
            return Err(Error::malformed(
                format_args!("the platform `{}`", text.escape_debug()),
                "expected OS/ARCH[/VARIANT], such as wasip2/wasm or linux/arm64",
            ));
        }
        Ok(Self {
            os: (*os).to_owned(),
            architecture: (*architecture).to_owned(),
            variant: variant.map(|variant| (*variant).to_owned()),
        })
    }
}

impl From<&oci_spec::image::Platform> for Platform {
    fn from(platform: &oci_spec::image::Platform) -> Self {
        Self {
            os: platform.os().to_string(),
            architecture: platform.architecture().to_string(),
            variant: platform
                .variant()
                .clone()
                .filter(|variant| !variant.is_empty()),
        }
    }
}

/// A manifest that may be chosen.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) descriptor: Descriptor,
    /// The platform in the descriptor, or else in the image's config. `None` if neither says.
    pub(crate) platform: Option<Platform>,
}

/// Whether a descriptor of an index describes another manifest and is not an image itself, as build
/// provenance is.
pub(crate) fn is_attestation(descriptor: &Descriptor) -> bool {
    let is_annotated = descriptor
        .annotations()
        .as_ref()
        .is_some_and(|annotations| annotations.contains_key("vnd.docker.reference.type"));
    is_annotated
        || descriptor
            .platform()
            .as_ref()
            .is_some_and(|platform| Platform::from(platform).is_unknown())
}

/// Chooses the manifest for `choice`. `what` names the image in errors.
///
/// The order: the platform that is asked for, and only that; WASI 0.2, 0.1, any; Wasm on Linux, as some
/// tools mark images; the only manifest without a platform; for data, Linux on the host's architecture.
///
/// # Errors
/// [`Error::Platform`] with the platforms there are, if none fits.
pub(crate) fn choose<'a>(
    what: &str,
    candidates: impl IntoIterator<Item = &'a Candidate>,
    choice: &Choice,
) -> Result<&'a Candidate> {
    let candidates: Vec<_> = candidates.into_iter().collect();
    let candidates = candidates.as_slice();
    let find = |wanted: &Platform| {
        let fits = |candidate: &&&Candidate| {
            candidate
                .platform
                .as_ref()
                .is_some_and(|platform| wanted.accepts(platform))
        };
        candidates.iter().find(fits).copied()
    };
    let found = match &choice.platform {
        Some(wanted) => find(wanted),
        None => preferred(choice.purpose, candidates, find),
    };
    found.ok_or_else(|| no_match(what, candidates, choice))
}

fn preferred<'a>(
    purpose: Purpose,
    candidates: &[&'a Candidate],
    find: impl Fn(&Platform) -> Option<&'a Candidate>,
) -> Option<&'a Candidate> {
    let of_wasi = || {
        let pairs = WASI
            .iter()
            .flat_map(|os| WASM.iter().map(move |arch| Platform::new(os, arch)));
        pairs.into_iter().find_map(|platform| find(&platform))
    };
    let of_linux = || find(&Platform::new("linux", "wasm"));
    let without_platform = || {
        let mut without = candidates
            .iter()
            .filter(|candidate| candidate.platform.is_none());
        let first = *without.next()?;
        without.next().is_none().then_some(first)
    };
    let of_host = || match purpose {
        Purpose::Program => None,
        Purpose::Data | Purpose::Present => find(&Platform::host()),
    };
    of_wasi()
        .or_else(of_linux)
        .or_else(without_platform)
        .or_else(of_host)
}

fn no_match(what: &str, candidates: &[&Candidate], choice: &Choice) -> Error {
    let mut available: Vec<_> = candidates
        .iter()
        .map(|candidate| match &candidate.platform {
            Some(platform) => platform.to_string(),
            None => "an image without a platform".to_owned(),
        })
        .collect();
    available.sort();
    available.dedup();
    let wanted = match (&choice.platform, choice.purpose) {
        (Some(platform), _) => platform.to_string(),
        (None, Purpose::Program) => "WebAssembly".to_owned(),
        (None, Purpose::Data | Purpose::Present) => format!("WebAssembly or {}", Platform::host()),
    };
    let remedy = match (&choice.platform, candidates) {
        (None, [_, ..]) => "; choose one with --platform OS/ARCH".to_owned(),
        _ => String::new(),
    };
    Error::Platform {
        what: what.to_owned(),
        wanted,
        available: if available.is_empty() {
            "none".to_owned()
        } else {
            available.join(", ")
        },
        remedy,
    }
}
