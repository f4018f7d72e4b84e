//! Retargeting: the overlay's core module, made one for other versions of WASI 0.2.
//!
//! The interfaces that it uses are the same in every 0.2.x; versions differ in what they add. So
//! the versions are names, in three places: in what the module imports, in what it exports, and
//! in the custom section from which the component's types are made.

use crate::{ComposeError, WasiVersion, sections};
use std::borrow::Cow;
use std::collections::BTreeMap;
use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{Component, ExportSection, ImportSection, Module};
use wasmparser::{Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata, metadata};

/// Which version each package of WASI gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Versions {
    /// For the packages that are not named.
    pub(crate) others: WasiVersion,
    /// By package, as `wasi:io`.
    pub(crate) named: BTreeMap<String, WasiVersion>,
}

impl Versions {
    /// One version for all.
    pub(crate) fn all(version: WasiVersion) -> Self {
        Self {
            others: version,
            named: BTreeMap::new(),
        }
    }

    fn of(&self, package: &str) -> WasiVersion {
        self.named.get(package).copied().unwrap_or(self.others)
    }
}

/// The component that `core` becomes with the WASI interfaces of `versions`.
///
/// `core` carries its types in a custom section, as wit-bindgen writes it.
pub(crate) fn encode(core: &[u8], versions: &Versions) -> Result<Vec<u8>, ComposeError> {
    let wrong = |error| ComposeError::overlay(format!("{error:#}"));
    let (stripped, mut types) = metadata::decode(core).map_err(wrong)?;
    let Some(stripped) = stripped else {
        return Err(ComposeError::overlay("it carries no component types"));
    };
    for (_, package) in types.resolve.packages.iter_mut() {
        let name = &mut package.name;
        let old = name.version.as_ref().and_then(WasiVersion::of_package);
        if name.namespace == "wasi" && old.is_some() {
            let new = versions.of(&format!("wasi:{}", name.name));
            name.version = Some(new.to_package());
        }
    }
    let packages = &types.resolve.packages;
    types.resolve.package_names = packages
        .iter()
        .map(|(id, package)| (package.name.clone(), id))
        .collect();
    let mut module = rename(&stripped, versions)?;
    embed_component_metadata(
        &mut module,
        &types.resolve,
        types.world,
        StringEncoding::UTF8,
    )
    .map_err(wrong)?;
    ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .and_then(ComponentEncoder::encode)
        .map_err(wrong)
        .and_then(|component| without_names(&component))
}

/// Leaves out the names that the encoder gives to the items of the component: 10 KB that every
/// composed program would carry, for the debuggers of encoders.
fn without_names(component: &[u8]) -> Result<Vec<u8>, ComposeError> {
    let mut stripped = Component::new();
    // How many modules and components the payload lies in.
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload.map_err(ComposeError::overlay)?;
        let names = matches!(&payload, Payload::CustomSection(it) if it.name() == "component-name");
        if depth == 0
            && !names
            && let Some(section) = sections::raw(&payload, component)?
        {
            stripped.section(&section);
        }
        match payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(stripped.finish())
}

/// Names imports and exports anew. All else stays, byte for byte.
fn rename(core: &[u8], versions: &Versions) -> Result<Vec<u8>, ComposeError> {
    let mut module = Module::new();
    for payload in Parser::new(0).parse_all(core) {
        let payload = payload.map_err(ComposeError::overlay)?;
        match &payload {
            Payload::ImportSection(section) => {
                let mut imports = ImportSection::new();
                for import in section.clone().into_imports() {
                    let import = import.map_err(ComposeError::overlay)?;
                    let ty = RoundtripReencoder.entity_type(import.ty);
                    imports.import(
                        &renamed(import.module, versions),
                        &renamed(import.name, versions),
                        ty.map_err(ComposeError::overlay)?,
                    );
                }
                module.section(&imports);
            }
            Payload::ExportSection(section) => {
                let mut exports = ExportSection::new();
                for export in section.clone() {
                    let export = export.map_err(ComposeError::overlay)?;
                    let kind = RoundtripReencoder.export_kind(export.kind);
                    exports.export(
                        &renamed(export.name, versions),
                        kind.map_err(ComposeError::overlay)?,
                        export.index,
                    );
                }
                module.section(&exports);
            }
            other => {
                if let Some(section) = sections::raw(other, core)? {
                    module.section(&section);
                }
            }
        }
    }
    Ok(module.finish())
}

/// A name of wit-bindgen's with the version that its interface now has: `wasi:io/error@0.2.12`,
/// `[export]wasi:filesystem/types@0.2.12`, `cabi_post_wasi:filesystem/types@0.2.12#…`.
fn renamed<'a>(name: &'a str, versions: &Versions) -> Cow<'a, str> {
    let Some((before, version, after)) = versioned(name) else {
        return Cow::Borrowed(name);
    };
    let package = before
        .find("wasi:")
        .and_then(|at| before.get(at..))
        .and_then(|interface| interface.split('/').next());
    match (package, WasiVersion::of_package(&version)) {
        (Some(package), Some(_)) => Cow::Owned(format!("{before}@{}{after}", versions.of(package))),
        _ => Cow::Borrowed(name),
    }
}

/// What stands before a version, the version, and what follows it.
fn versioned(name: &str) -> Option<(&str, semver::Version, &str)> {
    let (before, rest) = name.split_once('@')?;
    let end = rest.find('#').unwrap_or(rest.len());
    let (version, after) = rest.split_at(end);
    Some((before, semver::Version::parse(version).ok()?, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_versions_of_wasi_0_2_change() {
        let mut versions = Versions::all(WasiVersion::of_patch(6));
        versions
            .named
            .insert("wasi:io".into(), WasiVersion::of_patch(1));
        for (old, new) in [
            ("wasi:io/error@0.2.12", "wasi:io/error@0.2.1"),
            (
                "wasi:clocks/wall-clock@0.2.0",
                "wasi:clocks/wall-clock@0.2.6",
            ),
            (
                "[export]wasi:filesystem/types@0.2.12",
                "[export]wasi:filesystem/types@0.2.6",
            ),
            (
                "cabi_post_wasi:filesystem/types@0.2.12#[method]descriptor.read",
                "cabi_post_wasi:filesystem/types@0.2.6#[method]descriptor.read",
            ),
        ] {
            assert_eq!(renamed(old, &versions), new);
        }
        for same in [
            "memory",
            "cabi_realloc",
            "wasi-overlay:component/config@0.1.0",
            "acme:wasi/io@0.2.12",
            "wasi:filesystem/types@0.3.0",
            "wasi:filesystem/types",
        ] {
            assert_eq!(renamed(same, &versions), same);
        }
    }
}
