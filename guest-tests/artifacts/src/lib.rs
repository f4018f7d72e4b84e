//! Constants for the guest programs, with the paths of their artifacts, for the tests of hosts.
//!
//! `foreach_p1!(each)`, `foreach_p2!(each)` and `foreach_p3!(each)` call `each!(name CONSTANT)` for
//! every guest. A test file that generates its tests with them also runs guests that are added later.

use std::path::{Path, PathBuf};

/// One guest program.
#[derive(Clone, Copy, Debug)]
pub struct Guest {
    /// The name: its WASI version and its behaviour.
    pub name: &'static str,
    /// The path of the built program.
    path: &'static str,
}

impl Guest {
    /// The path of the built program: a core module for WASI 0.1, a component for 0.2 and 0.3.
    ///
    /// # Panics
    /// If the guests are not built.
    pub fn path(&self) -> &'static Path {
        built(Path::new(self.path))
    }

    /// The path of the core module of a component for WASI 0.2, with the component's types in a custom
    /// section.
    ///
    /// # Panics
    /// If the guests are not built, and for a guest for WASI 0.1.
    pub fn core_path(&self) -> PathBuf {
        let path = Path::new(self.path);
        let name = path.file_name().expect("a guest has a name");
        built(path.with_file_name("core").join(name))
    }
}

fn built<P: AsRef<Path>>(path: P) -> P {
    assert!(
        path.as_ref().exists(),
        "{} is missing: build the guests with `just guests` (scripts/build-guests.sh)",
        path.as_ref().display()
    );
    path
}

include!(concat!(env!("OUT_DIR"), "/guests.rs"));
