//! A merged directory too large for a table: answers about single names, in a bounded cache.

use super::node::{LowerNode, forget_below};
use crate::cell::Held;
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
    ) -> Result<Option<Held<LowerNode>>> {
        let hash = self.hasher.hash_one(name.as_bytes());
        let shard = &self.shards[hash as usize % SHARDS];
        if let Some(known) = shard.lock().get(name.as_bytes()) {
            return Ok(known.clone().map(Held::new));
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
            forget_below(vec![evicted]);
        }
        Ok(answer.map(Held::new))
    }

    pub(super) fn take_nodes(&self, into: &mut Vec<Arc<LowerNode>>) {
        for shard in &self.shards {
            into.extend(shard.lock().drain().filter_map(|(_, node)| node));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::layer::MemoryLayer;
    use crate::{Limits, Lower, LowerStack, Name};
    use std::sync::Arc;

    /// A node was evicted while somebody held it. What was looked up below it afterwards held it
    /// in turn, in a circle that nothing cut: a guest could fill the memory that overlays share.
    #[test]
    fn what_is_evicted_while_held_goes_when_it_is_let_go() {
        let mut layer = MemoryLayer::build()
            .dir("d")
            .dir("d/sub")
            .file("d/sub/x", b"");
        layer = layer.file("d/y", b"");
        for index in 0..99 {
            layer = layer.file(format!("f{index}"), b"");
        }
        let limits = Limits {
            table_entries: 16,
            ..Limits::default()
        };
        let lower = Lower::new("lower", layer.finish().unwrap());
        let stack = LowerStack::new([lower], &limits).unwrap();
        let root = stack.root().unwrap();
        let child = |of: &Arc<_>, name: &str| {
            let name = Name::new(name.as_bytes()).unwrap();
            crate::stack::LowerNode::child(of, &stack, name)
        };
        for before in [false, true] {
            let held = child(root, "d").unwrap().unwrap();
            let sub = child(&held, "sub").unwrap().unwrap();
            for round in 0..50 {
                for index in 0..99 {
                    child(root, &format!("f{index}{}", if before { round } else { 0 })).unwrap();
                }
            }
            child(&sub, "x").unwrap().unwrap();
            child(&held, "y").unwrap().unwrap();
            child(&held, "sub").unwrap().unwrap();
            let (weak, weak_sub) = (Arc::downgrade(&held), Arc::downgrade(&sub));
            drop((held, sub));
            // If it was not evicted the cache has it still: evict it now.
            for index in 0..2000 {
                child(root, &format!("n{index}")).unwrap();
            }
            assert_eq!(weak_sub.strong_count(), 0);
            assert_eq!(weak.strong_count(), 0);
        }
    }
}
