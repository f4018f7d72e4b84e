//! [`MarkedUpper`]: mounting and reading an upper with whiteouts in OCI format. `change.rs` has its changes.
//!
//! The order of steps makes a crash harmless; `docs/design.md` has it as a table. Where the
//! storage does not keep directory operations in order across a crash of the machine, the upper
//! syncs the directory between two steps whose order matters ([`MarkedUpper::barrier`]).
//!
//! Lock order: `half_moved`, which is held across calls; then the work folder's state. `mounted` is a
//! leaf: it is held to read or set the value, never across a call.

#[cfg(feature = "native")]
use super::half_moved::HalfMoved;
use super::kernel;
use super::mounts;
use super::oci::{self, NameKind, WhiteoutName};
use super::work::{Folder, Presence, Work, not_mounted};
use crate::error::Result;
use crate::layer::{At, Durability, Found, Layer, Listed};
use crate::meta::{Kind, Meta};
use crate::name::Name;
use crate::place::Place;
use crate::plain::{Access, Plain};
use crate::sync::Mutex;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A plain tree as an upper layer, with whiteouts in OCI format.
///
/// Whiteouts in other formats are refused: in the root at the mount, elsewhere when they are found.
pub struct MarkedUpper<P: Plain> {
    plain: Arc<P>,
    presence: Presence,
    /// Whether a crash of the machine could keep a later step of a change and lose an earlier one.
    /// Set at the mount.
    is_unordered: AtomicBool,
    /// The work folder, while mounted.
    mounted: Mutex<Option<Arc<Folder<P>>>>,
    #[cfg(feature = "native")]
    pub(super) half_moved: HalfMoved,
}

impl<P: Plain> MarkedUpper<P> {
    pub(super) fn new(plain: P, presence: Presence) -> Self {
        Self {
            plain: Arc::new(plain),
            presence,
            is_unordered: AtomicBool::new(false),
            mounted: Mutex::new(None),
            #[cfg(feature = "native")]
            half_moved: HalfMoved::default(),
        }
    }

    pub(super) fn plain(&self) -> &P {
        &self.plain
    }

    /// The work folder, which need not exist on disk.
    pub(super) fn folder(&self) -> Result<Arc<Folder<P>>> {
        let mounted = self.mounted.lock().clone();
        mounted.ok_or_else(|| not_mounted(&*self.plain))
    }

    /// Begins a change. During a change with more than one visible step the work folder exists: the next
    /// mount must detect a crash between them.
    ///
    /// # Errors
    /// `unsupported` if the upper turns out to fold case, before anything is changed.
    pub(super) fn begin(&self, has_several_steps: bool) -> Result<Option<Work<P>>> {
        if has_several_steps {
            return self.begin_change().map(Some);
        }
        #[cfg(feature = "native")]
        self.half_moved.restore(|| self.folder())?;
        match self.presence {
            // On a case-insensitive filesystem a guest could create or remove a whiteout, spelled in
            // another case, in a single step.
            Presence::OnDemand => self.folder()?.check_case().map(|()| None),
            // The mount created the folder, and checked.
            Presence::Mounted => Ok(None),
        }
    }

    /// As [`begin`](Self::begin), for a change of several steps.
    pub(super) fn begin_change(&self) -> Result<Work<P>> {
        #[cfg(feature = "native")]
        self.half_moved.restore(|| self.folder())?;
        self.folder()?.begin_change()
    }

    /// Ensures that the names in `dir` survive any crash of the machine that keeps the next step.
    ///
    /// A barrier is needed between two steps of one change if the second must not survive without the
    /// first: a whiteout and the removal of the entry that it replaces, an entry and the removal
    /// of its whiteout. It costs nothing if the storage keeps the order, and on volatile uppers.
    pub(super) fn barrier(&self, dir: &P::Dir) -> Result<()> {
        if self.is_unordered.load(Ordering::Relaxed) {
            self.plain.sync_dir(dir)?;
        }
        Ok(())
    }

    /// Ensures that the last step of a change in `dir` survives any crash that keeps the removal of the work
    /// folder: without the folder, the next mount does not repair anything.
    pub(super) fn settle(&self, at: At<'_, P::Dir>) {
        if !self.is_unordered.load(Ordering::Relaxed) {
            return;
        }
        match self.presence {
            Presence::Mounted => {
                // The folder is removed only at the end of the mount, which syncs once for all changes.
                let mounted = self.mounted.lock().clone();
                if let Some(folder) = mounted {
                    folder.note_unsettled();
                }
            }
            Presence::OnDemand => self.log_cleanup_error(at.name, self.plain.sync_dir(at.dir)),
        }
    }

    /// Locks the upper, and repairs it after a crash.
    pub(super) fn begin_mount(&self, durability: Durability) -> Result<()> {
        self.plain.lock()?;
        let is_unordered =
            durability == Durability::Durable && !self.plain.guarantees().ordered_names;
        self.is_unordered.store(is_unordered, Ordering::Relaxed);
        match self.open(durability, is_unordered) {
            Ok(folder) => {
                *self.mounted.lock() = Some(folder);
                Ok(())
            }
            Err(error) => {
                self.plain.unlock();
                Err(error)
            }
        }
    }

    fn open(&self, durability: Durability, is_unordered: bool) -> Result<Arc<Folder<P>>> {
        let root = self.plain.root()?;
        kernel::check_upper(&*self.plain, &root)?;
        Folder::mount(&self.plain, root, self.presence, (durability, is_unordered))
    }

    /// Brings the upper into its steady state and unlocks it.
    pub(super) fn end_mount(&self) -> Result<()> {
        let Some(folder) = self.mounted.lock().take() else {
            return Ok(());
        };
        let ended = folder.end();
        self.plain.unlock();
        ended
    }

    /// Logs an error of the cleanup after a call has happened, or has failed and was undone.
    pub(super) fn log_cleanup_error(&self, name: Name<'_>, result: Result<()>) {
        if let Err(error) = result {
            let mounted = self.mounted.lock().clone();
            if let Some(folder) = mounted {
                folder.note_untidy();
            }
            tracing::warn!(
                layer = %self.plain.label(), %name, %error,
                "cannot clean up after a change; the end of this mount will, or the next mount"
            );
        }
    }

    /// Removes the whiteout that an entry has made superfluous, once the entry is safe from a crash.
    pub(super) fn remove_superfluous_whiteout(&self, at: At<'_, P::Dir>) {
        let cleared = self.barrier(at.dir).and_then(|()| {
            let whiteout = WhiteoutName::of(at.name)?;
            oci::remove_whiteout(&*self.plain, at.dir, whiteout.name())
        });
        self.log_cleanup_error(at.name, cleared);
        self.settle(at);
    }
}

impl<P: Plain> Layer for MarkedUpper<P> {
    type Dir = P::Dir;
    type File = P::File;

    fn root(&self) -> Result<P::Dir> {
        self.plain.root()
    }

    fn place(&self) -> Result<Option<Place>> {
        self.plain.place()
    }

    fn dir_meta(&self, dir: &P::Dir) -> Result<Meta> {
        self.plain.meta(dir, None)
    }

    fn is_opaque(&self, dir: &P::Dir) -> Result<bool> {
        oci::exists(&*self.plain, dir, oci::opaque_name())
    }

    fn find(&self, dir: &P::Dir, name: Name<'_>) -> Result<Found> {
        if oci::is_reserved(name) {
            return Ok(Found::Absent);
        }
        let meta = match self.plain.meta(dir, Some(name)) {
            Ok(meta) => meta,
            Err(error) if error.is_not_found() => {
                return oci::hidden_or_absent(&*self.plain, dir, name);
            }
            Err(error) => return Err(error),
        };
        if kernel::is_whiteout_device(&meta) {
            return Err(kernel::foreign_upper(&*self.plain, name));
        }
        let opaque = meta.kind == Kind::Dir && oci::is_opaque(&*self.plain, dir, name)?;
        Ok(Found::Here { meta, opaque })
    }

    fn open_dir(&self, dir: &P::Dir, name: Name<'_>) -> Result<P::Dir> {
        oci::check_lookup(name)?;
        #[cfg(feature = "native")]
        self.half_moved.restore(|| self.folder())?;
        mounts::in_upper(&*self.plain, name, self.plain.open_dir(dir, name))
    }

    fn open_file(&self, dir: &P::Dir, name: Name<'_>) -> Result<P::File> {
        oci::check_lookup(name)?;
        let opened = self.plain.open_file(dir, name, Access::Read);
        mounts::in_upper(&*self.plain, name, opened)
    }

    fn read_link(&self, dir: &P::Dir, name: Name<'_>) -> Result<Box<[u8]>> {
        oci::check_lookup(name)?;
        self.plain.read_link(dir, name)
    }

    fn list(
        &self,
        dir: &P::Dir,
        each: &mut dyn FnMut(Name<'_>, Listed) -> ControlFlow<()>,
    ) -> Result<()> {
        let mut failed = None;
        self.plain.list(dir, &mut |name, kind, inode| {
            let listed = match oci::classify(name) {
                NameKind::Whiteout(hidden) => return each(hidden, Listed::Hidden),
                NameKind::Opaque | NameKind::Reserved => return ControlFlow::Continue(()),
                NameKind::Broken => Err(oci::malformed(&*self.plain, name)),
                NameKind::Entry => kernel::listed(&*self.plain, dir, name, kind, inode, false),
            };
            match listed {
                Ok(Some(here @ Listed::Here { .. })) => each(name, here),
                Ok(None) => ControlFlow::Continue(()),
                Ok(Some(Listed::Hidden)) => {
                    failed = Some(kernel::foreign_upper(&*self.plain, name));
                    ControlFlow::Break(())
                }
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        failed.map_or(Ok(()), Err)
    }

    fn xattrs(&self, dir: &P::Dir, name: Option<Name<'_>>) -> Result<Vec<Box<[u8]>>> {
        kernel::visible_xattrs(&*self.plain, dir, name)
    }

    fn xattr(
        &self,
        dir: &P::Dir,
        name: Option<Name<'_>>,
        attribute: &[u8],
    ) -> Result<Option<Vec<u8>>> {
        if kernel::is_overlay_attribute(attribute) {
            return Ok(None);
        }
        self.plain.xattr(dir, name, attribute)
    }
}
