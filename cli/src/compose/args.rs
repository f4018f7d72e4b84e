//! The arguments of `compose` and `component`.

use crate::args::utf8;
use crate::layer_arg;
use anyhow::{Result, bail};
use clap::{Args, ValueHint};
use std::path::PathBuf;
use wasi_overlay_compose::{Config, WasiVersion};

/// The arguments of `compose`.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ComposeArgs {
    #[command(flatten)]
    pub(super) layers: Layers,

    /// File to write the composed program to; `-` for stdout.
    #[arg(short, long, value_name = "OUT.wasm", value_hint = ValueHint::FilePath)]
    pub(super) output: PathBuf,

    /// Replaces OUT.wasm if it exists.
    #[arg(long)]
    pub(super) force: bool,

    /// Composes a program that already contains an overlay: the inner one is stacked on the outer one.
    #[arg(long)]
    pub(super) nested: bool,

    /// The program: a component of WASI 0.2, or a core module of WASI 0.1, which is wrapped as a
    /// component; binary or text; `-` for stdin.
    #[arg(value_name = "APP.wasm", value_hint = ValueHint::FilePath)]
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

    /// File to write the component to; `-` for stdout.
    #[arg(short, long, value_name = "OUT.wasm", value_hint = ValueHint::FilePath)]
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
    #[arg(long = "lower", value_name = "NAME", value_parser = utf8())]
    lowers: Vec<String>,

    /// Keeps changes in this preopen; without it, changes are refused.
    #[arg(long, value_name = "NAME", value_parser = utf8())]
    upper: Option<String>,

    /// Preopen name of the merged tree in the program [default: /].
    #[arg(long, value_name = "NAME", value_parser = utf8())]
    at: Option<String>,

    /// Mounts the overlay read-only.
    #[arg(long)]
    read_only: bool,

    /// Does not sync changes to disk: after a crash of the machine, discard the upper.
    #[arg(long)]
    volatile: bool,

    /// Passes this preopen to the program unchanged; no other preopens are passed.
    #[arg(long, value_name = "NAME", value_parser = utf8())]
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

    /// Rejects values that only `run` has: a host directory, and an upper in memory.
    pub(super) fn check(&self) -> Result<()> {
        let upper = self.upper.iter();
        if let Some(memory) = upper.clone().find(|name| is_memory(name)) {
            bail!(
                "--upper {memory}: a composed program keeps its changes in a preopen of the host, not in \
                 memory; name one, as in --upper /changes"
            );
        }
        if let Some(archive) = self
            .lowers
            .iter()
            .find(|name| layer_arg::is_archive(name.as_ref()))
        {
            bail!(
                "--lower {archive}: a composed program gets its layers as preopens of its host, which are \
                 directories; unpack the archive or the image for the host, and name the preopen, as in \
                 --lower /base"
            );
        }
        let lowers = self.lowers.iter().map(|name| ("--lower", name));
        let upper = upper.map(|name| ("--upper", name));
        let pass = self.pass.iter().map(|name| ("--pass", name));
        for (option, path) in lowers.chain(upper).chain(pass) {
            if path.starts_with("./") || path.starts_with("../") {
                let last = path.rsplit('/').find(|part| !part.is_empty());
                let name = last.filter(|part| !part.starts_with('.')).unwrap_or("data");
                bail!(
                    "{option} {path}: this is a path of the host, but a composed program gets directories \
                     as preopens when it runs; write {option} /{name}, and run it with --dir {path}::/{name}"
                );
            }
        }
        Ok(())
    }

    /// The configuration, if any option was given.
    pub(super) fn config_if_given(&self) -> Option<Config> {
        let config = self.config();
        (self.at.is_some() || config != Config::default()).then_some(config)
    }
}

/// Whether a name is the value of `--upper` for an upper in memory, in `run`.
fn is_memory(name: &str) -> bool {
    name == "memory" || name.starts_with("memory:")
}

const EXAMPLES: &str = "\
Examples:
  Compose a program with two layers and an upper that keeps its changes:
    wasi-overlay compose tool.wasm -o out.wasm \\
      --lower /base --lower /app --upper /changes

  Run it on any host of WASI 0.2, such as wasmtime:
    wasmtime run --dir rootfs::/base --dir app::/app \\
      --dir changes::/changes out.wasm";

const COMPONENT_EXAMPLES: &str = "\
Examples:
  Compose by hand:
    wasi-overlay component -o overlay.wasm --lower /base --upper /changes
    wac plug tool.wasm --plug overlay.wasm -o out.wasm

`wac plug` needs a component: make one from a core module with `wasm-tools
component new`, or use `wasi-overlay compose`, which does it by itself.";
