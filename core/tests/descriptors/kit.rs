//! Trees of many directories, and mounts of them.

use std::path::Path;
use wasi_overlay_core::{Dir, File, Lower, OpenHow, Opened, Overlay, Result};

pub(crate) const READ: OpenHow = OpenHow {
    follow: true,
    create: false,
    directory: false,
    exclusive: false,
    truncate: false,
    read: true,
    write: false,
};
pub(crate) const WRITE: OpenHow = OpenHow {
    write: true,
    ..READ
};
pub(crate) const CREATE: OpenHow = OpenHow {
    create: true,
    ..WRITE
};

pub(crate) fn capability(path: &Path) -> cap_std::fs::Dir {
    cap_std::fs::Dir::open_ambient_dir(path, cap_std::ambient_authority()).unwrap()
}

pub(crate) fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

/// Writes a tree of directories `0`, `1`, ... with a file `f` in each. The data is more than a stack
/// keeps in memory of a file, so each file that is read takes a descriptor.
pub(crate) fn write_tree(root: &Path, dirs: usize) {
    for index in 0..dirs {
        let dir = root.join(index.to_string());
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::File::create(dir.join("f"))
            .unwrap()
            .set_len(100_000)
            .unwrap();
    }
}

pub(crate) fn lower(path: &Path) -> Lower {
    Lower::dir("lower", capability(path)).unwrap()
}

/// An overlay of `path/lower` with the upper `path/upperN`.
pub(crate) fn writable(path: &Path, number: usize) -> Overlay {
    let upper = path.join(format!("upper{number}"));
    std::fs::create_dir_all(&upper).unwrap();
    Overlay::builder()
        .lower(lower(&path.join("lower")))
        .upper_dir("upper", capability(&upper))
        .volatile(true)
        .build()
        .unwrap()
}

pub(crate) fn file(root: &Dir, path: &str, how: OpenHow) -> Result<File> {
    match root.open_at(path, how)? {
        Opened::File(file) => Ok(file),
        Opened::Dir(_) => panic!("{path} is a directory"),
    }
}

pub(crate) fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}
