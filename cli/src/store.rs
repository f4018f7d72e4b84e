//! Wasmtime stores: their data, limits and WASI context.

use crate::args::RunArgs;
use anyhow::{Context, Result, anyhow};
use wasi_overlay::p1::OverlayP1Ctx;
use wasi_overlay::{OverlayCtx, OverlayCtxView, OverlayView};
use wasmtime::component::ResourceTable;
use wasmtime::{Engine, Store, StoreLimits, StoreLimitsBuilder};
use wasmtime_cli_flags::CommonOptions;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView};

/// The data of a store. `W` is the WASI context for the kind of program.
pub(crate) struct Host<W> {
    limits: StoreLimits,
    pub(crate) wasi: W,
}

/// The data of a core module's store.
pub(crate) type ModuleHost = Host<OverlayP1Ctx>;

/// The data of a component's store.
pub(crate) type ComponentHost = Host<ComponentWasi>;

/// The WASI context of a component, for 0.2 and 0.3.
pub(crate) struct ComponentWasi {
    /// Everything but the filesystem.
    wasi: WasiCtx,
    /// The filesystem.
    overlay: OverlayCtx,
    /// The resources that the guest holds.
    table: ResourceTable,
    http: WasiHttpCtx,
    hooks: HttpHooks,
}

impl WasiView for ComponentHost {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi.wasi,
            table: &mut self.wasi.table,
        }
    }
}

impl OverlayView for ComponentHost {
    fn overlay(&mut self) -> OverlayCtxView<'_> {
        OverlayCtxView {
            ctx: &mut self.wasi.overlay,
            table: &mut self.wasi.table,
        }
    }
}

impl WasiHttpView for ComponentHost {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            ctx: &mut self.wasi.http,
            table: &mut self.wasi.table,
            hooks: &mut self.wasi.hooks,
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

/// Creates the store of a core module.
pub(crate) fn new_module_store(
    engine: &Engine,
    args: &RunArgs,
    wasi: &mut WasiCtxBuilder,
    files: &OverlayCtx,
) -> wasmtime::Result<Store<ModuleHost>> {
    let mut wasi = OverlayP1Ctx::new(wasi.build_p1(), files)?;
    if let Some(max) = args.common.wasi.max_resources {
        WasiView::ctx(wasi.wasi()).table.set_max_capacity(max);
    }
    new_store(engine, args, wasi)
}

/// Creates the store of a component.
pub(crate) fn new_component_store(
    engine: &Engine,
    args: &RunArgs,
    wasi: &mut WasiCtxBuilder,
    files: &OverlayCtx,
) -> wasmtime::Result<Store<ComponentHost>> {
    let options = &args.common.wasi;
    let mut table = ResourceTable::new();
    let mut http = WasiHttpCtx::new();
    if let Some(max) = options.max_resources {
        table.set_max_capacity(max);
    }
    if let Some(bytes) = options.max_http_fields_size {
        http.set_field_size_limit(bytes);
    }
    let hooks = HttpHooks {
        chunks: options
            .http_outgoing_body_buffer_chunks
            .unwrap_or(wasmtime_wasi_http::p2::DEFAULT_OUTGOING_BODY_BUFFER_CHUNKS),
        chunk_size: options
            .http_outgoing_body_chunk_size
            .unwrap_or(wasmtime_wasi_http::p2::DEFAULT_OUTGOING_BODY_CHUNK_SIZE),
    };
    let wasi = ComponentWasi {
        wasi: wasi.build(),
        overlay: files.clone(),
        table,
        http,
        hooks,
    };
    new_store(engine, args, wasi)
}

/// Creates a store with the limits of the options.
fn new_store<W: 'static>(
    engine: &Engine,
    args: &RunArgs,
    wasi: W,
) -> wasmtime::Result<Store<Host<W>>> {
    let host = Host {
        limits: store_limits(&args.common),
        wasi,
    };
    let mut store = Store::new(engine, host);
    store.limiter(|host| &mut host.limits);
    let options = &args.common.wasi;
    if let Some(max) = options.max_resources
        && let Some(table) = store.concurrent_resource_table()
    {
        table.set_max_capacity(max);
    }
    if let Some(fuel) = options.hostcall_fuel {
        store.set_hostcall_fuel(fuel);
    }
    if let Some(max) = options.max_component_handles {
        store.set_max_component_handles(max);
    }
    if let Some(fuel) = args.common.wasm.fuel {
        store.set_fuel(fuel)?;
    }
    Ok(store)
}

fn store_limits(common: &CommonOptions) -> StoreLimits {
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

/// The WASI context of the options, without the filesystem.
pub(crate) fn wasi_ctx(args: &RunArgs, argv: &[String]) -> Result<WasiCtxBuilder> {
    let wasi = &args.common.wasi;
    let mut builder = WasiCtxBuilder::new();
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
    if let Some(cwd) = args.workdir.as_ref().or(wasi.cwd.as_ref()) {
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
    // The guest is the only work of this process, so it may block its thread, unless there is a timeout:
    // that cannot interrupt a blocked thread.
    builder.allow_blocking_current_thread(may_block(args));
    Ok(builder)
}

/// Whether calls may block the guest's thread.
pub(crate) fn may_block(args: &RunArgs) -> bool {
    args.common.wasm.timeout.is_none()
}

fn set_env(builder: &mut WasiCtxBuilder, args: &RunArgs) -> Result<()> {
    if let Some(dir) = &args.workdir
        && !args.env.iter().any(|var| var.name == "PWD")
    {
        builder.env("PWD", dir);
    }
    if args.common.wasi.inherit_env == Some(true) {
        for (name, value) in std::env::vars_os() {
            // `--workdir` replaces the host's.
            if name == "PWD" && args.workdir.is_some() {
                continue;
            }
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
            (None, Some(value)) => value.into_string().ok().with_context(|| {
                format!("--env {name}: its value in the environment is not UTF-8")
            })?,
            // As with `wasmtime run`: a variable that is not set in the environment is not set for the guest.
            (None, None) => continue,
        };
        builder.env(name, &value);
    }
    Ok(())
}
