//! A writer of tar archives, including those that no program should write.
//!
//! Its methods panic if a header has no room for a number or a name.

use tar_core::HEADER_SIZE;
pub use tar_core::{EntryType, Header};

/// An archive under construction.
#[derive(Clone, Default)]
pub struct Archive {
    /// The entries, without the end of the archive.
    pub bytes: Vec<u8>,
}

/// An entry with everything at its default.
pub fn header(kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_size(size).expect(FITS);
    header.set_mode(0o644).expect(FITS);
    header.set_uid(0).expect(FITS);
    header.set_gid(0).expect(FITS);
    header.set_mtime(1_000_000_000).expect(FITS);
    header
}

const FITS: &str = "a header that has room";

impl Archive {
    /// Adds pax records for the next entry (`x`), or for all that follow (`g`).
    #[must_use]
    pub fn pax(mut self, kind: EntryType, records: &[(&str, &[u8])]) -> Self {
        let mut data = Vec::new();
        for (key, value) in records {
            // The length counts itself.
            let rest = key.len() + value.len() + 3;
            let length = (1..).find(|digits| (rest + digits).to_string().len() == *digits);
            data.extend((rest + length.expect(FITS)).to_string().as_bytes());
            data.extend([b" ", key.as_bytes(), b"=", value, b"\n"].concat());
        }
        self.raw(header(kind, data.len() as u64), b"pax", &data);
        self
    }

    /// Adds records for the next entry.
    #[must_use]
    pub fn records(self, records: &[(&str, &[u8])]) -> Self {
        self.pax(EntryType::XHeader, records)
    }

    /// Adds an entry. A path that the header has no room for goes into a pax record.
    #[must_use]
    pub fn entry(mut self, header: Header, path: impl AsRef<[u8]>, data: &[u8]) -> Self {
        let path = path.as_ref();
        if path.len() > 100 {
            self = self.records(&[("path", path)]);
        }
        self.raw(header, &path[..path.len().min(100)], data);
        self
    }

    /// Adds an entry whose header counts.
    pub fn raw(&mut self, mut header: Header, path: &[u8], data: &[u8]) {
        header.set_path(path).expect(FITS);
        header.set_checksum();
        self.bytes.extend(header.as_bytes());
        self.bytes.extend(data);
        let padded = self.bytes.len().next_multiple_of(HEADER_SIZE);
        self.bytes.resize(padded, 0);
    }

    /// Adds a directory.
    #[must_use]
    pub fn dir(self, path: impl AsRef<[u8]>, mode: u32) -> Self {
        let mut header = header(EntryType::Directory, 0);
        header.set_mode(mode).expect(FITS);
        self.entry(header, path, b"")
    }

    /// Adds a directory of a user.
    #[must_use]
    pub fn owned_dir(self, path: &str, mode: u32, owner: u64) -> Self {
        let mut header = header(EntryType::Directory, 0);
        header.set_mode(mode).expect(FITS);
        header.set_uid(owner).expect(FITS);
        self.entry(header, path, b"")
    }

    /// Adds a regular file.
    #[must_use]
    pub fn file(self, path: impl AsRef<[u8]>, data: &[u8]) -> Self {
        self.entry(header(EntryType::Regular, data.len() as u64), path, data)
    }

    /// Adds a symbolic link.
    #[must_use]
    pub fn symlink(self, path: impl AsRef<[u8]>, target: &[u8]) -> Self {
        let mut header = header(EntryType::Symlink, 0);
        header.set_link_name(target).expect(FITS);
        self.entry(header, path, b"")
    }

    /// Adds a hard link.
    #[must_use]
    pub fn link(self, path: &str, target: &str) -> Self {
        let mut header = header(EntryType::Link, 0);
        header.set_link_name(target.as_bytes()).expect(FITS);
        self.entry(header, path, b"")
    }

    /// Adds a device.
    #[must_use]
    pub fn device(self, path: &str, kind: EntryType, major: u32, minor: u32) -> Self {
        let mut header = header(kind, 0);
        header.set_device(major, minor).expect(FITS);
        self.entry(header, path, b"")
    }

    /// The archive with its end.
    pub fn finished(&self) -> Vec<u8> {
        [&self.bytes[..], &[0; 2 * HEADER_SIZE]].concat()
    }
}
