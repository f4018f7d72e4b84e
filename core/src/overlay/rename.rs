//! `rename-at`, for files and directories, onto free names and existing ones.
//!
//! Everything that can take long or fail comes first: ordinary, invisible copy-ups without the tree lock.
//! Then, under the tree lock, all checks are repeated on the current tree, and the upper moves the name in
//! one step.

use super::Shared;
use super::by_copy::DirLevels;
use super::children::Child;
use super::copy_up::Data;
use super::dir::OverlayDir;
use super::handle::Outdating;
use super::lookup::MergedFile;
use super::node::{Node, Position};
use super::remove::{child_after_removal, over_of};
use super::resolve::{TRIES, Walked};
use crate::error::{Errno, Error, Result};
use crate::layer::erased::AnyAt;
use crate::layer::{COPIES_TREES, Leave, Over};
use crate::meta::Kind;
use crate::name::Name;
use crate::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

/// Two names, and the files that they had when they were resolved.
struct Plan<'a> {
    from: (Arc<Node>, Name<'a>),
    to: (Arc<Node>, Name<'a>),
    source: Arc<Node>,
    target: Option<Arc<Node>>,
    /// Whether one of the paths requires a directory.
    wants_dir: bool,
}

/// The result of the checks.
enum Verdict {
    Move,
    /// Two names of one file: POSIX demands that nothing happens.
    Same,
}

/// A move in progress: the position of the directory's node may differ from that on disk.
struct Moving<'a>(&'a AtomicU64);

impl<'a> Moving<'a> {
    fn new(moves: &'a AtomicU64) -> Self {
        moves.fetch_add(1, Ordering::SeqCst);
        Self(moves)
    }
}

impl Drop for Moving<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl OverlayDir {
    pub(crate) fn rename_at(&self, path: &str, new_dir: &Self, new_path: &str) -> Result<()> {
        self.check_same_mount(new_dir)?;
        let shared = &self.shared;
        let read_only = self.read_only || new_dir.read_only;
        let mut tries = TRIES;
        loop {
            let (old, new) = shared.resolve_both((&self.node, path), (&new_dir.node, new_path))?;
            tries -= 1;
            match shared.rename(&old, &new, read_only) {
                Ok(true) => return Ok(()),
                Ok(false) if tries == 0 => {
                    let message = "the names moved at every attempt to rename them";
                    return Err(Error::new(Errno::Busy, message));
                }
                // Another call moved the names, or replaced or removed their files.
                Ok(false) => {}
                Err(error) if error.is_not_found() && old.found().is_some() && tries > 0 => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Shared {
    /// Renames what two paths led to; returns whether it was still as they were walked.
    fn rename(&self, old: &Walked, new: &Walked, read_only: bool) -> Result<bool> {
        let plan = self.plan(old, new)?;
        let verdict = check(&plan)?;
        if let (Verdict::Move, Some(target)) = (&verdict, &plan.target)
            && target.kind == Kind::Dir
            && !self.is_empty(target)?
        {
            return Err(Errno::NotEmpty.into());
        }
        if read_only {
            return Err(self.refused_change());
        }
        if let Verdict::Same = verdict {
            return Ok(true);
        }
        if plan.to.1.is_reserved() {
            let message = format_args!(
                "{}: names that begin with .wh. are the overlay's own",
                plan.to.1
            );
            return Err(Error::new(Errno::NotPermitted, message));
        }
        self.check_may_change_names(&plan.from.0)?;
        self.check_may_change_names(&plan.to.0)?;
        if plan.source.kind == Kind::Dir && !Arc::ptr_eq(&plan.from.0, &plan.to.0) {
            // The move changes `..`, which is a name in the directory, too.
            self.check_owner_may(&plan.source, 0o200)?;
        }
        self.check_depth_of_move(&plan.source, &plan.from.0, &plan.to.0)?;
        if plan.source.kind == Kind::Dir && !self.is_ephemeral {
            self.copy_up_whole(&plan.source)?;
        } else {
            self.copy_up(&plan.source, Data::Keep)?;
        }
        self.copy_up(&plan.to.0, Data::Keep)?;
        self.commit(&plan)
    }

    fn plan<'a>(&self, old: &'a Walked, new: &'a Walked) -> Result<Plan<'a>> {
        let (Some(from), Some(to)) = (old.name(), new.name()) else {
            return Err(Error::because(
                Errno::Busy,
                || "a path ends in `.` or `..`, which cannot be moved",
            ));
        };
        let source = old.existing_of_any_kind()?;
        new.check_reachable()?;
        if !source.is_dir() && (old.wants_dir || new.wants_dir) {
            return Err(old.not_directory());
        }
        Ok(Plan {
            from: (self.materialize(old.parents())?, from),
            to: (self.materialize(new.parents())?, to),
            source: self.materialize(old.trail())?,
            target: match new.found() {
                Some(_) => Some(self.materialize(new.trail())?),
                None => None,
            },
            wants_dir: old.wants_dir || new.wants_dir,
        })
    }

    /// Copies up a directory and everything below it, in a loop. A directory that is entirely in the upper
    /// stays so: lower layers do not change, and whatever is moved into it is entirely in the upper, too.
    fn copy_up_whole(&self, dir: &Arc<Node>) -> Result<()> {
        let mut dirs = Vec::new();
        if !self.copy_up_dir(dir)? {
            dirs.push(Arc::clone(dir));
        }
        while let Some(dir) = dirs.pop() {
            if dir.below().is_none() {
                continue;
            }
            let listing = match self.list_for_change(&dir) {
                Err(error) if error.is_not_found() => continue,
                listing => listing?,
            };
            let pos = MergedFile::from_node(dir);
            for entry in listing.iter() {
                // Each copy has a node, and one call may make as many nodes as the layers have files.
                self.sweep_if_large()?;
                dirs.extend(self.copy_up_entry(&pos, entry.name)?);
            }
            if self.keeps_no_order
                && let MergedFile::Node(dir) = &pos
            {
                // At its new name the directory has no lower part to show what a crash of the machine lost.
                self.sync_names(dir)?;
            }
        }
        Ok(())
    }

    /// Copies up a directory. Returns whether everything below it was copied, too.
    fn copy_up_dir(&self, dir: &Arc<Node>) -> Result<bool> {
        if COPIES_TREES && self.copy_up_tree(dir)? {
            return Ok(true);
        }
        self.copy_up(dir, Data::Keep)?;
        Ok(false)
    }

    /// Copies up `name` in `dir`, unless it was removed meanwhile. An error `no-entry` does not prove a
    /// removal, so it is retried: a file that is left out here would be lost. Returns a directory if not
    /// everything below it was copied.
    fn copy_up_entry(&self, dir: &MergedFile<'_>, name: Name<'_>) -> Result<Option<Arc<Node>>> {
        for _ in 0..TRIES {
            let Some(child) = self.lookup(dir, name)? else {
                return Ok(None);
            };
            let copy_up = |child: Arc<Node>| match child.kind {
                Kind::Dir => Ok((!self.copy_up_dir(&child)?).then_some(child)),
                _ => self.copy_up(&child, Data::Keep).map(|_| None),
            };
            let copied = self.materialize(&[dir.clone(), child]).and_then(copy_up);
            match copied {
                Err(error) if error.is_not_found() => {}
                copied => return copied,
            }
        }
        let message = format_args!("{name} moved at every attempt to copy it up");
        Err(Error::new(Errno::Busy, message))
    }

    /// Moves the name, if nothing changed since the plan was made. Returns whether it moved the name.
    fn commit(&self, plan: &Plan<'_>) -> Result<bool> {
        let Plan {
            from: (old_dir, old_name),
            to: (new_dir, new_name),
            source,
            target,
            ..
        } = plan;
        let _tree = self.tree.write();
        let upper = self.upper()?;
        let _old_names = old_dir.dir()?.names.write();
        let _new_names = if Arc::ptr_eq(old_dir, new_dir) {
            None
        } else {
            Some(new_dir.dir()?.names.write())
        };
        old_dir.check_not_removed()?;
        new_dir.check_not_removed()?;
        if !is_node(self.lookup_locked(old_dir, *old_name)?, Some(source))
            || !is_node(self.lookup_locked(new_dir, *new_name)?, target.as_ref())
        {
            return Ok(false);
        }
        if let Verdict::Same = check(plan)? {
            return Ok(true);
        }
        self.check_depth_of_move(source, old_dir, new_dir)?;
        let inside = target.as_ref().and_then(|target| target.dir.as_ref());
        let _inside = inside.map(|dir| dir.names.write());
        // Making the directory opaque restores its times afterwards, so no call may set them meanwhile.
        let _moved = source.dir.as_ref().map(|dir| dir.names.write());
        let mut last = None;
        if let Some(target) = target {
            if target.kind == Kind::Dir && !self.is_empty_locked(target)? {
                return Err(Errno::NotEmpty.into());
            }
            last = Some(self.meta_before_removal(target, new_dir, *new_name)?);
        }
        let over = match target {
            Some(target) => over_of(target),
            None if self.has_whiteout_locked(new_dir, *new_name)? => Over::Whiteout,
            None => Over::Nothing,
        };
        let leave = if self.exists_below(old_dir, *old_name)? {
            Leave::Whiteout
        } else {
            Leave::Nothing
        };
        let hides = matches!(over, Over::Whiteout | Over::EmptyDir)
            || self.exists_below(new_dir, *new_name)?;
        if source.kind == Kind::Dir && hides {
            upper.set_opaque(&*source.handle(self)?)?;
            source.dir()?.unsynced.mark();
        }
        if self.keeps_no_order {
            // Otherwise a crash of the machine could keep the whiteout but lose the earlier creation of the
            // entry that it replaces: the entry would be gone although the rename did not happen.
            if leave == Leave::Whiteout {
                self.sync_names(old_dir)?;
            }
            if over == Over::EmptyDir {
                self.sync_names(new_dir)?;
            }
        }
        let (old_handle, new_handle) = (old_dir.handle(self)?, new_dir.handle(self)?);
        let from = AnyAt {
            dir: &old_handle,
            name: *old_name,
        };
        let to = AnyAt {
            dir: &new_handle,
            name: *new_name,
        };
        let moving = (source.kind == Kind::Dir).then(|| Moving::new(&self.moves));
        // All paths below it change, and its new path may have been that of another directory.
        let outdating = (source.kind == Kind::Dir && !upper.handles_follow_rename())
            .then(|| Outdating::new(self));
        let renamed = upper.rename(from, to, over, leave);
        drop(outdating);
        let (moving, renamed) = match renamed {
            Err(error)
                if COPIES_TREES && moving.is_some() && error.errno() == Errno::CrossDevice =>
            {
                // A thread that waits for the end of a move may hold one of the locks that follow.
                drop(moving);
                let levels = DirLevels::of(source);
                let _locks = levels.lock();
                let moving = Some(Moving::new(&self.moves));
                let renamed = self.rename_by_copy(upper, (from, to), (over, leave), &levels);
                (moving, renamed)
            }
            renamed => (moving, renamed),
        };
        let _moving = moving;
        // A concurrent `stat` may have seen the times of steps that were undone.
        renamed.inspect_err(|_| {
            old_dir.touch();
            new_dir.touch();
        })?;
        if source.kind == Kind::Dir && !self.is_ephemeral {
            detach_tree_from_lower(source);
        }
        // The new name first, so that a walk always finds the file under one of them.
        let moved = Child::Node(Arc::clone(source));
        self.set_child_locked(new_dir, *new_name, Some(moved));
        self.set_child_locked(old_dir, *old_name, child_after_removal(leave));
        source.set_position(Position::At(Arc::clone(new_dir), Name::to_owned(*new_name)));
        if let (Some(target), Some(last)) = (target, last) {
            self.link_removed(target, last);
        }
        source.touch();
        old_dir.names_changed();
        new_dir.names_changed();
        Ok(true)
    }
}

/// POSIX's rules, in the order in which Linux applies them.
fn check(plan: &Plan<'_>) -> Result<Verdict> {
    let Plan {
        from: (old_dir, _),
        to: (new_dir, _),
        source,
        target,
        wants_dir,
    } = plan;
    let is_dir = source.kind == Kind::Dir;
    if !is_dir && *wants_dir {
        return Err(Errno::NotDirectory.into());
    }
    if is_dir && is_above(source, new_dir) {
        return Err(Error::because(
            Errno::Invalid,
            || "a directory cannot be moved into itself",
        ));
    }
    let Some(target) = target else {
        return Ok(Verdict::Move);
    };
    if is_above(target, old_dir) {
        return Err(Errno::NotEmpty.into());
    }
    if Arc::ptr_eq(source, target) {
        return Ok(Verdict::Same);
    }
    match (is_dir, target.kind == Kind::Dir) {
        (true, false) => Err(Errno::NotDirectory.into()),
        (false, true) => Err(Errno::IsDirectory.into()),
        (true, true) | (false, false) => Ok(Verdict::Move),
    }
}

/// Whether `above` is `node` or one of the directories above it.
fn is_above(above: &Arc<Node>, node: &Arc<Node>) -> bool {
    let mut node = Arc::clone(node);
    loop {
        if Arc::ptr_eq(above, &node) {
            return true;
        }
        match node.above() {
            Some(parent) => node = parent,
            None => return false,
        }
    }
}

fn is_node(pos: Option<MergedFile<'_>>, node: Option<&Arc<Node>>) -> bool {
    match (pos, node) {
        (Some(MergedFile::Node(found)), Some(node)) => Arc::ptr_eq(&found, node),
        (None, None) => true,
        (Some(_), _) | (None, Some(_)) => false,
    }
}

/// Detaches a moved directory, and all directories below it, from their lower parts. All of those are
/// in the upper or were removed, so only [`Shared::exists_below`] changes its answer.
///
/// Below a detached directory all directories are detached, so each tree is walked once, however often it
/// is moved.
fn detach_tree_from_lower(dir: &Arc<Node>) {
    let mut dirs = vec![Arc::clone(dir)];
    while let Some(dir) = dirs.pop() {
        if dir.below().is_none() {
            continue;
        }
        dir.detach_lower_locked();
        let Some(state) = &dir.dir else { continue };
        let children = state.children.read();
        dirs.extend(children.upper_dirs().cloned());
    }
}
