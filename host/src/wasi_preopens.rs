//! A check that the `WasiCtx` has no preopened directories, which the guest would not see.

use crate::ctx::{OverlayCtxError, OverlayView};
use crate::descriptor::Descriptor;
use std::marker::PhantomData;
use wasmtime::component::{HasData, Resource};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::filesystem::WasiFilesystemView;
use wasmtime_wasi::p2::bindings::filesystem::preopens::Host;

/// The data of a store, which the check is made on when the guest queries its directories: a linker has no
/// store, and the data may change until then.
pub(crate) struct CheckedPreopens<'a, T>(pub(crate) &'a mut T);

/// The `HasData` marker of [`CheckedPreopens`].
pub(crate) struct HasCheckedPreopens<T>(PhantomData<T>);

impl<T: 'static> HasData for HasCheckedPreopens<T> {
    type Data<'a> = CheckedPreopens<'a, T>;
}

impl<T: WasiView + OverlayView> CheckedPreopens<'_, T> {
    /// Implements `get-directories`.
    ///
    /// # Errors
    /// [`OverlayCtxError::WasiPreopens`], which ends the guest.
    pub(crate) fn directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        let mut wasi = self.0.filesystem();
        let mut first = None;
        for (descriptor, guest_path) in wasi.get_directories()? {
            wasi.table.delete(descriptor)?;
            first.get_or_insert(guest_path);
        }
        match first {
            Some(guest_path) => Err(OverlayCtxError::WasiPreopens { guest_path }.into()),
            None => self.0.overlay().directories(),
        }
    }
}
