//! Where things are made that nobody sees yet.

use super::kernel::is_never_copied;
use super::work::{Folder, Work};
use super::{grant, oci};
use crate::error::{Errno, Error, Result};
use crate::layer::{Attributes, New, ReadAt, WriteAt};
use crate::meta::{CAPABILITY, Kind, Meta, SET_ID};
use crate::name::{Name, NameBuf};
use crate::plain::Plain;
use std::sync::Arc;

/// What names in the work folder begin with: the version of the form.
pub(super) const VERSION: &[u8] = b"wasi-overlay-1-";

/// Makes something new in the work folder.
pub(super) fn stage<P: Plain>(folder: &Arc<Folder<P>>, new: New<'_>) -> Result<Staged<P>> {
    let work = folder.begin()?;
    let mut bytes = VERSION.to_vec();
    bytes.extend_from_slice(work.number().to_string().as_bytes());
    let name = Name::checked(&bytes).to_owned();
    let at = name.as_name();
    let (kind, file) = match new {
        New::File => (
            Kind::File,
            Some(work.plain().create_file(work.dir(), at, 0o666)?),
        ),
        New::Dir { .. } => {
            work.plain().create_dir(work.dir(), at, 0o777)?;
            (Kind::Dir, None)
        }
        New::Symlink(target) => {
            work.plain().symlink(work.dir(), at, target)?;
            (Kind::Symlink, None)
        }
    };
    let staged = Staged {
        name,
        kind,
        file,
        published: false,
        work,
    };
    // From here on dropping `staged` takes it away again.
    if new == (New::Dir { opaque: true }) {
        staged.set_opaque()?;
    }
    Ok(staged)
}

/// Something in the work folder. Dropped unpublished, it is removed.
pub struct Staged<P: Plain> {
    name: NameBuf,
    kind: Kind,
    file: Option<P::File>,
    published: bool,
    /// The last field: the folder goes when nothing of this is open in it.
    work: Work<P>,
}

impl<P: Plain> Staged<P> {
    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    pub(super) fn file(&self) -> Option<&P::File> {
        self.file.as_ref()
    }

    /// What is known of it. A name of its own tells it nothing new.
    pub(super) fn meta(&self) -> Result<Meta> {
        match &self.file {
            Some(file) => file.meta(),
            None => self
                .work
                .plain()
                .meta(self.work.dir(), Some(self.name.as_name())),
        }
    }

    /// Writes the opaque mark into a staged directory, unless it is there.
    pub(super) fn set_opaque(&self) -> Result<()> {
        let plain = self.work.plain();
        let inside = plain.open_dir(self.work.dir(), self.name.as_name())?;
        oci::make_opaque(plain, &inside)?;
        self.work.barrier(&inside)
    }

    /// Moves it to its name. A copy gets there even where nothing may be made or moved, since
    /// nobody is to notice it.
    pub(super) fn publish(
        mut self,
        dir: &P::Dir,
        name: Name<'_>,
        is_copy: bool,
    ) -> Result<Option<P::File>> {
        let plain = self.work.plain();
        let staged = (self.work.dir(), self.name.as_name());
        match plain.rename(staged.0, staged.1, dir, name) {
            Err(error) if P::HAS_MODES && is_copy && error.errno() == Errno::Access => {
                self.publish_guarded(dir, name, error)?;
            }
            moved => moved?,
        }
        self.published = true;
        Ok(self.file.take())
    }

    /// A rename needs permission to write in the directory that it goes to, and in a directory
    /// that is moved, since its `..` changes.
    fn publish_guarded(&self, dir: &P::Dir, name: Name<'_>, refused: Error) -> Result<()> {
        let plain = self.work.plain();
        let staged = (self.work.dir(), self.name.as_name());
        let own = match self.kind {
            Kind::Dir => grant::write(plain, staged.0, Some(staged.1))?,
            _ => None,
        };
        let outer = grant::write(plain, dir, None)?;
        if own.is_none() && outer.is_none() {
            return Err(refused);
        }
        let moved = plain.rename(staged.0, staged.1, dir, name);
        if moved.is_ok() {
            grant::take_back(plain, dir, Some(name), own);
        }
        grant::take_back(plain, dir, None, outer);
        moved
    }

    /// Takes over the attributes of what is copied.
    ///
    /// The order matters: a change of owner clears set-id bits and capabilities, an ACL comes
    /// with mode bits, and every one of these steps moves a time.
    ///
    /// Where the owner cannot be kept, set-id bits and capabilities are left out: the lower's owner
    /// granted them, and they would give the rights of another user. So does `cp -p`, for
    /// directories too, since the group that a set-group-id directory hands on is another one.
    pub(super) fn dress(&self, attributes: &Attributes) -> Result<()> {
        let plain = self.work.plain();
        let (dir, name) = (self.work.dir(), Some(self.name.as_name()));
        if cfg!(feature = "native") {
            self.set_rights(attributes)?;
        }
        if attributes.times.is_noop() {
            return Ok(());
        }
        match &self.file {
            Some(file) => file.set_times(attributes.times),
            None => plain.set_times(dir, name, attributes.times),
        }
    }

    /// Owner, extended attributes and mode, in that order.
    fn set_rights(&self, attributes: &Attributes) -> Result<()> {
        let plain = self.work.plain();
        let (dir, name) = (self.work.dir(), Some(self.name.as_name()));
        let has_owner = match attributes.owner {
            Some(owner) if P::HAS_MODES => self.set_owner(owner, attributes)?,
            Some(_) | None => true,
        };
        for (attribute, value) in &attributes.xattrs {
            if is_never_copied(attribute) || (!has_owner && **attribute == *CAPABILITY) {
                continue;
            }
            let set = plain.set_xattr(dir, name, attribute, value);
            if attribute.starts_with(b"user.") {
                set.map_err(|error| self.lost(attribute, error))?;
            } else {
                where_permitted(set)?;
            }
        }
        if let Some(mode) = attributes.mode {
            let mode = if has_owner { mode } else { mode & !SET_ID };
            match &self.file {
                Some(file) => file.set_mode(mode)?,
                None if self.kind == Kind::Dir => plain.set_mode(dir, name, mode)?,
                None => {}
            }
        }
        Ok(())
    }

    /// Gives it an owner, where that is permitted. Returns whether it has that owner, as far as
    /// `attributes` grant something with it.
    fn set_owner(&self, owner: (u32, u32), attributes: &Attributes) -> Result<bool> {
        let (plain, name) = (self.work.plain(), self.name.as_name());
        let is_set = where_permitted(plain.set_owner(self.work.dir(), Some(name), owner))?;
        // Some filesystems (cifs, vfat with `quiet`) accept any owner and set none.
        Ok(is_set && (!attributes.grant_rights() || self.meta()?.owner == Some(owner)))
    }

    fn lost(&self, attribute: &[u8], error: Error) -> Error {
        let attribute = attribute.escape_ascii();
        let error = match error.errno() {
            Errno::Unsupported => error.context(format_args!(
                "the extended attribute {attribute} of a file that is copied up cannot \
                 be kept, since this filesystem has none: use an upper on one that has them \
                 (ext4, xfs, btrfs, tmpfs of Linux 6.6)"
            )),
            _ => error.context(format_args!(
                "the extended attribute {attribute} of a file that is copied up cannot \
                 be kept"
            )),
        };
        error.in_layer(|| self.work.plain().label())
    }
}

impl<P: Plain> Drop for Staged<P> {
    fn drop(&mut self) {
        if self.published || self.work.has_ended() {
            return;
        }
        let (plain, name) = (self.work.plain(), self.name.as_name());
        match discard(plain, self.work.dir(), name, self.kind) {
            Ok(()) => {}
            // The mount ends just now, and takes the folder along.
            Err(error) if error.is_not_found() => {}
            Err(error) => tracing::warn!(
                layer = %plain.label(), %name, %error,
                "cannot remove what was staged; it goes with the work folder"
            ),
        }
    }
}

/// Removes something staged: a directory there holds marks and nothing else.
pub(super) fn discard<P: Plain>(plain: &P, dir: &P::Dir, name: Name<'_>, kind: Kind) -> Result<()> {
    if kind != Kind::Dir {
        return plain.remove_file(dir, name);
    }
    let inside = plain.open_dir(dir, name)?;
    match plain.remove_file(&inside, oci::opaque()) {
        Ok(()) => {}
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(error),
    }
    plain.remove_dir(dir, name)
}

/// Lets a refusal pass: only root may give files away, and not every filesystem has every
/// attribute. A fault (a full disk) stays one. Returns whether it was permitted.
fn where_permitted(result: Result<()>) -> Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error)
            if matches!(
                error.errno(),
                Errno::NotPermitted
                    | Errno::Access
                    | Errno::Unsupported
                    // The user namespace has no such user.
                    | Errno::Invalid
                    // The mount has no such user (`mount_setattr(2)`, idmapped mounts).
                    | Errno::Overflow
            ) =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}
