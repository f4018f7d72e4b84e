//! How names and numbers are hashed.
//!
//! By foldhash, which is several times faster on names than the standard library's SipHash, with a
//! seed of each map's own. It keeps off whoever has to choose names without seeing hashes or
//! precise times, which is less than SipHash promises. More is not needed: a guest fills the maps
//! of its own overlay, of which it has at most `Limits::table_entries` in a directory, and a stack
//! is filled with the names of its layers. What a guest may see, an identity, is hashed by SipHash.
//!
//! Without the feature `native` it is SipHash everywhere, which is there anyway, in a component that
//! is to be small.

#[cfg(feature = "native")]
pub(crate) use foldhash::fast::RandomState;
#[cfg(not(feature = "native"))]
pub(crate) use std::hash::RandomState;

/// The standard library's map, with that hasher.
pub(crate) type HashMap<K, V> = std::collections::HashMap<K, V, RandomState>;
