//! Locks without poisoning, with a checked lock order.
//!
//! A standard lock returns an error to every later caller once a thread has panicked while it
//! held the lock. Here a single fault would then fail each guest on the same overlay from that moment
//! on. Every critical section in this crate leaves its data consistent at each step that can panic, so the
//! data behind a poisoned lock is still valid, and these locks ignore poisoning.
//!
//! A lock that is created with a [`Rank`] has a position in the lock order of `overlay/mod.rs`. In
//! builds with debug assertions, a thread that takes one out of order panics at once, even if no other
//! thread holds a lock ([`rank`]).
//!
//! With `--cfg shuttle` the locks are those of the crate shuttle, which decides at each lock operation
//! which thread runs next: `proof/tests/schedules`.

mod rank;
#[cfg(feature = "native")]
pub(crate) mod waiting;

/// Whether threads may share a stack. A component has one thread.
pub(crate) const HAS_SHARED_STACKS: bool = cfg!(feature = "native");

/// Whether the engine may start threads of its own: not in a component, and not in a schedule test.
pub(crate) const HAS_THREADS: bool = cfg!(all(feature = "native", not(shuttle)));

/// Whether the target has one thread, as a component has. A lock that is held cannot be waited for there.
const HAS_ONE_THREAD: bool = cfg!(all(target_family = "wasm", not(target_feature = "atomics")));

#[cfg(not(shuttle))]
pub(crate) use std::sync::atomic;
#[cfg(not(shuttle))]
use std::sync::{self as system};
#[cfg(not(shuttle))]
pub(crate) use std::thread::yield_now;

#[cfg(shuttle)]
use shuttle::sync as system;
#[cfg(shuttle)]
pub(crate) use shuttle::sync::atomic;
#[cfg(shuttle)]
pub(crate) use shuttle::thread::{yield_now, yield_now as pause};

#[cfg(all(test, debug_assertions, not(shuttle)))]
pub(crate) use rank::taken;
pub(crate) use rank::{Rank, Within};

use rank::{Held, Ranked};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{PoisonError, TryLockError};

/// Sleeps for a millisecond, so that other threads can run.
#[cfg(not(shuttle))]
pub(crate) fn pause() {
    std::thread::sleep(std::time::Duration::from_millis(1));
}

/// The guard of a held lock. The lock counts as held in the lock order until the guard is dropped.
pub(crate) struct Guard<G> {
    guard: G,
    _held: Held,
}

pub(crate) type MutexGuard<'a, T> = Guard<system::MutexGuard<'a, T>>;
pub(crate) type RwLockReadGuard<'a, T> = Guard<system::RwLockReadGuard<'a, T>>;
pub(crate) type RwLockWriteGuard<'a, T> = Guard<system::RwLockWriteGuard<'a, T>>;

impl<G: Deref> Deref for Guard<G> {
    type Target = G::Target;

    fn deref(&self) -> &G::Target {
        &self.guard
    }
}

impl<G: DerefMut> DerefMut for Guard<G> {
    fn deref_mut(&mut self) -> &mut G::Target {
        &mut self.guard
    }
}

/// A mutual exclusion lock.
pub(crate) struct Mutex<T: ?Sized> {
    rank: Ranked,
    lock: system::Mutex<T>,
}

impl<T> Mutex<T> {
    /// A new lock outside the lock order.
    pub(crate) const fn new(value: T) -> Self {
        Self::ranked(Rank::None, value)
    }

    /// A new lock with a position in the lock order.
    pub(crate) const fn ranked(rank: Rank, value: T) -> Self {
        Self {
            rank: Ranked::new(rank),
            lock: system::Mutex::new(value),
        }
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits for the lock.
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        let held = self.rank.wait();
        let locked = if HAS_ONE_THREAD {
            // The standard library's `lock` would format a message, which takes a kilobyte of code.
            match self.lock.try_lock() {
                Ok(guard) => Ok(guard),
                Err(TryLockError::Poisoned(poisoned)) => Err(poisoned),
                Err(TryLockError::WouldBlock) => unreachable!("the only thread holds the lock"),
            }
        } else {
            self.lock.lock()
        };
        Guard {
            guard: locked.unwrap_or_else(PoisonError::into_inner),
            _held: held,
        }
    }

    /// The value, without locking: `&mut self` shows that nothing else uses the lock.
    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.lock.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lock.fmt(f)
    }
}

/// A lock with many readers or one writer.
pub(crate) struct RwLock<T: ?Sized> {
    rank: Ranked,
    lock: system::RwLock<T>,
}

impl<T> RwLock<T> {
    /// A new lock outside the lock order.
    pub(crate) const fn new(value: T) -> Self {
        Self::ranked(Rank::None, value)
    }

    /// A new lock with a position in the lock order.
    pub(crate) const fn ranked(rank: Rank, value: T) -> Self {
        Self {
            rank: Ranked::new(rank),
            lock: system::RwLock::new(value),
        }
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Waits for the lock and takes it shared.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, T> {
        let held = self.rank.wait();
        Guard {
            guard: self.lock.read().unwrap_or_else(PoisonError::into_inner),
            _held: held,
        }
    }

    /// Takes the lock shared, unless a thread holds it exclusively.
    pub(crate) fn try_read(&self) -> Option<RwLockReadGuard<'_, T>> {
        let guard = match self.lock.try_read() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        let held = self.rank.took();
        Some(Guard { guard, _held: held })
    }

    /// Takes the lock exclusively, unless a thread holds it.
    pub(crate) fn try_write(&self) -> Option<RwLockWriteGuard<'_, T>> {
        let guard = match self.lock.try_write() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        let held = self.rank.took();
        Some(Guard { guard, _held: held })
    }

    /// Waits for the lock and takes it exclusively.
    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, T> {
        let held = self.rank.wait();
        Guard {
            guard: self.lock.write().unwrap_or_else(PoisonError::into_inner),
            _held: held,
        }
    }

    /// The value, without locking: `&mut self` shows that nothing else uses the lock.
    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.lock.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Default> Default for RwLock<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lock.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_still_works_after_its_holder_panicked() {
        let mutex = Mutex::new(1);
        let rwlock = RwLock::new(2);
        std::thread::scope(|scope| {
            let holder = scope.spawn(|| {
                let _mutex = mutex.lock();
                let _rwlock = rwlock.write();
                panic!("on purpose");
            });
            assert!(holder.join().is_err());
        });
        *mutex.lock() += 1;
        *rwlock.write() += 1;
        assert_eq!((*mutex.lock(), *rwlock.read()), (2, 3));
    }
}
