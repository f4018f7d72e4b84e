//! Copy-up: copies a file of a lower layer to the upper, without a change that a guest can see.
//!
//! ```text
//!   1. stage      the whole copy, where no reader sees it          copy lock of the file
//!   2. ancestors  that are not in the upper yet, outermost first   copy lock of each
//!   3. publish    rename to its name, the directory's times kept   tree shared, directory exclusive
//!   4. switch     files opened before continue with the copy
//! ```
//! A call that fails before step 3 has made no visible change, and has removed what it staged.

use super::Shared;
use super::children::Child;
use super::copy_data::copy_data;
use super::node::Node;
use crate::error::{Errno, Error, Result};
use crate::layer::erased::{AnyAt, AnyUpper, StagedHandle};
use crate::layer::{Attributes, New, Over, WriteAt, XattrNames};
use crate::log;
use crate::meta::{Kind, Meta, SET_ID, SetTime};
use crate::stack::LowerNode;
use crate::sync::atomic::Ordering;
use std::sync::Arc;

/// What a copy-up does with the data of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Data {
    /// Copy it.
    Keep,
    /// Leave it out, since the call truncates the file. The modification time of the copy is now.
    Drop,
}

/// A staged copy.
pub(super) struct Copy {
    pub(super) staged: StagedHandle,
    /// The result of [`set_attributes`]. Read before the copy is published: from then on the node needs it.
    pub(super) meta: Meta,
}

impl Shared {
    /// Copies `node` up, unless it is in the upper. Returns the open copy of a regular file, if this call
    /// made it.
    ///
    /// # Errors
    /// `no-entry` if the file was removed; `unsupported` for anything but a file, directory or symbolic
    /// link; any error returned by a layer.
    pub(super) fn copy_up(&self, node: &Arc<Node>, data: Data) -> Result<Option<Arc<dyn WriteAt>>> {
        if node.upper.get().is_some() {
            return Ok(None);
        }
        let _changing = self.begin_change()?;
        let _copying = node.copying.lock();
        if node.upper.get().is_some() {
            return Ok(None);
        }
        let staged = match self.stage_copy(node, data) {
            // Another thread copied it up with its directory, and it may have moved since.
            Err(_) if node.upper.get().is_some() => return Ok(None),
            staged => staged?,
        };
        self.copy_up_above(node)?;
        self.publish_copy(node, staged)
    }

    /// Copies up the directories above `node` that are not in the upper yet.
    pub(super) fn copy_up_above(&self, node: &Arc<Node>) -> Result<()> {
        let mut missing = Vec::new();
        let mut above = node.above();
        while let Some(ancestor) = above {
            if ancestor.upper.get().is_some() {
                break;
            }
            above = ancestor.above();
            missing.push(ancestor);
        }
        while let Some(ancestor) = missing.pop() {
            let _copying = ancestor.copying.lock();
            if ancestor.upper.get().is_none() {
                let staged = match self.stage_copy(&ancestor, Data::Keep) {
                    Err(_) if ancestor.upper.get().is_some() => continue,
                    staged => staged?,
                };
                self.publish_copy(&ancestor, staged)?;
            }
        }
        Ok(())
    }

    /// Preconditions: the copy lock of `node` is held, and it is not in the upper.
    fn stage_copy(&self, node: &Arc<Node>, data: Data) -> Result<Copy> {
        let staged = self.try_stage_copy(node, data);
        // If the mount ended meanwhile, `unmount` removed what was staged: report that instead.
        staged.map_err(|error| self.upper().err().unwrap_or(error))
    }

    fn try_stage_copy(&self, node: &Arc<Node>, data: Data) -> Result<Copy> {
        let upper = self.upper()?;
        let lower = node.below().ok_or(Errno::Io)?;
        let mut xattrs = None;
        let staged = match node.kind {
            Kind::Dir => upper.stage(New::Dir { opaque: false })?,
            Kind::Symlink => upper.stage(New::Symlink(lower.target(&self.stack)?))?,
            Kind::File => {
                let staged = upper.stage(New::File)?;
                if data == Data::Keep {
                    let _copying = (lower.meta().size >= log::LARGE_FILE_BYTES).then(|| {
                        log::copy_up_span(|| super::path_of(node), Some(lower.meta().size))
                    });
                    let to = upper.staged_file(&staged).ok_or(Errno::Io)?;
                    let from = lower.open_by(&self.stack, &mut |layer, dir, name| {
                        let (file, names) = layer.open_to_copy(dir, name)?;
                        xattrs = Some(names);
                        Ok(file)
                    })?;
                    copy_data(&lower.meta(), from.as_file(), to)?;
                }
                staged
            }
            Kind::Fifo | Kind::Socket | Kind::CharDevice | Kind::BlockDevice => {
                return Err(never_copied());
            }
        };
        let meta = set_attributes(upper, &staged, self.attributes(lower, data, xattrs)?)?;
        if let (true, Some(file)) = (self.syncs_copies, upper.staged_file(&staged)) {
            file.sync(false)?;
        }
        Ok(Copy { staged, meta })
    }

    /// Gives a staged directory the attributes of its original.
    pub(super) fn with_attributes(
        &self,
        lower: &Arc<LowerNode>,
        staged: StagedHandle,
    ) -> Result<Copy> {
        let attributes = self.attributes(lower, Data::Keep, None)?;
        let meta = set_attributes(self.upper()?, &staged, attributes)?;
        Ok(Copy { staged, meta })
    }

    /// The attributes of `lower` that a copy gets. `names` are those of the extended attributes, if they
    /// were read already.
    pub(super) fn attributes(
        &self,
        lower: &Arc<LowerNode>,
        data: Data,
        names: Option<XattrNames>,
    ) -> Result<Attributes> {
        let mut attributes = lower.attributes(&self.stack, names)?;
        if data == Data::Drop {
            // As for any change of data.
            attributes.times.modified = SetTime::Now;
            attributes.revoke_rights();
        }
        Ok(attributes)
    }

    /// Preconditions: the copy lock of `node` is held; its parent is in the upper.
    fn publish_copy(&self, node: &Arc<Node>, copy: Copy) -> Result<Option<Arc<dyn WriteAt>>> {
        let _tree = self.tree.read();
        if node.upper.get().is_some() {
            // Another thread copied it up with its directory.
            return Ok(None);
        }
        self.publish_locked(node, copy)
    }

    /// Publishes a copy under the name of its original, and switches the node to it.
    ///
    /// Preconditions: the copy lock of `node` and the tree lock are held, and it is not in the upper; its
    /// parent is.
    pub(super) fn publish_locked(
        &self,
        node: &Arc<Node>,
        Copy { staged, meta }: Copy,
    ) -> Result<Option<Arc<dyn WriteAt>>> {
        let upper = self.upper()?;
        // A file must be copied up before it can be moved, so the position of one that is only in a lower
        // layer can change in one way: the file is removed.
        let (parent, name) = node.parent().ok_or(Errno::NoEntry)?;
        let dir = parent.dir()?;
        let _names = dir.names.write();
        if node.is_removed() || parent.is_removed() {
            return Err(Errno::NoEntry.into());
        }
        let handle = parent.handle(self)?;
        let above = self.meta_of(&parent, None)?;
        let at = AnyAt {
            dir: &handle,
            name: name.as_name(),
        };
        let file = upper.publish(staged, at, Over::Nothing, true)?;
        // A concurrent `stat` of the directory may have seen and cached the time that publishing set.
        let version = parent.version.fetch_add(1, Ordering::Release) + 1;
        parent.cache_meta(version, above);
        let lower_links = node.below().map_or(1, |lower| lower.meta().links);
        if node.kind == Kind::Dir || lower_links < 2 {
            self.origins
                .lock()
                .insert((meta.device, meta.inode), node.first_seen(self));
        } else {
            // Its other names continue to show the lower file, so the copy is another file from here on.
            dir.listing.clear();
        }
        if let Some(dir) = &node.dir {
            dir.children.write().complete = true;
            dir.unsynced.mark();
        }
        // Before `upper` is set: a thread that sees it set may change the file, and then looks the name up.
        dir.children
            .write()
            .map
            .insert(name, Child::Node(Arc::clone(node)));
        let part = self.upper_part((meta.device, meta.inode));
        {
            let mut state = node.state.lock();
            if state.opens > 0 {
                state.copied = file.clone();
            }
            // The times in `meta` may be outdated, so it is cached for the version before `touch`. No
            // thread that sees the node in the upper sees that version.
            state.set_meta(node.version.load(Ordering::Acquire), meta);
            node.touch();
            if node.upper.set(part).is_err() {
                debug_assert!(false, "the copy lock admits one");
            }
        }
        dir.unsynced.mark();
        self.count_names(1);
        Ok(file)
    }
}

/// The error of a copy-up of anything but a file, directory or symbolic link.
pub(super) fn never_copied() -> Error {
    let message = "a fifo, socket or device cannot be copied to the upper";
    Error::new(Errno::Unsupported, message)
}

/// Sets the attributes of a copy, except an owner and mode that it already has. Returns its metadata;
/// the times there, and an inode number that is a hash of them, may be outdated.
fn set_attributes(
    upper: &dyn AnyUpper,
    staged: &StagedHandle,
    attributes: Attributes,
) -> Result<Meta> {
    let has_neither = attributes.owner.is_none() && attributes.mode.is_none();
    if has_neither {
        // Read last, since on a platform without modes the inode number may be a hash of the times.
        upper.set_attributes(staged, &attributes)?;
        return upper.staged_meta(staged);
    }
    let mut meta = upper.staged_meta(staged)?;
    let mode = attributes.mode;
    upper.set_attributes(staged, &attributes.remaining_after(&meta))?;
    meta.mode = match mode {
        // Not every process may set these bits, or the owner whose rights they give.
        Some(mode) if mode & SET_ID != 0 => upper.staged_meta(staged)?.mode,
        mode => mode.or(meta.mode),
    };
    Ok(meta)
}
