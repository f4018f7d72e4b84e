//! The guest programs, as constants, for the tests of hosts.
//!
//! `foreach_p1!(each)` and `foreach_p2!(each)` call `each!` with the name of every guest: a test
//! file that names its tests as the guests are named, and that does
//!
//! ```ignore
//! macro_rules! assert_test_exists { ($name:ident) => { use self::$name as _; }; }
//! wasi_overlay_guest_artifacts::foreach_p1!(assert_test_exists);
//! ```
//!
//! does not compile while there is a guest that it does not run.

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

/// Calls a macro of the caller's by its name.
#[doc(hidden)]
#[macro_export]
macro_rules! __call {
    ($each:ident $name:ident) => {
        $each!($name);
    };
}

include!(concat!(env!("OUT_DIR"), "/guests.rs"));
