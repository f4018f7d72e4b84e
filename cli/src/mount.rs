//! From open directories to mounted overlays, and back: what is mounted is closed when the guest
//! has ended, however it ended.

use crate::mounts::{AbsoluteSymlinksArg, OverlaySpec, UpperSpec};
use crate::validate::OpenOverlay;
use anyhow::{Result, anyhow};
use wasi_overlay_core::{AbsoluteSymlinks, Errno, Error, Lower, Overlay};

/// Mounted overlays. Dropped without [`close`](Self::close), they stay as a crash leaves them,
/// which the next mount mends.
pub(crate) struct Mounted {
    overlays: Vec<(OverlaySpec, Overlay)>,
}

impl Mounted {
    /// Mounts every overlay. If one cannot be, those before it are closed again.
    pub(crate) fn new(open: Vec<OpenOverlay>) -> Result<Self> {
        let mut mounted = Self {
            overlays: Vec::new(),
        };
        for overlay in open {
            let spec = overlay.spec.clone();
            match mount(overlay) {
                Ok(overlay) => mounted.overlays.push((spec, overlay)),
                Err(error) => {
                    for trouble in mounted.close() {
                        crate::complain(&format!("Error: {trouble:#}"));
                    }
                    return Err(error);
                }
            }
        }
        Ok(mounted)
    }

    /// The overlays, with what was asked for.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &(OverlaySpec, Overlay)> {
        self.overlays.iter()
    }

    /// Ends every mount and gives back what went wrong.
    pub(crate) fn close(self) -> Vec<anyhow::Error> {
        let close = |(spec, overlay): &(OverlaySpec, Overlay)| {
            overlay.close().map_err(|error| {
                let flag = upper_or_mount(spec);
                anyhow!(
                    "{flag}: the upper could not be brought to rest ({error}); \
                     mount it once more, which mends it"
                )
            })
        };
        self.overlays
            .iter()
            .map(close)
            .filter_map(Result::err)
            .collect()
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
        let lower =
            Lower::dir(flag.as_str(), dir).map_err(|error| describe(&spec, &flag, &error))?;
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
        Errno::Busy => anyhow!("{message}; end the other mount, or give another upper"),
        Errno::Access | Errno::NotPermitted => {
            anyhow!("{message}; give yourself access to it, or run as its owner")
        }
        Errno::ReadOnly => anyhow!("{message}; give another upper, or mount with --read-only"),
        _ => anyhow!("{message}"),
    }
}
