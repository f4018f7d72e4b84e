//! The matrix in a process with 64 descriptors, which must close what it caches.

use crate::run;
use crate::run::Mount;

fn limited(name: &str, mount: Mount) {
    wasi_overlay_proof::kit::limited(&format!("limited::{name}"), 64, || run(mount));
}

on_each_mount!(limited);
