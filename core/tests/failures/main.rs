//! The log of failing calls: each line has the call, the path, the layer, the reason and the remedy. Without a log,
//! nothing is formatted.
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
use wasi_overlay_core::{AbsoluteSymlinks, Dir, Errno};
use wasi_overlay_proof::kit::{CREATE, READ, WRITE, capability, dir, file, how};
