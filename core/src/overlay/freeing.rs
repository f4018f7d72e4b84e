//! What an overlay kept is freed by a thread of the process, where that takes longer than its owner
//! would wait.
//!
//! A file of an upper in memory takes a microsecond or two to free, so a tree of 100,000 would hold up
//! whoever drops the overlay: often a thread that serves requests. What waits to be freed is memory, so
//! there is a bound on it; past that, who drops frees.

use super::node::{Child, Node};
use crate::hash::HashMap;
use crate::layer::erased::AnyUpper;
use std::sync::Arc;

/// What is left of an overlay that ended.
pub(super) struct Rest {
    pub(super) root: Arc<Node>,
    /// An upper in memory.
    pub(super) upper: Option<Arc<dyn AnyUpper>>,
    /// About how many files that are.
    #[cfg(feature = "native")]
    pub(super) files: usize,
}

impl Rest {
    /// Frees it, here or in the thread.
    pub(super) fn free(self) {
        // A schedule test has threads of its own alone, and a component has none.
        #[cfg(all(feature = "native", not(shuttle)))]
        thread::free(self);
    }
}

/// Directories and their children hold one another; that is cut in a loop, and children go before
/// their parents.
impl Drop for Rest {
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
                Child::Seen { .. } | Child::Hidden | Child::Lower(_) => None,
            }));
            next += 1;
        }
        while nodes.pop().is_some() {}
        drop(self.upper.take());
    }
}

#[cfg(all(feature = "native", not(shuttle)))]
mod thread {
    use super::Rest;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::{self, Sender};
    use std::thread;

    /// Who drops an overlay frees so many files: it takes less than a millisecond.
    const FEW: usize = 256;

    /// Most files that wait to be freed.
    const MOST: usize = 1 << 20;

    /// How many do. It guards no other memory.
    static WAITING: AtomicUsize = AtomicUsize::new(0);

    /// Frees it, here or in the thread.
    pub(super) fn free(rest: Rest) {
        let files = rest.files;
        if files <= FEW {
            return;
        }
        let waiting = WAITING.fetch_add(files, Ordering::Relaxed);
        if waiting.saturating_add(files) <= MOST
            && let Some(thread) = started()
            && thread.send(rest).is_ok()
        {
            return;
        }
        WAITING.fetch_sub(files, Ordering::Relaxed);
    }

    /// The thread that frees; none if it could not be started.
    fn started() -> Option<&'static Sender<Rest>> {
        static THREAD: OnceLock<Option<Sender<Rest>>> = OnceLock::new();
        let start = || {
            let (sender, rests) = mpsc::channel::<Rest>();
            let free = move || {
                for rest in rests {
                    let files = rest.files;
                    drop(rest);
                    WAITING.fetch_sub(files, Ordering::Relaxed);
                }
            };
            let named = thread::Builder::new().name("wasi-overlay-free".into());
            named.spawn(free).is_ok().then_some(sender)
        };
        THREAD.get_or_init(start).as_ref()
    }
}
