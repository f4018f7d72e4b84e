//! Options of `wasmtime run` that we do not serve: one that is set is an error, never ignored.

use anyhow::{Result, bail};
use wasmtime_cli_flags::{CommonOptions, DebugOptions, WasiOptions};

/// Fails with the first option that is set and not served. The options have to be configured.
pub(crate) fn check(common: &CommonOptions) -> Result<()> {
    check_wasi(&common.wasi)?;
    check_debug(&common.debug)?;
    if common.record.path.is_some() {
        bail!("-R: wasi-overlay records nothing; {ELSEWHERE}");
    }
    Ok(())
}

/// Whether WASI is linked at all: `-S cli`, or its old name `-S common`.
pub(crate) fn cli_enabled(wasi: &WasiOptions) -> Result<bool> {
    match (wasi.cli, wasi.common) {
        (Some(_), Some(_)) => {
            bail!("-S common: it is the old name of `-S cli`, which is given too; leave it out")
        }
        (cli, common) => Ok(cli.or(common).unwrap_or(true)),
    }
}

const ELSEWHERE: &str = "leave the option out, or use `wasmtime run`";

fn check_wasi(wasi: &WasiOptions) -> Result<()> {
    // Every field is named, so that an option of a later wasmtime fails to compile here.
    let WasiOptions {
        cli: _,
        cli_exit_with_code,
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
        bail!("-S preview2=n: the old implementation of WASI 0.1 is gone; leave the option out");
    }
    if *cli_exit_with_code == Some(false) {
        bail!("-S cli-exit-with-code=n: it cannot be switched off; leave the option out");
    }
    let unserved = [
        (*nn == Some(true), "nn"),
        (*threads == Some(true), "threads"),
        (*config == Some(true), "config"),
        (*keyvalue == Some(true), "keyvalue"),
        (*listenfd == Some(true), "listenfd"),
        (!tcplisten.is_empty(), "tcplisten"),
        (*tls == Some(true), "tls"),
        (!nn_graph.is_empty(), "nn-graph"),
        (*preview0 == Some(true), "preview0"),
        (!config_var.is_empty(), "config-var"),
        (
            !keyvalue_in_memory_data.is_empty(),
            "keyvalue-in-memory-data",
        ),
    ];
    match unserved.iter().find(|(set, _)| *set) {
        Some((_, name)) => bail!("-S {name}: wasi-overlay does not serve it; {ELSEWHERE}"),
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
        bail!("-D {name}: wasi-overlay attaches no debugger; {ELSEWHERE}");
    }
    match &debug.coredump {
        Some(path) if path.contains('%') => {
            bail!("-D coredump={path}: patterns are not supported; give the path of one file")
        }
        _ => Ok(()),
    }
}
