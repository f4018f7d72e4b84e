//! Composes a WebAssembly component with wasi-overlay: what comes out carries its overlay to any
//! host of WASI 0.2, and needs neither our plugin nor our command there.
//!
//! ```text
//!   before: app ── wasi:filesystem ── host
//!   after:  app ── wasi:filesystem ── overlay ── wasi:filesystem ── host
//! ```
//!
//! The overlay merges the host's preopens by their names, which a [`Config`] says:
//!
//! ```no_run
//! use wasi_overlay_compose::{Config, compose};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let config = Config {
//!         lowers: vec!["/base".into(), "/app".into()], // the bottom one first
//!         upper: Some("/changes".into()),
//!         ..Config::default()
//!     };
//!     let composed = compose(&std::fs::read("tool.wasm")?, &config)?;
//!     println!("{} bytes, for WASI {}", composed.bytes.len(), composed.wasi);
//!     std::fs::write("tool-on-layers.wasm", &composed.bytes)?;
//!     // wasmtime run --dir rootfs::/base --dir layer::/app --dir changes::/changes tool-on-layers.wasm
//!     Ok(())
//! }
//! ```
//!
//! What goes in is a component of WASI 0.2, or a core module of WASI 0.1, which is wrapped with
//! wasmtime's adapter; binary or text. [`component`] gives the overlay alone, for other composers.
//!
//! # How it is done
//!
//! The overlay is one core module, built for one version of WASI 0.2. It is *retargeted* to the
//! versions that the app imports, so that the result asks its host for those and no others: a
//! host or composer that knows nothing of compatible versions takes it. Then it is encoded as a
//! component and given to the app for each of its imports of `wasi:filesystem`. One that does not
//! fit is an error: a guest that keeps one import from the host would walk past its layers.
//!
//! # Without the component
//!
//! The component is built by `scripts/build-component.sh` and embedded in this crate. Where that
//! was not run, this crate builds, and [`Overlay::embedded`] is [`ComposeError::NotBuilt`].

#![forbid(unsafe_code)]

mod app;
mod embedded;
mod error;
mod imports;
mod overlay;
mod plug;
mod retarget;
mod sections;
mod slot;
mod version;
mod world;
mod wrap;

pub use app::AppKind;
pub use error::ComposeError;
pub use overlay::{Composed, Overlay};
pub use version::{UnknownVersion, WasiVersion};
pub use wasi_overlay_config::{Config, ConfigError};

/// Puts an overlay between `app` and its filesystem. See [`Overlay::compose`].
///
/// # Errors
/// Those of [`Overlay::embedded`] and of [`Overlay::compose`].
pub fn compose(app: &[u8], config: &Config) -> Result<Composed, ComposeError> {
    Overlay::embedded()?.compose(app, config)
}

/// The overlay alone, for a composer such as `wac plug`. See [`Overlay::component`].
///
/// # Errors
/// Those of [`Overlay::embedded`] and of [`Overlay::component`].
pub fn component(wasi: WasiVersion, config: Option<&Config>) -> Result<Vec<u8>, ComposeError> {
    Overlay::embedded()?.component(wasi, config)
}

/// The overlay alone, which asks another component for its configuration: it imports
/// `wasi-overlay:component/config`.
///
/// # Errors
/// Those of [`Overlay::embedded_configured`] and of [`Overlay::component`].
pub fn configured_component(wasi: WasiVersion) -> Result<Vec<u8>, ComposeError> {
    Overlay::embedded_configured()?.component(wasi, None)
}
