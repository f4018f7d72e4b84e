//! The configuration of a composed component, and its format in the component.
//!
//! The component reads its configuration from a slot in its own data: [`MAGIC`], then text up to
//! the first NUL, padded to [`SLOT_BYTES`]. `wasi-overlay compose` finds the slot by its magic and
//! fills it. The text has one setting per line, so that `strings` shows it:
//!
//! ```text
//! lower=/base            a preopen that is a lower, bottom first
//! lower=/app
//! upper=/changes         the preopen that is the upper
//! at=/                   the guest's preopen for the merged tree
//! pass=/dev              a preopen that is passed to the guest unchanged
//! read-only              changes are refused
//! volatile               the overlay never waits for the disk
//! ```

#![forbid(unsafe_code)]

mod slot;
mod validate;

pub use slot::{MAGIC, SLOT_BYTES};
pub use validate::ConfigError;

/// Which preopens of the host are layers, and which preopens the guest gets.
///
/// Names are the host's names of its preopens (`GUEST` in `wasmtime run --dir HOST::GUEST`), and are
/// compared byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The read-only layers, bottom first.
    pub lowers: Vec<String>,
    /// The layer that takes all changes. Without one, changes fail with `read-only`.
    pub upper: Option<String>,
    /// The name of the guest's preopen for the merged tree.
    pub at: String,
    /// Refuse changes even if there is an upper.
    pub read_only: bool,
    /// Never wait for the disk.
    pub volatile: bool,
    /// Preopens that are passed to the guest unchanged. The guest gets no others.
    pub pass: Vec<String>,
}

impl Default for Config {
    /// No layers, and the merged tree at `/`.
    fn default() -> Self {
        Self {
            lowers: Vec::new(),
            upper: None,
            at: "/".to_owned(),
            read_only: false,
            volatile: false,
            pass: Vec::new(),
        }
    }
}
