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

    /// Where the composed program goes.
    #[arg(short, long, value_name = "OUT.wasm")]
    pub(super) output: PathBuf,

    /// Replaces OUT if it is there already.
    #[arg(long)]
    pub(super) force: bool,

    /// The program: a component of WASI 0.2, or a core module of WASI 0.1, which is made one;
    /// binary or text; `-` for stdin.
    #[arg(value_name = "APP.wasm")]
    pub(super) app: PathBuf,
}

/// The arguments of `component`.
#[derive(Args)]
#[command(after_help = COMPONENT_EXAMPLES)]
pub(crate) struct ComponentArgs {
    #[command(flatten)]
    pub(super) layers: Layers,

    /// The version of WASI that it imports and exports.
    #[arg(long, value_name = "0.2.x", default_value_t = WasiVersion::FIRST)]
    pub(super) wasi: WasiVersion,

    /// Writes the one that imports `wasi-overlay:component/config` and asks that for its
    /// configuration.
    #[arg(long, conflicts_with = "Layers")]
    pub(super) configured: bool,

    /// Where it goes.
    #[arg(short, long, value_name = "OUT.wasm")]
    pub(super) output: PathBuf,

    /// Replaces OUT if it is there already.
    #[arg(long)]
    pub(super) force: bool,
}

/// Which preopens of the host are layers. They are named as the host names them: with
/// `wasmtime run --dir HOST::GUEST`, by GUEST.
#[derive(Args)]
#[command(next_help_heading = "Overlay")]
pub(super) struct Layers {
    /// Makes this preopen a read-only layer on top of those before it.
    #[arg(long = "lower", value_name = "NAME")]
    lowers: Vec<String>,

    /// Keeps changes in this preopen; without it they are refused.
    #[arg(long, value_name = "NAME")]
    upper: Option<String>,

    /// The name of the preopen by which the program finds the merged tree [default: /].
    #[arg(long, value_name = "NAME")]
    at: Option<String>,

    /// Refuses every change.
    #[arg(long)]
    read_only: bool,

    /// Never waits for the disk: after a crash of the machine, throw the upper away.
    #[arg(long)]
    volatile: bool,

    /// Gives this preopen to the program as it is; those that are not named it does not get.
    #[arg(long, value_name = "NAME")]
    pass: Vec<String>,
}

impl Layers {
    /// As the component has it.
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

    /// The same, if anything of it was given.
    pub(super) fn given(&self) -> Option<Config> {
        let config = self.config();
        (self.at.is_some() || config != Config::default()).then_some(config)
    }
}

const EXAMPLES: &str = "\
Examples:
  A program on two layers, which keeps what it writes:
    wasi-overlay compose tool.wasm -o out.wasm --lower /base --lower /app --upper /changes

  Run it wherever there is a host of WASI 0.2, wasmtime for one:
    wasmtime run --dir rootfs::/base --dir app::/app --dir changes::/changes out.wasm";

const COMPONENT_EXAMPLES: &str = "\
Examples:
  Compose by hand:
    wasi-overlay component -o overlay.wasm --lower /base --upper /changes
    wac plug tool.wasm --plug overlay.wasm -o out.wasm";
