//! What makes an [`Identity`] out of where a file was first seen.

use crate::meta::Identity;
use std::hash::{BuildHasher, Hasher, RandomState};

/// The key of one mount's identities.
///
/// A guest sees identities, so they are a keyed hash: it learns nothing of the host's devices and
/// inode numbers, and nothing of one file in two mounts. 128 bits, so that two files of one mount
/// are never taken for one by accident.
#[derive(Clone, Debug)]
pub(crate) struct IdentityKey(RandomState);

impl IdentityKey {
    /// A key that nothing else has.
    pub(crate) fn new() -> Self {
        // Each `RandomState` has a key of its own, from the system's random numbers.
        Self(RandomState::new())
    }

    /// The identity of the file that is `inode` on `device` in `layer`.
    pub(crate) fn of(&self, layer: u32, device: u64, inode: u64) -> Identity {
        // In one piece, which takes fewer instructions than three.
        let mut place = [0; 20];
        let (numbers, number) = place.split_at_mut(16);
        numbers[..8].copy_from_slice(&device.to_ne_bytes());
        numbers[8..].copy_from_slice(&inode.to_ne_bytes());
        number.copy_from_slice(&layer.to_ne_bytes());
        let mut hasher = self.0.build_hasher();
        hasher.write(&place);
        let lower = hasher.finish();
        // The hash of something longer. Its state is of 256 bits, so that two places with one
        // lower half have two upper halves.
        hasher.write(&[1; 4]);
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
