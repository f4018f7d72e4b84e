//! WASI 0.1 for core modules: `wasi_snapshot_preview1` with our filesystem.
//!
//! The functions have the types of wasmtime-wasi's own. An [`OverlayCtx`] serves those that use files, and
//! the inner [`WasiP1Ctx`] serves all others. A core module runs as it is, without the adapter that makes
//! it a component and limits it to 128 descriptors and writes of 4 KiB.
//!
//! | file | contents |
//! |---|---|
//! | `imports` | the 46 functions |
//! | `macros` | macros for the bodies of those that call the engine |
//! | `delegate` | macros that forward those without files to wasmtime-wasi |
//! | `fd_table` | the table of descriptors |
//! | `vectored_io` | `fd_read`, `fd_write` and their kin, between files and guest memory |
//! | `paths` | calls with paths in guest memory |
//! | `readdir`, `poll` | `fd_readdir`, `poll_oneoff` |
//! | `linking` | synchronous and asynchronous linkers |

mod convert;
mod delegate;
mod fd_table;
mod imports;
mod linking;
mod macros;
mod paths;
mod poll;
mod readdir;
mod vectored_io;

pub use linking::{
    add_only_filesystem_to_linker_async, add_only_filesystem_to_linker_sync, add_to_linker_async,
    add_to_linker_sync,
};
use wasmtime_wasi::p1::{types, wasi_snapshot_preview1};

use crate::blocking::Blocking;
use crate::ctx::{OverlayCtx, OverlayCtxError};
use crate::held_listings::{HeldListing, HeldListings};
use fd_table::{Entry, FdTable};
use types::{Errno, Error, Fd};
use wasi_overlay_core::cache::KeyedCache;
use wasi_snapshot_preview1::WasiSnapshotPreview1 as Preview1;
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::runtime::with_ambient_tokio_runtime;
use wiggle::{GuestMemory, GuestPtr};

/// The WASI 0.1 state of one guest, for the data of its store.
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
    /// Arguments, environment, clocks, random numbers and standard streams.
    wasi: WasiP1Ctx,
    table: FdTable,
    /// Snapshots that the guest has partly read, by the directory's id: see `readdir`.
    listings: KeyedCache<u64, HeldListing>,
    /// All listings that the guest holds, including those in `listings`.
    held_listings: HeldListings,
    /// Where calls of an asynchronous linker run.
    blocking: Blocking,
    /// Whether the current call came through the synchronous linker.
    synchronous: bool,
    /// How many more bytes the current call may make the host copy; wasmtime's `hostcall_fuel`.
    fuel: usize,
}

impl OverlayP1Ctx {
    /// Creates a context with the directories of `files` and everything else from `wasi`.
    ///
    /// # Errors
    /// If `wasi` has preopened directories, which the guest would not see. Preopen them with
    /// [`OverlayCtxBuilder::dir`](crate::OverlayCtxBuilder::dir) instead.
    pub fn new(mut wasi: WasiP1Ctx, files: &OverlayCtx) -> Result<Self, OverlayCtxError> {
        if let Some(guest_path) = first_preopen(&mut wasi) {
            return Err(OverlayCtxError::WasiPreopens { guest_path });
        }
        // A clone counts its handles apart from other guests.
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

    /// The inner context, which serves everything but files.
    pub fn wasi(&mut self) -> &mut WasiP1Ctx {
        &mut self.wasi
    }

    /// Where to run the current call.
    fn blocking(&self) -> Blocking {
        if self.synchronous {
            Blocking::Inline
        } else {
            self.blocking
        }
    }

    /// Charges the call's fuel for an array in guest memory that the call reads or copies.
    ///
    /// # Errors
    /// `nomem` if not enough fuel is left.
    fn charge_fuel<T: wiggle::GuestType>(&mut self, array: GuestPtr<[T]>) -> Result<(), Error> {
        let bytes = u64::from(array.len()) * u64::from(T::guest_size());
        let left = usize::try_from(bytes)
            .ok()
            .and_then(|bytes| self.fuel.checked_sub(bytes));
        self.fuel = left.ok_or(Errno::Nomem)?;
        Ok(())
    }

    /// wasmtime-wasi's descriptor for `fd`, if `fd` is a standard stream.
    fn stdio(&self, call: &'static str, fd: Fd) -> Result<Option<Fd>, Error> {
        Ok(match self.table.get(call, fd)? {
            Entry::Stdio(inner) => Some(*inner),
            Entry::Dir(_) | Entry::File(_) => None,
        })
    }

    /// Moves a file's position past the bytes that were transferred.
    fn advance(&mut self, fd: Fd, from: u64, count: u32) -> Result<(), Error> {
        let to = from.checked_add(count.into()).ok_or(Errno::Overflow)?;
        self.table.file_mut("fd_write", fd)?.position = to;
        Ok(())
    }

    /// Releases the entry of a closed descriptor.
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

/// The guest path of the first directory that is preopened in a context of wasmtime-wasi.
fn first_preopen(wasi: &mut WasiP1Ctx) -> Option<String> {
    /// The first descriptor after the standard streams.
    const FIRST: u32 = 3;
    with_ambient_tokio_runtime(|| {
        let mut nothing = GuestMemory::Unshared(&mut []);
        let types::Prestat::Dir(dir) = wasi.fd_prestat_get(&mut nothing, FIRST.into()).ok()?;
        let mut name = vec![0; dir.pr_name_len as usize];
        let mut memory = GuestMemory::Unshared(&mut name);
        let at = GuestPtr::new(0);
        wasi.fd_prestat_dir_name(&mut memory, FIRST.into(), at, dir.pr_name_len)
            .ok()?;
        Some(String::from_utf8_lossy(&name).into_owned())
    })
}
