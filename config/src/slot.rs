//! The slot format: encoding and decoding of a configuration.

use crate::{Config, ConfigError};

/// The bytes at the start of the slot. They occur nowhere else in the component.
pub const MAGIC: [u8; 16] = *b"\0wasi-overlay\x01\xf5\0";

/// The size of the slot, including the magic.
pub const SLOT_BYTES: usize = 4096;

impl Config {
    /// Encodes the whole slot: the magic, the text, and NULs.
    ///
    /// # Errors
    /// Any error of [`validate`](Self::validate), and [`ConfigError::TooLong`].
    pub fn to_slot(&self) -> Result<Vec<u8>, ConfigError> {
        self.validate()?;
        let mut slot = MAGIC.to_vec();
        for (key, value) in self.settings() {
            slot.extend_from_slice(key.as_bytes());
            if let Some(value) = value {
                slot.push(b'=');
                slot.extend_from_slice(value.as_bytes());
            }
            slot.push(b'\n');
        }
        if slot.len() > SLOT_BYTES {
            return Err(ConfigError::TooLong {
                bytes: slot.len() - MAGIC.len(),
                most: SLOT_BYTES - MAGIC.len(),
            });
        }
        slot.resize(SLOT_BYTES, 0);
        Ok(slot)
    }

    fn settings(&self) -> impl Iterator<Item = (&'static str, Option<&str>)> {
        let lowers = self.lowers.iter().map(|name| ("lower", Some(&**name)));
        let upper = self.upper.iter().map(|name| ("upper", Some(&**name)));
        let at = [("at", Some(&*self.at))];
        let pass = self.pass.iter().map(|name| ("pass", Some(&**name)));
        let flags = [("read-only", self.read_only), ("volatile", self.volatile)];
        let flags = flags.into_iter().filter(|(_, set)| *set);
        lowers
            .chain(upper)
            .chain(at)
            .chain(pass)
            .chain(flags.map(|(key, _)| (key, None)))
    }

    /// Decodes the text of a slot, which is between the magic and the first NUL. Returns `None` if it
    /// is empty, which means that the slot was never filled.
    ///
    /// Does not [validate](Self::validate) again, because [`to_slot`](Self::to_slot) did.
    ///
    /// # Errors
    /// [`ConfigError::Unreadable`] if [`to_slot`](Self::to_slot) of this version did not write the
    /// text.
    pub fn from_text(text: &[u8]) -> Result<Option<Self>, ConfigError> {
        if text.is_empty() {
            return Ok(None);
        }
        let text = str::from_utf8(text).map_err(|_| ConfigError::Unreadable)?;
        let mut config = Self::default();
        for line in text.lines() {
            match line.split_once('=') {
                Some(("lower", name)) => config.lowers.push(name.to_owned()),
                Some(("upper", name)) => config.upper = Some(name.to_owned()),
                Some(("at", name)) => config.at = name.to_owned(),
                Some(("pass", name)) => config.pass.push(name.to_owned()),
                None if line == "read-only" => config.read_only = true,
                None if line == "volatile" => config.volatile = true,
                _ => return Err(ConfigError::Unreadable),
            }
        }
        Ok(Some(config))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Config {
        Config {
            lowers: vec!["/base".into(), "a=b".into(), "ü ".into()],
            upper: Some("/changes".into()),
            at: "/".into(),
            read_only: true,
            volatile: true,
            pass: vec!["/dev".into()],
        }
    }

    fn text(slot: &[u8]) -> &[u8] {
        let text = &slot[MAGIC.len()..];
        &text[..text.iter().position(|byte| *byte == 0).unwrap()]
    }

    #[test]
    fn slot_round_trips() {
        let slot = full().to_slot().unwrap();
        assert_eq!(slot.len(), SLOT_BYTES);
        assert_eq!(Config::from_text(text(&slot)), Ok(Some(full())));
    }

    #[test]
    fn empty_slot_has_no_configuration() {
        assert_eq!(Config::from_text(b""), Ok(None));
    }

    #[test]
    fn text_of_another_version_is_refused() {
        for text in [&b"lower=a\nquota=7\n"[..], b"\xff", b"readonly\nlower=a\n"] {
            assert_eq!(Config::from_text(text), Err(ConfigError::Unreadable));
        }
    }

    #[test]
    fn configuration_longer_than_slot_is_refused() {
        let mut config = full();
        config.lowers = (0..400).map(|index| format!("/layer/{index}")).collect();
        let Err(ConfigError::TooLong { bytes, most }) = config.to_slot() else {
            panic!("the configuration must be refused");
        };
        assert!(bytes > most && most == 4080);
    }
}
