//! Parsers for parts of mount options: sizes, mount points, comma-separated fields.

use anyhow::{Result, bail, ensure};

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
    ensure!(
        text.starts_with('/'),
        "{flag}: `{text}` is not absolute; a mount point begins with `/`, as in /{}",
        text.trim_start_matches("./"),
    );
    let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty()).collect();
    ensure!(
        !parts.iter().any(|part| matches!(*part, "." | "..")),
        "{flag}: `{text}` contains `.` or `..`; write the mount point without them"
    );
    Ok(format!("/{}", parts.join("/")))
}

/// The components of a guest path, with `/` first if it is absolute. Equal for all spellings of a path.
pub(crate) fn path_components(path: &str) -> impl Iterator<Item = &str> {
    let root = path.starts_with('/').then_some("/");
    let names = path.split('/').filter(|name| !matches!(*name, "" | "."));
    root.into_iter().chain(names)
}

/// Splits at commas. `\,` is a comma and `\\` a backslash; any other backslash stands for itself.
pub(crate) fn split_fields(text: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        let literal = match (char, chars.peek()) {
            (',', _) => {
                fields.push(String::new());
                continue;
            }
            ('\\', Some(&next @ (',' | '\\'))) => {
                chars.next();
                next
            }
            _ => char,
        };
        if let Some(field) = fields.last_mut() {
            field.push(literal);
        }
    }
    fields
}

/// The value of a key that needs one.
pub(crate) fn require_value<'a>(key: &str, value: Option<&'a str>) -> Result<&'a str> {
    match value {
        Some(value) if !value.is_empty() => Ok(value),
        _ => bail!("`{key}` needs a value, as in `{key}=…`"),
    }
}

/// Parses a key without a value, whose presence means true.
pub(crate) fn parse_flag(key: &str, value: Option<&str>) -> Result<bool> {
    match value {
        None => Ok(true),
        Some(value) => bail!("`{key}={value}`: `{key}` takes no value"),
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
