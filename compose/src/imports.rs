//! What a component imports, and what of it the overlay has to take the place of.

use crate::retarget::Versions;
use crate::{ComposeError, WasiVersion};
use semver::Version;
use std::collections::BTreeMap;
use wasmparser::{Parser, Payload};

/// The package that the overlay takes the place of.
const FILESYSTEM: &str = "wasi:filesystem";

/// Packages that the overlay imports as well, for what its filesystem is made with.
const SHARED: [&str; 2] = ["wasi:io", "wasi:clocks"];

/// The names of what a component takes and gives.
pub(crate) struct Ports {
    /// Its imports, in their order.
    pub(crate) imports: Vec<String>,
    /// Its exports, in their order.
    pub(crate) exports: Vec<String>,
}

/// Reads the names off a valid component.
pub(crate) fn ports(component: &[u8]) -> Result<Ports, wasmparser::Error> {
    let (mut imports, mut exports) = (Vec::new(), Vec::new());
    // How many modules and components the payload lies in.
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(component) {
        match payload? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    imports.push(import?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    exports.push(export?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok(Ports { imports, exports })
}

/// What the app takes from a filesystem.
pub(crate) struct Needs {
    /// Its imports of `wasi:filesystem`, all of them of WASI 0.2.
    pub(crate) filesystem: Vec<String>,
    /// The versions at which the overlay is what the app expects.
    pub(crate) versions: Versions,
}

/// Finds out what of `imports` the overlay takes the place of.
///
/// An app may import an interface of one version and the next of another, since tools that make
/// components raise versions interface by interface; or one interface at two versions, if it was
/// composed itself. The overlay takes the highest of each package.
pub(crate) fn needs(imports: &[String]) -> Result<Needs, ComposeError> {
    let mut filesystem = Vec::new();
    let mut named = BTreeMap::new();
    for import in imports {
        let (interface, version) = match import.split_once('@') {
            Some((interface, version)) => (interface, Version::parse(version).ok()),
            None => (import.as_str(), None),
        };
        let Some((package, _)) = interface.split_once('/') else {
            continue;
        };
        let released = version.as_ref().and_then(WasiVersion::of_package);
        if package == FILESYSTEM {
            if version.is_some_and(|version| (version.major, version.minor) == (0, 3)) {
                return Err(ComposeError::Wasi03 {
                    import: import.clone(),
                });
            }
            if released.is_none() {
                return Err(ComposeError::UnknownFilesystem {
                    import: import.clone(),
                });
            }
            filesystem.push(import.clone());
        } else if !SHARED.contains(&package) {
            continue;
        }
        if let Some(released) = released {
            let highest = named.entry(package.to_owned()).or_insert(released);
            *highest = released.max(*highest);
        }
    }
    let Some(others) = named.get(FILESYSTEM).copied() else {
        return Err(ComposeError::NoFilesystem);
    };
    Ok(Needs {
        filesystem,
        versions: Versions { others, named },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(imports: &[&str]) -> Result<Needs, ComposeError> {
        let imports: Vec<_> = imports.iter().map(|name| (*name).to_owned()).collect();
        needs(&imports)
    }

    #[test]
    fn the_overlay_takes_the_highest_version_of_each_package() {
        let needs = of(&[
            "wasi:io/poll@0.2.0",
            "wasi:io/streams@0.2.9",
            "wasi:filesystem/types@0.2.6",
            "wasi:filesystem/types@0.2.0",
            "wasi:filesystem/preopens@0.2.3",
            "wasi:clocks/wall-clock@0.3.0",
            "wasi:cli/stdin@0.2.12",
            "acme:log/log",
            "plain",
        ])
        .ok()
        .unwrap();
        assert_eq!(needs.filesystem.len(), 3);
        assert_eq!(needs.versions.others, WasiVersion::of_patch(6));
        let named: Vec<_> = needs
            .versions
            .named
            .iter()
            .map(|(package, version)| format!("{package}@{version}"))
            .collect();
        assert_eq!(named, ["wasi:filesystem@0.2.6", "wasi:io@0.2.9"]);
    }

    #[test]
    fn what_cannot_be_replaced_is_named() {
        let error = |imports: &[&str]| of(imports).err().unwrap().to_string();
        assert!(error(&[]).contains("would be the same"));
        assert!(error(&["wasi:filesystemx/types@0.2.0"]).contains("would be the same"));
        // Even next to an import that could be: the guest would walk past its layers.
        let both = &["wasi:filesystem/types@0.2.0", "wasi:filesystem/types@0.3.0"];
        assert!(error(both).contains("types@0.3.0`, and only a filesystem of WASI 0.2"));
        for draft in [
            "wasi:filesystem/types@0.2.0-rc-2023-11-10",
            "wasi:filesystem/types",
            "wasi:filesystem/types@1.0.0",
        ] {
            assert!(error(&[draft]).contains("no released version"), "{draft}");
        }
    }
}
