//! From open directories to mounted overlays, and back: what is mounted is closed when the guest
//! has ended, however it ended.

use crate::mounts::{AbsoluteSymlinksArg, DirSpec, OverlaySpec, UpperSpec};
use crate::signals;
use crate::validate::{OpenMounts, OpenOverlay};
use anyhow::{Context, Result, anyhow};
use rustix::io::Errno as Os;
use rustix::process::{Resource, getrlimit};
use std::io;
use wasi_overlay::engine::close_cached_descriptors;
use wasi_overlay::engine::plain::HostDir;
use wasi_overlay::{AbsoluteSymlinks, Errno, Error, FsPerms, Limits, Lower, Overlay, OverlayCtx};

/// What is mounted, and the guest's view of it. Overlays dropped without
/// [`close`](Self::close) stay as a crash leaves them, which the next mount mends.
pub(crate) struct Mounted {
    overlays: Vec<(OverlaySpec, Overlay)>,
    files: OverlayCtx,
}

impl Mounted {
    /// Mounts everything. If something cannot be, what was mounted before it is closed again.
    ///
    /// `block` is whether calls may block the guest's thread.
    pub(crate) fn new(open: OpenMounts, block: bool) -> Result<Self> {
        let mut mounted = Self {
            overlays: Vec::new(),
            files: OverlayCtx::default(),
        };
        match mounted.fill(open, block) {
            Ok(()) => Ok(mounted),
            Err(error) => {
                for trouble in mounted.close() {
                    crate::complain(&format!("Error: {trouble:#}"));
                }
                Err(error)
            }
        }
    }

    fn fill(&mut self, open: OpenMounts, block: bool) -> Result<()> {
        let mut files = OverlayCtx::builder();
        files.allow_blocking_current_thread(block);
        files.limits(limits());
        for overlay in open.overlays {
            let spec = overlay.spec.clone();
            let overlay = mount(overlay)?;
            // It is closed from here on, whatever else fails.
            self.overlays.push((spec.clone(), overlay.clone()));
            files.overlay(spec.at.as_str(), &overlay, perms(spec.read_only))?;
        }
        for (spec, dir) in open.dirs {
            files
                .dir(dir, spec.guest.as_str(), perms(spec.read_only))
                .map_err(|error| describe_dir(&spec, &error))?;
        }
        self.files = files.build();
        // What is in memory needs no closing.
        let on_disk = |(spec, _): &&(OverlaySpec, Overlay)| matches!(spec.upper, UpperSpec::Dir(_));
        let uppers = self.overlays.iter().filter(on_disk);
        let uppers: Vec<_> = uppers.map(|(_, overlay)| overlay.clone()).collect();
        if !uppers.is_empty() {
            signals::close_at(uppers).context("signals cannot be caught")?;
        }
        Ok(())
    }

    /// What the guest sees.
    pub(crate) fn files(&self) -> &OverlayCtx {
        &self.files
    }

    /// Ends every mount and gives back what went wrong. The guest has to be gone.
    pub(crate) fn close(self) -> Vec<anyhow::Error> {
        drop(self.files);
        let close = |(spec, overlay): (OverlaySpec, Overlay)| {
            overlay.close().map_err(|error| {
                let flag = upper_or_mount(&spec);
                anyhow!(
                    "{flag}: the upper could not be brought to rest ({error}); \
                     mount it once more, which mends it"
                )
            })
        };
        let closed = self.overlays.into_iter().map(close);
        closed.filter_map(Result::err).collect()
    }
}

/// The most files and directories that a guest may have open, whatever the limit of the process:
/// what Linux lets that be by default (`fs.nr_open`). Directories of overlays and files in memory take
/// no descriptor, so the system does not count them.
const MOST_HANDLES: u64 = 1 << 20;

/// The bounds on the guest. It may have as many files and directories open as the process, as under
/// `wasmtime run`.
fn limits() -> Limits {
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let mut limits = Limits::default();
    limits.open_handles = usize::try_from(descriptors.min(MOST_HANDLES)).unwrap_or(usize::MAX);
    limits
}

/// Opens something after the overlays are mounted. If no descriptor is left for it, closes all that the
/// engine only caches, and tries again.
pub(crate) fn retry<T>(mut open: impl FnMut() -> io::Result<T>) -> io::Result<T> {
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

fn mount(open: OpenOverlay) -> Result<Overlay> {
    let OpenOverlay {
        spec,
        layers,
        upper,
    } = open;
    let mut builder = Overlay::builder()
        .read_only(spec.read_only)
        .volatile(spec.volatile)
        .absolute_symlinks(match spec.absolute_symlinks {
            AbsoluteSymlinksArg::Refuse => AbsoluteSymlinks::Refuse,
            AbsoluteSymlinksArg::Root => AbsoluteSymlinks::Root,
        });
    for (flag, dir) in layers {
        let dir = HostDir::new(dir, flag.as_str()).cross_mounts(spec.cross_mounts);
        let lower = Lower::host_dir(dir).map_err(|error| describe(&spec, &flag, &error))?;
        builder = builder.lower(lower);
    }
    match (&spec.upper, upper) {
        (UpperSpec::Dir(_), Some((flag, dir))) => builder = builder.upper_dir(flag, dir),
        (UpperSpec::Memory(bytes), _) => builder = builder.upper_memory(*bytes),
        (UpperSpec::Dir(_) | UpperSpec::None, _) => {}
    }
    builder
        .build()
        .map_err(|error| describe(&spec, &upper_or_mount(&spec), &error))
}

/// The option that an error of a whole mount is about: its upper's if it has one of its own.
fn upper_or_mount(spec: &OverlaySpec) -> String {
    match &spec.upper {
        UpperSpec::Dir(path) => spec.upper_flag(path),
        UpperSpec::Memory(_) | UpperSpec::None => spec.at_flag(),
    }
}

/// The engine's words, with the option in front. Layers are labelled with theirs, so an error
/// that names its layer names its option.
fn describe(spec: &OverlaySpec, flag: &str, error: &Error) -> anyhow::Error {
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
            anyhow!("{message}; give yourself access to it, or run as its owner")
        }
        Errno::ReadOnly if spec.read_only => {
            anyhow!("{message}; give it as the topmost layer instead")
        }
        Errno::ReadOnly => anyhow!("{message}; give another upper, or mount read-only"),
        Errno::TooManyFiles => anyhow!("{message}; raise `ulimit -n`"),
        _ => anyhow!("{message}"),
    }
}

/// The same for a host directory.
fn describe_dir(spec: &DirSpec, error: &wasmtime::Error) -> anyhow::Error {
    let flag = spec.flag();
    match error.downcast_ref::<Error>().map(Error::errno) {
        Some(Errno::TooManyFiles) => anyhow!("{flag}: {error}; raise `ulimit -n`"),
        _ => anyhow!("{flag}: {error}"),
    }
}
