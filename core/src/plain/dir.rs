//! Skeleton.
/// A host directory.
pub struct HostDir;
