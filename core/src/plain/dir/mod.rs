//! Skeleton.

pub(crate) mod errno;

/// A host directory.
pub struct HostDir;
