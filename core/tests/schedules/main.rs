//! The orders in which threads can take the engine's locks, tried at random: nobody waits forever,
//! and what was answered and is left is what some order of whole calls gives.
//!
//! Only with `RUSTFLAGS="--cfg shuttle"`: then every lock asks a scheduler which thread goes on.
//! `SCHEDULES` says how many orders of each scenario are tried by each way of choosing them.
#![cfg(shuttle)]

mod scenarios;
mod world;

use scenarios::{ALLOWED, SCENARIOS};
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, Runner};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use world::{Mount, World};

/// Preemptions that the second way of choosing puts where they hurt.
const PREEMPTIONS: usize = 3;

/// What a run answered and left behind.
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

/// The orders of whole calls: each is whose turn it is.
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

/// What whole calls, one after the other, can come to.
fn possible(mount: Mount, threads: &'static [&'static [&'static str]]) -> BTreeSet<Outcome> {
    let found = Arc::new(Mutex::new(BTreeSet::new()));
    let into = Arc::clone(&found);
    run(RandomScheduler::new(1), move || {
        for order in orders(threads) {
            let world = World::new(mount);
            let mut hands: Vec<_> = threads.iter().map(|_| world.hand()).collect();
            let mut done = vec![0; threads.len()];
            for turn in order {
                hands[turn].step(threads[turn][done[turn]]);
                done[turn] += 1;
            }
            let answers = hands.into_iter().map(|hand| hand.answers()).collect();
            into.lock().unwrap().insert(world.end(answers));
        }
    });
    let found = found.lock().unwrap();
    found.clone()
}

fn at_once(mount: Mount, threads: &'static [&'static [&'static str]]) -> Outcome {
    let world = World::new(mount);
    let hands: Vec<_> = threads
        .iter()
        .map(|steps| {
            let mut hand = world.hand();
            shuttle::thread::spawn(move || {
                for step in *steps {
                    hand.step(step);
                }
                hand.answers()
            })
        })
        .collect();
    let answers = hands.into_iter().map(|hand| hand.join().unwrap()).collect();
    world.end(answers)
}

/// An outcome in the words that whole calls would have used.
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
                    "no order of calls gives this:\n{outcome:#?}\nthese are given: {possible:#?}"
                );
                seen.lock().unwrap().insert(outcome);
            };
            let ran = catch_unwind(AssertUnwindSafe(|| match by_priority {
                false => run(RandomScheduler::new_from_seed(7, number), call),
                true => run(PctScheduler::new_from_seed(7, PREEMPTIONS, number), call),
            }));
            tried += number;
            if let Err(panic) = ran {
                let words = panic.downcast_ref::<String>().cloned();
                wrong.push(format!("{name}: {}", words.unwrap_or_default()));
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

/// As above, where next to nothing is kept, so that everything is found anew all the time.
#[test]
fn in_memory_with_a_short_memory() {
    explore(Mount::Forgetful, 1);
}

#[cfg(feature = "dir")]
#[test]
fn in_a_directory() {
    explore(Mount::Directory, 10);
}

/// In a directory with a short memory: an upper in memory forgets no names, since it is all that
/// there is of them.
#[cfg(feature = "dir")]
#[test]
fn in_a_directory_with_a_short_memory() {
    explore(Mount::ForgetfulDirectory, 10);
}

/// A deadlock and an order that nobody allows would be seen.
#[test]
fn the_search_finds_what_is_wrong() {
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
