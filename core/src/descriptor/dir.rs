//! The methods of [`Dir`]: one for each WASI call on a directory.

use super::{Dir, DirRepr, Named, Opened, failed};
#[cfg(feature = "dir")]
use crate::error::Error;
use crate::error::Result;
#[cfg(feature = "dir")]
use crate::host_descriptors::{OpenHandles, retry_operation};
use crate::listing::Listing;
use crate::meta::{Identity, SetTimes, Stat};
use crate::open_how::OpenHow;
use crate::overlay::OverlayDir;
use std::sync::Arc;

impl Dir {
    /// `open-at`.
    ///
    /// # Errors
    /// Those of POSIX `openat`. `exist` with `exclusive` on anything that exists, a symbolic
    /// link included; `is-directory` to write a directory; `invalid` for `directory` together
    /// with `create`, `exclusive` or `truncate`; `unsupported` for anything that is neither a file nor
    /// a directory; `read-only`; `mfile` if the guest has reached its limit of open handles
    /// ([`counted`](Self::counted)).
    pub fn open_at(&self, path: &str, how: OpenHow) -> Result<Opened> {
        let open = || {
            #[cfg(feature = "dir")]
            let handle = match &self.handle {
                Some(handle) => Some(handle.guest().open(self.descriptors_per_file())?),
                None => None,
            };
            let opened = dir!(self, dir => dir.open_at(path, how).map(Opened::from))?;
            #[cfg(feature = "dir")]
            let opened = match handle {
                Some(handle) => opened.with_handle(handle),
                None => opened,
            };
            Ok(opened)
        };
        let named = Named::Path(path, how.follow);
        let mut opened = logged!(self, "open-at", named, open())?;
        opened.set_mutate_directory(false);
        Ok(opened)
    }

    /// Returns the same directory with the handles of `guest` counted: those opened through it, and
    /// through directories that are opened from it. The directory itself does not count.
    #[cfg(feature = "dir")]
    #[must_use]
    pub fn counted(&self, guest: &OpenHandles) -> Self {
        Self {
            handle: Some(Arc::new(guest.preopened())),
            ..self.clone()
        }
    }

    /// The maximum number of descriptors of the process that one open file of the mount holds.
    #[cfg(feature = "dir")]
    fn descriptors_per_file(&self) -> usize {
        match &self.repr {
            DirRepr::Overlay(dir) => dir.descriptors_per_file(),
            DirRepr::Live(_) => 1,
        }
    }

    /// `stat-at`.
    ///
    /// # Errors
    /// Those of POSIX `fstatat`.
    #[inline(always)]
    pub fn stat_at(&self, path: &str, follow: bool) -> Result<Stat> {
        let answer = dir!(self, dir => dir.stat_at(path, follow));
        logged!(self, "stat-at", Named::Path(path, follow), answer)
    }

    /// [`stat_at`](Self::stat_at) and [`identity_at`](Self::identity_at) of one file, for WASI 0.1,
    /// which shows both at once.
    ///
    /// # Errors
    /// Those of POSIX `fstatat`.
    #[inline(always)]
    pub fn stat_and_identity_at(&self, path: &str, follow: bool) -> Result<(Stat, Identity)> {
        let answer = dir!(self, dir => dir.stat_and_identity_at(path, follow));
        logged!(self, "stat-at", Named::Path(path, follow), answer)
    }

    /// `metadata-hash-at`.
    ///
    /// # Errors
    /// Those of POSIX `fstatat`.
    #[inline(always)]
    pub fn identity_at(&self, path: &str, follow: bool) -> Result<Identity> {
        let answer = dir!(self, dir => dir.identity_at(path, follow));
        logged!(self, "metadata-hash-at", Named::Path(path, follow), answer)
    }

    /// `set-times-at`.
    ///
    /// # Errors
    /// Those of POSIX `utimensat`; `read-only`.
    pub fn set_times_at(&self, path: &str, follow: bool, times: SetTimes) -> Result<()> {
        let answer = change!(dir!(self, dir => dir.set_times_at(path, follow, times)));
        logged!(self, "set-times-at", Named::Path(path, follow), answer)
    }

    /// `create-directory-at`.
    ///
    /// # Errors
    /// Those of POSIX `mkdirat`; `read-only`.
    pub fn create_directory_at(&self, path: &str) -> Result<()> {
        let answer = change!(dir!(self, dir => dir.create_directory_at(path)));
        logged!(
            self,
            "create-directory-at",
            Named::Path(path, false),
            answer
        )
    }

    /// `remove-directory-at`.
    ///
    /// # Errors
    /// Those of POSIX `unlinkat` with `AT_REMOVEDIR`; `read-only`.
    pub fn remove_directory_at(&self, path: &str) -> Result<()> {
        let answer = change!(dir!(self, dir => dir.remove_directory_at(path)));
        logged!(
            self,
            "remove-directory-at",
            Named::Path(path, false),
            answer
        )
    }

    /// `unlink-file-at`.
    ///
    /// # Errors
    /// Those of POSIX `unlinkat`, but `is-directory` for a directory; `read-only`.
    pub fn unlink_file_at(&self, path: &str) -> Result<()> {
        let answer = change!(dir!(self, dir => dir.unlink_file_at(path)));
        logged!(self, "unlink-file-at", Named::Path(path, false), answer)
    }

    /// `symlink-at`: makes `path` a link to `target`.
    ///
    /// # Errors
    /// Those of POSIX `symlinkat`; `not-permitted` for an absolute target; `read-only`.
    pub fn symlink_at(&self, target: &str, path: &str) -> Result<()> {
        let answer = change!(dir!(self, dir => dir.symlink_at(target, path)));
        logged!(self, "symlink-at", Named::Path(path, false), answer)
    }

    /// `readlink-at`.
    ///
    /// # Errors
    /// Those of POSIX `readlinkat`; `not-permitted` for an absolute target, unless the mount
    /// resolves those; `illegal-byte-sequence` for a target that is not UTF-8.
    pub fn readlink_at(&self, path: &str) -> Result<String> {
        let answer = dir!(self, dir => dir.readlink_at(path));
        logged!(self, "readlink-at", Named::Path(path, false), answer)
    }

    /// `link-at`. A symbolic link at `path` is not followed.
    ///
    /// # Errors
    /// Those of POSIX `linkat`; `not-permitted` for a directory; `cross-device` between mounts;
    /// `read-only`.
    pub fn link_at(&self, path: &str, new_dir: &Self, new_path: &str) -> Result<()> {
        let answer = change!(match (&self.repr, &new_dir.repr) {
            (DirRepr::Overlay(old), DirRepr::Overlay(new)) => old.link_at(path, new, new_path),
            #[cfg(feature = "dir")]
            (DirRepr::Live(old), DirRepr::Live(new)) => {
                retry_operation(|| old.link_at(path, new, new_path))
            }
            #[cfg(feature = "dir")]
            (DirRepr::Overlay(_), DirRepr::Live(_)) | (DirRepr::Live(_), DirRepr::Overlay(_)) => {
                Err(Error::different_mounts())
            }
        });
        logged!(
            self,
            "link-at",
            Named::TwoPaths(path, new_dir, new_path),
            answer
        )
    }

    /// `rename-at`.
    ///
    /// # Errors
    /// Those of POSIX `renameat`; `cross-device` between mounts; `read-only`.
    pub fn rename_at(&self, path: &str, new_dir: &Self, new_path: &str) -> Result<()> {
        let answer = change!(match (&self.repr, &new_dir.repr) {
            (DirRepr::Overlay(old), DirRepr::Overlay(new)) => old.rename_at(path, new, new_path),
            #[cfg(feature = "dir")]
            (DirRepr::Live(old), DirRepr::Live(new)) => {
                retry_operation(|| old.rename_at(path, new, new_path))
            }
            #[cfg(feature = "dir")]
            (DirRepr::Overlay(_), DirRepr::Live(_)) | (DirRepr::Live(_), DirRepr::Overlay(_)) => {
                Err(Error::different_mounts())
            }
        });
        logged!(
            self,
            "rename-at",
            Named::TwoPaths(path, new_dir, new_path),
            answer
        )
    }

    /// `read-directory`: a snapshot of the entries, each name once, without `.` and `..`.
    ///
    /// # Errors
    /// Those of POSIX `getdents`.
    pub fn list(&self) -> Result<Arc<Listing>> {
        let answer = dir!(self, dir => dir.list());
        logged!(self, "read-directory", Named::Nothing, answer)
    }

    /// `stat`.
    ///
    /// # Errors
    /// Any error returned by the layer.
    pub fn stat(&self) -> Result<Stat> {
        let answer = dir!(self, dir => dir.stat());
        logged!(self, "stat", Named::Nothing, answer)
    }

    /// `metadata-hash`.
    ///
    /// # Errors
    /// Any error returned by the layer.
    pub fn identity(&self) -> Result<Identity> {
        let answer = dir!(self, dir => dir.identity());
        logged!(self, "metadata-hash", Named::Nothing, answer)
    }

    /// `set-times`.
    ///
    /// # Errors
    /// Those of POSIX `futimens`; `read-only`.
    pub fn set_times(&self, times: SetTimes) -> Result<()> {
        let answer = change!(dir!(self, dir => dir.set_times(times)));
        logged!(self, "set-times", Named::Nothing, answer)
    }

    /// `sync`, or `sync-data` with `data_only`: flushes the names in the directory to disk.
    ///
    /// # Errors
    /// Those of POSIX `fsync`.
    pub fn sync(&self, data_only: bool) -> Result<()> {
        let answer = change!(dir!(self, dir => dir.sync(data_only)));
        logged!(self, "sync", Named::Nothing, answer)
    }

    /// The directory as an [`OverlayDir`], for operations that WASI has no call for. `None` for a
    /// directory of a live mount.
    pub fn as_overlay(&self) -> Option<&OverlayDir> {
        match &self.repr {
            DirRepr::Overlay(dir) => Some(dir),
            #[cfg(feature = "dir")]
            DirRepr::Live(_) => None,
        }
    }

    /// Whether the mount is writable.
    pub fn is_writable(&self) -> bool {
        match &self.repr {
            DirRepr::Overlay(dir) => dir.is_writable(),
            #[cfg(feature = "dir")]
            DirRepr::Live(dir) => dir.is_writable(),
        }
    }

    /// The flag `mutate-directory` for `get-flags`: set if the mount is writable and the directory was
    /// opened with the flag or is the mount's root.
    pub fn reports_mutable(&self) -> bool {
        self.mutate_directory && self.is_writable()
    }
}
