//! The matrix: operations and the states that they start from, without the mounts.

pub mod ops;
pub mod states;
pub mod tree;

pub use ops::OPS;
pub use states::{KINDS, Kind, SETTLED, STATES, Start};
pub use tree::{Node, What};
