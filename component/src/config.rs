//! Which preopens are layers.

use wasi_overlay_config::{Config, ConfigError};

/// The configuration; none if nobody made one, so that names of preopens decide.
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

/// The configuration in the slot; none if it was never filled, so that names of preopens decide.
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

    // The compiler knows what the slot held when it was compiled, and must not use that.
    let slot: &[u8; SLOT_BYTES] = black_box(&SLOT);
    let text = &slot[MAGIC.len()..];
    let end = text.iter().position(|byte| *byte == 0);
    Config::from_text(&text[..end.unwrap_or(text.len())])
}

/// What names say where nothing is configured: `/lower`, `/lower0`, `/lower1`, … are layers, by
/// their numbers and the lowest at the bottom; `/upper` takes changes; everything else passes, but
/// for one that has the name of the merged tree.
pub(crate) fn by_name<'a>(preopens: impl Iterator<Item = &'a str>) -> Config {
    let mut config = Config::default();
    let mut numbers = Vec::new();
    for name in preopens {
        match (name.strip_prefix("/lower").map(number), name) {
            (Some(Some(number)), _) => {
                let place = numbers.partition_point(|known| *known <= number);
                numbers.insert(place, number);
                config.lowers.insert(place, name.to_owned());
            }
            (_, "/upper") => config.upper = Some(name.to_owned()),
            _ if name == config.at => {}
            _ => config.pass.push(name.to_owned()),
        }
    }
    config
}

/// The number of a lower: none at all comes before 0.
fn number(digits: &str) -> Option<Option<u32>> {
    if digits.is_empty() {
        return Some(None);
    }
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten().map(Some)
}
