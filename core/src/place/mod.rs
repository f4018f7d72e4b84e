//! [`Place`]: where a tree is stored, and the registry of the places that this process uses as layers.
//!
//! An upper that is a lower layer, contains one or lies inside one would change data that must never
//! change. Each layer returns its place, and [`registry`] holds the places of all layers of all overlays of
//! the process.

#[cfg(feature = "native")]
pub(crate) mod ending;
pub(crate) mod mounting;
#[cfg(feature = "native")]
pub(crate) mod registry;

#[cfg(feature = "dir")]
use crate::plain::dir::location::{AncestorWalks, DirLocation, LazyMounts};
use std::fmt;
#[cfg(feature = "dir")]
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where a tree is stored. Comparing two places shows whether their trees share files.
///
/// A clone is the same place.
#[derive(Clone)]
pub struct Place(Stored);

#[derive(Clone)]
enum Stored {
    /// Storage that cannot contain another tree.
    Unique(u64),
    #[cfg(feature = "dir")]
    Dir(Arc<DirLocation>),
}

/// The relation of one place to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Both are the same place.
    Same,
    /// It lies inside the other.
    Inside,
    /// The other lies inside it.
    Contains,
}

impl Place {
    /// A new place that is related only to its own clones: storage such as memory, which cannot contain
    /// another tree. A layer creates one for itself and returns clones of it.
    pub fn unique() -> Self {
        // Not one of `crate::sync`, whose atomics belong to one run of a schedule test.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(Stored::Unique(NEXT.fetch_add(1, Ordering::Relaxed)))
    }

    /// The place of an open directory of the host, without the filesystems that are mounted
    /// inside it. With `crosses_mounts` those belong to it too.
    ///
    /// Directories are compared by the device and inode numbers of all their ancestors, so neither
    /// `..` nor a symbolic link hides that one lies in another. Bind mounts are resolved as
    /// far as `/proc/self/mountinfo` shows which directory of its filesystem a mount shows; for NFS it does
    /// not.
    ///
    /// # Errors
    /// `no-entry` for a directory that was removed; those of the system.
    #[cfg(feature = "dir")]
    pub fn of_dir(dir: impl std::os::fd::AsFd, crosses_mounts: bool) -> crate::Result<Self> {
        let place = DirLocation::of(dir.as_fd(), crosses_mounts)?;
        Ok(Self(Stored::Dir(Arc::new(place))))
    }

    /// As [`of_dir`](Self::of_dir), for a directory that stays open as long as the place exists.
    #[cfg(feature = "dir")]
    pub(crate) fn of_open_dir(
        dir: &Arc<std::os::fd::OwnedFd>,
        crosses_mounts: bool,
    ) -> crate::Result<Self> {
        let place = DirLocation::of_open(dir, crosses_mounts)?;
        Ok(Self(Stored::Dir(Arc::new(place))))
    }

    /// Whether a comparison needs no system call on the directory.
    #[cfg(feature = "native")]
    pub(crate) fn is_resolved(&self) -> bool {
        match &self.0 {
            Stored::Unique(_) => true,
            #[cfg(feature = "dir")]
            Stored::Dir(dir) => dir.is_resolved(),
        }
    }

    /// Looks up the ancestors of `places`, which comparisons need.
    ///
    /// # Errors
    /// `mfile` if the process has no descriptor left.
    #[cfg(feature = "native")]
    pub(crate) fn resolve(places: &[Self]) -> crate::Result<()> {
        #[cfg(feature = "dir")]
        let mut walks = AncestorWalks::default();
        places.iter().try_for_each(|place| match &place.0 {
            Stored::Unique(_) => Ok(()),
            #[cfg(feature = "dir")]
            Stored::Dir(dir) => dir.resolve(&mut walks),
        })
    }

    /// The relation of this place to `other`. `None` if they share no files.
    ///
    /// [`Inside`](Relation::Inside) if the system cannot tell, because the process has no descriptor left:
    /// refusing an unrelated layer does less harm than changing a layer.
    pub fn relation(&self, other: &Self) -> Option<Relation> {
        match (&self.0, &other.0) {
            (Stored::Unique(one), Stored::Unique(two)) => (one == two).then_some(Relation::Same),
            #[cfg(feature = "dir")]
            (Stored::Dir(one), Stored::Dir(two)) => {
                let mounts = LazyMounts::default();
                let relation = one.relation(two, &mounts);
                if !mounts.is_missing() {
                    return relation;
                }
                match mounts.read() {
                    Ok(()) => one.relation(two, &mounts),
                    Err(_) => Some(Relation::Inside),
                }
            }
            #[cfg(feature = "dir")]
            (Stored::Unique(_), Stored::Dir(_)) | (Stored::Dir(_), Stored::Unique(_)) => None,
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Stored::Unique(number) => f.debug_tuple("Place").field(number).finish(),
            #[cfg(feature = "dir")]
            Stored::Dir(dir) => f.debug_tuple("Place").field(dir).finish(),
        }
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Same => "it is stored in the same place as",
            Self::Inside => "it lies inside",
            Self::Contains => "it contains",
        })
    }
}
