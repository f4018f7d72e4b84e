//! Runs a compiled program on a filesystem, and captures its output.

use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use wasi_overlay::{OverlayCtx, OverlayCtxView, OverlayView, p1, p2, p3};
use wasmtime::component::{Accessor, Component, ResourceTable};
use wasmtime::{Cache, CacheConfig, Config, Engine, Module, Store};
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::p2::bindings as wasi;
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::p3::bindings::Command;
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

/// A bound on the output, more than any program here prints, so that an endless one fails.
const OUTPUT_BYTES: usize = 16 << 20;

/// The engine, with a stack that is deep enough for CPython, and with a cache of machine code, because
/// CPython takes half a minute to compile.
pub(crate) static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let mut kept = CacheConfig::new();
    kept.with_directory(concat!(env!("CARGO_TARGET_TMPDIR"), "/machine-code"));
    let mut config = Config::new();
    config.cache(Some(Cache::new(kept).expect("the folder can be made")));
    config.max_wasm_stack(8 << 20);
    config.async_stack_size(10 << 20);
    config.wasm_component_model_async(true);
    Engine::new(&config).expect("the configuration is valid")
});

/// A compiled program: a core module for WASI 0.1, or a component for 0.2 or 0.3.
pub(crate) enum Program {
    Module(Module),
    Component(Component),
    /// A component for 0.3, which may import 0.2 too.
    Async(Component),
}

/// The filesystem of a program.
#[derive(Clone, Copy)]
pub(crate) enum Files<'a> {
    /// A plain directory, served by wasmtime-wasi.
    Stock(&'a Path),
    /// Several plain directories, served by wasmtime-wasi.
    Preopens(&'a [Preopen]),
    /// Our plugin, in a synchronous store, except that 0.3 always needs an asynchronous one.
    Ours(&'a OverlayCtx),
    /// Our plugin, in an asynchronous store.
    OursAsync(&'a OverlayCtx),
}

/// A directory, with its guest path.
#[derive(Clone, Debug)]
pub(crate) struct Preopen {
    pub(crate) path: PathBuf,
    pub(crate) name: String,
    pub(crate) perms: FsPerms,
}

impl Preopen {
    pub(crate) fn new(path: impl Into<PathBuf>, name: impl Into<String>) -> Self {
        let (path, name) = (path.into(), name.into());
        let perms = FsPerms::ReadWrite;
        Self { path, name, perms }
    }
}

/// The output of a program, and how it ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// The error that ended it, if one did.
    pub(crate) failure: Option<String>,
}

struct State {
    wasi: WasiCtx,
    overlay: OverlayCtx,
    table: ResourceTable,
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

impl Program {
    /// Compiles the program in a file.
    pub(crate) fn load(path: &Path) -> Result<Self> {
        Self::new(&std::fs::read(path).with_context(|| format!("{}", path.display()))?)
    }

    /// Compiles a program, a core module or a component.
    pub(crate) fn new(bytes: &[u8]) -> Result<Self> {
        if !is_component(bytes) {
            return Ok(Self::Module(Module::new(&ENGINE, bytes)?));
        }
        let component = Component::new(&ENGINE, bytes)?;
        let is_async = component.get_export_index(None, "wasi:cli/run@0.3.0");
        Ok(match is_async {
            Some(_) => Self::Async(component),
            None => Self::Component(component),
        })
    }

    /// Runs the program, with `files` at `/`.
    pub(crate) fn run(
        &self,
        files: Files<'_>,
        args: &[&str],
        env: &[(&str, &str)],
    ) -> Result<Outcome> {
        let stdout = MemoryOutputPipe::new(OUTPUT_BYTES);
        let stderr = MemoryOutputPipe::new(OUTPUT_BYTES);
        let mut wasi = WasiCtxBuilder::new();
        wasi.args(args)
            .envs(env)
            .stdout(stdout.clone())
            .stderr(stderr.clone())
            // As in `wasmtime run`. Otherwise wasmtime-wasi reads ahead in streams of 0.3, and returns old
            // data after the file has changed.
            .allow_blocking_current_thread(true);
        match files {
            Files::Stock(dir) => {
                wasi.preopened_dir(dir, "/", FsPerms::ReadWrite)?;
            }
            Files::Preopens(all) => {
                for it in all {
                    wasi.preopened_dir(&it.path, &it.name, it.perms)?;
                }
            }
            Files::Ours(_) | Files::OursAsync(_) => {}
        }
        let ended = match self {
            Self::Module(module) => run_module(module, files, wasi),
            Self::Component(component) => run_component(component, files, wasi),
            Self::Async(component) => runtime().block_on(run_async(component, files, wasi)),
        };
        let failure = match ended {
            Ok(()) => None,
            Err(error) => match error.downcast_ref::<I32Exit>() {
                Some(I32Exit(0)) => None,
                _ => Some(format!("{error:#}")),
            },
        };
        let text = |pipe: MemoryOutputPipe| String::from_utf8_lossy(&pipe.contents()).into_owned();
        Ok(Outcome {
            stdout: text(stdout),
            stderr: text(stderr),
            failure,
        })
    }
}

/// Whether a binary is a component, according to the layer field of its header.
fn is_component(bytes: &[u8]) -> bool {
    bytes.get(6) == Some(&1)
}

fn run_module(module: &Module, files: Files<'_>, mut wasi: WasiCtxBuilder) -> wasmtime::Result<()> {
    let wasi = wasi.build_p1();
    match files {
        Files::Stock(_) | Files::Preopens(_) => {
            let mut linker = wasmtime::Linker::<WasiP1Ctx>::new(&ENGINE);
            wasmtime_wasi::p1::add_to_linker_sync(&mut linker, |ctx| ctx)?;
            let mut store = Store::new(&ENGINE, wasi);
            let instance = linker.instantiate(&mut store, module)?;
            let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
            start.call(&mut store, ())
        }
        Files::Ours(overlay) => {
            let mut linker = wasmtime::Linker::<p1::OverlayP1Ctx>::new(&ENGINE);
            p1::add_to_linker_sync(&mut linker, |ctx| ctx)?;
            let mut store = Store::new(&ENGINE, p1::OverlayP1Ctx::new(wasi, overlay)?);
            let instance = linker.instantiate(&mut store, module)?;
            let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
            start.call(&mut store, ())
        }
        Files::OursAsync(overlay) => runtime().block_on(async {
            let mut linker = wasmtime::Linker::<p1::OverlayP1Ctx>::new(&ENGINE);
            p1::add_to_linker_async(&mut linker, |ctx| ctx)?;
            let mut store = Store::new(&ENGINE, p1::OverlayP1Ctx::new(wasi, overlay)?);
            let instance = linker.instantiate_async(&mut store, module).await?;
            let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
            start.call_async(&mut store, ()).await
        }),
    }
}

fn store(files: Files<'_>, mut wasi: WasiCtxBuilder) -> Store<State> {
    let overlay = match files {
        Files::Stock(_) | Files::Preopens(_) => OverlayCtx::default(),
        Files::Ours(overlay) | Files::OursAsync(overlay) => overlay.clone(),
    };
    Store::new(
        &ENGINE,
        State {
            wasi: wasi.build(),
            overlay,
            table: ResourceTable::new(),
        },
    )
}

fn check_exit(ended: std::result::Result<(), ()>) -> wasmtime::Result<()> {
    ended.map_err(|()| wasmtime::Error::msg("the guest ended with an error"))
}

async fn run_async(
    component: &Component,
    files: Files<'_>,
    wasi: WasiCtxBuilder,
) -> wasmtime::Result<()> {
    let mut store = store(files, wasi);
    let mut linker = wasmtime::component::Linker::<State>::new(&ENGINE);
    match files {
        Files::Stock(_) | Files::Preopens(_) => {
            wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
            wasmtime_wasi::p3::add_to_linker(&mut linker)?;
        }
        Files::Ours(_) | Files::OursAsync(_) => {
            p2::add_to_linker_async(&mut linker)?;
            p3::add_to_linker(&mut linker)?;
        }
    }
    let command = Command::instantiate_async(&mut store, component, &linker).await?;
    let run = async |store: &Accessor<State>| command.wasi_cli_run().call_run(store).await;
    check_exit(store.run_concurrent(run).await??)
}

fn run_component(
    component: &Component,
    files: Files<'_>,
    wasi: WasiCtxBuilder,
) -> wasmtime::Result<()> {
    let mut store = store(files, wasi);
    let mut linker = wasmtime::component::Linker::<State>::new(&ENGINE);
    let ended = if let Files::OursAsync(_) = files {
        p2::add_to_linker_async(&mut linker)?;
        runtime().block_on(async {
            let command = wasi::Command::instantiate_async(&mut store, component, &linker).await?;
            command.wasi_cli_run().call_run(&mut store).await
        })?
    } else {
        match files {
            Files::Stock(_) | Files::Preopens(_) => {
                wasmtime_wasi::p2::add_to_linker_sync(&mut linker)?
            }
            Files::Ours(_) | Files::OursAsync(_) => p2::add_to_linker_sync(&mut linker)?,
        }
        let command = wasi::sync::Command::instantiate(&mut store, component, &linker)?;
        command.wasi_cli_run().call_run(&mut store)?
    };
    check_exit(ended)
}

/// Makes a runtime for one run.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made")
}
