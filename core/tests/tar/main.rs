//! Tests of layers in tar archives: what odd archives mean, archives of other programs against what those
//! programs unpack, damaged archives, and bounds.

mod archive;
mod bounds;
mod damaged;
mod odd;
mod saved;
mod show;
mod stacks;
mod tools;

use archive::{Archive, Scan};
use wasi_overlay_core::layer::conformance::{self, Entry};

/// The suite that every layer has to pass.
#[test]
fn archive_conforms_to_the_contract_of_a_layer() {
    let mut archive = Archive::default();
    for entry in conformance::fixture() {
        archive = match entry {
            Entry::Dir(path) => archive.dir(path, 0o755),
            Entry::OpaqueDir(path) => {
                let opaque = [&path[..], b"/.wh..wh..opq"].concat();
                archive.dir(path, 0o755).file(opaque, b"")
            }
            Entry::File(path, data) => archive.file(path, &data),
            Entry::Symlink(path, target) => archive.symlink(path, &target),
            Entry::Whiteout(path) => {
                let slash = path.iter().rposition(|byte| *byte == b'/');
                let (dir, name) = path.split_at(slash.map_or(0, |slash| slash + 1));
                archive.file([dir, b".wh.", name].concat(), b"")
            }
        };
    }
    conformance::reads(&archive.layer());
}
