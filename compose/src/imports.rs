//! The imports and exports of a component, and which of its imports the overlay replaces.

use crate::retarget::Versions;
use crate::{ComposeError, WasiVersion};
use semver::Version;
use std::collections::BTreeMap;
use wasmparser::{Parser, Payload};

/// The package that the overlay replaces.
const FILESYSTEM: &str = "wasi:filesystem";

/// Packages that `wasi:filesystem` uses, so the overlay imports them too.
const DEPENDENCIES: [&str; 2] = ["wasi:io", "wasi:clocks"];

/// The names of a component's imports and exports, in their order.
pub(crate) struct ExternNames {
    pub(crate) imports: Vec<String>,
    pub(crate) exports: Vec<String>,
}

/// Reads the names from a valid component.
pub(crate) fn read_extern_names(component: &[u8]) -> Result<ExternNames, wasmparser::Error> {
    let (mut imports, mut exports) = (Vec::new(), Vec::new());
    // The number of nested modules and components around the payload.
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
    Ok(ExternNames { imports, exports })
}

/// The imports of an app that the overlay replaces.
pub(crate) struct FilesystemImports {
    /// The app's imports of `wasi:filesystem`, all of them of WASI 0.2.
    pub(crate) names: Vec<String>,
    /// The versions that the overlay needs to match the app.
    pub(crate) versions: Versions,
}

/// Finds the imports that the overlay replaces.
///
/// An app may import interfaces of different versions, since tools that make components raise
/// versions interface by interface. It may import one interface at two versions if it is itself the
/// result of a composition. The overlay gets the highest version of each package.
pub(crate) fn find_filesystem_imports(
    imports: &[String],
) -> Result<FilesystemImports, ComposeError> {
    let mut names = Vec::new();
    let mut by_package = BTreeMap::new();
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
            names.push(import.clone());
        } else if !DEPENDENCIES.contains(&package) {
            continue;
        }
        if let Some(released) = released {
            let highest = by_package.entry(package.to_owned()).or_insert(released);
            *highest = released.max(*highest);
        }
    }
    let Some(default) = by_package.get(FILESYSTEM).copied() else {
        return Err(ComposeError::NoFilesystem);
    };
    Ok(FilesystemImports {
        names,
        versions: Versions {
            default,
            by_package,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(imports: &[&str]) -> Result<FilesystemImports, ComposeError> {
        let imports: Vec<_> = imports.iter().map(|name| (*name).to_owned()).collect();
        find_filesystem_imports(&imports)
    }

    #[test]
    fn overlay_gets_highest_version_of_each_package() {
        let found = find(&[
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
        assert_eq!(found.names.len(), 3);
        assert_eq!(found.versions.default, WasiVersion::of_patch(6));
        let versions: Vec<_> = found
            .versions
            .by_package
            .iter()
            .map(|(package, version)| format!("{package}@{version}"))
            .collect();
        assert_eq!(versions, ["wasi:filesystem@0.2.6", "wasi:io@0.2.9"]);
    }

    #[test]
    fn error_names_import_that_cannot_be_replaced() {
        let error = |imports: &[&str]| find(imports).err().unwrap().to_string();
        assert!(error(&[]).contains("would have no effect"));
        assert!(error(&["wasi:filesystemx/types@0.2.0"]).contains("would have no effect"));
        // Even if another import can be replaced: the guest would bypass its layers.
        let both = &["wasi:filesystem/types@0.2.0", "wasi:filesystem/types@0.3.0"];
        assert!(error(both).contains("types@0.3.0`, but the overlay supports only filesystems"));
        for draft in [
            "wasi:filesystem/types@0.2.0-rc-2023-11-10",
            "wasi:filesystem/types",
            "wasi:filesystem/types@1.0.0",
        ] {
            assert!(
                error(&[draft]).contains("not a released version"),
                "{draft}"
            );
        }
    }
}
