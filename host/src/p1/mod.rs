//! WASI 0.1 for core modules: `wasi_snapshot_preview1` with our filesystem in it.
//!
//! The functions are wasmtime-wasi's own, type for type; those that touch files are served from
//! an [`OverlayCtx`], all others by the [`WasiP1Ctx`] inside. A module is served as it is,
//! without the adapter that makes a component of it, which has 128 descriptors and 4 KiB writes.
//!
//! | file | holds |
//! |---|---|
//! | `imports` | the 46 functions: table, convert, call, convert |
//! | `delegate` | those of them that have nothing to do with files |
//! | `fd_table` | what descriptors stand for |
//! | `data` | `fd_read`, `fd_write` and their kin, between files and guest memory |
//! | `paths` | paths from guest memory to the engine |
//! | `readdir`, `poll` | `fd_readdir`, `poll_oneoff` |
//! | `linking` | synchronous and asynchronous linkers |

#[macro_use]
mod calls;
mod convert;
mod data;
mod delegate;
mod fd_table;
mod imports;
mod linking;
mod paths;
mod poll;
mod readdir;

pub use linking::{add_to_linker_async, add_to_linker_sync};
use wasmtime_wasi::p1::{types, wasi_snapshot_preview1};

use crate::blocking::Blocking;
use crate::ctx::OverlayCtx;
use crate::held_listings::{HeldListing, HeldListings};
use fd_table::{Entry, FdTable};
use types::{Errno, Error, Fd};
use wasi_overlay_core::cache::KeyedCache;
use wasi_snapshot_preview1::WasiSnapshotPreview1 as Preview1;
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::runtime::with_ambient_tokio_runtime;
use wiggle::{GuestMemory, GuestPtr};

/// The state of one guest of WASI 0.1, to be kept in the data of its store.
///
/// ```
/// use wasi_overlay::{OverlayCtx, p1};
/// use wasmtime_wasi::WasiCtxBuilder;
///
/// # fn main() -> wasmtime::Result<()> {
/// let engine = wasmtime::Engine::default();
/// let mut linker = wasmtime::Linker::new(&engine);
/// p1::add_to_linker_sync(&mut linker, |state: &mut p1::OverlayP1Ctx| state)?;
///
/// let wasi = WasiCtxBuilder::new().inherit_stdio().build_p1();
/// let files = OverlayCtx::builder().build();
/// let store = wasmtime::Store::new(&engine, p1::OverlayP1Ctx::new(wasi, &files)?);
/// # Ok(())
/// # }
/// ```
pub struct OverlayP1Ctx {
    /// Arguments, environment, clocks, random numbers, the standard streams.
    wasi: WasiP1Ctx,
    table: FdTable,
    /// Snapshots that the guest is in the middle of reading, by the directory's id: see `readdir`.
    listings: KeyedCache<u64, HeldListing>,
    /// All listings that the guest holds, `listings` included.
    held_listings: HeldListings,
    /// Where calls of an asynchronous linker may block.
    blocking: Blocking,
    /// Whether the call at hand came through the synchronous linker.
    synchronous: bool,
    /// Bytes that the call at hand may make the host copy; wasmtime's `hostcall_fuel`.
    fuel: usize,
}

impl OverlayP1Ctx {
    /// Puts together the directories of `files` and everything else of `wasi`.
    ///
    /// # Errors
    /// If `wasi` has preopened directories: a guest would not see them. Give them to
    /// [`OverlayCtxBuilder::dir`](crate::OverlayCtxBuilder::dir).
    pub fn new(mut wasi: WasiP1Ctx, files: &OverlayCtx) -> wasmtime::Result<Self> {
        let mut nothing = GuestMemory::Unshared(&mut []);
        let first = with_ambient_tokio_runtime(|| wasi.fd_prestat_get(&mut nothing, 3.into()));
        if first.is_ok() {
            wasmtime::bail!(
                "the WASI context has preopened directories, which a guest of wasi-overlay does \
                 not see: preopen them with OverlayCtxBuilder::dir"
            );
        }
        // A guest of its own, with handles of its own.
        let files = files.clone();
        Ok(Self {
            wasi,
            table: FdTable::new(files.preopens()),
            listings: KeyedCache::new(readdir::bound(files.limits())),
            held_listings: files.listings().clone(),
            blocking: files.blocking(),
            synchronous: false,
            fuel: 0,
        })
    }

    /// The context that serves everything but files.
    pub fn wasi(&mut self) -> &mut WasiP1Ctx {
        &mut self.wasi
    }

    /// Where the call at hand may block.
    fn blocking(&self) -> Blocking {
        if self.synchronous {
            Blocking::Inline
        } else {
            self.blocking
        }
    }

    /// Pays for a guest's array whose elements the call goes through.
    ///
    /// # Errors
    /// `nomem` if it is more than the call may take.
    fn pay<T: wiggle::GuestType>(&mut self, array: GuestPtr<[T]>) -> Result<(), Error> {
        let bytes = u64::from(array.len()) * u64::from(T::guest_size());
        let left = usize::try_from(bytes)
            .ok()
            .and_then(|bytes| self.fuel.checked_sub(bytes));
        self.fuel = left.ok_or(Errno::Nomem)?;
        Ok(())
    }

    /// The standard stream behind `fd`, if it is one.
    fn stdio(&self, call: &'static str, fd: Fd) -> Result<Option<Fd>, Error> {
        Ok(match self.table.get(call, fd)? {
            Entry::Stdio(inner) => Some(*inner),
            Entry::Dir(_) | Entry::File(_) => None,
        })
    }

    /// Lets go of what a closed descriptor stood for.
    async fn close(&mut self, memory: &mut GuestMemory<'_>, entry: Entry) -> Result<(), Error> {
        match entry {
            Entry::Stdio(inner) => {
                self.enter_runtime().await;
                self.wasi.fd_close(memory, inner).await
            }
            Entry::Dir(dir) => {
                self.listings.remove(&dir.id);
                Ok(())
            }
            Entry::File(_) => Ok(()),
        }
    }
}
