//! Bounded cache of values by key.

use super::{Bound, ClockCache, SMALL, SlotInner};
use crate::hash::RandomState;
use crate::sync::Mutex;
use std::borrow::Borrow;
use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

/// A bounded CLOCK cache of values by key. A cache that guests share, and whose keys they choose, needs the
/// standard library's hasher as `S`.
pub struct KeyedCache<K, V, S = RandomState> {
    clock: ClockCache,
    bound: Bound,
    /// Slots of evicted values are dropped each time the map has doubled. A leaf lock: the ring's is
    /// not taken while it is held.
    slots: Mutex<HashMap<K, Arc<SlotInner<V>>, S>>,
}

impl<K: Hash + Eq, V: Send + Sync + 'static, S: BuildHasher + Default> KeyedCache<K, V, S> {
    /// An empty cache with this bound.
    pub fn new(bound: Bound) -> Self {
        Self {
            clock: ClockCache::new(bound),
            bound,
            slots: Mutex::new(HashMap::default()),
        }
    }

    /// The value of `key`, if it is cached.
    pub fn get<Q>(&self, key: &Q) -> Option<Arc<V>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.slots.lock().get(key)?.get()
    }

    /// Caches `value` under `key`, with this weight, unless the key has a value. Returns the value that the
    /// key has then.
    pub fn get_or_insert(&self, key: K, value: Arc<V>, weight: usize) -> Arc<V> {
        let mut slots = self.slots.lock();
        if slots.len() >= SMALL && slots.len().is_power_of_two() {
            slots.retain(|_, slot| slot.value.load_full().is_some());
        }
        let slot = Arc::clone(slots.entry(key).or_default());
        if let Some(value) = slot.get() {
            return value;
        }
        let replaced = slot.value.swap(Some(Arc::clone(&value)));
        drop(slots);
        drop(replaced);
        self.clock.enter_ring(&slot, weight);
        value
    }

    /// As [`get_or_insert`](Self::get_or_insert), in place of the value that the key had.
    pub fn replace(&self, key: K, value: Arc<V>, weight: usize) {
        self.remove(&key);
        self.get_or_insert(key, value, weight);
    }

    /// Drops all values.
    pub fn clear(&self) {
        self.clock.clear();
        let slots = std::mem::take(&mut *self.slots.lock());
        drop(slots);
    }

    /// Drops the value of `key`, if it is cached.
    pub fn remove<Q>(&self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let removed = self.slots.lock().remove(key);
        if let Some(slot) = removed {
            self.clock.leave_ring(&slot);
        }
    }
}

impl<K, V, S> fmt::Debug for KeyedCache<K, V, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedCache")
            .field("bound", &self.bound)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_holds_and_unused_keys_are_evicted() {
        let cache = KeyedCache::<_, _>::new(Bound::entries(3));
        for key in 0..3 {
            cache.get_or_insert(key, Arc::new(key), 1);
        }
        assert!(cache.get(&0).is_some());
        cache.get_or_insert(3, Arc::new(3), 1);
        let cached: Vec<_> = (0..4).filter(|key| cache.get(key).is_some()).collect();
        assert_eq!(cached, [0, 2, 3]);
        for key in 4..1000 {
            cache.get_or_insert(key, Arc::new(key), 1);
        }
        assert!(
            cache.slots.lock().len() <= SMALL,
            "slots of evicted values go"
        );
    }

    #[test]
    fn the_first_value_of_a_key_stays() {
        let cache = KeyedCache::<_, _>::new(Bound::entries(3));
        assert_eq!(*cache.get_or_insert("a", Arc::new(1), 1), 1);
        assert_eq!(*cache.get_or_insert("a", Arc::new(2), 1), 1);
        cache.remove("a");
        assert!(cache.get("a").is_none());
        assert_eq!(*cache.get_or_insert("a", Arc::new(2), 1), 2);
    }

    #[test]
    fn a_removed_key_gives_its_weight_back() {
        let cache = KeyedCache::<_, _>::new(Bound::weight(10));
        for key in 0..100 {
            cache.get_or_insert("kept", Arc::new(0), 1);
            cache.get_or_insert("removed", Arc::new(key), 9);
            assert!(cache.get("kept").is_some() && cache.get("removed").is_some());
            cache.remove("removed");
        }
    }
}
