//! [`Staged`]: a file, directory or link in the work folder, invisible until it is published.

use super::attributes::CopyTarget;
#[cfg(feature = "native")]
use super::removal;
use super::work::{Folder, Work};
use super::{grant, oci};
use crate::error::{Errno, Error, Result};
use crate::layer::{Attributes, New, ReadAt};
use crate::meta::{Kind, Meta};
use crate::name::{Name, NameBuf};
use crate::plain::Plain;
use std::sync::Arc;

/// The prefix of names in the work folder, with the version of its format.
pub(super) const VERSION: &[u8] = b"wasi-overlay-1-";

/// Creates a file, directory or link in the work folder.
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
    // From here on, dropping `staged` removes it again.
    if new == (New::Dir { opaque: true }) {
        staged.set_opaque()?;
    }
    Ok(staged)
}

/// A file, directory or link in the work folder. Dropping it unpublished removes it.
pub struct Staged<P: Plain> {
    name: NameBuf,
    kind: Kind,
    file: Option<P::File>,
    published: bool,
    /// The last field, so that the folder is released only after everything in it is closed.
    work: Work<P>,
}

impl<P: Plain> Staged<P> {
    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    pub(super) fn file(&self) -> Option<&P::File> {
        self.file.as_ref()
    }

    /// The folder that contains it, and its name there.
    #[cfg(feature = "native")]
    pub(super) fn dir_and_name(&self) -> (&P::Dir, Name<'_>) {
        (self.work.dir(), self.name.as_name())
    }

    /// Its metadata, which publishing does not change.
    pub(super) fn meta(&self) -> Result<Meta> {
        match &self.file {
            Some(file) => file.meta(),
            None => self
                .work
                .plain()
                .meta(self.work.dir(), Some(self.name.as_name())),
        }
    }

    /// Creates the opaque whiteout in a staged directory, unless it exists.
    pub(super) fn set_opaque(&self) -> Result<()> {
        let plain = self.work.plain();
        let inside = plain.open_dir(self.work.dir(), self.name.as_name())?;
        oci::make_opaque(plain, &inside)?;
        self.work.barrier(&inside)
    }

    /// Moves it to its name. A copy is published even in a directory without write permission, since the
    /// guest's call need not have that permission.
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
                self.publish_with_owner_write(dir, name, error)?;
            }
            moved => moved?,
        }
        self.published = true;
        Ok(self.file.take())
    }

    /// Publishes with temporary write permission. A rename needs it in the target directory, and in a
    /// directory that is moved, since its `..` changes.
    fn publish_with_owner_write(&self, dir: &P::Dir, name: Name<'_>, refused: Error) -> Result<()> {
        let plain = self.work.plain();
        let staged = (self.work.dir(), self.name.as_name());
        let own = match self.kind {
            Kind::Dir => grant::add_owner_write(plain, staged.0, Some(staged.1))?,
            _ => None,
        };
        let outer = grant::add_owner_write(plain, dir, None)?;
        if own.is_none() && outer.is_none() {
            return Err(refused);
        }
        let moved = plain.rename(staged.0, staged.1, dir, name);
        if moved.is_ok() {
            grant::restore_mode(plain, dir, Some(name), own);
        }
        grant::restore_mode(plain, dir, None, outer);
        moved
    }

    /// Sets its attributes to those of the original ([`CopyTarget::set_attributes`]).
    pub(super) fn set_attributes(&self, attributes: &Attributes) -> Result<()> {
        let staged = CopyTarget {
            plain: self.work.plain(),
            dir: self.work.dir(),
            name: self.name.as_name(),
            kind: self.kind,
            file: self.file.as_ref(),
        };
        staged.set_attributes(attributes)
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
            // The mount is ending, and has removed the folder.
            Err(error) if error.is_not_found() => {}
            Err(error) => tracing::warn!(
                layer = %plain.label(), %name, %error,
                "cannot remove a staged file; it will be removed with the work folder"
            ),
        }
    }
}

/// Removes a staged file, directory or link, with everything in it.
pub(super) fn discard<P: Plain>(plain: &P, dir: &P::Dir, name: Name<'_>, kind: Kind) -> Result<()> {
    if kind != Kind::Dir {
        return plain.remove_file(dir, name);
    }
    #[cfg(feature = "native")]
    return removal::remove(plain, dir, name);
    // A component stages no trees, and does not remove those of another program.
    #[cfg(not(feature = "native"))]
    {
        let inside = plain.open_dir(dir, name)?;
        match plain.remove_file(&inside, oci::opaque_name()) {
            Ok(()) => {}
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
        plain.remove_dir(dir, name)
    }
}
