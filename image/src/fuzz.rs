//! What fuzzers call: documents and names of an adversary, from their bytes to what is made of them.

use crate::config::{Config, Overrides};
use crate::layout::{parse_index, parse_manifest, select};
use crate::reference::Reference;
use crate::transport::{Selector, Transport};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// Reads `data` as an index, a manifest, a config, a reference and a transport.
///
/// # Panics
/// If the text of a reference or of a transport has another meaning than the value that it was made from.
pub fn documents(data: &[u8]) {
    if let Ok(entries) = parse_index("index", data) {
        // The results only have to come.
        let _ = select("layout", entries.clone(), &Selector::Only);
        let _ = select("layout", entries, &Selector::Name("v1".to_owned()));
    }
    let _ = parse_manifest("manifest", data);
    if let Ok(config) = Config::parse("config", data) {
        let _ = config.command(&Overrides::default());
    }
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(reference) = text.parse::<Reference>()
    {
        for text in [reference.to_string(), reference.short()] {
            assert_eq!(text.parse::<Reference>().ok(), Some(reference.clone()));
        }
    }
    if let Ok(transport) = Transport::parse(OsStr::from_bytes(data)) {
        let text = transport.to_string();
        if std::str::from_utf8(data).is_ok() {
            assert_eq!(Transport::parse(OsStr::new(&text)).ok(), Some(transport));
        }
    }
}
