//! Specifications of mounts, parsed from the command line and checked without access to the disk.

use crate::args::RunArgs;
use crate::fields::{
    parse_flag, parse_mount_point, parse_size, path_components, require_value, set_once,
    split_fields,
};
use anyhow::{Result, bail, ensure};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Default size of an upper in memory, in bytes.
pub(crate) const DEFAULT_MEMORY_BYTES: u64 = 1 << 30;

/// One overlay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OverlaySpec {
    /// The mount point in the guest, absolute and normalized.
    pub(crate) at: String,
    /// Read-only layers, the bottom one first.
    pub(crate) layers: Vec<PathBuf>,
    /// The layer that takes changes.
    pub(crate) upper: UpperSpec,
    /// Whether changes are refused, even if there is an upper.
    pub(crate) read_only: bool,
    /// Whether the upper is never synced to disk.
    pub(crate) volatile: bool,
    /// How absolute symbolic links in layers are treated.
    pub(crate) absolute_symlinks: AbsoluteSymlinksArg,
    /// Whether filesystems that are mounted inside a layer belong to it.
    pub(crate) cross_mounts: bool,
    /// The kind of option that specified it, for error messages.
    pub(crate) origin: Origin,
}

/// The upper of an overlay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum UpperSpec {
    /// No upper: the overlay is read-only.
    None,
    /// A directory.
    Dir(PathBuf),
    /// Memory, up to this many bytes.
    Memory(u64),
}

/// The value of `--upper`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum UpperArg {
    /// A directory.
    Dir(PathBuf),
    /// Memory, up to this many bytes.
    Memory(u64),
}

/// How an absolute symbolic link in a layer is treated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum AbsoluteSymlinksArg {
    /// Following it fails with `not-permitted`
    #[default]
    Refuse,
    /// It is resolved from the mount's root
    Root,
}

/// One `--dir`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DirSpec {
    /// The directory of the host.
    pub(crate) host: PathBuf,
    /// The name of its preopen.
    pub(crate) guest: String,
    /// Whether changes are refused.
    pub(crate) read_only: bool,
    /// The value as the user typed it.
    text: String,
}

/// The kind of option that specified an overlay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// `--layer`, `--upper` and the other overlay options.
    Options,
    /// One `--mount`.
    Mount,
}

/// All mounts of a run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Mounts {
    /// Overlays.
    pub(crate) overlays: Vec<OverlaySpec>,
    /// Host directories, mounted directly.
    pub(crate) dirs: Vec<DirSpec>,
}

impl Mounts {
    /// Parses the options. The mounts are in the order of the help: the main overlay, each
    /// `--mount`, each `--dir`.
    pub(crate) fn from_args(args: &RunArgs) -> Result<Self> {
        let mut overlays = Vec::new();
        overlays.extend(main_overlay(args)?);
        overlays.extend(args.mounts.iter().cloned());
        let mounts = Self {
            overlays,
            dirs: args.dirs.clone(),
        };
        mounts.check_mount_points()?;
        Ok(mounts)
    }

    fn check_mount_points(&self) -> Result<()> {
        let overlays = self.overlays.iter().map(|o| (o.at.as_str(), o.at_flag()));
        let dirs = self.dirs.iter().map(|d| (d.guest.as_str(), d.flag()));
        let mut seen: Vec<(&str, String)> = Vec::new();
        for (at, flag) in overlays.chain(dirs) {
            let same =
                |(other, _): &&(&str, String)| path_components(other).eq(path_components(at));
            if let Some((_, other)) = seen.iter().find(same) {
                bail!(
                    "{flag}: `{at}` is already the mount point of {other}; \
                     choose another mount point for one of them"
                );
            }
            seen.push((at, flag));
        }
        Ok(())
    }
}

/// The overlay of `--layer`, `--upper` and the other overlay options; none without a layer or upper.
fn main_overlay(args: &RunArgs) -> Result<Option<OverlaySpec>> {
    let main = &args.main;
    if main.layers.is_empty() && main.upper.is_none() {
        let unused = [
            (main.read_only, "--read-only"),
            (main.at.is_some(), "--at"),
            (main.volatile, "--volatile"),
            (main.absolute_symlinks.is_some(), "--absolute-symlinks"),
        ];
        if let Some((_, flag)) = unused.iter().find(|(given, _)| *given) {
            bail!("{flag}: this option needs an overlay; add --layer DIR or --upper DIR");
        }
        return Ok(None);
    }
    Ok(Some(OverlaySpec {
        at: parse_mount_point("--at", main.at.as_deref().unwrap_or("/"))?,
        layers: main.layers.clone(),
        upper: upper_or_default("--upper", "--read-only", main.upper.clone(), main.read_only)?,
        read_only: main.read_only,
        volatile: main.volatile,
        absolute_symlinks: main.absolute_symlinks.unwrap_or_default(),
        // Only `--mount` has a key for it.
        cross_mounts: false,
        origin: Origin::Options,
    }))
}

fn upper_or_default(
    flag: &str,
    read_only_flag: &str,
    upper: Option<UpperArg>,
    read_only: bool,
) -> Result<UpperSpec> {
    Ok(match upper {
        Some(UpperArg::Dir(dir)) => UpperSpec::Dir(dir),
        Some(UpperArg::Memory(_)) if read_only => bail!(
            "{flag}: an upper in memory starts empty, and {read_only_flag} keeps it empty; \
             remove one of the two options"
        ),
        Some(UpperArg::Memory(bytes)) => UpperSpec::Memory(bytes),
        None if read_only => UpperSpec::None,
        None => UpperSpec::Memory(DEFAULT_MEMORY_BYTES),
    })
}

impl OverlaySpec {
    /// Parses the value of `--mount`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut at = None;
        let mut layers = Vec::new();
        let mut upper = None;
        let mut absolute_symlinks = None;
        let (mut read_only, mut volatile, mut cross_mounts) = (false, false, false);
        for field in split_fields(text) {
            let (key, value) = match field.split_once('=') {
                Some((key, value)) => (key, Some(value)),
                None => (field.as_str(), None),
            };
            match key {
                "dst" => set_once(
                    key,
                    &mut at,
                    parse_mount_point("dst", require_value(key, value)?)?,
                )?,
                "layer" => layers.push(PathBuf::from(require_value(key, value)?)),
                "upper" => {
                    let value = UpperArg::parse(require_value(key, value)?.into())?;
                    set_once("upper` or `memory", &mut upper, value)?;
                }
                "memory" => {
                    let bytes = value.map_or(Ok(DEFAULT_MEMORY_BYTES), parse_size)?;
                    set_once("upper` or `memory", &mut upper, UpperArg::Memory(bytes))?;
                }
                "ro" => read_only = parse_flag(key, value)?,
                "volatile" => volatile = parse_flag(key, value)?,
                "cross-mounts" => cross_mounts = parse_flag(key, value)?,
                "absolute-symlinks" => {
                    let policy = match require_value(key, value)? {
                        "root" => AbsoluteSymlinksArg::Root,
                        "refuse" => AbsoluteSymlinksArg::Refuse,
                        other => bail!(
                            "`absolute-symlinks={other}`: the value must be `refuse` or `root`"
                        ),
                    };
                    set_once(key, &mut absolute_symlinks, policy)?;
                }
                "" => bail!("a field is empty; a comma in a path is written `\\,`"),
                other => bail!(
                    "unknown key `{other}`; the keys are dst, layer, upper, memory, ro, volatile, \
                     absolute-symlinks and cross-mounts, and a comma in a path is written `\\,`"
                ),
            }
        }
        ensure!(
            !cross_mounts || !layers.is_empty(),
            "`cross-mounts` applies to layers, and there are none; remove it, or add `layer=DIR`"
        );
        let Some(at) = at else {
            bail!("`dst` is missing; specify the mount point in the guest, as in `dst=/data`");
        };
        ensure!(
            !layers.is_empty() || upper.is_some(),
            "there is neither `layer` nor `upper` nor `memory`; add one, as in `layer=DIR`"
        );
        Ok(Self {
            at,
            layers,
            upper: upper_or_default("`upper`", "`ro`", upper, read_only)?,
            read_only,
            volatile,
            absolute_symlinks: absolute_symlinks.unwrap_or_default(),
            cross_mounts,
            origin: Origin::Mount,
        })
    }

    /// The option that specified the mount point.
    pub(crate) fn at_flag(&self) -> String {
        match self.origin {
            Origin::Options => format!("--at {}", self.at),
            Origin::Mount => format!("--mount dst={}", self.at),
        }
    }

    /// The option that specified `layer`.
    pub(crate) fn layer_flag(&self, layer: &Path) -> String {
        self.path_flag("layer", layer)
    }

    /// The option that specified `upper`.
    pub(crate) fn upper_flag(&self, upper: &Path) -> String {
        self.path_flag("upper", upper)
    }

    fn path_flag(&self, key: &str, path: &Path) -> String {
        match self.origin {
            Origin::Options => format!("--{key} {}", path.display()),
            Origin::Mount => format!("--mount dst={},{key}={}", self.at, path.display()),
        }
    }
}

impl UpperArg {
    /// Parses `DIR`, `memory` or `memory:SIZE`. A directory named `memory` is written `./memory`.
    pub(crate) fn parse(value: OsString) -> Result<Self> {
        match value.to_str() {
            Some("") => bail!("the value is empty; use a directory, or `memory`"),
            Some("memory") => return Ok(Self::Memory(DEFAULT_MEMORY_BYTES)),
            Some(text) => {
                if let Some(size) = text.strip_prefix("memory:") {
                    return Ok(Self::Memory(parse_size(size)?));
                }
            }
            None => {}
        }
        Ok(Self::Dir(PathBuf::from(value)))
    }
}

impl DirSpec {
    /// Parses `HOST[::GUEST[::ro]]`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut parts = text.split("::");
        let host = parts.next().unwrap_or_default();
        let guest = parts.next().unwrap_or(host);
        let read_only = match parts.next() {
            None => false,
            Some("ro") => true,
            Some(other) => {
                bail!("`{other}` after the second `::` is unknown; only `ro` is allowed there")
            }
        };
        if let Some(more) = parts.next() {
            bail!("`{more}` after the third `::` is unknown; write HOST::GUEST::ro");
        }
        ensure!(
            !host.is_empty(),
            "the host directory is missing; write HOST::GUEST"
        );
        ensure!(
            !guest.is_empty(),
            "the guest path is empty; write HOST::GUEST"
        );
        Ok(Self {
            host: PathBuf::from(host),
            guest: guest.to_owned(),
            read_only,
            text: text.to_owned(),
        })
    }

    /// The option as the user typed it.
    pub(crate) fn flag(&self) -> String {
        format!("--dir {}", self.text)
    }
}

#[cfg(test)]
mod tests;
