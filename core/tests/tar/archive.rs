//! Scans of archives that are written by hand.

use wasi_overlay_core::tar::{Scanner, TarIndex, TarLayer};
use wasi_overlay_core::{Limits, Result};
pub(crate) use wasi_overlay_proof::archive::{Archive, EntryType, Header, header};

/// Archives under construction, scanned.
pub(crate) trait Scan {
    /// Scans it in every way that there is, which must agree.
    fn scan(&self) -> Result<TarLayer>;

    fn layer(&self) -> TarLayer {
        self.scan().unwrap()
    }

    /// The message of the error that refuses it.
    fn error(&self) -> String {
        self.scan().unwrap_err().to_string()
    }
}

impl Scan for Archive {
    fn scan(&self) -> Result<TarLayer> {
        scan(&self.finished())
    }
}

/// Scans an archive from its bytes, in pieces of several sizes, and through its saved index.
pub(crate) fn scan(bytes: &[u8]) -> Result<TarLayer> {
    let limits = Limits::default();
    let layer = TarLayer::scan(bytes.to_vec(), &limits);
    for piece in [1, 511, 513, 100_000] {
        let mut scanner = Scanner::new(&limits);
        let pushed = bytes
            .chunks(piece)
            .try_for_each(|piece| scanner.push(piece));
        let index = pushed.and_then(|()| scanner.finish());
        match (&layer, &index) {
            (Ok(layer), Ok(index)) => assert!(
                layer.index().as_bytes() == index.as_bytes(),
                "pieces of {piece} bytes give another index"
            ),
            (Err(one), Err(other)) => assert_eq!(one.to_string(), other.to_string()),
            (one, other) => panic!("{one:?} at once, {other:?} in pieces of {piece} bytes"),
        }
    }
    if let Ok(layer) = &layer {
        let saved = layer.index().as_bytes();
        let loaded = TarIndex::from_bytes(saved, bytes.len() as u64).unwrap();
        assert!(loaded.as_bytes() == saved);
    }
    layer
}
