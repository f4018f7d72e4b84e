//! Composes a WebAssembly component with wasi-overlay. The result contains its overlay: it runs on
//! any host of WASI 0.2, without our plugin or command.
//!
//! ```text
//!   before: app ── wasi:filesystem ── host
//!   after:  app ── wasi:filesystem ── overlay ── wasi:filesystem ── host
//! ```
//!
//! The overlay merges the host's preopens. A [`Config`] names them:
//!
//! ```no_run
//! use wasi_overlay_compose::{Config, compose};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let config = Config {
//!         lowers: vec!["/base".into(), "/app".into()], // bottom first
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
//! The input is a component of WASI 0.2, or a core module of WASI 0.1, which is wrapped with
//! wasmtime's adapter. Both can be binary or text. [`component`] returns the overlay alone, for
//! other composers.
//!
//! # How it works
//!
//! The overlay is one core module, built for one version of WASI 0.2. It is *retargeted* to the
//! versions that the app imports, so that the result imports those and no others. So hosts and
//! composers that compare versions literally accept it. Then it is encoded as a component, whose
//! exports replace each of the app's imports of `wasi:filesystem`. An import that does not match is
//! an error: if one were left to the host, the guest would bypass its layers.
//!
//! # Without the component
//!
//! `scripts/build-component.sh` builds the component, and this crate embeds it. If the component has
//! not been built, this crate still builds, and [`Overlay::embedded`] returns
//! [`ComposeError::NotBuilt`].

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
/// Any error of [`Overlay::embedded`] or [`Overlay::compose`].
pub fn compose(app: &[u8], config: &Config) -> Result<Composed, ComposeError> {
    Overlay::embedded()?.compose(app, config)
}

/// Returns the overlay alone, for a composer such as `wac plug`. See [`Overlay::component`].
///
/// # Errors
/// Any error of [`Overlay::embedded`] or [`Overlay::component`].
pub fn component(wasi: WasiVersion, config: Option<&Config>) -> Result<Vec<u8>, ComposeError> {
    Overlay::embedded()?.component(wasi, config)
}

/// Returns the overlay alone, in the variant that gets its configuration from another component: it
/// imports `wasi-overlay:component/config`.
///
/// # Errors
/// Any error of [`Overlay::embedded_configured`] or [`Overlay::component`].
pub fn configured_component(wasi: WasiVersion) -> Result<Vec<u8>, ComposeError> {
    Overlay::embedded_configured()?.component(wasi, None)
}

/// The README of the package, included so that its example is tested.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
