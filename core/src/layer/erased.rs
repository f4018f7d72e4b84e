//! [`AnyLayer`] and [`AnyUpper`]: object-safe forms of [`Layer`] and [`Upper`], for the engine.
//!
//! Handles are type-erased only here, so that authors of layers need not deal with `Any`, and never get a
//! handle of another layer.

use super::{
    At, Attributes, Durability, Entered, Found, Layer, Leave, Listed, New, Over, ReadAt, Upper,
    Usage, WriteAt, XattrNames,
};
use super::{Copied, Renumbered};
use crate::at_once;
use crate::error::{Errno, Error, Result};
use crate::meta::{Meta, SetTimes};
use crate::name::Name;
use crate::name::NameBuf;
use crate::sync::Within;
use std::any::Any;
use std::ops::ControlFlow;
use std::sync::Arc;

/// A directory handle of some layer.
pub(crate) struct DirHandle(Box<dyn Any + Send + Sync>);

/// A staged file, directory or link of the upper.
pub(crate) struct StagedHandle(Box<dyn Any + Send + Sync>);

/// A name in a directory of the upper.
#[derive(Clone, Copy)]
pub(crate) struct AnyAt<'a> {
    pub(crate) dir: &'a DirHandle,
    pub(crate) name: Name<'a>,
}

/// [`Layer`] with type-erased handles.
pub(crate) trait AnyLayer: Send + Sync {
    fn label(&self) -> &str;
    fn root(&self) -> Result<DirHandle>;
    fn is_opaque(&self, dir: &DirHandle) -> Result<bool>;
    fn dir_meta(&self, dir: &DirHandle) -> Result<Meta>;
    fn find(&self, dir: &DirHandle, name: Name<'_>) -> Result<Found>;
    fn open_dir(&self, dir: &DirHandle, name: Name<'_>) -> Result<DirHandle>;
    fn enter(&self, dir: &DirHandle, name: Name<'_>) -> Result<Option<Entered<DirHandle>>>;
    fn open_file(&self, dir: &DirHandle, name: Name<'_>) -> Result<Arc<dyn ReadAt>>;
    fn open_to_copy(
        &self,
        dir: &DirHandle,
        name: Name<'_>,
    ) -> Result<(Arc<dyn ReadAt>, XattrNames)>;
    fn read_link(&self, dir: &DirHandle, name: Name<'_>) -> Result<Box<[u8]>>;
    fn list(
        &self,
        dir: &DirHandle,
        each: &mut dyn FnMut(Name<'_>, Listed) -> ControlFlow<()>,
    ) -> Result<()>;
    fn is_in_memory(&self) -> bool;
    #[cfg(feature = "dir")]
    fn holds_descriptors(&self) -> bool;
    #[cfg(feature = "native")]
    fn place(&self) -> Result<Option<crate::place::Place>>;
    #[cfg(feature = "native")]
    fn mount_lower(&self) -> Result<()>;
    fn xattrs(&self, dir: &DirHandle, name: Option<Name<'_>>) -> Result<Vec<Box<[u8]>>>;
    fn xattr(
        &self,
        dir: &DirHandle,
        name: Option<Name<'_>>,
        attribute: &[u8],
    ) -> Result<Option<Vec<u8>>>;
}

/// [`Upper`] with type-erased handles.
pub(crate) trait AnyUpper: AnyLayer {
    fn mount(&self, durability: Durability) -> Result<()>;
    fn unmount(&self) -> Result<()>;
    fn stage(&self, new: New<'_>) -> Result<StagedHandle>;
    fn staged_file<'a>(&self, staged: &'a StagedHandle) -> Option<&'a dyn WriteAt>;
    fn set_attributes(&self, staged: &StagedHandle, attributes: &Attributes) -> Result<()>;
    fn staged_meta(&self, staged: &StagedHandle) -> Result<Meta>;
    fn publish(
        &self,
        staged: StagedHandle,
        to: AnyAt<'_>,
        over: Over,
        keep_times: bool,
    ) -> Result<Option<Arc<dyn WriteAt>>>;
    fn create(&self, new: New<'_>, to: AnyAt<'_>, over: Over) -> Result<Option<Arc<dyn WriteAt>>>;
    fn created_meta(&self, dir: &DirHandle, name: Name<'_>) -> Result<Meta>;
    fn remove(&self, at: AnyAt<'_>, what: Over, leave: Leave) -> Result<()>;
    fn rename(&self, from: AnyAt<'_>, to: AnyAt<'_>, over: Over, leave: Leave) -> Result<()>;
    fn staged_dir(&self, staged: &StagedHandle) -> Result<Option<DirHandle>>;
    fn copy_into(&self, to: AnyAt<'_>, copied: Copied<'_>) -> Result<Meta>;
    fn set_dir_attributes(&self, at: AnyAt<'_>, attributes: Attributes) -> Result<()>;
    fn rename_by_copy(
        &self,
        from: AnyAt<'_>,
        to: AnyAt<'_>,
        how: (Over, Leave),
        path: &[NameBuf],
    ) -> Result<Vec<Renumbered>>;
    fn link(&self, from: AnyAt<'_>, to: AnyAt<'_>, over: Over) -> Result<()>;
    fn set_opaque(&self, dir: &DirHandle) -> Result<()>;
    /// [`Layer::open_file`] as a handle that can also set times.
    fn open_read(&self, dir: &DirHandle, name: Name<'_>) -> Result<Arc<dyn WriteAt>>;
    fn open_write(&self, dir: &DirHandle, name: Name<'_>) -> Result<Arc<dyn WriteAt>>;
    fn set_times(&self, dir: &DirHandle, name: Option<Name<'_>>, times: SetTimes) -> Result<()>;
    fn set_xattr(
        &self,
        dir: &DirHandle,
        name: Option<Name<'_>>,
        attribute: &[u8],
        value: &[u8],
    ) -> Result<()>;
    fn remove_xattr(&self, dir: &DirHandle, name: Option<Name<'_>>, attribute: &[u8])
    -> Result<()>;
    fn sync_dir(&self, dir: &DirHandle) -> Result<()>;
    fn sync_all(&self) -> Result<()>;
    fn usage(&self) -> Option<Usage>;
    fn keeps_order(&self) -> bool;
    fn syncs_whole(&self) -> bool;
    fn may_fail_at_close(&self) -> bool;
    fn enforces_modes(&self) -> bool;
    fn handles_follow_rename(&self) -> bool;
}

/// A layer with its label for messages.
pub(crate) struct Erased<L> {
    layer: L,
    label: String,
}

impl<L: Layer> Erased<L> {
    pub(crate) fn new(label: String, layer: L) -> Self {
        Self { layer, label }
    }

    /// The layer, for one call.
    ///
    /// # Errors
    /// `would-block` if the layer may block, and this thread must not wait.
    fn layer(&self) -> Result<Called<'_, L>> {
        if !self.layer.has_names_in_memory() {
            at_once::may_wait()?;
        }
        Ok(Called {
            layer: &self.layer,
            _within: Within::new(),
        })
    }

    fn label_error<T>(&self, result: Result<T>) -> Result<T> {
        result.map_err(|error| with_label(error, &self.label))
    }
}

/// A layer for the duration of one call.
struct Called<'a, L> {
    layer: &'a L,
    _within: Within,
}

impl<'a, L> Called<'a, L> {
    fn get(&self) -> &'a L {
        self.layer
    }
}

/// Names the layer in an error. Not generic, so that there is one copy for all types.
fn with_label(error: Error, label: &str) -> Error {
    error.in_layer(|| label.to_owned())
}

impl<L: Layer> Erased<L> {
    /// The handle as this layer's own type.
    fn dir<'a>(&self, dir: &'a DirHandle) -> Result<&'a L::Dir> {
        dir.0.downcast_ref().ok_or_else(foreign)
    }
}

/// The error of a call with a handle of another layer. The engine never mixes handles; if it did, only the
/// call would fail.
fn foreign() -> Error {
    debug_assert!(
        false,
        "a handle was passed to a layer that did not create it"
    );
    Error::new(Errno::Io, "a handle belongs to another layer")
}

impl<L: Layer> AnyLayer for Erased<L> {
    fn label(&self) -> &str {
        &self.label
    }

    fn root(&self) -> Result<DirHandle> {
        self.label_error(self.layer()?.get().root())
            .map(|dir| DirHandle(Box::new(dir)))
    }

    fn is_opaque(&self, dir: &DirHandle) -> Result<bool> {
        self.label_error(self.layer()?.get().is_opaque(self.dir(dir)?))
    }

    fn dir_meta(&self, dir: &DirHandle) -> Result<Meta> {
        self.label_error(self.layer()?.get().dir_meta(self.dir(dir)?))
    }

    fn find(&self, dir: &DirHandle, name: Name<'_>) -> Result<Found> {
        self.label_error(self.layer()?.get().find(self.dir(dir)?, name))
    }

    fn open_dir(&self, dir: &DirHandle, name: Name<'_>) -> Result<DirHandle> {
        self.label_error(self.layer()?.get().open_dir(self.dir(dir)?, name))
            .map(|dir| DirHandle(Box::new(dir)))
    }

    fn enter(&self, dir: &DirHandle, name: Name<'_>) -> Result<Option<Entered<DirHandle>>> {
        let entered = self.label_error(self.layer()?.get().enter(self.dir(dir)?, name))?;
        Ok(entered.map(|entered| Entered {
            dir: DirHandle(Box::new(entered.dir)),
            meta: entered.meta,
            opaque: entered.opaque,
        }))
    }

    fn open_file(&self, dir: &DirHandle, name: Name<'_>) -> Result<Arc<dyn ReadAt>> {
        self.label_error(self.layer()?.get().open_file(self.dir(dir)?, name))
            .map(|file| Arc::new(file) as _)
    }

    fn open_to_copy(
        &self,
        dir: &DirHandle,
        name: Name<'_>,
    ) -> Result<(Arc<dyn ReadAt>, XattrNames)> {
        self.label_error(self.layer()?.get().open_to_copy(self.dir(dir)?, name))
            .map(|(file, xattrs)| (Arc::new(file) as _, xattrs))
    }

    fn read_link(&self, dir: &DirHandle, name: Name<'_>) -> Result<Box<[u8]>> {
        self.label_error(self.layer()?.get().read_link(self.dir(dir)?, name))
    }

    fn list(
        &self,
        dir: &DirHandle,
        each: &mut dyn FnMut(Name<'_>, Listed) -> ControlFlow<()>,
    ) -> Result<()> {
        self.label_error(self.layer()?.get().list(self.dir(dir)?, each))
    }

    fn is_in_memory(&self) -> bool {
        self.layer.is_in_memory()
    }

    #[cfg(feature = "dir")]
    fn holds_descriptors(&self) -> bool {
        self.layer.holds_descriptors()
    }

    #[cfg(feature = "native")]
    fn place(&self) -> Result<Option<crate::place::Place>> {
        self.label_error(self.layer()?.get().place())
    }

    #[cfg(feature = "native")]
    fn mount_lower(&self) -> Result<()> {
        self.label_error(self.layer()?.get().mount_lower())
    }

    fn xattrs(&self, dir: &DirHandle, name: Option<Name<'_>>) -> Result<Vec<Box<[u8]>>> {
        self.label_error(self.layer()?.get().xattrs(self.dir(dir)?, name))
    }

    fn xattr(
        &self,
        dir: &DirHandle,
        name: Option<Name<'_>>,
        attribute: &[u8],
    ) -> Result<Option<Vec<u8>>> {
        self.label_error(self.layer()?.get().xattr(self.dir(dir)?, name, attribute))
    }
}

impl<L: Upper> Erased<L> {
    fn at<'a>(&self, at: AnyAt<'a>) -> Result<At<'a, L::Dir>> {
        Ok(At {
            dir: self.dir(at.dir)?,
            name: at.name,
        })
    }

    fn file(file: Option<L::Writable>) -> Option<Arc<dyn WriteAt>> {
        file.map(|file| Arc::new(file) as _)
    }
}

impl<L: Upper> AnyUpper for Erased<L> {
    fn mount(&self, durability: Durability) -> Result<()> {
        self.label_error(self.layer()?.get().mount(durability))
    }

    fn unmount(&self) -> Result<()> {
        self.label_error(self.layer()?.get().unmount())
    }

    fn stage(&self, new: New<'_>) -> Result<StagedHandle> {
        self.label_error(self.layer()?.get().stage(new))
            .map(|staged| StagedHandle(Box::new(staged)))
    }

    fn staged_file<'a>(&self, staged: &'a StagedHandle) -> Option<&'a dyn WriteAt> {
        self.layer.staged_file(staged.0.downcast_ref()?)
    }

    fn set_attributes(&self, staged: &StagedHandle, attributes: &Attributes) -> Result<()> {
        let staged = staged.0.downcast_ref().ok_or_else(foreign)?;
        self.label_error(self.layer()?.get().set_attributes(staged, attributes))
    }

    fn staged_meta(&self, staged: &StagedHandle) -> Result<Meta> {
        let staged = staged.0.downcast_ref().ok_or_else(foreign)?;
        self.label_error(self.layer.staged_meta(staged))
    }

    fn publish(
        &self,
        staged: StagedHandle,
        to: AnyAt<'_>,
        over: Over,
        keep_times: bool,
    ) -> Result<Option<Arc<dyn WriteAt>>> {
        let staged = staged.0.downcast().map_err(|_| foreign())?;
        let published = self
            .layer()?
            .get()
            .publish(*staged, self.at(to)?, over, keep_times);
        self.label_error(published).map(Self::file)
    }

    fn create(&self, new: New<'_>, to: AnyAt<'_>, over: Over) -> Result<Option<Arc<dyn WriteAt>>> {
        self.label_error(self.layer()?.get().create(new, self.at(to)?, over))
            .map(Self::file)
    }

    fn created_meta(&self, dir: &DirHandle, name: Name<'_>) -> Result<Meta> {
        self.label_error(self.layer()?.get().created_meta(self.dir(dir)?, name))
    }

    fn remove(&self, at: AnyAt<'_>, what: Over, leave: Leave) -> Result<()> {
        self.label_error(self.layer()?.get().remove(self.at(at)?, what, leave))
    }

    fn rename(&self, from: AnyAt<'_>, to: AnyAt<'_>, over: Over, leave: Leave) -> Result<()> {
        self.label_error(
            self.layer()?
                .get()
                .rename(self.at(from)?, self.at(to)?, over, leave),
        )
    }

    fn staged_dir(&self, staged: &StagedHandle) -> Result<Option<DirHandle>> {
        let staged = staged.0.downcast_ref().ok_or_else(foreign)?;
        let dir = self.label_error(self.layer()?.get().staged_dir(staged))?;
        Ok(dir.map(|dir| DirHandle(Box::new(dir))))
    }

    fn copy_into(&self, to: AnyAt<'_>, copied: Copied<'_>) -> Result<Meta> {
        // `fill` calls other layers, which put their own labels into their errors.
        let layer = self.layer()?;
        self.label_error(layer.get().copy_into(self.at(to)?, copied))
    }

    fn set_dir_attributes(&self, at: AnyAt<'_>, attributes: Attributes) -> Result<()> {
        self.label_error(
            self.layer()?
                .get()
                .set_dir_attributes(self.at(at)?, attributes),
        )
    }

    fn rename_by_copy(
        &self,
        from: AnyAt<'_>,
        to: AnyAt<'_>,
        how: (Over, Leave),
        path: &[NameBuf],
    ) -> Result<Vec<Renumbered>> {
        let (from, to) = (self.at(from)?, self.at(to)?);
        self.label_error(self.layer()?.get().rename_by_copy(from, to, how, path))
    }

    fn link(&self, from: AnyAt<'_>, to: AnyAt<'_>, over: Over) -> Result<()> {
        self.label_error(self.layer()?.get().link(self.at(from)?, self.at(to)?, over))
    }

    fn set_opaque(&self, dir: &DirHandle) -> Result<()> {
        self.label_error(self.layer()?.get().set_opaque(self.dir(dir)?))
    }

    fn open_read(&self, dir: &DirHandle, name: Name<'_>) -> Result<Arc<dyn WriteAt>> {
        self.label_error(self.layer()?.get().open_file(self.dir(dir)?, name))
            .map(|file| Arc::new(file) as _)
    }

    fn open_write(&self, dir: &DirHandle, name: Name<'_>) -> Result<Arc<dyn WriteAt>> {
        self.label_error(self.layer()?.get().open_write(self.dir(dir)?, name))
            .map(|file| Arc::new(file) as _)
    }

    fn set_times(&self, dir: &DirHandle, name: Option<Name<'_>>, times: SetTimes) -> Result<()> {
        self.label_error(self.layer()?.get().set_times(self.dir(dir)?, name, times))
    }

    fn set_xattr(
        &self,
        dir: &DirHandle,
        name: Option<Name<'_>>,
        attribute: &[u8],
        value: &[u8],
    ) -> Result<()> {
        self.label_error(
            self.layer()?
                .get()
                .set_xattr(self.dir(dir)?, name, attribute, value),
        )
    }

    fn remove_xattr(
        &self,
        dir: &DirHandle,
        name: Option<Name<'_>>,
        attribute: &[u8],
    ) -> Result<()> {
        self.label_error(
            self.layer()?
                .get()
                .remove_xattr(self.dir(dir)?, name, attribute),
        )
    }

    fn sync_dir(&self, dir: &DirHandle) -> Result<()> {
        self.label_error(self.layer()?.get().sync_dir(self.dir(dir)?))
    }

    fn sync_all(&self) -> Result<()> {
        self.label_error(self.layer()?.get().sync_all())
    }

    fn usage(&self) -> Option<Usage> {
        self.layer.usage()
    }

    fn keeps_order(&self) -> bool {
        self.layer.keeps_order()
    }

    fn syncs_whole(&self) -> bool {
        self.layer.syncs_whole()
    }

    fn may_fail_at_close(&self) -> bool {
        self.layer.may_fail_at_close()
    }

    fn enforces_modes(&self) -> bool {
        self.layer.enforces_modes()
    }

    fn handles_follow_rename(&self) -> bool {
        self.layer.handles_follow_rename()
    }
}
