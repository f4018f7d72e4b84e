//! A synchronous component on a thread that drives asynchronous tasks. `p1/runtime.rs` has the story.

use crate::support::{State, both, host_dir, live};
use bytes::Bytes;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tokio::io::AsyncWrite;
use tokio::runtime::{Builder, Runtime};
use tokio::task::{block_in_place, yield_now};
use wasi_overlay::engine::OpenHow;
use wasi_overlay::{Descriptor, FsPerms, p2};
use wasmtime::component::{Component, HasData, Linker, ResourceTable};
use wasmtime::{Engine, Store};
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::bindings::sync::io as sync_io;
use wasmtime_wasi::p2::pipe::SinkOutputStream;
use wasmtime_wasi_io::bindings::wasi::io::error;
use wasmtime_wasi_io::poll::Pollable;
use wasmtime_wasi_io::streams::{OutputStream, StreamResult};

/// A component that exports one function for each way to wait, and `drop-pollable`, which does not wait.
/// Its timers expire after `NANOSECONDS`.
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
        (func (export "block") (call $block (call $timer (i64.const NANOSECONDS))))
        (func (export "ready") (drop (call $ready (call $timer (i64.const NANOSECONDS)))))
        (func (export "poll")
            (i32.store (i32.const 128) (call $timer (i64.const NANOSECONDS)))
            (call $poll (i32.const 128) (i32.const 1) (i32.const 64)))
        (func (export "drop-pollable") (call $drop-pollable (call $timer (i64.const NANOSECONDS)))))
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

/// A standard output that is never ready immediately.
struct Waits;

impl IsTerminal for Waits {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Waits {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        SinkOutputStream.async_stream()
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Waits)
    }
}

#[async_trait::async_trait]
impl Pollable for Waits {
    async fn ready(&mut self) {
        yield_now().await;
    }
}

#[async_trait::async_trait]
impl OutputStream for Waits {
    fn write(&mut self, _: Bytes) -> StreamResult<()> {
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(4096)
    }

    async fn cancel(&mut self) {
        yield_now().await;
    }
}

/// A store with a standard output that is never ready immediately.
fn waiting_store(engine: &Engine) -> Store<State> {
    let mut state = live(&host_dir(), FsPerms::ReadOnly, false);
    state.wasi = WasiCtxBuilder::new().stdout(Waits).build();
    Store::new(engine, state)
}

fn component(engine: &Engine, nanoseconds: u64) -> Component {
    let guest = GUEST.replace("NANOSECONDS", &nanoseconds.to_string());
    Component::new(engine, guest).unwrap()
}

const MICROSECOND: u64 = 1000;
const HOUR: u64 = 3_600_000_000_000;

/// Calls an export of the component, which is linked synchronously. Its timers expire after `nanoseconds`.
fn call(export: &str, nanoseconds: u64) -> wasmtime::Result<()> {
    let engine = Engine::default();
    let mut linker = Linker::<State>::new(&engine);
    p2::add_to_linker_sync(&mut linker)?;
    let mut store = waiting_store(&engine);
    let instance = linker.instantiate(&mut store, &component(&engine, nanoseconds))?;
    let function = instance.get_typed_func::<(), ()>(&mut store, export)?;
    function.call(&mut store, ())
}

/// Runs `run` in each kind of asynchronous task.
fn in_every_task(run: impl Fn(&str) + Clone + Send + 'static) {
    for (flavor, runtime) in runtimes() {
        runtime.block_on(async { run(flavor) });
        let run = run.clone();
        let spawned = runtime.spawn(async move { run(flavor) });
        runtime.block_on(spawned).unwrap();
    }
}

#[test]
fn call_that_waits_in_an_async_task_traps_with_a_remedy() {
    in_every_task(|task| {
        for export in WAITING {
            let trap = match call(export, HOUR) {
                Err(trap) => format!("{trap:#}"),
                Ok(()) => panic!("{task}: {export} waited"),
            };
            assert!(trap.contains("p2::add_to_linker_async"), "{task}: {trap}");
            assert!(trap.contains("spawn_blocking"), "{task}: {trap}");
        }
        // This call does not wait.
        call("drop-pollable", HOUR).unwrap();
    });
}

#[test]
fn both_remedies_work() {
    let all = || {
        for export in WAITING {
            call(export, MICROSECOND).unwrap();
        }
    };
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
        p2::add_to_linker_async(&mut linker).unwrap();
        let component = component(&engine, MICROSECOND);
        for export in WAITING {
            let mut store = waiting_store(&engine);
            let instance = linker.instantiate_async(&mut store, &component).await;
            let instance = instance.unwrap();
            let function = instance.get_typed_func::<(), ()>(&mut store, export);
            function.unwrap().call_async(&mut store, ()).await.unwrap();
        }
    });
}

/// A component that reads `file` ("hello") and writes `out` with each blocking call of streams.
const FILES: &str = r#"(component
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
        (alias outer 1 $pollable-type (type $outer-pollable))
        (export "pollable" (type $pollable (eq $outer-pollable)))
        (export "input-stream" (type $in (sub resource)))
        (export "output-stream" (type $out (sub resource)))
        (type $stream-error-type (variant
            (case "last-operation-failed" (own $error)) (case "closed")))
        (export "stream-error" (type $stream-error (eq $stream-error-type)))
        (export "[method]input-stream.blocking-read"
            (func (param "self" (borrow $in)) (param "len" u64)
                (result (result (list u8) (error $stream-error)))))
        (export "[method]input-stream.blocking-skip"
            (func (param "self" (borrow $in)) (param "len" u64)
                (result (result u64 (error $stream-error)))))
        (export "[method]input-stream.subscribe"
            (func (param "self" (borrow $in)) (result (own $pollable))))
        (export "[method]output-stream.blocking-write-and-flush"
            (func (param "self" (borrow $out)) (param "contents" (list u8))
                (result (result (error $stream-error)))))
        (export "[method]output-stream.blocking-write-zeroes-and-flush"
            (func (param "self" (borrow $out)) (param "len" u64)
                (result (result (error $stream-error)))))
        (export "[method]output-stream.blocking-flush"
            (func (param "self" (borrow $out)) (result (result (error $stream-error)))))
        (export "[method]output-stream.blocking-splice"
            (func (param "self" (borrow $out)) (param "src" (borrow $in)) (param "len" u64)
                (result (result u64 (error $stream-error)))))))
    (alias export $streams "input-stream" (type $in-type))
    (alias export $streams "output-stream" (type $out-type))
    (import "wasi:filesystem/types@0.2.12" (instance $types
        (alias outer 1 $in-type (type $outer-in))
        (export "input-stream" (type $in (eq $outer-in)))
        (alias outer 1 $out-type (type $outer-out))
        (export "output-stream" (type $out (eq $outer-out)))
        (export "descriptor" (type $descriptor (sub resource)))
        (type $code (enum "access" "would-block" "already" "bad-descriptor" "busy" "deadlock"
            "quota" "exist" "file-too-large" "illegal-byte-sequence" "in-progress" "interrupted"
            "invalid" "io" "is-directory" "loop" "too-many-links" "message-size"
            "name-too-long" "no-device" "no-entry" "no-lock" "insufficient-memory"
            "insufficient-space" "not-directory" "not-empty" "not-recoverable" "unsupported"
            "no-tty" "no-such-device" "overflow" "not-permitted" "pipe" "read-only"
            "invalid-seek" "text-file-busy" "cross-device"))
        (export "error-code" (type $error-code (eq $code)))
        (type $path (flags "symlink-follow"))
        (export "path-flags" (type $path-flags (eq $path)))
        (type $open (flags "create" "directory" "exclusive" "truncate"))
        (export "open-flags" (type $open-flags (eq $open)))
        (type $how (flags "read" "write" "file-integrity-sync" "data-integrity-sync"
            "requested-write-sync" "mutate-directory"))
        (export "descriptor-flags" (type $descriptor-flags (eq $how)))
        (export "[method]descriptor.open-at" (func (param "self" (borrow $descriptor))
            (param "path-flags" $path-flags) (param "path" string)
            (param "open-flags" $open-flags) (param "flags" $descriptor-flags)
            (result (result (own $descriptor) (error $error-code)))))
        (export "[method]descriptor.read-via-stream" (func (param "self" (borrow $descriptor))
            (param "offset" u64) (result (result (own $in) (error $error-code)))))
        (export "[method]descriptor.write-via-stream" (func (param "self" (borrow $descriptor))
            (param "offset" u64) (result (result (own $out) (error $error-code)))))))
    (alias export $types "descriptor" (type $descriptor-type))
    (import "wasi:filesystem/preopens@0.2.12" (instance $preopens
        (alias outer 1 $descriptor-type (type $outer))
        (export "descriptor" (type $descriptor (eq $outer)))
        (export "get-directories" (func (result (list (tuple (own $descriptor) string)))))))
    (core module $memory
        (memory (export "memory") 1)
        (data (i32.const 64) "file")
        (data (i32.const 72) "out")
        (data (i32.const 80) "data")
        (global $next (mut i32) (i32.const 1024))
        (func (export "realloc") (param i32 i32 i32 i32) (result i32)
            (global.get $next)
            (global.set $next (i32.add (global.get $next) (i32.const 64)))))
    (core instance $memory (instantiate $memory))
    (alias core export $memory "memory" (core memory $bytes))
    (alias core export $memory "realloc" (core func $realloc))
    (core func $get (canon lower (func $preopens "get-directories")
        (memory $bytes) (realloc $realloc)))
    (core func $open (canon lower (func $types "[method]descriptor.open-at") (memory $bytes)))
    (core func $reader (canon lower (func $types "[method]descriptor.read-via-stream")
        (memory $bytes)))
    (core func $writer (canon lower (func $types "[method]descriptor.write-via-stream")
        (memory $bytes)))
    (core func $read (canon lower (func $streams "[method]input-stream.blocking-read")
        (memory $bytes) (realloc $realloc)))
    (core func $skip (canon lower (func $streams "[method]input-stream.blocking-skip")
        (memory $bytes)))
    (core func $subscribe (canon lower (func $streams "[method]input-stream.subscribe")))
    (core func $write (canon lower
        (func $streams "[method]output-stream.blocking-write-and-flush") (memory $bytes)))
    (core func $zeroes (canon lower
        (func $streams "[method]output-stream.blocking-write-zeroes-and-flush") (memory $bytes)))
    (core func $flush (canon lower
        (func $streams "[method]output-stream.blocking-flush") (memory $bytes)))
    (core func $splice (canon lower
        (func $streams "[method]output-stream.blocking-splice") (memory $bytes)))
    (core func $block (canon lower (func $poll "[method]pollable.block")))
    (core func $ready (canon lower (func $poll "[method]pollable.ready")))
    (core func $poll-all (canon lower (func $poll "poll") (memory $bytes) (realloc $realloc)))
    (core func $drop-pollable (canon resource.drop $pollable-type))
    (core func $drop-in (canon resource.drop $in-type))
    (core func $drop-out (canon resource.drop $out-type))
    (core module $main
        (import "wasi" "get" (func $get (param i32)))
        (import "wasi" "open" (func $open (param i32 i32 i32 i32 i32 i32 i32)))
        (import "wasi" "reader" (func $reader (param i32 i64 i32)))
        (import "wasi" "writer" (func $writer (param i32 i64 i32)))
        (import "wasi" "read" (func $read (param i32 i64 i32)))
        (import "wasi" "skip" (func $skip (param i32 i64 i32)))
        (import "wasi" "subscribe" (func $subscribe (param i32) (result i32)))
        (import "wasi" "write" (func $write (param i32 i32 i32 i32)))
        (import "wasi" "zeroes" (func $zeroes (param i32 i64 i32)))
        (import "wasi" "flush" (func $flush (param i32 i32)))
        (import "wasi" "splice" (func $splice (param i32 i32 i64 i32)))
        (import "wasi" "block" (func $block (param i32)))
        (import "wasi" "ready" (func $ready (param i32) (result i32)))
        (import "wasi" "poll" (func $poll (param i32 i32 i32)))
        (import "wasi" "drop-pollable" (func $drop-pollable (param i32)))
        (import "wasi" "drop-in" (func $drop-in (param i32)))
        (import "wasi" "drop-out" (func $drop-out (param i32)))
        (import "memory" "memory" (memory 1))
        (func $check (param $holds i32) (if (i32.eqz (local.get $holds)) (then unreachable)))
        (; The result at 16 is no error. ;)
        (func $ok (call $check (i32.eqz (i32.load8_u (i32.const 16)))))
        (func (export "run")
            (local $root i32) (local $file i32) (local $in i32) (local $out i32)
            (local $pollable i32)
            (call $get (i32.const 16))
            (local.set $root (i32.load (i32.load (i32.const 16))))

            (call $open (local.get $root) (i32.const 0) (i32.const 64) (i32.const 4)
                (i32.const 0) (i32.const 1) (i32.const 16))
            (call $ok)
            (local.set $file (i32.load (i32.const 20)))
            (call $reader (local.get $file) (i64.const 0) (i32.const 16))
            (call $ok)
            (local.set $in (i32.load (i32.const 20)))
            (local.set $pollable (call $subscribe (local.get $in)))
            (call $check (call $ready (local.get $pollable)))
            (call $block (local.get $pollable))
            (i32.store (i32.const 128) (local.get $pollable))
            (call $poll (i32.const 128) (i32.const 1) (i32.const 16))
            (call $check (i32.eq (i32.load (i32.const 20)) (i32.const 1)))
            (call $drop-pollable (local.get $pollable))
            (call $skip (local.get $in) (i64.const 1) (i32.const 16))
            (call $ok)
            (call $check (i64.eq (i64.load (i32.const 24)) (i64.const 1)))
            (call $read (local.get $in) (i64.const 100) (i32.const 16))
            (call $ok)
            (call $check (i32.eq (i32.load (i32.const 24)) (i32.const 4)))
            (; "ello" ;)
            (call $check (i32.eq (i32.load (i32.load (i32.const 20))) (i32.const 0x6f6c6c65)))
            (call $drop-in (local.get $in))

            (call $open (local.get $root) (i32.const 0) (i32.const 72) (i32.const 3)
                (i32.const 1) (i32.const 2) (i32.const 16))
            (call $ok)
            (call $writer (i32.load (i32.const 20)) (i64.const 0) (i32.const 16))
            (call $ok)
            (local.set $out (i32.load (i32.const 20)))
            (call $write (local.get $out) (i32.const 80) (i32.const 4) (i32.const 16))
            (call $ok)
            (call $zeroes (local.get $out) (i64.const 2) (i32.const 16))
            (call $ok)
            (call $flush (local.get $out) (i32.const 16))
            (call $ok)
            (call $reader (local.get $file) (i64.const 0) (i32.const 16))
            (call $ok)
            (local.set $in (i32.load (i32.const 20)))
            (call $splice (local.get $out) (local.get $in) (i64.const 100) (i32.const 16))
            (call $ok)
            (call $check (i64.eq (i64.load (i32.const 24)) (i64.const 5)))
            (call $drop-in (local.get $in))
            (call $drop-out (local.get $out))))
    (core instance $main (instantiate $main
        (with "wasi" (instance
            (export "get" (func $get))
            (export "open" (func $open))
            (export "reader" (func $reader))
            (export "writer" (func $writer))
            (export "read" (func $read))
            (export "skip" (func $skip))
            (export "subscribe" (func $subscribe))
            (export "write" (func $write))
            (export "zeroes" (func $zeroes))
            (export "flush" (func $flush))
            (export "splice" (func $splice))
            (export "block" (func $block))
            (export "ready" (func $ready))
            (export "poll" (func $poll-all))
            (export "drop-pollable" (func $drop-pollable))
            (export "drop-in" (func $drop-in))
            (export "drop-out" (func $drop-out))))
        (with "memory" (instance $memory))))
    (func (export "run") (canon lift (core func $main "run")))
)"#;

/// Runs that component with the interfaces that `link` links, and returns what it wrote.
fn read_and_write(
    mut state: State,
    link: fn(&mut Linker<State>) -> wasmtime::Result<()>,
) -> wasmtime::Result<Vec<u8>> {
    let engine = Engine::default();
    let mut linker = Linker::<State>::new(&engine);
    link(&mut linker)?;
    let component = Component::new(&engine, FILES)?;
    let root = state.preopens().remove(0);
    let Descriptor::Dir(root) = state.table.get(&root)?.clone() else {
        panic!("the root is a file");
    };
    let mut store = Store::new(&engine, state);
    let instance = linker.instantiate(&mut store, &component)?;
    let run = instance.get_typed_func::<(), ()>(&mut store, "run")?;
    run.call(&mut store, ())?;
    let how = OpenHow {
        read: true,
        ..OpenHow::default()
    };
    let opened = root.open_at("out", how).unwrap();
    Ok(opened.file().unwrap().read_vec_at(100, 0).unwrap())
}

/// The check for calls that wait ran for every call on a stream, those on streams of files too, which never
/// wait in a synchronous store: a guest could open its files, and not read them.
#[test]
fn files_are_read_and_written_through_streams_in_an_async_task() {
    let run = |task: &str| {
        let temp = host_dir();
        for state in both(&temp, FsPerms::ReadWrite, false) {
            let written = read_and_write(state, p2::add_to_linker_sync).unwrap();
            assert_eq!(written, b"data\0\0hello", "{task}");
        }
    };
    run("no runtime");
    in_every_task(run);
}

/// The `HasData` marker for `wasi:io`, which wasmtime-wasi implements on the table.
struct HasIo;

impl HasData for HasIo {
    type Data<'a> = &'a mut ResourceTable;
}

/// Links our filesystem, with wasmtime-wasi's own `wasi:io`.
fn link_stock_io(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    error::add_to_linker::<State, HasIo>(linker, |state| &mut state.table)?;
    sync_io::poll::add_to_linker::<State, HasIo>(linker, |state| &mut state.table)?;
    sync_io::streams::add_to_linker::<State, HasIo>(linker, |state| &mut state.table)?;
    p2::add_only_filesystem_to_linker_sync(linker)
}

/// The docs of `p2::add_only_filesystem_to_linker_sync` describe this and the alternatives. Change them with this test.
#[test]
fn stock_wasi_io_panics_in_an_async_task() {
    let temp = host_dir();
    let written = || read_and_write(live(&temp, FsPerms::ReadWrite, false), link_stock_io);
    assert!(written().is_ok());
    let [(_, runtime), _] = runtimes();
    let ended = runtime.block_on(async { catch_unwind(AssertUnwindSafe(written)) });
    let panic = ended.expect_err("no panic");
    let message = panic.downcast_ref::<&str>().copied();
    let message = message.or(panic.downcast_ref::<String>().map(String::as_str));
    assert!(
        message
            .unwrap()
            .contains("Cannot start a runtime from within a runtime")
    );
}
