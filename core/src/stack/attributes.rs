//! Attributes and link targets of lower files, read from the layer that has the file.

use super::LowerStack;
use super::node::{LowerKind, LowerNode};
use crate::error::{Errno, Result};
use crate::layer::erased::{AnyLayer, DirHandle};
use crate::layer::{Attributes, XattrNames};
use crate::meta::SetTimes;
use crate::name::Name;
use crate::whiteouts::is_never_copied;
use std::sync::Arc;

impl LowerNode {
    /// Calls `act` with the topmost layer that has this file, the directory there, and the name.
    pub(super) fn in_layer<T>(
        &self,
        stack: &LowerStack,
        act: impl FnOnce(&dyn AnyLayer, &DirHandle, Name<'_>) -> Result<T>,
    ) -> Result<T> {
        let parent = self.parent()?.ok_or(Errno::IsDirectory)?;
        let handle = parent.handle(stack, self.layer())?;
        let result = act(stack.layer(self.layer()), &handle, parent.name_of(self)?);
        result.map_err(|error| parent.with_path(error))
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

    /// The topmost layer that has attributes of this directory; the topmost that has the directory if none
    /// has.
    fn layer_of_attributes(self: &Arc<Self>, stack: &LowerStack) -> Result<u16> {
        if !self.packed.is_implied() {
            return Ok(self.layer());
        }
        for part in &self.dir()?.parts {
            let handle = self.handle(stack, part.layer)?;
            let layer = stack.layer(part.layer);
            if !layer.dir_meta(&handle)?.is_implied() {
                return Ok(part.layer);
            }
            if layer.is_opaque(&handle)? {
                break;
            }
        }
        Ok(self.layer())
    }

    /// Calls `act` with the topmost layer that has attributes of the file, and where the file is in it.
    fn in_top_layer<T>(
        self: &Arc<Self>,
        stack: &LowerStack,
        act: impl FnOnce(&dyn AnyLayer, &DirHandle, Option<Name<'_>>) -> Result<T>,
    ) -> Result<T> {
        match &self.kind {
            LowerKind::Dir(_) => {
                let layer = self.layer_of_attributes(stack)?;
                let handle = self.handle(stack, layer)?;
                act(stack.layer(layer), &handle, None)
            }
            LowerKind::Symlink(_) | LowerKind::File(_) | LowerKind::Other => {
                self.in_layer(stack, |layer, dir, name| act(layer, dir, Some(name)))
            }
        }
    }

    /// Names of the extended attributes, without those that mark whiteouts and opaque directories.
    pub(crate) fn xattrs(self: &Arc<Self>, stack: &LowerStack) -> Result<Vec<Box<[u8]>>> {
        self.in_top_layer(stack, |layer, dir, name| layer.xattrs(dir, name))
    }

    /// The attributes that a copy takes over; `xattrs` are the names of the extended ones, if they were read
    /// already. WASI has no call for mode, owner and extended attributes, so a component copies none.
    pub(crate) fn attributes(
        self: &Arc<Self>,
        stack: &LowerStack,
        xattrs: Option<XattrNames>,
    ) -> Result<Attributes> {
        let meta = self.meta();
        let mut attributes = Attributes {
            times: SetTimes::of(&meta),
            ..Attributes::default()
        };
        if cfg!(feature = "native") {
            (attributes.mode, attributes.owner) = (meta.mode, meta.owner);
            let names = match xattrs {
                Some(names) => names,
                None => self.xattrs(stack)?,
            };
            for name in names.into_iter().filter(|name| !is_never_copied(name)) {
                if let Some(value) = self.xattr(stack, &name)? {
                    attributes.xattrs.push((name, value));
                }
            }
        }
        Ok(attributes)
    }

    /// The value of an extended attribute.
    pub(crate) fn xattr(
        self: &Arc<Self>,
        stack: &LowerStack,
        attribute: &[u8],
    ) -> Result<Option<Vec<u8>>> {
        self.in_top_layer(stack, |layer, dir, name| layer.xattr(dir, name, attribute))
    }
}
