//! A synchronous guest on a thread that drives asynchronous tasks.
//!
//! An embedder with `#[tokio::main]` linked a module with `p1::add_to_linker_sync`, as the docs
//! advised. It read and wrote files; at its first `println!` the process panicked with "Cannot start a
//! runtime from within a runtime". No test ran a synchronous guest inside of a runtime.

use crate::driver::*;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::task::{LocalSet, block_in_place};

const STDIN: i64 = 0;
const STDOUT: i64 = 1;

/// A call of a function, with its arguments.
type Call = (&'static str, Vec<i64>);

/// Calls on standard streams and clocks, which have to wait for tokio.
fn waiting_calls(g: &mut Guest) -> Vec<Call> {
    let text = g.put(b"text");
    let buffers = g.buffers(&[(text, 4)]);
    let mut timer = [0; 48];
    timer[16] = 1;
    timer[24..32].copy_from_slice(&1_000_u64.to_le_bytes());
    let timer = g.put(&timer).into();
    let mut stream = [0; 48];
    stream[8] = 2;
    stream[16] = 1;
    let stream = g.put(&stream).into();
    let (events, out) = (g.alloc(32).into(), g.alloc(4).into());
    vec![
        ("fd_write", vec![STDOUT, buffers, 1, out]),
        ("fd_read", vec![STDIN, buffers, 1, out]),
        ("poll_oneoff", vec![timer, events, 1, out]),
        ("poll_oneoff", vec![stream, events, 1, out]),
        ("fd_close", vec![STDOUT]),
    ]
}

fn runtimes() -> [(&'static str, Runtime); 2] {
    let current_thread = Builder::new_current_thread().enable_all().build();
    let multi_thread = Builder::new_multi_thread().enable_all().build();
    [
        ("current_thread", current_thread.unwrap()),
        ("multi_thread", multi_thread.unwrap()),
    ]
}

/// Runs `run` in each kind of asynchronous task.
fn in_every_task(run: impl Fn(&str) + Clone + Send + 'static) {
    for (flavor, runtime) in runtimes() {
        runtime.block_on(async { run(&format!("{flavor}, block_on")) });
        let (task, name) = (run.clone(), format!("{flavor}, spawn"));
        let spawned = runtime.spawn(async move { task(&name) });
        runtime.block_on(spawned).unwrap();
        let (task, name) = (run.clone(), format!("{flavor}, spawn_local"));
        let set = LocalSet::new();
        let spawned = set.run_until(async move {
            tokio::task::spawn_local(async move { task(&name) })
                .await
                .unwrap();
        });
        runtime.block_on(spawned);
    }
}

#[test]
fn call_that_waits_in_an_async_task_traps_with_a_remedy() {
    in_every_task(|task| {
        let dir = tempfile::tempdir().unwrap();
        // A `Guest` owns a runtime, which must not be dropped in a task.
        let made = std::thread::scope(|scope| {
            let made = scope.spawn(|| Guest::new(Host::Sync, dir.path()));
            made.join().unwrap()
        });
        let mut g = std::mem::ManuallyDrop::new(made);
        for (name, args) in waiting_calls(&mut g) {
            let trap = match g.try_call(name, &args) {
                Err(trap) => format!("{trap:#}"),
                Ok(errno) => panic!("{task}: {name} waited and returned {errno}"),
            };
            assert!(trap.contains("p1::add_to_linker_async"), "{task}: {trap}");
            assert!(trap.contains("spawn_blocking"), "{task}: {trap}");
        }
    });
}

#[test]
fn files_need_no_runtime_in_an_async_task() {
    in_every_task(|task| {
        let dir = tempfile::tempdir().unwrap();
        let made = std::thread::scope(|scope| {
            let made = scope.spawn(|| Guest::new(Host::Sync, dir.path()));
            made.join().unwrap()
        });
        let mut g = std::mem::ManuallyDrop::new(made);
        let fd = g.open("file", CREAT, RW, 0).unwrap();
        assert_eq!(g.write(fd, b"data"), Ok(4), "{task}");
        g.ok("fd_close", &[fd.into()]);
    });
}

/// Makes all the calls, the last of which closes stdout.
fn all_calls_succeed() {
    let dir = tempfile::tempdir().unwrap();
    let mut g = Guest::new(Host::Sync, dir.path());
    for (name, args) in waiting_calls(&mut g) {
        g.ok(name, &args);
    }
}

#[test]
fn both_remedies_work() {
    for (_, runtime) in runtimes() {
        let blocking = runtime.spawn_blocking(all_calls_succeed);
        runtime.block_on(blocking).unwrap();
    }
    let [_, (_, multi_thread)] = runtimes();
    {
        // The runtime has threads of its own, and this thread is not one of its tasks.
        let _entered = multi_thread.enter();
        all_calls_succeed();
    }
    multi_thread.block_on(async { block_in_place(all_calls_succeed) });

    let dir = tempfile::tempdir().unwrap();
    for host in [Host::AsyncInline, Host::AsyncPool] {
        let mut g = Guest::new(host, dir.path());
        for (name, args) in waiting_calls(&mut g) {
            g.ok(name, &args);
        }
    }
}

#[test]
fn refused_call_restores_task_budget() {
    // tokio makes a task yield after a number of steps. The check for an asynchronous task must not use
    // these up: the task here would then wait for a wake-up at every step.
    let [(_, runtime), _] = runtimes();
    let dir = tempfile::tempdir().unwrap();
    let mut g = Guest::new(Host::Sync, dir.path());
    let (name, args) = waiting_calls(&mut g).swap_remove(0);
    runtime.block_on(async {
        assert!(g.try_call(name, &args).is_err());
        assert!(tokio::task::coop::has_budget_remaining());
        tokio::time::sleep(Duration::from_millis(1)).await;
    });
}
