//! Refusal of uppers whose filesystem folds case: there `.WH.x` is the whiteout of `x`, and names that
//! differ only in case are one name. An overlay cannot work with either.

use crate::error::{Errno, Error, Result};
use crate::name::Name;
use crate::plain::Plain;

/// Fails if `root` finds its entry `name` under `other`, the same name in another case.
///
/// On a case-sensitive filesystem this is one lookup of a name that does not exist.
pub(super) fn check<P: Plain>(
    plain: &P,
    root: &P::Dir,
    name: Name<'_>,
    other: Name<'_>,
) -> Result<()> {
    let other = match plain.meta(root, Some(other)) {
        Ok(other) => other,
        Err(error) if error.is_not_found() => return Ok(()),
        Err(error) => return Err(error),
    };
    let own = plain.meta(root, Some(name))?;
    // A case-sensitive filesystem may have another file of that name.
    if (own.device, own.inode) != (other.device, other.inode) {
        return Ok(());
    }
    Err(Error::new(
        Errno::Unsupported,
        "the filesystem takes names that differ only in case for one name, as vfat and \
         directories with ext4's casefold do, so a guest could make whiteouts: use an upper on \
         a case-sensitive filesystem",
    )
    .in_layer(|| plain.label()))
}
