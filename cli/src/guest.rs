//! Execution of the linked program, and its exit code.

use crate::args::RunArgs;
use crate::invoke::{self, ComponentCall};
use crate::messages::{print_guest_error, print_warning};
use crate::mount;
use crate::store::{self, ComponentHost, Host, ModuleHost};
use std::time::Duration;
use wasi_overlay::OverlayCtx;
use wasmtime::error::Context as _;
use wasmtime::{Engine, Linker, Module, Result, Store, Trap, component};
use wasmtime_wasi::WasiCtxBuilder;

/// The exit code after a trap: 128 + SIGABRT, as of an aborted process.
const TRAP_EXIT_CODE: i32 = 134;

/// A program with its imports linked.
pub(crate) enum Linked {
    /// A core module.
    Module(Box<Linker<ModuleHost>>, Module),
    /// A component, and the call that `--invoke` specifies.
    Component(component::InstancePre<ComponentHost>, Option<ComponentCall>),
}

/// Instantiates the program, runs it until it ends or its timeout expires, and returns its exit code. The
/// store of the guest is dropped by then.
pub(crate) fn run(
    engine: &Engine,
    linked: Linked,
    args: &RunArgs,
    mut wasi: WasiCtxBuilder,
    files: &OverlayCtx,
) -> Result<i32> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.enable_time().enable_io();
    let runtime = mount::open_with_retry(|| runtime.build())
        .context("the runtime cannot be started; raise `ulimit -n`")?;
    let code = match linked {
        Linked::Module(linker, module) => {
            let mut store = store::new_module_store(engine, args, &mut wasi, files)?;
            let guest = run_module(&mut store, *linker, &module, args);
            let result = runtime.block_on(with_timeout(engine, args, guest));
            exit_code(result)
        }
        Linked::Component(pre, call) => {
            let mut store = store::new_component_store(engine, args, &mut wasi, files)?;
            let guest = run_component(&mut store, &pre, call, args);
            let result = runtime.block_on(with_timeout(engine, args, guest));
            exit_code(result)
        }
    };
    // Does not wait for threads that wait for stdin or for a name server.
    runtime.shutdown_background();
    Ok(code)
}

async fn run_module(
    store: &mut Store<ModuleHost>,
    mut linker: Linker<ModuleHost>,
    module: &Module,
    args: &RunArgs,
) -> Result<()> {
    set_deadline(store, args);
    if args.common.wasm.unknown_imports_default == Some(true) {
        linker.define_unknown_imports_as_default_values(&mut *store, module)?;
    }
    let instance = linker.instantiate_async(&mut *store, module).await?;
    let app_args = args.app_and_args.get(1..).unwrap_or_default();
    let result = invoke::run_module(store, instance, args.invoke.as_deref(), app_args).await;
    result.map_err(|error| dump_core(store, error, args))
}

async fn run_component(
    store: &mut Store<ComponentHost>,
    pre: &component::InstancePre<ComponentHost>,
    call: Option<ComponentCall>,
    args: &RunArgs,
) -> Result<()> {
    set_deadline(store, args);
    let instance = pre.instantiate_async(&mut *store).await?;
    let concurrent = args.common.wasm.concurrency_support.unwrap_or(true);
    let result = match call {
        Some(call) => call.call(store, instance, concurrent).await,
        None => {
            let p3 = args.common.wasi.p3.unwrap_or(true);
            invoke::run_command(store, instance, p3).await
        }
    };
    result.map_err(|error| dump_core(store, error, args))
}

/// Has wasm code check the epoch, which [`with_timeout`] increments when the timeout expires.
fn set_deadline<W>(store: &mut Store<Host<W>>, args: &RunArgs) {
    if args.common.wasm.timeout.is_some() {
        store.set_epoch_deadline(1);
    }
}

/// Ends a guest that runs for longer than `-W timeout` allows.
async fn with_timeout(
    engine: &Engine,
    args: &RunArgs,
    guest: impl Future<Output = Result<()>>,
) -> Result<()> {
    let timeout = args.common.wasm.timeout;
    if let Some(timeout) = timeout {
        let engine = engine.clone();
        std::thread::spawn(move || {
            std::thread::sleep(timeout);
            engine.increment_epoch();
        });
    }
    tokio::time::timeout(timeout.unwrap_or(Duration::MAX), guest)
        .await
        .unwrap_or_else(|elapsed| {
            Err(wasmtime::Error::from(Trap::Interrupt))
                .with_context(|| format!("timed out after {elapsed}"))
        })
        .with_context(|| {
            let app = args.app_and_args.first();
            let app = app.map(|app| app.to_string_lossy()).unwrap_or_default();
            format!("failed to run main module `{app}`")
        })
}

/// Returns the exit code for the result of a guest, and prints its error.
fn exit_code(result: Result<()>) -> i32 {
    let Err(error) = result else {
        return 0;
    };
    if let Some(exit) = error.downcast_ref::<wasmtime_wasi::I32Exit>() {
        return exit.0;
    }
    print_guest_error(&error);
    if error.is::<Trap>() {
        TRAP_EXIT_CODE
    } else {
        1
    }
}

/// Writes the core dump that `-D coredump` requests.
fn dump_core<W: 'static>(
    store: &mut Store<Host<W>>,
    error: wasmtime::Error,
    args: &RunArgs,
) -> wasmtime::Error {
    let Some(path) = &args.common.debug.coredump else {
        return error;
    };
    let Some(dump) = error.downcast_ref::<wasmtime::WasmCoreDump>() else {
        return error;
    };
    let name = args.app_and_args.first().and_then(|app| app.to_str());
    let dump = dump.serialize(store, name.unwrap_or("unknown"));
    match mount::open_with_retry(|| std::fs::write(path, &dump)) {
        Ok(()) => error.context(format!("core dumped at {path}")),
        Err(cause) => {
            print_warning(format_args!("coredump failed to generate: {cause}"));
            error
        }
    }
}
