//! What the fuzzers run. Each function takes bytes that choose, and panics where the engine is not
//! what it has to be; the programs in `fuzz/` do nothing but call them, and so does a test with the
//! corpora that are kept there.

mod marks;
mod operations;
mod paths;

pub use marks::marks;
pub use operations::operations;
pub use paths::paths;

use std::path::Path;

fn capability(path: &Path) -> cap_std::fs::Dir {
    let opened = cap_std::fs::Dir::open_ambient_dir(path, cap_std::ambient_authority());
    opened.expect("a directory of ours")
}

/// In memory where that can be had: a fuzzer makes a thousand a second.
fn scratch() -> tempfile::TempDir {
    let made = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    made.expect("a temporary directory")
}
