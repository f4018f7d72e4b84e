//! Checks of the directories before the program can change anything: that they exist, that they can be
//! read, and that they do not overlap where that is not allowed.
//!
//! The engine compares layers too when they are mounted (`engine::Place`). The checks here name the
//! options in their errors, and include writable `--dir`s.

use crate::fields::parse_size;
use crate::image::{ImageProgram, Images};
use crate::layer_arg::{Folder, LayerArg};
use crate::mount_points;
use crate::mounts::{DirSpec, Mounts, OverlaySpec, UpperSpec};
use crate::new_dir::NewDir;
use anyhow::{Context, Result, anyhow, bail, ensure};
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use std::io::{self, ErrorKind};
use std::path::Path;
use wasi_overlay::Lower;
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
    pub(crate) layers: Vec<(String, OpenLayer)>,
    /// The directory of its upper, if it has one, with the option that specified it.
    pub(crate) upper: Option<(String, Dir)>,
    /// That directory, if it was created for this run.
    pub(crate) new_upper: Option<NewDir>,
    /// The directories of the mounts below this one, relative to its root.
    pub(crate) mount_points: Vec<String>,
}

/// What one layer option names.
pub(crate) enum OpenLayer {
    /// A directory.
    Dir(Dir),
    /// An archive, or all layers of an image, the bottom one first.
    Lowers(Vec<Lower>),
}

/// Opens every directory and checks them against each other. Uppers that do not exist are created, and
/// removed again when the result is dropped; nothing else is changed. Images are opened from `images`;
/// `program` is the one that is run.
pub(crate) fn open(
    mounts: Mounts,
    images: &mut Images,
    program: Option<&ImageProgram>,
) -> Result<OpenMounts> {
    let mut checked = Vec::new();
    let mut overlays = Vec::new();
    let all_mount_points: Vec<_> = mounts.mount_points().map(str::to_owned).collect();
    for spec in mounts.overlays {
        check_layer_count(&spec)?;
        let mut layers = Vec::with_capacity(spec.layers.len());
        if let (Some(name), Some(program)) = (&spec.image, program) {
            check_folders(name, program.folders(), &mut checked)?;
            let lowers = program.lowers().to_vec();
            layers.push((name.clone(), OpenLayer::Lowers(lowers)));
        }
        for layer in &spec.layers {
            let flag = spec.layer_flag(layer);
            let Some(path) = layer.as_dir() else {
                let lowers = layer
                    .open(images)
                    .map_err(|error| layer_error(&flag, layer, &error))?;
                check_folders(&flag, &layer.folders(images), &mut checked)?;
                layers.push((flag, OpenLayer::Lowers(lowers)));
                continue;
            };
            let dir = open_dir(&flag, path, Role::Layer)?;
            checked.push(CheckedDir::new(
                &flag,
                Role::Layer,
                &dir,
                spec.cross_mounts,
            )?);
            layers.push((flag, OpenLayer::Dir(dir)));
        }
        let mut new_upper = None;
        let upper = match &spec.upper {
            UpperSpec::Dir(path) => {
                let flag = spec.upper_flag(path);
                new_upper = create_upper(&flag, path, spec.read_only)?;
                let dir = open_dir(&flag, path, Role::Upper)?;
                checked.push(CheckedDir::new(&flag, Role::Upper, &dir, false)?);
                Some((flag, dir))
            }
            UpperSpec::Memory(_) | UpperSpec::None => None,
        };
        overlays.push(OpenOverlay {
            mount_points: mount_points::below(&spec.at, &all_mount_points),
            spec,
            layers,
            upper,
            new_upper,
        });
    }
    let mut dirs = Vec::new();
    for spec in mounts.dirs {
        if let Some(meant) = spec.separated_by_one_colon()
            && !spec.host.exists()
        {
            bail!(
                "{}: there is no such directory; `::` separates the guest path, so write {meant}",
                spec.flag()
            );
        }
        let dir = open_dir(spec.flag(), &spec.host, Role::Live)?;
        if !spec.read_only {
            // A guest can enter filesystems that are mounted inside a `--dir`.
            checked.push(CheckedDir::new(spec.flag(), Role::Live, &dir, true)?);
        }
        dirs.push((spec, dir));
    }
    check_overlap(&checked)?;
    Ok(OpenMounts { overlays, dirs })
}

/// Adds where the files of a layer lie to what is compared with uppers.
fn check_folders(flag: &str, folders: &[Folder], checked: &mut Vec<CheckedDir>) -> Result<()> {
    for folder in folders {
        let (path, role) = match folder {
            Folder::Whole(path) => (path, Role::Layer),
            Folder::OfFile(path) => (path, Role::Archive),
        };
        let dir = Dir::open_ambient_dir(path, ambient_authority())
            .map_err(|error| read_error(flag, error))?;
        checked.push(CheckedDir::new(flag, role, &dir, false)?);
    }
    Ok(())
}

/// The error of a layer, which may begin with its name, as that of its option.
fn layer_error(flag: &str, layer: &LayerArg, error: &anyhow::Error) -> anyhow::Error {
    let error = error.to_string();
    let name = format!("{}: ", layer.text().display());
    let error = error.strip_prefix(&name).unwrap_or(&error);
    anyhow!("{flag}: {error}")
}

fn check_layer_count(spec: &OverlaySpec) -> Result<()> {
    let upper = usize::from(spec.upper != UpperSpec::None);
    let count = spec.layers.len() + upper;
    ensure!(
        count <= MAX_LAYERS,
        "{}: {count} layers{}, but at most {MAX_LAYERS} are supported; merge some of them into one",
        spec.layers_flag(),
        if upper == 1 { " with the upper" } else { "" },
    );
    Ok(())
}

/// How a directory is used.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Layer,
    /// The directory in which an archive or an image lies. It may contain an upper, but not lie in one.
    Archive,
    Upper,
    Live,
}

/// Creates the directory of an upper, unless there is something at its path.
fn create_upper(flag: &str, path: &Path, read_only: bool) -> Result<Option<NewDir>> {
    let missing = |error: &io::Error| error.kind() == ErrorKind::NotFound;
    if !std::fs::metadata(path).as_ref().is_err_and(missing) {
        return Ok(None);
    }
    if let Ok(target) = std::fs::read_link(path) {
        bail!(
            "{flag}: it is a symbolic link to `{0}`, which does not exist; create that directory, or \
             remove the link",
            target.display()
        );
    }
    if let Some((_, size)) = flag.rsplit_once(':')
        && parse_size(size).is_ok()
    {
        let option = if flag.starts_with("--mount") {
            "upper="
        } else {
            "--upper "
        };
        bail!("{flag}: a size is only for memory: {option}memory:{size}");
    }
    ensure!(
        !read_only,
        "{flag}: there is no such directory, and a read-only mount does not create it; check the path"
    );
    match NewDir::create(path) {
        Ok(new) => Ok(Some(new)),
        // Something else created it.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(None),
        Err(error) if missing(&error) => bail!(
            "{flag}: there is no directory to create it in; create it with `mkdir -p {}`",
            path.display()
        ),
        Err(error) => {
            bail!("{flag}: it cannot be created ({error}); use a directory in which you can write")
        }
    }
}

fn open_dir(flag: &str, path: &Path, role: Role) -> Result<Dir> {
    let meta = match std::fs::metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!("{flag}: there is no such directory; check the path")
        }
        Err(error) => return Err(read_error(flag, error)),
    };
    ensure!(
        meta.is_dir(),
        "{flag}: it is a file, but {}",
        match role {
            Role::Layer | Role::Archive => "this layer must be a directory; choose another path",
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
    if role == Role::Upper
        && let Some(kind) = kernel_filesystem(&dir)
    {
        bail!(
            "{flag}: it is on {kind}, a filesystem of the kernel in which no files can be created; use a \
             directory on a disk, or --upper memory"
        );
    }
    Ok(dir)
}

/// The name of the directory's filesystem, if it shows state of the kernel instead of files.
fn kernel_filesystem(dir: &Dir) -> Option<&'static str> {
    // From `linux/magic.h`.
    const NAMES: [(rustix::fs::FsWord, &str); 8] = [
        (0x9fa0, "proc"),
        (0x6265_6572, "sysfs"),
        (0x27e0eb, "cgroup"),
        (0x6367_7270, "cgroup2"),
        (0x1cd1, "devpts"),
        (0x6462_6720, "debugfs"),
        (0x7472_6163, "tracefs"),
        (0x7363_6673, "securityfs"),
    ];
    let magic = rustix::fs::fstatfs(dir).ok()?.f_type;
    let found = NAMES.iter().find(|(known, _)| *known == magic);
    found.map(|(_, name)| *name)
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
    anyhow!("{flag}: it cannot be read ({error}); {remedy}")
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

    /// Whether `archive` is this directory or lies in it.
    fn contains(&self, archive: &Self) -> bool {
        let relation = self.place.relation(&archive.place);
        matches!(relation, Some(Relation::Same | Relation::Contains))
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
        for (_, archive) in of(Role::Archive) {
            if upper.contains(archive) {
                bail!(
                    "{}: {} lies in it, and a layer must never change; \
                     use a separate directory for the upper",
                    upper.flag,
                    archive.flag
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
        for archive in of(Role::Archive).map(|(_, archive)| archive) {
            if live.contains(archive) {
                bail!(
                    "{}: {} lies in it, and a layer must never change; \
                     make the --dir read-only (HOST::GUEST::ro), or choose another directory",
                    live.flag,
                    archive.flag
                );
            }
        }
        let others = dirs.iter();
        for other in others.filter(|p| !matches!(p.role, Role::Live | Role::Archive)) {
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
