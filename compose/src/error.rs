//! Errors of composition. Each message says how to fix the cause.

use wasi_overlay_config::ConfigError;

/// Why composition failed. "The app" is the program to compose.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ComposeError {
    /// The crate was built without the component.
    #[error(
        "this build of wasi-overlay does not contain the component `{artifact}`: run \
         scripts/build-component.sh in its repository, then build wasi-overlay again"
    )]
    NotBuilt {
        /// The missing file.
        artifact: &'static str,
    },
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The app is not WebAssembly.
    #[error(
        "the app is not WebAssembly: it is neither a component nor a core module, in binary or \
         text format; give a .wasm or .wat file"
    )]
    NotWasm,
    /// The app is text that does not parse.
    #[error("the app is not valid WebAssembly text: {reason}")]
    Text {
        /// The parser's message.
        reason: String,
    },
    /// The app is WebAssembly that does not validate.
    #[error("the app is not valid WebAssembly ({reason}): build it again")]
    Invalid {
        /// The validator's message.
        reason: String,
    },
    /// The app is a core module with an import that is not part of WASI 0.1.
    #[error(
        "the app is a core module that imports `{module}::{name}`, which the adapter for WASI 0.1 \
         does not have: build it for wasm32-wasip1 or wasm32-wasip2 without that import"
    )]
    ForeignImport {
        /// The module of the import.
        module: String,
        /// The name of the import in that module.
        name: String,
    },
    /// The app is a core module that cannot be converted to a component.
    #[error(
        "the app is a core module that cannot be converted to a component ({reason}): build it \
         for wasm32-wasip2, or convert it with `wasm-tools component new` first"
    )]
    Wrap {
        /// The encoder's message.
        reason: String,
    },
    /// The app does not import a filesystem that the overlay could replace.
    #[error(
        "the app does not import `wasi:filesystem`: it uses no files, so an overlay would have no \
         effect"
    )]
    NoFilesystem,
    /// The app imports the filesystem of WASI 0.3, which the component does not implement.
    #[error(
        "the app imports `{import}`, but the overlay supports only filesystems of WASI 0.2: build \
         it for wasm32-wasip2"
    )]
    Wasi03 {
        /// The import.
        import: String,
    },
    /// The app imports a draft of `wasi:filesystem`, or one of a later WASI.
    #[error(
        "the app imports `{import}`, which is not a released version of WASI 0.2: build it with a \
         newer toolchain"
    )]
    UnknownFilesystem {
        /// The import.
        import: String,
    },
    /// An import of the app does not match what the overlay exports.
    #[error(
        "the overlay cannot replace `{import}`, which the app imports ({reason}): build the app \
         with released interfaces of WASI 0.2"
    )]
    NotPlugged {
        /// The import.
        import: String,
        /// Which function or type does not match, and how.
        reason: String,
    },
    /// The app's world has an import that the composer cannot encode.
    #[error(
        "the app imports `{import}` outside of an interface, and resource handles are passed \
         through it, which cannot be composed: move it into an interface of its world"
    )]
    World {
        /// The import.
        import: String,
    },
    /// The app's other imports or exports prevent the composition.
    #[error(
        "the app cannot be composed ({reason}): its other imports and exports must not use the \
         types of `wasi:filesystem`"
    )]
    Compose {
        /// The composer's message.
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
    /// The overlay's core module cannot be used, for this reason.
    pub(crate) fn overlay(reason: impl ToString) -> Self {
        Self::Overlay {
            reason: reason.to_string(),
        }
    }

    /// Whether the app has to be changed to fix the error.
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
