//! [`Marked`]: a plain tree as a lower layer, with whiteouts in any format.

use super::kernel::{self, DirAttributes};
use super::mounts;
use super::oci::{self, NameKind};
use super::upper::MarkedUpper;
use super::work::Presence;
use crate::error::Result;
use crate::layer::{Entered, Found, Layer, Listed, XattrNames};
use crate::meta::{Kind, Meta};
use crate::name::Name;
use crate::place::Place;
use crate::plain::{Access, Plain};
use once_cell::race::OnceBool;
use std::ops::ControlFlow;

/// A plain tree as a read-only layer, with whiteouts in any format.
///
/// The layer reads attributes with the permissions of this process: without `CAP_SYS_ADMIN` Linux hides
/// `trusted.*`, so opaque directories of a kernel overlay that root created are merged then.
#[derive(Debug)]
pub struct Marked<P> {
    plain: P,
}

impl<P: Plain> Marked<P> {
    /// `plain` as a lower layer.
    pub fn lower(plain: P) -> Self {
        Self { plain }
    }

    /// `plain` as an upper layer, with whiteouts in OCI format.
    pub fn upper(plain: P) -> MarkedUpper<P> {
        MarkedUpper::new(plain, Presence::Mounted)
    }

    /// `plain` as an upper layer, for a program that ends without notice and never unmounts.
    ///
    /// A work folder in the upper shows that the last mount was interrupted. [`upper`](Self::upper) keeps
    /// it from mount to unmount. Here it exists only while a change of more than one step is in progress,
    /// or something is staged. A change then takes a few more calls, and the folder is created and removed
    /// in the root: the root's times are restored, but an update may be lost if another thread changes
    /// names in the root at the same moment.
    pub fn upper_on_demand(plain: P) -> MarkedUpper<P> {
        MarkedUpper::new(plain, Presence::OnDemand)
    }
}

/// A directory of a [`Marked`] layer, with its overlay attributes.
#[derive(Debug)]
pub struct MarkedDir<D> {
    plain: D,
    attributes: DirAttributes,
    is_root: bool,
    /// Whether it contains an opaque whiteout, once it has been listed.
    has_opaque_whiteout: OnceBool,
}

impl<D> MarkedDir<D> {
    fn new(plain: D, attributes: DirAttributes, is_root: bool) -> Self {
        Self {
            plain,
            attributes,
            is_root,
            has_opaque_whiteout: OnceBool::new(),
        }
    }
}

impl<P: Plain> Layer for Marked<P> {
    type Dir = MarkedDir<P::Dir>;
    type File = P::File;

    fn root(&self) -> Result<Self::Dir> {
        let root = self.plain.root()?;
        let attributes = kernel::root_attributes(&self.plain, &root)?;
        Ok(MarkedDir::new(root, attributes, true))
    }

    fn place(&self) -> Result<Option<Place>> {
        self.plain.place()
    }

    fn mount_lower(&self) -> Result<()> {
        self.plain.lock_shared()
    }

    fn dir_meta(&self, dir: &Self::Dir) -> Result<Meta> {
        self.plain.meta(&dir.plain, None)
    }

    fn is_opaque(&self, dir: &Self::Dir) -> Result<bool> {
        if dir.attributes.opaque {
            return Ok(true);
        }
        match (dir.has_opaque_whiteout.get(), dir.is_root) {
            (Some(true), _) => Ok(true),
            // A directory that may be listed but not searched is opaque, like any other that may not be
            // searched.
            (Some(false), false) => Ok(!self.plain.may_search(&dir.plain)?),
            (Some(false), true) => Ok(false),
            (None, false) => oci::has_opaque_whiteout(&self.plain, &dir.plain),
            // A root without search permission is an error, not an opaque directory.
            (None, true) => oci::exists(&self.plain, &dir.plain, oci::opaque_name()),
        }
    }

    fn find(&self, dir: &Self::Dir, name: Name<'_>) -> Result<Found> {
        if oci::is_reserved(name) {
            return Ok(Found::Absent);
        }
        let dir = &dir.plain;
        let meta = match self.plain.meta(dir, Some(name)) {
            Ok(meta) => meta,
            Err(error) if error.is_not_found() => {
                return oci::hidden_or_absent(&self.plain, dir, name);
            }
            Err(error) => return Err(error),
        };
        let opaque = match meta.kind {
            Kind::CharDevice if kernel::is_whiteout_device(&meta) => return Ok(Found::Hidden),
            Kind::File if kernel::is_whiteout_by_attribute(&self.plain, dir, name, &meta)? => {
                return Ok(Found::Hidden);
            }
            // Both formats are checked, since a directory with foreign content is refused even if it is
            // opaque.
            Kind::Dir => {
                kernel::dir_attributes(&self.plain, dir, name)?.opaque
                    || oci::is_opaque(&self.plain, dir, name)?
            }
            _ => false,
        };
        Ok(Found::Here { meta, opaque })
    }

    fn open_dir(&self, dir: &Self::Dir, name: Name<'_>) -> Result<Self::Dir> {
        oci::check_lookup(name)?;
        let opened = self.plain.open_to_list(&dir.plain, name);
        let dir = mounts::in_lower(&self.plain, name, opened)?;
        let attributes = kernel::open_dir_attributes(&self.plain, &dir, name)?;
        Ok(MarkedDir::new(dir, attributes, false))
    }

    /// Checks attributes only: a whiteout beside the directory would have been listed, and the listing of
    /// the directory will show an opaque whiteout in it.
    fn enter(&self, dir: &Self::Dir, name: Name<'_>) -> Result<Option<Entered<Self::Dir>>> {
        let dir = self.open_dir(dir, name)?;
        Ok(Some(Entered {
            meta: self.dir_meta(&dir)?,
            opaque: dir.attributes.opaque,
            dir,
        }))
    }

    fn open_file(&self, dir: &Self::Dir, name: Name<'_>) -> Result<P::File> {
        Ok(self.open_to_copy(dir, name)?.0)
    }

    fn open_to_copy(&self, dir: &Self::Dir, name: Name<'_>) -> Result<(P::File, XattrNames)> {
        oci::check_lookup(name)?;
        let opened = self.plain.open_file(&dir.plain, name, Access::Read);
        let file = mounts::in_lower(&self.plain, name, opened)?;
        let xattrs = kernel::check_data(&self.plain, &file, &dir.plain, name)?;
        Ok((file, xattrs))
    }

    fn read_link(&self, dir: &Self::Dir, name: Name<'_>) -> Result<Box<[u8]>> {
        oci::check_lookup(name)?;
        self.plain.read_link(&dir.plain, name)
    }

    fn list(
        &self,
        dir: &Self::Dir,
        each: &mut dyn FnMut(Name<'_>, Listed) -> ControlFlow<()>,
    ) -> Result<()> {
        let mut failed = None;
        let mut has_opaque_whiteout = false;
        let mut is_whole = true;
        self.plain.list(&dir.plain, &mut |name, kind, inode| {
            let listed = match oci::classify(name) {
                NameKind::Whiteout(hidden) => Ok(Some((hidden, Listed::Hidden))),
                NameKind::Opaque => {
                    has_opaque_whiteout = true;
                    Ok(None)
                }
                NameKind::Reserved => Ok(None),
                NameKind::Broken => Err(oci::malformed(&self.plain, name)),
                NameKind::Entry => {
                    let has_whiteouts = dir.attributes.has_attribute_whiteouts;
                    kernel::listed(&self.plain, &dir.plain, name, kind, inode, has_whiteouts)
                        .map(|listed| listed.map(|listed| (name, listed)))
                }
            };
            let flow = match listed {
                Ok(Some((name, listed))) => each(name, listed),
                Ok(None) => ControlFlow::Continue(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            };
            is_whole = flow.is_continue();
            flow
        })?;
        if has_opaque_whiteout || is_whole {
            // Fails if a faster thread has set it, to the same value.
            let _ = dir.has_opaque_whiteout.set(has_opaque_whiteout);
        }
        failed.map_or(Ok(()), Err)
    }

    fn xattrs(&self, dir: &Self::Dir, name: Option<Name<'_>>) -> Result<XattrNames> {
        kernel::visible_xattrs(&self.plain, &dir.plain, name)
    }

    fn xattr(
        &self,
        dir: &Self::Dir,
        name: Option<Name<'_>>,
        attribute: &[u8],
    ) -> Result<Option<Vec<u8>>> {
        if kernel::is_overlay_attribute(attribute) {
            return Ok(None);
        }
        self.plain.xattr(&dir.plain, name, attribute)
    }
}
