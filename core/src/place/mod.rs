//! Where trees are stored, and which of them this process uses as layers.
//!
//! An upper that is a lower layer, contains one or lies inside one changes what must never change.
//! Each layer says where it is stored ([`Place`]), and [`registry`] keeps the places of all
//! layers of all overlays of the process.

#[cfg(feature = "native")]
pub(crate) mod registry;

#[cfg(feature = "dir")]
use crate::plain::dir::place::{DirPlace, LazyMounts, Walks};
use std::fmt;
#[cfg(feature = "dir")]
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where a tree is stored: tells whether two trees share any of their files.
///
/// A clone is the same place.
#[derive(Clone)]
pub struct Place(Stored);

#[derive(Clone)]
enum Stored {
    /// Storage that nothing else can lie in.
    Unique(u64),
    #[cfg(feature = "dir")]
    Dir(Arc<DirPlace>),
}

/// How one place lies to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Both are one place.
    Same,
    /// It lies inside the other.
    Inside,
    /// The other lies inside it.
    Contains,
}

impl Place {
    /// A new place, related to its own clones alone: storage such as memory, in which no other
    /// tree can lie. A layer makes one when it is created and returns a clone of it from then on.
    pub fn unique() -> Self {
        // Not one of `crate::sync`, whose atomics belong to one run of a schedule test.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(Stored::Unique(NEXT.fetch_add(1, Ordering::Relaxed)))
    }

    /// The place of an open directory of the host, without the filesystems that are mounted
    /// inside it. With `crosses_mounts` those belong to it too.
    ///
    /// Directories are compared by device and inode number of all their ancestors, so neither
    /// `..` nor a symbolic link hides that one lies in another. Bind mounts are seen through, as
    /// far as `/proc/self/mountinfo` tells where in its filesystem a mount begins; on NFS it does
    /// not.
    ///
    /// # Errors
    /// `no-entry` for a directory that was removed; those of the system.
    #[cfg(feature = "dir")]
    pub fn of_dir(dir: impl std::os::fd::AsFd, crosses_mounts: bool) -> crate::Result<Self> {
        let place = DirPlace::of(dir.as_fd(), crosses_mounts)?;
        Ok(Self(Stored::Dir(Arc::new(place))))
    }

    /// As [`of_dir`](Self::of_dir), for a directory that stays open as long as the place is used.
    #[cfg(feature = "dir")]
    pub(crate) fn of_open_dir(
        dir: &Arc<std::os::fd::OwnedFd>,
        crosses_mounts: bool,
    ) -> crate::Result<Self> {
        let place = DirPlace::of_open(dir, crosses_mounts)?;
        Ok(Self(Stored::Dir(Arc::new(place))))
    }

    /// Whether comparing it takes no system call for the directory.
    #[cfg(feature = "native")]
    pub(crate) fn is_resolved(&self) -> bool {
        match &self.0 {
            Stored::Unique(_) => true,
            #[cfg(feature = "dir")]
            Stored::Dir(dir) => dir.is_resolved(),
        }
    }

    /// Looks up what comparisons of `places` need.
    ///
    /// # Errors
    /// `mfile` if the process has no descriptor left.
    #[cfg(feature = "native")]
    pub(crate) fn resolve(places: &[Self]) -> crate::Result<()> {
        #[cfg(feature = "dir")]
        let mut walks = Walks::default();
        places.iter().try_for_each(|place| match &place.0 {
            Stored::Unique(_) => Ok(()),
            #[cfg(feature = "dir")]
            Stored::Dir(dir) => dir.resolve(&mut walks),
        })
    }

    /// How this place lies to `other`; none if they are apart.
    ///
    /// [`Inside`](Relation::Inside) where the system does not tell (the process has no descriptor left):
    /// refusing a layer that lies apart harms less than changing one.
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
