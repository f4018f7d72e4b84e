//! Checks of concurrent calls.

use super::kit::{Mounted, at, listing, make_dir, make_file, name, ok, read_all, root, write_all};
use crate::layer::{Leave, Over, Upper, WriteAt};
use std::thread;

/// The number of threads, each in a directory of its own.
const THREADS: usize = 4;

/// The number of changes of one thread.
const ROUNDS: usize = 50;

/// Bytes of an appended record.
const RECORD: usize = 16;

/// Changes directories concurrently, and appends to one file from all threads.
///
/// # Panics
/// If the upper violates the contract.
pub fn threads<U: Upper>(make: &dyn Fn() -> U) {
    let upper = Mounted::new(make);
    let upper = &*upper;
    let top = root(upper);
    let shared = make_file(upper, at(&top, "shared"), b"");
    for index in 0..THREADS {
        drop(make_dir(upper, at(&top, &format!("{index}"))));
    }
    thread::scope(|scope| {
        for index in 0..THREADS {
            let shared = &shared;
            scope.spawn(move || one_thread(upper, index, shared));
        }
    });

    let mut counts = [0; THREADS];
    let records = read_all(&shared);
    for record in records.chunks(RECORD) {
        assert!(record == [record[0]; RECORD], "two records overlap");
        counts[usize::from(record[0])] += 1;
    }
    assert_eq!(counts, [ROUNDS; THREADS], "records are lost");
}

fn one_thread<U: Upper>(upper: &U, index: usize, shared: &U::Writable) {
    let top = root(upper);
    let own = format!("{index}");
    let other = format!("{}", (index + 1) % THREADS);
    let dir = ok("open_dir", upper.open_dir(&top, name(&own)));
    let beside = ok("open_dir", upper.open_dir(&top, name(&other)));
    for round in 0..ROUNDS {
        let text = format!("{round}");
        let file = make_file(upper, at(&dir, "new"), b"");
        write_all(&file, text.as_bytes(), 0);
        let renamed = upper.rename(
            at(&dir, "new"),
            at(&dir, &text),
            Over::Nothing,
            Leave::Nothing,
        );
        ok("rename", renamed);
        if round % 2 == 1 {
            let last = format!("{}", round - 1);
            ok(
                "remove",
                upper.remove(at(&dir, &last), Over::File, Leave::Whiteout),
            );
        }
        let record = [index as u8; RECORD];
        assert_eq!(ok("append", shared.append(&record)), RECORD);
        listing(upper, &beside);
        ok("find", upper.find(&beside, name(&text)));
    }
    assert_eq!(listing(upper, &dir).len(), ROUNDS);
}
