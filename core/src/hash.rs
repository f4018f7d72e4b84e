//! How names and numbers are hashed.
//!
//! By foldhash, which takes fewer instructions for a name than the standard library's SipHash, with
//! a seed of each map's own. It keeps off whoever has to choose names without seeing hashes or
//! precise times, which is less than SipHash promises. More is not needed here: a guest fills the
//! maps of its own overlay, and a table holds the names of layers. SipHash it is where a guest could
//! harm others, in the answers that a stack keeps for all its overlays (`stack/probe.rs`: whatever
//! names were asked for), and where it sees the hash, in an identity.
//!
//! Without the feature `native` it is SipHash everywhere, which is there anyway, in a component that
//! is to be small.

#[cfg(feature = "native")]
pub(crate) use foldhash::fast::RandomState;
#[cfg(not(feature = "native"))]
pub(crate) use std::hash::RandomState;

/// The standard library's map, with that hasher.
pub(crate) type HashMap<K, V> = std::collections::HashMap<K, V, RandomState>;
