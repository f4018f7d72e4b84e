//! The work folder: it contains staged files, and if it exists at the start of a mount, a crash interrupted
//! the last mount.
//!
//! So it must exist whenever a crash would leave something to repair: while anything is staged,
//! and during a change of more than one step. It is in the upper's own root, since a
//! rename works within one mount only.
//!
//! ```text
//!   mount ─── stage … publish ─── whiteout, unlink ─── unmount
//!   ══════════════════════════════════════════════════════     an upper that is unmounted
//!             ═══════════════     ════════════════             an upper that ends without notice
//! ```
//!
//! Both count the users of the folder; in the first the mount itself is one of them. The folder must not be
//! visible to guests, so the root's times are restored.
//!
//! Lock order: `state`, a leaf: only the tree is called while it is held.

#[cfg(feature = "native")]
use super::by_copy;
use super::case_folding;
use super::oci;
use super::staging::{self, VERSION};
use super::sweep;
use crate::error::{Errno, Error, Result};
use crate::layer::Durability;
#[cfg(feature = "native")]
use crate::meta::Kind;
use crate::meta::SetTimes;
use crate::name::Name;
use crate::plain::Plain;
use crate::sync::Mutex;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The name of the folder. fuse-overlayfs hides it; other tools would show it, so the folder is removed
/// once it has no users.
const FOLDER: &[u8] = b".wh..wh.work";
/// The same name in another case.
const FOLDER_IN_OTHER_CASE: &[u8] = b".WH..WH.WORK";

/// When the folder exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// From mount to unmount.
    Mounted,
    /// While a change is in progress or something is staged.
    OnDemand,
}

/// The work folder of a mounted upper.
pub(super) struct Folder<P: Plain> {
    pub(super) plain: Arc<P>,
    root: P::Dir,
    /// The number of the next staged file.
    next: AtomicU64,
    /// The crashes that the upper must survive.
    #[cfg(feature = "native")]
    durability: Durability,
    /// Whether the storage may keep the removal of the folder and lose an earlier change.
    is_unordered: bool,
    /// Whether a cleanup failed, so that the upper is not in its steady state.
    untidy: AtomicBool,
    /// Whether a crash that keeps the folder's removal may lose the last step of a change.
    unsettled: AtomicBool,
    /// Whether the upper is known to be case-sensitive.
    is_case_sensitive: AtomicBool,
    /// Held while the folder is created and removed, so that no user gets a folder that is being removed.
    state: Mutex<State<P>>,
}

struct State<P: Plain> {
    /// The number of users.
    users: usize,
    /// Whether it exists.
    exists: bool,
    /// Whether it survives a crash of the machine on a storage that does not keep the order of changes.
    is_durable: bool,
    /// Its handle, once it was opened.
    dir: Option<Arc<P::Dir>>,
    /// Whether the mount has ended: the folder may belong to another mount now.
    has_ended: bool,
}

/// The open folder, with the properties of the upper that its users need.
#[cfg(feature = "native")]
pub(super) struct OpenFolder<'a, P: Plain> {
    pub(super) plain: &'a P,
    /// The folder.
    pub(super) work: &'a P::Dir,
    /// Whether a crash of the machine must not lose what was synced.
    pub(super) is_durable: bool,
    /// As in [`Folder`].
    pub(super) is_unordered: bool,
}

#[cfg(feature = "native")]
impl<P: Plain> OpenFolder<'_, P> {
    /// As [`MarkedUpper::barrier`](super::upper::MarkedUpper::barrier).
    pub(super) fn barrier(&self, dir: &P::Dir) -> Result<()> {
        if self.is_unordered {
            self.plain.sync_dir(dir)?;
        }
        Ok(())
    }
}

/// A user of the folder, which exists until this is dropped.
pub(super) struct Work<P: Plain> {
    folder: Arc<Folder<P>>,
    dir: Arc<P::Dir>,
}

fn folder_name() -> Name<'static> {
    Name::checked(FOLDER)
}

impl<P: Plain> Folder<P> {
    /// Opens the folder of a new mount, and repairs the upper if a crash interrupted the last one.
    pub(super) fn mount(
        plain: &Arc<P>,
        root: P::Dir,
        presence: Presence,
        (durability, is_unordered): (Durability, bool),
    ) -> Result<Arc<Self>> {
        #[cfg(not(feature = "native"))]
        let _ = durability; // A component has no code that needs it.
        let was_interrupted = oci::exists(&**plain, &root, folder_name())?;
        let folder = Arc::new(Self {
            plain: Arc::clone(plain),
            root,
            next: AtomicU64::new(0),
            #[cfg(feature = "native")]
            durability,
            is_unordered,
            // Until the upper is repaired, the folder must stay, whatever happens.
            untidy: AtomicBool::new(was_interrupted),
            unsettled: AtomicBool::new(false),
            is_case_sensitive: AtomicBool::new(false),
            state: Mutex::new(State {
                users: 0,
                exists: was_interrupted,
                is_durable: false,
                dir: None,
                has_ended: false,
            }),
        });
        if !was_interrupted && presence == Presence::OnDemand {
            return Ok(folder);
        }
        let work = folder.begin()?;
        if was_interrupted {
            folder.check_content(&work)?;
            if is_unordered {
                // The last steps of the interrupted mount may not be on disk yet, and nothing would show
                // that they are missing. They must be on disk before the folder is removed.
                plain.sync_all()?;
            }
            #[cfg(feature = "native")]
            by_copy::recover(&work.open_folder(), || plain.root())?;
            sweep::sweep(&**plain, plain.root()?, is_unordered)?;
            folder.clear(&work.dir)?;
            folder.untidy.store(false, Ordering::Relaxed);
        }
        if presence == Presence::Mounted {
            folder.state.lock().users += 1;
        }
        Ok(folder)
    }

    /// Brings the upper into its steady state, and removes the folder.
    pub(super) fn end(&self) -> Result<()> {
        let mut state = self.state.lock();
        state.has_ended = true;
        if self.untidy.swap(false, Ordering::Relaxed) {
            // If this fails, the folder stays, so that the next mount tries again.
            #[cfg(feature = "native")]
            if state.exists {
                let work = self.plain.open_dir(&self.root, folder_name())?;
                by_copy::recover(&self.open_folder(&work), || self.plain.root())?;
            }
            sweep::sweep(&*self.plain, self.plain.root()?, self.is_unordered)?;
        }
        if self.unsettled.swap(false, Ordering::Relaxed) {
            // If this fails, the folder stays, so that the next mount repairs.
            self.plain.sync_all()?;
        }
        if state.exists {
            self.remove(&mut state)
        } else {
            Ok(())
        }
    }

    /// Adds a user of the folder, and creates the folder if it does not exist. Call it before a step after
    /// which a crash must be detected.
    ///
    /// # Errors
    /// `invalid` if the mount has ended; any error returned by the tree. The folder then has no new user.
    pub(super) fn begin(self: &Arc<Self>) -> Result<Work<P>> {
        let mut state = self.state.lock();
        if state.has_ended {
            return Err(not_mounted(&*self.plain));
        }
        let dir = match &state.dir {
            Some(dir) => Arc::clone(dir),
            None => self.make(&mut state)?,
        };
        if !self.is_case_sensitive.load(Ordering::Relaxed) {
            if let Err(error) = case_folding::check(
                &*self.plain,
                &self.root,
                folder_name(),
                Name::checked(FOLDER_IN_OTHER_CASE),
            ) {
                if state.users == 0 && !self.untidy.load(Ordering::Relaxed) {
                    self.remove(&mut state)?;
                }
                return Err(error);
            }
            self.is_case_sensitive.store(true, Ordering::Relaxed);
        }
        state.users += 1;
        Ok(Work {
            folder: Arc::clone(self),
            dir,
        })
    }

    /// Checks once for each mount that the upper is case-sensitive. The check uses the name of the folder,
    /// which is created for it.
    ///
    /// # Errors
    /// `unsupported` if it is not; those of [`begin`](Self::begin).
    pub(super) fn check_case(self: &Arc<Self>) -> Result<()> {
        if self.is_case_sensitive.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.begin().map(drop)
    }

    /// As [`begin`](Self::begin), for a change of several steps: the folder must survive any crash of the
    /// machine that keeps one of the steps.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    pub(super) fn begin_change(self: &Arc<Self>) -> Result<Work<P>> {
        let work = self.begin()?;
        if self.is_unordered {
            let mut state = self.state.lock();
            if !state.is_durable {
                self.plain.sync_dir(&self.root)?;
                state.is_durable = true;
            }
        }
        Ok(work)
    }

    /// Records that the upper must be synced before the folder is removed.
    pub(super) fn note_unsettled(&self) {
        self.unsettled.store(true, Ordering::Relaxed);
    }

    /// Records that a cleanup failed: the folder stays until the upper is repaired.
    pub(super) fn note_untidy(&self) {
        self.untidy.store(true, Ordering::Relaxed);
    }

    /// Runs `change` while the folder is neither created nor removed, since both set the root's times.
    pub(super) fn without_folder_changes<T>(&self, change: impl FnOnce() -> T) -> T {
        let _state = self.state.lock();
        change()
    }

    /// Creates the folder, or opens the existing one.
    fn make(&self, state: &mut State<P>) -> Result<Arc<P::Dir>> {
        let times = SetTimes::of(&self.plain.meta(&self.root, None)?);
        // Only the owner may enter it: staged files do not have their final modes yet.
        match self.plain.create_dir(&self.root, folder_name(), 0o700) {
            Ok(()) => self.restore_root_times(times),
            Err(error) if error.errno() == Errno::Exist => {}
            Err(error) => return Err(error),
        }
        state.exists = true;
        let dir = Arc::new(self.plain.open_dir(&self.root, folder_name())?);
        state.dir = Some(Arc::clone(&dir));
        Ok(dir)
    }

    /// Removes the folder and everything left in it.
    fn remove(&self, state: &mut State<P>) -> Result<()> {
        // The handle is given up even if this fails: the next user opens the folder again.
        let dir = state.dir.take();
        let times = SetTimes::of(&self.plain.meta(&self.root, None)?);
        match self.plain.remove_dir(&self.root, folder_name()) {
            Err(error) if matches!(error.errno(), Errno::NotEmpty | Errno::Exist) => {
                let dir = match dir {
                    Some(dir) => dir,
                    None => Arc::new(self.plain.open_dir(&self.root, folder_name())?),
                };
                self.clear(&dir)?;
                self.plain.remove_dir(&self.root, folder_name())?;
            }
            removed => removed?,
        }
        (state.exists, state.is_durable) = (false, false);
        self.restore_root_times(times);
        Ok(())
    }

    /// Restores the times of the root, since no change of a guest set them.
    fn restore_root_times(&self, times: SetTimes) {
        if let Err(error) = self.plain.set_times(&self.root, None, times) {
            // The folder was created or removed: a failure to restore a time must not fail the call.
            tracing::warn!(layer = %self.plain.label(), %error, "cannot restore the time of the root");
        }
    }

    #[cfg(feature = "native")]
    fn open_folder<'a>(&'a self, work: &'a P::Dir) -> OpenFolder<'a, P> {
        OpenFolder {
            plain: &*self.plain,
            work,
            is_durable: self.durability == Durability::Durable,
            is_unordered: self.is_unordered,
        }
    }

    /// Fails if the folder contains anything that this version did not create.
    fn check_content(&self, work: &Work<P>) -> Result<()> {
        let mut foreign = None;
        self.plain.list(&work.dir, &mut |name, _, _| {
            if name.as_bytes().starts_with(VERSION) || is_by_copy(name) {
                return ControlFlow::Continue(());
            }
            foreign = Some(name.to_owned());
            ControlFlow::Break(())
        })?;
        let Some(foreign) = foreign else {
            return Ok(());
        };
        Err(Error::new(
            Errno::Unsupported,
            format_args!(
                "the work folder {} contains {}, which this version did not create: mount the upper \
                 with the program that did, or remove the folder if nothing in it is needed",
                folder_name(),
                foreign.as_name()
            ),
        )
        .in_layer(|| self.plain.label()))
    }

    /// Removes everything in the folder.
    fn clear(&self, dir: &P::Dir) -> Result<()> {
        // Names are collected first: a listing is not defined while entries are removed.
        let mut names = Vec::new();
        self.plain.list(dir, &mut |name, kind, _| {
            names.push((name.to_owned(), kind));
            ControlFlow::Continue(())
        })?;
        for (name, kind) in names {
            #[cfg(feature = "native")]
            if kind == Kind::Dir && is_by_copy(name.as_name()) {
                self.open_folder(dir).drop_tree()?;
                continue;
            }
            match staging::discard(&*self.plain, dir, name.as_name(), kind) {
                // Dropped meanwhile.
                Err(error) if error.is_not_found() => {}
                other => other?,
            }
        }
        Ok(())
    }
}

/// Whether a name in the folder belongs to a rename by copy.
fn is_by_copy(name: Name<'_>) -> bool {
    #[cfg(feature = "native")]
    return by_copy::is_reserved(name);
    #[cfg(not(feature = "native"))]
    {
        // A component does not rename by copy, and cannot complete it for another program.
        let _ = name;
        false
    }
}

/// The error of a change without a mount.
pub(super) fn not_mounted<P: Plain>(plain: &P) -> Error {
    Error::new(Errno::Invalid, "the upper is not mounted").in_layer(|| plain.label())
}

impl<P: Plain> Work<P> {
    pub(super) fn plain(&self) -> &P {
        &self.folder.plain
    }

    /// Ensures that the names in `dir` survive any crash of the machine that keeps the next step, as
    /// [`MarkedUpper::barrier`](super::upper::MarkedUpper::barrier).
    pub(super) fn barrier(&self, dir: &P::Dir) -> Result<()> {
        if self.folder.is_unordered {
            self.plain().sync_dir(dir)?;
        }
        Ok(())
    }

    /// The folder.
    pub(super) fn dir(&self) -> &P::Dir {
        &self.dir
    }

    #[cfg(feature = "native")]
    pub(super) fn open_folder(&self) -> OpenFolder<'_, P> {
        self.folder.open_folder(&self.dir)
    }

    /// A number that is unique among the staged files of this mount.
    pub(super) fn number(&self) -> u64 {
        self.folder.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether the mount has ended, and removed the folder.
    pub(super) fn has_ended(&self) -> bool {
        self.folder.state.lock().has_ended
    }
}

impl<P: Plain> Drop for Work<P> {
    fn drop(&mut self) {
        let folder = &*self.folder;
        let mut state = folder.state.lock();
        state.users = state.users.saturating_sub(1);
        if state.users > 0 || state.has_ended || folder.untidy.load(Ordering::Relaxed) {
            return;
        }
        if let Err(error) = folder.remove(&mut state) {
            tracing::warn!(
                layer = %folder.plain.label(), %error,
                "cannot remove the work folder; the next change or mount will"
            );
        }
    }
}
