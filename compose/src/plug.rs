//! Composition: connects the app's filesystem imports to the overlay's exports.
//!
//! `wac_graph::plug` does almost this, but it silently skips imports that do not match, and connects
//! each export to one import only, although an app may import an interface at two versions.

use crate::{ComposeError, world};
use std::panic::{AssertUnwindSafe, catch_unwind};
use wac_graph::types::Package;
use wac_graph::{
    CompositionGraph, EncodeOptions, InstantiationArgumentError, NodeId, PackageId, Processor,
};

/// Connects all `imports` of the app to the overlay's exports, and returns a valid component.
pub(crate) fn plug(
    overlay: Vec<u8>,
    app: Vec<u8>,
    imports: &[String],
) -> Result<Vec<u8>, ComposeError> {
    let mut graph = CompositionGraph::new();
    let overlay =
        register(&mut graph, "wasi-overlay:overlay", overlay).map_err(ComposeError::overlay)?;
    let app =
        register(&mut graph, "app:app", app).map_err(|reason| ComposeError::Compose { reason })?;
    if let Some(import) = world::find_unencodable_import(graph.types(), graph[app].ty()) {
        return Err(ComposeError::World { import });
    }
    let app_instance = graph.instantiate(app);
    let overlay_instance = graph.instantiate(overlay);
    for import in imports {
        connect(&mut graph, overlay, overlay_instance, app_instance, import)?;
    }
    for name in exports(&graph, app) {
        let export = graph.alias_instance_export(app_instance, &name);
        let export = export.map_err(failed)?;
        graph.export(export, &name).map_err(failed)?;
    }
    let options = EncodeOptions {
        define_components: true,
        validate: true,
        processor: Some(Processor {
            name: "wasi-overlay",
            version: env!("CARGO_PKG_VERSION"),
        }),
    };
    // `encode` panics for more worlds than `find_unencodable_import` detects. Unwind safety: the
    // graph is not used afterwards.
    catch_unwind(AssertUnwindSafe(|| graph.encode(options)))
        .map_err(|_| ComposeError::Compose {
            reason: "the composer cannot encode its world".to_owned(),
        })?
        .map_err(failed)
}

fn register(graph: &mut CompositionGraph, name: &str, bytes: Vec<u8>) -> Result<PackageId, String> {
    let package = Package::from_bytes(name, None, bytes, graph.types_mut());
    let package = package.map_err(|error| format!("{error:#}"))?;
    graph
        .register_package(package)
        .map_err(|error| format_chain(&error))
}

/// Connects one import of the app to the overlay's export of that interface.
fn connect(
    graph: &mut CompositionGraph,
    overlay: PackageId,
    overlay_instance: NodeId,
    app_instance: NodeId,
    import: &str,
) -> Result<(), ComposeError> {
    let not_plugged = |reason: String| ComposeError::NotPlugged {
        import: import.to_owned(),
        reason,
    };
    let interface = |name: &str| name.split('@').next().map(str::to_owned);
    let export = exports(graph, overlay)
        .into_iter()
        .find(|export| interface(export) == interface(import))
        .ok_or_else(|| not_plugged("WASI 0.2 has no such interface".to_owned()))?;
    let export = graph
        .alias_instance_export(overlay_instance, &export)
        .map_err(failed)?;
    graph
        .set_instantiation_argument(app_instance, import, export)
        .map_err(|error| match error {
            // The source names the function or type, and the difference.
            InstantiationArgumentError::ArgumentTypeMismatch { source, .. } => {
                not_plugged(format!("{source:#}"))
            }
            other => failed(other),
        })
}

fn exports(graph: &CompositionGraph, package: PackageId) -> Vec<String> {
    let world = &graph.types()[graph[package].ty()];
    world.exports.keys().cloned().collect()
}

fn failed(error: impl std::error::Error) -> ComposeError {
    ComposeError::Compose {
        reason: format_chain(&error),
    }
}

/// Formats an error and its causes in one line.
fn format_chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let lines: Vec<_> = causes
        .map(|error| error.to_string().replace('\n', ": "))
        .collect();
    lines.join(": ")
}
