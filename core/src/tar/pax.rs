//! Pax records of an entry, or of all entries that follow ([POSIX, pax]).
//!
//! [POSIX, pax]: https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html

use super::entry::invalid;
use super::extras::Attribute;
use crate::error::Result;
use crate::meta::Timestamp;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{Engine, alphabet};
use tar_core::PaxExtensions;

/// The records that count for a layer.
#[derive(Clone, Debug, Default)]
pub(super) struct Records {
    pub(super) size: Option<u64>,
    pub(super) user: Option<u64>,
    pub(super) group: Option<u64>,
    pub(super) modified: Option<Timestamp>,
    pub(super) accessed: Option<Timestamp>,
    /// Extended attributes in libarchive's form; in global records in both forms.
    pub(super) attributes: Vec<Attribute>,
}

impl Records {
    /// Reads the records of one entry.
    ///
    /// # Errors
    /// `invalid` for a record that cannot be read.
    pub(super) fn parse(pax: &[u8]) -> Result<Self> {
        let mut records = Self::default();
        records.add(pax, |_, _, _| Ok(()))?;
        Ok(records)
    }

    /// Adds global records.
    ///
    /// # Errors
    /// `invalid` for a record that cannot be read, and for one that would give all entries that follow the
    /// same path, size or data: programs disagree about what it means.
    pub(super) fn add_global(&mut self, pax: &[u8]) -> Result<()> {
        self.add(pax, |records, key, value| {
            if matches!(key, "path" | "linkpath" | "size") || key.starts_with("GNU.sparse.") {
                return Err(invalid(format_args!(
                    "a global record sets `{key}` for all entries that follow"
                )));
            }
            if let Some(name) = key.strip_prefix("SCHILY.xattr.") {
                records.set_attribute(name.as_bytes(), value.into());
            }
            Ok(())
        })
    }

    fn add(
        &mut self,
        pax: &[u8],
        mut other: impl FnMut(&mut Self, &str, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut end = 0;
        for record in PaxExtensions::new(pax) {
            let record = record.map_err(invalid)?;
            let key = record.key().map_err(invalid)?;
            let value = record.value_bytes();
            end = value.as_ptr_range().end.addr() - pax.as_ptr().addr() + 1;
            let unreadable = || {
                invalid(format_args!(
                    "the value of the pax record `{}` cannot be read: {}",
                    key.escape_debug(),
                    value[..value.len().min(64)].escape_ascii()
                ))
            };
            match key {
                "size" => self.size = number(value).ok_or_else(unreadable)?,
                "uid" => self.user = number(value).ok_or_else(unreadable)?,
                "gid" => self.group = number(value).ok_or_else(unreadable)?,
                "mtime" => self.modified = time(value).ok_or_else(unreadable)?,
                "atime" => self.accessed = time(value).ok_or_else(unreadable)?,
                "path" | "linkpath" if value.is_empty() || value.contains(&0) => {
                    return Err(unreadable());
                }
                "GNU.sparse.offset"
                | "GNU.sparse.numbytes"
                | "GNU.sparse.numblocks"
                | "GNU.sparse.size"
                | "GNU.sparse.realsize"
                | "GNU.sparse.major"
                | "GNU.sparse.minor" => {
                    number(value).flatten().ok_or_else(unreadable)?;
                }
                _ => {
                    if let Some(name) = key.strip_prefix("LIBARCHIVE.xattr.") {
                        let name = percent_decoded(name.as_bytes()).ok_or_else(unreadable)?;
                        let value = base64_decoded(value).ok_or_else(unreadable)?;
                        self.set_attribute(&name, value.into());
                    }
                }
            }
            other(self, key, value)?;
        }
        // The iterator stops at bytes that are not a record.
        if pax[end..].iter().any(|byte| *byte != 0) {
            return Err(invalid("a pax header holds something else than records"));
        }
        Ok(())
    }

    fn set_attribute(&mut self, name: &[u8], value: Box<[u8]>) {
        self.attributes.retain(|(known, _)| **known != *name);
        self.attributes.push((name.into(), value));
    }
}

/// A decimal number. `Some(None)` for an empty value, which unsets the record.
fn number(value: &[u8]) -> Option<Option<u64>> {
    if value.is_empty() {
        return Some(None);
    }
    if !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok().map(Some)
}

/// A time: seconds, with a fraction and a sign if need be. `Some(None)` for an empty value.
fn time(value: &[u8]) -> Option<Option<Timestamp>> {
    if value.is_empty() {
        return Some(None);
    }
    let (negative, digits) = match value {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let mut parts = digits.splitn(2, |byte| *byte == b'.');
    let whole: i64 = number(parts.next()?)??.try_into().ok()?;
    let fraction = parts.next().unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut nanoseconds = 0;
    for at in 0..9 {
        let digit = fraction.get(at).map_or(0, |digit| digit - b'0');
        nanoseconds = nanoseconds * 10 + u32::from(digit);
    }
    Some(Some(match (negative, nanoseconds) {
        (false, _) => Timestamp {
            seconds: whole,
            nanoseconds,
        },
        (true, 0) => Timestamp {
            seconds: -whole,
            nanoseconds,
        },
        // Nanoseconds count forwards.
        (true, _) => Timestamp {
            seconds: -whole - 1,
            nanoseconds: 1_000_000_000 - nanoseconds,
        },
    }))
}

/// Decodes `%xx`.
fn percent_decoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        if *byte != b'%' {
            bytes.push(*byte);
            rest = after;
            continue;
        }
        let (digits, after) = after.split_at_checked(2)?;
        let digits = std::str::from_utf8(digits).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = after;
    }
    Some(bytes)
}

/// Decodes base64, with or without padding.
fn base64_decoded(text: &[u8]) -> Option<Vec<u8>> {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true),
    );
    LENIENT.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_signs_and_fractions() {
        let at = |seconds, nanoseconds| {
            Some(Some(Timestamp {
                seconds,
                nanoseconds,
            }))
        };
        for (text, expected) in [
            ("0", at(0, 0)),
            ("10000000000", at(10_000_000_000, 0)),
            ("1.5", at(1, 500_000_000)),
            ("1.0000000019", at(1, 1)),
            ("-5", at(-5, 0)),
            ("-5.25", at(-6, 750_000_000)),
            ("", Some(None)),
            ("9223372036854775807", at(i64::MAX, 0)),
            ("9223372036854775808", None),
            ("-", None),
            (".5", None),
            ("1,5", None),
            ("+1", None),
            ("1.x", None),
        ] {
            assert_eq!(time(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn attributes_of_libarchive_are_decoded() {
        assert_eq!(percent_decoded(b"user.a%20b").unwrap(), b"user.a b");
        assert_eq!(percent_decoded(b"user.%2"), None);
        assert_eq!(percent_decoded(b"user.%zz"), None);
        for (text, bytes) in [("", ""), ("TQ==", "M"), ("TWE", "Ma"), ("TWFu", "Man")] {
            assert_eq!(base64_decoded(text.as_bytes()).unwrap(), bytes.as_bytes());
        }
        assert_eq!(base64_decoded(b"TW*u"), None);
    }

    #[test]
    fn bytes_that_are_not_records_are_refused() {
        for bad in [&b"garbage"[..], b"x path=a\n", b"10 mtime=1\n 5 a"] {
            assert!(Records::parse(bad).is_err(), "{}", bad.escape_ascii());
        }
        let records = Records::parse(b"11 mtime=1\n\0\0").unwrap();
        assert_eq!(records.modified.unwrap().seconds, 1);
    }
}
