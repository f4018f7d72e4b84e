//! The overlay's core module, encoded as a component and composed with an app.

use crate::retarget::{self, Versions};
use crate::{AppKind, ComposeError, Config, WasiVersion, app, embedded, imports, plug, slot};
use std::borrow::Cow;

/// The overlay's core module, from which components are made.
#[derive(Clone, Debug)]
pub struct Overlay {
    core: Cow<'static, [u8]>,
}

/// An app composed with an overlay, and details of the composition.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Composed {
    /// The component.
    pub bytes: Vec<u8>,
    /// What the app was before composition.
    pub app: AppKind,
    /// Whether the app already contained an overlay. The result then has two, stacked.
    pub nested: bool,
    /// The version of `wasi:filesystem` that both the app and the overlay use.
    pub wasi: WasiVersion,
    /// The app's imports that the overlay replaced.
    pub replaced: Vec<String>,
    /// The imports of the component.
    pub imports: Vec<String>,
    /// The exports of the component, which are the app's.
    pub exports: Vec<String>,
    /// The size of the app as a component.
    pub app_bytes: usize,
    /// The size of the overlay as a component.
    pub overlay_bytes: usize,
}

impl Overlay {
    /// Returns the embedded overlay whose configuration is written into it.
    ///
    /// # Errors
    /// [`ComposeError::NotBuilt`], with the command that builds it.
    pub fn embedded() -> Result<Self, ComposeError> {
        Self::from_embedded(embedded::OVERLAY, "overlay.wasm")
    }

    /// Returns the embedded overlay that gets its configuration from another component.
    ///
    /// # Errors
    /// [`ComposeError::NotBuilt`], with the command that builds it.
    pub fn embedded_configured() -> Result<Self, ComposeError> {
        Self::from_embedded(embedded::CONFIGURED, "overlay-configured.wasm")
    }

    fn from_embedded(
        core: Option<&'static [u8]>,
        artifact: &'static str,
    ) -> Result<Self, ComposeError> {
        match core {
            Some(core) => Ok(Self { core: core.into() }),
            None => Err(ComposeError::NotBuilt { artifact }),
        }
    }

    /// Uses a core module that you built with `scripts/build-component.sh`, with its component
    /// types.
    #[must_use]
    pub fn from_core_module(core: Vec<u8>) -> Self {
        Self { core: core.into() }
    }

    /// Encodes the overlay as a component that imports and exports WASI of this version.
    ///
    /// Without a configuration, the names of the host's preopens decide: `/lower`, `/lower0`,
    /// `/lower1`, … are the lowers from the bottom up, `/upper` is the upper, and all others are
    /// passed to the guest unchanged. The merged tree is at `/`.
    ///
    /// # Errors
    /// [`ComposeError::Config`] if the configuration cannot be used.
    pub fn component(
        &self,
        wasi: WasiVersion,
        config: Option<&Config>,
    ) -> Result<Vec<u8>, ComposeError> {
        self.encode(&Versions::all(wasi), config)
    }

    /// Puts the overlay between `app` and its filesystem.
    ///
    /// `app` is a component of WASI 0.2 or a core module of WASI 0.1, binary or text. Without a
    /// configuration, the names of the host's preopens decide, as in
    /// [`component`](Self::component).
    ///
    /// # Errors
    /// If the configuration cannot be used, or the app is not WebAssembly or imports no filesystem
    /// that the overlay can replace. Each error says how to fix it.
    pub fn compose<'a>(
        &self,
        app: &[u8],
        config: impl Into<Option<&'a Config>>,
    ) -> Result<Composed, ComposeError> {
        let config = config.into();
        if let Some(config) = config {
            config.to_slot()?;
        }
        let (app, kind) = app::to_component(app)?;
        let invalid = |error: wasmparser::Error| ComposeError::Invalid {
            reason: error.to_string(),
        };
        let app_names = imports::read_extern_names(&app).map_err(invalid)?;
        let filesystem = imports::find_filesystem_imports(&app_names.imports)?;
        let overlay = self.encode(&filesystem.versions, config)?;
        let (app_bytes, overlay_bytes) = (app.len(), overlay.len());
        let nested = slot::contains_overlay(&app);
        let bytes = plug::plug(overlay, app, &filesystem.names)?;
        let names = imports::read_extern_names(&bytes).map_err(invalid)?;
        Ok(Composed {
            bytes,
            imports: names.imports,
            exports: names.exports,
            app: kind,
            nested,
            wasi: filesystem.versions.default,
            replaced: filesystem.names,
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
    fn error_without_component_names_command_that_builds_it() {
        let error = Overlay::from_embedded(None, "overlay.wasm")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("`overlay.wasm`: run scripts/build-component.sh"),
            "{error}"
        );
    }
}
