//! Random schedules of threads that make calls at once. No thread may wait forever, and the answers and
//! the final tree must be those of some order of whole calls.
//!
//! Only with `RUSTFLAGS="--cfg shuttle"`: then a scheduler chooses the next thread at every lock.
//! `SCHEDULES` is the number of schedules that each scheduler tries for each scenario.
#![cfg(shuttle)]

mod scenarios;
mod world;

use scenarios::{ALLOWED, SCENARIOS};
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, Runner};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use wasi_overlay_proof::kit::panic_message;
use world::{Mount, World};

/// Preemptions in each schedule of the second scheduler.
const PREEMPTIONS: usize = 3;

/// The answers of a run, and the final tree.
type Outcome = Vec<String>;

fn schedules() -> usize {
    let asked = std::env::var("SCHEDULES").ok();
    asked.map_or(300, |number| number.parse().expect("SCHEDULES is a number"))
}

fn run(scheduler: impl Scheduler + 'static, call: impl Fn() + Send + Sync + 'static) {
    let mut config = Config::new();
    config.stack_size = 1 << 19;
    config.silence_warnings = true;
    Runner::new(scheduler, config).run(call);
}

/// All orders of whole calls. An order is the thread that makes each call.
fn orders(threads: &[&[&str]]) -> Vec<Vec<usize>> {
    let total: usize = threads.iter().map(|steps| steps.len()).sum();
    let mut orders = vec![Vec::new()];
    for _ in 0..total {
        orders = orders
            .iter()
            .flat_map(|order: &Vec<usize>| {
                let done = |thread| order.iter().filter(|turn| **turn == thread).count();
                (0..threads.len())
                    .filter(move |&thread| done(thread) < threads[thread].len())
                    .map(|thread| [order.clone(), vec![thread]].concat())
            })
            .collect();
    }
    orders
}

/// The outcomes of all orders of whole calls.
fn possible(mount: Mount, threads: &'static [&'static [&'static str]]) -> BTreeSet<Outcome> {
    let found = Arc::new(Mutex::new(BTreeSet::new()));
    let into = Arc::clone(&found);
    run(RandomScheduler::new(1), move || {
        for order in orders(threads) {
            let world = World::new(mount);
            let mut workers: Vec<_> = threads.iter().map(|_| world.worker()).collect();
            let mut done = vec![0; threads.len()];
            for turn in order {
                workers[turn].call(threads[turn][done[turn]]);
                done[turn] += 1;
            }
            let answers = workers.into_iter().map(|worker| worker.answers()).collect();
            into.lock().unwrap().insert(world.end(answers));
        }
    });
    let found = found.lock().unwrap();
    found.clone()
}

fn at_once(mount: Mount, threads: &'static [&'static [&'static str]]) -> Outcome {
    let world = World::new(mount);
    let workers: Vec<_> = threads
        .iter()
        .map(|calls| {
            let mut worker = world.worker();
            shuttle::thread::spawn(move || {
                for call in *calls {
                    worker.call(call);
                }
                worker.answers()
            })
        })
        .collect();
    let answers = workers
        .into_iter()
        .map(|worker| worker.join().unwrap())
        .collect();
    world.end(answers)
}

/// An outcome with the answers of [`ALLOWED`] replaced.
fn as_of_whole_calls(mut outcome: Outcome) -> Outcome {
    for line in &mut outcome {
        for (answer, meant) in ALLOWED {
            if line == answer {
                (*meant).clone_into(line);
            }
        }
    }
    outcome
}

fn explore(mount: Mount, share: usize) {
    let number = (schedules() / share).max(10);
    let only = std::env::var("SCENARIO").unwrap_or_default();
    let (mut tried, mut wrong) = (0, Vec::new());
    for threads in SCENARIOS {
        let name = format!("{mount:?} {threads:?}");
        if !name.contains(&only) {
            continue;
        }
        let possible = Arc::new(possible(mount, threads));
        let seen = Arc::new(Mutex::new(BTreeSet::new()));
        for by_priority in [false, true] {
            let (possible, seen) = (Arc::clone(&possible), Arc::clone(&seen));
            let call = move || {
                let outcome = at_once(mount, threads);
                assert!(
                    possible.contains(&outcome)
                        || possible.contains(&as_of_whole_calls(outcome.clone())),
                    "no order of calls has this outcome:\n{outcome:#?}\npossible outcomes: {possible:#?}"
                );
                seen.lock().unwrap().insert(outcome);
            };
            let ran = catch_unwind(AssertUnwindSafe(|| {
                if by_priority {
                    run(PctScheduler::new_from_seed(7, PREEMPTIONS, number), call)
                } else {
                    run(RandomScheduler::new_from_seed(7, number), call)
                }
            }));
            tried += number;
            if let Err(panic) = ran {
                wrong.push(format!("{name}: {}", panic_message(panic.as_ref())));
            }
        }
        let seen = seen.lock().unwrap().len();
        println!("{name}: {seen} of {} outcomes seen", possible.len());
    }
    println!("{mount:?}: {tried} schedules");
    assert!(tried > 0, "no schedule was tried");
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn in_memory() {
    explore(Mount::Memory, 1);
}

/// With almost empty caches, so that every call looks up its path again.
#[test]
fn in_memory_with_small_caches() {
    explore(Mount::MemorySmallCaches, 1);
}

#[test]
fn in_a_directory() {
    explore(Mount::Directory, 10);
}

/// Names of a directory upper can be evicted, unlike those of a memory upper.
#[test]
fn in_a_directory_with_small_caches() {
    explore(Mount::DirectorySmallCaches, 10);
}

/// Directories move by copying: nodes and their cached handles continue in other directories.
#[test]
fn in_a_directory_that_moves_by_copying() {
    explore(Mount::FixedDirectories, 10);
}

#[test]
fn the_search_finds_a_deadlock() {
    let found = catch_unwind(|| {
        run(RandomScheduler::new_from_seed(7, 1000), || {
            let locks = Arc::new([shuttle::sync::Mutex::new(()), shuttle::sync::Mutex::new(())]);
            let other = Arc::clone(&locks);
            let thread = shuttle::thread::spawn(move || {
                let _one = other[0].lock().unwrap();
                let _two = other[1].lock().unwrap();
            });
            let _two = locks[1].lock().unwrap();
            let _one = locks[0].lock().unwrap();
            drop((_one, _two));
            thread.join().unwrap();
        });
    });
    assert!(found.is_err(), "two locks in two orders were not found");
    assert_eq!(orders(&[&["a", "b"], &["c", "d"]]).len(), 6);
}
