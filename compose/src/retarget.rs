//! Retargeting: conversion of the overlay's core module to other versions of WASI 0.2.
//!
//! The interfaces that it uses are the same in every 0.2.x, so a version is only part of a name. The
//! names are in three places: the imports of the module, its exports, and the custom section that
//! contains the component types.

use crate::{ComposeError, WasiVersion, sections};
use std::borrow::Cow;
use std::collections::BTreeMap;
use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{Component, ExportSection, ImportSection, Module};
use wasmparser::{Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata, metadata};

/// The version of each WASI package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Versions {
    /// The version of packages that are not in `by_package`.
    pub(crate) default: WasiVersion,
    /// Versions by package, such as `wasi:io`.
    pub(crate) by_package: BTreeMap<String, WasiVersion>,
}

impl Versions {
    /// The same version for all packages.
    pub(crate) fn all(version: WasiVersion) -> Self {
        Self {
            default: version,
            by_package: BTreeMap::new(),
        }
    }

    fn of(&self, package: &str) -> WasiVersion {
        let version = self.by_package.get(package).copied();
        version.unwrap_or(self.default)
    }
}

/// Encodes `core` as a component with WASI interfaces of `versions`.
///
/// `core` contains its component types in a custom section, as wit-bindgen writes it.
pub(crate) fn encode(core: &[u8], versions: &Versions) -> Result<Vec<u8>, ComposeError> {
    let wrong = |error| ComposeError::overlay(format!("{error:#}"));
    let (stripped, mut types) = metadata::decode(core).map_err(wrong)?;
    let Some(stripped) = stripped else {
        return Err(ComposeError::overlay("it has no component types"));
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
        .and_then(|component| strip_names(&component))
}

/// Removes the names that the encoder gives to the items of the component: 10 KB that are useful
/// only to debug the encoder.
fn strip_names(component: &[u8]) -> Result<Vec<u8>, ComposeError> {
    let mut stripped = Component::new();
    // The number of nested modules and components around the payload.
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

/// Renames imports and exports, and copies everything else byte for byte.
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

/// Replaces the version in a name from wit-bindgen, such as `wasi:io/error@0.2.12`,
/// `[export]wasi:filesystem/types@0.2.12` or `cabi_post_wasi:filesystem/types@0.2.12#…`.
fn renamed<'a>(name: &'a str, versions: &Versions) -> Cow<'a, str> {
    let Some((before, version, after)) = split_version(name) else {
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

/// Splits a name into the text before the version, the version, and the text after it.
fn split_version(name: &str) -> Option<(&str, semver::Version, &str)> {
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
            .by_package
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
        for unchanged in [
            "memory",
            "cabi_realloc",
            "wasi-overlay:component/config@0.1.0",
            "acme:wasi/io@0.2.12",
            "wasi:filesystem/types@0.3.0",
            "wasi:filesystem/types",
        ] {
            assert_eq!(renamed(unchanged, &versions), unchanged);
        }
    }
}
