//! Background thread that frees the in-memory tree of a dropped overlay.
//!
//! A file of an upper in memory takes a microsecond or two to free, so a tree of 100,000 files would delay
//! the thread that drops the overlay, which often serves requests. Trees that wait to be freed occupy
//! memory, so their number of files is bounded; beyond the bound, the dropping thread frees its tree itself.

use super::children::Child;
use super::node::Node;
use crate::hash::HashMap;
use crate::layer::erased::AnyUpper;
use crate::sync::HAS_THREADS;
use std::sync::Arc;

/// The in-memory tree of an overlay whose mount has ended.
pub(super) struct UnmountedTree {
    root: Arc<Node>,
    /// An upper in memory, which is freed after the nodes.
    upper: Option<Arc<dyn AnyUpper>>,
}

impl UnmountedTree {
    pub(super) fn of(root: Arc<Node>) -> Self {
        Self { root, upper: None }
    }

    /// Frees the tree of about `files` files, here or in the background thread. `take` returns the upper, if
    /// that is in memory; it is not called for a small tree.
    pub(super) fn free(mut self, files: usize, take: impl FnOnce() -> Option<Arc<dyn AnyUpper>>) {
        if files > FEW && HAS_THREADS {
            self.upper = take();
            thread::free(self, files);
        }
    }
}

/// Up to this many files, the dropping thread frees the tree: it takes less than a millisecond.
const FEW: usize = 256;

/// How many files this thread handed over to the background thread.
#[cfg(test)]
pub(super) fn files_handed_over() -> usize {
    thread::HANDED_OVER.get()
}

/// Directories and their children hold one another. A loop empties the tables, and drops children before
/// their parents.
impl Drop for UnmountedTree {
    fn drop(&mut self) {
        let mut nodes = vec![Arc::clone(&self.root)];
        let mut next = 0;
        while let Some(node) = nodes.get(next) {
            let children = match &node.dir {
                Some(dir) => std::mem::take(&mut dir.children.write().map),
                None => HashMap::default(),
            };
            nodes.extend(children.into_values().filter_map(|child| match child {
                Child::Node(node) => Some(node),
                Child::Listed { .. } | Child::Whiteout | Child::NotInUpper(_) => None,
            }));
            next += 1;
        }
        while nodes.pop().is_some() {}
    }
}

mod thread {
    use super::UnmountedTree;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::{self, Sender};
    use std::thread;

    /// The maximum number of files that wait to be freed.
    const MOST: usize = 1 << 20;

    #[cfg(test)]
    thread_local! {
        /// How many files this thread handed over.
        pub(super) static HANDED_OVER: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
    }

    /// How many files wait. The counter guards no other memory.
    static WAITING: AtomicUsize = AtomicUsize::new(0);

    /// Frees the tree, here or in the background thread.
    pub(super) fn free(tree: UnmountedTree, files: usize) {
        let waiting = WAITING.fetch_add(files, Ordering::Relaxed);
        if waiting.saturating_add(files) <= MOST
            && let Some(thread) = started()
            && thread.send((tree, files)).is_ok()
        {
            #[cfg(test)]
            HANDED_OVER.set(HANDED_OVER.get() + files);
            return;
        }
        WAITING.fetch_sub(files, Ordering::Relaxed);
    }

    /// The channel to the background thread. None if the thread could not be started.
    fn started() -> Option<&'static Sender<(UnmountedTree, usize)>> {
        static THREAD: OnceLock<Option<Sender<(UnmountedTree, usize)>>> = OnceLock::new();
        let start = || {
            let (sender, trees) = mpsc::channel::<(UnmountedTree, usize)>();
            let free = move || {
                for (tree, files) in trees {
                    drop(tree);
                    WAITING.fetch_sub(files, Ordering::Relaxed);
                }
            };
            let named = thread::Builder::new().name("wasi-overlay-free".into());
            named.spawn(free).is_ok().then_some(sender)
        };
        THREAD.get_or_init(start).as_ref()
    }
}
