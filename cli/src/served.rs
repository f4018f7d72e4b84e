//! Options of `wasmtime run` that we do not serve: one that is set is an error, never ignored.

use crate::args::UnservedArgs;
use anyhow::{Result, anyhow, bail};
use wasmtime_cli_flags::{
    CodegenOptions, CommonOptions, DebugOptions, OptimizeOptions, RecordOptions, WasiOptions,
};

/// Fails with the first option that is set and not served. The options have to be configured.
pub(crate) fn check(common: &CommonOptions, unserved: &UnservedArgs) -> Result<()> {
    check_args(unserved)?;
    check_target(common.target.as_deref())?;
    check_codegen(&common.codegen)?;
    check_optimize(&common.opts)?;
    check_wasi(&common.wasi)?;
    check_debug(&common.debug)?;
    if common.record != RecordOptions::default() {
        bail!("-R {UNSERVED} nothing is recorded; {ELSEWHERE}");
    }
    Ok(())
}

/// Whether WASI is linked at all: `-S cli`, or its old name `-S common`.
pub(crate) fn cli_enabled(wasi: &WasiOptions) -> Result<bool> {
    match (wasi.cli, wasi.common) {
        (Some(_), Some(_)) => {
            bail!("-S common: it is the old name of `-S cli`, which is given too; omit it")
        }
        (cli, common) => Ok(cli.or(common).unwrap_or(true)),
    }
}

const UNSERVED: &str = "is not supported:";
const ELSEWHERE: &str = "omit the option, or use `wasmtime run`";

fn check_args(args: &UnservedArgs) -> Result<()> {
    if args.profile.is_some() {
        bail!(
            "--profile {UNSERVED} wasi-overlay has no profiler; omit the option, or profile the program \
             with `wasmtime run` on a directory that holds the merged tree"
        );
    }
    if !args.preload.is_empty() {
        bail!(
            "--preload {UNSERVED} only one module is run; link the modules into one, or compose components \
             with `wac plug`"
        );
    }
    if args.gdbstub.is_some() {
        bail!("-g {UNSERVED} wasi-overlay attaches no debugger; {ELSEWHERE}");
    }
    Ok(())
}

fn check_target(target: Option<&str>) -> Result<()> {
    match target {
        Some(target) if target.starts_with("pulley") => bail!(
            "--target {target} {UNSERVED} this build has no interpreter, and runs programs as native code; \
             {ELSEWHERE}"
        ),
        _ => Ok(()),
    }
}

/// Names `--target` in the error of a configuration that fails because of it.
pub(crate) fn explain_target(common: &CommonOptions, error: wasmtime::Error) -> anyhow::Error {
    match &common.target {
        Some(target) if wasmtime::Config::new().target(target).is_err() => anyhow!(
            "--target {target} {UNSERVED} programs run on this machine ({error:#}); omit the option"
        ),
        _ => error.into(),
    }
}

fn check_codegen(codegen: &CodegenOptions) -> Result<()> {
    match codegen.compiler {
        Some(wasmtime::Strategy::Winch) => bail!(
            "-C compiler=winch {UNSERVED} this build has only the compiler Cranelift; omit the option, or \
             use -O opt-level=0 to compile faster"
        ),
        _ => Ok(()),
    }
}

fn check_optimize(optimize: &OptimizeOptions) -> Result<()> {
    let keys = optimize.pooling_memory_protection_keys;
    if matches!(keys, Some(wasmtime::Enabled::Yes | wasmtime::Enabled::Auto)) {
        bail!(
            "-O pooling-memory-protection-keys {UNSERVED} one program at a time needs none; omit the option"
        );
    }
    if optimize.pooling_max_memory_protection_keys.is_some() {
        bail!(
            "-O pooling-max-memory-protection-keys {UNSERVED} one program at a time needs none; omit the \
             option"
        );
    }
    Ok(())
}

fn check_wasi(wasi: &WasiOptions) -> Result<()> {
    // Every field is named, so that an option of a later wasmtime fails to compile here.
    let WasiOptions {
        cli: _,
        cli_exit_with_code: _,
        common: _,
        nn,
        threads,
        http: _,
        http_outgoing_body_buffer_chunks: _,
        http_outgoing_body_chunk_size: _,
        config,
        keyvalue,
        listenfd,
        tcplisten,
        tls,
        preview2,
        nn_graph,
        inherit_network: _,
        allow_ip_name_lookup: _,
        tcp: _,
        udp: _,
        network_error_code: _,
        preview0,
        inherit_env: _,
        inherit_stdin: _,
        inherit_stdout: _,
        inherit_stderr: _,
        cwd: _,
        config_var,
        keyvalue_in_memory_data,
        p3: _,
        max_resources: _,
        hostcall_fuel: _,
        max_component_handles: _,
        max_random_size: _,
        max_http_fields_size: _,
    } = wasi;
    if *preview2 == Some(false) {
        bail!(
            "-S preview2=n {UNSERVED} the old implementation of WASI 0.1 is gone; omit the option"
        );
    }
    let interface = "that interface is not linked";
    let old = "it is for the old implementation of WASI 0.1";
    let unserved = [
        (*nn == Some(true), "nn", interface),
        (*threads == Some(true), "threads", interface),
        (*config == Some(true), "config", interface),
        (*keyvalue == Some(true), "keyvalue", interface),
        (*listenfd == Some(true), "listenfd", old),
        (!tcplisten.is_empty(), "tcplisten", old),
        (*tls == Some(true), "tls", interface),
        (!nn_graph.is_empty(), "nn-graph", interface),
        (
            *preview0 == Some(true),
            "preview0",
            "WASI 0.0 is not linked",
        ),
        (!config_var.is_empty(), "config-var", interface),
        (
            !keyvalue_in_memory_data.is_empty(),
            "keyvalue-in-memory-data",
            interface,
        ),
    ];
    match unserved.iter().find(|(set, ..)| *set) {
        Some((_, name, reason)) => bail!("-S {name} {UNSERVED} {reason}; {ELSEWHERE}"),
        None => Ok(()),
    }
}

fn check_debug(debug: &DebugOptions) -> Result<()> {
    let unserved = [
        (debug.debugger.is_some(), "debugger"),
        (!debug.arg.is_empty(), "arg"),
        (debug.inherit_stdin.is_some(), "inherit-stdin"),
        (debug.inherit_stdout.is_some(), "inherit-stdout"),
        (debug.inherit_stderr.is_some(), "inherit-stderr"),
    ];
    if let Some((_, name)) = unserved.iter().find(|(set, _)| *set) {
        bail!("-D {name} {UNSERVED} wasi-overlay attaches no debugger; {ELSEWHERE}");
    }
    match &debug.coredump {
        Some(path) if path.contains('%') => {
            bail!(
                "-D coredump={path} is not supported: patterns have no meaning; give the path of one file"
            )
        }
        _ => Ok(()),
    }
}
