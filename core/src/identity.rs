//! What makes an [`Identity`] out of where a file was first seen.
//!
//! By SipHash-1-3 of 128 bits. Without the feature `native` it is twice the standard library's of 64,
//! which is there anyway, in a component that is to be small.

use crate::meta::Identity;
#[cfg(feature = "native")]
use siphasher::sip128::{Hasher128, SipHasher13};
use std::hash::{BuildHasher, Hasher, RandomState};

/// The key of one mount's identities.
///
/// A guest sees identities, so they are a keyed hash: it learns nothing of the host's devices and
/// inode numbers, and nothing of one file in two mounts. 128 bits, so that two files of one mount
/// are never taken for one by accident.
#[derive(Clone, Debug)]
pub(crate) struct IdentityKey {
    #[cfg(feature = "native")]
    hasher: SipHasher13,
    #[cfg(not(feature = "native"))]
    state: RandomState,
}

impl IdentityKey {
    /// A key that nothing else has.
    pub(crate) fn new() -> Self {
        // Each `RandomState` has a key of its own, from the system's random numbers.
        let state = RandomState::new();
        Self {
            #[cfg(feature = "native")]
            hasher: SipHasher13::new_with_keys(state.hash_one(0), state.hash_one(1)),
            #[cfg(not(feature = "native"))]
            state,
        }
    }

    /// The identity of the file that is `inode` on `device` in `layer`.
    #[cfg(feature = "native")]
    pub(crate) fn of(&self, layer: u32, device: u64, inode: u64) -> Identity {
        let mut hasher = self.hasher;
        hasher.write_u64(device);
        hasher.write_u64(inode);
        hasher.write_u32(layer);
        let hash = hasher.finish128();
        Identity {
            lower: hash.h1,
            upper: hash.h2,
        }
    }

    /// The identity of the file that is `inode` on `device` in `layer`.
    #[cfg(not(feature = "native"))]
    pub(crate) fn of(&self, layer: u32, device: u64, inode: u64) -> Identity {
        let mut hasher = self.state.build_hasher();
        hasher.write_u64(device);
        hasher.write_u64(inode);
        hasher.write_u32(layer);
        let lower = hasher.finish();
        // The hash of something longer. Its state is of 256 bits, so that two places with one
        // lower half have two upper halves.
        hasher.write_u32(1);
        Identity {
            lower,
            upper: hasher.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn one_place_has_one_identity_in_a_mount() {
        let key = IdentityKey::new();
        assert_eq!(key.of(1, 2, 3), key.clone().of(1, 2, 3));
        let places = [
            (1, 2, 3),
            (2, 1, 3),
            (1, 3, 2),
            (3, 2, 1),
            (0, 2, 3),
            (1, 2, 4),
        ];
        let seen: HashSet<_> = places.map(|(l, d, i)| key.of(l, d, i)).into();
        assert_eq!(seen.len(), places.len());
    }

    #[test]
    fn mounts_share_no_identity_and_the_halves_are_two() {
        let (a, b) = (IdentityKey::new(), IdentityKey::new());
        assert_ne!(a.of(0, 1, 2), b.of(0, 1, 2));
        assert_ne!(a.of(0, 1, 2).lower, a.of(0, 1, 2).upper);
    }
}
