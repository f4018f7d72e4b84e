//! Parsers for parts of mount options: sizes, mount points, comma-separated fields.

use anyhow::{Context, Result, bail, ensure};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Parses a number of bytes, such as `4096`, `64m` or `1GiB`. Units are powers of 1024.
pub(crate) fn parse_size(text: &str) -> Result<u64> {
    let lower = text.to_ascii_lowercase();
    let digits = lower.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = lower.split_at(digits);
    let shift = match unit {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => bail!("`{text}` is not a size; {SIZE_SYNTAX}"),
    };
    let Ok(number) = number.parse::<u64>() else {
        bail!("`{text}` is not a size; {SIZE_SYNTAX}");
    };
    ensure!(
        number > 0,
        "`{text}`: a size must be more than 0; to refuse changes, mount read-only"
    );
    match number.checked_mul(1 << shift) {
        Some(bytes) => Ok(bytes),
        None => bail!("`{text}` is too large; use a smaller size, as in 1g"),
    }
}

const SIZE_SYNTAX: &str = "write a number of bytes, or a number with k, m or g, as in 64m";

/// Checks a mount point, and removes doubled and trailing slashes.
pub(crate) fn parse_mount_point(flag: &str, text: &str) -> Result<String> {
    let relative = text.trim_start_matches("./");
    ensure!(
        text.starts_with('/'),
        "{flag}: `{text}` is not absolute; a mount point begins with `/`, as in /{}",
        if matches!(relative, "" | "." | "..") {
            "data"
        } else {
            relative
        },
    );
    let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty()).collect();
    ensure!(
        !parts.iter().any(|part| matches!(*part, "." | "..")),
        "{flag}: `{text}` contains `.` or `..`; write the mount point without them"
    );
    Ok(format!("/{}", parts.join("/")))
}

/// The text of a value that has to be UTF-8.
pub(crate) fn into_utf8(value: OsString) -> Result<String> {
    match value.into_string() {
        Ok(text) => Ok(text),
        Err(_) => bail!("it is not UTF-8, which WASI requires"),
    }
}

/// Splits a value at each `separator`.
pub(crate) fn split<'a>(value: &'a OsStr, separator: &str) -> Vec<&'a OsStr> {
    let mut rest = value.as_bytes();
    let mut parts = Vec::new();
    let found = |rest: &[u8]| {
        let mut windows = rest.windows(separator.len());
        windows.position(|window| window == separator.as_bytes())
    };
    while let Some(at) = found(rest) {
        parts.push(OsStr::from_bytes(&rest[..at]));
        rest = &rest[at + separator.len()..];
    }
    parts.push(OsStr::from_bytes(rest));
    parts
}

/// The components of a guest path, with `/` first if it is absolute. Equal for all spellings of a path.
pub(crate) fn path_components(path: &str) -> impl Iterator<Item = &str> {
    let root = path.starts_with('/').then_some("/");
    let names = path.split('/').filter(|name| !matches!(*name, "" | "."));
    root.into_iter().chain(names)
}

/// Splits at commas. `\,` is a comma and `\\` a backslash; any other backslash stands for itself.
pub(crate) fn split_fields(value: &OsStr) -> Vec<OsString> {
    let mut fields = vec![Vec::new()];
    let mut bytes = value.as_bytes().iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        let literal = match (byte, bytes.peek()) {
            (b',', _) => {
                fields.push(Vec::new());
                continue;
            }
            (b'\\', Some(&next @ (b',' | b'\\'))) => {
                bytes.next();
                next
            }
            _ => byte,
        };
        if let Some(field) = fields.last_mut() {
            field.push(literal);
        }
    }
    fields.into_iter().map(OsString::from_vec).collect()
}

/// Splits a field into its key and, after `=`, its value.
pub(crate) fn split_key(field: &OsStr) -> (String, Option<&OsStr>) {
    let bytes = field.as_bytes();
    match bytes.iter().position(|byte| *byte == b'=') {
        Some(at) => {
            let key = OsStr::from_bytes(&bytes[..at]);
            (
                key.to_string_lossy().into_owned(),
                Some(OsStr::from_bytes(&bytes[at + 1..])),
            )
        }
        None => (field.to_string_lossy().into_owned(), None),
    }
}

/// The value of a key that needs one.
pub(crate) fn require_value<'a>(key: &str, value: Option<&'a OsStr>) -> Result<&'a OsStr> {
    match value {
        Some(value) if !value.is_empty() => Ok(value),
        _ => bail!("`{key}` needs a value, as in `{key}=…`"),
    }
}

/// As [`require_value`], for a key whose value has to be UTF-8.
pub(crate) fn require_text<'a>(key: &str, value: Option<&'a OsStr>) -> Result<&'a str> {
    let value = require_value(key, value)?;
    value
        .to_str()
        .with_context(|| format!("`{key}={}`: the value is not UTF-8", value.display()))
}

/// Parses a key without a value, whose presence means true.
pub(crate) fn parse_flag(key: &str, value: Option<&OsStr>) -> Result<bool> {
    match value {
        None => Ok(true),
        Some(value) => bail!("`{key}={}`: `{key}` takes no value", value.display()),
    }
}

/// Sets an option that can be given only once.
pub(crate) fn set_once<T>(key: &str, slot: &mut Option<T>, value: T) -> Result<()> {
    ensure!(slot.is_none(), "`{key}` is given twice");
    *slot = Some(value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_units_are_powers_of_1024() {
        let size = |text: &str| parse_size(text).map_err(|e| e.to_string());
        assert_eq!(size("4096"), Ok(4096));
        assert_eq!(size("64m"), Ok(64 << 20));
        assert_eq!(size("1G"), Ok(1 << 30));
        assert_eq!(size("2KiB"), Ok(2048));
        for bad in [
            "",
            "m",
            "64x",
            "-1",
            "1.5g",
            "0x10",
            "١",
            "99999999999999999999",
        ] {
            assert!(size(bad).unwrap_err().contains("is not a size"), "{bad}");
        }
        assert!(size("0").unwrap_err().contains("must be more than 0"));
        assert!(size("999999999999t").unwrap_err().contains("is too large"));
    }
}
