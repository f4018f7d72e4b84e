//! Where an overlay may differ from a plain directory: `deviations.toml`, as the oracles read it.

use std::sync::LazyLock;

/// The text of the list.
pub const LIST: &str = include_str!("../deviations.toml");

/// Deviations that an oracle has to make allowance for, one each.
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
    /// What the oracles call it.
    pub name: String,
    /// What differs, in words for the README.
    pub what: String,
    /// Why it does.
    pub why: String,
}

impl Deviation {
    /// Whether the list has it: only then may an oracle make allowance for it.
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
/// If it is no list.
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
