//! Released versions of WASI 0.2.

use std::fmt;
use std::str::FromStr;

/// A released version of WASI 0.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WasiVersion {
    patch: u64,
}

impl WasiVersion {
    /// 0.2.0, which every host and every composer of WASI 0.2 supports.
    pub const FIRST: Self = Self { patch: 0 };

    /// 0.2.12, which the overlay is built for.
    pub const LATEST: Self = Self { patch: 12 };

    /// 0.2.`patch`.
    #[cfg(test)]
    pub(crate) const fn of_patch(patch: u64) -> Self {
        Self { patch }
    }

    /// Converts a package's version, if it is a release of WASI 0.2. Drafts are not: each of them
    /// has its own interfaces. Accepts versions after [`LATEST`](Self::LATEST), because an app may
    /// be newer than this crate.
    pub(crate) fn of_package(version: &semver::Version) -> Option<Self> {
        let released = version.pre.is_empty() && version.build.is_empty();
        (released && (version.major, version.minor) == (0, 2)).then_some(Self {
            patch: version.patch,
        })
    }

    /// The version as packages have it.
    pub(crate) fn to_package(self) -> semver::Version {
        semver::Version::new(0, 2, self.patch)
    }
}

impl Default for WasiVersion {
    /// [`FIRST`](Self::FIRST).
    fn default() -> Self {
        Self::FIRST
    }
}

impl fmt::Display for WasiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0.2.{}", self.patch)
    }
}

/// The text is not a released version of WASI 0.2 that this crate knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{given:?} is not a known version of WASI 0.2: give one of 0.2.0 to {}",
    WasiVersion::LATEST
)]
pub struct UnknownVersion {
    /// The text.
    pub given: String,
}

impl FromStr for WasiVersion {
    type Err = UnknownVersion;

    /// Parses `0.2.0` to [`LATEST`](Self::LATEST).
    fn from_str(text: &str) -> Result<Self, UnknownVersion> {
        semver::Version::parse(text)
            .ok()
            .and_then(|version| Self::of_package(&version))
            .filter(|version| *version <= Self::LATEST)
            .ok_or_else(|| UnknownVersion {
                given: text.to_owned(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_released_versions_parse() {
        for patch in 0..=12 {
            let text = format!("0.2.{patch}");
            assert_eq!(text.parse::<WasiVersion>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "0.2",
            "0.2.13",
            "0.2.0-rc-2023-11-10",
            "0.3.0",
            "1.2.0",
            "0.2.1+x",
            "v0.2.1",
        ] {
            let error = text.parse::<WasiVersion>().unwrap_err();
            assert!(error.to_string().contains("0.2.0 to 0.2.12"), "{error}");
        }
    }
}
