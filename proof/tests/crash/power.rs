//! Power losses in durable mode: synced data is present, and no operation or copy is half done. `history.rs` has
//! the oracle.

use crate::cell::{
    Cell, MODES, Mode, cells, check_next_calls, dirs_of, disks, is_all, is_in_sample, is_wanted,
    mount, on_image, planted, remove_next, without_dir_times,
};
use crate::disk::Disk;
use crate::history::{History, Promise, Written};
use crate::journal::{Moment, NAME_ORDERS, NameOrder};
use crate::random::Random;
use wasi_overlay_core::{Dir, Kind, Overlay};
use wasi_overlay_proof::Script;
use wasi_overlay_proof::matrix::OPS;
use wasi_overlay_proof::matrix::tree::{dir, file, link};
use wasi_overlay_proof::view::tree;

/// Tries one cell in this many.
const ONE_OF: usize = 8;
/// Losses tried at each moment of an operation.
const DRAWS: usize = 2;

#[derive(Debug, Default)]
struct Counts {
    operations: usize,
    losses: usize,
}

/// The operations that are tried.
#[derive(Clone, Copy)]
enum Sample {
    /// One operation in this many.
    One(usize),
    /// One rename in this many, on an upper whose directories cannot be renamed.
    Image(usize),
}

/// The layers of a trial.
#[derive(Clone, Copy)]
struct Setting<'a> {
    lowers: &'a [Moment],
    mode: Mode,
    /// The order that a loss keeps, and the order that the disk claims to keep.
    order: NameOrder,
    claimed: NameOrder,
    /// Directories that cannot be renamed; none if no directory can.
    fixed: Option<&'a [u64]>,
}

impl Setting<'_> {
    fn mount(&self, disk: &Disk) -> Result<Overlay, String> {
        let disk = disk.clone().claiming(self.claimed);
        let disk = match self.fixed {
            Some(fixed) => on_image(&disk, fixed),
            None => on_image(&disk, &[]).with_all_dirs_fixed(),
        };
        let upper = self.mode.upper(disk);
        mount(disks(self.lowers), upper, false)
            .map_err(|error| format!("it cannot be mounted: {error}"))
    }
}

/// Loses power at the moment `at`, and mounts the remaining state.
fn lose(
    setting: Setting<'_>,
    (disk, history): (&Disk, &History),
    at: usize,
    random: &mut Random,
) -> Result<Disk, String> {
    let left = disk.journal().lose_power(at, setting.order, random);
    let again = Disk::of(&left);
    let overlay = setting.mount(&again)?;
    let seen = without_dir_times(tree(&overlay.root()));
    let mounted = again.journal().now().clone();
    let written = Written {
        all: left.written(&mounted, false),
        unsynced: left.written(&mounted, true),
    };
    history.check(setting.order, history.step_at(at), &written, &seen)?;
    let leftovers = again.journal().now().leftovers();
    if !leftovers.is_empty() {
        return Err(format!("left after the next mount: {leftovers:?}"));
    }
    check_next_calls(&overlay.root())?;
    remove_next(&overlay.root())?;
    overlay.close().unwrap();
    if again.journal().now().has_work_folder() {
        Err("the work folder is left".into())
    } else {
        Ok(Disk::of(&left))
    }
}

#[test]
fn power_loss_leaves_no_operation_half_done() {
    for order in NAME_ORDERS {
        let report = lose_in_operations(order, order, Sample::One(ONE_OF));
        let shown = report.len().min(10);
        assert!(report.is_empty(), "{}", report[..shown].join("\n"));
    }
}

#[test]
fn power_loss_leaves_an_image_directory_at_one_of_its_names() {
    for order in NAME_ORDERS {
        let report = lose_in_operations(order, order, Sample::Image(ONE_OF));
        let shown = report.len().min(10);
        assert!(report.is_empty(), "{}", report[..shown].join("\n"));
    }
}

/// Shows that these tests can fail.
#[test]
fn false_claim_of_ordered_names_is_detected() {
    let (order, claimed) = (NameOrder::Unordered, NameOrder::Ordered);
    let report = lose_in_operations(order, claimed, Sample::One(8 * ONE_OF));
    assert!(!report.is_empty(), "no operation was left half done");
    let mut counts = Counts::default();
    let passed = (0..50).all(|seed| random_run(seed, order, claimed, &mut counts).is_ok());
    assert!(!passed, "nothing was lost that was synced");
}

/// The process is killed, the next mount repairs the upper, and power is lost before anything reaches the disk.
#[test]
fn repair_after_a_kill_survives_power_loss() {
    for order in NAME_ORDERS {
        let mut losses = 0;
        let mut report = Vec::new();
        for sample in [Sample::One(8 * ONE_OF), Sample::Image(3 * ONE_OF)] {
            report.extend(in_operations(order, order, sample, |trial, at, random| {
                losses += 1;
                trial.kill_and_lose(at, random)
            }));
        }
        println!("{order:?}: {losses} losses after a kill");
        assert!(losses > 0, "nothing was killed");
        assert!(
            report.is_empty(),
            "{}",
            report[..report.len().min(10)].join("\n")
        );
    }
}

/// An operation of the matrix, with the disk and the history that it left.
struct Trial<'a> {
    setting: Setting<'a>,
    disk: Disk,
    history: History,
}

impl Trial<'_> {
    fn lose(&self, at: usize, random: &mut Random) -> Result<(), String> {
        lose(self.setting, (&self.disk, &self.history), at, random).map(drop)
    }

    /// Kills the process at the moment `at`, mounts the upper again, and loses power then or later.
    fn kill_and_lose(&self, at: usize, random: &mut Random) -> Result<(), String> {
        let disk = self.disk.killed_at(at);
        let overlay = self.setting.mount(&disk)?;
        let mut history = self.history.until(at);
        history.record(&overlay, &disk);
        overlay.close().unwrap();
        history.ended(&disk);
        let later = disk.journal().moments().len() - at;
        lose(
            self.setting,
            (&disk, &history),
            at + random.below(later),
            random,
        )
        .map(drop)
    }
}

/// Loses power in operations of the matrix, and returns the failures.
fn lose_in_operations(order: NameOrder, claimed: NameOrder, sample: Sample) -> Vec<String> {
    let mut counts = Counts::default();
    let report = in_operations(order, claimed, sample, |trial, at, random| {
        counts.operations += usize::from(at == 1);
        let mut tried = Ok(());
        for _ in 0..DRAWS {
            counts.losses += 1;
            tried = tried.and(trial.lose(at, random));
        }
        tried
    });
    println!("{order:?}: {counts:?}, {} failed", report.len());
    assert!(counts.losses > 0, "no power was lost");
    report
}

/// Runs operations of the matrix, and calls `tries` for every moment of each.
fn in_operations(
    order: NameOrder,
    claimed: NameOrder,
    sample: Sample,
    mut tries: impl FnMut(&Trial<'_>, usize, &mut Random) -> Result<(), String>,
) -> Vec<String> {
    let mut report = Vec::new();
    let mut random = Random::new(11);
    let mut number = 0;
    for cell in cells() {
        let fixed = dirs_of(&cell.upper);
        for op in OPS {
            number += 1;
            let is_in_sample = match sample {
                Sample::One(of) => is_in_sample(number, of),
                Sample::Image(of) => op.contains("rename") && is_in_sample(number, of),
            };
            if !is_wanted(&cell.name, op) || !is_in_sample {
                continue;
            }
            let setting = Setting {
                lowers: &cell.lowers,
                mode: MODES[number % 2],
                order,
                claimed,
                fixed: match sample {
                    Sample::One(_) => Some(&[]),
                    Sample::Image(_) => Some(&fixed),
                },
            };
            let trial = make(&cell, setting, op);
            let moments = trial.disk.journal().moments().len();
            for at in 1..moments {
                if let Err(complaint) = tries(&trial, at, &mut random) {
                    report.push(format!("{} | {op}\n  moment {at}: {complaint}", cell.name));
                }
            }
        }
    }
    report
}

fn make<'a>(cell: &Cell, setting: Setting<'a>, op: &str) -> Trial<'a> {
    let disk = Disk::of(&cell.upper);
    disk.journal().record();
    let overlay = setting.mount(&disk).unwrap();
    if cell.start.prelude.is_some() {
        cell.prepare(&overlay);
        disk.journal().record();
    }
    let root = overlay.root();
    let mut history = History::default();
    history.record(&overlay, &disk);
    let mut script = Script::new(&root, cell.start.place);
    for step in op.split(';') {
        script.call(step);
        history.record(&overlay, &disk);
    }
    drop(script);
    overlay.close().unwrap();
    history.ended(&disk);
    Trial {
        setting,
        disk,
        history,
    }
}

const PATHS: [&str; 10] = ["a", "b", "c", "d", "d/a", "d/b", "d/s", "d/s/b", "e", "e/a"];

fn step(random: &mut Random) -> String {
    #[rustfmt::skip]
    let words = [
        "open.rwc", "open.rwcx", "open.t", "write", "write", "append", "append", "cut", "grow", "mkdir",
        "symlink a", "unlink", "unlink", "rmdir", "times", "rename", "rename", "rename", "rename", "link", "sync",
        "sync", "sync", "all",
    ];
    let (word, path) = (random.one_of(&words), random.one_of(&PATHS));
    match word {
        "rename" | "link" => format!("{word} {path} {}", random.one_of(&PATHS)),
        "all" => "all".into(),
        "cut" => format!("size {path} 3"),
        "grow" => format!("size {path} 100"),
        _ => format!("{word} {path}"),
    }
}

fn has_one_name(root: &Dir, path: &str) -> bool {
    let stat = root.stat_at(path, false);
    stat.is_ok_and(|stat| stat.kind == Kind::Dir || (stat.kind == Kind::File && stat.links == 1))
}

/// A path with the links to directories in it resolved. All links here lead to `a` beside them.
fn resolved(root: &Dir, path: &str) -> String {
    let mut whole = String::new();
    let mut names = path.split('/').peekable();
    while let Some(name) = names.next() {
        let at = format!("{whole}/{name}");
        let is_link = names.peek().is_some() && root.readlink_at(&at[1..]).is_ok();
        whole = if is_link { format!("{whole}/a") } else { at };
    }
    whole
}

/// Random calls on one upper, with several power losses: each mount begins with the state that a loss left.
fn random_run(
    seed: u64,
    order: NameOrder,
    claimed: NameOrder,
    counts: &mut Counts,
) -> Result<(), String> {
    run(seed, &[], (order, claimed), counts)
}

/// As [`random_run`], with the calls of `plan` unless it is empty.
fn run(
    seed: u64,
    plan: &[&str],
    (order, claimed): (NameOrder, NameOrder),
    counts: &mut Counts,
) -> Result<(), String> {
    let lower = dir([
        ("a", file("the first line\nthe second line\n")),
        ("b", link("a")),
        (
            "d",
            dir([
                ("a", file("lower d/a")),
                ("s", dir([("b", file("lower d/s/b"))])),
            ]),
        ),
        ("e", dir([])),
    ]);
    let lowers = [planted(&lower.stamped(1_000_000_000))];
    let mut random = Random::new(seed);
    let setting = Setting {
        lowers: &lowers,
        mode: MODES[random.below(2)],
        order,
        claimed,
        fixed: (!seed.is_multiple_of(3)).then_some(&[]),
    };
    let mut disk = Disk::default();
    for _ in 0..3 {
        let mut told = Vec::new();
        disk.journal().record();
        let overlay = setting.mount(&disk)?;
        let root = overlay.root();
        let mut history = History::default();
        history.record(&overlay, &disk);
        let mut script = Script::new(&root, "d/s");
        let calls: Vec<_> = if plan.is_empty() {
            (0..10 + random.below(20))
                .map(|_| step(&mut random))
                .collect()
        } else {
            plan.iter().map(|call| (*call).to_owned()).collect()
        };
        for text in calls {
            let renamed = text.strip_prefix("rename ").and_then(|paths| {
                let (from, to) = paths.split_once(' ')?;
                Some((resolved(&root, from), resolved(&root, to)))
            });
            let answer = match text.as_str() {
                "all" => format!("{:?}", overlay.sync().is_ok()),
                text => script.call(text),
            };
            history.record(&overlay, &disk);
            let promised = match (text.split_once(' '), answer.as_str()) {
                (None, "true") => Some(None),
                // Not through a link, which syncs its target, and not a hard link, which keeps only one of its
                // names.
                (Some(("sync", path)), "done") if has_one_name(&root, path) => {
                    Some(Some(format!("/{path}")))
                }
                _ => None,
            };
            if let (Some((from, to)), "done") = (renamed, answer.as_str()) {
                history.renames.push((history.views.len() - 1, from, to));
            }
            told.push(format!("{text}: {answer}"));
            if let Some(path) = promised {
                let step = history.views.len() - 1;
                history.promises.push(Promise { step, path });
            }
            counts.operations += 1;
        }
        drop(script);
        overlay.close().unwrap();
        history.ended(&disk);
        let moments = disk.journal().moments().len();
        let mut next = None;
        for _ in 0..30 {
            counts.losses += 1;
            let at = random.below(moments);
            let lost = lose(setting, (&disk, &history), at, &mut random);
            next = Some(lost.map_err(|complaint| {
                format!(
                    "{order:?}, seed {seed}, {:?}: {told:#?}\n{complaint}",
                    setting.mode
                )
            })?);
        }
        disk = next.unwrap_or_default();
    }
    Ok(())
}

#[test]
fn synced_changes_survive_power_loss() {
    let seeds = if is_all() { 5_000 } else { 150 };
    for order in NAME_ORDERS {
        let mut counts = Counts::default();
        for seed in 0..seeds {
            if let Err(complaint) = random_run(seed, order, order, &mut counts) {
                panic!("{complaint}");
            }
        }
        println!("{order:?}: {counts:?}");
    }
}

/// A file was replaced by a directory, or a directory by a file, and a directory above was renamed where
/// directories cannot be renamed. A loss during the removal of the old directory brought the replaced file back
/// in it, and the next mount failed: it found a file where the copy has a directory.
#[test]
fn replaced_entries_of_a_directory_that_is_copied_survive_power_loss() {
    let plan = [
        "mkdir n",
        "mkdir n/s",
        "open.rwc n/s/b",
        "mkdir n/s/t",
        "all",
        "unlink n/s/b",
        "mkdir n/s/b",
        "rmdir n/s/t",
        "open.rwc n/s/t",
        "rename n e/n",
        "rename e/n/s e/s",
    ];
    for order in NAME_ORDERS {
        let mut counts = Counts::default();
        // In a multiple of three no directory can be renamed.
        for seed in (0..120).step_by(3) {
            if let Err(complaint) = run(seed, &plan, (order, order), &mut counts) {
                panic!("{complaint}");
            }
        }
        assert!(counts.losses > 1_000, "{counts:?}");
    }
}
