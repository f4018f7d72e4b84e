//! The `run` command: checks, links, mounts, runs and closes, in that order, so that a command line that
//! cannot work changes nothing.

use crate::app::{self, App, LinkedInterfaces};
use crate::args::RunArgs;
use crate::guest::{self, Linked};
use crate::image::{ImageProgram, Images};
use crate::invoke::ComponentCall;
use crate::messages::{print_error, print_warning};
use crate::mount::{self, Mounted};
use crate::mounts::Mounts;
use crate::store::{self, ComponentHost, ModuleHost};
use crate::validate::OpenMounts;
use crate::{image, log, served, validate};
use anyhow::{Context, Result, anyhow, bail, ensure};
use std::path::Path;
use wasmtime::component::{self, Component};
use wasmtime::{Engine, Linker, Module};
use wasmtime_wasi::p2::bindings::LinkOptions;

/// Runs the program and returns its exit code.
pub(crate) fn run(mut args: RunArgs) -> Result<i32> {
    // Parsing `-O -C -D -W -S` into their fields also creates the compilation cache. This first pass is
    // for the checks, so it disables the cache.
    let mut options = args.common.clone();
    options.codegen.cache = Some(false);
    // Options that are not served fail here too, but without their names.
    let config = options.config(None);
    served::check(&options, &args.unserved)?;
    config.map_err(|error| served::explain_target(&options, error))?;
    log::init(&mut options)?;
    let cli = served::cli_enabled(&options.wasi)?;
    let mut images = Images::for_run(&args)?;
    let image = match image::image_of(&args)? {
        Some(transport) => Some(ImageProgram::open(&mut args, &mut images, &transport)?),
        None => {
            ensure!(
                args.entrypoint.is_none(),
                "--entrypoint: it is for images, and the program is a file; remove the option"
            );
            None
        }
    };
    let mounts = Mounts::from_args(&args, image.as_ref().map(ImageProgram::name))?;
    let open = validate::open(mounts, &mut images, image.as_ref())?;

    let mut config = args.common.config(None).map_err(|error| {
        anyhow!(
            "the compilation cache cannot be used ({error:#}); configure another directory with \
             `-C cache-config=FILE`, or disable the cache with `-C cache=n`"
        )
    })?;
    if args.common.wasm.timeout.is_some() {
        config.epoch_interruption(true);
    }
    let engine = Engine::new(&config)?;
    let (name, program) = load(&engine, &args, &open, image.as_ref())?;
    let wasi = store::wasi_ctx(&args, &guest_argv(&args)?)?;
    let linked =
        link(&engine, program, &args, cli).with_context(|| format!("`{name}` cannot be run"))?;

    let mounted = Mounted::new(open, store::may_block(&args))?;
    let result = guest::run(&engine, linked, &args, wasi, mounted.files());
    let mut code = result.unwrap_or_else(|error| {
        print_error(&error.into());
        1
    });
    for error in mounted.close() {
        print_error(&error);
        code = if code == 0 { 1 } else { code };
    }
    Ok(code)
}

/// Loads the program: that of the image, or the file.
fn load(
    engine: &Engine,
    args: &RunArgs,
    open: &OpenMounts,
    image: Option<&ImageProgram>,
) -> Result<(String, App)> {
    let main = open.overlays.iter().find(|open| open.spec.image.is_some());
    if let (Some(image), Some(main)) = (image, main) {
        let (path, bytes) = image.read(mount::layers_with_upper(main)?)?;
        let program = app::from_bytes(engine, Path::new(&path), &bytes, args.allow_precompiled)?;
        return Ok((path, program));
    }
    let Some(app) = args.app_and_args.first() else {
        bail!("the program is missing; pass a wasm file or an image");
    };
    let path = Path::new(app);
    let program = app::load(engine, path, args.allow_precompiled)?;
    Ok((path.display().to_string(), program))
}

/// Links the imports of the program.
fn link(engine: &Engine, program: App, args: &RunArgs, cli: bool) -> Result<Linked> {
    match program {
        App::Module(module) => link_module(engine, module, args, cli),
        App::Component(component) => link_component(engine, &component, args, cli),
    }
}

fn link_module(engine: &Engine, module: Module, args: &RunArgs, cli: bool) -> Result<Linked> {
    let wasm = &args.common.wasm;
    if args.common.wasi.http == Some(true) {
        bail!("-S http: wasi:http is for components, and this is a core module; remove the option");
    }
    let mut linker = Linker::new(engine);
    if let Some(allow) = wasm.unknown_exports_allow {
        linker.allow_unknown_exports(allow);
    }
    if cli {
        wasi_overlay::p1::add_to_linker_async(&mut linker, |host: &mut ModuleHost| &mut host.wasi)?;
    }
    if wasm.unknown_imports_trap == Some(true) {
        linker.define_unknown_imports_as_traps(&module)?;
    }
    // `unknown-imports-default` defines every unknown import, once there is a store.
    if wasm.unknown_imports_default != Some(true) {
        linker
            .instantiate_pre(&module)
            .map_err(|error| app::module_link_error(error, cli))?;
    }
    Ok(Linked::Module(Box::new(linker), module))
}

fn link_component(
    engine: &Engine,
    component: &Component,
    args: &RunArgs,
    cli: bool,
) -> Result<Linked> {
    let wasm = &args.common.wasm;
    let interfaces = LinkedInterfaces {
        cli,
        p3: args.common.wasi.p3.unwrap_or(true),
        http: args.common.wasi.http == Some(true),
    };
    if wasm.unknown_exports_allow.is_some() {
        bail!(
            "-W unknown-exports-allow: it is for core modules, and this is a component; \
             remove the option"
        );
    }
    if wasm.unknown_imports_default == Some(true) {
        bail!(
            "-W unknown-imports-default: it is for core modules, and this is a component; \
             use unknown-imports-trap"
        );
    }
    if args.common.wasi.cli_exit_with_code == Some(false) {
        print_warning("cannot disable `-Scli-exit-with-code` any more");
    }
    let mut linker = component::Linker::<ComponentHost>::new(engine);
    if cli {
        let mut options = LinkOptions::default();
        options.network_error_code(args.common.wasi.network_error_code.unwrap_or(false));
        wasi_overlay::p2::add_to_linker_with_options_async(&mut linker, &options)?;
        if interfaces.p3 {
            wasi_overlay::p3::add_to_linker(&mut linker)?;
        }
    }
    if interfaces.http {
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    }
    if wasm.unknown_imports_trap == Some(true) {
        linker.define_unknown_imports_as_traps(component)?;
    }
    let call = args
        .invoke
        .as_deref()
        .map(|invoke| ComponentCall::parse(engine, component, invoke))
        .transpose()?;
    let pre = linker
        .instantiate_pre(component)
        .map_err(|error| app::component_link_error(engine, component, error, &interfaces))?;
    Ok(Linked::Component(pre, call))
}

/// The guest's arguments. The first is the name of the wasm file without its path, which would reveal
/// directories of the host.
fn guest_argv(args: &RunArgs) -> Result<Vec<String>> {
    let mut argv = Vec::with_capacity(args.app_and_args.len());
    for (position, arg) in args.app_and_args.iter().enumerate() {
        let text = match (position, &args.argv0) {
            (0, Some(name)) => Some(name.as_str()),
            (0, None) => match Path::new(arg).components().next_back() {
                Some(name) => name.as_os_str().to_str(),
                None => Some(""),
            },
            _ => arg.to_str(),
        };
        let Some(text) = text else {
            if position == 0 {
                bail!(
                    "the name of the program, `{}`, is not UTF-8, which WASI requires; give it another \
                     name with --argv0 NAME",
                    arg.display()
                );
            }
            bail!(
                "argument {position} of the program, `{}`, is not UTF-8, which WASI requires",
                arg.display()
            );
        };
        argv.push(text.to_owned());
    }
    Ok(argv)
}
