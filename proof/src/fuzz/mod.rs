//! The bodies of the fuzzers. Each function draws its case from bytes, and panics if the engine is wrong.
//! The programs in `fuzz/` call them, and so does a test with the committed corpora.

mod archives;
mod operations;
mod paths;
mod whiteouts;

pub use archives::{archives, indexes, is_harmless_index};
pub use operations::operations;
pub use paths::paths;
pub use whiteouts::whiteouts;
