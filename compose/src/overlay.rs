//! The overlay's core module, and what is made of it.

use crate::retarget::{self, Versions};
use crate::{AppKind, ComposeError, Config, WasiVersion, app, embedded, imports, plug, slot};
use std::borrow::Cow;

/// The overlay, before it is made for one app.
#[derive(Clone, Debug)]
pub struct Overlay {
    core: Cow<'static, [u8]>,
}

/// An app with an overlay in it, and what was done for that.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Composed {
    /// The component.
    pub bytes: Vec<u8>,
    /// What the app was.
    pub app: AppKind,
    /// The version of `wasi:filesystem` that app and overlay have.
    pub wasi: WasiVersion,
    /// The app's imports that the overlay took the place of.
    pub replaced: Vec<String>,
    /// What the component imports from its host.
    pub imports: Vec<String>,
    /// What the component exports: what the app did.
    pub exports: Vec<String>,
    /// Bytes of the app as a component.
    pub app_bytes: usize,
    /// Bytes of the overlay as a component.
    pub overlay_bytes: usize,
}

impl Overlay {
    /// The one in this crate, whose configuration is written into it.
    ///
    /// # Errors
    /// [`ComposeError::NotBuilt`], with the command that builds it.
    pub fn embedded() -> Result<Self, ComposeError> {
        Self::of(embedded::OVERLAY, "overlay.wasm")
    }

    /// The one in this crate that asks another component for its configuration.
    ///
    /// # Errors
    /// [`ComposeError::NotBuilt`], with the command that builds it.
    pub fn embedded_configured() -> Result<Self, ComposeError> {
        Self::of(embedded::CONFIGURED, "overlay-configured.wasm")
    }

    fn of(core: Option<&'static [u8]>, artifact: &'static str) -> Result<Self, ComposeError> {
        match core {
            Some(core) => Ok(Self { core: core.into() }),
            None => Err(ComposeError::NotBuilt { artifact }),
        }
    }

    /// One of your own build: the core module that `scripts/build-component.sh` makes, its
    /// component types included.
    #[must_use]
    pub fn from_core_module(core: Vec<u8>) -> Self {
        Self { core: core.into() }
    }

    /// The overlay as a component that imports and exports WASI of this version.
    ///
    /// Without a configuration the host's preopens are layers by their names: `/lower`,
    /// `/lower0`, `/lower1`, … from the bottom up, and `/upper`; all others pass, and the tree is
    /// at `/`.
    ///
    /// # Errors
    /// [`ComposeError::Config`] for a configuration that cannot be used.
    pub fn component(
        &self,
        wasi: WasiVersion,
        config: Option<&Config>,
    ) -> Result<Vec<u8>, ComposeError> {
        self.encode(&Versions::all(wasi), config)
    }

    /// Puts the overlay between `app` and its filesystem.
    ///
    /// `app` is a component of WASI 0.2 or a core module of WASI 0.1, binary or text. With
    /// `None` for the configuration, preopens are layers by their names, as in
    /// [`component`](Self::component).
    ///
    /// # Errors
    /// For a configuration that cannot be used, and an app that is no WebAssembly or has no
    /// filesystem that could be replaced. Each says what to do.
    pub fn compose<'a>(
        &self,
        app: &[u8],
        config: impl Into<Option<&'a Config>>,
    ) -> Result<Composed, ComposeError> {
        let config = config.into();
        if let Some(config) = config {
            config.to_slot()?;
        }
        let (app, kind) = app::read(app)?;
        let invalid = |error: wasmparser::Error| ComposeError::Invalid {
            reason: error.to_string(),
        };
        let needs = imports::needs(&imports::ports(&app).map_err(invalid)?.imports)?;
        let overlay = self.encode(&needs.versions, config)?;
        let (app_bytes, overlay_bytes) = (app.len(), overlay.len());
        let bytes = plug::plug(overlay, app, &needs.filesystem)?;
        let ports = imports::ports(&bytes).map_err(invalid)?;
        Ok(Composed {
            bytes,
            imports: ports.imports,
            exports: ports.exports,
            app: kind,
            wasi: needs.versions.others,
            replaced: needs.filesystem,
            app_bytes,
            overlay_bytes,
        })
    }

    fn encode(
        &self,
        versions: &Versions,
        config: Option<&Config>,
    ) -> Result<Vec<u8>, ComposeError> {
        match config {
            Some(config) => {
                let core = slot::fill(&self.core, &config.to_slot()?)?;
                retarget::encode(&core, versions)
            }
            None => retarget::encode(&self.core, versions),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_without_the_component_says_which_command_makes_it() {
        let error = Overlay::of(None, "overlay.wasm").unwrap_err().to_string();
        assert!(
            error.contains("`overlay.wasm`: run scripts/build-component.sh"),
            "{error}"
        );
    }
}
