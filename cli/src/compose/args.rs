//! The arguments of `compose` and `component`.

use clap::Args;
use std::path::PathBuf;
use wasi_overlay_compose::{Config, WasiVersion};

/// The arguments of `compose`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ComposeArgs {
    #[command(flatten)]
    pub(super) layers: Layers,

    /// File to write the composed program to.
    #[arg(short, long, value_name = "OUT.wasm")]
    pub(super) output: PathBuf,

    /// Replaces OUT.wasm if it exists.
    #[arg(long)]
    pub(super) force: bool,

    /// The program: a component of WASI 0.2, or a core module of WASI 0.1, which is wrapped as a
    /// component; binary or text; `-` for stdin.
    #[arg(value_name = "APP.wasm")]
    pub(super) app: PathBuf,
}

/// The arguments of `component`.
#[derive(Args)]
#[command(after_help = COMPONENT_EXAMPLES)]
pub(crate) struct ComponentArgs {
    #[command(flatten)]
    pub(super) layers: Layers,

    /// Version of WASI that the component imports and exports.
    #[arg(long, value_name = "0.2.x", default_value_t = WasiVersion::FIRST)]
    pub(super) wasi: WasiVersion,

    /// Writes the variant that imports its configuration from `wasi-overlay:component/config`.
    #[arg(long, conflicts_with = "Layers")]
    pub(super) configured: bool,

    /// File to write the component to.
    #[arg(short, long, value_name = "OUT.wasm")]
    pub(super) output: PathBuf,

    /// Replaces OUT.wasm if it exists.
    #[arg(long)]
    pub(super) force: bool,
}

/// The overlay that is composed. Preopens have the names that the host gives them: GUEST with
/// `wasmtime run --dir HOST::GUEST`.
#[derive(Args)]
#[command(next_help_heading = "Overlay")]
pub(super) struct Layers {
    /// Adds this preopen as a read-only layer, on top of the previous layers.
    #[arg(long = "lower", value_name = "NAME")]
    lowers: Vec<String>,

    /// Keeps changes in this preopen; without it, changes are refused.
    #[arg(long, value_name = "NAME")]
    upper: Option<String>,

    /// Preopen name of the merged tree in the program [default: /].
    #[arg(long, value_name = "NAME")]
    at: Option<String>,

    /// Mounts the overlay read-only.
    #[arg(long)]
    read_only: bool,

    /// Does not sync changes to disk: after a crash of the machine, discard the upper.
    #[arg(long)]
    volatile: bool,

    /// Passes this preopen to the program unchanged; no other preopens are passed.
    #[arg(long, value_name = "NAME")]
    pass: Vec<String>,
}

impl Layers {
    /// The configuration for the component.
    pub(super) fn config(&self) -> Config {
        let unset = Config::default();
        Config {
            lowers: self.lowers.clone(),
            upper: self.upper.clone(),
            at: self.at.clone().unwrap_or(unset.at),
            read_only: self.read_only,
            volatile: self.volatile,
            pass: self.pass.clone(),
        }
    }

    /// The configuration, if any option was given.
    pub(super) fn config_if_given(&self) -> Option<Config> {
        let config = self.config();
        (self.at.is_some() || config != Config::default()).then_some(config)
    }
}

const EXAMPLES: &str = "\
Examples:
  Compose a program with two layers and an upper that keeps its changes:
    wasi-overlay compose tool.wasm -o out.wasm --lower /base --lower /app --upper /changes

  Run it on any host of WASI 0.2, such as wasmtime:
    wasmtime run --dir rootfs::/base --dir app::/app --dir changes::/changes out.wasm";

const COMPONENT_EXAMPLES: &str = "\
Examples:
  Compose by hand:
    wasi-overlay component -o overlay.wasm --lower /base --upper /changes
    wac plug tool.wasm --plug overlay.wasm -o out.wasm";
