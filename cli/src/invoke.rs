//! Calls into the program: its entry point, or the function of `--invoke`.
//!
//! The rules and messages are those of `wasmtime run` (its `commands/run.rs`).

use crate::messages::print_warning;
use crate::store::{ComponentHost, ModuleHost};
use crate::suggest::describe_exports;
use std::ffi::OsString;
use std::io::Write;
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::wasm_wave::untyped::UntypedFuncCall;
use wasmtime::component::wasm_wave::wasm::{DisplayFuncResults, WasmFunc};
use wasmtime::component::wit_parser::ItemName;
use wasmtime::component::{self, Accessor, Component, ComponentExportIndex};
use wasmtime::error::Context as _;
use wasmtime::{Func, Instance, Result, Store, Val, ValType, bail, format_err};
use wasmtime_wasi::p2::bindings as p2;
use wasmtime_wasi::p3::bindings as p3;

/// Runs a core module: `_initialize` if it exists, then the function of `--invoke`, or `_start`.
pub(crate) async fn run_module(
    store: &mut Store<ModuleHost>,
    instance: Instance,
    invoke: Option<&str>,
    args: &[OsString],
) -> Result<()> {
    if let Some(initialize) = instance.get_func(&mut *store, "_initialize") {
        initialize
            .typed::<(), ()>(&mut *store)?
            .call_async(&mut *store, ())
            .await?;
    }
    let function = match invoke {
        Some(name) => match instance.get_func(&mut *store, name) {
            Some(function) => Some(function),
            None => {
                let exports = instance.exports(&mut *store);
                let names = exports.filter_map(|export| {
                    let name = export.name().to_owned();
                    export.into_func().map(|_| name)
                });
                let names = describe_exports(name, names.collect());
                bail!("no func export named `{name}` found; {names}")
            }
        },
        None => instance
            .get_func(&mut *store, "")
            .or_else(|| instance.get_func(&mut *store, "_start")),
    };
    match function {
        Some(function) => call_function(store, function, invoke, args).await,
        None => Ok(()),
    }
}

async fn call_function(
    store: &mut Store<ModuleHost>,
    function: Func,
    invoke: Option<&str>,
    args: &[OsString],
) -> Result<()> {
    let what = invoke.map_or("command default".to_owned(), |name| format!("`{name}`"));
    let ty = function.ty(&mut *store);
    if ty.params().len() > 0 {
        print_warning(
            "using `--invoke` with a function that takes arguments is experimental \
             and may break in the future",
        );
    }
    let mut args = args.iter();
    let mut values = Vec::new();
    for ty in ty.params() {
        let Some(arg) = args.next() else {
            bail!("not enough arguments for {what}");
        };
        values.push(parse_value(&ty, arg)?);
    }
    let mut results = vec![Val::null_func_ref(); ty.results().len()];
    function
        .call_async(&mut *store, &values, &mut results)
        .await
        .with_context(|| format!("failed to invoke {what}"))?;
    if !results.is_empty() {
        print_warning(
            "using `--invoke` with a function that returns values is experimental \
             and may break in the future",
        );
    }
    for result in &results {
        print_line(&format_value(result))?;
    }
    Ok(())
}

fn parse_value(ty: &ValType, arg: &OsString) -> Result<Val> {
    let Some(text) = arg.to_str() else {
        bail!("argument is not valid utf-8: {arg:?}");
    };
    let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    Ok(match (ty, hex) {
        (ValType::I32, Some(hex)) => Val::I32(i32::from_str_radix(hex, 16)?),
        (ValType::I32, None) => Val::I32(text.parse()?),
        (ValType::I64, Some(hex)) => Val::I64(i64::from_str_radix(hex, 16)?),
        (ValType::I64, None) => Val::I64(text.parse()?),
        (ValType::F32, _) => Val::F32(text.parse::<f32>()?.to_bits()),
        (ValType::F64, _) => Val::F64(text.parse::<f64>()?.to_bits()),
        (ty, _) => bail!("unsupported argument type {ty:?}"),
    })
}

fn format_value(value: &Val) -> String {
    let reference = |null: bool, name: &str| {
        if null {
            format!("<null {name}>")
        } else {
            format!("<{name}>")
        }
    };
    match value {
        Val::I32(i) => i.to_string(),
        Val::I64(i) => i.to_string(),
        Val::F32(f) => f32::from_bits(*f).to_string(),
        Val::F64(f) => f64::from_bits(*f).to_string(),
        Val::V128(i) => i.as_u128().to_string(),
        Val::ExternRef(r) => reference(r.is_none(), "externref"),
        Val::FuncRef(r) => reference(r.is_none(), "funcref"),
        Val::AnyRef(r) => reference(r.is_none(), "anyref"),
        Val::ExnRef(r) => reference(r.is_none(), "exnref"),
        Val::ContRef(r) => reference(r.is_none(), "contref"),
    }
}

/// Runs a component's `wasi:cli/run`: that of 0.3 if the component exports it, else that of 0.2. An `err`
/// result is exit code 1.
pub(crate) async fn run_command(
    store: &mut Store<ComponentHost>,
    instance: component::Instance,
    allow_p3: bool,
) -> Result<()> {
    let result = match p3::Command::new(&mut *store, &instance) {
        Ok(command) if allow_p3 => {
            let run = async |store: &Accessor<_>| command.wasi_cli_run().call_run(store).await;
            store.run_concurrent(run).await.flatten()
        }
        _ => {
            let command = p2::Command::new(&mut *store, &instance)?;
            command.wasi_cli_run().call_run(&mut *store).await
        }
    };
    match result.context("failed to invoke `run` function")? {
        Ok(()) => Ok(()),
        Err(()) => Err(wasmtime_wasi::I32Exit(1).into()),
    }
}

/// The call of a component's function that `--invoke` specifies.
pub(crate) struct ComponentCall {
    export: ComponentExportIndex,
    ty: ComponentFunc,
    params: Vec<component::Val>,
}

impl ComponentCall {
    /// Parses `name(arguments)`.
    pub(crate) fn parse(
        engine: &wasmtime::Engine,
        component: &Component,
        invoke: &str,
    ) -> Result<Self> {
        let call = UntypedFuncCall::parse(invoke).with_context(|| {
            let names =
                describe_exports(&format!("{invoke}()"), callable_exports(engine, component));
            format!(
                "Failed to parse invoke '{invoke}': write a call, as `{}(arguments)`; {names}",
                invoke.split('(').next().unwrap_or_default()
            )
        })?;
        let name = call.item_name().map_err(|error| {
            wasmtime::Error::from_anyhow(error)
                .context(format!("parsing `{}` as a wit item name", call.name()))
        })?;
        let (export, ty) = find_function(engine, component, &name)?;
        let types = WasmFunc::params(&ty).collect::<Vec<_>>();
        let params = call
            .to_wasm_params(&types)
            .with_context(|| format!("while interpreting parameters in invoke \"{invoke}\""))?;
        Ok(Self { export, ty, params })
    }

    /// Calls the function and prints its results.
    pub(crate) async fn call(
        &self,
        store: &mut Store<ComponentHost>,
        instance: component::Instance,
        concurrent: bool,
    ) -> Result<()> {
        let function = instance
            .get_func(&mut *store, self.export)
            .ok_or_else(|| format_err!("the exported function is missing"))?;
        let mut results = vec![component::Val::Bool(false); self.ty.results().len()];
        if concurrent {
            store
                .run_concurrent(async |store| {
                    function
                        .call_concurrent(store, &self.params, &mut results)
                        .await
                })
                .await??;
        } else {
            function
                .call_async(&mut *store, &self.params, &mut results)
                .await?;
        }
        print_line(&DisplayFuncResults(&results).to_string())
    }
}

/// Finds a function by its full name, or by its bare name if only one instance exports it.
fn find_function(
    engine: &wasmtime::Engine,
    component: &Component,
    name: &ItemName,
) -> Result<(ComponentExportIndex, ComponentFunc)> {
    if let Some((ComponentItem::ComponentFunc(function), index)) = component.get_export(None, name)
    {
        return Ok((index, function));
    }
    let needle = name.to_string();
    let mut found = Vec::new();
    if name.interface.is_none() && name.package.is_none() {
        for (instance_name, item) in component.component_type().exports(engine) {
            let ComponentItem::ComponentInstance(_) = item.ty else {
                continue;
            };
            let Some((_, instance)) = component.get_export(None, instance_name) else {
                continue;
            };
            if let Some((ComponentItem::ComponentFunc(function), index)) =
                component.get_export(Some(&instance), needle.as_str())
            {
                found.push((index, function, instance_name.to_owned()));
            }
        }
    }
    match (found.pop(), found.is_empty()) {
        (None, _) => {
            let names = describe_exports(&format!("{name}()"), callable_exports(engine, component));
            bail!("No exported func named `{name}` in component; {names}")
        }
        (Some((index, function, _)), true) => Ok((index, function)),
        (Some((_, _, last)), false) => {
            let names = found.iter().map(|(_, _, name)| name).chain([&last]);
            let names = names.map(|name| format!("`{name}`")).collect::<Vec<_>>();
            bail!(
                "Multiple instances contained funcs named `{needle}`, retry with a more \
                 specific name: {}",
                names.join(", ")
            )
        }
    }
}

/// The calls that `--invoke` can make, without their arguments.
fn callable_exports(engine: &wasmtime::Engine, component: &Component) -> Vec<String> {
    let mut names = Vec::new();
    for (name, item) in component.component_type().exports(engine) {
        match item.ty {
            ComponentItem::ComponentFunc(_) => names.push(format!("{name}()")),
            ComponentItem::ComponentInstance(instance) => {
                let functions = instance.exports(engine).filter_map(|(function, item)| {
                    matches!(item.ty, ComponentItem::ComponentFunc(_)).then_some(function)
                });
                names.extend(functions.map(|function| qualified_name(name, function)));
            }
            _ => {}
        }
    }
    names
}

/// The name of a function of an instance, as in `wasi:cli/run.run@0.2.0()`.
fn qualified_name(instance: &str, function: &str) -> String {
    match instance.split_once('@') {
        Some((interface, version)) => format!("{interface}.{function}@{version}()"),
        None => format!("{instance}.{function}()"),
    }
}

/// Prints a line to stdout.
fn print_line(line: &str) -> Result<()> {
    writeln!(std::io::stdout(), "{line}").context("cannot write to stdout")
}
