//! Loading of programs, whose kind is detected from their content, and errors of their imports.

use anyhow::{Context, Result, bail, ensure};
use std::io::{ErrorKind, Read};
use std::path::Path;
use wasmtime::component::{Component, types::ComponentItem};
use wasmtime::{CodeBuilder, CodeHint, Engine, Module, Precompiled};

/// A compiled program.
pub(crate) enum App {
    /// A core module, of WASI 0.1 or without WASI.
    Module(Module),
    /// A component, of WASI 0.2, WASI 0.3, both, or without WASI.
    Component(Component),
}

/// Reads the program at `path` (`-` is stdin), and compiles it unless it is precompiled.
pub(crate) fn load(engine: &Engine, path: &Path, allow_precompiled: bool) -> Result<App> {
    let bytes = read_program(
        path,
        "the program is the first argument that is not an option",
        "and pass directories with --layer or --dir",
    )?;
    from_bytes(engine, path, &bytes, allow_precompiled)
}

/// Compiles the program with these bytes, unless it is precompiled. `path` names it in errors.
pub(crate) fn from_bytes(
    engine: &Engine,
    path: &Path,
    bytes: &[u8],
    allow_precompiled: bool,
) -> Result<App> {
    let name = path.display();
    let app = match Engine::detect_precompiled(bytes) {
        Some(kind) => {
            ensure!(
                allow_precompiled,
                "`{name}` is precompiled, and native code cannot be validated; \
                 if you trust it, add --allow-precompiled"
            );
            deserialize(engine, kind, bytes)
                .map_err(anyhow::Error::from)
                .with_context(|| format!("`{name}` cannot be used; compile it again"))?
        }
        None => {
            check_is_wasm(path, bytes)?;
            compile(engine, path, bytes)
                .map_err(anyhow::Error::from)
                .with_context(|| format!("`{name}` is not valid WebAssembly"))?
        }
    };
    Ok(app)
}

/// Reads the file at `path` (`-` is stdin). Errors end with `if_missing` if there is no such file, and with
/// `if_directory` if it is a directory.
pub(crate) fn read_program(path: &Path, if_missing: &str, if_directory: &str) -> Result<Vec<u8>> {
    let name = path.display();
    let result = if path.as_os_str() == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(path)
    };
    result.map_err(|error| match error.kind() {
        ErrorKind::NotFound => anyhow::anyhow!("`{name}`: there is no such file; {if_missing}"),
        ErrorKind::IsADirectory => {
            anyhow::anyhow!("`{name}` is a directory; pass a wasm file, {if_directory}")
        }
        _ => anyhow::anyhow!("`{name}` cannot be read ({error}); check the file"),
    })
}

/// Rejects what is neither binary nor text WebAssembly, which the parsers would only call malformed.
fn check_is_wasm(path: &Path, bytes: &[u8]) -> Result<()> {
    if bytes.starts_with(b"\0asm") {
        return Ok(());
    }
    let text = std::str::from_utf8(bytes).map(str::trim_start);
    match text {
        // The text format begins with a list or a comment.
        Ok(text) if text.starts_with('(') || text.starts_with(";;") => Ok(()),
        Ok("") => bail!("`{}` is empty; pass a wasm file", path.display()),
        _ => bail!(
            "`{}` is not WebAssembly: neither a module nor a component, in binary or text form; \
             pass a .wasm, .wat or .cwasm file",
            path.display()
        ),
    }
}

fn compile(engine: &Engine, path: &Path, bytes: &[u8]) -> wasmtime::Result<App> {
    let mut code = CodeBuilder::new(engine);
    code.wasm_binary_or_text(bytes, Some(path))?;
    Ok(match code.hint() {
        Some(CodeHint::Component) => App::Component(code.compile_component()?),
        Some(CodeHint::Module) | None => App::Module(code.compile_module()?),
    })
}

#[expect(
    unsafe_code,
    reason = "running native code is what a precompiled program is for"
)]
fn deserialize(engine: &Engine, kind: Precompiled, bytes: &[u8]) -> wasmtime::Result<App> {
    // SAFETY: the bytes must be the output of `Engine::precompile_*`. That cannot be checked; the user
    // vouches for it with `--allow-precompiled`, as with `wasmtime run`.
    unsafe {
        Ok(match kind {
            Precompiled::Module => App::Module(Module::deserialize(engine, bytes)?),
            Precompiled::Component => App::Component(Component::deserialize(engine, bytes)?),
        })
    }
}

/// Whether an interface belongs to WASI 0.3, which uses the same names as 0.2.
fn is_wasi_0_3(name: &str) -> bool {
    let version = name.strip_prefix("wasi:").and_then(|n| n.split_once('@'));
    version.is_some_and(|(_, version)| version.starts_with("0.3."))
}

/// Explains why a component cannot be linked: names the import and the remedy.
///
/// `error` is wasmtime's error.
pub(crate) fn component_link_error(
    engine: &Engine,
    component: &Component,
    error: wasmtime::Error,
    linked: &LinkedInterfaces,
) -> anyhow::Error {
    let is_linked = |name: &str| {
        let package = name.split_once('/').map_or(name, |(package, _)| package);
        match (package, is_wasi_0_3(name)) {
            ("wasi:io", true) => false,
            (
                "wasi:cli" | "wasi:clocks" | "wasi:filesystem" | "wasi:io" | "wasi:random"
                | "wasi:sockets",
                is_p3,
            ) => linked.cli && (linked.p3 || !is_p3),
            ("wasi:http", is_p3) => linked.http && !is_p3,
            _ => false,
        }
    };
    let ty = component.component_type();
    let missing = ty
        .imports(engine)
        .filter(|(_, item)| !matches!(item.ty, ComponentItem::Type(_)))
        .map(|(name, _)| name)
        .find(|name| !is_linked(name));
    match missing {
        Some(name) => anyhow::anyhow!(
            "it imports `{name}`, which is not available; {}",
            import_remedy(name, linked)
        ),
        None => anyhow::anyhow!(
            "its imports do not match ({error:#}); build it for a released version of WASI 0.2 or 0.3"
        ),
    }
}

/// The WASI interfaces that were linked for a component.
pub(crate) struct LinkedInterfaces {
    /// `wasi:cli` and the interfaces that it uses, of 0.2.
    pub(crate) cli: bool,
    /// The same of 0.3, if `cli` is set.
    pub(crate) p3: bool,
    /// `wasi:http` of 0.2; that of 0.3 is not supported.
    pub(crate) http: bool,
}

fn import_remedy(import: &str, linked: &LinkedInterfaces) -> &'static str {
    let package = import
        .split_once('/')
        .map_or(import, |(package, _)| package);
    match package {
        "wasi:http" if is_wasi_0_3(import) => {
            "wasi-overlay supports only `wasi:http` of WASI 0.2; use another host"
        }
        "wasi:http" => "add `-S http`",
        "wasi:nn" | "wasi:tls" | "wasi:config" | "wasi:keyvalue" => {
            "wasi-overlay does not support it; use another host"
        }
        _ if package.starts_with("wasi:") && !linked.cli => "remove `-S cli=n`",
        _ if is_wasi_0_3(import) && !linked.p3 => "remove `-S p3=n`",
        _ => "compose the program with a component that exports it, as with `wac plug`",
    }
}

/// Explains why a module cannot be linked: names the import and the remedy.
pub(crate) fn module_link_error(error: wasmtime::Error, cli: bool) -> anyhow::Error {
    let Some(unknown) = error.downcast_ref::<wasmtime::UnknownImportError>() else {
        return anyhow::anyhow!("its imports do not match ({error:#}); build it for WASI 0.1");
    };
    let (module, name) = (unknown.module(), unknown.name());
    let remedy = match module {
        "wasi_snapshot_preview1" if !cli => "remove `-S cli=n`",
        "wasi_snapshot_preview1" => "WASI 0.1 has no such function; build it for WASI 0.1",
        "wasi_unstable" => "this is WASI 0.0; build it for WASI 0.1",
        _ => {
            "build it without that import, or make calls to it trap with `-W unknown-imports-trap`"
        }
    };
    anyhow::anyhow!("it imports `{module}::{name}`, which is not available; {remedy}")
}
