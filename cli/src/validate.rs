//! Checks of the directories before anything is changed: that they exist, that they can be read, and
//! that they do not overlap where that is not allowed.
//!
//! The engine compares layers too when they are mounted (`engine::Place`). The checks here name the
//! options in their errors, and include writable `--dir`s.

use crate::mounts::{DirSpec, Mounts, OverlaySpec, UpperSpec};
use anyhow::{Context, Result, bail, ensure};
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use std::io::ErrorKind;
use std::path::Path;
use wasi_overlay::engine::{self, MAX_LAYERS, Relation};

/// Mounts whose directories are open.
pub(crate) struct OpenMounts {
    /// Overlays.
    pub(crate) overlays: Vec<OpenOverlay>,
    /// Host directories, mounted directly.
    pub(crate) dirs: Vec<(DirSpec, Dir)>,
}

/// An overlay whose directories are open.
pub(crate) struct OpenOverlay {
    /// Its specification.
    pub(crate) spec: OverlaySpec,
    /// Its layers, the bottom one first, each with the option that specified it.
    pub(crate) layers: Vec<(String, Dir)>,
    /// The directory of its upper, if it has one, with the option that specified it.
    pub(crate) upper: Option<(String, Dir)>,
}

/// Opens every directory and checks them against each other. Changes nothing.
pub(crate) fn open(mounts: Mounts) -> Result<OpenMounts> {
    let mut checked = Vec::new();
    let mut overlays = Vec::new();
    for spec in mounts.overlays {
        check_layer_count(&spec)?;
        let mut layers = Vec::with_capacity(spec.layers.len());
        for path in &spec.layers {
            let flag = spec.layer_flag(path);
            let dir = open_dir(&flag, path, Role::Layer)?;
            checked.push(CheckedDir::new(
                &flag,
                Role::Layer,
                &dir,
                spec.cross_mounts,
            )?);
            layers.push((flag, dir));
        }
        let upper = match &spec.upper {
            UpperSpec::Dir(path) => {
                let flag = spec.upper_flag(path);
                let dir = open_dir(&flag, path, Role::Upper)?;
                checked.push(CheckedDir::new(&flag, Role::Upper, &dir, false)?);
                Some((flag, dir))
            }
            UpperSpec::Memory(_) | UpperSpec::None => None,
        };
        overlays.push(OpenOverlay {
            spec,
            layers,
            upper,
        });
    }
    let mut dirs = Vec::new();
    for spec in mounts.dirs {
        let flag = spec.flag();
        let dir = open_dir(&flag, &spec.host, Role::Live)?;
        if !spec.read_only {
            // A guest can enter filesystems that are mounted inside a `--dir`.
            checked.push(CheckedDir::new(&flag, Role::Live, &dir, true)?);
        }
        dirs.push((spec, dir));
    }
    check_overlap(&checked)?;
    Ok(OpenMounts { overlays, dirs })
}

fn check_layer_count(spec: &OverlaySpec) -> Result<()> {
    let upper = usize::from(spec.upper != UpperSpec::None);
    let count = spec.layers.len() + upper;
    ensure!(
        count <= MAX_LAYERS,
        "{}: {count} layers{}, but at most {MAX_LAYERS} are supported; merge some of them into one",
        spec.at_flag(),
        if upper == 1 { " with the upper" } else { "" },
    );
    Ok(())
}

/// How a directory is used.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Layer,
    Upper,
    Live,
}

fn open_dir(flag: &str, path: &Path, role: Role) -> Result<Dir> {
    let remedy = match role {
        Role::Layer | Role::Live => "check the path".to_owned(),
        Role::Upper => format!("create it with `mkdir -p {}`", path.display()),
    };
    let meta = match std::fs::metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!("{flag}: there is no such directory; {remedy}")
        }
        Err(error) => return Err(read_error(flag, error)),
    };
    ensure!(
        meta.is_dir(),
        "{flag}: it is a file, but {}",
        match role {
            Role::Layer => "a layer must be a directory; if it is an archive, unpack it first",
            Role::Upper => "an upper must be a directory; choose another path",
            Role::Live => "only directories can be mounted; use the directory that contains it",
        }
    );
    let dir = Dir::open_ambient_dir(path, ambient_authority())
        .map_err(|error| read_error(flag, error))?;
    // `open_ambient_dir` needs no permission on the directory itself. Listing it needs `r`, and
    // access to its entries needs `x`.
    dir.entries().map_err(|error| read_error(flag, error))?;
    dir.metadata(".").map_err(|error| read_error(flag, error))?;
    Ok(dir)
}

fn read_error(flag: &str, error: std::io::Error) -> anyhow::Error {
    let remedy = match error.kind() {
        ErrorKind::PermissionDenied => {
            "grant yourself `r` and `x` on it with chmod, or run as its owner"
        }
        ErrorKind::NotADirectory => "a part of the path is a file; check the path",
        _ if error.raw_os_error() == Some(24) => "too many files are open; raise `ulimit -n`",
        _ => "check the path and its filesystem",
    };
    anyhow::anyhow!("{flag}: it cannot be read ({error}); {remedy}")
}

/// An open directory with its location, to be compared with the others.
struct CheckedDir {
    flag: String,
    role: Role,
    place: engine::Place,
}

impl CheckedDir {
    fn new(flag: &str, role: Role, dir: &Dir, crosses_mounts: bool) -> Result<Self> {
        let place = engine::Place::of_dir(dir, crosses_mounts).with_context(|| {
            format!("{flag}: the location of the directory cannot be determined; check the path")
        })?;
        Ok(Self {
            flag: flag.to_owned(),
            role,
            place,
        })
    }

    /// How this directory is related to `other`, in words; none if they do not overlap.
    fn relation(&self, other: &Self) -> Option<&'static str> {
        Some(match self.place.relation(&other.place)? {
            Relation::Same => "it is the same directory as",
            Relation::Inside => "it is inside",
            Relation::Contains => "it contains",
        })
    }
}

fn check_overlap(dirs: &[CheckedDir]) -> Result<()> {
    let of = |role| dirs.iter().enumerate().filter(move |(_, p)| p.role == role);
    for (index, upper) in of(Role::Upper) {
        for (_, layer) in of(Role::Layer) {
            if let Some(relation) = upper.relation(layer) {
                bail!(
                    "{}: {relation} {}, and a layer must never change; \
                     use a separate directory for the upper, outside every layer",
                    upper.flag,
                    layer.flag
                );
            }
        }
        for (_, other) in of(Role::Upper).filter(|(other, _)| *other < index) {
            if let Some(relation) = upper.relation(other) {
                bail!(
                    "{}: {relation} {}, and two mounts cannot share an upper; \
                     use a separate directory for each",
                    upper.flag,
                    other.flag
                );
            }
        }
    }
    for (_, live) in of(Role::Live) {
        for other in dirs.iter().filter(|p| p.role != Role::Live) {
            if let Some(relation) = live.relation(other) {
                bail!(
                    "{}: {relation} {}, which only the overlay may change while it is mounted; \
                     make the --dir read-only (HOST::GUEST::ro), or choose another directory",
                    live.flag,
                    other.flag
                );
            }
        }
    }
    Ok(())
}
