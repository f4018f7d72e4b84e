//! A lower file that somebody has open.

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

/// Opens a file in its layer, in the one way or another.
pub(crate) type Opener<'a> =
    &'a mut dyn FnMut(&dyn AnyLayer, &DirHandle, Name<'_>) -> Result<Arc<dyn ReadAt>>;

/// An open file of some layer.
pub(crate) struct FileHandle(Arc<dyn ReadAt>);

/// A lower file, open.
pub(crate) enum OpenLower {
    /// All of its data, which was kept.
    #[cfg(feature = "native")]
    Data(Arc<Data>),
    /// The file in its layer.
    File(Arc<FileHandle>),
}

impl LowerNode {
    /// The data of a regular file.
    pub(crate) fn open(&self, stack: &LowerStack) -> Result<OpenLower> {
        self.open_by(stack, &mut |layer, dir, name| layer.open_file(dir, name))
    }

    /// The data of a regular file, which `open` opens in its layer if it is not kept open.
    pub(crate) fn open_by(&self, stack: &LowerStack, open: Opener<'_>) -> Result<OpenLower> {
        let open = || self.in_layer(stack, open).map(FileHandle);
        let LowerKind::File(kept) = &self.kind else {
            return Ok(OpenLower::File(Arc::new(open()?)));
        };
        let file = kept.get_or_init(Box::default);
        #[cfg(feature = "native")]
        if let Some(data) = file.data.get() {
            return Ok(OpenLower::Data(data));
        }
        Ok(OpenLower::File(stack.handles.get(&file.handle, open)?))
    }
}

impl OpenLower {
    /// The file. What is read through it is not kept.
    pub(crate) fn as_file(&self) -> &dyn ReadAt {
        match self {
            #[cfg(feature = "native")]
            Self::Data(data) => &**data,
            Self::File(file) => &*file.0,
        }
    }

    /// Has `read` read of the file that `node` is: its data, if that is small, is kept from here on.
    pub(crate) fn read<T>(
        &self,
        node: &LowerNode,
        stack: &LowerStack,
        read: impl FnOnce(&dyn ReadAt) -> Result<T>,
    ) -> Result<T> {
        #[cfg(feature = "native")]
        if let (Self::File(file), LowerKind::File(kept)) = (self, &node.kind)
            && let Some(kept) = kept.get()
            && let Some(data) = stack.data_of(node, &kept.data, &*file.0)
        {
            return read(&*data);
        }
        #[cfg(feature = "native")]
        if matches!(self, Self::File(_)) && !stack.layer(node.layer()).is_in_memory() {
            at_once::may_wait()?;
        }
        #[cfg(not(feature = "native"))]
        let _ = (node, stack); // Nothing is kept.
        read(self.as_file())
    }
}
