//! Validation of a configuration without access to the host.

use crate::Config;

/// Why a configuration cannot be used. Settings are named by their options of `wasi-overlay compose`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The configuration has neither a layer nor an upper.
    #[error("an overlay needs a layer or an upper: name a preopen with --lower or --upper")]
    NoLayer,
    /// A name that no preopen can have, or that the slot cannot express.
    #[error(
        "{setting} {name:?}: a preopen's name must not be empty or contain a line break or NUL"
    )]
    BadName {
        /// The setting with the name.
        setting: &'static str,
        /// The name.
        name: String,
    },
    /// A preopen that was named for two purposes.
    #[error(
        "{name:?} is named {}: name each preopen only once",
        describe_options(first, second)
    )]
    Twice {
        /// The name.
        name: String,
        /// The setting that named it first.
        first: &'static str,
        /// The setting that named it again.
        second: &'static str,
    },
    /// A passed preopen and the merged tree have the same name.
    #[error(
        "--pass {name:?} is also the name of the merged tree: choose another name for the tree with \
         --at"
    )]
    HiddenByTree {
        /// The name.
        name: String,
    },
    /// The text is longer than the slot.
    #[error(
        "the configuration has {bytes} bytes, but the component holds at most {most}: use shorter \
         names of preopens, or stack two overlays"
    )]
    TooLong {
        /// Bytes of the text.
        bytes: usize,
        /// Bytes of text that the slot can hold.
        most: usize,
    },
    /// The slot holds text that this version cannot parse.
    #[error("the configuration in the component was written by another version")]
    Unreadable,
}

impl Config {
    /// Checks everything that does not need the host.
    ///
    /// # Errors
    /// The first problem found.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let lowers = self.lowers.iter().map(|name| ("--lower", name));
        let upper = self.upper.iter().map(|name| ("--upper", name));
        let pass = self.pass.iter().map(|name| ("--pass", name));
        // A linear search: there are few names, and a map would enlarge the component.
        let mut named: Vec<(&'static str, &String)> = Vec::new();
        for (second, name) in lowers.chain(upper).chain(pass) {
            check_name(second, name)?;
            if let Some((first, _)) = named.iter().find(|(_, known)| *known == name) {
                return Err(ConfigError::Twice {
                    name: name.clone(),
                    first,
                    second,
                });
            }
            named.push((second, name));
        }
        check_name("--at", &self.at)?;
        if let Some(name) = self.pass.iter().find(|name| **name == self.at) {
            return Err(ConfigError::HiddenByTree { name: name.clone() });
        }
        if self.lowers.is_empty() && self.upper.is_none() {
            return Err(ConfigError::NoLayer);
        }
        Ok(())
    }
}

/// The options that name one preopen.
fn describe_options(first: &str, second: &str) -> String {
    if first == second {
        format!("twice by {first}")
    } else {
        format!("by {first} and again by {second}")
    }
}

fn check_name(setting: &'static str, name: &str) -> Result<(), ConfigError> {
    if name.is_empty() || name.contains(['\n', '\r', '\0']) {
        return Err(ConfigError::BadName {
            setting,
            name: name.to_owned(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lowers: &[&str], upper: Option<&str>, pass: &[&str]) -> Config {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Config {
            lowers: names(lowers),
            upper: upper.map(str::to_owned),
            pass: names(pass),
            ..Config::default()
        }
    }

    fn message(config: &Config) -> String {
        config.validate().unwrap_err().to_string()
    }

    #[test]
    fn error_names_option_at_fault() {
        assert!(message(&of(&[], None, &["/dev"])).contains("--lower or --upper"));
        let twice = message(&of(&["/a"], Some("/a"), &[]));
        assert!(
            twice.contains(r#""/a" is named by --lower and again by --upper"#),
            "{twice}"
        );
        let twice = message(&of(&["/a", "/a"], None, &[]));
        assert!(
            twice.contains(r#""/a" is named twice by --lower: "#),
            "{twice}"
        );
        let passed = message(&of(&["/a"], None, &["/a"]));
        assert!(passed.contains("--lower and again by --pass"), "{passed}");
        for bad in ["", "a\nb", "a\0", "a\r"] {
            assert!(
                message(&of(&[bad], None, &[])).contains("--lower"),
                "{bad:?}"
            );
        }
        let hidden = message(&of(&["/a"], None, &["/"]));
        assert!(hidden.contains("--at"), "{hidden}");
    }

    #[test]
    fn valid_configurations_pass() {
        for config in [
            of(&["/a", "/b"], Some("/c"), &["/dev", "/proc"]),
            of(&[], Some("/c"), &[]),
            of(&["/"], None, &[]),
        ] {
            assert_eq!(config.validate(), Ok(()));
        }
    }
}
