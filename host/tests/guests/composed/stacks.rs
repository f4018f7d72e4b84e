//! The stacks of composed guests: host directories, preopened under the names of layers.

use super::overlay;
use crate::deviations::TestStack;
use crate::layers::{Layers, Spread};
use crate::program::Preopen;
use crate::scan::Tree;
use anyhow::Result;
use tempfile::TempDir;
use wasi_overlay_compose::Config;
use wasmtime_wasi::FsPerms;

/// How the tree is spread over the preopens of a composed guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::enum_variant_names,
    reason = "deviations name them, beside the stacks of the plugin"
)]
pub(crate) enum Stack {
    /// Three lower layers and an upper.
    ComposedSpread,
    /// One lower layer with the whole tree, and an upper.
    ComposedOneLower,
    /// Two lower layers, and an upper with a part of the tree.
    ComposedUpperWithPart,
    /// No lower layer: the upper has the whole tree.
    ComposedUpperAlone,
    /// Three lower layers that are preopened read-only, and no upper.
    ComposedNoUpper,
    /// An upper that is preopened read-only.
    ComposedReadOnly,
    /// Three lower layers and an upper, configured with other names.
    ComposedConfigured,
    /// One overlay merges the lower layers, and a second one adds the upper.
    ComposedTwice,
}

use Stack::*;

/// The stacks on which every guest has to behave as on a plain directory.
pub(crate) const WRITABLE: [Stack; 4] = [
    ComposedSpread,
    ComposedOneLower,
    ComposedUpperWithPart,
    ComposedUpperAlone,
];

/// The stacks on which guests that only read have to behave as on a plain directory.
pub(crate) const READ_ONLY: [Stack; 2] = [ComposedNoUpper, ComposedReadOnly];

/// More stacks, for some guests only, because each guest has to be compiled again for them.
pub(crate) const OTHERS: [Stack; 2] = [ComposedConfigured, ComposedTwice];

impl TestStack for Stack {
    fn is_one_of(self, name: &str) -> bool {
        match name {
            "All" | "Overlays" | "DirectoryUppers" | "Composed" => true,
            "Lowers" => self != ComposedUpperAlone,
            "ComposedLowers" => self.is_one_of("Lowers"),
            _ => name == format!("{self:?}"),
        }
    }
}

/// Whether there is such a stack or group.
pub(crate) fn is_name(name: &str) -> bool {
    let mut all = WRITABLE.into_iter().chain(READ_ONLY).chain(OTHERS);
    all.any(|stack| stack.is_one_of(name))
}

/// The ways to compose a guest with the overlay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setup {
    /// The names of preopens decide which are layers, so that one program serves many stacks.
    ByName,
    Configured,
    ReadOnly,
    Twice,
}

impl Setup {
    /// Composes the guest with the overlay.
    pub(crate) fn compose(self, app: &[u8]) -> Result<Vec<u8>> {
        let overlay = overlay();
        let composed = match self {
            Self::ByName => overlay.compose(app, None)?,
            Self::Configured => overlay.compose(app, &configured())?,
            Self::ReadOnly => {
                let config = Config {
                    read_only: true,
                    ..configured()
                };
                overlay.compose(app, &config)?
            }
            Self::Twice => {
                let outer = Config {
                    lowers: vec!["/merged".to_owned()],
                    upper: Some("/upper".to_owned()),
                    ..Config::default()
                };
                let inner = Config {
                    lowers: ["/lower0", "/lower1", "/lower2"].map(str::to_owned).into(),
                    at: "/merged".to_owned(),
                    pass: vec!["/upper".to_owned()],
                    ..Config::default()
                };
                overlay.compose(&overlay.compose(app, &outer)?.bytes, &inner)?
            }
        };
        Ok(composed.bytes)
    }
}

/// A configuration with names that do not say which preopens are layers.
fn configured() -> Config {
    Config {
        lowers: ["/base", "patch", "/upper"].map(str::to_owned).into(),
        upper: Some("/lower".to_owned()),
        volatile: true,
        ..Config::default()
    }
}

/// The directories of a mounted stack.
pub(crate) struct Mounted<'a> {
    stack: Stack,
    layers: &'a Layers,
    upper: TempDir,
    pub(crate) preopens: Vec<Preopen>,
}

impl Stack {
    pub(crate) fn setup(self) -> Setup {
        match self {
            ComposedConfigured => Setup::Configured,
            ComposedReadOnly => Setup::ReadOnly,
            ComposedTwice => Setup::Twice,
            ComposedSpread
            | ComposedOneLower
            | ComposedUpperWithPart
            | ComposedUpperAlone
            | ComposedNoUpper => Setup::ByName,
        }
    }

    fn spread(self) -> Spread {
        match self {
            ComposedOneLower => Spread::OneLower,
            ComposedUpperWithPart => Spread::UpperWithPart,
            ComposedUpperAlone => Spread::UpperAlone,
            ComposedSpread | ComposedNoUpper | ComposedReadOnly | ComposedConfigured
            | ComposedTwice => Spread::Three,
        }
    }

    /// Makes the directories.
    pub(crate) fn mount(self, layers: &Layers) -> Result<Mounted<'_>> {
        let upper = layers.upper(self.spread())?;
        let (lower_names, upper_name) = match self.setup() {
            Setup::ByName | Setup::Twice => {
                let names = (0..3).map(|index| format!("/lower{index}"));
                (names.collect(), Some("/upper".to_owned()))
            }
            Setup::Configured | Setup::ReadOnly => {
                let config = configured();
                (config.lowers, config.upper)
            }
        };
        let mut preopens: Vec<_> = layers
            .paths(self.spread())
            .zip(lower_names)
            .map(|(path, name)| Preopen::new(path, name))
            .collect();
        if self == ComposedNoUpper {
            for preopen in &mut preopens {
                preopen.perms = FsPerms::ReadOnly;
            }
        } else {
            let name = upper_name.unwrap_or_default();
            preopens.push(Preopen::new(upper.path(), name));
        }
        // The names decide, and not the order.
        preopens.reverse();
        Ok(Mounted {
            stack: self,
            layers,
            upper,
            preopens,
        })
    }
}

impl Mounted<'_> {
    /// The tree on disk after the guest has ended.
    pub(crate) fn end(self) -> Result<Tree> {
        self.layers
            .check_and_merge(self.stack.spread(), self.upper.path())
    }
}
