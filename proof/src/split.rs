//! The rotation of a live directory: like an upper that becomes a layer, it loses its hard links.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Replaces hard links in a directory tree by copies. Keeps all times, except those of the root.
///
/// # Panics
/// If that fails.
pub(crate) fn split_links(root: &Path) {
    let mut dirs = vec![root.to_owned()];
    while let Some(dir) = dirs.pop() {
        let before = fs::metadata(&dir).expect("a directory");
        for entry in fs::read_dir(&dir).expect("a directory") {
            let path = entry.expect("an entry").path();
            let meta = fs::symlink_metadata(&path).expect("an entry");
            if meta.is_dir() {
                dirs.push(path);
            } else if meta.nlink() > 1 {
                let target = fs::read_link(&path);
                let data = fs::read(&path);
                fs::remove_file(&path).expect("a name");
                match target {
                    Ok(target) => std::os::unix::fs::symlink(target, &path).expect("a link"),
                    Err(_) => fs::write(&path, data.expect("a file")).expect("a file"),
                }
                put_times(&path, &meta);
            }
        }
        if dir != root {
            put_times(&dir, &before);
        }
    }
    let now = std::time::SystemTime::now();
    let dir = fs::File::open(root).expect("a directory");
    dir.set_modified(now).expect("times can be set");
}

fn put_times(path: &Path, meta: &fs::Metadata) {
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
    let times = Timestamps {
        last_access: Timespec {
            tv_sec: meta.atime(),
            tv_nsec: meta.atime_nsec(),
        },
        last_modification: Timespec {
            tv_sec: meta.mtime(),
            tv_nsec: meta.mtime_nsec(),
        },
    };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).expect("times can be set");
}
