//! What the tests that run guests share: trees, the layers they are spread over, and running a
//! program on a directory or on an overlay of them.

pub(crate) mod program;
pub(crate) mod scan;
