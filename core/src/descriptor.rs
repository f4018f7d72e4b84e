//! [`Dir`] and [`File`]: the directory or file of a mount that a guest's descriptor refers to.
//!
//! Hosts hold these and nothing else of the engine. Each method is one WASI call. The engine resolves
//! paths, checks arguments and chooses error codes once for all versions of WASI, and writes the log
//! lines of failed calls ([`failed`]).

mod failed;
mod opened;

#[cfg(feature = "dir")]
use crate::host_descriptors::guests::Handle;
#[cfg(feature = "dir")]
use crate::live::{Live, LiveDir, LiveFile};
use crate::open_how::FileOrDir;
use crate::overlay::{Overlay, OverlayDir, OverlayFile};
use failed::Named;
#[cfg(feature = "dir")]
use std::sync::Arc;

/// The result of `open-at`: what a guest's descriptor refers to.
#[derive(Clone, Debug)]
pub enum Opened {
    /// A regular file.
    File(File),
    /// A directory.
    Dir(Dir),
}

/// A directory of a mount. A clone refers to the same directory.
///
/// ```
/// use wasi_overlay_core::{OpenHow, Opened, Overlay};
/// # fn main() -> wasi_overlay_core::Result<()> {
/// let overlay = Overlay::builder().upper_memory(1 << 20).build()?;
/// let root = overlay.root();
/// root.create_directory_at("dir")?;
/// if let Opened::File(file) = root.open_at("dir/file", OpenHow::CREATE)? {
///     file.write_at(b"data", 0)?;
/// }
/// let names: Vec<_> = root.list()?.iter().map(|entry| entry.name.to_string()).collect();
/// assert_eq!(names, ["dir"]);
/// # Ok(())
/// # }
/// ```
///
/// It refers to the same directory after a rename. Once the directory is removed, calls that take
/// a path fail with `no-entry`; `stat` still works.
///
/// Paths are relative to the directory, with `/` between components. A path that is absolute or leads
/// above the directory fails with `not-permitted`, an empty path with `no-entry`, and a path through
/// more than 40 symbolic links with `loop`.
#[derive(Clone, Debug)]
pub struct Dir {
    repr: DirRepr,
    /// Whether it was opened with `mutate-directory`.
    pub(crate) mutate_directory: bool,
    /// Its entry in the count of the guest's open handles. `None` where handles are not counted.
    #[cfg(feature = "dir")]
    handle: Option<Arc<Handle>>,
}

#[derive(Clone, Debug)]
enum DirRepr {
    Overlay(OverlayDir),
    #[cfg(feature = "dir")]
    Live(LiveDir),
}

/// An open regular file. A clone refers to the same open file.
///
/// It refers to the same file after copy-up, after a rename, and after removal of its last name.
#[derive(Clone, Debug)]
pub struct File(FileRepr);

#[derive(Clone, Debug)]
enum FileRepr {
    Overlay(OverlayFile),
    #[cfg(feature = "dir")]
    Live(LiveFile),
}

/// Calls a method of the directory, whichever kind of mount it is in. On a live mount the call always
/// goes to the system.
macro_rules! dir {
    ($self:expr, $dir:ident => $call:expr) => {
        match &$self.repr {
            DirRepr::Overlay($dir) => $call,
            #[cfg(feature = "dir")]
            DirRepr::Live($dir) => $crate::descriptor::call_system(|| retry_operation(|| $call)),
        }
    };
}

macro_rules! file {
    ($self:expr, $file:ident => $call:expr) => {
        match &$self.0 {
            FileRepr::Overlay($file) => $call,
            #[cfg(feature = "dir")]
            FileRepr::Live($file) => $crate::descriptor::call_system(|| $call),
        }
    };
}

/// Makes a call on a live mount, which always goes to the system. It is a function of its own, not
/// inlined, so that calls on overlays are as fast as if there were no other kind of mount.
#[cfg(feature = "dir")]
#[inline(never)]
fn call_system<T>(call: impl FnOnce() -> crate::Result<T>) -> crate::Result<T> {
    crate::at_once::may_wait()?;
    call()
}

/// Makes a call that changes something or goes to a disk: it is never made in an attempt that [must not
/// block](crate::at_once()).
macro_rules! change {
    ($call:expr) => {
        $crate::at_once::may_wait().and_then(|()| $call)
    };
}

/// Returns the result of a call, and writes a log line if the call failed.
macro_rules! logged {
    ($of:expr, $call:literal, $named:expr, $answer:expr) => {{
        let mut answer = $answer;
        if let Err(error) = &mut answer
            && failed::is_wanted(error)
        {
            $of.log_failure($call, $named, error);
        }
        answer
    }};
}

// Declared below the macros, which these modules use.
mod dir;
#[cfg(feature = "native")]
mod embedder;
mod file;

#[cfg(feature = "native")]
pub use embedder::{Walk, WalkEntry};

/// A mount's root directory counts as opened with `mutate-directory`.
impl From<DirRepr> for Dir {
    fn from(repr: DirRepr) -> Self {
        Self {
            repr,
            mutate_directory: true,
            #[cfg(feature = "dir")]
            handle: None,
        }
    }
}

impl From<OverlayDir> for Dir {
    fn from(dir: OverlayDir) -> Self {
        DirRepr::Overlay(dir).into()
    }
}

impl From<OverlayFile> for File {
    fn from(file: OverlayFile) -> Self {
        Self(FileRepr::Overlay(file))
    }
}

#[cfg(feature = "dir")]
impl From<LiveDir> for Dir {
    fn from(dir: LiveDir) -> Self {
        DirRepr::Live(dir).into()
    }
}

#[cfg(feature = "dir")]
impl From<LiveFile> for File {
    fn from(file: LiveFile) -> Self {
        Self(FileRepr::Live(file))
    }
}

#[cfg(feature = "dir")]
impl Opened {
    /// Attaches `handle` to a file or directory that was just opened: it counts for as long as anything
    /// holds that file or directory.
    fn with_handle(mut self, mut handle: Handle) -> Self {
        match &mut self {
            Self::File(File(FileRepr::Overlay(file))) => file.attach_handle(handle),
            Self::File(File(FileRepr::Live(file))) => file.attach_handle(handle),
            Self::Dir(dir) => {
                if let DirRepr::Overlay(_) = dir.repr {
                    // Its descriptors belong to the cache, which can close and reopen them.
                    handle.limit_descriptors(0);
                }
                dir.handle = Some(Arc::new(handle));
            }
        }
        self
    }
}

/// What an open of either kind of mount returned.
impl<F: Into<File>, D: Into<Dir>> From<FileOrDir<F, D>> for Opened {
    fn from(opened: FileOrDir<F, D>) -> Self {
        match opened {
            FileOrDir::File(file) => Self::File(file.into()),
            FileOrDir::Dir(dir) => Self::Dir(dir.into()),
        }
    }
}

impl Overlay {
    /// The root directory.
    pub fn root(&self) -> Dir {
        self.root_dir(false).into()
    }

    /// The root directory, through which changes fail with `read-only`.
    pub fn read_only_root(&self) -> Dir {
        self.root_dir(true).into()
    }
}

#[cfg(feature = "dir")]
impl Live {
    /// The root directory.
    pub fn root(&self) -> Dir {
        self.root_dir().clone().into()
    }
}
