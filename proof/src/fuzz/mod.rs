//! What the fuzzers run. Each function takes bytes that choose, and panics where the engine is not
//! what it has to be; the programs in `fuzz/` do nothing but call them, and so does a test with the
//! corpora that are kept there.

mod marks;
mod operations;
mod paths;

pub use marks::marks;
pub use operations::operations;
pub use paths::paths;
