//! The lock order, checked where there are debug assertions.
//!
//! Two threads that take two locks in two orders wait for one another only if they meet. This
//! finds the order wrong in a single thread.

/// Where a lock stands in the order of `overlay/mod.rs`: who holds one takes only later ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// Outside the order.
    None,
    /// `Shared::changes`.
    Changes,
    /// `Node::copying`: those of a file's ancestors are taken after its own.
    Copying,
    /// `Shared::tree`.
    Tree,
    /// `DirState::names`: parent before child, or any with `tree` exclusive.
    Names,
    /// `DirState::children`: that of a directory just made, after its parent's.
    Children,
    /// `Node::state`.
    State,
    /// The leaves: nothing is taken while one is held.
    Leaf,
    /// `Tree::names` of a layer in memory.
    MemoryNames,
    /// The entries of a directory in memory.
    MemoryEntries,
    /// The data of a file in memory.
    MemoryData,
    /// Attributes and parents in memory.
    MemoryLeaf,
}

#[cfg(all(debug_assertions, not(shuttle)))]
mod checked {
    use super::Rank;
    use std::cell::{Cell, RefCell};

    thread_local! {
        /// How many locks this thread took.
        static TAKEN: Cell<usize> = const { Cell::new(0) };
        /// What this thread holds, the latest last; [`Rank::None`] where it went into a layer.
        static HELD: RefCell<Vec<Rank>> = const { RefCell::new(Vec::new()) };
    }

    impl Rank {
        /// Whether nobody calls a layer while holding such a lock, so that who waits for it waits for
        /// no disk.
        #[cfg(feature = "native")]
        fn is_short(self) -> bool {
            self == Self::None || self >= Self::Children
        }

        /// Whether one thread may hold several locks of this rank.
        fn nests(self) -> bool {
            matches!(
                self,
                Self::Copying | Self::Names | Self::Children | Self::MemoryEntries
            )
        }
    }

    /// The rank of a lock.
    pub(crate) struct Ranked(Rank);

    impl Ranked {
        pub(crate) const fn new(rank: Rank) -> Self {
            Self(rank)
        }

        /// A thread is about to wait for the lock.
        ///
        /// # Panics
        /// If it holds a lock that comes after this one.
        pub(crate) fn wait(&self) -> Held {
            #[cfg(feature = "native")]
            assert!(
                self.0.is_short() || crate::sync::waiting::is_allowed() || std::thread::panicking(),
                "{:?} is waited for where an answer is wanted at once",
                self.0
            );
            if self.0 != Rank::None {
                let highest = with(|held| {
                    let of_this_layer = held.iter().rev().take_while(|rank| **rank != Rank::None);
                    of_this_layer.max().copied()
                });
                if let Some(Some(highest)) = highest {
                    let in_order = highest < self.0 || (highest == self.0 && highest.nests());
                    // A panic while another unwinds would end the process, with fewer words.
                    assert!(
                        in_order || std::thread::panicking(),
                        "{:?} is locked while {highest:?} is held: against the lock order",
                        self.0
                    );
                }
            }
            self.took()
        }

        /// A thread has the lock without having waited for it.
        pub(crate) fn took(&self) -> Held {
            // None is counted while the thread ends.
            let _ended = TAKEN.try_with(|taken| taken.set(taken.get() + 1));
            if self.0 != Rank::None {
                with(|held| held.push(self.0));
            }
            Held(self.0)
        }
    }

    /// A lock counts as held until this goes.
    pub(crate) struct Held(Rank);

    impl Drop for Held {
        fn drop(&mut self) {
            if self.0 != Rank::None {
                forget(self.0);
            }
        }
    }

    /// The thread is inside of a layer until this goes: a layer may be made of anything, of
    /// another overlay too, and its locks are after all of ours.
    pub(crate) struct Within(());

    impl Within {
        /// # Panics
        /// If the thread holds a lock that nobody may hold while a layer is called.
        pub(crate) fn new() -> Self {
            let mut forbidden = None;
            with(|held| {
                let ours = held.iter().rev().take_while(|rank| **rank != Rank::None);
                forbidden = ours
                    .copied()
                    .find(|rank| (Rank::Children..=Rank::Leaf).contains(rank));
                held.push(Rank::None);
            });
            let this = Self(());
            assert!(
                forbidden.is_none() || std::thread::panicking(),
                "a layer is called while {forbidden:?} is held"
            );
            this
        }
    }

    impl Drop for Within {
        fn drop(&mut self) {
            forget(Rank::None);
        }
    }

    /// How many locks this thread took so far.
    #[cfg(test)]
    pub(crate) fn taken() -> usize {
        TAKEN.get()
    }

    fn forget(rank: Rank) {
        with(|held| {
            if let Some(last) = held.iter().rposition(|held| *held == rank) {
                held.remove(last);
            }
        });
    }

    /// None while the thread ends.
    fn with<T>(what: impl FnOnce(&mut Vec<Rank>) -> T) -> Option<T> {
        HELD.try_with(|held| what(&mut held.borrow_mut())).ok()
    }
}

#[cfg(all(test, debug_assertions, not(shuttle)))]
pub(crate) use checked::taken;
#[cfg(all(debug_assertions, not(shuttle)))]
pub(crate) use checked::{Held, Ranked, Within};

#[cfg(not(all(debug_assertions, not(shuttle))))]
mod unchecked {
    use super::Rank;

    pub(crate) struct Ranked;
    pub(crate) struct Held;
    pub(crate) struct Within;

    impl Ranked {
        pub(crate) const fn new(_: Rank) -> Self {
            Self
        }

        pub(crate) fn wait(&self) -> Held {
            Held
        }

        pub(crate) fn took(&self) -> Held {
            Held
        }
    }

    impl Within {
        pub(crate) fn new() -> Self {
            Self
        }
    }
}

#[cfg(not(all(debug_assertions, not(shuttle))))]
pub(crate) use unchecked::{Held, Ranked, Within};

#[cfg(all(test, debug_assertions, not(shuttle)))]
mod tests {
    use super::{Rank, Within};
    use crate::sync::{Mutex, RwLock};
    use std::panic::{AssertUnwindSafe, catch_unwind};

    fn panics(call: impl FnOnce()) -> bool {
        catch_unwind(AssertUnwindSafe(call)).is_err()
    }

    #[test]
    fn locks_are_taken_in_order_only() {
        let tree = RwLock::ranked(Rank::Tree, ());
        let names = [(); 2].map(|()| RwLock::ranked(Rank::Names, ()));
        let state = Mutex::ranked(Rank::State, ());
        let (leaf, other) = (Mutex::ranked(Rank::Leaf, ()), Mutex::ranked(Rank::Leaf, ()));
        assert!(!panics(|| {
            let _tree = tree.read();
            let _parent = names[0].write();
            let child = names[1].write();
            drop(state.lock());
            let _leaf = leaf.lock();
            drop(child);
        }));
        assert!(panics(|| {
            let _names = names[0].read();
            let _tree = tree.read();
        }));
        assert!(panics(|| {
            let _leaf = leaf.lock();
            let _other = other.lock();
        }));
        assert!(panics(|| {
            let _state = state.lock();
            let _tree = tree.write();
        }));
        // What is over is over, after a panic too.
        assert!(!panics(|| {
            let names = names[0].write();
            drop(tree.try_write());
            drop(names);
            drop(tree.write());
        }));
    }

    #[test]
    fn a_layer_has_an_order_of_its_own() {
        let tree = RwLock::ranked(Rank::Tree, ());
        let names = RwLock::ranked(Rank::Names, ());
        let _names = names.write();
        let within = Within::new();
        drop(tree.read());
        drop(within);
        assert!(panics(|| drop(tree.read())));
        let state = Mutex::ranked(Rank::State, ());
        let _state = state.lock();
        assert!(panics(|| drop(Within::new())));
    }
}
