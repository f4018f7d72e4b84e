//! Uppers whose filesystem folds case: `.WH.x` is the whiteout of `x` there, and names that differ in
//! case alone are one. An overlay cannot work on either, so such an upper is refused.

use crate::error::{Errno, Error, Result};
use crate::name::Name;
use crate::plain::Plain;

/// Fails if `root` finds its entry `name` by `other`, which is the same in another case.
///
/// Where case counts, this is one look at a name that is not there.
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
    // Where case counts, there may be another of that name.
    if (own.device, own.inode) != (other.device, other.inode) {
        return Ok(());
    }
    Err(Error::new(
        Errno::Unsupported,
        "the filesystem takes names that differ in case alone for one name, as vfat and \
         directories with ext4's casefold do, so a guest could make whiteouts: give an upper on \
         a filesystem where case counts",
    )
    .in_layer(|| plain.label()))
}
