//! Log output on stderr: what the engine cannot report to the guest.

use crate::copy_notices::CopyNotices;
use anyhow::Result;
use std::io::IsTerminal;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt, registry};
use wasmtime_cli_flags::CommonOptions;

/// Initializes logging to stderr: the warnings of wasi-overlay, or what `WASMTIME_LOG` selects, as with
/// `wasmtime run`. `WASMTIME_LOG=wasi_overlay=debug` logs each failed call of the guest, with the reason.
///
/// Each warning is about a mount and is logged once for it: see `docs/design.md`, *How does an embedder
/// learn why a call failed?*
///
/// On a terminal, [`CopyNotices`] reports copies that take long.
///
/// Precondition: the options are configured.
pub(crate) fn init(common: &mut CommonOptions) -> Result<()> {
    let has_filter = std::env::var_os("WASMTIME_LOG").is_some();
    if has_filter || common.debug.log_to_files == Some(true) {
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
            CopyNotices::default().with_filter(targets)
        });
        registry().with(lines).with(copies).init();
    }
    Ok(())
}
