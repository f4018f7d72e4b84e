//! The matrix in a process with 64 descriptors, which must close what it caches.

use crate::run;
use crate::run::Mount;
use wasi_overlay_proof::kit::limited;

const FEW: u64 = 64;

#[test]
fn on_an_upper_written_by_other_tools() {
    limited("limited::on_an_upper_written_by_other_tools", FEW, || {
        run(Mount::Written)
    });
}

/// As root.
#[test]
fn on_an_upper_from_an_image() {
    limited("limited::on_an_upper_from_an_image", FEW, || {
        run(Mount::Image)
    });
}

#[test]
fn on_an_upper_directory() {
    limited("limited::on_an_upper_directory", FEW, || {
        run(Mount::Directory)
    });
}

#[test]
fn on_an_upper_whose_handles_are_paths() {
    limited("limited::on_an_upper_whose_handles_are_paths", FEW, || {
        run(Mount::ByPath)
    });
}

#[test]
fn on_an_upper_in_memory() {
    limited("limited::on_an_upper_in_memory", FEW, || run(Mount::Memory));
}

#[test]
fn on_a_memory_layer_that_outlives_its_mount() {
    limited(
        "limited::on_a_memory_layer_that_outlives_its_mount",
        FEW,
        || run(Mount::Kept),
    );
}

#[test]
fn without_an_upper() {
    limited("limited::without_an_upper", FEW, || run(Mount::NoUpper));
}

#[test]
fn through_a_read_only_view() {
    limited("limited::through_a_read_only_view", FEW, || {
        run(Mount::ReadOnly)
    });
}
