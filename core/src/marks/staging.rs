//! Where things are made that nobody sees yet.

use super::dress::Dressed;
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

    /// The folder that it is in, and its name there.
    #[cfg(feature = "native")]
    pub(super) fn place(&self) -> (&P::Dir, Name<'_>) {
        (self.work.dir(), self.name.as_name())
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

    /// Takes over the attributes of what is copied ([`Dressed::dress`]).
    pub(super) fn dress(&self, attributes: &Attributes) -> Result<()> {
        let staged = Dressed {
            plain: self.work.plain(),
            dir: self.work.dir(),
            name: self.name.as_name(),
            kind: self.kind,
            file: self.file.as_ref(),
        };
        staged.dress(attributes)
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

/// Removes something staged, and all that is in it.
pub(super) fn discard<P: Plain>(plain: &P, dir: &P::Dir, name: Name<'_>, kind: Kind) -> Result<()> {
    if kind != Kind::Dir {
        return plain.remove_file(dir, name);
    }
    #[cfg(feature = "native")]
    return removal::remove(plain, dir, name);
    // A component stages no trees, and leaves those of another program to it.
    #[cfg(not(feature = "native"))]
    {
        let inside = plain.open_dir(dir, name)?;
        match plain.remove_file(&inside, oci::opaque()) {
            Ok(()) => {}
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
        plain.remove_dir(dir, name)
    }
}
