//! Copies in a staged directory, so that a whole tree appears in one step.

use super::attributes::CopyTarget;
use super::staging::Staged;
use super::upper::MarkedUpper;
use crate::error::Result;
use crate::layer::{At, Attributes, Copied, New, ReadAt, WriteAt};
use crate::meta::{Kind, Meta};
use crate::plain::Plain;

impl<P: Plain> MarkedUpper<P> {
    /// [`Upper::staged_dir`](crate::layer::Upper::staged_dir).
    pub(super) fn open_staged(&self, staged: &Staged<P>) -> Result<P::Dir> {
        let (dir, name) = staged.dir_and_name();
        self.plain().open_dir(dir, name)
    }

    /// [`Upper::copy_into`](crate::layer::Upper::copy_into).
    pub(super) fn make_copy(&self, to: At<'_, P::Dir>, copied: Copied<'_>) -> Result<Meta> {
        let plain = self.plain();
        let (kind, file) = match copied.new {
            New::File => (Kind::File, Some(plain.create_file(to.dir, to.name, 0o666)?)),
            New::Symlink(target) => {
                plain.symlink(to.dir, to.name, target)?;
                (Kind::Symlink, None)
            }
            // Its attributes are set once all its entries are copied.
            New::Dir { .. } => {
                plain.create_dir(to.dir, to.name, 0o777)?;
                return plain.meta(to.dir, Some(to.name));
            }
        };
        if let Some(file) = &file {
            (copied.fill)(file)?;
        }
        let meta = match &file {
            Some(file) => file.meta()?,
            None => plain.meta(to.dir, Some(to.name))?,
        };
        let copy = CopyTarget {
            plain,
            dir: to.dir,
            name: to.name,
            kind,
            file: file.as_ref(),
        };
        copy.set_attributes(&copied.attributes.remaining_after(&meta))?;
        if let (Some(file), true) = (&file, copied.sync) {
            file.sync(false)?;
        }
        Ok(meta)
    }

    /// [`Upper::set_dir_attributes`](crate::layer::Upper::set_dir_attributes).
    pub(super) fn set_copy_attributes(
        &self,
        at: At<'_, P::Dir>,
        attributes: Attributes,
    ) -> Result<()> {
        let plain = self.plain();
        let meta = plain.meta(at.dir, Some(at.name))?;
        let copy = CopyTarget {
            plain,
            dir: at.dir,
            name: at.name,
            kind: Kind::Dir,
            file: None,
        };
        copy.set_attributes(&attributes.remaining_after(&meta))
    }
}
