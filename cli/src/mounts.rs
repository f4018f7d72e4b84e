//! Specifications of mounts, parsed from the command line and checked without access to the disk.

use crate::args::RunArgs;
use crate::fields::{
    into_utf8, parse_flag, parse_mount_point, parse_size, path_components, require_text,
    require_value, set_once, split, split_fields, split_key,
};
use crate::layer_arg::LayerArg;
use anyhow::{Context, Result, bail, ensure};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Default size of an upper in memory, in bytes.
pub(crate) const DEFAULT_MEMORY_BYTES: u64 = 1 << 30;

/// One overlay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OverlaySpec {
    /// The mount point in the guest, absolute and normalized.
    pub(crate) at: String,
    /// The image whose program is run, below all layers.
    pub(crate) image: Option<String>,
    /// Read-only layers, the bottom one first.
    pub(crate) layers: Vec<LayerArg>,
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

/// One `--dir` or `--volume`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DirSpec {
    /// The directory of the host.
    pub(crate) host: PathBuf,
    /// The name of its preopen.
    pub(crate) guest: String,
    /// Whether changes are refused.
    pub(crate) read_only: bool,
    /// The option as the user typed it.
    flag: String,
}

/// The kind of option that specified an overlay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// `--layer`, `--upper` and the other overlay options.
    Options,
    /// One `--mount`.
    Mount,
    /// One `--tmpfs`.
    Tmpfs,
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
    /// Parses the options. The mounts are in this order: the main overlay, each `--mount`, each
    /// `--tmpfs`, each `--dir`, each `--volume`.
    ///
    /// `image` names the image whose program is run.
    pub(crate) fn from_args(args: &RunArgs, image: Option<&str>) -> Result<Self> {
        let mut overlays = Vec::new();
        overlays.extend(main_overlay(args, image)?);
        overlays.extend(args.mounts.iter().chain(&args.tmpfs).cloned());
        let dirs = args.dirs.iter().chain(&args.volumes).cloned().collect();
        let mounts = Self { overlays, dirs };
        mounts.check_mount_points()?;
        Ok(mounts)
    }

    /// The mount points of all mounts.
    pub(crate) fn mount_points(&self) -> impl Iterator<Item = &str> {
        let overlays = self.overlays.iter().map(|overlay| overlay.at.as_str());
        overlays.chain(self.dirs.iter().map(|dir| dir.guest.as_str()))
    }

    fn check_mount_points(&self) -> Result<()> {
        let overlays = self.overlays.iter().map(|o| (o.at.as_str(), o.at_flag()));
        let dirs = self
            .dirs
            .iter()
            .map(|d| (d.guest.as_str(), d.flag().to_owned()));
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

/// The overlay of `--layer`, `--upper` and the other overlay options; none without an image, a layer or an
/// upper.
fn main_overlay(args: &RunArgs, image: Option<&str>) -> Result<Option<OverlaySpec>> {
    let main = &args.main;
    if let (Some(image), Some(at)) = (image, &main.at) {
        ensure!(
            path_components(at).next().is_none(),
            "--at {at}: the image {image} is mounted at `/`; remove the option, or mount other layers \
             with --mount"
        );
    }
    if image.is_none() && main.layers.is_empty() && main.upper.is_none() {
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
        image: image.map(str::to_owned),
        layers: main.layers.clone(),
        upper: upper_or_default("--upper", "--read-only", main.upper.clone(), main.read_only)?,
        read_only: main.read_only,
        volatile: main.volatile,
        absolute_symlinks: main
            .absolute_symlinks
            .unwrap_or_else(|| default_policy(image.is_some(), &main.layers)),
        // Only `--mount` has a key for it.
        cross_mounts: false,
        origin: Origin::Options,
    }))
}

/// How absolute symbolic links are treated if no option says so. Root filesystems are full of them, so an
/// image resolves them from the root of the mount, and all layers of a mount do the same.
fn default_policy(is_image: bool, layers: &[LayerArg]) -> AbsoluteSymlinksArg {
    if is_image || layers.iter().any(LayerArg::is_image) {
        AbsoluteSymlinksArg::Root
    } else {
        AbsoluteSymlinksArg::Refuse
    }
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
    pub(crate) fn parse(value: OsString) -> Result<Self> {
        let mut at = None;
        let mut layers = Vec::new();
        let mut upper = None;
        let mut absolute_symlinks = None;
        let (mut read_only, mut volatile, mut cross_mounts) = (false, false, false);
        for field in split_fields(&value) {
            let (key, value) = split_key(&field);
            let key = key.as_str();
            match key {
                "dst" => set_once(
                    key,
                    &mut at,
                    parse_mount_point("dst", require_text(key, value)?)?,
                )?,
                "layer" => layers.push(LayerArg::parse(require_value(key, value)?.into())?),
                "upper" => {
                    let value = UpperArg::parse(require_value(key, value)?.into())?;
                    set_once("upper` or `memory", &mut upper, value)?;
                }
                "memory" => {
                    let bytes = match value {
                        Some(_) => parse_size(require_text(key, value)?)?,
                        None => DEFAULT_MEMORY_BYTES,
                    };
                    set_once("upper` or `memory", &mut upper, UpperArg::Memory(bytes))?;
                }
                "ro" => read_only = parse_flag(key, value)?,
                "volatile" => volatile = parse_flag(key, value)?,
                "cross-mounts" => cross_mounts = parse_flag(key, value)?,
                "absolute-symlinks" => {
                    let policy = match require_text(key, value)? {
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
            image: None,
            upper: upper_or_default("`upper`", "`ro`", upper, read_only)?,
            read_only,
            volatile,
            absolute_symlinks: absolute_symlinks.unwrap_or_else(|| default_policy(false, &layers)),
            layers,
            cross_mounts,
            origin: Origin::Mount,
        })
    }

    /// The option that specified the mount point.
    pub(crate) fn at_flag(&self) -> String {
        match self.origin {
            Origin::Options => format!("--at {}", self.at),
            Origin::Mount => format!("--mount dst={}", self.at),
            Origin::Tmpfs => format!("--tmpfs {}", self.at),
        }
    }

    /// The kind of option that specified the layers.
    pub(crate) fn layers_flag(&self) -> String {
        match self.origin {
            Origin::Options => "--layer".to_owned(),
            Origin::Mount | Origin::Tmpfs => self.at_flag(),
        }
    }

    /// The option that specified `layer`.
    pub(crate) fn layer_flag(&self, layer: &LayerArg) -> String {
        self.path_flag("layer", Path::new(layer.text()))
    }

    /// The option that specified `upper`.
    pub(crate) fn upper_flag(&self, upper: &Path) -> String {
        self.path_flag("upper", upper)
    }

    fn path_flag(&self, key: &str, path: &Path) -> String {
        match self.origin {
            Origin::Options => format!("--{key} {}", path.display()),
            Origin::Mount | Origin::Tmpfs => {
                format!("{},{key}={}", self.at_flag(), path.display())
            }
        }
    }
}

/// Parses the value of `--tmpfs`, `GUEST_PATH[:size=SIZE]`: an overlay without layers, in memory.
pub(crate) fn parse_tmpfs(value: OsString) -> Result<OverlaySpec> {
    let text = into_utf8(value)?;
    let (at, options) = match text.split_once(':') {
        Some((at, options)) => (at, Some(options)),
        None => (text.as_str(), None),
    };
    let mut bytes = None;
    for option in options.into_iter().flat_map(|options| options.split(',')) {
        match option.split_once('=') {
            Some(("size", size)) => set_once("size", &mut bytes, parse_size(size)?)?,
            None if option == "rw" => {}
            _ => bail!("unknown option `{option}`; the only one is `size`, as in {at}:size=64m"),
        }
    }
    Ok(OverlaySpec {
        at: parse_mount_point("--tmpfs", at)?,
        image: None,
        layers: Vec::new(),
        upper: UpperSpec::Memory(bytes.unwrap_or(DEFAULT_MEMORY_BYTES)),
        read_only: false,
        volatile: false,
        absolute_symlinks: AbsoluteSymlinksArg::default(),
        cross_mounts: false,
        origin: Origin::Tmpfs,
    })
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
    /// Parses the value of `--dir`, `HOST[::GUEST[::ro]]`.
    pub(crate) fn parse_dir(value: OsString) -> Result<Self> {
        let mut parts = split(&value, "::").into_iter();
        let host = parts.next().unwrap_or_default();
        let guest = parts.next();
        let read_only = match parts.next() {
            None => false,
            Some(part) if part == "ro" => true,
            Some(other) => bail!(
                "`{}` after the second `::` is unknown; only `ro` is allowed there",
                other.display()
            ),
        };
        if let Some(more) = parts.next() {
            bail!(
                "`{}` after the third `::` is unknown; write HOST::GUEST::ro",
                more.display()
            );
        }
        ensure!(
            !host.is_empty(),
            "the host directory is missing; write HOST::GUEST"
        );
        ensure!(
            guest.is_none_or(|guest| !guest.is_empty()),
            "the guest path is empty; write HOST::GUEST"
        );
        let guest = guest.unwrap_or(host).to_str().context(
            "the guest path is not UTF-8, which WASI requires; write HOST::GUEST with another GUEST",
        )?;
        Ok(Self {
            host: PathBuf::from(host),
            guest: guest.to_owned(),
            read_only,
            flag: format!("--dir {}", value.display()),
        })
    }

    /// Parses the value of `--volume`, `HOST:GUEST[:ro]`.
    pub(crate) fn parse_volume(value: OsString) -> Result<Self> {
        let parts = split(&value, ":");
        let (parts, read_only) = match parts.split_last() {
            Some((last, rest)) if **last == *"ro" => (rest, true),
            Some((last, rest)) if **last == *"rw" => (rest, false),
            _ => (&parts[..], false),
        };
        let (host, guest) = match parts {
            [host, guest] if !host.is_empty() && !guest.is_empty() => (*host, *guest),
            [host, empty, guest] if empty.is_empty() => {
                let (host, guest) = (host.display(), guest.display());
                bail!(
                    "`::` belongs to --dir; write -v {host}:{guest}{ro}, or --dir {host}::{guest}{dir_ro}",
                    ro = if read_only { ":ro" } else { "" },
                    dir_ro = if read_only { "::ro" } else { "" },
                )
            }
            [_, _, option] if !option.is_empty() => bail!(
                "unknown option `{}`; the options are `ro` and `rw`, and an overlay is mounted with \
                 --layer or --mount",
                option.display()
            ),
            _ => bail!("write HOST:GUEST or HOST:GUEST:ro, as in ./data:/data:ro"),
        };
        let guest = guest
            .to_str()
            .context("the guest path is not UTF-8, which WASI requires")?;
        ensure!(
            guest.starts_with('/'),
            "the guest path `{guest}` is not absolute; write it with `/`, as in /{}",
            guest.trim_start_matches("./")
        );
        Ok(Self {
            host: PathBuf::from(host),
            guest: guest.to_owned(),
            read_only,
            flag: format!("-v {}", value.display()),
        })
    }

    /// The option as the user typed it.
    pub(crate) fn flag(&self) -> &str {
        &self.flag
    }

    /// What to type if the value of a `--dir` is separated by `:` instead of `::`.
    pub(crate) fn separated_by_one_colon(&self) -> Option<String> {
        let value = self.flag.strip_prefix("--dir ")?;
        if value.contains("::") {
            return None;
        }
        let mut parts = value.split(':');
        let (host, guest) = (parts.next()?, parts.next()?);
        match (parts.next(), parts.next()) {
            (None, _) => Some(format!("{host}::{guest}")),
            (Some("ro"), None) => Some(format!("{host}::{guest}::ro")),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
