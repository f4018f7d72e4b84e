//! The component with an overlay composed into it: its host is stock wasmtime-wasi, whose preopens
//! are the lower layers and an upper.

use super::stock::Preopens;
use crate::trees::Trees;
use anyhow::{Result, ensure};
use std::path::Path;
use wasi_overlay_compose::{Config, Overlay, WasiVersion, component, compose};
use wit_component::{StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{LiftLowerAbi, ManglingAndAbi, Resolve};

/// Most bytes of the overlay as a component, alone.
const MOST_BYTES: usize = 184_000;

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

/// `app` with its overlay.
pub(crate) fn with_overlay(app: &[u8], trees: &Trees) -> Result<Vec<u8>> {
    Ok(compose(app, &config(trees.layers))?.bytes)
}

/// `app` with something in the place of an overlay that has its imports and exports, and traps
/// wherever it is called.
pub(crate) fn with_nothing(app: &[u8]) -> Result<Vec<u8>> {
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(wit)?;
    let world = resolve.select_world(&[package], Some("overlay"))?;
    let abi = ManglingAndAbi::Legacy(LiftLowerAbi::Sync);
    let mut core = dummy_module(&resolve, world, abi);
    embed_component_metadata(&mut core, &resolve, world, StringEncoding::UTF8)?;
    Ok(Overlay::from_core_module(core).compose(app, None)?.bytes)
}

/// What the host gives it.
pub(crate) fn preopens(trees: &Trees) -> Preopens {
    let lowers = (0..trees.layers).map(|index| (trees.layer(index), lower(index)));
    let upper = (trees.upper(), "/upper".to_owned());
    lowers.chain([upper]).collect()
}

/// # Errors
/// If the overlay became larger than it may be.
pub(crate) fn check_size() -> Result<()> {
    let bytes = component(WasiVersion::LATEST, None)?.len();
    eprintln!("the component: {bytes} bytes");
    ensure!(
        bytes <= MOST_BYTES,
        "the component is {bytes} bytes, more than {MOST_BYTES}"
    );
    Ok(())
}
