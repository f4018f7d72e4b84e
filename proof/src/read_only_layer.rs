//! A read-only overlay as a layer of another overlay.

use crate::snapshot;
use std::ops::ControlFlow;
use wasi_overlay_core::layer::{Found, Layer, Listed, ReadAt};
use wasi_overlay_core::{Dir, Errno, File, Identity, Kind, Meta, Name, Opened, Result, Stat};

/// The overlay's root.
#[derive(Clone, Debug)]
pub struct ReadOnlyLayer(pub Dir);

/// One of its files.
#[derive(Debug)]
pub struct ReadOnlyFile(File);

/// A device number that no host has, for the whole layer.
const DEVICE: u64 = u64::MAX;

fn meta((stat, identity): &(Stat, Identity)) -> Meta {
    Meta {
        kind: stat.kind,
        size: stat.size,
        allocated: None,
        links: stat.links,
        accessed: stat.accessed,
        modified: stat.modified,
        changed: stat.changed,
        device: DEVICE,
        inode: identity.lower,
        mode: None,
        owner: None,
        rdev: 0,
        implied: false,
    }
}

fn text(name: Name<'_>) -> String {
    String::from_utf8_lossy(name.as_bytes()).into_owned()
}

impl Layer for ReadOnlyLayer {
    type Dir = Dir;
    type File = ReadOnlyFile;

    fn root(&self) -> Result<Dir> {
        Ok(self.0.clone())
    }

    fn dir_meta(&self, dir: &Dir) -> Result<Meta> {
        Ok(meta(&(dir.stat()?, dir.identity()?)))
    }

    fn is_opaque(&self, _: &Dir) -> Result<bool> {
        Ok(false)
    }

    fn find(&self, dir: &Dir, name: Name<'_>) -> Result<Found> {
        match dir.stat_and_identity_at(&text(name), false) {
            Ok(found) => Ok(Found::Here {
                meta: meta(&found),
                opaque: false,
            }),
            Err(error) if error.is_not_found() => Ok(Found::Absent),
            Err(error) => Err(error),
        }
    }

    fn open_dir(&self, dir: &Dir, name: Name<'_>) -> Result<Dir> {
        if dir.stat_at(&text(name), false)?.kind != Kind::Dir {
            return Err(Errno::NotDirectory.into());
        }
        match dir.open_at(&text(name), snapshot::READ)? {
            Opened::Dir(dir) => Ok(dir),
            Opened::File(_) => Err(Errno::NotDirectory.into()),
        }
    }

    fn open_file(&self, dir: &Dir, name: Name<'_>) -> Result<ReadOnlyFile> {
        match dir.open_at(&text(name), snapshot::READ)? {
            Opened::File(file) => Ok(ReadOnlyFile(file)),
            Opened::Dir(_) => Err(Errno::IsDirectory.into()),
        }
    }

    fn read_link(&self, dir: &Dir, name: Name<'_>) -> Result<Box<[u8]>> {
        Ok(dir.readlink_at(&text(name))?.into_bytes().into())
    }

    fn list(
        &self,
        dir: &Dir,
        each: &mut dyn FnMut(Name<'_>, Listed) -> ControlFlow<()>,
    ) -> Result<()> {
        for entry in dir.list()?.iter() {
            let listed = Listed::Here {
                kind: entry.kind,
                inode: entry.inode()?,
            };
            if each(entry.name, listed).is_break() {
                break;
            }
        }
        Ok(())
    }
}

impl ReadAt for ReadOnlyFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn meta(&self) -> Result<Meta> {
        Ok(meta(&(self.0.stat()?, self.0.identity()?)))
    }
}
