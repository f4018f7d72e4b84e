//! Faults: each call of a layer fails once, in every operation of the matrix.
//!
//! Either the step answers with the code of the fault and the tree is unchanged, including all times, or it
//! answers as usual and the tree is the one after it. Then a failed step is made again, and the script
//! continues as usual. At the end nothing is open, staged or in need of repair.

use crate::cell::{
    Cell, MODES, Mode, cells, check_next_calls, dirs_of, disks, is_all, is_in_sample, is_wanted,
    mount, remove_next, without_dir_times,
};
use crate::disk::Disk;
use rustix::io::Errno as Os;
use std::collections::BTreeMap;
use std::io;
use wasi_overlay_core::layer::MemoryLayer;
use wasi_overlay_core::plain::faulty::{Faults, Faulty};
use wasi_overlay_core::{Errno, Overlay, Result};
use wasi_overlay_proof::Script;
use wasi_overlay_proof::matrix::OPS;
use wasi_overlay_proof::view::tree;

/// Tries one cell in this many.
const ONE_OF: usize = 24;

/// Errors of the system, with the code that the guest must get.
const ERRORS: [(Os, Errno); 6] = [
    (Os::IO, Errno::Io),
    (Os::NOSPC, Errno::InsufficientSpace),
    (Os::DQUOT, Errno::Quota),
    (Os::MFILE, Errno::TooManyFiles),
    (Os::ACCESS, Errno::Access),
    (Os::ROFS, Errno::ReadOnly),
];

/// The upper.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Upper {
    Directory(Mode),
    /// A directory whose initial directories cannot be renamed.
    Image(Mode),
    Memory,
}

#[derive(Debug, Default)]
struct Counts {
    operations: usize,
    faults: usize,
    /// Steps that failed, and steps that happened in spite of the fault.
    failed: usize,
    happened: usize,
    /// The calls that failed, by name.
    calls: BTreeMap<&'static str, usize>,
}

/// A step with its answer, and the tree before and after it.
struct Step<'a> {
    text: &'a str,
    answer: String,
    before: Shown,
    after: Shown,
}

/// The tree of an overlay, and what its upper stores.
#[derive(Clone, Debug, PartialEq)]
struct Shown {
    tree: Vec<String>,
    /// Bytes and inodes that the upper stores.
    stored: Option<(u64, u64)>,
}

fn stored(overlay: &Overlay) -> Option<(u64, u64)> {
    overlay.usage().map(|usage| (usage.bytes, usage.inodes))
}

fn shown(overlay: &Overlay) -> Shown {
    Shown {
        tree: tree(&overlay.root()),
        stored: stored(overlay),
    }
}

/// An overlay on layers that can fail.
struct Subject {
    overlay: Overlay,
    upper: Disk,
    lowers: Vec<Disk>,
}

impl Subject {
    fn new(cell: &Cell, upper: Upper, faults: &Faults) -> Result<Self> {
        let (disk, lowers) = (Disk::of(&cell.upper), disks(&cell.lowers));
        let overlay = mounted(cell, upper, (&lowers, &disk), faults)?;
        if let Upper::Memory = upper {
            cell.start.upper.apply(&overlay.root());
        }
        cell.prepare(&overlay);
        Ok(Self {
            overlay,
            upper: disk,
            lowers,
        })
    }
}

fn mounted(
    cell: &Cell,
    upper: Upper,
    (lowers, disk): (&[Disk], &Disk),
    faults: &Faults,
) -> Result<Overlay> {
    let faulty = |disk: &Disk| Faulty::new(disk.clone(), faults);
    let lowers = lowers.iter().map(faulty);
    match upper {
        Upper::Directory(mode) => mount(lowers, mode.upper(faulty(disk)), false),
        Upper::Image(mode) => {
            let image = faulty(disk).with_fixed_dirs(dirs_of(&cell.upper));
            mount(lowers, mode.upper(image), false)
        }
        Upper::Memory => mount(lowers, MemoryLayer::with_capacity(1 << 20), false),
    }
}

/// The steps without a fault.
fn control<'a>(cell: &Cell, upper: Upper, op: &'a str) -> Vec<Step<'a>> {
    let subject = Subject::new(cell, upper, &Faults::default()).unwrap();
    let root = subject.overlay.root();
    let mut script = Script::new(&root, cell.start.place);
    let mut before = shown(&subject.overlay);
    let step = |text: &'a str| {
        let answer = script.call(text);
        let after = shown(&subject.overlay);
        Step {
            text: text.trim(),
            answer,
            before: std::mem::replace(&mut before, after.clone()),
            after,
        }
    };
    let mut steps: Vec<_> = op.split(';').map(step).collect();
    drop(script);
    // Removed files that were open count until here.
    if let Some(last) = steps.last_mut() {
        last.after.stored = stored(&subject.overlay);
    }
    steps
}

/// Fails one call of a script. Returns false if the script makes fewer calls.
fn run_with_fault(
    cell: &Cell,
    upper: Upper,
    steps: &[Step<'_>],
    (call, error): (u64, (Os, Errno)),
    counts: &mut Counts,
) -> Result<bool, String> {
    let faults = Faults::default();
    let subject = Subject::new(cell, upper, &faults).unwrap();
    let root = subject.overlay.root();
    let mut script = Script::new(&root, cell.start.place);
    let injected = Errno::from(&io::Error::from(error.0));
    faults.fail_call(call, injected);
    let mut hit = None;
    for step in steps {
        let answer = script.call(step.text);
        let Some(what) = faults.failed().filter(|_| hit.is_none()) else {
            // A lost time is visible.
            if answer != step.answer && !(hit == Some("utimens") && answer.starts_with("Dir ")) {
                return Err(format!("after {hit:?}, {}: {answer}", step.text));
            }
            continue;
        };
        faults.never();
        hit = Some(what);
        counts.faults += 1;
        *counts.calls.entry(what).or_default() += 1;
        // A directory that cannot be read cannot be moved by copy, so the guest gets `EXDEV` and copies it.
        let expected = match upper {
            Upper::Image(_) if error.0 == Os::ACCESS && answer == "CrossDevice" => {
                Errno::CrossDevice
            }
            _ => error.1,
        };
        let code = format!("{expected:?}");
        if error.0 == Os::ACCESS
            && answer != code
            && ["stat", "open of a directory"].contains(&what)
        {
            // An unsearchable directory is opaque. That it becomes searchable later is an artifact of this
            // test.
            return Ok(true);
        }
        let seen = shown(&subject.overlay);
        let wanted = if answer == code {
            counts.failed += 1;
            &step.before
        } else if answer == step.answer || answer.contains(&code) {
            // The failed call was a query of the opened file, so the code is part of the answer.
            counts.happened += 1;
            &step.after
        } else {
            return Err(format!("{what}: {} answers {answer}", step.text));
        };
        // Copies made before the fault may stay, since they are not visible.
        if without_lost_times(what, &seen.tree) != without_lost_times(what, &wanted.tree) {
            let lines = difference(wanted, &seen);
            return Err(format!(
                "{what}: {} answers {answer}, and {lines}",
                step.text
            ));
        }
        if answer == code {
            let again = script.call(step.text);
            if again != step.answer {
                return Err(format!("{what}: {}, made again: {again}", step.text));
            }
        }
    }
    faults.never();
    let Some(what) = hit else { return Ok(false) };
    drop(script);
    drop(root);
    check_end(cell, upper, subject, steps, what)
        .map_err(|complaint| format!("{what}: {complaint}"))?;
    Ok(true)
}

/// Closes the mount after a script, and checks the state that it leaves.
fn check_end(
    cell: &Cell,
    upper: Upper,
    subject: Subject,
    steps: &[Step<'_>],
    what: &str,
) -> Result<(), String> {
    let Subject {
        overlay,
        upper: disk,
        lowers,
    } = subject;
    let seen = shown(&overlay);
    if let Some(last) = steps.last()
        && (seen.stored != last.after.stored
            || without_lost_times(what, &seen.tree) != without_lost_times(what, &last.after.tree))
    {
        return Err(format!("at the end, {}", difference(&last.after, &seen)));
    }
    check_next_calls(&overlay.root())?;
    remove_next(&overlay.root())?;
    let seen = shown(&overlay);
    overlay.close().map_err(|error| error.to_string())?;
    drop(overlay);
    let open: usize = lowers.iter().chain([&disk]).map(Disk::handles).sum();
    if open > 0 {
        return Err(format!("{open} handles are left open"));
    }
    if let Upper::Memory = upper {
        return Ok(());
    }
    let now = disk.journal().now().clone();
    if now.has_work_folder() || !now.leftovers().is_empty() {
        return Err(format!("left after the close: {:?}", now.leftovers()));
    }
    let overlay = mounted(
        cell,
        upper,
        (&disks(&cell.lowers), &disk),
        &Faults::default(),
    )
    .unwrap();
    let again = shown(&overlay);
    // Removing the work folder changed the root's time.
    let (kept, had) = (&again.tree[1..], &seen.tree[1..]);
    if without_lost_times(what, kept) == without_lost_times(what, had) {
        Ok(())
    } else {
        Err(format!(
            "after the next mount, {}",
            difference(&seen, &again)
        ))
    }
}

/// Internal changes restore the time of their directory. If only the restoration fails, the call succeeds and the
/// time is lost. The time is also lost if a file was created and removed again because its `stat` failed.
fn without_lost_times(what: &str, tree: &[String]) -> Vec<String> {
    match what {
        "utimens" | "fstat" => without_dir_times(tree.to_vec()),
        _ => tree.to_vec(),
    }
}

fn difference(wanted: &Shown, seen: &Shown) -> String {
    let missing: Vec<_> = wanted
        .tree
        .iter()
        .filter(|line| !seen.tree.contains(line))
        .collect();
    let more: Vec<_> = seen
        .tree
        .iter()
        .filter(|line| !wanted.tree.contains(line))
        .collect();
    let stored = (wanted.stored, seen.stored);
    format!("wanted {missing:?}, seen {more:?}, stored {stored:?}")
}

/// Fails every call of an operation with every code, and returns the failures.
pub(crate) fn every_fault(cell: &Cell, upper: Upper, op: &str) -> Vec<String> {
    faults(cell, upper, op, (0, ERRORS.len()), &mut Counts::default())
}

/// Fails every call of an operation with some of the codes, beginning with number `turn`.
fn faults(
    cell: &Cell,
    upper: Upper,
    op: &str,
    (turn, errors): (usize, usize),
    counts: &mut Counts,
) -> Vec<String> {
    let steps = control(cell, upper, op);
    let mut report = Vec::new();
    for call in 0.. {
        for turn in turn..turn + errors {
            let error = ERRORS[(turn + call as usize) % ERRORS.len()];
            match run_with_fault(cell, upper, &steps, (call, error), counts) {
                Ok(true) => {}
                Ok(false) => return report,
                Err(complaint) => report.push(format!(
                    "{} | {op}\n  {upper:?}, call {call}, {:?} of {complaint}",
                    cell.name, error.0
                )),
            }
        }
    }
    report
}

fn run(upper: impl Fn(usize) -> Upper) {
    let mut counts = Counts::default();
    let mut report = Vec::new();
    let mut number = 0;
    for cell in cells() {
        for op in OPS {
            number += 1;
            let upper = upper(number);
            let is_in_sample = match upper {
                Upper::Image(_) => op.contains("rename") && is_in_sample(number, ONE_OF / 2),
                Upper::Directory(_) | Upper::Memory => is_in_sample(number, ONE_OF),
            };
            if !is_wanted(&cell.name, op) || !is_in_sample {
                continue;
            }
            let before = counts.faults;
            // All codes, or one after the other.
            let (turn, errors) = if is_all() {
                (0, ERRORS.len())
            } else {
                (number, 1)
            };
            report.extend(faults(&cell, upper, op, (turn, errors), &mut counts));
            counts.operations += usize::from(counts.faults > before);
        }
    }
    println!("{counts:?}, {} wrong", report.len());
    assert!(counts.faults > 0, "nothing has failed");
    assert!(report.is_empty(), "{}", few_of_each(&report));
}

/// Two failures for each failed call and step.
fn few_of_each(report: &[String]) -> String {
    let mut counts = BTreeMap::<_, usize>::new();
    let mut few = Vec::new();
    for complaint in report {
        let about = complaint.split(" of ").last().unwrap_or_default();
        let about: Vec<_> = about.split(' ').take(4).collect();
        let count = counts.entry(about).or_default();
        *count += 1;
        if *count <= 2 {
            few.push(complaint.as_str());
        }
    }
    few.join("\n")
}

#[test]
fn operation_with_a_failed_call_happens_or_does_not() {
    run(|number| Upper::Directory(MODES[number / 2 % 2]));
}

#[test]
fn image_rename_with_a_failed_call_happens_or_does_not() {
    run(|number| Upper::Image(MODES[number / 2 % 2]));
}

#[test]
fn failed_operation_leaves_nothing_in_a_memory_upper() {
    run(|_| Upper::Memory);
}
