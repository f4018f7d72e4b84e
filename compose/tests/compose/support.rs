//! Helpers that make overlays and apps, and inspect components.

use std::path::{Path, PathBuf};
use wac_graph::types::Package;
use wac_graph::{CompositionGraph, EncodeOptions};
use wasi_overlay_compose::{Config, Overlay};
use wasm_encoder::{ConstExpr, DataSection, MemorySection, MemoryType, Module, RawSection};
use wasmparser::{Parser, Payload, Validator, WasmFeatures};
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{LiftLowerAbi, ManglingAndAbi, Resolve, WorldId};

/// The imports of an overlay, without versions.
pub(crate) const OVERLAY_IMPORTS: [&str; 5] = [
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/streams",
];

/// A configuration with one layer.
pub(crate) fn config(lower: &str) -> Config {
    Config {
        lowers: vec![lower.to_owned()],
        ..Config::default()
    }
}

/// Calls `test` with the stand-in, and with the real overlay if it has been built.
pub(crate) fn for_each_overlay(test: impl Fn(&Overlay)) {
    test(&stand_in("overlay"));
    match Overlay::embedded() {
        Ok(overlay) => test(&overlay),
        Err(error) => eprintln!("note: tested only with the stand-in: {error}"),
    }
}

/// A module with the overlay's imports, exports and slot, whose functions trap.
pub(crate) fn stand_in(world: &str) -> Overlay {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(wit()).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    let mut core = with_slot(&dummy(&resolve, world));
    embed_component_metadata(&mut core, &resolve, world, StringEncoding::UTF8).unwrap();
    Overlay::from_core_module(core)
}

/// The folder of the project's WIT.
fn wit() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit")
}

/// Adds a memory with an empty slot to a module that has no data.
fn with_slot(core: &[u8]) -> Vec<u8> {
    let mut module = Module::new();
    for payload in Parser::new(0).parse_all(core) {
        let payload = payload.unwrap();
        if let Payload::MemorySection(_) = payload {
            let mut memories = MemorySection::new();
            memories.memory(MemoryType {
                minimum: 1,
                maximum: None,
                memory64: false,
                shared: false,
                page_size_log2: None,
            });
            module.section(&memories);
        } else if let Some((id, range)) = payload.as_section() {
            let data = &core[range.start as usize..range.end as usize];
            module.section(&RawSection { id, data });
        }
    }
    let mut slot = wasi_overlay_config::MAGIC.to_vec();
    slot.resize(wasi_overlay_config::SLOT_BYTES, 0);
    let mut data = DataSection::new();
    data.active(0, &ConstExpr::i32_const(0), slot);
    module.section(&data);
    module.finish()
}

fn dummy(resolve: &Resolve, world: WorldId) -> Vec<u8> {
    dummy_module(resolve, world, ManglingAndAbi::Legacy(LiftLowerAbi::Sync))
}

/// The patch versions of the WASI packages of an app.
#[derive(Clone, Copy)]
pub(crate) struct Wasi {
    pub(crate) io: u32,
    pub(crate) clocks: u32,
    pub(crate) filesystem: u32,
}

impl Wasi {
    pub(crate) fn all(patch: u32) -> Self {
        Self {
            io: patch,
            clocks: patch,
            filesystem: patch,
        }
    }

    /// Adds the packages that `resolve` does not have.
    fn push(self, resolve: &mut Resolve) {
        for package in ["io", "clocks", "filesystem"] {
            let path = format!("{}/../wit/deps/{package}.wit", env!("CARGO_MANIFEST_DIR"));
            let mut text = std::fs::read_to_string(path).unwrap();
            for (name, patch) in [
                ("io", self.io),
                ("clocks", self.clocks),
                ("filesystem", self.filesystem),
            ] {
                text = with_version(&text, name, patch);
            }
            let id = format!("{package}-{}", text.lines().next().unwrap());
            let first = text
                .lines()
                .find(|line| line.starts_with("package"))
                .unwrap();
            let name = first.trim_start_matches("package ").trim_end_matches(';');
            let known = resolve
                .package_names
                .keys()
                .any(|it| it.to_string() == name);
            if !known {
                resolve.push_str(id, &text).unwrap();
            }
        }
    }
}

/// Replaces the version of `wasi:NAME` in the text of a package.
fn with_version(text: &str, name: &str, patch: u32) -> String {
    let lines = text.lines().map(|line| {
        if line.contains(&format!("wasi:{name}")) {
            line.replace("@0.2.12", &format!("@0.2.{patch}"))
        } else {
            line.to_owned()
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A component whose world is `world`, which may refer to all packages in `wasi`.
pub(crate) fn app(wasi: &[Wasi], world: &str) -> Vec<u8> {
    ComponentEncoder::default()
        .validate(true)
        // An interface that the world imports at two versions stays at two versions.
        .merge_imports_based_on_semver(false)
        .module(&app_module(wasi, world))
        .unwrap()
        .encode()
        .unwrap()
}

/// The core module of [`app`], with its component types.
pub(crate) fn app_module(wasi: &[Wasi], world: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    for wasi in wasi {
        wasi.push(&mut resolve);
    }
    let text = format!("package test:app; world app {{ {world} }}");
    let package = resolve.push_str("app.wit", &text).unwrap();
    let world = resolve.select_world(&[package], Some("app")).unwrap();
    let mut module = dummy(&resolve, world);
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    module
}

/// An app that imports the filesystem of 0.2.`patch`, and exports `run`.
pub(crate) fn usual_app(patch: u32) -> Vec<u8> {
    app(&[Wasi::all(patch)], &usual_world(patch))
}

/// The world of [`usual_app`].
pub(crate) fn usual_world(patch: u32) -> String {
    format!(
        "import wasi:filesystem/types@0.2.{patch}; import wasi:filesystem/preopens@0.2.{patch}; \
         export run: func();"
    )
}

/// A component that exports the configuration of an overlay.
pub(crate) fn configuration() -> Vec<u8> {
    let mut resolve = Resolve::default();
    resolve.push_dir(wit()).unwrap();
    let text = "package test:config; world config { export wasi-overlay:component/config@0.1.0; }";
    let package = resolve.push_str("config.wit", text).unwrap();
    let world = resolve.select_world(&[package], Some("config")).unwrap();
    let mut module = dummy(&resolve, world);
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    let mut encoder = ComponentEncoder::default();
    encoder
        .validate(true)
        .module(&module)
        .unwrap()
        .encode()
        .unwrap()
}

/// The result of `wac plug` for two components.
pub(crate) fn plugged(socket: Vec<u8>, plug: Vec<u8>) -> Vec<u8> {
    let mut graph = CompositionGraph::new();
    let mut register = |name: &str, bytes: Vec<u8>| {
        let package = Package::from_bytes(name, None, bytes, graph.types_mut()).unwrap();
        graph.register_package(package).unwrap()
    };
    let (socket, plug) = (register("test:socket", socket), register("test:plug", plug));
    wac_graph::plug(&mut graph, vec![plug], socket).unwrap();
    graph.encode(EncodeOptions::default()).unwrap()
}

/// The names of a component's imports and of its exports, sorted.
pub(crate) fn extern_names(component: &[u8]) -> (Vec<String>, Vec<String>) {
    Validator::new_with_features(WasmFeatures::default())
        .validate_all(component)
        .expect("the component is valid without optional features");
    let (mut imports, mut exports) = (Vec::new(), Vec::new());
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(component) {
        match payload.unwrap() {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth -= i32::from(depth > 0),
            Payload::ComponentImportSection(section) if depth == 0 => {
                imports.extend(
                    section
                        .into_iter()
                        .map(|it| it.unwrap().name.name.to_owned()),
                );
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                exports.extend(
                    section
                        .into_iter()
                        .map(|it| it.unwrap().name.name.to_owned()),
                );
            }
            _ => {}
        }
    }
    imports.sort();
    exports.sort();
    (imports, exports)
}

/// [`OVERLAY_IMPORTS`] with this version.
pub(crate) fn overlay_imports(patch: u32) -> Vec<String> {
    OVERLAY_IMPORTS
        .iter()
        .map(|interface| format!("{interface}@0.2.{patch}"))
        .collect()
}

/// How often `text` is in `bytes`.
pub(crate) fn count(bytes: &[u8], text: &str) -> usize {
    bytes
        .windows(text.len())
        .filter(|window| *window == text.as_bytes())
        .count()
}
