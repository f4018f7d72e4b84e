//! What is asked of the layer that has a file.

use super::LowerStack;
use super::node::{FileHandle, LowerKind, LowerNode};
use crate::error::{Errno, Result};
use crate::layer::ReadAt;
use crate::layer::erased::{AnyLayer, DirHandle};
use crate::name::Name;
use std::sync::Arc;

/// Opens a file in its layer, in the one way or another.
pub(crate) type Opener<'a> =
    &'a mut dyn FnMut(&dyn AnyLayer, &DirHandle, Name<'_>) -> Result<Arc<dyn ReadAt>>;

impl LowerNode {
    /// Calls `ask` with the topmost layer that has this file, the directory there, and the name.
    fn in_layer<T>(
        &self,
        stack: &LowerStack,
        ask: impl FnOnce(&dyn AnyLayer, &DirHandle, Name<'_>) -> Result<T>,
    ) -> Result<T> {
        let parent = self.parent()?.ok_or(Errno::IsDirectory)?;
        let handle = parent.handle(stack, self.layer())?;
        let asked = ask(stack.layer(self.layer()), &handle, parent.name_of(self)?);
        asked.map_err(|error| parent.located(error))
    }

    /// The data of a regular file.
    pub(crate) fn open(self: &Arc<Self>, stack: &Arc<LowerStack>) -> Result<Arc<dyn ReadAt>> {
        self.open_by(stack, &mut |layer, dir, name| layer.open_file(dir, name))
    }

    /// The data of a regular file, which `open` opens in its layer if it is not kept open.
    pub(crate) fn open_by(
        self: &Arc<Self>,
        stack: &Arc<LowerStack>,
        open: Opener<'_>,
    ) -> Result<Arc<dyn ReadAt>> {
        let LowerKind::File(kept) = &self.kind else {
            return self.in_layer(stack, open);
        };
        let file = kept.get_or_init(Box::default);
        #[cfg(feature = "native")]
        if let Some(data) = file.data.get() {
            return Ok(data);
        }
        let open = || self.in_layer(stack, open).map(FileHandle);
        let handle = stack.keep.get(&file.handle, open)?;
        #[cfg(feature = "native")]
        return Ok(stack.reader(self, &file.data, handle));
        #[cfg(not(feature = "native"))]
        Ok(Arc::clone(&handle.0))
    }

    /// The target of a symbolic link.
    pub(crate) fn target(&self, stack: &LowerStack) -> Result<&[u8]> {
        let LowerKind::Symlink(target) = &self.kind else {
            return Err(Errno::Invalid.into());
        };
        if let Some(target) = target.get() {
            return Ok(target);
        }
        let read = self.in_layer(stack, |layer, dir, name| layer.read_link(dir, name))?;
        Ok(target.get_or_init(|| read))
    }

    /// Calls `ask` with the topmost layer and where the file is in it.
    fn ask<T>(
        self: &Arc<Self>,
        stack: &LowerStack,
        ask: impl FnOnce(&dyn AnyLayer, &DirHandle, Option<Name<'_>>) -> Result<T>,
    ) -> Result<T> {
        match &self.kind {
            LowerKind::Dir(_) => {
                let handle = self.handle(stack, self.layer())?;
                ask(stack.layer(self.layer()), &handle, None)
            }
            LowerKind::Symlink(_) | LowerKind::File(_) | LowerKind::Other => {
                self.in_layer(stack, |layer, dir, name| ask(layer, dir, Some(name)))
            }
        }
    }

    /// Names of the extended attributes, marks left out.
    pub(crate) fn xattrs(self: &Arc<Self>, stack: &LowerStack) -> Result<Vec<Box<[u8]>>> {
        self.ask(stack, |layer, dir, name| layer.xattrs(dir, name))
    }

    /// The value of an extended attribute.
    pub(crate) fn xattr(
        self: &Arc<Self>,
        stack: &LowerStack,
        attribute: &[u8],
    ) -> Result<Option<Vec<u8>>> {
        self.ask(stack, |layer, dir, name| layer.xattr(dir, name, attribute))
    }
}
