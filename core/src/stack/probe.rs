//! A merged directory too large for a table: answers about single names, in a bounded cache.

use super::node::LowerNode;
use crate::error::Result;
use crate::meta::Kind;
use crate::name::{Name, NameBuf};
use crate::sync::Mutex;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

/// Threads that look up different names seldom meet in one of so many shards.
const SHARDS: usize = 16;

pub(super) struct Probes {
    shards: [Mutex<Shard>; SHARDS],
    /// Answers in one shard, at most.
    most: usize,
    hasher: RandomState,
}

#[derive(Default)]
struct Shard {
    /// Directories, which a stack keeps: there are no more than the layers have, and what is
    /// looked up below one has to be able to rely on it.
    dirs: HashMap<NameBuf, Arc<LowerNode>>,
    /// What was answered about any other name: none if it is not there.
    answers: HashMap<NameBuf, Option<Arc<LowerNode>>>,
}

impl Shard {
    /// What was answered about `name`, if it was asked for lately.
    fn get(&self, name: Name<'_>) -> Option<Option<Arc<LowerNode>>> {
        if let Some(answer) = self.answers.get(name.as_bytes()) {
            return Some(answer.clone());
        }
        self.dirs.get(name.as_bytes()).cloned().map(Some)
    }
}

impl Probes {
    /// Keeps about `most` answers.
    pub(super) fn new(most: usize) -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::new(Shard::default())),
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
        if let Some(known) = shard.lock().get(name) {
            return Ok(known);
        }
        let answer = look()?;
        let mut evicted = None;
        let mut known = shard.lock();
        // Somebody else looked meanwhile: all agree on one node.
        if let Some(known) = known.get(name) {
            return Ok(known);
        }
        match &answer {
            Some(dir) if dir.kind() == Kind::Dir => {
                known.dirs.insert(name.to_owned(), Arc::clone(dir));
            }
            Some(_) | None => {
                if known.answers.len() >= self.most {
                    // A map is iterated in random order, so this is random eviction: it needs no
                    // flag on a hit, and a guest cannot aim it.
                    let victim = known.answers.keys().next().cloned();
                    evicted = victim.and_then(|victim| known.answers.remove(&victim));
                }
                known.answers.insert(name.to_owned(), answer.clone());
            }
        }
        drop(known);
        drop(evicted);
        Ok(answer)
    }

    pub(super) fn take_nodes(&mut self, into: &mut Vec<Arc<LowerNode>>) {
        for shard in &mut self.shards {
            let Shard { dirs, answers } = std::mem::take(shard.get_mut());
            into.extend(dirs.into_values());
            into.extend(answers.into_values().flatten());
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

    /// Directories were evicted too, once: what was looked up below one that somebody held then
    /// held it in turn, in a circle.
    #[test]
    fn files_are_evicted_and_directories_stay_as_long_as_the_stack() {
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

    /// On a stack of a few frames, whichever way a directory is kept.
    #[test]
    fn a_deep_tree_is_let_go_in_a_loop() {
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
