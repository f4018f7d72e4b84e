//! What a composed component layers, and how that is written into it.
//!
//! The component reads its configuration from a slot in its own data: [`MAGIC`], then text up to
//! the first NUL, [`SLOT_BYTES`] in all. `wasi-overlay compose` finds the slot by its magic and
//! fills it. The text has one setting a line, so that `strings` shows it:
//!
//! ```text
//! lower=/base            a preopen that is a layer; the bottom one first
//! lower=/app
//! upper=/changes         the preopen that takes changes
//! at=/                   the preopen by which the guest finds the merged tree
//! pass=/dev              a preopen that the guest gets as it is
//! read-only              changes are refused
//! volatile               the overlay never waits for the disk
//! ```

#![forbid(unsafe_code)]

mod slot;
mod validate;

pub use slot::{MAGIC, SLOT_BYTES};
pub use validate::ConfigError;

/// Which preopens of the host are layers, and what the guest gets.
///
/// Names are those that the host gives its preopens (with `wasmtime run --dir HOST::GUEST` it is
/// `GUEST`), compared byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The read-only layers, the bottom one first.
    pub lowers: Vec<String>,
    /// What takes changes. Without one, changes are `read-only`.
    pub upper: Option<String>,
    /// The name of the preopen by which the guest finds the merged tree.
    pub at: String,
    /// Refuse changes, though there may be an upper.
    pub read_only: bool,
    /// Never wait for the disk.
    pub volatile: bool,
    /// Preopens that the guest gets as they are. All others it does not get.
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
