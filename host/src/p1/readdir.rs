//! `fd_readdir`, from snapshots of directories.
//!
//! The call hands a directory out in pieces of the guest's size. All pieces come from one snapshot, taken at
//! cookie 0: entries keep their cookies whatever changes meanwhile, and a directory of any size is listed
//! once.

use super::types::{Dirent, Errno, Error, Fd, Filetype};
use super::{OverlayP1Ctx, convert};
use crate::descriptor::log_not_utf8;
use crate::held_listings::{HeldListing, HeldListings};
use std::sync::Arc;
use wasi_overlay_core::cache::Bound;
use wasi_overlay_core::{self as core, Dir, Limits};
use wiggle::{GuestMemory, GuestPtr, GuestType};

/// How many entries precede those of the listing: `.` and `..`.
const DOTS: u64 = 2;

/// The bound on the snapshots of one guest. The one that was read last is kept whatever its size, or it would be
/// taken anew at each call.
pub(super) fn bound(limits: &Limits) -> Bound {
    Bound {
        entries: limits.half_read_listings,
        weight: limits.half_read_bytes,
    }
}

impl OverlayP1Ctx {
    /// Implements `fd_readdir`: writes the entries from `cookie` on, until the buffer is full or the
    /// directory ends. The end of the buffer may truncate the last entry; the guest calls again for it.
    ///
    /// A cookie is the index of an entry in the snapshot, which a call with cookie 0 takes.
    pub(super) async fn read_directory(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        buffer: GuestPtr<[u8]>,
        cookie: u64,
    ) -> Result<u32, Error> {
        let open = self.table.dir("fd_readdir", fd)?;
        let id = open.id;
        let kept = if cookie == 0 {
            None
        } else {
            self.listings.get(&id).map(|listing| (*listing).clone())
        };
        // The inode numbers of `.` and `..` are the directory's, as in wasmtime-wasi.
        let wants_dots = cookie < DOTS;
        let (own, listing) = match kept {
            Some(listing) if !wants_dots => (0, listing),
            kept => {
                let held = self.held_listings.clone();
                let list = move |dir: &Dir| list_with_inodes(dir, &held, wants_dots, kept.as_ref());
                let mut found = self.blocking().run_on(&open.dir, list.clone()).await;
                if let Err(error) = &found
                    && error.errno() == core::Errno::InsufficientMemory
                {
                    // Drop the snapshots of partly read directories to make room for this one.
                    self.listings.clear();
                    found = self.blocking().run_on(&open.dir, list).await;
                }
                let found = found.map_err(convert::error)?;
                let listing = Arc::new(found.1.clone());
                let bytes = listing.bytes();
                self.listings.replace(id, listing, bytes);
                found
            }
        };

        let mut out = Output {
            memory,
            buffer,
            used: 0,
        };
        let end = DOTS + listing.len() as u64;
        for index in cookie..end {
            if out.is_full() {
                break;
            }
            let (name, ino, kind) = match index {
                0 => (Some("."), own, Filetype::Directory),
                1 => (Some(".."), own, Filetype::Directory),
                _ => match usize::try_from(index - DOTS)
                    .ok()
                    .and_then(|i| listing.get(i))
                {
                    Some(entry) => (
                        entry.name.to_str().ok(),
                        // `list_with_inodes` found all numbers, so this neither blocks nor fails.
                        entry.inode().map_err(convert::error)?,
                        convert::filetype(entry.kind),
                    ),
                    None => break,
                },
            };
            // Names that are not UTF-8 are reported after all others: C libraries stop at the first
            // error.
            if let Some(name) = name {
                out.write_entry(index + 1, ino, kind, name)?;
            }
        }
        if !out.is_full() && !listing.is_utf8() {
            if out.used == 0 {
                log_not_utf8(&core::Errno::IllegalByteSequence);
                return Err(Errno::Ilseq.into());
            }
            out.fill_with_truncated_entry()?;
        }
        Ok(out.used)
    }
}

/// The directory's inode number, if `wants_dots`, and its listing with all inode numbers known.
fn list_with_inodes(
    dir: &Dir,
    held: &HeldListings,
    wants_dots: bool,
    kept: Option<&HeldListing>,
) -> core::Result<(u64, HeldListing)> {
    let listing = match kept {
        Some(listing) => listing.clone(),
        None => {
            let listing = held.list(dir)?;
            // Looked up here, because this function may block.
            listing.find_inodes()?;
            listing
        }
    };
    let own = if wants_dots { dir.identity()?.lower } else { 0 };
    Ok((own, listing))
}

/// A writer into the guest's buffer.
struct Output<'a, 'm> {
    memory: &'a mut GuestMemory<'m>,
    buffer: GuestPtr<[u8]>,
    used: u32,
}

impl Output<'_, '_> {
    fn left(&self) -> u32 {
        self.buffer.len() - self.used
    }

    fn is_full(&self) -> bool {
        self.left() == 0
    }

    fn write_entry(
        &mut self,
        next: u64,
        ino: u64,
        kind: Filetype,
        name: &str,
    ) -> Result<(), Error> {
        let length = u32::try_from(name.len()).map_err(|_| Errno::Overflow)?;
        self.write_header(next, ino, kind, length)?;
        self.write_fitting(name.as_bytes())
    }

    fn write_header(
        &mut self,
        next: u64,
        ino: u64,
        kind: Filetype,
        length: u32,
    ) -> Result<(), Error> {
        let mut header = [0; 24];
        debug_assert_eq!(header.len(), Dirent::guest_size() as usize);
        header[0..8].copy_from_slice(&next.to_le_bytes());
        header[8..16].copy_from_slice(&ino.to_le_bytes());
        header[16..20].copy_from_slice(&length.to_le_bytes());
        header[20] = kind as u8;
        self.write_fitting(&header)
    }

    /// Writes as many of `bytes` as fit.
    fn write_fitting(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let length = self
            .left()
            .min(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        if length > 0 {
            let target = self.buffer.as_ptr().add(self.used)?.as_array(length);
            self.memory
                .copy_from_slice(&bytes[..length as usize], target)?;
            self.used += length;
        }
        Ok(())
    }

    /// Fills the buffer with an entry that is truncated at any buffer size, so that the guest calls again
    /// and gets the error. A buffer that is not full would mean that the directory ends here.
    fn fill_with_truncated_entry(&mut self) -> Result<(), Error> {
        self.write_header(0, 0, Filetype::Unknown, self.buffer.len())?;
        self.used = self.buffer.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasi_overlay_core::Overlay;
    use wasi_overlay_core::cache::KeyedCache;

    /// A listing of so many names of 255 bytes.
    fn long_names(count: usize) -> Arc<HeldListing> {
        let overlay = Overlay::builder().upper_memory(1 << 20).build().unwrap();
        let root = overlay.root();
        for at in 0..count {
            let name = format!("{at:0>255}");
            root.create_directory_at(&name).unwrap();
        }
        Arc::new(HeldListings::new(&Limits::default()).list(&root).unwrap())
    }

    /// A name was counted as 64 bytes, whatever its length.
    #[test]
    fn snapshots_count_by_their_bytes_and_the_last_one_stays() {
        let listing = long_names(10);
        let bytes = listing.bytes();
        assert!(bytes > 10 * 255);
        let mut limits = Limits::default();
        (limits.half_read_listings, limits.half_read_bytes) = (64, 2 * bytes);
        let cache: KeyedCache<u64, HeldListing> = KeyedCache::new(bound(&limits));
        for id in 0..3 {
            cache.replace(id, Arc::clone(&listing), bytes);
        }
        assert!(cache.get(&0).is_none() && cache.get(&2).is_some());
        let large = long_names(30);
        cache.replace(3, Arc::clone(&large), large.bytes());
        assert!(cache.get(&3).is_some() && cache.get(&1).is_none());
        // A snapshot that is taken anew counts once.
        for _ in 0..9 {
            cache.replace(4, Arc::clone(&listing), bytes);
        }
        cache.replace(5, Arc::clone(&listing), bytes);
        assert!(cache.get(&4).is_some());
    }
}
