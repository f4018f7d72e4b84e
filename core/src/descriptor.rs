//! What a guest's descriptor stands for: a directory or a file of some mount.
//!
//! Hosts hold these and nothing else of the engine. A method is one WASI call: path resolution,
//! checks and error codes are done here, once for all versions of WASI. So are the log lines of calls
//! that fail ([`failed`]).

mod failed;

#[cfg(feature = "dir")]
use crate::descriptors::guests::Handle;
#[cfg(feature = "dir")]
use crate::live::{LiveDir, LiveFile};
use crate::overlay::{OverlayDir, OverlayFile};
use failed::Named;
pub(crate) use failed::{not_open_for, other_mount};
#[cfg(feature = "dir")]
use std::sync::Arc;

/// How to open: `path-flags`, `open-flags` and `descriptor-flags` of `wasi:filesystem`, less
/// what means nothing to a filesystem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct OpenHow {
    /// Follow a symbolic link in the last place.
    pub follow: bool,
    /// Make the file if it is not there.
    pub create: bool,
    /// Fail unless it is a directory.
    pub directory: bool,
    /// With `create`, fail if there is anything.
    pub exclusive: bool,
    /// Cut the file to nothing.
    pub truncate: bool,
    /// For reading. Neither `read` nor `write` is for reading too, as in wasmtime-wasi.
    pub read: bool,
    /// For writing.
    pub write: bool,
}

/// What an open gave: what a guest's descriptor stands for.
#[derive(Clone, Debug)]
pub enum Opened {
    /// A regular file.
    File(File),
    /// A directory.
    Dir(Dir),
}

/// A directory of a mount. A clone is the same directory.
///
/// It stays the directory that it is when that is renamed. Once it is removed, calls that take
/// a path fail with `no-entry`, `stat` works.
///
/// Paths are relative to the directory, components between `/`. One that is absolute or leads
/// above the directory is `not-permitted`; an empty one `no-entry`; 40 symbolic links `loop`.
#[derive(Clone, Debug)]
pub struct Dir {
    repr: DirRepr,
    /// Whether it was opened for changes in it.
    pub(crate) mutate_directory: bool,
    /// What it counts as of its guest's handles. None where no guest is counted.
    #[cfg(feature = "dir")]
    handle: Option<Arc<Handle>>,
}

#[derive(Clone, Debug)]
enum DirRepr {
    Overlay(OverlayDir),
    #[cfg(feature = "dir")]
    Live(LiveDir),
}

/// An open regular file. A clone is the same open file.
///
/// It stays the file that it is: through copy-up, rename, and removal of its last name.
#[derive(Clone, Debug)]
pub struct File(FileRepr);

#[derive(Clone, Debug)]
enum FileRepr {
    Overlay(OverlayFile),
    #[cfg(feature = "dir")]
    Live(LiveFile),
}

/// A call. That of a live mount always asks the system.
macro_rules! dir {
    ($self:expr, $dir:ident => $call:expr) => {
        match &$self.repr {
            DirRepr::Overlay($dir) => $call,
            #[cfg(feature = "dir")]
            DirRepr::Live($dir) => $crate::descriptor::ask_system(|| retry_operation(|| $call)),
        }
    };
}

macro_rules! file {
    ($self:expr, $file:ident => $call:expr) => {
        match &$self.0 {
            FileRepr::Overlay($file) => $call,
            #[cfg(feature = "dir")]
            FileRepr::Live($file) => $crate::descriptor::ask_system(|| $call),
        }
    };
}

/// A call of a live mount, which always asks the system. Apart, so that calls of overlays are as quick as if
/// there were no other mounts.
#[cfg(feature = "dir")]
#[inline(never)]
fn ask_system<T>(call: impl FnOnce() -> crate::Result<T>) -> crate::Result<T> {
    crate::at_once::may_wait()?;
    call()
}

/// A call that is not made where an answer is wanted [at once](crate::at_once()): it changes something,
/// or is about a disk.
macro_rules! change {
    ($call:expr) => {
        $crate::at_once::may_wait().and_then(|()| $call)
    };
}

/// The answer of a call, after the line of the log if it failed.
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

// Below the macros, which are theirs.
mod dir;
mod file;

/// A mount's root is open for changes in it.
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
    /// What was just opened, which counts as `handle` for as long as anything holds it.
    fn counted(mut self, mut handle: Handle) -> Self {
        match &mut self {
            Self::File(File(FileRepr::Overlay(file))) => file.count(handle),
            Self::File(File(FileRepr::Live(file))) => file.count(handle),
            Self::Dir(dir) => {
                if let DirRepr::Overlay(_) = dir.repr {
                    // Its handles are cached, and opened anew.
                    handle.keep_descriptors(0);
                }
                dir.handle = Some(Arc::new(handle));
            }
        }
        self
    }
}
