//! Where things are made that nobody sees yet.
//!
//! Staging is a folder at the upper's own root, since a rename works within one mount only. It
//! exists exactly while the upper is mounted, so that finding it at mount says that the last
//! mount was cut.

use super::kernel::is_never_copied;
use super::{grant, oci};
use crate::error::{Errno, Error, Result};
use crate::layer::{Attributes, New, WriteAt};
use crate::meta::Kind;
use crate::name::{Name, NameBuf};
use crate::plain::Plain;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The folder. fuse-overlayfs hides it; other tools would show it, hence it goes at unmount.
const FOLDER: &[u8] = b".wh..wh.work";
/// What the names in it begin with: the version of the form.
const VERSION: &[u8] = b"wasi-overlay-1-";

/// The staging folder of a mounted upper.
pub(super) struct Staging<P: Plain> {
    plain: Arc<P>,
    dir: P::Dir,
    next: AtomicU64,
}

/// The name of the folder.
pub(super) fn folder() -> Name<'static> {
    Name::checked(FOLDER)
}

impl<P: Plain> Staging<P> {
    /// Makes the folder, or takes over the one that a cut mount left.
    pub(super) fn open(plain: &Arc<P>, root: &P::Dir) -> Result<Self> {
        // Nobody but the owner looks in: what is staged has not got its mode yet.
        match plain.create_dir(root, folder(), 0o700) {
            Ok(()) => {}
            Err(error) if error.errno() == Errno::Exist => {}
            Err(error) => return Err(error),
        }
        Ok(Self {
            plain: plain.clone(),
            dir: plain.open_dir(root, folder())?,
            next: AtomicU64::new(0),
        })
    }

    /// Fails if the folder holds what this version did not make.
    pub(super) fn check(&self) -> Result<()> {
        let mut foreign = None;
        self.plain.list(&self.dir, &mut |name, _, _| {
            if name.as_bytes().starts_with(VERSION) {
                return ControlFlow::Continue(());
            }
            foreign = Some(name.to_owned());
            ControlFlow::Break(())
        })?;
        let Some(name) = foreign else { return Ok(()) };
        Err(Error::new(
            Errno::Unsupported,
            format_args!(
                "the work folder {} holds {}, which this version did not make: mount the upper \
                 with the program that did, or remove the folder if nothing in it is needed",
                folder(),
                name.as_name()
            ),
        )
        .in_layer(|| self.plain.label()))
    }

    /// Removes everything in the folder.
    pub(super) fn clear(&self) -> Result<()> {
        // Names first: what a listing shows while it is cut down is not defined.
        let mut names = Vec::new();
        self.plain.list(&self.dir, &mut |name, kind, _| {
            names.push((name.to_owned(), kind));
            ControlFlow::Continue(())
        })?;
        for (name, kind) in names {
            match discard(&*self.plain, &self.dir, name.as_name(), kind) {
                // Dropped meanwhile.
                Err(error) if error.is_not_found() => {}
                other => other?,
            }
        }
        Ok(())
    }

    /// Removes the folder.
    pub(super) fn close(&self, root: &P::Dir) -> Result<()> {
        self.clear()?;
        self.plain.remove_dir(root, folder())
    }

    /// Makes something new in the folder.
    pub(super) fn stage(self: &Arc<Self>, new: New<'_>) -> Result<Staged<P>> {
        let mut bytes = VERSION.to_vec();
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        bytes.extend_from_slice(number.to_string().as_bytes());
        let name = Name::checked(&bytes).to_owned();
        let at = name.as_name();
        let (kind, file) = match new {
            New::File => (
                Kind::File,
                Some(self.plain.create_file(&self.dir, at, 0o666)?),
            ),
            New::Dir { .. } => {
                self.plain.create_dir(&self.dir, at, 0o777)?;
                (Kind::Dir, None)
            }
            New::Symlink(target) => {
                self.plain.symlink(&self.dir, at, target)?;
                (Kind::Symlink, None)
            }
        };
        let staged = Staged {
            staging: self.clone(),
            name,
            kind,
            file,
            published: false,
        };
        // From here on dropping `staged` takes it away again.
        if new == (New::Dir { opaque: true }) {
            staged.set_opaque()?;
        }
        Ok(staged)
    }
}

/// Something in the staging folder. Dropped unpublished, it is removed.
pub struct Staged<P: Plain> {
    staging: Arc<Staging<P>>,
    name: NameBuf,
    kind: Kind,
    file: Option<P::File>,
    published: bool,
}

impl<P: Plain> Staged<P> {
    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    pub(super) fn file(&self) -> Option<&P::File> {
        self.file.as_ref()
    }

    /// Writes the opaque mark into a staged directory, unless it is there.
    pub(super) fn set_opaque(&self) -> Result<()> {
        let plain = &*self.staging.plain;
        let inside = plain.open_dir(&self.staging.dir, self.name.as_name())?;
        oci::make_opaque(plain, &inside).map(drop)
    }

    /// Moves it to its name. A copy gets there even where nothing may be made or moved, since
    /// nobody is to notice it.
    pub(super) fn publish(
        mut self,
        dir: &P::Dir,
        name: Name<'_>,
        is_copy: bool,
    ) -> Result<Option<P::File>> {
        let plain = &*self.staging.plain;
        let staged = (&self.staging.dir, self.name.as_name());
        match plain.rename(staged.0, staged.1, dir, name) {
            Err(error) if is_copy && error.errno() == Errno::Access => {
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
        let plain = &*self.staging.plain;
        let staged = (&self.staging.dir, self.name.as_name());
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
    pub(super) fn dress(&self, attributes: &Attributes) -> Result<()> {
        let plain = &*self.staging.plain;
        let (dir, name) = (&self.staging.dir, Some(self.name.as_name()));
        if let Some(owner) = attributes.owner {
            where_permitted(plain.set_owner(dir, name, owner))?;
        }
        for (attribute, value) in &attributes.xattrs {
            if is_never_copied(attribute) {
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
            match &self.file {
                Some(file) => file.set_mode(mode)?,
                None if self.kind == Kind::Dir => plain.set_mode(dir, name, mode)?,
                None => {}
            }
        }
        if attributes.times.is_noop() {
            return Ok(());
        }
        match &self.file {
            Some(file) => file.set_times(attributes.times),
            None => plain.set_times(dir, name, attributes.times),
        }
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
        error.in_layer(|| self.staging.plain.label())
    }
}

impl<P: Plain> Drop for Staged<P> {
    fn drop(&mut self) {
        if self.published {
            return;
        }
        let staging = &self.staging;
        let name = self.name.as_name();
        match discard(&*staging.plain, &staging.dir, name, self.kind) {
            Ok(()) => {}
            // The mount has ended, and took the folder along.
            Err(error) if error.is_not_found() => {}
            Err(error) => tracing::warn!(
                layer = %staging.plain.label(), %name, %error,
                "cannot remove what was staged; the next mount will"
            ),
        }
    }
}

/// Removes something staged: a directory there holds marks and nothing else.
fn discard<P: Plain>(plain: &P, dir: &P::Dir, name: Name<'_>, kind: Kind) -> Result<()> {
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
/// attribute. A fault (a full disk) stays one.
fn where_permitted(result: Result<()>) -> Result<()> {
    match result {
        Err(error)
            if matches!(
                error.errno(),
                // `invalid`: the user is unknown in this user namespace.
                Errno::NotPermitted | Errno::Access | Errno::Unsupported | Errno::Invalid
            ) =>
        {
            Ok(())
        }
        other => other,
    }
}
