//! Logging to stderr of what the engine cannot report to the guest.

use crate::copies::Copies;
use anyhow::Result;
use std::io::IsTerminal;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt, registry};
use wasmtime_cli_flags::CommonOptions;

/// Shows warnings of ours on stderr, or what `WASMTIME_LOG` asks for, as with `wasmtime run`:
/// `WASMTIME_LOG=wasi_overlay=debug` has a line for each call of the guest that failed, with the reason.
///
/// Warnings are about a mount, once for each: see `docs/design.md`, *How does an embedder learn why a call
/// failed?*
///
/// On a terminal, a copy that takes long is told of ([`Copies`]).
///
/// The options have to be configured.
pub(crate) fn init(common: &mut CommonOptions) -> Result<()> {
    let asked = std::env::var_os("WASMTIME_LOG").is_some();
    if asked || common.debug.log_to_files == Some(true) {
        return Ok(common.init_logging()?);
    }
    if common.debug.logging != Some(false) {
        let is_terminal = std::io::stderr().is_terminal();
        let lines = fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(is_terminal)
            .without_time()
            .with_target(false)
            .with_filter(EnvFilter::new(
                "error,wasi_overlay=warn,wasi_overlay_core=warn",
            ));
        let copies = is_terminal.then(|| {
            let targets =
                Targets::new().with_target(wasi_overlay::engine::log::COPIES, LevelFilter::INFO);
            Copies::default().with_filter(targets)
        });
        registry().with(lines).with(copies).init();
    }
    Ok(())
}
