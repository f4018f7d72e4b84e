//! The overlay, made when the guest first asks for its preopens.

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

/// The merged tree, and the name by which the guest finds it.
struct Mount {
    at: String,
    /// Or what every call on it answers: `no-device` if a preopen that is named is not there or
    /// nothing says what is a layer, else what the host or the upper said.
    overlay: Result<Overlay, ErrorCode>,
    /// Names of preopens that the guest gets as they are.
    pass: Vec<String>,
}

static MOUNT: OnceLock<Mount> = OnceLock::new();

/// The guest's preopens: the merged tree, then what passes.
pub(crate) fn preopens() -> Vec<(Descriptor, String)> {
    let mut directories = preopens::get_directories();
    let mount = MOUNT.get_or_init(|| Mount::new(&directories));
    let root = match &mount.overlay {
        Ok(overlay) => Descriptor::Ours(overlay.root().into()),
        Err(why) => Descriptor::Broken(*why),
    };
    let mut all = vec![(root, mount.at.clone())];
    for name in &mount.pass {
        let found = directories.iter().position(|(_, known)| known == name);
        let passed = match found {
            Some(at) => Descriptor::Passed(directories.swap_remove(at).0),
            None => Descriptor::Broken(ErrorCode::NoDevice),
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
            Ok(None) => config::by_name(names),
            // Without a layer in it, which fails below.
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
