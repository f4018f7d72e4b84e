//! The work folder: what is staged lies in it, and finding it at mount says that the last mount
//! was cut.
//!
//! So it has to be there whenever a cut would leave something to mend: while anything is staged,
//! and while a change of more than one step is under way. It is at the upper's own root, since a
//! rename works within one mount only.
//!
//! ```text
//!   mount ─── stage … publish ─── mark, unlink ─── unmount
//!   ═════════════════════════════════════════════════          one that is unmounted
//!             ═══════════════     ════════════                 one that ends without saying so
//! ```
//!
//! Both count who needs the folder; in the first the mount itself is one of them. A guest is not
//! to notice it, so the root keeps its times.
//!
//! Lock order: `state`, a leaf: nothing but the tree is called while it is held.

#[cfg(feature = "native")]
use super::by_copy;
use super::folding;
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

/// The folder. fuse-overlayfs hides it; other tools would show it, hence it goes when the last
/// who needs it is done.
const FOLDER: &[u8] = b".wh..wh.work";
/// The folder where case does not count.
const FOLDED: &[u8] = b".WH..WH.WORK";

/// How long the folder is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// From mount to unmount.
    Mounted,
    /// While something is under way.
    OnDemand,
}

/// The work folder of a mounted upper.
pub(super) struct Folder<P: Plain> {
    pub(super) plain: Arc<P>,
    root: P::Dir,
    /// The number of the next thing that is staged.
    next: AtomicU64,
    /// What the upper has to survive.
    #[cfg(feature = "native")]
    durability: Durability,
    /// Whether the storage may keep the removal of the folder and lose an earlier change.
    is_unordered: bool,
    /// Whether something could not be tidied up, so that the upper is not in its steady state.
    untidy: AtomicBool,
    /// Whether the last step of a change may be lost by a crash that keeps the folder's removal.
    unsettled: AtomicBool,
    /// Whether the upper is known to tell names apart by case.
    counts_case: AtomicBool,
    /// Held while the folder is made and removed, so that nobody is given one that goes.
    state: Mutex<State<P>>,
}

struct State<P: Plain> {
    /// How many need it.
    users: usize,
    /// Whether it is there.
    is_there: bool,
    /// Whether a crash of the machine keeps it, if its storage keeps no order.
    is_durable: bool,
    /// Its handle, once somebody needed it.
    dir: Option<Arc<P::Dir>>,
    /// Whether the mount has ended: the folder may be another mount's now.
    has_ended: bool,
}

/// The folder, open, and how it is used.
#[cfg(feature = "native")]
pub(super) struct Site<'a, P: Plain> {
    pub(super) plain: &'a P,
    /// The folder.
    pub(super) work: &'a P::Dir,
    /// Whether a crash of the machine must not lose what was synced.
    pub(super) is_durable: bool,
    /// As in [`Folder`].
    pub(super) is_unordered: bool,
}

#[cfg(feature = "native")]
impl<P: Plain> Site<'_, P> {
    /// As [`MarkedUpper::barrier`](super::upper::MarkedUpper::barrier).
    pub(super) fn barrier(&self, dir: &P::Dir) -> Result<()> {
        if self.is_unordered {
            self.plain.sync_dir(dir)?;
        }
        Ok(())
    }
}

/// The folder stays as long as this does.
pub(super) struct Work<P: Plain> {
    folder: Arc<Folder<P>>,
    dir: Arc<P::Dir>,
}

fn name() -> Name<'static> {
    Name::checked(FOLDER)
}

impl<P: Plain> Folder<P> {
    /// Mends what a cut mount left, if it was cut.
    pub(super) fn mount(
        plain: &Arc<P>,
        root: P::Dir,
        presence: Presence,
        (durability, is_unordered): (Durability, bool),
    ) -> Result<Arc<Self>> {
        #[cfg(not(feature = "native"))]
        let _ = durability; // What needs it is left out of a component.
        let was_cut = oci::exists(&**plain, &root, name())?;
        let folder = Arc::new(Self {
            plain: Arc::clone(plain),
            root,
            next: AtomicU64::new(0),
            #[cfg(feature = "native")]
            durability,
            is_unordered,
            // Until it is mended, the folder must stay whatever happens.
            untidy: AtomicBool::new(was_cut),
            unsettled: AtomicBool::new(false),
            counts_case: AtomicBool::new(false),
            state: Mutex::new(State {
                users: 0,
                is_there: was_cut,
                is_durable: false,
                dir: None,
                has_ended: false,
            }),
        });
        if !was_cut && presence == Presence::OnDemand {
            return Ok(folder);
        }
        let work = folder.begin()?;
        if was_cut {
            folder.check(&work)?;
            if is_unordered {
                // The last steps of the mount that was cut may not be on disk, with nothing left to
                // see of them. The folder goes only after them.
                plain.sync_all()?;
            }
            #[cfg(feature = "native")]
            by_copy::recover(&work.site(), || plain.root())?;
            sweep::sweep(&**plain, plain.root()?, is_unordered)?;
            folder.clear(&work.dir)?;
            folder.untidy.store(false, Ordering::Relaxed);
        }
        if presence == Presence::Mounted {
            folder.state.lock().users += 1;
        }
        Ok(folder)
    }

    /// Leaves the upper in its steady state, without the folder.
    pub(super) fn end(&self) -> Result<()> {
        let mut state = self.state.lock();
        state.has_ended = true;
        if self.untidy.swap(false, Ordering::Relaxed) {
            // If this fails, the folder stays, and has the next mount try again.
            #[cfg(feature = "native")]
            if state.is_there {
                let work = self.plain.open_dir(&self.root, name())?;
                by_copy::recover(&self.site(&work), || self.plain.root())?;
            }
            sweep::sweep(&*self.plain, self.plain.root()?, self.is_unordered)?;
        }
        if self.unsettled.swap(false, Ordering::Relaxed) {
            // If this fails, the folder stays, and has the next mount look.
            self.plain.sync_all()?;
        }
        match state.is_there {
            true => self.remove(&mut state),
            false => Ok(()),
        }
    }

    /// Has the folder be there from here on, for something that a cut must not go unnoticed in.
    ///
    /// # Errors
    /// `invalid` if the mount has ended; those of the tree. Nothing was begun then.
    pub(super) fn begin(self: &Arc<Self>) -> Result<Work<P>> {
        let mut state = self.state.lock();
        if state.has_ended {
            return Err(not_mounted(&*self.plain));
        }
        let dir = match &state.dir {
            Some(dir) => Arc::clone(dir),
            None => self.make(&mut state)?,
        };
        if !self.counts_case.load(Ordering::Relaxed) {
            if let Err(error) =
                folding::check(&*self.plain, &self.root, name(), Name::checked(FOLDED))
            {
                if state.users == 0 && !self.untidy.load(Ordering::Relaxed) {
                    self.remove(&mut state)?;
                }
                return Err(error);
            }
            self.counts_case.store(true, Ordering::Relaxed);
        }
        state.users += 1;
        Ok(Work {
            folder: Arc::clone(self),
            dir,
        })
    }

    /// Finds out, once a mount, whether names that differ in case alone are two names in the upper. The
    /// folder tells, and is there for that long.
    ///
    /// # Errors
    /// `unsupported` if they are one; those of [`begin`](Self::begin).
    pub(super) fn check_case(self: &Arc<Self>) -> Result<()> {
        match self.counts_case.load(Ordering::Relaxed) {
            true => Ok(()),
            false => self.begin().map(drop),
        }
    }

    /// [`begin`](Self::begin) for a change of several steps: a crash of the machine that keeps any of
    /// them has to keep the folder too.
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

    /// Notes that the upper has to be synced before the folder goes.
    pub(super) fn note_unsettled(&self) {
        self.unsettled.store(true, Ordering::Relaxed);
    }

    /// Notes that something could not be tidied up: the folder stays until that is done.
    pub(super) fn note_untidy(&self) {
        self.untidy.store(true, Ordering::Relaxed);
    }

    /// Does `change` while the folder neither comes nor goes, which sets the root's times.
    pub(super) fn beside<T>(&self, change: impl FnOnce() -> T) -> T {
        let _state = self.state.lock();
        change()
    }

    /// Makes the folder, or takes over the one that is there.
    fn make(&self, state: &mut State<P>) -> Result<Arc<P::Dir>> {
        let times = SetTimes::of(&self.plain.meta(&self.root, None)?);
        // Nobody but the owner looks in: what is staged has not got its mode yet.
        match self.plain.create_dir(&self.root, name(), 0o700) {
            Ok(()) => self.put_back(times),
            Err(error) if error.errno() == Errno::Exist => {}
            Err(error) => return Err(error),
        }
        state.is_there = true;
        let dir = Arc::new(self.plain.open_dir(&self.root, name())?);
        state.dir = Some(Arc::clone(&dir));
        Ok(dir)
    }

    /// Removes the folder, and what is left in it.
    fn remove(&self, state: &mut State<P>) -> Result<()> {
        // If this fails, whoever comes next begins with what is there by then.
        let dir = state.dir.take();
        let times = SetTimes::of(&self.plain.meta(&self.root, None)?);
        match self.plain.remove_dir(&self.root, name()) {
            Err(error) if matches!(error.errno(), Errno::NotEmpty | Errno::Exist) => {
                let dir = match dir {
                    Some(dir) => dir,
                    None => Arc::new(self.plain.open_dir(&self.root, name())?),
                };
                self.clear(&dir)?;
                self.plain.remove_dir(&self.root, name())?;
            }
            removed => removed?,
        }
        (state.is_there, state.is_durable) = (false, false);
        self.put_back(times);
        Ok(())
    }

    /// Gives the root the times that it had, since a guest made nothing there.
    fn put_back(&self, times: SetTimes) {
        if let Err(error) = self.plain.set_times(&self.root, None, times) {
            // The folder has come or gone; a time is not worth the call.
            tracing::warn!(layer = %self.plain.label(), %error, "cannot keep the time of the root");
        }
    }

    #[cfg(feature = "native")]
    fn site<'a>(&'a self, work: &'a P::Dir) -> Site<'a, P> {
        Site {
            plain: &*self.plain,
            work,
            is_durable: self.durability == Durability::Durable,
            is_unordered: self.is_unordered,
        }
    }

    /// Fails if the folder holds what this version did not make.
    fn check(&self, work: &Work<P>) -> Result<()> {
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
                "the work folder {} holds {}, which this version did not make: mount the upper \
                 with the program that did, or remove the folder if nothing in it is needed",
                name(),
                foreign.as_name()
            ),
        )
        .in_layer(|| self.plain.label()))
    }

    /// Removes everything in the folder.
    fn clear(&self, dir: &P::Dir) -> Result<()> {
        // Names first: what a listing shows while it is cut down is not defined.
        let mut names = Vec::new();
        self.plain.list(dir, &mut |name, kind, _| {
            names.push((name.to_owned(), kind));
            ControlFlow::Continue(())
        })?;
        for (name, kind) in names {
            #[cfg(feature = "native")]
            if kind == Kind::Dir && is_by_copy(name.as_name()) {
                self.site(dir).drop_tree()?;
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

/// Whether a name in the folder is of a directory that is moved by a copy.
fn is_by_copy(name: Name<'_>) -> bool {
    #[cfg(feature = "native")]
    return by_copy::is_ours(name);
    #[cfg(not(feature = "native"))]
    {
        // A component does not move in this way, and cannot finish it for another.
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

    /// Has the names in `dir` survive a crash of the machine that keeps the next step, as
    /// [`MarkedUpper::barrier`](super::upper::MarkedUpper::barrier) does.
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
    pub(super) fn site(&self) -> Site<'_, P> {
        self.folder.site(&self.dir)
    }

    /// A number that nothing else staged in this mount has.
    pub(super) fn number(&self) -> u64 {
        self.folder.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether the mount has ended, and taken the folder along.
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
