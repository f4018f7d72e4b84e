//! The overlay, made when the guest first asks for its preopens.

use crate::bindings::wasi::clocks::wall_clock;
use crate::bindings::wasi::filesystem::preopens;
use crate::config;
use crate::descriptor::Descriptor;
use crate::host;
use crate::imported::Imported;
use std::sync::OnceLock;
use wasi_overlay_config::Config;
use wasi_overlay_core::marks::Marked;
use wasi_overlay_core::{Errno, Error, Lower, Overlay, Timestamp, wasi};

/// The merged tree, and the name by which the guest finds it.
struct Mount {
    at: String,
    /// None if it cannot be made: a preopen that is named is not there, or the configuration
    /// cannot be read.
    overlay: Option<Overlay>,
    /// Names of preopens that the guest gets as they are.
    pass: Vec<String>,
}

static MOUNT: OnceLock<Mount> = OnceLock::new();

/// The guest's preopens: the merged tree, then what passes.
pub(crate) fn preopens() -> Vec<(Descriptor, String)> {
    let directories = preopens::get_directories();
    let mount = MOUNT.get_or_init(|| Mount::new(&directories));
    let root = match &mount.overlay {
        Some(overlay) => Descriptor::Ours(overlay.root().into()),
        None => Descriptor::Broken,
    };
    let mut all = vec![(root, mount.at.clone())];
    let passes = |name: &String| mount.pass.contains(name);
    let passed = directories.into_iter().filter(|(_, name)| passes(name));
    all.extend(passed.map(|(descriptor, name)| (Descriptor::Passed(descriptor), name)));
    all
}

type Preopens = [(host::Descriptor, String)];

impl Mount {
    fn new(directories: &Preopens) -> Self {
        let names = directories.iter().map(|(_, name)| &**name);
        let config = match config::read() {
            Ok(Some(config)) => config,
            Ok(None) => config::by_name(names),
            Err(_) => Config::default(),
        };
        // An empty configuration is refused here: an overlay needs a layer.
        let overlay = mount(&config, directories).ok();
        Self {
            at: config.at,
            overlay,
            pass: config.pass,
        }
    }
}

fn mount(config: &Config, directories: &Preopens) -> Result<Overlay, Error> {
    let find = |name: &str| {
        let found = directories.iter().find(|(_, known)| known == name);
        let (descriptor, _) = found.ok_or(Errno::NoDevice)?;
        Imported::new(descriptor).map_err(Errno::from)
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
    builder.build()
}

fn now() -> Timestamp {
    let now = wall_clock::now();
    wasi::timestamp(now.seconds, now.nanoseconds).unwrap_or_default()
}
