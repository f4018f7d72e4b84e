//! Whiteout formats: what turns a plain tree into a layer.
//!
//! | form | a deleted name | an opaque directory | where |
//! |---|---|---|---|
//! | OCI | a file `.wh.NAME` beside it | a file `.wh..wh..opq` inside it | lowers and uppers |
//! | the kernel's | a character device 0:0, or an attribute on an empty file | an attribute | lowers |
//!
//! All forms are recognized in a lower at once, since tools mix them (fuse-overlayfs writes
//! both). An upper is written in OCI form and holds nothing else.
//!
//! One rule makes every order of steps safe: **an entry beats a mark of its name in its own
//! layer** (the [image spec] applies whiteouts to lower layers only), and a directory with a mark
//! beside it is opaque.
//!
//! [image spec]: https://github.com/opencontainers/image-spec/blob/v1.1.0/layer.md#whiteouts
//!
//! ```text
//!   mod.rs      a lower
//!   upper.rs    an upper: mounting and reading it
//!   change.rs   the steps of each change, prepare.rs what comes before them
//!   target.rs   an empty directory that is about to be replaced or removed
//!   staging.rs  what nobody sees yet
//!   work.rs     the folder for it, which also says that something is under way
//!   sweep.rs    after a cut
//! ```

mod change;
mod grant;
mod kernel;
mod oci;
mod prepare;
mod staging;
mod sweep;
mod target;
mod upper;
mod work;

pub(crate) use kernel::{is_never_copied, is_overlay_attribute};
pub use staging::Staged;
pub use upper::MarkedUpper;

use crate::error::Result;
use crate::layer::{Found, Layer, Listed, XattrNames};
use crate::meta::{Kind, Meta};
use crate::name::Name;
use crate::plain::{Access, Plain};
use oci::Spelled;
use std::ops::ControlFlow;
use work::Presence;

/// A plain tree as a read-only layer, with marks in any form.
///
/// Attributes are read as this process may read them: without `CAP_SYS_ADMIN` Linux hides
/// `trusted.*`, so opaque directories of a kernel overlay made by root look merged then.
#[derive(Debug)]
pub struct Marked<P> {
    plain: P,
}

impl<P: Plain> Marked<P> {
    /// `plain` as a lower layer.
    pub fn lower(plain: P) -> Self {
        Self { plain }
    }

    /// `plain` as an upper layer, in OCI form.
    pub fn upper(plain: P) -> MarkedUpper<P> {
        MarkedUpper::new(plain, Presence::Mounted)
    }

    /// `plain` as an upper layer, for a program that ends without saying so and never unmounts.
    ///
    /// That the last mount was cut is told by a work folder in the upper, which
    /// [`upper`](Self::upper) keeps there from mount to unmount. Here it is there only while a
    /// change of more than one step is under way, or something is staged. A change costs some
    /// calls more, and the folder is made and removed at the root: its times are put back, but
    /// one of them may be lost where another thread changes names in the root at that moment.
    pub fn upper_on_demand(plain: P) -> MarkedUpper<P> {
        MarkedUpper::new(plain, Presence::OnDemand)
    }
}

impl<P: Plain> Layer for Marked<P> {
    type Dir = P::Dir;
    type File = P::File;

    fn root(&self) -> Result<P::Dir> {
        self.plain.root()
    }

    fn dir_meta(&self, dir: &P::Dir) -> Result<Meta> {
        self.plain.meta(dir, None)
    }

    fn root_is_opaque(&self) -> Result<bool> {
        let root = self.plain.root()?;
        Ok(kernel::is_opaque(&self.plain, &root, None)?
            || oci::exists(&self.plain, &root, oci::opaque())?)
    }

    fn find(&self, dir: &P::Dir, name: Name<'_>) -> Result<Found> {
        if oci::is_reserved(name) {
            return Ok(Found::Absent);
        }
        let meta = match self.plain.meta(dir, Some(name)) {
            Ok(meta) => meta,
            Err(error) if error.is_not_found() => return oci::hidden(&self.plain, dir, name),
            Err(error) => return Err(error),
        };
        let opaque = match meta.kind {
            Kind::CharDevice if kernel::is_mark(&meta) => return Ok(Found::Hidden),
            Kind::File if kernel::is_attribute_mark(&self.plain, dir, name, &meta)? => {
                return Ok(Found::Hidden);
            }
            // Every form is asked, since a foreign directory is refused even where it is opaque.
            Kind::Dir => {
                kernel::is_opaque(&self.plain, dir, Some(name))?
                    || oci::is_opaque(&self.plain, dir, name)?
            }
            _ => false,
        };
        Ok(Found::Here { meta, opaque })
    }

    fn open_dir(&self, dir: &P::Dir, name: Name<'_>) -> Result<P::Dir> {
        oci::lookup(name)?;
        self.plain.open_dir(dir, name)
    }

    fn open_file(&self, dir: &P::Dir, name: Name<'_>) -> Result<P::File> {
        Ok(self.open_to_copy(dir, name)?.0)
    }

    fn open_to_copy(&self, dir: &P::Dir, name: Name<'_>) -> Result<(P::File, XattrNames)> {
        oci::lookup(name)?;
        let file = self.plain.open_file(dir, name, Access::Read)?;
        let xattrs = kernel::check_data(&self.plain, &file, dir, name)?;
        Ok((file, xattrs))
    }

    fn read_link(&self, dir: &P::Dir, name: Name<'_>) -> Result<Box<[u8]>> {
        oci::lookup(name)?;
        self.plain.read_link(dir, name)
    }

    fn list(
        &self,
        dir: &P::Dir,
        each: &mut dyn FnMut(Name<'_>, Listed) -> ControlFlow<()>,
    ) -> Result<()> {
        let attribute_marks = kernel::holds_attribute_marks(&self.plain, dir)?;
        let mut failed = None;
        self.plain.list(dir, &mut |name, kind, inode| {
            let listed = match oci::spelled(name) {
                Spelled::Mark(hidden) => return each(hidden, Listed::Hidden),
                Spelled::Opaque | Spelled::Reserved => return ControlFlow::Continue(()),
                Spelled::Broken => Err(oci::refused(&self.plain, name)),
                Spelled::Entry => {
                    kernel::listed(&self.plain, dir, name, kind, inode, attribute_marks)
                }
            };
            match listed {
                Ok(Some(listed)) => each(name, listed),
                Ok(None) => ControlFlow::Continue(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        failed.map_or(Ok(()), Err)
    }

    fn xattrs(&self, dir: &P::Dir, name: Option<Name<'_>>) -> Result<Vec<Box<[u8]>>> {
        kernel::visible_xattrs(&self.plain, dir, name)
    }

    fn xattr(
        &self,
        dir: &P::Dir,
        name: Option<Name<'_>>,
        attribute: &[u8],
    ) -> Result<Option<Vec<u8>>> {
        if kernel::is_overlay_attribute(attribute) {
            return Ok(None);
        }
        self.plain.xattr(dir, name, attribute)
    }
}

#[cfg(all(test, feature = "dir"))]
mod tests;
