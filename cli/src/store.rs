//! What a guest's store holds, and what is linked to it.

use crate::args::RunArgs;
use anyhow::{Context, Result, anyhow};
use wasmtime::{Engine, Store, StoreLimits, StoreLimitsBuilder};
use wasmtime_cli_flags::{CommonOptions, WasiOptions};
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView};

/// The data of the store.
pub(crate) struct Host {
    limits: StoreLimits,
    pub(crate) wasi: WasiP1Ctx,
    http: WasiHttpCtx,
    hooks: HttpHooks,
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiView::ctx(&mut self.wasi)
    }
}

impl WasiHttpView for Host {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            ctx: &mut self.http,
            table: WasiView::ctx(&mut self.wasi).table,
            hooks: &mut self.hooks,
        }
    }
}

struct HttpHooks {
    chunks: usize,
    chunk_size: usize,
}

impl WasiHttpHooks for HttpHooks {
    fn p2_outgoing_body_buffer_chunks(&mut self) -> usize {
        self.chunks
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        self.chunk_size
    }
}

/// Makes the store, with every limit of the options on it.
pub(crate) fn new(engine: &Engine, args: &RunArgs, argv: &[String]) -> Result<Store<Host>> {
    let wasi = &args.common.wasi;
    let mut http = WasiHttpCtx::new();
    if let Some(bytes) = wasi.max_http_fields_size {
        http.set_field_size_limit(bytes);
    }
    let host = Host {
        limits: limits(&args.common),
        wasi: wasi_ctx(args, argv)?,
        http,
        hooks: HttpHooks {
            chunks: wasi
                .http_outgoing_body_buffer_chunks
                .unwrap_or(wasmtime_wasi_http::p2::DEFAULT_OUTGOING_BODY_BUFFER_CHUNKS),
            chunk_size: wasi
                .http_outgoing_body_chunk_size
                .unwrap_or(wasmtime_wasi_http::p2::DEFAULT_OUTGOING_BODY_CHUNK_SIZE),
        },
    };
    let mut store = Store::new(engine, host);
    store.limiter(|host| &mut host.limits);
    set_bounds(&mut store, wasi);
    if let Some(fuel) = args.common.wasm.fuel {
        store.set_fuel(fuel)?;
    }
    Ok(store)
}

fn set_bounds(store: &mut Store<Host>, wasi: &WasiOptions) {
    if let Some(max) = wasi.max_resources {
        WasiView::ctx(store.data_mut()).table.set_max_capacity(max);
        if let Some(table) = store.concurrent_resource_table() {
            table.set_max_capacity(max);
        }
    }
    if let Some(fuel) = wasi.hostcall_fuel {
        store.set_hostcall_fuel(fuel);
    }
    if let Some(max) = wasi.max_component_handles {
        store.set_max_component_handles(max);
    }
}

fn limits(common: &CommonOptions) -> StoreLimits {
    let wasm = &common.wasm;
    let mut limits = StoreLimitsBuilder::new();
    if let Some(max) = wasm.max_memory_size {
        limits = limits.memory_size(max);
    }
    if let Some(max) = wasm.max_table_elements {
        limits = limits.table_elements(max);
    }
    if let Some(max) = wasm.max_instances {
        limits = limits.instances(max);
    }
    if let Some(max) = wasm.max_tables {
        limits = limits.tables(max);
    }
    if let Some(max) = wasm.max_memories {
        limits = limits.memories(max);
    }
    if let Some(enable) = wasm.trap_on_grow_failure {
        limits = limits.trap_on_grow_failure(enable);
    }
    limits.build()
}

/// Everything of WASI but the filesystem.
fn wasi_ctx(args: &RunArgs, argv: &[String]) -> Result<WasiP1Ctx> {
    let wasi = &args.common.wasi;
    let mut builder = WasiCtx::builder();
    builder.args(argv);
    if wasi.inherit_stdin.unwrap_or(true) {
        builder.inherit_stdin();
    }
    if wasi.inherit_stdout.unwrap_or(true) {
        builder.inherit_stdout();
    }
    if wasi.inherit_stderr.unwrap_or(true) {
        builder.inherit_stderr();
    }
    set_env(&mut builder, args)?;
    if let Some(cwd) = &wasi.cwd {
        builder.initial_cwd(cwd);
    }
    if wasi.inherit_network == Some(true) {
        builder.inherit_network().allow_tcp(true).allow_udp(true);
    }
    if let Some(allow) = wasi.allow_ip_name_lookup {
        builder.allow_ip_name_lookup(allow);
    }
    if let Some(allow) = wasi.tcp {
        builder.allow_tcp(allow);
    }
    if let Some(allow) = wasi.udp {
        builder.allow_udp(allow);
    }
    if let Some(bytes) = wasi.max_random_size {
        builder.max_random_size(bytes);
    }
    // The guest is all that this process does; but only a call that leaves the thread can be
    // ended by a timeout.
    builder.allow_blocking_current_thread(blocks_inline(args));
    Ok(builder.build_p1())
}

/// Whether calls may block the thread that the guest runs on.
pub(crate) fn blocks_inline(args: &RunArgs) -> bool {
    args.common.wasm.timeout.is_none()
}

fn set_env(builder: &mut WasiCtxBuilder, args: &RunArgs) -> Result<()> {
    if args.common.wasi.inherit_env == Some(true) {
        for (name, value) in std::env::vars_os() {
            let name = name
                .into_string()
                .map_err(|name| anyhow!("-S inherit-env: the name {name:?} is not UTF-8"))?;
            let value = value.into_string().map_err(|_| {
                anyhow!("-S inherit-env: the value of `{name}` is not UTF-8; unset it")
            })?;
            builder.env(&name, &value);
        }
    }
    for var in &args.env {
        let name = &var.name;
        let value = match (&var.value, std::env::var_os(name)) {
            (Some(value), _) => value.clone(),
            (None, Some(value)) => value
                .into_string()
                .ok()
                .with_context(|| format!("--env {name}: its value here is not UTF-8"))?,
            // As with `wasmtime run`: what is not set here is not set for the guest.
            (None, None) => continue,
        };
        builder.env(name, &value);
    }
    Ok(())
}
