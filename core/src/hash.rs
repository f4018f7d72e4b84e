//! The hasher of the engine's maps of names and numbers.
//!
//! It is foldhash, which takes fewer instructions for a name than the standard library's SipHash, with
//! a seed for each map. It withstands an attacker who chooses names without seeing hashes or precise
//! times, which is less than SipHash promises. That suffices here: a guest fills only the maps of its own
//! overlay, and a table holds the names of layers. SipHash is used where a guest could harm others, in the
//! lookup results that a stack caches for all its overlays (`stack/looked_up.rs`, keyed by any name that a
//! guest looks up), and where a guest sees the hash, in an identity.
//!
//! Without the feature `native` every map uses SipHash: the standard library includes it in any case, which
//! saves code size in the component.

#[cfg(feature = "native")]
pub(crate) use foldhash::fast::RandomState;
#[cfg(not(feature = "native"))]
pub(crate) use std::hash::RandomState;

/// The standard library's map with this hasher.
pub(crate) type HashMap<K, V> = std::collections::HashMap<K, V, RandomState>;
