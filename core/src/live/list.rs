//! Listing a directory: types and inode numbers come with the names.

use super::dir::LiveDir;
use crate::error::Result;
use crate::listing::{Listing, Own};
use crate::plain::dir::list;
use std::fs::File;
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::sync::Arc;

pub(super) fn list(dir: &LiveDir) -> Result<Arc<Listing>> {
    let device = dir.place()?.device;
    let mut entries = Own::charged(dir.mount().listing_bytes.charge());
    let mut has_room = true;
    list::list(dir.file().as_fd(), &mut |name, kind, inode| {
        // Where another filesystem is mounted, this is the directory below the mount: asking
        // for every name, to be right about those, is what makes listings slow elsewhere.
        let identity = dir.key().of(0, device, inode);
        has_room = entries.push(name, kind, identity.lower);
        match has_room {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    })?;
    if !has_room {
        return Err(crate::budget::exceeded());
    }
    Ok(Arc::new(entries.into()))
}

/// Whether there is no entry.
pub(super) fn is_empty(dir: &File) -> Result<bool> {
    let mut empty = true;
    list::list(dir.as_fd(), &mut |_, _, _| {
        empty = false;
        ControlFlow::Break(())
    })?;
    Ok(empty)
}
