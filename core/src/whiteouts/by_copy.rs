//! Rename by a copy, for a directory that the storage cannot rename.
//!
//! The kernel's overlayfs fails with `cross-device` for a directory of a lower layer. So the engine
//! rebuilds the directory in the work folder: it creates directories, and gives everything else a second
//! name there (a hard link), so that no data is copied and files keep their identity.
//!
//! ```text
//!   copied       upper/a/f              upper/.wh..wh.work/TREE/f
//!   recorded     upper/a/f              upper/.wh..wh.work/TREE/f   RECORD: "a"
//!   removed                             upper/.wh..wh.work/TREE/f   RECORD: "a"
//!   published    upper/b/f   ●                                      RECORD: "a"
//!   done         upper/b/f
//! ```
//! The rename out of the work folder is the step at which the call happens. As long as both the tree and
//! the record are in the work folder, it has not happened: missing entries of `a` are linked back from the
//! tree, at once after a failure and at the next mount after a crash ([`recover`]). A tree without a
//! record is dropped, since then nothing of `a` was removed.
//!
//! No other thread may read the directory meanwhile.

use super::attributes::CopyTarget;
use super::kernel::is_never_copied;
use super::prepare::Prepared;
use super::removal::{self, OWNER_ALL, each};
use super::staging::VERSION;
use super::upper::MarkedUpper;
use super::work::{OpenFolder, Work};
use super::{grant, oci};
use crate::error::{Errno, Error, Result};
use crate::hash::HashMap;
use crate::layer::{At, Attributes, Leave, Over, ReadAt, Renumbered, WriteAt};
use crate::meta::{Kind, Meta, SetTimes};
use crate::name::{Name, NameBuf};
use crate::plain::{Access, Plain};
use crate::walk::{self, Visitor};

/// The name of the copy. A version that does not know these names refuses the upper, since it would
/// otherwise drop them.
const TREE: &[u8] = b"wasi-overlay-2-tree";
/// The name of the record: the path of the directory that is removed, each component followed by a NUL.
const RECORD: &[u8] = b"wasi-overlay-2-record";

/// The name of a folder with a link to each file of which the storage would make several files if each of its
/// names were linked. This happens on the kernel's overlayfs, with files that have several names in a lower
/// layer. It holds the first link of each file, named by the file's number.
const SHARED: &[u8] = b"wasi-overlay-2-shared";

fn tree() -> Name<'static> {
    Name::checked(TREE)
}

fn shared() -> Name<'static> {
    Name::checked(SHARED)
}

fn record() -> Name<'static> {
    Name::checked(RECORD)
}

/// Whether a name in the work folder is one of these three.
pub(super) fn is_reserved(name: Name<'_>) -> bool {
    matches!(name.as_bytes(), TREE | RECORD | SHARED)
}

impl<P: Plain> MarkedUpper<P> {
    /// As [`Upper::rename_by_copy`](crate::layer::Upper::rename_by_copy), once everything is prepared.
    pub(super) fn copy_and_remove(
        &self,
        work: &Work<P>,
        from: At<'_, P::Dir>,
        to: At<'_, P::Dir>,
        path: &[NameBuf],
    ) -> Result<Vec<Renumbered>> {
        let folder = work.open_folder();
        let times = self.times_of(from)?;
        let staged = folder
            .copy((from.dir, from.name), (folder.work, tree()), false)
            .and_then(|renumbered| folder.write_record(work, path).map(|()| renumbered));
        let renumbered = match staged {
            Ok(renumbered) => renumbered,
            Err(error) => {
                // The record first: with a record, the tree would count as complete.
                let dropped = folder.drop_record().and_then(|()| folder.drop_tree());
                if dropped.is_err() {
                    self.half_moved.set();
                }
                self.log_cleanup_error(from.name, dropped);
                return Err(cannot_copy(error));
            }
        };
        let moved = removal::remove(self.plain(), from.dir, from.name)
            .and_then(|()| folder.barrier(from.dir))
            .and_then(|()| folder.publish(to.dir, to.name));
        if let Err(error) = moved {
            let restored = folder.restore(from.dir, from.name).and_then(|()| {
                self.plain().set_times(from.dir, None, times)?;
                folder.drop_record()?;
                folder.drop_tree()
            });
            if restored.is_err() {
                self.half_moved.set();
            }
            self.log_cleanup_error(from.name, restored);
            return Err(error);
        }
        // Without the record, losing the new name would lose the tree.
        let dropped = folder.barrier(to.dir).and_then(|()| folder.drop_record());
        self.log_cleanup_error(to.name, dropped);
        Ok(renumbered)
    }

    /// [`Upper::rename_by_copy`](crate::layer::Upper::rename_by_copy).
    pub(super) fn move_by_copy(
        &self,
        from: At<'_, P::Dir>,
        to: At<'_, P::Dir>,
        (over, leave): (Over, Leave),
        path: &[NameBuf],
    ) -> Result<Vec<Renumbered>> {
        let work = self.begin_change()?;
        work.open_folder().drop_tree()?;
        let mut prepared = Prepared {
            target: None,
            opaque: None,
            source: None,
        };
        let moved = self
            .prepare_rename(&mut prepared, from, to, over, leave)
            // ●
            .and_then(|()| self.copy_and_remove(&work, from, to, path));
        match moved {
            Ok(renumbered) => {
                self.after_rename(&prepared, from, to, (over, leave));
                Ok(renumbered)
            }
            Err(error) => {
                prepared.undo(self);
                Err(error)
            }
        }
    }
}

/// The error if something in the directory cannot have a second name: `cross-device`, as the storage
/// returned for the rename.
fn cannot_copy(error: Error) -> Error {
    match error.errno() {
        Errno::Access
        | Errno::NotPermitted
        | Errno::TooManyLinks
        | Errno::CrossDevice
        | Errno::Unsupported => {
            let message = format_args!(
                "the filesystem of the upper cannot rename this directory (the kernel's overlayfs \
                 without `redirect_dir`), and it cannot be copied: {error}"
            );
            Error::new(Errno::CrossDevice, message)
        }
        _ => error,
    }
}

/// Completes or undoes a rename that a crash interrupted: afterwards the directory is complete, at one of
/// its two names. The upper must have been synced before.
///
/// # Errors
/// Any error returned by the tree.
pub(super) fn recover<P: Plain>(
    folder: &OpenFolder<'_, P>,
    root: impl FnOnce() -> Result<P::Dir>,
) -> Result<()> {
    let plain = folder.plain;
    if !oci::exists(plain, folder.work, record())? {
        return Ok(());
    }
    if oci::exists(plain, folder.work, tree())? {
        let path = folder.read_record()?;
        let mut names = path
            .split(|&byte| byte == 0)
            .filter(|name| !name.is_empty());
        let last = Name::new(names.next_back().ok_or(Errno::Invalid)?)?;
        let mut dir = root()?;
        let mut is_there = true;
        for name in names {
            match plain.open_dir(&dir, Name::new(name)?) {
                Ok(next) => dir = next,
                // The directory's last name, and with it the rest of the directory, was already removed.
                Err(error) if matches!(error.errno(), Errno::NoEntry | Errno::NotDirectory) => {
                    is_there = false;
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        if is_there {
            folder.restore(&dir, last)?;
        }
    }
    folder.drop_record()
}

impl<P: Plain> OpenFolder<'_, P> {
    /// Copies the directory `from` to `to`. When it restores a directory (`is_restored`), existing entries
    /// are left as they are.
    fn copy(
        &self,
        from: (&P::Dir, Name<'_>),
        to: (&P::Dir, Name<'_>),
        is_restored: bool,
    ) -> Result<Vec<Renumbered>> {
        let plain = self.plain;
        let mut copy = Copy {
            folder: self,
            is_restored,
            shared: None,
            split: HashMap::default(),
            renumbered: Vec::new(),
        };
        copy.create_dir(to.0, to.1)?;
        let root = (plain.open_dir(from.0, from.1)?, plain.open_dir(to.0, to.1)?);
        walk::walk(&mut copy, root)?;
        copy.copy_attributes(from, to)?;
        if copy.shared.take().is_some() {
            self.drop_dir(shared())?;
        }
        self.barrier(to.0)?;
        Ok(copy.into_renumbered())
    }

    /// Restores the missing entries of a directory whose removal was interrupted.
    fn restore(&self, dir: &P::Dir, name: Name<'_>) -> Result<()> {
        self.copy((self.work, tree()), (dir, name), true).map(drop)
    }

    /// Removes the copy, if it exists.
    pub(super) fn drop_tree(&self) -> Result<()> {
        self.drop_dir(shared())?;
        self.drop_dir(tree())
    }

    fn drop_dir(&self, name: Name<'_>) -> Result<()> {
        match removal::remove(self.plain, self.work, name) {
            Err(error) if error.is_not_found() => Ok(()),
            removed => removed,
        }
    }

    /// Moves the copy to its name.
    fn publish(&self, dir: &P::Dir, name: Name<'_>) -> Result<()> {
        let plain = self.plain;
        // Moving a directory needs permission to write in it, since its `..` changes.
        let granted = grant::add_owner_write(plain, self.work, Some(tree()))?;
        let moved = plain.rename(self.work, tree(), dir, name);
        if moved.is_ok() {
            grant::restore_mode(plain, dir, Some(name), granted);
        }
        moved
    }

    fn write_record(&self, work: &Work<P>, path: &[NameBuf]) -> Result<()> {
        let mut bytes = VERSION.to_vec();
        bytes.extend_from_slice(work.number().to_string().as_bytes());
        let staged = Name::checked(&bytes);
        let file = self.plain.create_file(self.work, staged, 0o600)?;
        let mut offset = 0;
        for name in path {
            for mut bytes in [name.as_name().as_bytes(), b"\0"] {
                while !bytes.is_empty() {
                    let written = file.write_at(bytes, offset)?;
                    if written == 0 {
                        return Err(Errno::InsufficientSpace.into());
                    }
                    bytes = &bytes[written..];
                    offset += written as u64;
                }
            }
        }
        if self.is_durable {
            file.sync(false)?;
        }
        self.plain.rename(self.work, staged, self.work, record())?;
        self.barrier(self.work)
    }

    fn read_record(&self) -> Result<Vec<u8>> {
        let file = self.plain.open_file(self.work, record(), Access::Read)?;
        let mut path = Vec::new();
        loop {
            let read = file.read_vec_at(64 * 1024, path.len() as u64)?;
            if read.is_empty() {
                return Ok(path);
            }
            path.extend_from_slice(&read);
        }
    }

    /// Removes the record, if it exists.
    fn drop_record(&self) -> Result<()> {
        match self.plain.remove_file(self.work, record()) {
            Err(error) if error.is_not_found() => Ok(()),
            removed => removed.and_then(|()| self.barrier(self.work)),
        }
    }
}

/// Copies a tree: from the first of two directories to the second.
struct Copy<'a, P: Plain> {
    folder: &'a OpenFolder<'a, P>,
    is_restored: bool,
    /// The folder [`SHARED`], once there is such a file.
    shared: Option<P::Dir>,
    /// These files by their numbers: how many names they had, and how many of those were linked.
    split: HashMap<Number, (u64, u64)>,
    renumbered: Vec<Renumbered>,
}

/// Device and inode number.
type Number = (u64, u64);

fn number(meta: &Meta) -> Number {
    (meta.device, meta.inode)
}

impl<P: Plain> Copy<'_, P> {
    /// Creates a directory that only its owner can use, until it gets its attributes.
    ///
    /// A power loss may have undone the last changes of a directory that is restored, so a file may be there
    /// that a guest had replaced by the directory. The copy is newer.
    fn create_dir(&self, dir: &P::Dir, name: Name<'_>) -> Result<()> {
        let plain = self.folder.plain;
        match plain.create_dir(dir, name, OWNER_ALL) {
            Err(error) if self.is_restored && error.errno() == Errno::Exist => {
                if plain.meta(dir, Some(name))?.kind == Kind::Dir {
                    return Ok(());
                }
                plain.remove_file(dir, name)?;
                plain.create_dir(dir, name, OWNER_ALL)
            }
            created => created,
        }
    }

    fn ignore_existing(&self, made: Result<()>) -> Result<()> {
        match made {
            Err(error) if self.is_restored && error.errno() == Errno::Exist => Ok(()),
            made => made,
        }
    }

    fn copy(
        &mut self,
        (from, to): &(P::Dir, P::Dir),
        (name, kind): (Name<'_>, Kind),
        dirs: &mut Vec<u8>,
    ) -> Result<()> {
        let plain = self.folder.plain;
        if kind == Kind::Dir {
            walk::push_name(dirs, name);
            return self.create_dir(to, name);
        }
        if self.is_restored {
            return self.ignore_existing(plain.link(from, name, to, name));
        }
        let before = plain.meta(from, Some(name))?;
        let key = format!("{}-{}", before.device, before.inode);
        let key = Name::checked(key.as_bytes());
        if let (Some(shared), Some((_, linked))) =
            (&self.shared, self.split.get_mut(&number(&before)))
        {
            *linked += 1;
            return plain.link(shared, key, to, name);
        }
        plain.link(from, name, to, name)?;
        let after = plain.meta(to, Some(name))?;
        self.record_number(&before, &after);
        if before.links > 1 && number(&before) != number(&after) {
            if self.shared.is_none() {
                plain.create_dir(self.folder.work, shared(), OWNER_ALL)?;
                self.shared = Some(plain.open_dir(self.folder.work, shared())?);
            }
            if let Some(shared) = &self.shared {
                plain.link(to, name, shared, key)?;
            }
            self.split.insert(number(&before), (before.links, 1));
        }
        Ok(())
    }

    fn record_number(&mut self, before: &Meta, after: &Meta) {
        if !self.is_restored && number(before) != number(after) {
            self.renumbered.push(Renumbered {
                before: number(before),
                after: number(after),
                is_shared: false,
            });
        }
    }

    /// The files whose numbers changed.
    fn into_renumbered(self) -> Vec<Renumbered> {
        let mut renumbered = self.renumbered;
        for file in &mut renumbered {
            let names = self.split.get(&file.before);
            file.is_shared = names.is_some_and(|(had, linked)| linked < had);
        }
        renumbered
    }

    /// Copies the attributes of a directory, once all its entries are copied.
    fn copy_attributes(
        &mut self,
        from: (&P::Dir, Name<'_>),
        to: (&P::Dir, Name<'_>),
    ) -> Result<()> {
        let plain = self.folder.plain;
        let before = plain.meta(from.0, Some(from.1))?;
        let after = plain.meta(to.0, Some(to.1))?;
        let mut xattrs = Vec::new();
        for attribute in plain.xattrs(from.0, Some(from.1))? {
            if !is_never_copied(&attribute)
                && let Some(value) = plain.xattr(from.0, Some(from.1), &attribute)?
            {
                xattrs.push((attribute, value));
            }
        }
        let attributes = Attributes {
            mode: before.mode,
            owner: before.owner.filter(|owner| Some(*owner) != after.owner),
            xattrs,
            times: SetTimes::of(&before),
        };
        let copy = CopyTarget {
            plain,
            dir: to.0,
            name: to.1,
            kind: Kind::Dir,
            file: None,
        };
        copy.set_attributes(&attributes)?;
        if self.folder.is_unordered {
            plain.sync_dir(&plain.open_dir(to.0, to.1)?)?;
        }
        self.record_number(&before, &after);
        Ok(())
    }
}

impl<P: Plain> Visitor for Copy<'_, P> {
    type Dir = (P::Dir, P::Dir);
    const LEAVES: bool = true;

    fn open(&self, (from, to): &Self::Dir, name: Name<'_>) -> Result<Option<Self::Dir>> {
        let plain = self.folder.plain;
        Ok(Some((
            plain.open_dir(from, name)?,
            plain.open_dir(to, name)?,
        )))
    }

    fn enter(&mut self, dir: &Self::Dir, names: &mut Vec<u8>) -> Result<()> {
        each(self.folder.plain, &dir.0, |name, kind| {
            self.copy(dir, (name, kind), names)
        })
    }

    fn leave(&mut self, (from, to): &Self::Dir, name: Name<'_>) -> Result<()> {
        self.copy_attributes((from, name), (to, name))
    }
}
