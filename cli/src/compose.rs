//! `wasi-overlay compose` and `wasi-overlay component`: programs that carry their overlay.

mod args;
mod report;

pub(crate) use args::{ComponentArgs, ComposeArgs};

use crate::output::Output;
use crate::{app, complain};
use anyhow::{Result, ensure};
use std::path::Path;
use wasi_overlay_compose::{ComposeError, Overlay};
use wasmtime::Engine;

/// Puts an overlay into a program.
pub(crate) fn compose(args: &ComposeArgs) -> Result<()> {
    let config = args.layers.config();
    // Refuses what would not fit into the component, too.
    config.to_slot()?;
    let output = Output::new(&args.output, args.force)?;
    let app = read(&args.app)?;
    let composed = Overlay::embedded()?
        .compose(&app, &config)
        .map_err(|error| about(&args.app, error))?;
    output.write(&composed.bytes)?;
    complain(&report::composed(args, &config, &composed));
    Ok(())
}

/// Writes the overlay alone.
pub(crate) fn component(args: &ComponentArgs) -> Result<()> {
    let config = args.layers.given();
    if let Some(config) = &config {
        config.to_slot()?;
    }
    let output = Output::new(&args.output, args.force)?;
    let bytes = if args.configured {
        wasi_overlay_compose::configured_component(args.wasi)?
    } else {
        wasi_overlay_compose::component(args.wasi, config.as_ref())?
    };
    output.write(&bytes)?;
    complain(&report::component(args, config.as_ref(), bytes.len()));
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let bytes = app::read(
        path,
        "check the path",
        "and preopens by their names with --lower and --upper",
    )?;
    ensure!(
        Engine::detect_precompiled(&bytes).is_none(),
        "`{}` is precompiled; compose the program that it was compiled from, and compile that",
        path.display()
    );
    Ok(bytes)
}

/// The error, with the program's name if it is about the program.
fn about(path: &Path, error: ComposeError) -> anyhow::Error {
    let about_app = error.is_about_app();
    let error = anyhow::Error::new(error);
    if about_app {
        error.context(format!("`{}` cannot be composed", path.display()))
    } else {
        error
    }
}
