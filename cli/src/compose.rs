//! The `compose` and `component` commands, which embed an overlay in a program or write it alone.

mod args;
mod report;

pub(crate) use args::{ComponentArgs, ComposeArgs};

use crate::app;
use crate::messages::print_notice;
use crate::output::Output;
use anyhow::{Result, ensure};
use std::path::Path;
use wasi_overlay_compose::{ComposeError, Overlay};
use wasmtime::Engine;

/// Embeds an overlay in a program.
pub(crate) fn compose(args: &ComposeArgs) -> Result<()> {
    args.layers.check()?;
    let config = args.layers.config();
    // Validates the configuration, and that it fits into the component.
    config.to_slot()?;
    let output = Output::new(&args.output, args.force)?;
    let app = read_app(&args.app)?;
    let composed = Overlay::embedded()?
        .compose(&app, &config)
        .map_err(|error| add_app_name(&args.app, error))?;
    ensure!(
        args.nested || !composed.nested,
        "`{}` already contains an overlay; compose the original program, or add --nested to stack one \
         overlay on the other",
        args.app.display()
    );
    output.write(&composed.bytes)?;
    print_notice(report::describe_composed(args, &config, &composed));
    Ok(())
}

/// Writes the overlay alone.
pub(crate) fn component(args: &ComponentArgs) -> Result<()> {
    args.layers.check()?;
    let config = args.layers.config_if_given();
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
    print_notice(report::describe_component(
        args,
        config.as_ref(),
        bytes.len(),
    ));
    Ok(())
}

fn read_app(path: &Path) -> Result<Vec<u8>> {
    let bytes = app::read_program(
        path,
        "check the path",
        "and name preopens with --lower and --upper",
    )?;
    ensure!(
        Engine::detect_precompiled(&bytes).is_none(),
        "`{}` is precompiled; compose the original wasm file, then compile the result",
        path.display()
    );
    Ok(bytes)
}

/// Adds the program's name to an error that is about the program.
fn add_app_name(path: &Path, error: ComposeError) -> anyhow::Error {
    let about_app = error.is_about_app();
    let error = anyhow::Error::new(error);
    if about_app {
        error.context(format!("`{}` cannot be composed", path.display()))
    } else {
        error
    }
}
