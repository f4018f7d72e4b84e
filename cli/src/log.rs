//! What the engine has to tell the user and cannot tell the guest.

use anyhow::Result;
use std::io::IsTerminal;
use tracing_subscriber::{EnvFilter, FmtSubscriber};
use wasmtime_cli_flags::CommonOptions;

/// Shows warnings of ours on stderr, or what `WASMTIME_LOG` asks for, as with `wasmtime run`:
/// `WASMTIME_LOG=wasi_overlay=debug` has a line for each call of the guest that failed, with the reason.
///
/// Warnings are about a mount, once for each: see `docs/design.md`, *How does an embedder learn why a call
/// failed?*
///
/// The options have to be configured.
pub(crate) fn init(common: &mut CommonOptions) -> Result<()> {
    let asked = std::env::var_os("WASMTIME_LOG").is_some();
    if asked || common.debug.log_to_files == Some(true) {
        return Ok(common.init_logging()?);
    }
    if common.debug.logging != Some(false) {
        FmtSubscriber::builder()
            .with_writer(std::io::stderr)
            .with_env_filter(EnvFilter::new(
                "error,wasi_overlay=warn,wasi_overlay_core=warn",
            ))
            .with_ansi(std::io::stderr().is_terminal())
            .without_time()
            .with_target(false)
            .init();
    }
    Ok(())
}
