//! Components for WASI 0.3, on wasmtime-wasi and on the plugin. WASI 0.3 has only asynchronous stores;
//! both backends may block the calling thread, as `wasmtime run` does.

use super::{STDOUT_CAPACITY, plugin, stock};
use anyhow::Result;
use wasi_overlay::{OverlayCtx, p3};
use wasmtime::Store;
use wasmtime::component::{Accessor, Component, Linker, ResourceTable};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::p3::bindings::Command;

/// Runs a component on wasmtime-wasi; returns its standard output.
pub(crate) fn stock(
    component: &Component,
    arguments: &[String],
    preopens: &stock::Preopens,
) -> Result<Vec<u8>> {
    let mut linker = Linker::new(component.engine());
    wasmtime_wasi::p3::add_to_linker(&mut linker)?;
    let stdout = MemoryOutputPipe::new(STDOUT_CAPACITY);
    let state = stock::State {
        ctx: stock::builder(arguments, &stdout, preopens)?.build(),
        table: ResourceTable::new(),
    };
    run(component, &linker, state)?;
    Ok(stdout.contents().to_vec())
}

/// Runs a component on the plugin; returns its standard output.
pub(crate) fn plugin(
    component: &Component,
    arguments: &[String],
    files: OverlayCtx,
) -> Result<Vec<u8>> {
    let stdout = MemoryOutputPipe::new(STDOUT_CAPACITY);
    let mut linker: Linker<plugin::State> = Linker::new(component.engine());
    p3::add_to_linker(&mut linker)?;
    let state = plugin::State {
        wasi: plugin::wasi(arguments, &stdout).build(),
        files,
        table: ResourceTable::new(),
    };
    run(component, &linker, state)?;
    Ok(stdout.contents().to_vec())
}

fn run<T: Send>(component: &Component, linker: &Linker<T>, state: T) -> Result<()> {
    let mut store = Store::new(component.engine(), state);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(async {
        let command = Command::instantiate_async(&mut store, component, linker).await?;
        let run = async |store: &Accessor<T>| command.wasi_cli_run().call_run(store).await;
        store.run_concurrent(run).await?
    })?;
    ended.map_err(|()| anyhow::anyhow!("the guest failed"))
}
