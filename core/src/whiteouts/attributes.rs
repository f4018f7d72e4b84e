//! Setting the attributes of a copy: owner, extended attributes, mode, times.

use super::kernel::is_never_copied;
use crate::error::{Errno, Error, Result};
use crate::layer::{Attributes, ReadAt, WriteAt};
use crate::meta::{CAPABILITY, Kind, Meta, SET_ID};
use crate::name::Name;
use crate::plain::Plain;

/// A copy whose attributes are set.
pub(super) struct CopyTarget<'a, P: Plain> {
    pub(super) plain: &'a P,
    pub(super) dir: &'a P::Dir,
    pub(super) name: Name<'a>,
    pub(super) kind: Kind,
    /// The open file, if it is one.
    pub(super) file: Option<&'a P::File>,
}

impl<P: Plain> CopyTarget<'_, P> {
    /// Sets the attributes of the copy to those of the original.
    ///
    /// The order matters: a change of owner clears set-id bits and capabilities, an ACL comes
    /// with mode bits, and each of these steps updates a time.
    ///
    /// If the owner cannot be kept, set-id bits and capabilities are left out: the lower's owner
    /// granted them, and they would give the rights of another user. `cp -p` does the same, for
    /// directories too, since a set-group-id directory would pass on another group.
    pub(super) fn set_attributes(&self, attributes: &Attributes) -> Result<()> {
        if cfg!(feature = "native") {
            self.set_owner_xattrs_and_mode(attributes)?;
        }
        if attributes.times.is_noop() {
            return Ok(());
        }
        match self.file {
            Some(file) => file.set_times(attributes.times),
            None => {
                let name = Some(self.name);
                self.plain.set_times(self.dir, name, attributes.times)
            }
        }
    }

    /// Owner, extended attributes and mode, in that order.
    fn set_owner_xattrs_and_mode(&self, attributes: &Attributes) -> Result<()> {
        let (plain, dir, name) = (self.plain, self.dir, Some(self.name));
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
                accept_refusal(set)?;
            }
        }
        if let Some(mode) = attributes.mode {
            let mode = if has_owner { mode } else { mode & !SET_ID };
            match self.file {
                Some(file) => file.set_mode(mode)?,
                None if self.kind == Kind::Dir => plain.set_mode(dir, name, mode)?,
                None => {}
            }
        }
        Ok(())
    }

    /// Sets the owner, if permitted. Returns whether the copy has that owner, which is checked only if
    /// `attributes` grant rights with it.
    fn set_owner(&self, owner: (u32, u32), attributes: &Attributes) -> Result<bool> {
        let name = Some(self.name);
        let is_set = accept_refusal(self.plain.set_owner(self.dir, name, owner))?;
        // Some filesystems (cifs, vfat with `quiet`) accept any owner and set none.
        Ok(is_set && (!attributes.grants_rights() || self.meta()?.owner == Some(owner)))
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
        error.in_layer(|| self.plain.label())
    }

    fn meta(&self) -> Result<Meta> {
        match self.file {
            Some(file) => file.meta(),
            None => self.plain.meta(self.dir, Some(self.name)),
        }
    }
}

/// Accepts a refusal: only root may change the owner, and not every filesystem has every
/// attribute. A fault (a full disk) remains an error. Returns whether the step was permitted.
fn accept_refusal(result: Result<()>) -> Result<bool> {
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
