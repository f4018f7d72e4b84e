//! What can be said about the directories before anything is touched: that they are there, that
//! they can be read, and that no two of them are in each other's way.
//!
//! The engine compares directories (`engine::Place`) and refuses the same layers when they are
//! mounted; here the options are named, and writable `--dir`s are compared too.

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
    /// Host directories as they are.
    pub(crate) dirs: Vec<(DirSpec, Dir)>,
}

/// An overlay whose directories are open.
pub(crate) struct OpenOverlay {
    /// What was asked for.
    pub(crate) spec: OverlaySpec,
    /// Its layers, the bottom one first, each with the option that names it.
    pub(crate) layers: Vec<(String, Dir)>,
    /// The directory of its upper, if it has one, with the option that names it.
    pub(crate) upper: Option<(String, Dir)>,
}

/// Opens every directory and checks them against each other. Changes nothing.
pub(crate) fn open(mounts: Mounts) -> Result<OpenMounts> {
    let mut places = Vec::new();
    let mut overlays = Vec::new();
    for spec in mounts.overlays {
        check_count(&spec)?;
        let mut layers = Vec::with_capacity(spec.layers.len());
        for path in &spec.layers {
            let flag = spec.layer_flag(path);
            let dir = open_dir(&flag, path, Role::Layer)?;
            places.push(Place::new(&flag, Role::Layer, &dir, spec.cross_mounts)?);
            layers.push((flag, dir));
        }
        let upper = match &spec.upper {
            UpperSpec::Dir(path) => {
                let flag = spec.upper_flag(path);
                let dir = open_dir(&flag, path, Role::Upper)?;
                places.push(Place::new(&flag, Role::Upper, &dir, false)?);
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
            // A guest of `--dir` enters what is mounted inside the directory.
            places.push(Place::new(&flag, Role::Live, &dir, true)?);
        }
        dirs.push((spec, dir));
    }
    check_apart(&places)?;
    Ok(OpenMounts { overlays, dirs })
}

fn check_count(spec: &OverlaySpec) -> Result<()> {
    let upper = usize::from(spec.upper != UpperSpec::None);
    let count = spec.layers.len() + upper;
    ensure!(
        count <= MAX_LAYERS,
        "{}: {count} layers{}, and {MAX_LAYERS} are the most; merge some of them into one",
        spec.at_flag(),
        if upper == 1 { " with the upper" } else { "" },
    );
    Ok(())
}

/// What a directory is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Layer,
    Upper,
    Live,
}

fn open_dir(flag: &str, path: &Path, role: Role) -> Result<Dir> {
    let remedy = match role {
        Role::Layer | Role::Live => "check the path".to_owned(),
        Role::Upper => format!("make it with `mkdir -p {}`", path.display()),
    };
    let meta = match std::fs::metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!("{flag}: there is no such directory; {remedy}")
        }
        Err(error) => return Err(unreadable(flag, error)),
    };
    ensure!(
        meta.is_dir(),
        "{flag}: it is a file, and {}",
        match role {
            Role::Layer => "a layer is a directory; unpack an archive into one first",
            Role::Upper => "an upper is a directory; give another path",
            Role::Live => "only directories can be mounted; give the directory that it is in",
        }
    );
    let dir = Dir::open_ambient_dir(path, ambient_authority())
        .map_err(|error| unreadable(flag, error))?;
    // Opening a directory as a capability asks for no permission on it; listing asks for `r`,
    // and looking at anything in it for `x`.
    dir.entries().map_err(|error| unreadable(flag, error))?;
    dir.metadata(".").map_err(|error| unreadable(flag, error))?;
    Ok(dir)
}

fn unreadable(flag: &str, error: std::io::Error) -> anyhow::Error {
    let remedy = match error.kind() {
        ErrorKind::PermissionDenied => {
            "give yourself `r` and `x` on it with chmod, or run as its owner"
        }
        ErrorKind::NotADirectory => "a part of the path is a file; check the path",
        _ if error.raw_os_error() == Some(24) => "too many files are open; raise `ulimit -n`",
        _ => "check the path and its filesystem",
    };
    anyhow::anyhow!("{flag}: it cannot be read ({error}); {remedy}")
}

/// A directory, as it lies among others.
struct Place {
    flag: String,
    role: Role,
    place: engine::Place,
}

impl Place {
    fn new(flag: &str, role: Role, dir: &Dir, crosses_mounts: bool) -> Result<Self> {
        let place = engine::Place::of_dir(dir, crosses_mounts).with_context(|| {
            format!("{flag}: where it lies cannot be found out; check the path")
        })?;
        Ok(Self {
            flag: flag.to_owned(),
            role,
            place,
        })
    }

    /// Says how this place lies to `other`; none if they are apart.
    fn relation(&self, other: &Self) -> Option<&'static str> {
        Some(match self.place.relation(&other.place)? {
            Relation::Same => "it is the same directory as",
            Relation::Inside => "it lies inside",
            Relation::Contains => "it contains",
        })
    }
}

fn check_apart(places: &[Place]) -> Result<()> {
    let of = |role| {
        places
            .iter()
            .enumerate()
            .filter(move |(_, p)| p.role == role)
    };
    for (index, upper) in of(Role::Upper) {
        for (_, layer) in of(Role::Layer) {
            if let Some(relation) = upper.relation(layer) {
                bail!(
                    "{}: {relation} {}, and a layer must never change; \
                     give the upper a directory of its own, outside every layer",
                    upper.flag,
                    layer.flag
                );
            }
        }
        for (_, other) in of(Role::Upper).filter(|(other, _)| *other < index) {
            if let Some(relation) = upper.relation(other) {
                bail!(
                    "{}: {relation} {}, and two mounts cannot share an upper; \
                     give each a directory of its own",
                    upper.flag,
                    other.flag
                );
            }
        }
    }
    for (_, live) in of(Role::Live) {
        for other in places.iter().filter(|p| p.role != Role::Live) {
            if let Some(relation) = live.relation(other) {
                bail!(
                    "{}: {relation} {}, which nothing but the overlay may change while it is \
                     mounted; mount it read-only (HOST::GUEST::ro), or choose another directory",
                    live.flag,
                    other.flag
                );
            }
        }
    }
    Ok(())
}
