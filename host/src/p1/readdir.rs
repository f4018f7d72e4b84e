//! `fd_readdir`.
//!
//! The call hands a directory out in pieces of the guest's size. All pieces come from one snapshot, taken at
//! cookie 0: entries keep their cookies whatever changes meanwhile, and a directory of any size is listed
//! once.

use super::types::{Dirent, Errno, Error, Fd, Filetype};
use super::{OverlayP1Ctx, convert};
use crate::descriptor::not_utf8;
use crate::held_listings::{HeldListing, HeldListings};
use std::sync::Arc;
use wasi_overlay_core::cache::Bound;
use wasi_overlay_core::{self as core, Dir, Limits};
use wiggle::{GuestMemory, GuestPtr, GuestType};

/// Entries before those of the listing: `.` and `..`, which preview 1 has.
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
    /// Writes entries from `cookie` on, until the buffer is full or the directory ends. The last
    /// one may be cut off by the end of the buffer; the guest comes back for it.
    ///
    /// A cookie is the place of an entry in the snapshot that cookie 0 took.
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
                let look = move |dir: &Dir| look(dir, &held, wants_dots, kept.as_ref());
                let mut found = self.blocking().run_on(&open.dir, look.clone()).await;
                if let Err(error) = &found
                    && error.errno() == core::Errno::InsufficientMemory
                {
                    // Snapshots that are only half read make room for one that is asked for.
                    self.listings.clear();
                    found = self.blocking().run_on(&open.dir, look).await;
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
        for place in cookie..end {
            if out.is_full() {
                break;
            }
            let (name, ino, kind) = match place {
                0 => (Some("."), own, Filetype::Directory),
                1 => (Some(".."), own, Filetype::Directory),
                _ => match usize::try_from(place - DOTS)
                    .ok()
                    .and_then(|i| listing.get(i))
                {
                    Some(entry) => (
                        entry.name.to_str().ok(),
                        // `look` found all numbers, so this neither blocks nor fails.
                        entry.inode().map_err(convert::error)?,
                        convert::filetype(entry.kind),
                    ),
                    None => break,
                },
            };
            // A name that is not UTF-8 is reported at the end, when the guest has all others: C
            // libraries stop at the first error.
            if let Some(name) = name {
                out.entry(place + 1, ino, kind, name)?;
            }
        }
        if !out.is_full() && !listing.is_utf8() {
            if out.used == 0 {
                not_utf8(&core::Errno::IllegalByteSequence);
                return Err(Errno::Ilseq.into());
            }
            out.fill()?;
        }
        Ok(out.used)
    }
}

/// The directory's inode number, where that is wanted, and its listing.
fn look(
    dir: &Dir,
    held: &HeldListings,
    wants_dots: bool,
    kept: Option<&HeldListing>,
) -> core::Result<(u64, HeldListing)> {
    let listing = match kept {
        Some(listing) => listing.clone(),
        None => {
            let listing = held.list(dir)?;
            // Here, where that may block.
            listing.find_inodes()?;
            listing
        }
    };
    let own = if wants_dots { dir.identity()?.lower } else { 0 };
    Ok((own, listing))
}

/// The guest's buffer.
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

    fn entry(&mut self, next: u64, ino: u64, kind: Filetype, name: &str) -> Result<(), Error> {
        let length = u32::try_from(name.len()).map_err(|_| Errno::Overflow)?;
        self.header(next, ino, kind, length)?;
        self.bytes(name.as_bytes())
    }

    fn header(&mut self, next: u64, ino: u64, kind: Filetype, length: u32) -> Result<(), Error> {
        let mut header = [0; 24];
        debug_assert_eq!(header.len(), Dirent::guest_size() as usize);
        header[0..8].copy_from_slice(&next.to_le_bytes());
        header[8..16].copy_from_slice(&ino.to_le_bytes());
        header[16..20].copy_from_slice(&length.to_le_bytes());
        header[20] = kind as u8;
        self.bytes(&header)
    }

    /// Writes what fits.
    fn bytes(&mut self, bytes: &[u8]) -> Result<(), Error> {
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

    /// Ends the buffer with an entry that is cut off, whatever its size: the guest comes back
    /// for it, and is told what is wrong. A buffer that is not full would tell it that the directory
    /// ends here, and nothing more.
    fn fill(&mut self) -> Result<(), Error> {
        self.header(0, 0, Filetype::Unknown, self.buffer.len())?;
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
        let cache = KeyedCache::new(bound(&limits));
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
