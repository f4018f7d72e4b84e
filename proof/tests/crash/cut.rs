//! Operations that are interrupted after each change: the tree is the one before the call or the one after it.

use crate::cell::{
    Cell, MODES, Mode, cells, check_next_calls, dirs_of, disks, is_in_sample, is_wanted, mount,
    on_image, remove_next, without_dir_times,
};
use crate::disk::Disk;
use crate::journal::Moment;
use std::sync::Arc;
use wasi_overlay_core::whiteouts::Marked;
use wasi_overlay_core::{Limits, Lower, LowerStack, Overlay};
use wasi_overlay_proof::Script;
use wasi_overlay_proof::matrix::OPS;
use wasi_overlay_proof::view::tree;

/// Tries one cell in this many.
const ONE_OF: usize = 8;
/// The same for renames on an upper whose directories cannot be renamed.
const ONE_OF_IMAGES: usize = 3;

#[derive(Debug, Default)]
struct Counts {
    operations: usize,
    cuts: usize,
}

/// A step, with the tree before and after it, and the state of the disk after each change.
struct Step<'a> {
    text: &'a str,
    answer: String,
    before: Vec<String>,
    after: Vec<String>,
    moments: Vec<Moment>,
}

/// How the upper is mounted, and its directories that cannot be renamed.
type Upper<'a> = (Mode, &'a [u64]);

fn stack(cell: &Cell) -> Arc<LowerStack> {
    let lowers = disks(&cell.lowers);
    let lowers = lowers
        .into_iter()
        .map(|disk| Lower::new("a layer", Marked::lower(disk)));
    LowerStack::new(lowers, &Limits::default()).unwrap()
}

fn remount(stack: &Arc<LowerStack>, (mode, fixed): Upper<'_>, disk: &Disk) -> Overlay {
    Overlay::builder()
        .stack(Arc::clone(stack))
        .upper("the upper", mode.upper(on_image(disk, fixed)))
        .volatile(true)
        .build()
        .unwrap()
}

fn steps<'a>(cell: &Cell, (mode, fixed): Upper<'_>, op: &'a str) -> Vec<Step<'a>> {
    let disk = Disk::of(&cell.upper);
    let overlay = mount(
        disks(&cell.lowers),
        mode.upper(on_image(&disk, fixed)),
        true,
    )
    .unwrap();
    cell.prepare(&overlay);
    let root = overlay.root();
    let mut script = Script::new(&root, cell.start.place);
    let mut before = without_dir_times(tree(&root));
    let mut steps = Vec::new();
    for text in op.split(';') {
        disk.journal().record();
        let answer = script.call(text);
        let moments = disk.journal().moments().to_vec();
        disk.journal().forget();
        let after = without_dir_times(tree(&root));
        if answer.split(' ').count() == 1 && answer != "done" {
            // A code alone: the call failed.
            assert_eq!(before, after, "{op}: {text} failed, but changed something");
        }
        steps.push(Step {
            text,
            answer,
            before: std::mem::replace(&mut before, after.clone()),
            after,
            moments,
        });
    }
    steps
}

/// The difference in the answers and trees of an operation where directories cannot be renamed.
fn difference(cell: &Cell, upper: Upper<'_>, op: &str) -> Option<String> {
    let run = |upper| {
        let steps = steps(cell, upper, op).into_iter();
        steps
            .map(|step| (step.answer, step.after))
            .collect::<Vec<_>>()
    };
    let (plain, image) = (run((upper.0, &[])), run(upper));
    (plain != image).then(|| format!("{image:#?} instead of {plain:#?}"))
}

/// Mounts the disk as it was at a moment, and checks it.
fn check(
    stack: &Arc<LowerStack>,
    upper: Upper<'_>,
    step: &Step<'_>,
    moment: &Moment,
) -> Result<(), String> {
    let left = moment.leftovers();
    if !left.is_empty() && !moment.has_work_folder() {
        return Err(format!("the next mount will not repair {left:?}"));
    }
    let disk = Disk::of(moment);
    let overlay = remount(stack, upper, &disk);
    let seen = without_dir_times(tree(&overlay.root()));
    if seen != step.before && seen != step.after {
        return Err(format!(
            "{seen:#?} is neither {:#?} nor {:#?}",
            step.before, step.after
        ));
    }
    let left = disk.journal().now().leftovers();
    if !left.is_empty() {
        return Err(format!("left after the next mount: {left:?}"));
    }
    check_next_calls(&overlay.root())?;
    remove_next(&overlay.root())?;
    overlay.close().unwrap();
    let now = disk.journal().now().clone();
    if now.has_work_folder() || !now.leftovers().is_empty() {
        return Err(format!("left after the close: {:?}", now.leftovers()));
    }
    drop(overlay);
    let overlay = remount(stack, upper, &disk);
    if without_dir_times(tree(&overlay.root())) == seen {
        Ok(())
    } else {
        Err("the tree differs after another mount".into())
    }
}

/// Interrupts the operations of the sample; with `is_image`, renames on an upper whose directories cannot be
/// renamed.
fn cut(mode: Mode, is_image: bool) {
    let mut counts = Counts::default();
    let mut report = Vec::new();
    let mut number = 0;
    for cell in cells() {
        let stack = stack(&cell);
        let fixed = if is_image {
            dirs_of(&cell.upper)
        } else {
            Vec::new()
        };
        let upper = (mode, &*fixed);
        for op in OPS {
            number += 1;
            let is_in_sample = if is_image {
                op.contains("rename") && is_in_sample(number, ONE_OF_IMAGES)
            } else {
                is_in_sample(number, ONE_OF)
            };
            if !is_wanted(&cell.name, op) || !is_in_sample {
                continue;
            }
            if is_image && let Some(complaint) = difference(&cell, upper, op) {
                report.push(format!("{} | {op}\n  {complaint}", cell.name));
            }
            let mut changes = 0;
            for step in steps(&cell, upper, op) {
                for (count, moment) in step.moments.iter().enumerate() {
                    counts.cuts += 1;
                    if let Err(complaint) = check(&stack, upper, &step, moment) {
                        let head = format!("{} | {op}", cell.name);
                        let step = step.text.trim();
                        report.push(format!(
                            "{head}\n  {step} interrupted after {count}: {complaint}"
                        ));
                    }
                }
                changes += step.moments.len() - 1;
            }
            counts.operations += usize::from(changes > 0);
        }
    }
    println!("{mode:?}: {counts:?}, {} failed", report.len());
    assert!(counts.cuts > 0, "nothing was interrupted");
    let shown = report.len().min(20);
    assert!(report.is_empty(), "{}", report[..shown].join("\n"));
}

#[test]
fn interrupted_operation_happens_or_does_not() {
    cut(MODES[0], false);
}

#[test]
fn interrupted_operation_on_demand_happens_or_does_not() {
    cut(MODES[1], false);
}

#[test]
fn interrupted_image_rename_happens_or_does_not() {
    cut(MODES[0], true);
}

#[test]
fn interrupted_image_rename_on_demand_happens_or_does_not() {
    cut(MODES[1], true);
}
