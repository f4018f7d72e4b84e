//! Running the linked program, and what its end means.

use crate::args::RunArgs;
use crate::invoke::{self, ComponentCall};
use crate::store::Host;
use std::ffi::OsString;
use std::time::Duration;
use wasmtime::error::Context as _;
use wasmtime::{Store, component};

/// The exit code after a trap, as of a process that aborted: 128 + SIGABRT.
const TRAPPED: i32 = 134;

/// A program with everything that it imports.
pub(crate) enum Linked {
    /// A core module.
    Module(wasmtime::InstancePre<Host>),
    /// A component, and the call that `--invoke` asks for.
    Component(component::InstancePre<Host>, Option<ComponentCall>),
}

/// Instantiates the program and runs it to its end, or for as long as it may.
pub(crate) async fn execute(
    store: &mut Store<Host>,
    linked: Linked,
    args: &RunArgs,
    app_args: &[OsString],
) -> wasmtime::Result<()> {
    let timeout = args.common.wasm.timeout;
    if let Some(timeout) = timeout {
        store.set_epoch_deadline(1);
        let engine = store.engine().clone();
        std::thread::spawn(move || {
            std::thread::sleep(timeout);
            engine.increment_epoch();
        });
    }
    let guest = async {
        match linked {
            Linked::Module(pre) => {
                let instance = pre.instantiate_async(&mut *store).await?;
                invoke::module(store, instance, args.invoke.as_deref(), app_args).await
            }
            Linked::Component(pre, call) => {
                let instance = pre.instantiate_async(&mut *store).await?;
                let concurrent = args.common.wasm.concurrency_support.unwrap_or(true);
                match call {
                    Some(call) => call.call(store, instance, concurrent).await,
                    None => invoke::command(store, instance).await,
                }
            }
        }
        .with_context(|| {
            let app = args.app_and_args.first();
            let app = app.map(|app| app.to_string_lossy()).unwrap_or_default();
            format!("failed to run main module `{app}`")
        })
    };
    tokio::time::timeout(timeout.unwrap_or(Duration::MAX), guest)
        .await
        .unwrap_or_else(|elapsed| {
            Err(wasmtime::Error::from(wasmtime::Trap::Interrupt))
                .with_context(|| format!("timed out after {elapsed}"))
        })
}

/// The exit code of a guest that ended so, after telling the user what they have to know.
pub(crate) fn outcome(
    store: &mut Store<Host>,
    result: wasmtime::Result<()>,
    args: &RunArgs,
) -> i32 {
    let Err(error) = result else {
        return 0;
    };
    if let Some(exit) = error.downcast_ref::<wasmtime_wasi::I32Exit>() {
        return exit.0;
    }
    let error = dump_core(store, error, args);
    crate::complain(&format!("Error: {error:?}"));
    if error.is::<wasmtime::Trap>() {
        TRAPPED
    } else {
        1
    }
}

/// Writes the core dump that `-D coredump` asks for.
fn dump_core(store: &mut Store<Host>, error: wasmtime::Error, args: &RunArgs) -> wasmtime::Error {
    let Some(path) = &args.common.debug.coredump else {
        return error;
    };
    let Some(dump) = error.downcast_ref::<wasmtime::WasmCoreDump>() else {
        return error;
    };
    let name = args.app_and_args.first().and_then(|app| app.to_str());
    match std::fs::write(path, dump.serialize(store, name.unwrap_or("unknown"))) {
        Ok(()) => error.context(format!("core dumped at {path}")),
        Err(cause) => {
            crate::complain(&format!("warning: coredump failed to generate: {cause}"));
            error
        }
    }
}
