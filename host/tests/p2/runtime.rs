//! A synchronous component on a thread that drives asynchronous tasks. `p1/runtime.rs` has the story.

use crate::support::{State, host_dir, live};
use tokio::runtime::{Builder, Runtime};
use tokio::task::block_in_place;
use wasi_overlay::{FsPerms, p2};
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store};

/// A component that exports one function for each way to wait, and `files`, which does not wait.
const GUEST: &str = r#"(component
    (import "wasi:io/error@0.2.12" (instance $error
        (export "error" (type (sub resource)))))
    (alias export $error "error" (type $error-type))
    (import "wasi:io/poll@0.2.12" (instance $poll
        (export "pollable" (type $pollable (sub resource)))
        (export "[method]pollable.block" (func (param "self" (borrow $pollable))))
        (export "[method]pollable.ready" (func (param "self" (borrow $pollable)) (result bool)))
        (export "poll" (func (param "in" (list (borrow $pollable))) (result (list u32))))))
    (alias export $poll "pollable" (type $pollable-type))
    (import "wasi:io/streams@0.2.12" (instance $streams
        (alias outer 1 $error-type (type $outer-error))
        (export "error" (type $error (eq $outer-error)))
        (export "output-stream" (type $stream (sub resource)))
        (type $stream-error-type (variant
            (case "last-operation-failed" (own $error)) (case "closed")))
        (export "stream-error" (type $stream-error (eq $stream-error-type)))
        (export "[method]output-stream.blocking-write-and-flush"
            (func (param "self" (borrow $stream)) (param "contents" (list u8))
                (result (result (error $stream-error)))))
        (export "[method]output-stream.blocking-flush"
            (func (param "self" (borrow $stream)) (result (result (error $stream-error)))))))
    (alias export $streams "output-stream" (type $stream-type))
    (import "wasi:cli/stdout@0.2.12" (instance $stdout
        (alias outer 1 $stream-type (type $outer-stream))
        (export "output-stream" (type $stream (eq $outer-stream)))
        (export "get-stdout" (func (result (own $stream))))))
    (import "wasi:clocks/monotonic-clock@0.2.12" (instance $clock
        (alias outer 1 $pollable-type (type $outer-pollable))
        (export "pollable" (type $pollable (eq $outer-pollable)))
        (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))))
    (core module $memory
        (memory (export "memory") 1)
        (global $next (mut i32) (i32.const 1024))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32)
            (global.get $next)
            (global.set $next (i32.add (global.get $next) (i32.const 64)))))
    (core instance $memory (instantiate $memory))
    (alias core export $memory "memory" (core memory $bytes))
    (alias core export $memory "realloc" (core func $realloc))
    (core func $get-stdout (canon lower (func $stdout "get-stdout")))
    (core func $write (canon lower
        (func $streams "[method]output-stream.blocking-write-and-flush") (memory $bytes)))
    (core func $flush (canon lower
        (func $streams "[method]output-stream.blocking-flush") (memory $bytes)))
    (core func $drop-stream (canon resource.drop $stream-type))
    (core func $timer (canon lower (func $clock "subscribe-duration")))
    (core func $block (canon lower (func $poll "[method]pollable.block")))
    (core func $ready (canon lower (func $poll "[method]pollable.ready")))
    (core func $poll-all (canon lower (func $poll "poll") (memory $bytes) (realloc $realloc)))
    (core func $drop-pollable (canon resource.drop $pollable-type))
    (core module $main
        (import "wasi" "stdout" (func $stdout (result i32)))
        (import "wasi" "write" (func $write (param i32 i32 i32 i32)))
        (import "wasi" "flush" (func $flush (param i32 i32)))
        (import "wasi" "drop-stream" (func $drop-stream (param i32)))
        (import "wasi" "timer" (func $timer (param i64) (result i32)))
        (import "wasi" "block" (func $block (param i32)))
        (import "wasi" "ready" (func $ready (param i32) (result i32)))
        (import "wasi" "poll" (func $poll (param i32 i32 i32)))
        (import "wasi" "drop-pollable" (func $drop-pollable (param i32)))
        (import "memory" "memory" (memory 1))
        (func (export "write")
            (call $write (call $stdout) (i32.const 0) (i32.const 4) (i32.const 64)))
        (func (export "flush") (call $flush (call $stdout) (i32.const 64)))
        (func (export "drop-stream") (call $drop-stream (call $stdout)))
        (func (export "block") (call $block (call $timer (i64.const 1000))))
        (func (export "ready") (drop (call $ready (call $timer (i64.const 1000)))))
        (func (export "poll")
            (i32.store (i32.const 128) (call $timer (i64.const 1000)))
            (call $poll (i32.const 128) (i32.const 1) (i32.const 64)))
        (func (export "drop-pollable") (call $drop-pollable (call $timer (i64.const 1000)))))
    (core instance $main (instantiate $main
        (with "wasi" (instance
            (export "stdout" (func $get-stdout))
            (export "write" (func $write))
            (export "flush" (func $flush))
            (export "drop-stream" (func $drop-stream))
            (export "timer" (func $timer))
            (export "block" (func $block))
            (export "ready" (func $ready))
            (export "poll" (func $poll-all))
            (export "drop-pollable" (func $drop-pollable))))
        (with "memory" (instance $memory))))
    (func (export "write") (canon lift (core func $main "write")))
    (func (export "flush") (canon lift (core func $main "flush")))
    (func (export "drop-stream") (canon lift (core func $main "drop-stream")))
    (func (export "block") (canon lift (core func $main "block")))
    (func (export "ready") (canon lift (core func $main "ready")))
    (func (export "poll") (canon lift (core func $main "poll")))
    (func (export "drop-pollable") (canon lift (core func $main "drop-pollable")))
)"#;

/// The exports that have to wait for tokio.
const WAITING: [&str; 6] = ["write", "flush", "drop-stream", "block", "ready", "poll"];

fn runtimes() -> [(&'static str, Runtime); 2] {
    let current_thread = Builder::new_current_thread().enable_all().build();
    let multi_thread = Builder::new_multi_thread().enable_all().build();
    [
        ("current_thread", current_thread.unwrap()),
        ("multi_thread", multi_thread.unwrap()),
    ]
}

/// Calls an export of the component, linked synchronously.
fn call(export: &str) -> wasmtime::Result<()> {
    let engine = Engine::default();
    let mut linker = Linker::<State>::new(&engine);
    p2::add_all_to_linker_sync(&mut linker)?;
    let component = Component::new(&engine, GUEST)?;
    let temp = host_dir();
    let mut store = Store::new(&engine, live(&temp, FsPerms::ReadOnly, false));
    let instance = linker.instantiate(&mut store, &component)?;
    let function = instance.get_typed_func::<(), ()>(&mut store, export)?;
    function.call(&mut store, ())
}

#[test]
fn call_that_waits_in_an_async_task_traps_with_a_remedy() {
    let refused = |task: &str| {
        for export in WAITING {
            let trap = match call(export) {
                Err(trap) => format!("{trap:#}"),
                Ok(()) => panic!("{task}: {export} waited"),
            };
            assert!(
                trap.contains("p2::add_all_to_linker_async"),
                "{task}: {trap}"
            );
            assert!(trap.contains("spawn_blocking"), "{task}: {trap}");
        }
        // Nothing to wait for.
        call("drop-pollable").unwrap();
    };
    for (flavor, runtime) in runtimes() {
        runtime.block_on(async { refused(flavor) });
        let spawned = runtime.spawn(async move { refused(flavor) });
        runtime.block_on(spawned).unwrap();
    }
}

#[test]
fn both_remedies_work() {
    let all = || WAITING.iter().for_each(|export| call(export).unwrap());
    for (_, runtime) in runtimes() {
        let blocking = runtime.spawn_blocking(all);
        runtime.block_on(blocking).unwrap();
    }
    let [(_, current_thread), (_, multi_thread)] = runtimes();
    {
        let _entered = multi_thread.enter();
        all();
    }
    multi_thread.block_on(async { block_in_place(all) });

    current_thread.block_on(async {
        let engine = Engine::default();
        let mut linker = Linker::<State>::new(&engine);
        p2::add_all_to_linker_async(&mut linker).unwrap();
        let component = Component::new(&engine, GUEST).unwrap();
        let temp = host_dir();
        for export in WAITING {
            let mut store = Store::new(&engine, live(&temp, FsPerms::ReadOnly, false));
            let instance = linker.instantiate_async(&mut store, &component).await;
            let instance = instance.unwrap();
            let function = instance.get_typed_func::<(), ()>(&mut store, export);
            function.unwrap().call_async(&mut store, ()).await.unwrap();
        }
    });
}
