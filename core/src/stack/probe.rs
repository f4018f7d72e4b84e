//! A merged directory too large for a table: answers about single names, in a bounded cache.

use super::node::{LowerNode, forget_below};
use crate::error::Result;
use crate::name::{Name, NameBuf};
use crate::sync::Mutex;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

/// Threads that look up different names seldom meet in one of so many shards.
const SHARDS: usize = 16;

pub(super) struct Probes {
    shards: [Mutex<Shard>; SHARDS],
    /// Names in one shard, at most.
    most: usize,
    hasher: RandomState,
}

/// What was answered about a name: none if it is not there.
type Shard = HashMap<NameBuf, Option<Arc<LowerNode>>>;

impl Probes {
    /// Keeps about `most` answers.
    pub(super) fn new(most: usize) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::new(Shard::new())),
            most: (most / SHARDS).max(1),
            hasher: RandomState::new(),
        }
    }

    /// The node of `name`, by `look` if it is not known.
    pub(super) fn child(
        &self,
        name: Name<'_>,
        look: impl FnOnce() -> Result<Option<Arc<LowerNode>>>,
    ) -> Result<Option<Arc<LowerNode>>> {
        let hash = self.hasher.hash_one(name.as_bytes());
        let shard = &self.shards[hash as usize % SHARDS];
        if let Some(known) = shard.lock().get(name.as_bytes()) {
            return Ok(known.clone());
        }
        let answer = look()?;
        let mut evicted = None;
        let mut known = shard.lock();
        if known.len() >= self.most && !known.contains_key(name.as_bytes()) {
            // A map is iterated in random order, so this is random eviction: it needs no flag on
            // a hit, and a guest cannot aim it.
            if let Some(victim) = known.keys().next().cloned() {
                evicted = known.remove(&victim).flatten();
            }
        }
        let answer = known.entry(name.to_owned()).or_insert(answer).clone();
        drop(known);
        if let Some(evicted) = evicted {
            forget_below(evicted);
        }
        Ok(answer)
    }

    pub(super) fn take_nodes(&self, into: &mut Vec<Arc<LowerNode>>) {
        for shard in &self.shards {
            into.extend(shard.lock().drain().filter_map(|(_, node)| node));
        }
    }
}
