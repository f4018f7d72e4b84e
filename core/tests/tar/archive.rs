//! A writer of archives, including those that no program should write.

use tar_core::{EntryType, HEADER_SIZE, Header};
use wasi_overlay_core::tar::{TarIndex, TarLayer};
use wasi_overlay_core::{Limits, Result};

/// An archive under construction.
#[derive(Clone, Default)]
pub(crate) struct Archive {
    pub(crate) bytes: Vec<u8>,
}

/// An entry with everything at its default.
pub(crate) fn header(kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_size(size).unwrap();
    header.set_mode(0o644).unwrap();
    header.set_uid(0).unwrap();
    header.set_gid(0).unwrap();
    header.set_mtime(1_000_000_000).unwrap();
    header
}

impl Archive {
    /// Adds pax records for the next entry (`x`), or for all that follow (`g`).
    pub(crate) fn pax(mut self, kind: EntryType, records: &[(&str, &[u8])]) -> Self {
        let mut data = Vec::new();
        for (key, value) in records {
            // The length counts itself.
            let rest = key.len() + value.len() + 3;
            let length = (1..).find(|digits| (rest + digits).to_string().len() == *digits);
            data.extend((rest + length.unwrap()).to_string().as_bytes());
            data.extend([b" ", key.as_bytes(), b"=", value, b"\n"].concat());
        }
        self.raw(header(kind, data.len() as u64), b"pax", &data);
        self
    }

    /// Adds records for the next entry.
    pub(crate) fn records(self, records: &[(&str, &[u8])]) -> Self {
        self.pax(EntryType::XHeader, records)
    }

    /// Adds an entry. A path that the header has no room for goes into a pax record.
    pub(crate) fn entry(mut self, header: Header, path: impl AsRef<[u8]>, data: &[u8]) -> Self {
        let path = path.as_ref();
        if path.len() > 100 {
            self = self.records(&[("path", path)]);
        }
        self.raw(header, &path[..path.len().min(100)], data);
        self
    }

    /// Adds an entry whose header counts.
    pub(crate) fn raw(&mut self, mut header: Header, path: &[u8], data: &[u8]) {
        header.set_path(path).unwrap();
        header.set_checksum();
        self.bytes.extend(header.as_bytes());
        self.bytes.extend(data);
        let padded = self.bytes.len().next_multiple_of(HEADER_SIZE);
        self.bytes.resize(padded, 0);
    }

    pub(crate) fn dir(self, path: impl AsRef<[u8]>, mode: u32) -> Self {
        let mut header = header(EntryType::Directory, 0);
        header.set_mode(mode).unwrap();
        self.entry(header, path, b"")
    }

    pub(crate) fn owned_dir(self, path: &str, mode: u32, owner: u64) -> Self {
        let mut header = header(EntryType::Directory, 0);
        header.set_mode(mode).unwrap();
        header.set_uid(owner).unwrap();
        self.entry(header, path, b"")
    }

    pub(crate) fn file(self, path: impl AsRef<[u8]>, data: &[u8]) -> Self {
        self.entry(header(EntryType::Regular, data.len() as u64), path, data)
    }

    pub(crate) fn symlink(self, path: impl AsRef<[u8]>, target: &[u8]) -> Self {
        let mut header = header(EntryType::Symlink, 0);
        header.set_link_name(target).unwrap();
        self.entry(header, path, b"")
    }

    pub(crate) fn link(self, path: &str, target: &str) -> Self {
        let mut header = header(EntryType::Link, 0);
        header.set_link_name(target.as_bytes()).unwrap();
        self.entry(header, path, b"")
    }

    pub(crate) fn device(self, path: &str, kind: EntryType, major: u32, minor: u32) -> Self {
        let mut header = header(kind, 0);
        header.set_device(major, minor).unwrap();
        self.entry(header, path, b"")
    }

    /// The archive with its end.
    pub(crate) fn finished(&self) -> Vec<u8> {
        [&self.bytes[..], &[0; 2 * HEADER_SIZE]].concat()
    }

    /// Scans it in every way that there is, which must agree.
    pub(crate) fn scan(&self) -> Result<TarLayer> {
        scan(&self.finished())
    }

    pub(crate) fn layer(&self) -> TarLayer {
        self.scan().unwrap()
    }

    /// The message of the error that refuses it.
    pub(crate) fn error(&self) -> String {
        self.scan().unwrap_err().to_string()
    }
}

/// Scans an archive from its bytes, in pieces of several sizes, and through its saved index.
pub(crate) fn scan(bytes: &[u8]) -> Result<TarLayer> {
    let limits = Limits::default();
    let layer = TarLayer::scan(bytes.to_vec(), &limits);
    for piece in [1, 511, 513, 100_000] {
        let mut scanner = wasi_overlay_core::tar::Scanner::new(&limits);
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
