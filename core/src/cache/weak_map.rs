//! Map that does not keep its values alive.

use super::SMALL;
use crate::hash::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Weak};

/// An index of values that others hold. It is no cache: a value is found as long as anything holds it. Dead
/// entries are dropped each time the map has doubled.
pub(crate) struct WeakMap<K, V>(HashMap<K, Weak<V>>);

impl<K, V> Default for WeakMap<K, V> {
    fn default() -> Self {
        Self(HashMap::default())
    }
}

impl<K: Hash + Eq, V> WeakMap<K, V> {
    /// The value of `key`, if anything holds it.
    pub(crate) fn get(&self, key: &K) -> Option<Arc<V>> {
        self.0.get(key)?.upgrade()
    }

    /// Whether anything holds the value of `key`.
    pub(crate) fn is_held(&self, key: &K) -> bool {
        self.0
            .get(key)
            .is_some_and(|value| value.strong_count() > 0)
    }

    pub(crate) fn insert(&mut self, key: K, value: &Arc<V>) {
        if self.0.len() >= SMALL && self.0.len().is_power_of_two() {
            self.0.retain(|_, value| value.strong_count() > 0);
        }
        self.0.insert(key, Arc::downgrade(value));
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<Arc<V>> {
        self.0.remove(key)?.upgrade()
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}
