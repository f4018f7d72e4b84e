//! Faults: each call of a layer fails once, in every operation of the matrix.
//!
//! The step in which it fails either answers the code of the fault, and the tree is as before to
//! the last time, or it answers as ever, and the tree is as after. Then the step that failed is
//! made again and the script goes on, as if nothing had been; in the end nothing is open,
//! staged or left to mend.

use crate::cell::{
    Cell, MODES, Mode, cells, dirs_of, disks, is_all, is_in_sample, is_wanted, mount, next_calls,
    next_ends, without_dir_times,
};
use crate::disk::Disk;
use rustix::io::Errno as Os;
use std::collections::BTreeMap;
use std::io;
use wasi_overlay_core::layer::{MemoryLayer, Usage};
use wasi_overlay_core::plain::faulty::{Faults, Faulty};
use wasi_overlay_core::{Errno, Overlay, Result};
use wasi_overlay_proof::Script;
use wasi_overlay_proof::matrix::OPS;
use wasi_overlay_proof::view::tree;

/// One of so many cells is in the sample.
const ONE_OF: usize = 24;

/// What the system answers, and what the guest has to be told.
const ERRORS: [(Os, Errno); 6] = [
    (Os::IO, Errno::Io),
    (Os::NOSPC, Errno::InsufficientSpace),
    (Os::DQUOT, Errno::Quota),
    (Os::MFILE, Errno::TooManyFiles),
    (Os::ACCESS, Errno::Access),
    (Os::ROFS, Errno::ReadOnly),
];

/// What takes the changes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Upper {
    Directory(Mode),
    /// A directory in which those that are there at the start cannot be renamed.
    Image(Mode),
    Memory,
}

#[derive(Debug, Default)]
struct Counts {
    operations: usize,
    faults: usize,
    /// How many steps failed, and how many happened all the same.
    failed: usize,
    happened: usize,
    /// What was made to fail.
    calls: BTreeMap<&'static str, usize>,
}

/// What a step answers, and the tree before and after it.
struct Step<'a> {
    text: &'a str,
    answer: String,
    before: Shown,
    after: Shown,
}

/// What can be seen of an overlay.
#[derive(Clone, Debug, PartialEq)]
struct Shown {
    tree: Vec<String>,
    usage: Option<Usage>,
}

fn shown(overlay: &Overlay) -> Shown {
    Shown {
        tree: tree(&overlay.root()),
        usage: overlay.usage(),
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
        cell.given(&overlay);
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

/// What happens without a fault.
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
    // What was removed and held takes room until here.
    if let Some(last) = steps.last_mut() {
        last.after.usage = subject.overlay.usage();
    }
    steps
}

/// Fails one call of a script; returns whether it has so many.
fn falter(
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
            // A time that was lost shows.
            if answer != step.answer && !(hit == Some("utimens") && answer.starts_with("Dir ")) {
                return Err(format!("after {hit:?}, {}: {answer}", step.text));
            }
            continue;
        };
        faults.never();
        hit = Some(what);
        counts.faults += 1;
        *counts.calls.entry(what).or_default() += 1;
        // What may not be read cannot be moved by a copy: `mv` is told to copy it.
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
            // A directory that nobody may search is opaque, since nobody gets past it. That it may
            // be searched a moment later is no fault of a layer.
            return Ok(true);
        }
        let seen = shown(&subject.overlay);
        let wanted = if answer == code {
            counts.failed += 1;
            &step.before
        } else if answer == step.answer || answer.contains(&code) {
            // What was opened was looked at afterwards; then the code is a part of the answer.
            counts.happened += 1;
            &step.after
        } else {
            return Err(format!("{what}: {} answers {answer}", step.text));
        };
        // Copies that were made on the way may stay: nobody sees them.
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
    ends(cell, upper, subject, steps, what).map_err(|complaint| format!("{what}: {complaint}"))?;
    Ok(true)
}

/// Ends the mount of a script that went well in the end, and looks at what it leaves.
fn ends(
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
        && (seen.usage != last.after.usage
            || without_lost_times(what, &seen.tree) != without_lost_times(what, &last.after.tree))
    {
        return Err(format!("in the end, {}", difference(&last.after, &seen)));
    }
    next_calls(&overlay.root())?;
    next_ends(&overlay.root())?;
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
    if now.has_work_folder() || !now.unsteady().is_empty() {
        return Err(format!("closed, {:?}", now.unsteady()));
    }
    let overlay = mounted(
        cell,
        upper,
        (&disks(&cell.lowers), &disk),
        &Faults::default(),
    )
    .unwrap();
    let again = shown(&overlay);
    // The root's own time moved when the work folder went.
    let (kept, had) = (&again.tree[1..], &seen.tree[1..]);
    match without_lost_times(what, kept) == without_lost_times(what, had) {
        true => Ok(()),
        false => Err(format!("mounted again, {}", difference(&seen, &again))),
    }
}

/// A change that nobody is to notice puts back the time of a directory. Where just that fails, the
/// time is lost: it is not worth the call. Nor is it put back where a file was made and could not
/// be looked at, and so was taken away again.
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
    let usage = (wanted.usage, seen.usage);
    format!("wanted {missing:?}, seen {more:?}, usage {usage:?}")
}

/// Fails every call of an operation with every code; returns what is wrong.
pub(crate) fn every_fault(cell: &Cell, upper: Upper, op: &str) -> Vec<String> {
    faults(cell, upper, op, (0, ERRORS.len()), &mut Counts::default())
}

/// Fails every call of an operation, each with so many codes from its turn on.
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
            match falter(cell, upper, &steps, (call, error), counts) {
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
            // All of them, or each in its turn.
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

/// Two complaints for each call that was made to fail in a step.
fn few_of_each(report: &[String]) -> String {
    let mut told = BTreeMap::<_, usize>::new();
    let mut few = Vec::new();
    for complaint in report {
        let about = complaint.split(" of ").last().unwrap_or_default();
        let about: Vec<_> = about.split(' ').take(4).collect();
        let count = told.entry(about).or_default();
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
