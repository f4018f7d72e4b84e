//! The keyed hash that makes an [`Identity`] from the layer, device and inode number at which a file was
//! first found.
//!
//! It is SipHash-1-3 with 128 bits. Without the feature `native` it is two 64-bit hashes of the standard
//! library, which the component, which must be small, contains anyway.

use crate::meta::Identity;
#[cfg(feature = "native")]
use siphasher::sip128::{Hasher128, SipHasher13};
use std::hash::{BuildHasher, Hasher, RandomState};

/// The key of one mount's identities.
///
/// Guests see identities, so they are a keyed hash: a guest learns nothing about the host's devices and
/// inode numbers, and cannot recognise one file in two mounts. They have 128 bits, so that two files of
/// one mount never share an identity by accident.
#[derive(Clone, Debug)]
pub(crate) struct IdentityKey {
    #[cfg(feature = "native")]
    hasher: SipHasher13,
    #[cfg(not(feature = "native"))]
    state: RandomState,
}

impl IdentityKey {
    /// A new random key.
    pub(crate) fn new() -> Self {
        // Each `RandomState` has its own key, from the system's random numbers.
        let state = RandomState::new();
        Self {
            #[cfg(feature = "native")]
            hasher: SipHasher13::new_with_keys(state.hash_one(0), state.hash_one(1)),
            #[cfg(not(feature = "native"))]
            state,
        }
    }

    /// The identity of the file with number `inode` on `device` in `layer`.
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

    /// The identity of the file with number `inode` on `device` in `layer`.
    #[cfg(not(feature = "native"))]
    pub(crate) fn of(&self, layer: u32, device: u64, inode: u64) -> Identity {
        let mut hasher = self.state.build_hasher();
        hasher.write_u64(device);
        hasher.write_u64(inode);
        hasher.write_u32(layer);
        let lower = hasher.finish();
        // Hashes a longer input. The state has 256 bits, so two files with equal lower halves have
        // different upper halves.
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
    fn equal_inputs_have_equal_identities_in_a_mount() {
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
    fn mounts_share_no_identity_and_the_halves_differ() {
        let (a, b) = (IdentityKey::new(), IdentityKey::new());
        assert_ne!(a.of(0, 1, 2), b.of(0, 1, 2));
        assert_ne!(a.of(0, 1, 2).lower, a.of(0, 1, 2).upper);
    }
}
