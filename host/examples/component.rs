//! Runs a component on an overlay of a directory and a memory upper: the directory never changes.
//!
//! ```text
//! cargo run -p wasi-overlay --example component -- app.wasm rootfs
//! ```

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use wasi_overlay::{FsPerms, Lower, Overlay, OverlayCtx, OverlayCtxView, OverlayView, p2};
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::error::Context as _;
use wasmtime::{Engine, Result, Store};
use wasmtime_wasi::p2::bindings::sync::Command;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

/// The data of the store. All WASI interfaces share one table, since they pass streams to each other.
struct State {
    table: ResourceTable,
    wasi: WasiCtx,
    overlay: OverlayCtx,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl OverlayView for State {
    fn overlay(&mut self) -> OverlayCtxView<'_> {
        OverlayCtxView {
            ctx: &mut self.overlay,
            table: &mut self.table,
        }
    }
}

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(app), Some(rootfs)) = (args.next(), args.next()) else {
        wasmtime::bail!("usage: component APP.wasm DIRECTORY [ARGUMENT]...");
    };

    let dir = Dir::open_ambient_dir(&rootfs, ambient_authority())
        .with_context(|| format!("cannot open the directory {rootfs}"))?;
    let overlay = Overlay::builder()
        .lower(Lower::dir(rootfs, dir)?)
        .upper_memory(64 << 20)
        .build()?;

    let engine = Engine::default();
    let mut linker = Linker::new(&engine);
    p2::add_to_linker_sync(&mut linker)?;
    let state = State {
        table: ResourceTable::new(),
        wasi: WasiCtx::builder()
            .inherit_stdio()
            .arg(&app)
            .args(&args.collect::<Vec<_>>())
            .build(),
        overlay: OverlayCtx::builder()
            .overlay(&overlay, "/", FsPerms::ReadWrite)?
            .build(),
    };
    let mut store = Store::new(&engine, state);
    let component = Component::from_file(&engine, &app)?;
    let command = Command::instantiate(&mut store, &component, &linker)?;
    let run = command.wasi_cli_run().call_run(&mut store)?;

    if let Some(usage) = overlay.usage() {
        eprintln!("{app} wrote {} bytes, which are now discarded", usage.bytes);
    }
    run.map_err(|()| wasmtime::format_err!("{app} failed"))
}
