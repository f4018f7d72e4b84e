//! Errors of composition; each message says how to fix the cause.

use wasi_overlay_config::ConfigError;

/// Why something was not composed. "The app" is the program that was given.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ComposeError {
    /// The crate was built without the component.
    #[error(
        "this build of wasi-overlay does not contain the component `{artifact}`: run \
         scripts/build-component.sh in its repository, then build it again"
    )]
    NotBuilt {
        /// The file that was not there.
        artifact: &'static str,
    },
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The app is something else.
    #[error(
        "the app is no WebAssembly: neither a component, nor a core module, nor the text of one; \
         give a .wasm or .wat file"
    )]
    NotWasm,
    /// The app is text that does not parse.
    #[error("the app is no valid WebAssembly text: {reason}")]
    Text {
        /// What the parser says.
        reason: String,
    },
    /// The app is WebAssembly that does not validate.
    #[error("the app is no valid WebAssembly ({reason}): build it again")]
    Invalid {
        /// What the validator says.
        reason: String,
    },
    /// The app is a core module that is not one of WASI 0.1.
    #[error(
        "the app is a core module that imports `{module}::{name}`, which the adapter for WASI 0.1 \
         does not have: build it for wasm32-wasip1 or wasm32-wasip2 without that import"
    )]
    ForeignImport {
        /// The module that it is imported from.
        module: String,
        /// Its name there.
        name: String,
    },
    /// The app is a core module that cannot be made a component.
    #[error(
        "the app is a core module that cannot be made a component ({reason}): build it for \
         wasm32-wasip2, or make it a component with `wasm-tools component new` first"
    )]
    Wrap {
        /// What the encoder says.
        reason: String,
    },
    /// There is nothing to put the overlay in place of.
    #[error(
        "the app does not import `wasi:filesystem`: it has no files to layer, and the output \
         would be the same"
    )]
    NoFilesystem,
    /// The app takes its files from WASI 0.3, which the component does not speak.
    #[error(
        "the app imports `{import}`, and only a filesystem of WASI 0.2 can be layered so far: \
         build it for wasm32-wasip2"
    )]
    Wasi03 {
        /// The import.
        import: String,
    },
    /// The app imports a draft of `wasi:filesystem`, or one of a later WASI.
    #[error(
        "the app imports `{import}`, which is no released version of WASI 0.2: build it with a \
         newer toolchain"
    )]
    UnknownFilesystem {
        /// The import.
        import: String,
    },
    /// An import of the app is not what the overlay exports.
    #[error(
        "the overlay cannot take the place of `{import}`, which the app imports ({reason}): \
         build the app with released interfaces of WASI 0.2"
    )]
    NotPlugged {
        /// The import.
        import: String,
        /// What does not match: the function or the type, and how.
        reason: String,
    },
    /// The app's world has what the composer does not know how to write.
    #[error(
        "the app imports `{import}` outside of an interface, and handles of resources are passed \
         with it, which cannot be composed: move it into an interface of its world"
    )]
    World {
        /// The import.
        import: String,
    },
    /// App and overlay fit, but not together with what else the app imports and exports.
    #[error(
        "the app cannot be composed ({reason}): what it imports and exports besides must not use \
         the types of `wasi:filesystem`"
    )]
    Compose {
        /// What the composer says.
        reason: String,
    },
    /// The core module of the overlay is not what this version of the crate expects.
    #[error(
        "the overlay's own core module cannot be used ({reason}): build it again with \
         scripts/build-component.sh of the same version"
    )]
    Overlay {
        /// What is wrong with it.
        reason: String,
    },
}

impl ComposeError {
    /// About the overlay's core module, from whatever found it out.
    pub(crate) fn overlay(reason: impl ToString) -> Self {
        Self::Overlay {
            reason: reason.to_string(),
        }
    }

    /// Whether it is the app that is to be changed.
    #[must_use]
    pub fn is_about_app(&self) -> bool {
        match self {
            Self::NotBuilt { .. } | Self::Config(_) | Self::Overlay { .. } => false,
            Self::NotWasm
            | Self::Text { .. }
            | Self::Invalid { .. }
            | Self::ForeignImport { .. }
            | Self::Wrap { .. }
            | Self::NoFilesystem
            | Self::Wasi03 { .. }
            | Self::UnknownFilesystem { .. }
            | Self::NotPlugged { .. }
            | Self::World { .. }
            | Self::Compose { .. } => true,
        }
    }
}
