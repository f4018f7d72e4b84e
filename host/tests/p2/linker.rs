//! Tests of the linkers: which interfaces they define, and that guests of every version 0.2.x find them.

use crate::support::{State, host_dir, live};
use wasi_overlay::{FsPerms, p2, p3};
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine, Store};
use wasmtime_wasi::WasiCtxBuilder;

/// A component that imports `wasi:filesystem@version` and exports a function that returns the number of
/// preopens.
fn guest(version: &str) -> String {
    format!(
        r#"(component
            (import "wasi:filesystem/types@{version}" (instance $types
                (export "descriptor" (type (sub resource)))
            ))
            (alias export $types "descriptor" (type $descriptor))
            (import "wasi:filesystem/preopens@{version}" (instance $preopens
                (alias outer 1 $descriptor (type $outer))
                (export "descriptor" (type $inner (eq $outer)))
                (export "get-directories" (func
                    (result (list (tuple (own $inner) string)))
                ))
            ))
            (core module $memory
                (memory (export "memory") 1)
                (global $next (mut i32) (i32.const 1024))
                (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                    (global.set $next (i32.and
                        (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
                    (global.get $next)
                    (global.set $next (i32.add (global.get $next) (local.get 3)))
                )
            )
            (core instance $memory (instantiate $memory))
            (alias core export $memory "memory" (core memory $bytes))
            (alias core export $memory "realloc" (core func $realloc))
            (core func $get (canon lower (func $preopens "get-directories")
                (memory $bytes) (realloc $realloc)))
            (core module $main
                (import "wasi" "get" (func $get (param i32)))
                (import "memory" "memory" (memory 1))
                (func (export "count") (result i32)
                    (call $get (i32.const 0))
                    (i32.load (i32.const 4))
                )
            )
            (core instance $main (instantiate $main
                (with "wasi" (instance (export "get" (func $get))))
                (with "memory" (instance $memory))
            ))
            (func (export "count") (result u32) (canon lift (core func $main "count")))
        )"#
    )
}

#[test]
fn guests_of_every_0_2_version_find_this_filesystem() {
    let engine = Engine::default();
    let mut linker = Linker::new(&engine);
    p2::add_to_linker_sync(&mut linker).unwrap();
    let temp = host_dir();
    for minor in 0..=12 {
        let component = Component::new(&engine, guest(&format!("0.2.{minor}"))).unwrap();
        let mut store = Store::new(&engine, live(&temp, FsPerms::ReadOnly, true));
        let instance = linker.instantiate(&mut store, &component).unwrap();
        let count = instance.get_typed_func::<(), (u32,)>(&mut store, "count");
        // Only this filesystem has a preopen.
        assert_eq!(count.unwrap().call(&mut store, ()).unwrap(), (1,));
    }
}

#[tokio::test]
async fn guests_of_every_0_2_version_find_this_filesystem_in_an_asynchronous_store() {
    let engine = Engine::default();
    let mut linker = Linker::new(&engine);
    p2::add_to_linker_async(&mut linker).unwrap();
    let temp = host_dir();
    for minor in 0..=12 {
        let component = Component::new(&engine, guest(&format!("0.2.{minor}"))).unwrap();
        let mut store = Store::new(&engine, live(&temp, FsPerms::ReadOnly, false));
        let instance = linker
            .instantiate_async(&mut store, &component)
            .await
            .unwrap();
        let count = instance.get_typed_func::<(), (u32,)>(&mut store, "count");
        assert_eq!(
            count.unwrap().call_async(&mut store, ()).await.unwrap(),
            (1,)
        );
    }
}

/// Functions without types of their own, by interface.
const FUNCTIONS: [(&str, &str, &str); 6] = [
    ("wasi:clocks/monotonic-clock", "now", "(result u64)"),
    ("wasi:random/random", "get-random-u64", "(result u64)"),
    (
        "wasi:random/insecure",
        "get-insecure-random-u64",
        "(result u64)",
    ),
    (
        "wasi:random/insecure-seed",
        "insecure-seed",
        "(result (tuple u64 u64))",
    ),
    (
        "wasi:cli/environment",
        "get-arguments",
        "(result (list string))",
    ),
    ("wasi:cli/exit", "exit", r#"(param "status" (result))"#),
];

/// Resources, by interface.
const RESOURCES: [(&str, &str); 13] = [
    ("wasi:io/error", "error"),
    ("wasi:io/poll", "pollable"),
    ("wasi:io/streams", "input-stream"),
    ("wasi:io/streams", "output-stream"),
    ("wasi:filesystem/types", "descriptor"),
    ("wasi:filesystem/types", "directory-entry-stream"),
    ("wasi:cli/terminal-input", "terminal-input"),
    ("wasi:cli/terminal-output", "terminal-output"),
    ("wasi:sockets/network", "network"),
    ("wasi:sockets/ip-name-lookup", "resolve-address-stream"),
    ("wasi:sockets/tcp", "tcp-socket"),
    ("wasi:sockets/udp", "udp-socket"),
    ("wasi:sockets/udp", "incoming-datagram-stream"),
];

/// Functions that return a resource of another interface: interface, function, its result, and the
/// resource with its interface.
const GETTERS: [(&str, &str, &str, &str, &str); 7] = [
    (
        "wasi:cli/stdin",
        "get-stdin",
        "(own $r)",
        "wasi:io/streams",
        "input-stream",
    ),
    (
        "wasi:cli/stdout",
        "get-stdout",
        "(own $r)",
        "wasi:io/streams",
        "output-stream",
    ),
    (
        "wasi:cli/stderr",
        "get-stderr",
        "(own $r)",
        "wasi:io/streams",
        "output-stream",
    ),
    (
        "wasi:cli/terminal-stdin",
        "get-terminal-stdin",
        "(option (own $r))",
        "wasi:cli/terminal-input",
        "terminal-input",
    ),
    (
        "wasi:cli/terminal-stdout",
        "get-terminal-stdout",
        "(option (own $r))",
        "wasi:cli/terminal-output",
        "terminal-output",
    ),
    (
        "wasi:cli/terminal-stderr",
        "get-terminal-stderr",
        "(option (own $r))",
        "wasi:cli/terminal-output",
        "terminal-output",
    ),
    (
        "wasi:sockets/instance-network",
        "instance-network",
        "(own $r)",
        "wasi:sockets/network",
        "network",
    ),
];

/// Components that each import one item. Together they cover all of `wasi:cli/imports` except for
/// `wall-clock`, which the filesystem's own types use, and the two interfaces that make sockets, whose
/// types are long.
fn imports() -> Vec<String> {
    let mut components = Vec::new();
    for (interface, function, signature) in FUNCTIONS {
        components.push(format!(
            r#"(component (import "{interface}@0.2.12" (instance
                (export "{function}" (func {signature})))))"#
        ));
    }
    for (interface, resource) in RESOURCES {
        components.push(format!(
            r#"(component (import "{interface}@0.2.12" (instance
                (export "{resource}" (type (sub resource))))))"#
        ));
    }
    for (interface, function, result, home, resource) in GETTERS {
        components.push(format!(
            r#"(component
                (import "{home}@0.2.12" (instance $home
                    (export "{resource}" (type (sub resource)))))
                (alias export $home "{resource}" (type $resource))
                (import "{interface}@0.2.12" (instance
                    (alias outer 1 $resource (type $outer))
                    (export "{resource}" (type $r (eq $outer)))
                    (export "{function}" (func (result {result}))))))"#
        ));
    }
    components
}

#[test]
fn add_to_linker_links_all_that_wasmtime_wasi_links() {
    let engine = Engine::default();
    let mut stock = Linker::<State>::new(&engine);
    wasmtime_wasi::p2::add_to_linker_sync(&mut stock).unwrap();
    let mut sync = Linker::<State>::new(&engine);
    p2::add_to_linker_sync(&mut sync).unwrap();
    let mut asynchronous = Linker::<State>::new(&engine);
    p2::add_to_linker_async(&mut asynchronous).unwrap();

    for text in imports() {
        let component = Component::new(&engine, &text).unwrap();
        for linker in [&stock, &sync, &asynchronous] {
            let linked = linker.instantiate_pre(&component);
            assert!(linked.is_ok(), "{text}: {:?}", linked.err());
        }
    }
}

#[test]
fn filesystem_alone_can_be_linked_beside_other_interfaces() {
    let engine = Engine::default();
    let mut linker = Linker::<State>::new(&engine);
    p2::add_only_filesystem_to_linker_sync(&mut linker).unwrap();
    assert!(
        p2::add_only_filesystem_to_linker_sync(&mut linker).is_err(),
        "a second filesystem would shadow the first"
    );
    let other = "(component (import \"wasi:cli/exit@0.2.12\" (instance
        (export \"exit\" (func (param \"status\" (result)))))))";
    let other = Component::new(&engine, other).unwrap();
    assert!(linker.instantiate_pre(&other).is_err());
    let count = Component::new(&engine, guest("0.2.3")).unwrap();
    assert!(linker.instantiate_pre(&count).is_ok());
}

/// The smallest migration: an embedder's linker keeps what it has, and gets another filesystem.
#[test]
fn filesystem_shadows_that_of_wasmtime_wasi() {
    let engine = Engine::default();
    let mut linker = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_sync(&mut linker).unwrap();
    linker.allow_shadowing(true);
    p2::add_only_filesystem_to_linker_sync(&mut linker).unwrap();
    let temp = host_dir();
    let component = Component::new(&engine, guest("0.2.3")).unwrap();
    let mut store = Store::new(&engine, live(&temp, FsPerms::ReadOnly, true));
    let instance = linker.instantiate(&mut store, &component).unwrap();
    let count = instance.get_typed_func::<(), (u32,)>(&mut store, "count");
    assert_eq!(count.unwrap().call(&mut store, ()).unwrap(), (1,));
}

/// An embedder that migrated left its directories in the `WasiCtx`: the guest did not see them, and nothing
/// said so.
#[tokio::test]
async fn directory_that_is_preopened_in_the_wasi_ctx_is_an_error() {
    let mut config = Config::new();
    config.wasm_component_model_async(true);
    let engine = Engine::new(&config).unwrap();
    let temp = host_dir();
    let state = || {
        let mut state = live(&temp, FsPerms::ReadOnly, true);
        let mut wasi = WasiCtxBuilder::new();
        let forgotten = wasi.preopened_dir(temp.path(), "/forgotten", FsPerms::ReadOnly);
        state.wasi = forgotten.unwrap().build();
        state
    };
    let mut sync = Linker::new(&engine);
    p2::add_to_linker_sync(&mut sync).unwrap();
    let mut asynchronous = Linker::new(&engine);
    p2::add_to_linker_async(&mut asynchronous).unwrap();
    p3::add_to_linker(&mut asynchronous).unwrap();
    for (linker, version) in [
        (&sync, "0.2.0"),
        (&asynchronous, "0.2.12"),
        (&asynchronous, "0.3.0"),
    ] {
        let component = Component::new(&engine, guest(version)).unwrap();
        let mut store = Store::new(&engine, state());
        let instance = linker.instantiate_async(&mut store, &component);
        let instance = instance.await.unwrap();
        let count = instance.get_typed_func::<(), (u32,)>(&mut store, "count");
        let error = count.unwrap().call_async(&mut store, ()).await.unwrap_err();
        let message = format!("{error:?}");
        assert!(message.contains("\"/forgotten\""), "{version}: {message}");
        assert!(message.contains("OverlayCtxBuilder::dir"), "{message}");
    }
}
