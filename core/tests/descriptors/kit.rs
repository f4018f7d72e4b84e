//! Directory trees with many files, and mounts of them.

use std::path::Path;
use wasi_overlay_core::{Lower, Overlay};
pub(crate) use wasi_overlay_proof::kit::{CREATE, READ, WRITE, capability, scratch, try_file};

/// Writes a tree of directories `0`, `1`, ... with a file `f` in each. The files are too large
/// for the stack's cache of file data, so reading one needs a descriptor.
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

pub(crate) fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}
