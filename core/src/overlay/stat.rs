//! `stat` and identity of files, and changes of their times.

use super::Shared;
use super::children::At;
use super::copy_up::Data;
use super::dir::OverlayDir;
use super::lookup::MergedFile;
use super::node::Node;
use super::resolve::Last;
use crate::at_once;
use crate::error::{Errno, Result};
use crate::layer::erased::{AnyUpper, DirHandle};
use crate::layer::{COPIES_TREES, Found};
use crate::meta::{Identity, Kind, Meta, SetTime, SetTimes, Stat, Timestamp};
use crate::name::Name;
use crate::stack::LowerNode;
use crate::sync::atomic::Ordering;
use std::sync::Arc;

/// The metadata of a file as guests see it.
pub(super) fn stat_of(meta: &Meta) -> Stat {
    Stat {
        kind: meta.kind,
        size: meta.size,
        // A merged count would mislead `find`, which computes a number of subdirectories from it.
        links: if meta.kind == Kind::Dir {
            1
        } else {
            meta.links
        },
        accessed: meta.accessed,
        modified: meta.modified,
        changed: meta.changed,
    }
}

/// Metadata that a query can return; only what is requested is computed.
pub(super) trait Query: Sized {
    /// The metadata of a file that is only in lower layers.
    fn of_lower(shared: &Shared, lower: &LowerNode) -> Self;

    /// The metadata of a file with a node. `at` is where the node was found, if that is known.
    ///
    /// # Errors
    /// Any error returned by the upper.
    fn of_node(shared: &Shared, node: &Arc<Node>, at: Option<At<'_>>) -> Result<Self>;
}

impl Query for Stat {
    fn of_lower(_: &Shared, lower: &LowerNode) -> Self {
        stat_of(&lower.meta())
    }

    fn of_node(shared: &Shared, node: &Arc<Node>, at: Option<At<'_>>) -> Result<Self> {
        Ok(stat_of(&shared.meta_of(node, at)?))
    }
}

#[cfg(feature = "native")]
impl Query for Meta {
    fn of_lower(_: &Shared, lower: &LowerNode) -> Self {
        lower.meta()
    }

    fn of_node(shared: &Shared, node: &Arc<Node>, at: Option<At<'_>>) -> Result<Self> {
        shared.meta_of(node, at)
    }
}

impl Query for Identity {
    fn of_lower(shared: &Shared, lower: &LowerNode) -> Self {
        shared.identity_of_lower(lower)
    }

    fn of_node(shared: &Shared, node: &Arc<Node>, _: Option<At<'_>>) -> Result<Self> {
        Ok(node.identity(shared))
    }
}

impl<A: Query, B: Query> Query for (A, B) {
    fn of_lower(shared: &Shared, lower: &LowerNode) -> Self {
        (A::of_lower(shared, lower), B::of_lower(shared, lower))
    }

    fn of_node(shared: &Shared, node: &Arc<Node>, at: Option<At<'_>>) -> Result<Self> {
        Ok((A::of_node(shared, node, at)?, B::of_node(shared, node, at)?))
    }
}

impl OverlayDir {
    pub(crate) fn stat_at(&self, path: &str, follow: bool) -> Result<Stat> {
        self.query_at(path, follow)
    }

    #[cfg(feature = "native")]
    pub(crate) fn meta_at(&self, path: &str, follow: bool) -> Result<Meta> {
        self.query_at(path, follow)
    }

    pub(crate) fn identity_at(&self, path: &str, follow: bool) -> Result<Identity> {
        self.query_at(path, follow)
    }

    pub(crate) fn stat_and_identity_at(
        &self,
        path: &str,
        follow: bool,
    ) -> Result<(Stat, Identity)> {
        self.query_at(path, follow)
    }

    fn query_at<T: Query>(&self, path: &str, follow: bool) -> Result<T> {
        let shared = &self.shared;
        let answer = shared.fast_walk(&self.node, path, |walked| match walked {
            Some((file, at)) => match shared.query(&file, at) {
                // The node may have lost its name since: `resolve` finds what has the name now.
                Err(error) if error.is_not_found() => None,
                answer => Some(answer),
            },
            None => Some(Err(Errno::NoEntry.into())),
        })?;
        let resolve = || {
            shared.at_path(&self.node, path, Last::of(follow), |walked| {
                shared.query(walked.existing()?, walked.at())
            })
        };
        answer.flatten().unwrap_or_else(resolve)
    }

    pub(crate) fn stat(&self) -> Result<Stat> {
        Stat::of_node(&self.shared, &self.node, None)
    }

    pub(crate) fn identity(&self) -> Result<Identity> {
        Ok(self.node.identity(&self.shared))
    }

    pub(crate) fn set_times_at(&self, path: &str, follow: bool, times: SetTimes) -> Result<()> {
        let shared = &self.shared;
        shared.at_path(&self.node, path, Last::of(follow), |walked| {
            walked.existing()?;
            if times.is_noop() {
                return Ok(());
            }
            if self.read_only {
                return Err(shared.refused_change());
            }
            times.check()?;
            let node = shared.materialize(walked.trail())?;
            shared.copy_up(&node, Data::Keep)?;
            let name = match (node.kind, walked.name()) {
                (Kind::Dir, _) => return shared.set_times_of_dir(&node, times),
                (_, name) => name.ok_or(Errno::NoEntry)?,
            };
            let dir = shared.materialize(walked.parents())?;
            let _changing = shared.begin_change()?;
            shared.at_name(&node, (&dir, name), |upper, dir| {
                upper.set_times(dir, Some(name), times)
            })?;
            node.touch();
            Ok(())
        })
    }

    pub(crate) fn set_times(&self, times: SetTimes) -> Result<()> {
        if times.is_noop() {
            return Ok(());
        }
        if self.read_only {
            return Err(self.shared.refused_change());
        }
        times.check()?;
        if self.node.is_removed() {
            set_ghost_times(&self.node, times, self.shared.clock);
            return Ok(());
        }
        self.shared.copy_up(&self.node, Data::Keep)?;
        self.shared.set_times_of_dir(&self.node, times)
    }
}

impl Shared {
    fn query<T: Query>(&self, file: &MergedFile<'_>, at: Option<At<'_>>) -> Result<T> {
        match file {
            MergedFile::Lower(lower) => Ok(T::of_lower(self, lower)),
            MergedFile::Node(node) => T::of_node(self, node, at),
        }
    }

    /// The metadata of a node. `at` is where it was found, if that is known: if a file has several names,
    /// the one in `position` may have been removed.
    pub(super) fn meta_of(&self, node: &Arc<Node>, at: Option<At<'_>>) -> Result<Meta> {
        // A directory that was copied up and moved meanwhile no longer merges with its lower part.
        if node.upper.get().is_none()
            && let Some(meta) = lower_meta(node)
        {
            return Ok(meta);
        }
        let version = node.version.load(Ordering::Acquire);
        if let Some((of, meta)) = self.cached_meta(node)
            && (of == version || node.is_removed())
        {
            return Ok(meta);
        }
        let meta = self.read_meta(node, at)?;
        node.cache_meta(version, meta);
        Ok(meta)
    }

    /// The cached metadata of a node in the upper, and the version of the node when it was read.
    pub(super) fn cached_meta(&self, node: &Node) -> Option<(u64, Meta)> {
        // Only calls on this overlay change names, so native handles do not outdate metadata of directories.
        if node.kind != Kind::Dir && self.written_past.load(Ordering::Acquire) {
            return None;
        }
        node.state.lock().meta()
    }

    fn read_meta(&self, node: &Arc<Node>, at: Option<At<'_>>) -> Result<Meta> {
        self.at_rest(|| {
            if node.kind == Kind::Dir {
                match node.handle(self) {
                    Ok(handle) => return self.upper_to_read()?.dir_meta(&handle),
                    // A mount point cannot be entered; its name still has metadata.
                    Err(error) if error.errno() == Errno::NotPermitted => {}
                    Err(error) => return Err(error),
                }
            }
            self.at_any_name(node, at, find_meta)
        })
    }

    /// Reads metadata, and reads it again if a move by copying was in progress: such a move gives files a
    /// second name for a while, and empties the directories that it copied, which changes their times.
    pub(super) fn at_rest(&self, read: impl Fn() -> Result<Meta>) -> Result<Meta> {
        if !COPIES_TREES {
            return read(); // There are no such moves.
        }
        let epoch = self.epochs.now();
        let meta = read();
        if epoch.is_quiet() && epoch == self.epochs.now() {
            return meta;
        }
        let _tree = at_once::read(&self.tree)?;
        read()
    }

    /// Sets the times of a directory in the upper. Waits while something is published in it or it is made
    /// opaque, since those restore the times that the directory had before.
    pub(super) fn set_times_of_dir(&self, node: &Arc<Node>, times: SetTimes) -> Result<()> {
        let _tree = self.tree.read();
        let dir = node.dir()?;
        let _names = dir.names.read();
        self.upper()?.set_times(&*node.handle(self)?, None, times)?;
        dir.unsynced.mark();
        node.touch();
        Ok(())
    }
}

/// The metadata of the file that the upper has under a name.
pub(super) fn find_meta(upper: &dyn AnyUpper, dir: &DirHandle, name: Name<'_>) -> Result<Meta> {
    match upper.find(dir, name)? {
        Found::Here { meta, .. } => Ok(meta),
        Found::Hidden | Found::Absent => Err(Errno::NoEntry.into()),
    }
}

/// The metadata that a node has while it is only in lower layers. None if it no longer merges with those.
pub(super) fn lower_meta(node: &Node) -> Option<Meta> {
    let mut meta = node.below()?.meta();
    apply_ghost_times(node, &mut meta);
    Some(meta)
}

/// Applies times that were [set](set_ghost_times) after the file was removed.
pub(super) fn apply_ghost_times(node: &Node, meta: &mut Meta) {
    if node.is_removed()
        && let Some(ghost) = &node.state.lock().ghost_times
    {
        apply(meta, **ghost);
    }
}

/// Sets the times of a removed file that no layer can change: they are kept with the node, and end with
/// its handles.
pub(super) fn set_ghost_times(node: &Node, times: SetTimes, clock: fn() -> Timestamp) {
    debug_assert!(node.is_removed());
    let now = clock();
    let fixed = |time| match time {
        SetTime::Now => SetTime::To(now),
        SetTime::Keep | SetTime::To(_) => time,
    };
    let times = SetTimes {
        accessed: fixed(times.accessed),
        modified: fixed(times.modified),
    };
    let mut state = node.state.lock();
    if let Some((version, mut meta)) = state.meta() {
        apply(&mut meta, times);
        state.set_meta(version, meta);
    }
    let kept = state.ghost_times.get_or_insert_default();
    if times.accessed != SetTime::Keep {
        kept.accessed = times.accessed;
    }
    if times.modified != SetTime::Keep {
        kept.modified = times.modified;
    }
}

fn apply(meta: &mut Meta, times: SetTimes) {
    for (time, set) in [
        (&mut meta.accessed, times.accessed),
        (&mut meta.modified, times.modified),
    ] {
        if let SetTime::To(to) = set {
            *time = to;
        }
    }
}
