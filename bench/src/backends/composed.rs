//! A guest with the overlay component composed into it, on stock wasmtime-wasi. The preopens are the
//! lower layers and an upper.

use super::stock::Preopens;
use crate::trees::Trees;
use anyhow::{Result, ensure};
use wasi_overlay_compose::{Config, WasiVersion, component, compose};

/// Upper bound of the size of the overlay component alone, in bytes.
const MAX_BYTES: usize = 190 << 10;

fn lower(index: u32) -> String {
    format!("/lower{index}")
}

fn config(layers: u32) -> Config {
    Config {
        lowers: (0..layers).map(lower).collect(),
        upper: Some("/upper".to_owned()),
        ..Config::default()
    }
}

/// Composes the overlay component into `app`.
pub(crate) fn with_overlay(app: &[u8], trees: &Trees) -> Result<Vec<u8>> {
    Ok(compose(app, &config(trees.layers))?.bytes)
}

/// The preopens of the composed component.
pub(crate) fn preopens(trees: &Trees) -> Preopens {
    let lowers = (0..trees.layers).map(|index| (trees.layer(index), lower(index)));
    let upper = (trees.upper(), "/upper".to_owned());
    lowers.chain([upper]).collect()
}

/// Checks the size of the overlay component.
///
/// # Errors
/// If it is larger than its bound.
pub(crate) fn check_size() -> Result<()> {
    let bytes = component(WasiVersion::LATEST, None)?.len();
    eprintln!("the component: {bytes} bytes");
    ensure!(
        bytes <= MAX_BYTES,
        "the component is {bytes} bytes, more than {MAX_BYTES}"
    );
    Ok(())
}
