//! Bounded cache of single names of a merged directory that is too large for a table.

use super::node::LowerNode;
use crate::cache::{Bound, KeyedCache};
use crate::error::Result;
use crate::meta::Kind;
use crate::name::{Name, NameBuf};
use crate::sync::Mutex;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

/// With so many shards, threads that look up different names seldom use the same one.
const SHARDS: usize = 16;

/// The names of a directory that were looked up one by one.
pub(super) struct LookedUp {
    shards: [Shard; SHARDS],
    hasher: RandomState,
}

struct Shard {
    /// Directories stay as long as the stack, since nodes below them rely on that. The layers bound their
    /// number. Guard: its own lock, a leaf.
    dirs: Mutex<HashMap<NameBuf, Arc<LowerNode>>>,
    /// All other names. None for a name that does not exist.
    others: KeyedCache<NameBuf, Option<Arc<LowerNode>>, RandomState>,
}

impl LookedUp {
    /// A cache of about `most` names besides the directories.
    pub(super) fn new(most: usize) -> Self {
        Self {
            shards: std::array::from_fn(|_| Shard {
                dirs: Mutex::default(),
                others: KeyedCache::new(Bound::entries((most / SHARDS).max(1))),
            }),
            hasher: RandomState::new(),
        }
    }

    /// The node of `name`. Calls `look` if the name is not cached.
    pub(super) fn child(
        &self,
        name: Name<'_>,
        look: impl FnOnce() -> Result<Option<Arc<LowerNode>>>,
    ) -> Result<Option<Arc<LowerNode>>> {
        let hash = self.hasher.hash_one(name.as_bytes());
        let shard = &self.shards[hash as usize % SHARDS];
        if let Some(child) = shard.others.get(name.as_bytes()) {
            return Ok((*child).clone());
        }
        if let Some(dir) = shard.dirs.lock().get(name.as_bytes()) {
            return Ok(Some(Arc::clone(dir)));
        }
        // Another thread may look it up meanwhile: the first answer stays.
        match look()? {
            Some(dir) if dir.kind() == Kind::Dir => {
                let mut dirs = shard.dirs.lock();
                let dir = dirs.entry(name.to_owned()).or_insert(dir);
                Ok(Some(Arc::clone(dir)))
            }
            child => {
                let child = Arc::new(child);
                let child = shard.others.get_or_insert(name.to_owned(), child, 1);
                Ok((*child).clone())
            }
        }
    }

    /// Takes the nodes of directories out, so that the caller can drop a deep tree in a loop.
    pub(super) fn take_dirs(&mut self, into: &mut Vec<Arc<LowerNode>>) {
        for shard in &mut self.shards {
            into.extend(std::mem::take(shard.dirs.get_mut()).into_values());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::MemoryLayer;
    use crate::{Limits, Lower, LowerStack};

    fn child(stack: &LowerStack, of: &Arc<LowerNode>, name: &str) -> Option<Arc<LowerNode>> {
        let child = of.child(stack, Name::new(name.as_bytes()).unwrap());
        child.unwrap().map(|child| Arc::clone(&child))
    }

    /// Directories were evicted, too. If one was still held, the nodes below it held it in turn, in a
    /// reference cycle.
    #[test]
    fn files_are_evicted_and_directories_live_as_long_as_the_stack() {
        let mut layer = MemoryLayer::build().dir("d").file("d/x", b"");
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
        let dir = child(&stack, root, "d").unwrap();
        let evicted = Arc::downgrade(&child(&stack, root, "f0").unwrap());
        let held = child(&stack, root, "f1").unwrap();
        for name in (2..99).map(|index| format!("f{index}")) {
            for round in 0..50 {
                assert!(child(&stack, root, &format!("{name}-{round}")).is_none());
            }
            assert!(child(&stack, root, &name).is_some());
        }
        assert_eq!(evicted.strong_count(), 0);
        assert!(!Arc::ptr_eq(&held, &child(&stack, root, "f1").unwrap()));
        assert!(held.is_in(root));
        assert!(Arc::ptr_eq(&dir, &child(&stack, root, "d").unwrap()));
        let all = [child(&stack, &dir, "x").unwrap(), dir, held];
        let all = all.map(|node| Arc::downgrade(&node));
        drop(stack);
        assert!(all.iter().all(|node| node.strong_count() == 0));
    }

    /// Drops the tree on a thread with a small stack, once with tables and once without.
    #[test]
    fn deep_tree_is_dropped_without_recursion() {
        for table_entries in [0, 16] {
            let path = ["d"; 1500].join("/");
            let mut layer = MemoryLayer::build();
            for (end, _) in path.match_indices('/') {
                layer = layer.dir(&path[..end]);
            }
            let limits = Limits {
                table_entries,
                ..Limits::default()
            };
            let lower = Lower::new("lower", layer.dir(&*path).finish().unwrap());
            let stack = LowerStack::new([lower], &limits).unwrap();
            let mut node = Arc::clone(stack.root().unwrap());
            while let Some(below) = child(&stack, &node, "d") {
                node = below;
            }
            let deepest = Arc::downgrade(&node);
            drop(node);
            assert_eq!(deepest.strong_count(), 1);
            let small = std::thread::Builder::new().stack_size(16 * 1024);
            small.spawn(|| drop(stack)).unwrap().join().unwrap();
            assert_eq!(deepest.strong_count(), 0);
        }
    }
}
