//! Putting the overlay in the place of the app's filesystem.
//!
//! `wac_graph::plug` does nearly this. It skips what does not fit without a word, and serves one
//! import of each export, where an app may have the same interface at two versions.

use crate::{ComposeError, world};
use std::panic::{AssertUnwindSafe, catch_unwind};
use wac_graph::types::Package;
use wac_graph::{
    CompositionGraph, EncodeOptions, InstantiationArgumentError, NodeId, PackageId, Processor,
};

/// The app with the overlay's exports for all of `imports`. It is valid.
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
    if let Some(import) = world::unencodable(graph.types(), graph[app].ty()) {
        return Err(ComposeError::World { import });
    }
    let app_instance = graph.instantiate(app);
    let overlay_instance = graph.instantiate(overlay);
    for import in imports {
        replace(&mut graph, overlay, overlay_instance, app_instance, import)?;
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
    // It panics at more worlds than are known here. Nothing of the graph is used afterwards.
    catch_unwind(AssertUnwindSafe(|| graph.encode(options)))
        .map_err(|_| ComposeError::Compose {
            reason: "the composer does not know how to write its world".to_owned(),
        })?
        .map_err(failed)
}

fn register(graph: &mut CompositionGraph, name: &str, bytes: Vec<u8>) -> Result<PackageId, String> {
    let package = Package::from_bytes(name, None, bytes, graph.types_mut());
    let package = package.map_err(|error| format!("{error:#}"))?;
    graph
        .register_package(package)
        .map_err(|error| chain(&error))
}

/// Gives the app the overlay's export for one import.
fn replace(
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
            // Names the function or the type, and in what it differs.
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
        reason: chain(&error),
    }
}

/// What an error says, its causes included.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let lines: Vec<_> = causes
        .map(|error| error.to_string().replace('\n', ": "))
        .collect();
    lines.join(": ")
}
