//! The lower stack (skeleton).

use crate::error::Result;
use crate::layer::Layer;
use crate::limits::Limits;
use std::sync::Arc;

/// One read-only layer of a stack.
pub struct Lower {
    label: String,
}

impl Lower {
    /// Any layer. `label` names it in messages to the embedder, such as its path on the host.
    pub fn new(label: impl Into<String>, layer: impl Layer) -> Self {
        let _ = layer;
        Self {
            label: label.into(),
        }
    }

    /// A directory of the host, with whiteouts in OCI form or in the kernel's.
    ///
    /// # Errors
    /// Where the directory cannot be read.
    #[cfg(feature = "dir")]
    pub fn dir(label: impl Into<String>, dir: cap_std::fs::Dir) -> Result<Self> {
        let _ = dir;
        Ok(Self {
            label: label.into(),
        })
    }
}

/// Read-only layers, merged. Shared by every overlay on it: `Arc<LowerStack>`.
pub struct LowerStack {
    _label: Vec<String>,
}

impl LowerStack {
    /// Merges `layers`, the bottom one first, like the lines of a Dockerfile.
    ///
    /// # Errors
    /// `invalid` for more than [`MAX_LAYERS`](crate::MAX_LAYERS); those of the layers.
    pub fn new(layers: impl IntoIterator<Item = Lower>, limits: &Limits) -> Result<Arc<Self>> {
        let _ = limits;
        Ok(Arc::new(Self {
            _label: layers.into_iter().map(|l| l.label).collect(),
        }))
    }
}
