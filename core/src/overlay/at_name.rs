//! Calls of the upper on a file by its name, which must still be the file's.

use super::Shared;
use super::children::{At, Child};
use super::node::Node;
use crate::at_once;
use crate::error::{Errno, Result};
use crate::layer::erased::{AnyUpper, DirHandle};
use crate::name::Name;
use std::sync::Arc;

impl Shared {
    /// Calls `act` with the upper and the handle of `dir`, if `name` there is `node`'s, and with the directory
    /// lock held so that it remains so. Works after the mount was closed, too: an `act` that changes
    /// something calls [`upper`](Self::upper), which refuses that.
    ///
    /// # Errors
    /// `no-entry` if the name is gone, has another file, or is not in the upper; any error that `act` returns.
    pub(super) fn at_name<T>(
        &self,
        node: &Arc<Node>,
        (dir, name): At<'_>,
        act: impl FnOnce(&dyn AnyUpper, &DirHandle) -> Result<T>,
    ) -> Result<T> {
        let _names = at_once::read(&dir.dir()?.names)?;
        match dir.table_entry(name)? {
            Some(Child::Node(found)) if Arc::ptr_eq(&found, node) => {}
            _ => return Err(Errno::NoEntry.into()),
        }
        act(self.upper_to_read()?, &*dir.handle(self)?)
    }

    /// As [`at_name`](Self::at_name), where `at` is the name that a walk found `node` under. None if the walk
    /// found only the lower file, or there was no walk: then the name is the node's own
    /// [`position`](Node::position).
    pub(super) fn at_any_name<T>(
        &self,
        node: &Arc<Node>,
        at: Option<At<'_>>,
        act: impl FnOnce(&dyn AnyUpper, &DirHandle, Name<'_>) -> Result<T>,
    ) -> Result<T> {
        let position;
        let (dir, name) = match at {
            Some(at) => at,
            None => {
                position = node.parent().ok_or(Errno::NoEntry)?;
                (&position.0, position.1.as_name())
            }
        };
        self.at_name(node, (dir, name), |upper, dir| act(upper, dir, name))
    }
}
