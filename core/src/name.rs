//! [`Name`]: a path component that was checked once, so that no layer has to check it.

use crate::error::{Errno, Result};
use std::borrow::Borrow;
use std::fmt;

/// The longest name that a directory on Linux holds (`NAME_MAX`). A longer one is refused before anything is
/// queried. Otherwise a directory with a complete table would answer `no-entry`, and any other what its layer
/// answers.
pub(crate) const NAME_MAX: usize = 255;

/// One component of a path: bytes, never empty, `.` or `..`, and without `/` or NUL.
///
/// The engine passes only `Name`s to layers, so no name can lead a layer out of a directory. A name may be
/// longer than a layer can store: that layer returns [`Errno::NameTooLong`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name<'a>(&'a [u8]);

impl<'a> Name<'a> {
    /// Checks `bytes`.
    ///
    /// # Errors
    /// [`Errno::Invalid`] if they are not a name.
    pub fn new(bytes: &'a [u8]) -> Result<Self> {
        let reserved = matches!(bytes, b"" | b"." | b"..");
        if reserved || bytes.iter().any(|&b| b == b'/' || b == 0) {
            return Err(Errno::Invalid.into());
        }
        Ok(Self(bytes))
    }

    /// A name from bytes that were checked before.
    pub(crate) fn checked(bytes: &'a [u8]) -> Self {
        debug_assert!(Self::new(bytes).is_ok());
        Self(bytes)
    }

    /// Whether the whiteout format reserves the name: guests neither see nor create such names.
    pub(crate) fn is_reserved(self) -> bool {
        self.0.starts_with(b".wh.")
    }

    /// The bytes, as on disk.
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// The name as a guest may see it: WASI names are UTF-8.
    ///
    /// # Errors
    /// [`Errno::IllegalByteSequence`] if the host's name is not UTF-8.
    pub fn to_str(self) -> Result<&'a str> {
        std::str::from_utf8(self.0).map_err(|_| Errno::IllegalByteSequence.into())
    }

    /// An owned copy.
    pub fn to_owned(self) -> NameBuf {
        NameBuf(self.0.into())
    }
}

impl fmt::Debug for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.escape_ascii().fmt(f)
    }
}

/// An owned [`Name`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NameBuf(Box<[u8]>);

impl NameBuf {
    /// The name, borrowed.
    pub fn as_name(&self) -> Name<'_> {
        Name(&self.0)
    }
}

/// A `NameBuf` hashes like its bytes, so that a slice is a key for lookups in a map of `NameBuf`s.
impl Borrow<[u8]> for NameBuf {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for NameBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_name().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_names_that_lead_out_of_the_directory() {
        for bad in [&b""[..], b".", b"..", b"/", b"a/b", b"a/", b"a\0b", b"\0"] {
            assert!(Name::new(bad).is_err(), "{}", bad.escape_ascii());
        }
        for good in [&b"a"[..], b"...", b".a", b"a b", b"\xff\xfe", b"..a"] {
            assert_eq!(Name::new(good).unwrap().as_bytes(), good);
        }
    }

    #[test]
    fn a_host_name_may_be_other_than_utf8() {
        let name = Name::new(b"\xff").unwrap();
        assert_eq!(
            name.to_str().unwrap_err().errno(),
            Errno::IllegalByteSequence
        );
        assert_eq!(name.to_string(), "\\xff");
    }
}
