//! The configuration: which preopens are layers.

use wasi_overlay_config::{Config, ConfigError};

/// Imports the configuration. The result is never `None`.
#[cfg(feature = "configured")]
pub(crate) fn read() -> Result<Option<Config>, ConfigError> {
    let overlay = crate::bindings::wasi_overlay::component::config::get();
    let config = Config {
        lowers: overlay.lowers,
        upper: overlay.upper,
        at: overlay.at,
        read_only: overlay.read_only,
        volatile: overlay.volatile,
        pass: overlay.pass,
    };
    config.validate()?;
    Ok(Some(config))
}

/// Reads the configuration from the slot, or returns `None` if the slot was never filled.
#[cfg(not(feature = "configured"))]
pub(crate) fn read() -> Result<Option<Config>, ConfigError> {
    use std::hint::black_box;
    use wasi_overlay_config::{MAGIC, SLOT_BYTES};

    /// `wasi-overlay compose` writes here.
    #[used]
    static SLOT: [u8; SLOT_BYTES] = {
        let mut slot = [0; SLOT_BYTES];
        let mut at = 0;
        while at < MAGIC.len() {
            slot[at] = MAGIC[at];
            at += 1;
        }
        slot
    };

    // Prevents the compiler from assuming that the slot still has its initial content.
    let slot: &[u8; SLOT_BYTES] = black_box(&SLOT);
    let text = &slot[MAGIC.len()..];
    let end = text.iter().position(|byte| *byte == 0);
    Config::from_text(&text[..end.unwrap_or(text.len())])
}

/// Derives a configuration from the names of the preopens: `/lower`, `/lower0`, `/lower1`, … are the
/// lowers from the bottom up, and `/upper` is the upper. All others are passed to the guest, except
/// one with the name of the merged tree.
pub(crate) fn from_preopen_names<'a>(preopens: impl Iterator<Item = &'a str>) -> Config {
    let mut config = Config::default();
    let mut numbers = Vec::new();
    for name in preopens {
        match (name.strip_prefix("/lower").map(parse_lower_number), name) {
            (Some(Some(number)), _) => {
                let index = numbers.partition_point(|known| *known <= number);
                numbers.insert(index, number);
                config.lowers.insert(index, name.to_owned());
            }
            (_, "/upper") => config.upper = Some(name.to_owned()),
            _ if name == config.at => {}
            _ => config.pass.push(name.to_owned()),
        }
    }
    config
}

/// Parses the number after `/lower`. The inner `None` means that there is no number, and sorts
/// before 0.
fn parse_lower_number(digits: &str) -> Option<Option<u32>> {
    if digits.is_empty() {
        return Some(None);
    }
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten().map(Some)
}
