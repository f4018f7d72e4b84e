//! Conversion of core modules to components, with wasmtime's adapter.

use crate::{AppKind, ComposeError};
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME as WASI_0_1,
    WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER as COMMAND,
    WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER as REACTOR,
};
use wasmparser::{Parser, Payload};
use wit_component::ComponentEncoder;

/// Converts a valid core module to a component.
pub(crate) fn wrap(module: &[u8]) -> Result<(Vec<u8>, AppKind), ComposeError> {
    let info = ModuleInfo::read(module).map_err(|error| ComposeError::Invalid {
        reason: error.to_string(),
    })?;
    let kind = if info.has_component_types && !info.imports_wasi_0_1 {
        AppKind::Typed
    } else if info.exports_start {
        AppKind::Command
    } else {
        AppKind::Reactor
    };
    if !info.has_component_types
        && let Some((module, name)) = info.foreign_import
    {
        return Err(ComposeError::ForeignImport { module, name });
    }
    encode(module, kind)
        .map(|component| (component, kind))
        .map_err(|reason| ComposeError::Wrap { reason })
}

fn encode(module: &[u8], kind: AppKind) -> Result<Vec<u8>, String> {
    let adapter = match kind {
        AppKind::Component | AppKind::Typed => None,
        AppKind::Command => Some(COMMAND),
        AppKind::Reactor => Some(REACTOR),
    };
    let reason = |error| format!("{error:#}");
    let mut encoder = ComponentEncoder::default();
    encoder.validate(true).module(module).map_err(reason)?;
    if let Some(adapter) = adapter {
        encoder.adapter(WASI_0_1, adapter).map_err(reason)?;
    }
    encoder.encode().map_err(reason)
}

/// The properties of a core module that decide how it is wrapped.
#[derive(Default)]
struct ModuleInfo {
    exports_start: bool,
    has_component_types: bool,
    imports_wasi_0_1: bool,
    /// Module and name of the first import that is not of WASI 0.1.
    foreign_import: Option<(String, String)>,
}

impl ModuleInfo {
    fn read(module: &[u8]) -> Result<Self, wasmparser::Error> {
        let mut info = Self::default();
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import?;
                        if import.module == WASI_0_1 {
                            info.imports_wasi_0_1 = true;
                        } else if info.foreign_import.is_none() {
                            info.foreign_import = Some((import.module.into(), import.name.into()));
                        }
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        info.exports_start |= export?.name == "_start";
                    }
                }
                Payload::CustomSection(section) => {
                    info.has_component_types |= section.name().starts_with("component-type");
                }
                _ => {}
            }
        }
        Ok(info)
    }
}
