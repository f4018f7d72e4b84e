//! Core modules, made components with the adapter that wasmtime ships.

use crate::{AppKind, ComposeError};
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME as WASI_0_1,
    WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER as COMMAND,
    WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER as REACTOR,
};
use wasmparser::{Parser, Payload};
use wit_component::ComponentEncoder;

/// The component of a valid core module.
pub(crate) fn wrap(module: &[u8]) -> Result<(Vec<u8>, AppKind), ComposeError> {
    let shape = Shape::of(module).map_err(|error| ComposeError::Invalid {
        reason: error.to_string(),
    })?;
    let kind = match (shape.typed && !shape.wasi_0_1, shape.starts) {
        (true, _) => AppKind::Typed,
        (false, true) => AppKind::Command,
        (false, false) => AppKind::Reactor,
    };
    if !shape.typed
        && let Some((module, name)) = shape.foreign
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

/// What of a core module says how it is wrapped.
#[derive(Default)]
struct Shape {
    /// It is run.
    starts: bool,
    /// It carries its component's types.
    typed: bool,
    /// It imports WASI 0.1.
    wasi_0_1: bool,
    /// The first import that is not of WASI 0.1.
    foreign: Option<(String, String)>,
}

impl Shape {
    fn of(module: &[u8]) -> Result<Self, wasmparser::Error> {
        let mut shape = Self::default();
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import?;
                        if import.module == WASI_0_1 {
                            shape.wasi_0_1 = true;
                        } else if shape.foreign.is_none() {
                            shape.foreign = Some((import.module.into(), import.name.into()));
                        }
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        shape.starts |= export?.name == "_start";
                    }
                }
                Payload::CustomSection(section) => {
                    shape.typed |= section.name().starts_with("component-type");
                }
                _ => {}
            }
        }
        Ok(shape)
    }
}
