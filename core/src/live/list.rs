//! Listings of live directories, with types and inode numbers from `getdents64`.

use super::dir::LiveDir;
use crate::error::Result;
use crate::listing::{Listing, OwnEntries};
use crate::plain::dir::list;
use std::fs::File;
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::sync::Arc;

pub(super) fn list(dir: &LiveDir) -> Result<Arc<Listing>> {
    let device = dir.file_id()?.device;
    let mut entries = OwnEntries::charged(dir.mount().listing_bytes.charge());
    let mut has_room = true;
    list::list(dir.file().as_fd(), &mut |name, kind, inode| {
        // For a mount point this is the number of the directory below the mount: a `stat` of every name,
        // to be right about mount points, would make listings slow.
        let identity = dir.key().of(0, device, inode);
        has_room = entries.push(name, kind, identity.lower);
        if has_room {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })?;
    if !has_room {
        return Err(crate::budget::exceeded());
    }
    Ok(Arc::new(entries.into()))
}

/// Whether a directory is empty.
pub(super) fn is_empty(dir: &File) -> Result<bool> {
    let mut empty = true;
    list::list(dir.as_fd(), &mut |_, _, _| {
        empty = false;
        ControlFlow::Break(())
    })?;
    Ok(empty)
}
