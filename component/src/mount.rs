//! The overlay, built when the guest first requests its preopens.

use crate::bindings::wasi::clocks::wall_clock;
use crate::bindings::wasi::filesystem::preopens;
use crate::config;
use crate::descriptor::Descriptor;
use crate::host::{self, ErrorCode};
use crate::imported::Imported;
use std::sync::OnceLock;
use wasi_overlay_config::Config;
use wasi_overlay_core::whiteouts::Marked;
use wasi_overlay_core::{Lower, Overlay, Timestamp, conversions};

/// The merged tree and the passed preopens.
struct Mount {
    /// The name of the preopen for the merged tree.
    at: String,
    /// The overlay, or the error that every call on it returns: `no-device` if a preopen is missing
    /// or no layer is configured, else the error of the host or the upper.
    overlay: Result<Overlay, ErrorCode>,
    /// Names of preopens that are passed to the guest.
    pass: Vec<String>,
}

static MOUNT: OnceLock<Mount> = OnceLock::new();

/// Returns the guest's preopens: the merged tree, then the passed preopens.
pub(crate) fn preopens() -> Vec<(Descriptor, String)> {
    let mut directories = preopens::get_directories();
    let mount = MOUNT.get_or_init(|| Mount::new(&directories));
    let root = match &mount.overlay {
        Ok(overlay) => Descriptor::Merged(overlay.root().into()),
        Err(why) => Descriptor::Unavailable(*why),
    };
    let mut all = vec![(root, mount.at.clone())];
    for name in &mount.pass {
        let found = directories.iter().position(|(_, known)| known == name);
        let passed = match found {
            Some(at) => Descriptor::Passed(directories.swap_remove(at).0),
            None => Descriptor::Unavailable(ErrorCode::NoDevice),
        };
        all.push((passed, name.clone()));
    }
    all
}

type Preopens = [(host::Descriptor, String)];

impl Mount {
    fn new(directories: &Preopens) -> Self {
        let names = directories.iter().map(|(_, name)| &**name);
        let config = match config::read() {
            Ok(Some(config)) => config,
            Ok(None) => config::from_preopen_names(names),
            // `mount` fails, because the default configuration has no layers.
            Err(_) => Config::default(),
        };
        let overlay = mount(&config, directories);
        Self {
            at: config.at,
            overlay,
            pass: config.pass,
        }
    }
}

fn mount(config: &Config, directories: &Preopens) -> Result<Overlay, ErrorCode> {
    if config.lowers.is_empty() && config.upper.is_none() {
        return Err(ErrorCode::NoDevice);
    }
    let find = |name: &str| {
        let found = directories.iter().find(|(_, known)| known == name);
        let (descriptor, _) = found.ok_or(ErrorCode::NoDevice)?;
        Imported::new(descriptor)
    };
    let mut builder = Overlay::builder()
        .read_only(config.read_only)
        .volatile(config.volatile)
        .clock(now);
    for name in &config.lowers {
        builder = builder.lower(Lower::new(String::new(), Marked::lower(find(name)?)));
    }
    if let Some(name) = &config.upper {
        let upper = Marked::upper_on_demand(find(name)?);
        builder = builder.upper(String::new(), upper);
    }
    Ok(builder.build()?)
}

fn now() -> Timestamp {
    let now = wall_clock::now();
    conversions::timestamp(now.seconds, now.nanoseconds).unwrap_or_default()
}
