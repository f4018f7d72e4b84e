//! [`MemoryBuilder`]: builds a tree in memory from code.

use super::{MemoryDir, MemoryLayer};
use crate::error::{Errno, Result};
use crate::layer::{At, Layer, New, Over, Upper, WriteAt};
use crate::meta::{Kind, SetTimes};
use crate::name::Name;
use std::sync::Arc;

/// Builds a [`MemoryLayer`], path by path.
///
/// A path is relative to the layer's root, which is the empty path; it is never resolved, so
/// `..` and symbolic links in it are errors. Missing directories of a path are created. Adding a
/// name does not change the times of its directory, so [`times`](Self::times) may be called in any
/// order.
///
/// After the first error the builder does nothing more; [`finish`](Self::finish) returns the error.
///
/// ```
/// use wasi_overlay_core::layer::MemoryLayer;
///
/// # fn main() -> wasi_overlay_core::Result<()> {
/// let layer = MemoryLayer::build()
///     .file("etc/app.toml", b"debug = false\n")
///     .symlink("etc/current", b"app.toml")
///     .whiteout("etc/old.toml")
///     .opaque("var/cache")
///     .finish()?;
/// # let _ = layer;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a builder has no effect until `finish` is called"]
pub struct MemoryBuilder {
    result: Result<MemoryLayer>,
}

impl MemoryBuilder {
    /// Begins an empty tree without a quota: a tree from the embedder's code needs none.
    pub(super) fn new() -> Self {
        Self {
            result: Ok(MemoryLayer::new(u64::MAX, u64::MAX)),
        }
    }

    /// Adds a directory. One that exists already is left unchanged.
    pub fn dir(self, path: impl AsRef<[u8]>) -> Self {
        self.with(path, |layer, path| layer.make_dir(path).map(|_| ()))
    }

    /// Adds a regular file.
    pub fn file(self, path: impl AsRef<[u8]>, data: impl AsRef<[u8]>) -> Self {
        self.with(path, |layer, path| {
            let staged = layer.stage(New::File)?;
            if let Some(file) = &layer.staged_file(&staged) {
                write_all(*file, data.as_ref())?;
            }
            let (dir, name) = layer.parent_of(path)?;
            layer.publish(staged, At::new(&dir, name), Over::Nothing, true)?;
            Ok(())
        })
    }

    /// Adds a symbolic link.
    pub fn symlink(self, path: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.with(path, |layer, path| {
            let node = layer.new_node(New::Symlink(target.as_ref()))?;
            let (dir, name) = layer.parent_of(path)?;
            layer.add(&node, At::new(&dir, name), Over::Nothing)
        })
    }

    /// Adds another name for a file that exists already.
    pub fn link(self, existing: impl AsRef<[u8]>, path: impl AsRef<[u8]>) -> Self {
        self.with(path, |layer, path| {
            let (from, from_name) = layer.parent_of(existing.as_ref())?;
            let (dir, name) = layer.parent_of(path)?;
            let from = At::new(&from, from_name);
            layer.add_link(from, At::new(&dir, name), Over::Nothing)
        })
    }

    /// Adds a fifo, socket or device. Any other `kind` is `invalid`.
    pub fn special(self, path: impl AsRef<[u8]>, kind: Kind, rdev: u64) -> Self {
        self.with(path, |layer, path| {
            if matches!(kind, Kind::File | Kind::Dir | Kind::Symlink) {
                return Err(Errno::Invalid.into());
            }
            let node = layer.new_special(kind, rdev)?;
            let (dir, name) = layer.parent_of(path)?;
            layer.add(&node, At::new(&dir, name), Over::Nothing)
        })
    }

    /// Adds a whiteout, which hides the name in the layers below.
    pub fn whiteout(self, path: impl AsRef<[u8]>) -> Self {
        self.with(path, |layer, path| {
            let (dir, name) = layer.parent_of(path)?;
            layer.add_whiteout(At::new(&dir, name))
        })
    }

    /// Makes a directory opaque, and creates it if it does not exist.
    pub fn opaque(self, path: impl AsRef<[u8]>) -> Self {
        self.with(path, |layer, path| {
            let dir = layer.make_dir(path)?;
            layer.set_opaque(&dir)
        })
    }

    /// Sets the times of the file at a path.
    pub fn times(self, path: impl AsRef<[u8]>, times: SetTimes) -> Self {
        self.with(path, |layer, path| {
            layer.node_at(path)?.set_times(times);
            Ok(())
        })
    }

    /// Sets the permission bits of the file at a path.
    pub fn mode(self, path: impl AsRef<[u8]>, mode: u32) -> Self {
        self.with(path, |layer, path| {
            layer.node_at(path)?.set_mode(mode);
            Ok(())
        })
    }

    /// Sets the user and group of the file at a path.
    pub fn owner(self, path: impl AsRef<[u8]>, user: u32, group: u32) -> Self {
        self.with(path, |layer, path| {
            layer.node_at(path)?.attrs.lock().owner = Some((user, group));
            Ok(())
        })
    }

    /// Sets an extended attribute of the file at a path.
    pub fn xattr(
        self,
        path: impl AsRef<[u8]>,
        attribute: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
    ) -> Self {
        self.with(path, |layer, path| {
            layer
                .node_at(path)?
                .set_xattr(attribute.as_ref(), value.as_ref())
        })
    }

    /// Returns the tree.
    ///
    /// # Errors
    /// The first error, with the path: `invalid` for an invalid path, `exist` for
    /// a name that is taken, `no-entry` for a name that does not exist, `not-directory` for a path
    /// that leads through anything other than a directory.
    pub fn finish(self) -> Result<MemoryLayer> {
        self.result
    }

    fn with(
        self,
        path: impl AsRef<[u8]>,
        make: impl FnOnce(&MemoryLayer, &[u8]) -> Result<()>,
    ) -> Self {
        let path = path.as_ref();
        let result = self.result.and_then(|layer| match make(&layer, path) {
            Ok(()) => Ok(layer),
            Err(error) => Err(error.context(format_args!("making \"{}\"", path.escape_ascii()))),
        });
        Self { result }
    }
}

impl MemoryLayer {
    /// Returns the directory at `path`, and creates it and its ancestors where they are missing.
    fn make_dir(&self, path: &[u8]) -> Result<MemoryDir> {
        let mut dir = self.root()?;
        if path.is_empty() {
            return Ok(dir);
        }
        for name in path.split(|&byte| byte == b'/') {
            let name = Name::new(name)?;
            dir = match self.open_dir(&dir, name) {
                Err(error) if error.is_not_found() => {
                    let node = self.new_node(New::Dir { opaque: false })?;
                    self.add(&node, At::new(&dir, name), Over::Nothing)?;
                    MemoryDir(node)
                }
                found => found?,
            };
        }
        Ok(dir)
    }

    /// Returns the parent directory of `path`, created where it is missing, and the last name.
    fn parent_of<'a>(&self, path: &'a [u8]) -> Result<(MemoryDir, Name<'a>)> {
        let (above, last) = split(path);
        Ok((self.make_dir(above)?, Name::new(last)?))
    }

    /// Looks up the node at `path`. Creates nothing.
    fn node_at(&self, path: &[u8]) -> Result<Arc<super::Node>> {
        let mut node = Arc::clone(&self.0.root);
        if path.is_empty() {
            return Ok(node);
        }
        for name in path.split(|&byte| byte == b'/') {
            node = node.child(Name::new(name)?)?;
        }
        Ok(node)
    }
}

fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&byte| byte == b'/') {
        // "/a" begins with an empty component, which is not a name.
        Some(0) => (b"/", &path[1..]),
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

fn write_all(file: &dyn WriteAt, mut data: &[u8]) -> Result<()> {
    while !data.is_empty() {
        let done = file.append(data)?;
        data = &data[done..];
    }
    Ok(())
}
