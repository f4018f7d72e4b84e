//! Crashes, power losses and failing calls of layers, and the state that each one leaves.
//!
//! | file | tries |
//! |---|---|
//! | `cut.rs` | every operation of the matrix, interrupted after each change |
//! | `power.rs` | the same and random plans, with unsynced data lost or torn, and unsynced names lost from the end (ext4, xfs) or anywhere (btrfs) |
//! | `directories.rs` | the rename of a directory of many files, with power lost at every moment |
//! | `fault.rs` | every operation of the matrix, with each call of a layer failing once |
//! | `plans.rs` | random plans on host directories, interrupted and with failing steps |
//! | `host.rs` | a sample of the matrix on host directories |
//! | `real.rs` | ext4, xfs and btrfs in images that are copied in the middle of an operation (root) |
//!
//! Most use a disk in memory (`disk.rs`) that records its state after every change (`journal.rs`). They try a
//! fixed sample; `CRASH=all` tries all. `MATRIX_STATE` and `MATRIX_OP` select cells by parts of their names.

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

/// Tests of the disk in memory itself, which has no sparse files.
mod disk_in_memory {
    use super::*;

    passes! {
        names creates staging publishes copies removes removed_objects renames links sequences writes
        sizes times modes xattrs threads
    }
}
