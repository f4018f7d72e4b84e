//! The plugin in an asynchronous program, whose threads must not block, or may.

use super::{STDOUT_CAPACITY, check_exit, plugin};
use crate::subject::Backend;
use crate::trees::{REQUESTED, Trees};
use anyhow::Result;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use wasi_overlay::engine::{Dir, Kind, OpenHow, Opened};
use wasi_overlay::p1::{self, OverlayP1Ctx};
use wasi_overlay::{FsPerms, Limits, LowerStack, Overlay, OverlayCtx, p2};
use wasmtime::component::{Component, Linker as ComponentLinker, ResourceTable};
use wasmtime::{Linker, Module, Store};
use wasmtime_wasi::p2::bindings::CommandPre;
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;

/// Worker threads of the runtime: as many as the machine of the published figures has processors.
const THREADS: usize = 2;

fn runtime() -> Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    Ok(builder.worker_threads(THREADS).enable_all().build()?)
}

/// The context of a new overlay as `/`.
pub(crate) fn overlay(trees: &Trees, backend: Backend) -> Result<OverlayCtx> {
    context(&plugin::mount(trees)?, backend)
}

fn context(overlay: &Overlay, backend: Backend) -> Result<OverlayCtx> {
    let mut files = OverlayCtx::builder();
    files
        .overlay(overlay, "/", FsPerms::ReadWrite)?
        .allow_blocking_current_thread(backend == Backend::Inline);
    Ok(files.build())
}

/// Runs a core module; returns its standard output.
pub(crate) fn p1(module: &Module, arguments: &[String], files: &OverlayCtx) -> Result<Vec<u8>> {
    let stdout = MemoryOutputPipe::new(STDOUT_CAPACITY);
    let mut linker: Linker<OverlayP1Ctx> = Linker::new(module.engine());
    p1::add_to_linker_async(&mut linker, |ctx| ctx)?;
    let wasi = plugin::wasi(arguments, &stdout).build_p1();
    let mut store = Store::new(module.engine(), OverlayP1Ctx::new(wasi, files)?);
    let module = module.clone();
    let guest = async move {
        let instance = linker.instantiate_async(&mut store, &module).await?;
        let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
        check_exit(start.call_async(&mut store, ()).await)
    };
    let runtime = runtime()?;
    runtime.block_on(async { runtime.spawn(guest).await })??;
    Ok(stdout.contents().to_vec())
}

/// Runs a component; returns its standard output.
pub(crate) fn p2(
    component: &Component,
    arguments: &[String],
    files: OverlayCtx,
) -> Result<Vec<u8>> {
    let stdout = MemoryOutputPipe::new(STDOUT_CAPACITY);
    let guest = guest(&link(component)?, arguments, &stdout, files);
    let runtime = runtime()?;
    runtime.block_on(async { runtime.spawn(guest).await })??;
    Ok(stdout.contents().to_vec())
}

/// Links a component with the plugin.
fn link(component: &Component) -> Result<CommandPre<plugin::State>> {
    let mut linker: ComponentLinker<plugin::State> = ComponentLinker::new(component.engine());
    p2::add_to_linker_async(&mut linker)?;
    Ok(CommandPre::new(linker.instantiate_pre(component)?)?)
}

/// Runs a component once.
fn guest(
    command: &CommandPre<plugin::State>,
    arguments: &[String],
    stdout: &MemoryOutputPipe,
    files: OverlayCtx,
) -> impl Future<Output = Result<()>> + Send + 'static {
    let state = plugin::State {
        wasi: plugin::wasi(arguments, stdout).build(),
        files,
        table: ResourceTable::new(),
    };
    let (command, mut store) = (command.clone(), Store::new(command.engine(), state));
    async move {
        let command = command.instantiate_async(&mut store).await?;
        let ended = command.wasi_cli_run().call_run(&mut store).await?;
        ended.map_err(|()| anyhow::anyhow!("the guest failed"))
    }
}

/// Runs `guests` instances of a component concurrently, each on its own overlay; returns the time from
/// the first start to the last end.
pub(crate) fn run_concurrently(
    component: &Component,
    arguments: &[String],
    trees: &Trees,
    (guests, backend): (u32, Backend),
) -> Result<Duration> {
    // One iteration each. The host's clock measures all of them together.
    let mut arguments = arguments.to_vec();
    "1".clone_into(&mut arguments[2]);
    arguments[4] = REQUESTED.to_string();
    let lowers = plugin::lowers(trees).collect::<Result<Vec<_>>>()?;
    let stack = LowerStack::new(lowers, &Limits::default())?;
    let mount = |stack: &Arc<LowerStack>| {
        let builder = Overlay::builder().stack(Arc::clone(stack));
        builder.upper_memory(1 << 20).build()
    };
    read_all(&mount(&stack)?.root(), "request")?;
    let command = link(component)?;
    let runtime = runtime()?;
    runtime.block_on(async {
        let start = Instant::now();
        let mut running = Vec::new();
        for _ in 0..guests {
            let files = context(&mount(&stack)?, backend)?;
            let stdout = MemoryOutputPipe::new(STDOUT_CAPACITY);
            running.push(runtime.spawn(guest(&command, &arguments, &stdout, files)));
        }
        for guest in running {
            guest.await??;
        }
        Ok(start.elapsed())
    })
}

/// Reads every file below a directory, so that the stack caches it.
fn read_all(root: &Dir, top: &str) -> Result<()> {
    let how = OpenHow::default();
    let mut left = vec![top.to_owned()];
    while let Some(path) = left.pop() {
        let Opened::Dir(dir) = root.open_at(&path, how)? else {
            anyhow::bail!("{path} is not a directory");
        };
        for entry in dir.list()?.iter() {
            let path = format!("{path}/{}", entry.name.to_str()?);
            if entry.kind == Kind::Dir {
                left.push(path);
            } else if let Opened::File(file) = root.open_at(&path, how)? {
                file.read_vec_at(64 * 1024, 0)?;
            }
        }
    }
    Ok(())
}
