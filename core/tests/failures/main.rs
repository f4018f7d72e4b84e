//! What a log is told of calls that fail: the call, the path, the layer, the reason and the remedy. And
//! what costs nothing where there is no log.
//!
//! `WASMTIME_LOG=wasi_overlay=debug` printed nothing for a missing name, for one that a whiteout hides,
//! for an absolute link, a read-only mount or `EACCES`, and where it printed, it named neither the call
//! nor the path. No test read the log.
#![cfg(feature = "dir")]

mod lines;
mod table;
mod warnings;

use lines::{Line, lines_of, spans_of};
use std::path::Path;
use tracing::Level;
use wasi_overlay_core::{AbsoluteSymlinks, Dir, Errno, File, OpenHow, Opened};

const READ: OpenHow = OpenHow {
    follow: true,
    create: false,
    directory: false,
    exclusive: false,
    truncate: false,
    read: true,
    write: false,
};
const WRITE: OpenHow = OpenHow {
    write: true,
    ..READ
};

fn capability(path: &Path) -> cap_std::fs::Dir {
    cap_std::fs::Dir::open_ambient_dir(path, cap_std::ambient_authority()).unwrap()
}

fn file(dir: &Dir, path: &str, how: OpenHow) -> File {
    match dir.open_at(path, how).unwrap() {
        Opened::File(file) => file,
        Opened::Dir(_) => panic!("{path} is a directory"),
    }
}

fn dir(dir: &Dir, path: &str) -> Dir {
    match dir.open_at(path, READ).unwrap() {
        Opened::Dir(dir) => dir,
        Opened::File(_) => panic!("{path} is a file"),
    }
}
