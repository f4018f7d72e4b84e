//! Open lower files.

use super::LowerStack;
#[cfg(feature = "native")]
use super::data::Data;
use super::node::{LowerKind, LowerNode};
#[cfg(feature = "native")]
use crate::at_once;
use crate::error::Result;
use crate::layer::ReadAt;
use crate::layer::erased::{AnyLayer, DirHandle};
use crate::name::Name;
use std::sync::Arc;

/// Opens a file in its layer: [`AnyLayer::open_file`] or [`AnyLayer::open_to_copy`].
pub(crate) type Opener<'a> =
    &'a mut dyn FnMut(&dyn AnyLayer, &DirHandle, Name<'_>) -> Result<Arc<dyn ReadAt>>;

/// An open file of some layer.
pub(crate) struct FileHandle(Arc<dyn ReadAt>);

/// A lower file, open.
pub(crate) enum OpenLower {
    /// All of its data, from the cache.
    #[cfg(feature = "native")]
    Data(Arc<Data>),
    /// The file in its layer.
    File(Arc<FileHandle>),
}

impl LowerNode {
    /// Opens a regular file for reading.
    pub(crate) fn open(&self, stack: &LowerStack) -> Result<OpenLower> {
        self.open_by(stack, &mut |layer, dir, name| layer.open_file(dir, name))
    }

    /// Opens a regular file for reading. Calls `open` if neither its data nor a handle is cached.
    pub(crate) fn open_by(&self, stack: &LowerStack, open: Opener<'_>) -> Result<OpenLower> {
        let open = || self.in_layer(stack, open).map(FileHandle);
        let LowerKind::File(lower_file) = &self.kind else {
            return Ok(OpenLower::File(Arc::new(open()?)));
        };
        let file = lower_file.get_or_init(Box::default);
        #[cfg(feature = "native")]
        if let Some(data) = file.data.get() {
            return Ok(OpenLower::Data(data));
        }
        Ok(OpenLower::File(stack.handles.get(&file.handle, open)?))
    }
}

impl OpenLower {
    /// The file, for reads whose data is not to be cached.
    pub(crate) fn as_file(&self) -> &dyn ReadAt {
        match self {
            #[cfg(feature = "native")]
            Self::Data(data) => &**data,
            Self::File(file) => &*file.0,
        }
    }

    /// Calls `read` with the file of `node`. If the file is small, its data is cached from here on.
    pub(crate) fn read<T>(
        &self,
        node: &LowerNode,
        stack: &LowerStack,
        read: impl FnOnce(&dyn ReadAt) -> Result<T>,
    ) -> Result<T> {
        #[cfg(feature = "native")]
        if let (Self::File(file), LowerKind::File(lower_file)) = (self, &node.kind)
            && let Some(lower_file) = lower_file.get()
            && let Some(data) = stack.data_of(node, &lower_file.data, &*file.0)
        {
            return read(&*data);
        }
        #[cfg(feature = "native")]
        if matches!(self, Self::File(_)) && !stack.layer(node.layer()).is_in_memory() {
            at_once::may_wait()?;
        }
        #[cfg(not(feature = "native"))]
        let _ = (node, stack); // Nothing is cached.
        read(self.as_file())
    }
}
