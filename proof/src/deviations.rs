//! The permitted differences between an overlay and a plain directory, from `deviations.toml`.

use std::sync::LazyLock;

/// The text of the list.
pub const LIST: &str = include_str!("../deviations.toml");

/// A deviation that the oracles must allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deviation {
    /// Link counts and sizes of directories.
    Attributes,
    /// Lower hard links at copy-up.
    LowerHardLinks,
    /// Names that begin with `.wh.`.
    ReservedNames,
}

/// One deviation of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The name that the oracles use.
    pub name: String,
    /// The difference, as docs/differences.md describes it.
    pub what: String,
    /// The reason.
    pub why: String,
}

impl Deviation {
    /// Whether the list has it. Oracles may allow only a listed deviation.
    pub fn is_listed(self) -> bool {
        static LISTED: LazyLock<[bool; 3]> = LazyLock::new(|| {
            let all = [
                Deviation::Attributes,
                Deviation::LowerHardLinks,
                Deviation::ReservedNames,
            ];
            let list = list();
            all.map(|one| list.iter().any(|listed| listed.name == one.name()))
        });
        LISTED[self as usize]
    }

    fn name(self) -> &'static str {
        match self {
            Self::Attributes => "attributes",
            Self::LowerHardLinks => "lower-hard-links",
            Self::ReservedNames => "reserved-names",
        }
    }
}

/// The list.
///
/// # Panics
/// If the file is invalid.
pub fn list() -> Vec<Listed> {
    let table: toml::Table = LIST.parse().expect("deviations.toml is TOML");
    let all = table["deviation"].as_array().expect("a list");
    let text =
        |entry: &toml::Value, key: &str| entry[key].as_str().expect("a text").trim().to_owned();
    all.iter()
        .map(|entry| Listed {
            name: text(entry, "name"),
            what: text(entry, "what"),
            why: text(entry, "why"),
        })
        .collect()
}
