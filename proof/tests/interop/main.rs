//! Interoperation with the kernel's overlayfs, fuse-overlayfs, umoci, and the storage of skopeo and podman: each
//! reads the other's layers with the same result.
//!
//! `scripts/interop.sh` installs the programs. Tests that the machine cannot run are skipped with the reason, except
//! with `CI=true`. `INTEROP_SEEDS` is the number of random cases of a test; `INTEROP_SEED` selects one of them.

mod changes;
mod image;
mod tree;

mod by_fuse;
mod by_kernel;
mod by_tools;
mod oddities;
mod ours;

use changes::Random;
use std::path::Path;

/// The seeds of a test: `INTEROP_SEED` alone, or the first `INTEROP_SEEDS` ones.
fn seeds(usual: u64) -> std::ops::Range<u64> {
    let number = |name: &str| {
        let value = std::env::var(name).ok()?;
        Some(value.parse::<u64>().expect("a number"))
    };
    match number("INTEROP_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("INTEROP_SEEDS").unwrap_or(usual),
    }
}

/// Makes random changes of a host directory. Returns how many of them succeeded.
fn change_host(random: &mut Random, root: &Path, count: usize) -> usize {
    (0..count)
        .filter(|_| random.change().on_host(root).is_ok())
        .count()
}
