//! The guest programs, as constants, for the tests of hosts.
//!
//! `foreach_p1!(each)` and `foreach_p2!(each)` call `each!(name CONSTANT)` for every guest. A test
//! file that makes its tests with them runs every guest, whoever adds the next one.

use std::path::Path;

/// One guest program.
#[derive(Clone, Copy, Debug)]
pub struct Guest {
    /// The name: its WASI version and its behaviour.
    pub name: &'static str,
    /// Where the built program lies.
    path: &'static str,
}

impl Guest {
    /// Where the built program lies: a core module for WASI 0.1, a component for 0.2.
    ///
    /// # Panics
    /// If the guests were not built.
    pub fn path(&self) -> &'static Path {
        let path = Path::new(self.path);
        assert!(
            path.exists(),
            "{} is missing: build the guests with `just guests` (scripts/build-guests.sh)",
            self.path
        );
        path
    }
}

include!(concat!(env!("OUT_DIR"), "/guests.rs"));
