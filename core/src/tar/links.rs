//! Hard links whose target comes later in the archive.
//!
//! A link is bound to the file that its target is when the link is read, not to the name: an entry that
//! replaces the target later does not change the link. If there is no such file yet, the link is bound at
//! the end, to what its target is then.

use super::tree::{Bound, PendingLink, Slot, Tree};
use crate::error::{Errno, Error, Result};
use crate::log::Escaped;

/// The error of a hard link to a directory.
pub(super) fn to_dir(target: &[u8]) -> Error {
    Error::new(
        Errno::Invalid,
        format_args!(
            "it is a hard link to `{}`, which is a directory",
            Escaped::new(target)
        ),
    )
}

impl Tree {
    /// Binds the links that are still pending.
    ///
    /// # Errors
    /// `no-entry` for a link to a file that the archive does not have; `loop` for links to each other.
    pub(super) fn resolve_links(&mut self) -> Result<()> {
        for record in 0..self.records().len() {
            let record = u32::try_from(record).unwrap_or(u32::MAX);
            if let Some(Slot::Link(link)) = self.records().get(record as usize).map(|r| r.slot) {
                let node = self.resolve_link(link)?;
                if let Some(record) = self.record_mut(record) {
                    record.slot = Slot::Node(node);
                }
            }
        }
        Ok(())
    }

    /// The node that a pending link leads to. All links on the way are bound with it, so each is followed
    /// once, however long the chain.
    fn resolve_link(&mut self, link: u32) -> Result<u32> {
        let mut chain = Vec::new();
        let mut next = link;
        let node = loop {
            let Some(pending) = self.links.get_mut(next as usize) else {
                return Err(Errno::Io.into());
            };
            match pending.bound {
                Bound::Node(node) => break node,
                Bound::Following => return Err(named(pending, "leads to itself", Errno::Loop)),
                Bound::No => pending.bound = Bound::Following,
            }
            chain.push(next);
            let target = pending.target.clone();
            next = match self.resolve(&target) {
                Some(Slot::Node(node)) if self.is_dir(node) => return Err(to_dir(&target)),
                Some(Slot::Node(node)) => break node,
                Some(Slot::Link(other)) => other,
                Some(Slot::Empty | Slot::Whiteout) | None => {
                    let Some(pending) = self.links.get(next as usize) else {
                        return Err(Errno::Io.into());
                    };
                    return Err(named(pending, "is not in this archive", Errno::NoEntry)
                        .with_remedy(|| {
                            "a hard link has to lead to a file of its own layer: copy the file \
                             instead, or flatten the image into one layer"
                        }));
                }
            };
        };
        for link in chain {
            if let Some(link) = self.links.get_mut(link as usize) {
                link.bound = Bound::Node(node);
            }
        }
        Ok(node)
    }
}

fn named(link: &PendingLink, what: &str, errno: Errno) -> Error {
    Error::new(
        errno,
        format_args!(
            "{}: it is a hard link to `{}`, which {what}",
            Escaped::new(&link.path),
            Escaped::new(&link.target)
        ),
    )
}
