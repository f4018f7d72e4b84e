//! What makes an [`Identity`] out of where a file was first seen.

use crate::meta::Identity;
use siphasher::sip128::{Hasher128, SipHasher13};
use std::hash::{BuildHasher, Hasher, RandomState};

/// The key of one mount's identities.
///
/// A guest sees identities, so they are a keyed hash: it learns nothing of the host's devices and
/// inode numbers, and nothing of one file in two mounts. 128 bits, so that two files of one mount
/// are never taken for one by accident.
#[derive(Clone, Debug)]
pub(crate) struct IdentityKey(SipHasher13);

impl IdentityKey {
    /// A key that nothing else has.
    pub(crate) fn new() -> Self {
        // Each `RandomState` has a key of its own, from the system's random numbers.
        let random = RandomState::new();
        Self(SipHasher13::new_with_keys(
            random.hash_one(0),
            random.hash_one(1),
        ))
    }

    /// The identity of the file that is `inode` on `device` in `layer`.
    pub(crate) fn of(&self, layer: u32, device: u64, inode: u64) -> Identity {
        let mut hasher = self.0;
        hasher.write_u64(device);
        hasher.write_u64(inode);
        hasher.write_u32(layer);
        let hash = hasher.finish128();
        Identity {
            lower: hash.h1,
            upper: hash.h2,
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
