//! What is mounted where: read from the command line, checked for what can be checked without
//! looking at the disk.

use crate::args::RunArgs;
use crate::fields::{flag, guest_path, parse_size, place, required, set, split_fields};
use anyhow::{Result, bail, ensure};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Bytes of a memory upper that nobody gave a size.
pub(crate) const DEFAULT_MEMORY: u64 = 1 << 30;

/// One overlay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OverlaySpec {
    /// Where the guest finds it, absolute and normalized.
    pub(crate) at: String,
    /// Read-only layers, the bottom one first.
    pub(crate) layers: Vec<PathBuf>,
    /// Where changes go.
    pub(crate) upper: UpperSpec,
    /// Whether changes are refused, upper or not.
    pub(crate) read_only: bool,
    /// Whether the upper never waits for the disk.
    pub(crate) volatile: bool,
    /// What absolute symbolic links mean.
    pub(crate) absolute_symlinks: AbsoluteSymlinksArg,
    /// Whether filesystems that are mounted inside a layer belong to it.
    pub(crate) cross_mounts: bool,
    /// Which options it came from, to name them in errors.
    pub(crate) origin: Origin,
}

/// Where the changes of an overlay go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum UpperSpec {
    /// Nowhere: there are none.
    None,
    /// To a directory.
    Dir(PathBuf),
    /// To memory, up to this many bytes.
    Memory(u64),
}

/// The value of `--upper`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum UpperArg {
    /// A directory that keeps them.
    Dir(PathBuf),
    /// Memory, up to this many bytes.
    Memory(u64),
}

/// What an absolute symbolic link means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum AbsoluteSymlinksArg {
    /// Following one is `not-permitted`.
    #[default]
    Refuse,
    /// It is a path from the mount's root.
    Root,
}

/// One `--dir`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DirSpec {
    /// The directory of the host.
    pub(crate) host: PathBuf,
    /// Its name for the guest.
    pub(crate) guest: String,
    /// Whether changes are refused.
    pub(crate) read_only: bool,
    /// The option as it was typed.
    text: String,
}

/// Which options an overlay came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// `--layer`, `--upper` and their like.
    Options,
    /// One `--mount`.
    Mount,
}

/// Everything that is mounted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Mounts {
    /// Overlays.
    pub(crate) overlays: Vec<OverlaySpec>,
    /// Host directories as they are.
    pub(crate) dirs: Vec<DirSpec>,
}

impl Mounts {
    /// Reads the options. The order of mounts is that of their help: the main overlay, each
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
            let same = |(other, _): &&(&str, String)| place(other).eq(place(at));
            if let Some((_, other)) = seen.iter().find(same) {
                bail!(
                    "{flag}: `{at}` is mounted twice, first by {other}; \
                     give one of them another place"
                );
            }
            seen.push((at, flag));
        }
        Ok(())
    }
}

/// The overlay of the single options; none if they ask for none.
fn main_overlay(args: &RunArgs) -> Result<Option<OverlaySpec>> {
    let main = &args.main;
    if main.layers.is_empty() && main.upper.is_none() {
        let stray = [
            (main.read_only, "--read-only"),
            (main.at.is_some(), "--at"),
            (main.volatile, "--volatile"),
            (main.absolute_symlinks.is_some(), "--absolute-symlinks"),
        ];
        if let Some((_, flag)) = stray.iter().find(|(given, _)| *given) {
            bail!("{flag}: there is no overlay that it could mean; add --layer DIR or --upper DIR");
        }
        return Ok(None);
    }
    Ok(Some(OverlaySpec {
        at: guest_path("--at", main.at.as_deref().unwrap_or("/"))?,
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
            "{flag}: an upper in memory is empty and {read_only_flag} keeps it so; \
             leave one of them out"
        ),
        Some(UpperArg::Memory(bytes)) => UpperSpec::Memory(bytes),
        None if read_only => UpperSpec::None,
        None => UpperSpec::Memory(DEFAULT_MEMORY),
    })
}

impl OverlaySpec {
    /// Reads the value of `--mount`.
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
                "dst" => set(key, &mut at, guest_path("dst", required(key, value)?)?)?,
                "layer" => layers.push(PathBuf::from(required(key, value)?)),
                "upper" => {
                    let value = UpperArg::parse(required(key, value)?.into())?;
                    set("upper` or `memory", &mut upper, value)?;
                }
                "memory" => {
                    let bytes = value.map_or(Ok(DEFAULT_MEMORY), parse_size)?;
                    set("upper` or `memory", &mut upper, UpperArg::Memory(bytes))?;
                }
                "ro" => read_only = flag(key, value)?,
                "volatile" => volatile = flag(key, value)?,
                "cross-mounts" => cross_mounts = flag(key, value)?,
                "absolute-symlinks" => {
                    let policy = match required(key, value)? {
                        "root" => AbsoluteSymlinksArg::Root,
                        "refuse" => AbsoluteSymlinksArg::Refuse,
                        other => bail!("`absolute-symlinks={other}`: it is `refuse` or `root`"),
                    };
                    set(key, &mut absolute_symlinks, policy)?;
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
            "`cross-mounts` is about layers, and there is none; leave it out, or add `layer=DIR`"
        );
        let Some(at) = at else {
            bail!("`dst` is missing; say where the guest finds the mount, as in `dst=/data`");
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

    /// How the user named the mount point.
    pub(crate) fn at_flag(&self) -> String {
        match self.origin {
            Origin::Options => format!("--at {}", self.at),
            Origin::Mount => format!("--mount dst={}", self.at),
        }
    }

    /// How the user named a layer of it.
    pub(crate) fn layer_flag(&self, layer: &Path) -> String {
        self.flag_of("layer", layer)
    }

    /// How the user named its upper.
    pub(crate) fn upper_flag(&self, upper: &Path) -> String {
        self.flag_of("upper", upper)
    }

    fn flag_of(&self, key: &str, path: &Path) -> String {
        match self.origin {
            Origin::Options => format!("--{key} {}", path.display()),
            Origin::Mount => format!("--mount dst={},{key}={}", self.at, path.display()),
        }
    }
}

impl UpperArg {
    /// Reads `DIR`, `memory` or `memory:SIZE`. A directory of that name is `./memory`.
    pub(crate) fn parse(value: OsString) -> Result<Self> {
        match value.to_str() {
            Some("") => bail!("the value is empty; give a directory, or `memory`"),
            Some("memory") => return Ok(Self::Memory(DEFAULT_MEMORY)),
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
    /// Reads `HOST[::GUEST[::ro]]`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut parts = text.split("::");
        let host = parts.next().unwrap_or_default();
        let guest = parts.next().unwrap_or(host);
        let read_only = match parts.next() {
            None => false,
            Some("ro") => true,
            Some(other) => bail!("`{other}` after the second `::` is unknown; it can only be `ro`"),
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
            "the guest's name is empty; write HOST::GUEST"
        );
        Ok(Self {
            host: PathBuf::from(host),
            guest: guest.to_owned(),
            read_only,
            text: text.to_owned(),
        })
    }

    /// The option as it was typed.
    pub(crate) fn flag(&self) -> String {
        format!("--dir {}", self.text)
    }
}

#[cfg(test)]
mod tests;
