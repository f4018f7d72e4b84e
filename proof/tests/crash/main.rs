//! Crashes, power losses and failing calls of layers, and the state that each leaves.
//!
//! | file | tries |
//! |---|---|
//! | `cut.rs` | every operation of the matrix, cut after each change |
//! | `power.rs` | the same and random plans, with unsynced data lost or torn, and unsynced names lost from the end (ext4, xfs) or anywhere (btrfs) |
//! | `directories.rs` | the rename of a directory of many files, with the power lost at every moment of it |
//! | `fault.rs` | every operation of the matrix, with each call of a layer failing once |
//! | `plans.rs` | random plans on real directories, cut and faulted |
//! | `host.rs` | some of the matrix on real directories |
//! | `real.rs` | ext4, xfs and btrfs in images that are copied in the middle of an operation (root) |
//!
//! The disk of most of them is one in memory (`disk.rs`) that keeps every moment of its life
//! (`journal.rs`). A sample is tried that is the same each time; `CRASH=all` tries all.
//! `MATRIX_STATE` and `MATRIX_OP` choose cells by parts of their names.

mod cell;
mod cut;
mod directories;
mod disk;
mod fault;
mod history;
mod host;
mod journal;
mod plans;
mod power;
mod random;
mod real;
mod regressions;
mod unordered;

use disk::Disk;
use wasi_overlay_core::layer::conformance;
use wasi_overlay_core::whiteouts::Marked;

macro_rules! passes {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            conformance::$name(&|| Marked::upper(Disk::default()));
        }
    )*};
}

/// What is found on the disk in memory would otherwise mean nothing. It has no holes.
mod the_disk_in_memory {
    use super::*;

    passes! {
        names creates staging publishes copies removes removed_objects renames links sequences writes
        sizes times modes xattrs threads
    }
}
