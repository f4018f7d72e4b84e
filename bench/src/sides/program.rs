//! The plugin in an asynchronous program: on threads that must not block, or may.

use super::{PRINTED, ended, plugin};
use crate::subject::Side;
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

/// Threads that run guests: as many as the machine that measured has.
const THREADS: usize = 2;

fn runtime() -> Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    Ok(builder.worker_threads(THREADS).enable_all().build()?)
}

/// The layers and the upper as `/`.
pub(crate) fn overlay(trees: &Trees, side: Side) -> Result<OverlayCtx> {
    context(&plugin::mounted(trees)?, side)
}

fn context(overlay: &Overlay, side: Side) -> Result<OverlayCtx> {
    let mut files = OverlayCtx::builder();
    files
        .overlay("/", overlay, FsPerms::ReadWrite)?
        .allow_blocking_current_thread(side == Side::Inline);
    Ok(files.build())
}

/// Runs a core module; returns what it printed.
pub(crate) fn p1(module: &Module, arguments: &[String], files: &OverlayCtx) -> Result<Vec<u8>> {
    let stdout = MemoryOutputPipe::new(PRINTED);
    let mut linker: Linker<OverlayP1Ctx> = Linker::new(module.engine());
    p1::add_to_linker_async(&mut linker, |ctx| ctx)?;
    let wasi = plugin::wasi(arguments, &stdout).build_p1();
    let mut store = Store::new(module.engine(), OverlayP1Ctx::new(wasi, files)?);
    let module = module.clone();
    let guest = async move {
        let instance = linker.instantiate_async(&mut store, &module).await?;
        let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
        ended(start.call_async(&mut store, ()).await)
    };
    let runtime = runtime()?;
    runtime.block_on(async { runtime.spawn(guest).await })??;
    Ok(stdout.contents().to_vec())
}

/// Runs a component; returns what it printed.
pub(crate) fn p2(
    component: &Component,
    arguments: &[String],
    files: OverlayCtx,
) -> Result<Vec<u8>> {
    let stdout = MemoryOutputPipe::new(PRINTED);
    let guest = guest(&linked(component)?, arguments, &stdout, files);
    let runtime = runtime()?;
    runtime.block_on(async { runtime.spawn(guest).await })??;
    Ok(stdout.contents().to_vec())
}

fn linked(component: &Component) -> Result<CommandPre<plugin::State>> {
    let mut linker: ComponentLinker<plugin::State> = ComponentLinker::new(component.engine());
    p2::add_all_to_linker_async(&mut linker)?;
    Ok(CommandPre::new(linker.instantiate_pre(component)?)?)
}

/// One run of a component.
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

/// Runs a component so often at once, each time on an overlay of its own; returns how long all took.
pub(crate) fn crowd(
    component: &Component,
    arguments: &[String],
    trees: &Trees,
    (guests, side): (u32, Side),
) -> Result<Duration> {
    // One turn each: what counts is the time of all of them, by our clock.
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
    let command = linked(component)?;
    let runtime = runtime()?;
    runtime.block_on(async {
        let start = Instant::now();
        let mut running = Vec::new();
        for _ in 0..guests {
            let files = context(&mount(&stack)?, side)?;
            let stdout = MemoryOutputPipe::new(PRINTED);
            running.push(runtime.spawn(guest(&command, &arguments, &stdout, files)));
        }
        for guest in running {
            guest.await??;
        }
        Ok(start.elapsed())
    })
}

/// Reads every file below a directory, so that the stack keeps it.
fn read_all(root: &Dir, top: &str) -> Result<()> {
    let how = OpenHow::default();
    let mut left = vec![top.to_owned()];
    while let Some(path) = left.pop() {
        let Opened::Dir(dir) = root.open_at(&path, how)? else {
            anyhow::bail!("{path} is no directory");
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
