//! Loading of programs, whose kind is detected from their content.

use anyhow::{Context, Result, bail, ensure};
use std::io::{ErrorKind, Read};
use std::path::Path;
use wasmtime::component::{Component, types::ComponentItem};
use wasmtime::{CodeBuilder, CodeHint, Engine, Module, Precompiled};

/// A program, ready to be instantiated.
pub(crate) enum App {
    /// A core module: WASI 0.1, or none.
    Module(Module),
    /// A component: WASI 0.2, WASI 0.3, both, or none.
    Component(Component),
}

/// Reads the program at `path` (`-` is stdin), compiling it if need be.
pub(crate) fn load(engine: &Engine, path: &Path, allow_precompiled: bool) -> Result<App> {
    let name = path.display();
    let bytes = read(
        path,
        "the program is the first argument that is no option",
        "and directories with --layer or --dir",
    )?;
    let app = match Engine::detect_precompiled(&bytes) {
        Some(kind) => {
            ensure!(
                allow_precompiled,
                "`{name}` is precompiled: native code that runs without a check; \
                 if you trust it, add --allow-precompiled"
            );
            precompiled(engine, kind, &bytes)
                .map_err(anyhow::Error::from)
                .with_context(|| format!("`{name}` cannot be used; compile it again"))?
        }
        None => {
            check_is_wasm(path, &bytes)?;
            compile(engine, path, &bytes)
                .map_err(anyhow::Error::from)
                .with_context(|| format!("`{name}` is no valid WebAssembly"))?
        }
    };
    Ok(app)
}

/// The content of the program at `path`. `missing` is what to say if it is not there, and
/// `elsewhere` where directories are given.
pub(crate) fn read(path: &Path, missing: &str, elsewhere: &str) -> Result<Vec<u8>> {
    let name = path.display();
    let result = if path.as_os_str() == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(path)
    };
    result.map_err(|error| match error.kind() {
        ErrorKind::NotFound => anyhow::anyhow!("`{name}`: there is no such file; {missing}"),
        ErrorKind::IsADirectory => {
            anyhow::anyhow!("`{name}` is a directory; give a wasm file, {elsewhere}")
        }
        _ => anyhow::anyhow!("`{name}` cannot be read ({error}); check the file"),
    })
}

/// Tells what is plainly something else, which the parsers would only call malformed.
fn check_is_wasm(path: &Path, bytes: &[u8]) -> Result<()> {
    if bytes.starts_with(b"\0asm") {
        return Ok(());
    }
    let text = std::str::from_utf8(bytes).map(str::trim_start);
    match text {
        // The text format begins with a list or a comment.
        Ok(text) if text.starts_with('(') || text.starts_with(";;") => Ok(()),
        Ok("") => bail!("`{}` is empty; give a wasm file", path.display()),
        _ => bail!(
            "`{}` is no WebAssembly: neither a module, nor a component, nor the text of one; \
             give a .wasm, .wat or .cwasm file",
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
fn precompiled(engine: &Engine, kind: Precompiled, bytes: &[u8]) -> wasmtime::Result<App> {
    // SAFETY: the bytes have to be what `Engine::precompile_*` made. Nothing can prove that;
    // the user vouches for it with `--allow-precompiled`, as with `wasmtime run`.
    unsafe {
        Ok(match kind {
            Precompiled::Module => App::Module(Module::deserialize(engine, bytes)?),
            Precompiled::Component => App::Component(Component::deserialize(engine, bytes)?),
        })
    }
}

/// Whether an interface is one of WASI 0.3, whose names are those of 0.2.
fn is_wasi_0_3(name: &str) -> bool {
    let version = name.strip_prefix("wasi:").and_then(|n| n.split_once('@'));
    version.is_some_and(|(_, version)| version.starts_with("0.3."))
}

/// Why a component cannot be linked, in words that name the import and what to do about it.
///
/// `error` is what wasmtime says.
pub(crate) fn unlinked_component(
    engine: &Engine,
    component: &Component,
    error: wasmtime::Error,
    linked: &Interfaces,
) -> anyhow::Error {
    let served = |name: &str| {
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
        .find(|name| !served(name));
    match missing {
        Some(name) => anyhow::anyhow!(
            "it imports `{name}`, which is not there; {}",
            remedy(name, linked)
        ),
        None => anyhow::anyhow!(
            "its imports do not fit ({error:#}); build it for a released version of WASI 0.2 or 0.3"
        ),
    }
}

/// What of WASI was linked for a component.
pub(crate) struct Interfaces {
    /// All but what is named below.
    pub(crate) cli: bool,
    /// That of 0.3 too.
    pub(crate) p3: bool,
    /// `wasi:http`, which is served of 0.2 only.
    pub(crate) http: bool,
}

fn remedy(import: &str, linked: &Interfaces) -> &'static str {
    let package = import
        .split_once('/')
        .map_or(import, |(package, _)| package);
    match package {
        "wasi:http" if is_wasi_0_3(import) => {
            "wasi-overlay offers `wasi:http` of WASI 0.2 only, use a host that has it"
        }
        "wasi:http" => "add `-S http`",
        "wasi:nn" | "wasi:tls" | "wasi:config" | "wasi:keyvalue" => {
            "wasi-overlay does not offer it, use a host that does"
        }
        _ if package.starts_with("wasi:") && !linked.cli => "leave `-S cli=n` out",
        _ if is_wasi_0_3(import) && !linked.p3 => "leave `-S p3=n` out",
        _ => "compose the program with a component that exports it, as with `wac plug`",
    }
}

/// Why a module cannot be linked, in words that name the import and what to do about it.
pub(crate) fn unlinked_module(error: wasmtime::Error, cli: bool) -> anyhow::Error {
    let Some(unknown) = error.downcast_ref::<wasmtime::UnknownImportError>() else {
        return anyhow::anyhow!("its imports do not fit ({error:#}); build it for WASI 0.1");
    };
    let (module, name) = (unknown.module(), unknown.name());
    let remedy = match module {
        "wasi_snapshot_preview1" if !cli => "leave `-S cli=n` out",
        "wasi_snapshot_preview1" => "WASI 0.1 has no such function; build it for WASI 0.1",
        "wasi_unstable" => "that is WASI 0.0; build it for WASI 0.1",
        _ => {
            "build it without that import, or have calls of it trap with `-W unknown-imports-trap`"
        }
    };
    anyhow::anyhow!("it imports `{module}::{name}`, which is not there; {remedy}")
}
