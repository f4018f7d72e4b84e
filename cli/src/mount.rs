//! Mounting of overlays and host directories for the guest, and closing them after it ended.

use crate::messages::print_error;
use crate::mount_points;
use crate::mounts::{AbsoluteSymlinksArg, DirSpec, OverlaySpec, UpperSpec};
use crate::new_dir::NewDir;
use crate::signals;
use crate::validate::{OpenLayer, OpenMounts, OpenOverlay};
use anyhow::{Context, Result, anyhow};
use cap_std::fs::Dir;
use rustix::io::Errno as Os;
use rustix::process::{Resource, getrlimit};
use std::io;
use wasi_overlay::engine::plain::HostDir;
use wasi_overlay::engine::{MAX_LAYERS, close_cached_descriptors};
use wasi_overlay::{
    AbsoluteSymlinks, Errno, Error, FsPerms, Limits, Lower, Overlay, OverlayBuilder, OverlayCtx,
    OverlayCtxError,
};

/// The mounted overlays, and the guest's view of all mounts. An upper that is dropped without
/// [`close`](Self::close) stays as after a crash, and is repaired at the next mount.
pub(crate) struct Mounted {
    overlays: Vec<(OverlaySpec, Overlay)>,
    files: OverlayCtx,
    /// Uppers that were created for this run. If a mount fails, they are removed again.
    new_uppers: Vec<NewDir>,
}

impl Mounted {
    /// Mounts everything. If one mount fails, the previous ones are closed again.
    ///
    /// `may_block` says whether calls may block the guest's thread.
    pub(crate) fn new(open: OpenMounts, may_block: bool) -> Result<Self> {
        let mut mounted = Self {
            overlays: Vec::new(),
            files: OverlayCtx::default(),
            new_uppers: Vec::new(),
        };
        match mounted.mount_all(open, may_block) {
            Ok(()) => Ok(mounted),
            Err(error) => {
                for close_error in mounted.close() {
                    print_error(&close_error);
                }
                Err(error)
            }
        }
    }

    fn mount_all(&mut self, open: OpenMounts, may_block: bool) -> Result<()> {
        let mut files = OverlayCtx::builder();
        files.allow_blocking_current_thread(may_block);
        files.limits(limits());
        for overlay in open.overlays {
            let spec = overlay.spec.clone();
            let overlay = mount(overlay, &mut self.new_uppers)?;
            // From here on, `close` covers it.
            self.overlays.push((spec.clone(), overlay.clone()));
            files.overlay(&overlay, spec.at.as_str(), perms(spec.read_only))?;
        }
        for (spec, dir) in open.dirs {
            files
                .dir(dir, spec.guest.as_str(), perms(spec.read_only))
                .map_err(|error| dir_error(&spec, &error))?;
        }
        for new in self.new_uppers.drain(..) {
            new.keep();
        }
        self.files = files.build();
        // An upper in memory does not need to be closed.
        let on_disk = |(spec, _): &&(OverlaySpec, Overlay)| matches!(spec.upper, UpperSpec::Dir(_));
        let uppers = self.overlays.iter().filter(on_disk);
        let uppers: Vec<_> = uppers.map(|(_, overlay)| overlay.clone()).collect();
        if !uppers.is_empty() {
            signals::close_on_signal(uppers).context("cannot install the signal handlers")?;
        }
        Ok(())
    }

    /// The guest's view of all mounts.
    pub(crate) fn files(&self) -> &OverlayCtx {
        &self.files
    }

    /// Closes every mount and returns the errors. The guest must have ended.
    pub(crate) fn close(self) -> Vec<anyhow::Error> {
        drop(self.files);
        let close = |(spec, overlay): (OverlaySpec, Overlay)| {
            overlay.close().map_err(|error| {
                let flag = upper_or_mount_flag(&spec);
                anyhow!(
                    "{flag}: the upper could not be closed ({error}); \
                     it is repaired at the next mount"
                )
            })
        };
        let closed = self.overlays.into_iter().map(close);
        let errors = closed.filter_map(Result::err).collect();
        drop(self.new_uppers);
        errors
    }
}

/// The most files and directories that a guest may have open, even if the process has a higher limit:
/// the default of `fs.nr_open` on Linux. Directories of overlays and files in memory take no descriptor,
/// so the system does not limit them.
const MAX_HANDLES: u64 = 1 << 20;

/// The limits of the guest. It may have as many files and directories open as the process, as with
/// `wasmtime run`.
fn limits() -> Limits {
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let mut limits = Limits::default();
    limits.open_handles = usize::try_from(descriptors.min(MAX_HANDLES)).unwrap_or(usize::MAX);
    limits
}

/// Calls `open`. If no descriptor is left for it, closes those that the engine only caches, and calls it
/// again. Needed for everything that is opened after the overlays are mounted.
pub(crate) fn open_with_retry<T>(mut open: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    match open() {
        Err(error)
            if [Os::MFILE, Os::NFILE]
                .map(Some)
                .contains(&Os::from_io_error(&error)) =>
        {
            close_cached_descriptors();
            open()
        }
        opened => opened,
    }
}

fn perms(read_only: bool) -> FsPerms {
    if read_only {
        FsPerms::ReadOnly
    } else {
        FsPerms::ReadWrite
    }
}

fn mount(open: OpenOverlay, new_uppers: &mut Vec<NewDir>) -> Result<Overlay> {
    let OpenOverlay {
        spec,
        layers,
        upper,
        new_upper,
        mount_points,
    } = open;
    new_uppers.extend(new_upper);
    let mut builder = Overlay::builder()
        .read_only(spec.read_only)
        .volatile(spec.volatile)
        .absolute_symlinks(match spec.absolute_symlinks {
            AbsoluteSymlinksArg::Refuse => AbsoluteSymlinks::Refuse,
            AbsoluteSymlinksArg::Root => AbsoluteSymlinks::Root,
        });
    let lowers = lowers(&spec, layers)?;
    // An overlay with the most layers has no room for one more.
    let has_room = lowers.len() + 1 + usize::from(spec.upper != UpperSpec::None) <= MAX_LAYERS;
    if !mount_points.is_empty() && has_room {
        let layer = mount_points::layer(&mount_points);
        builder =
            builder.lower(layer.map_err(|error| mount_error(&spec, &spec.at_flag(), &error))?);
    }
    builder = lowers.into_iter().fold(builder, OverlayBuilder::lower);
    match (&spec.upper, upper) {
        (UpperSpec::Dir(_), Some((flag, dir))) => builder = builder.upper_dir(flag, dir),
        (UpperSpec::Memory(bytes), _) => builder = builder.upper_memory(*bytes),
        (UpperSpec::Dir(_) | UpperSpec::None, _) => {}
    }
    builder
        .build()
        .map_err(|error| mount_error(&spec, &upper_or_mount_flag(&spec), &error))
}

/// The layers of an overlay, the bottom one first.
fn lowers(spec: &OverlaySpec, layers: Vec<(String, OpenLayer)>) -> Result<Vec<Lower>> {
    let mut lowers = Vec::new();
    for (flag, layer) in layers {
        match layer {
            OpenLayer::Dir(dir) => {
                let dir = HostDir::new(dir, flag.as_str()).cross_mounts(spec.cross_mounts);
                let lower = Lower::host_dir(dir);
                lowers.push(lower.map_err(|error| mount_error(spec, &flag, &error))?);
            }
            OpenLayer::Lowers(all) => lowers.extend(all),
        }
    }
    Ok(lowers)
}

/// All layers of an overlay that is not mounted yet, and what is in its upper, to read from.
pub(crate) fn layers_with_upper(open: &OpenOverlay) -> Result<Vec<Lower>> {
    let clone = |flag: &str, dir: &Dir| {
        let dir = open_with_retry(|| dir.try_clone());
        dir.with_context(|| format!("{flag}: the directory cannot be opened"))
    };
    let mut layers = Vec::new();
    for (flag, layer) in &open.layers {
        let layer = match layer {
            OpenLayer::Dir(dir) => OpenLayer::Dir(clone(flag, dir)?),
            OpenLayer::Lowers(all) => OpenLayer::Lowers(all.clone()),
        };
        layers.push((flag.clone(), layer));
    }
    if let Some((flag, dir)) = &open.upper {
        layers.push((flag.clone(), OpenLayer::Dir(clone(flag, dir)?)));
    }
    lowers(&open.spec, layers)
}

/// The option to name in an error of a whole mount: that of its upper directory, if it has one.
fn upper_or_mount_flag(spec: &OverlaySpec) -> String {
    match &spec.upper {
        UpperSpec::Dir(path) => spec.upper_flag(path),
        UpperSpec::Memory(_) | UpperSpec::None => spec.at_flag(),
    }
}

/// The engine's error with the option in front and, where there is one, a remedy. Layers are labelled with
/// their options, so an error that names its layer already names the option.
fn mount_error(spec: &OverlaySpec, flag: &str, error: &Error) -> anyhow::Error {
    let message = error.to_string();
    let named = spec
        .layers
        .iter()
        .map(|path| spec.layer_flag(path))
        .chain([flag.to_owned()])
        .any(|flag| message.starts_with(&flag));
    let message = if named {
        message
    } else {
        format!("{flag}: {message}")
    };
    match error.errno() {
        Errno::Access | Errno::NotPermitted => {
            anyhow!("{message}; grant yourself access to it, or run as its owner")
        }
        Errno::ReadOnly if spec.read_only => {
            anyhow!("{message}; use it as the topmost layer instead")
        }
        Errno::ReadOnly => anyhow!("{message}; use another upper, or mount read-only"),
        Errno::TooManyFiles => anyhow!("{message}; raise `ulimit -n`"),
        Errno::InsufficientSpace | Errno::Quota => {
            anyhow!("{message}; free space on the filesystem of the upper, or use another upper")
        }
        _ => anyhow!("{message}"),
    }
}

/// As [`mount_error`], for a `--dir`.
fn dir_error(spec: &DirSpec, error: &OverlayCtxError) -> anyhow::Error {
    let flag = spec.flag();
    match error {
        OverlayCtxError::Dir(error) if error.errno() == Errno::TooManyFiles => {
            anyhow!("{flag}: {error}; raise `ulimit -n`")
        }
        _ => anyhow!("{flag}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_filesystem_of_upper_has_remedy() {
        let spec = OverlaySpec::parse("dst=/d,upper=up".into()).unwrap();
        for errno in [Errno::InsufficientSpace, Errno::Quota] {
            let error = Error::new(errno, "no space is left");
            assert_eq!(
                mount_error(&spec, "--upper up", &error).to_string(),
                "--upper up: no space is left; free space on the filesystem of the upper, or use \
                 another upper"
            );
        }
    }
}
