//! Tests of the linkers: the filesystem alone beside the functions of wasmtime-wasi.

use wasi_overlay::p1::{self, OverlayP1Ctx};
use wasi_overlay::{FsPerms, Lower, MemoryLayer, Overlay, OverlayCtx, OverlayCtxError};
use wasmtime::{Engine, Linker, Module, Store};
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::p1::WasiP1Ctx;

/// A module that removes the file `f`, and exits with its number of arguments.
const GUEST: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_unlink_file"
        (func $unlink (param i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "args_sizes_get"
        (func $args (param i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "f")
    (func (export "run") (result i32)
        (if (call $unlink (i32.const 3) (i32.const 0) (i32.const 1)) (then unreachable))
        (if (call $args (i32.const 16) (i32.const 20)) (then unreachable))
        (i32.load (i32.const 16))))"#;

struct State {
    stock: WasiP1Ctx,
    overlay: OverlayP1Ctx,
}

/// An overlay with the file `f`, and a store with its context and another one of wasmtime-wasi, which has two
/// arguments.
fn store(engine: &Engine) -> (Overlay, Store<State>) {
    let layer = MemoryLayer::build().file("f", b"").finish().unwrap();
    let builder = Overlay::builder().lower(Lower::new("base", layer));
    let overlay = builder.upper_memory(1 << 20).build().unwrap();
    let mut files = OverlayCtx::builder();
    let files = files.overlay(&overlay, "/", FsPerms::ReadWrite).unwrap();
    let state = State {
        stock: WasiCtxBuilder::new().args(&["a", "b"]).build_p1(),
        overlay: OverlayP1Ctx::new(WasiCtxBuilder::new().build_p1(), &files.build()).unwrap(),
    };
    (overlay, Store::new(engine, state))
}

#[tokio::test]
async fn filesystem_shadows_that_of_wasmtime_wasi() {
    let engine = Engine::default();
    let module = Module::new(&engine, GUEST).unwrap();

    let mut linker = Linker::<State>::new(&engine);
    wasmtime_wasi::p1::add_to_linker_sync(&mut linker, |state| &mut state.stock).unwrap();
    assert!(p1::add_only_filesystem_to_linker_sync(&mut linker, |s| &mut s.overlay).is_err());
    linker.allow_shadowing(true);
    p1::add_only_filesystem_to_linker_sync(&mut linker, |state| &mut state.overlay).unwrap();
    let (overlay, mut store) = store(&engine);
    let instance = linker.instantiate(&mut store, &module).unwrap();
    let run = instance
        .get_typed_func::<(), i32>(&mut store, "run")
        .unwrap();
    assert_eq!(run.call(&mut store, ()).unwrap(), 2);
    assert!(overlay.root().stat_at("f", true).is_err());

    let mut linker = Linker::<State>::new(&engine);
    wasmtime_wasi::p1::add_to_linker_async(&mut linker, |state| &mut state.stock).unwrap();
    linker.allow_shadowing(true);
    p1::add_only_filesystem_to_linker_async(&mut linker, |state| &mut state.overlay).unwrap();
    let (overlay, mut store) = self::store(&engine);
    let instance = linker.instantiate_async(&mut store, &module).await.unwrap();
    let run = instance
        .get_typed_func::<(), i32>(&mut store, "run")
        .unwrap();
    assert_eq!(run.call_async(&mut store, ()).await.unwrap(), 2);
    assert!(overlay.root().stat_at("f", true).is_err());
}

#[test]
fn filesystem_alone_does_not_define_other_functions() {
    let engine = Engine::default();
    let mut linker = Linker::<State>::new(&engine);
    p1::add_only_filesystem_to_linker_sync(&mut linker, |state| &mut state.overlay).unwrap();
    let (_, mut store) = store(&engine);
    let defined: Vec<_> = linker
        .iter(&mut store)
        .map(|(_, name, _)| name.to_owned())
        .collect();
    let is_of_files = |name: &String| {
        name.starts_with("fd_") || name.starts_with("path_") || name == "poll_oneoff"
    };
    assert!(defined.iter().all(is_of_files), "{defined:?}");
    let mut stock = Linker::<State>::new(&engine);
    wasmtime_wasi::p1::add_to_linker_sync(&mut stock, |state| &mut state.stock).unwrap();
    let (_, mut store) = self::store(&engine);
    let of_files = stock
        .iter(&mut store)
        .filter(|(_, name, _)| is_of_files(&(*name).to_owned()));
    assert_eq!(defined.len(), of_files.count());
}

#[test]
fn directory_that_is_preopened_in_the_wasi_ctx_is_an_error() {
    let temp = tempfile::tempdir().unwrap();
    let mut wasi = WasiCtxBuilder::new();
    let wasi = wasi.preopened_dir(temp.path(), "/forgotten", FsPerms::ReadOnly);
    let made = OverlayP1Ctx::new(wasi.unwrap().build_p1(), &OverlayCtx::default());
    let Err(OverlayCtxError::WasiPreopens { guest_path }) = made else {
        panic!("the guest would not see the directory");
    };
    assert_eq!(guest_path, "/forgotten");
}
