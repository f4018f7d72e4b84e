//! Power losses in durable mode: synced data is present, and no operation or copy is half done. `history.rs` has
//! the oracle.

use crate::cell::{
    Cell, MODES, Mode, cells, dirs_of, disks, is_all, is_in_sample, is_wanted, mount, next_calls,
    next_ends, on_image, planted, without_dir_times,
};
use crate::disk::Disk;
use crate::history::{History, Promise, Written};
use crate::journal::{Moment, TEMPERS, Temper};
use crate::random::Random;
use wasi_overlay_core::{Dir, Kind, Overlay};
use wasi_overlay_proof::Script;
use wasi_overlay_proof::matrix::OPS;
use wasi_overlay_proof::matrix::tree::{dir, file, link};
use wasi_overlay_proof::view::tree;

/// One of so many cells is in the sample.
const ONE_OF: usize = 8;
/// Losses tried at each moment of an operation.
const DRAWS: usize = 2;

#[derive(Debug, Default)]
struct Counts {
    operations: usize,
    losses: usize,
}

/// Which operations are made.
#[derive(Clone, Copy)]
enum Sample {
    /// One of so many.
    One(usize),
    /// One of so many of those that rename, on an upper whose directories cannot be renamed.
    Image(usize),
}

/// What a life is lived on.
#[derive(Clone, Copy)]
struct Setting<'a> {
    lowers: &'a [Moment],
    mode: Mode,
    /// What a loss keeps, and what the disk says that it keeps.
    temper: Temper,
    says: Temper,
    /// Directories that cannot be renamed; none if no directory can.
    fixed: Option<&'a [u64]>,
}

impl Setting<'_> {
    fn mount(&self, disk: &Disk) -> Result<Overlay, String> {
        let disk = disk.clone().that_says(self.says);
        let disk = match self.fixed {
            Some(fixed) => on_image(&disk, fixed),
            None => on_image(&disk, &[]).with_all_dirs_fixed(),
        };
        let upper = self.mode.upper(disk);
        mount(disks(self.lowers), upper, false)
            .map_err(|error| format!("it cannot be mounted: {error}"))
    }
}

/// Loses the power at the moment `at` and mounts what is left.
fn lose(
    setting: Setting<'_>,
    (disk, history): (&Disk, &History),
    at: usize,
    random: &mut Random,
) -> Result<Disk, String> {
    let left = disk.journal().lose_power(at, setting.temper, random);
    let again = Disk::of(&left);
    let overlay = setting.mount(&again)?;
    let seen = without_dir_times(tree(&overlay.root()));
    let mounted = again.journal().now().clone();
    let written = Written {
        all: left.written(&mounted, false),
        unsynced: left.written(&mounted, true),
    };
    history.judge(setting.temper, history.step_at(at), &written, &seen)?;
    let unsteady = again.journal().now().unsteady();
    if !unsteady.is_empty() {
        return Err(format!("mounted again, {unsteady:?}"));
    }
    next_calls(&overlay.root())?;
    next_ends(&overlay.root())?;
    overlay.close().unwrap();
    match again.journal().now().has_work_folder() {
        true => Err("the work folder is left".into()),
        false => Ok(Disk::of(&left)),
    }
}

#[test]
fn power_loss_leaves_no_operation_half_done() {
    for temper in TEMPERS {
        let report = lose_in_operations(temper, temper, Sample::One(ONE_OF));
        let shown = report.len().min(10);
        assert!(report.is_empty(), "{}", report[..shown].join("\n"));
    }
}

#[test]
fn power_loss_leaves_an_image_directory_at_one_of_its_names() {
    for temper in TEMPERS {
        let report = lose_in_operations(temper, temper, Sample::Image(ONE_OF));
        let shown = report.len().min(10);
        assert!(report.is_empty(), "{}", report[..shown].join("\n"));
    }
}

/// The premise of the order of steps, broken: the tests see that.
#[test]
fn false_claim_of_ordered_names_is_detected() {
    let (temper, says) = (Temper::Unordered, Temper::Ordered);
    let report = lose_in_operations(temper, says, Sample::One(8 * ONE_OF));
    assert!(!report.is_empty(), "no operation was left by half");
    let mut counts = Counts::default();
    let lived = (0..50).all(|seed| lives(seed, temper, says, &mut counts).is_ok());
    assert!(!lived, "nothing was lost that was synced");
}

/// A process that was killed leaves steps that are not on disk yet; the mount after it tidies up, and
/// only then the power goes.
#[test]
fn repair_after_a_kill_survives_power_loss() {
    for temper in TEMPERS {
        let mut losses = 0;
        let mut report = Vec::new();
        for sample in [Sample::One(8 * ONE_OF), Sample::Image(3 * ONE_OF)] {
            report.extend(in_operations(temper, temper, sample, |life, at, random| {
                losses += 1;
                life.kill_and_lose(at, random)
            }));
        }
        println!("{temper:?}: {losses} losses after a kill");
        assert!(losses > 0, "nothing was killed");
        assert!(
            report.is_empty(),
            "{}",
            report[..report.len().min(10)].join("\n")
        );
    }
}

/// An operation of the matrix as it was made.
struct Life<'a> {
    setting: Setting<'a>,
    disk: Disk,
    history: History,
}

impl Life<'_> {
    fn lose(&self, at: usize, random: &mut Random) -> Result<(), String> {
        lose(self.setting, (&self.disk, &self.history), at, random).map(drop)
    }

    /// Kills the process at the moment `at`, mounts what it left, and loses the power then or later.
    fn kill_and_lose(&self, at: usize, random: &mut Random) -> Result<(), String> {
        let disk = self.disk.killed_at(at);
        let overlay = self.setting.mount(&disk)?;
        let mut history = self.history.until(at);
        history.saw(&overlay, &disk);
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

/// Loses the power in operations of the matrix; complains of what that left.
fn lose_in_operations(temper: Temper, says: Temper, sample: Sample) -> Vec<String> {
    let mut counts = Counts::default();
    let report = in_operations(temper, says, sample, |life, at, random| {
        counts.operations += usize::from(at == 1);
        let mut tried = Ok(());
        for _ in 0..DRAWS {
            counts.losses += 1;
            tried = tried.and(life.lose(at, random));
        }
        tried
    });
    println!("{temper:?}: {counts:?}, {} failed", report.len());
    assert!(counts.losses > 0, "nothing was lost");
    report
}

/// Makes operations of the matrix, and tries something at every moment of each.
fn in_operations(
    temper: Temper,
    says: Temper,
    sample: Sample,
    mut tries: impl FnMut(&Life<'_>, usize, &mut Random) -> Result<(), String>,
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
                temper,
                says,
                fixed: match sample {
                    Sample::One(_) => Some(&[]),
                    Sample::Image(_) => Some(&fixed),
                },
            };
            let life = make(&cell, setting, op);
            let moments = life.disk.journal().moments().len();
            for at in 1..moments {
                if let Err(complaint) = tries(&life, at, &mut random) {
                    report.push(format!("{} | {op}\n  moment {at}: {complaint}", cell.name));
                }
            }
        }
    }
    report
}

fn make<'a>(cell: &Cell, setting: Setting<'a>, op: &str) -> Life<'a> {
    let disk = Disk::of(&cell.upper);
    disk.journal().record();
    let overlay = setting.mount(&disk).unwrap();
    if cell.start.prelude.is_some() {
        cell.given(&overlay);
        disk.journal().record();
    }
    let root = overlay.root();
    let mut history = History::default();
    history.saw(&overlay, &disk);
    let mut script = Script::new(&root, cell.start.place);
    for step in op.split(';') {
        script.call(step);
        history.saw(&overlay, &disk);
    }
    drop(script);
    overlay.close().unwrap();
    history.ended(&disk);
    Life {
        setting,
        disk,
        history,
    }
}

const PATHS: [&str; 10] = ["a", "b", "c", "d", "d/a", "d/b", "d/s", "d/s/b", "e", "e/a"];

fn step(random: &mut Random) -> String {
    let words = [
        "open.rwc",
        "open.rwcx",
        "open.t",
        "write",
        "write",
        "append",
        "append",
        "cut",
        "grow",
        "mkdir",
        "symlink a",
        "unlink",
        "unlink",
        "rmdir",
        "times",
        "rename",
        "rename",
        "rename",
        "rename",
        "link",
        "sync",
        "sync",
        "sync",
        "all",
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

/// The path without links to directories on the way. Links here lead to `a` beside them.
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

/// Lives of one upper: each ends with the power, and the next begins with what it left.
fn lives(seed: u64, temper: Temper, says: Temper, counts: &mut Counts) -> Result<(), String> {
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
        temper,
        says,
        fixed: (!seed.is_multiple_of(3)).then_some(&[]),
    };
    let mut disk = Disk::default();
    for _ in 0..3 {
        let mut told = Vec::new();
        disk.journal().record();
        let overlay = setting.mount(&disk)?;
        let root = overlay.root();
        let mut history = History::default();
        history.saw(&overlay, &disk);
        let mut script = Script::new(&root, "d/s");
        for _ in 0..10 + random.below(20) {
            let text = step(&mut random);
            let renamed = text.strip_prefix("rename ").and_then(|paths| {
                let (from, to) = paths.split_once(' ')?;
                Some((resolved(&root, from), resolved(&root, to)))
            });
            let answer = match text.as_str() {
                "all" => format!("{:?}", overlay.sync().is_ok()),
                text => script.call(text),
            };
            history.saw(&overlay, &disk);
            let promised = match (text.split_once(' '), answer.as_str()) {
                (None, "true") => Some(None),
                // What is synced through a link is what the link leads to. A file with several names
                // keeps one of them.
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
                    "{temper:?}, seed {seed}, {:?}: {told:#?}\n{complaint}",
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
    for temper in TEMPERS {
        let mut counts = Counts::default();
        for seed in 0..seeds {
            if let Err(complaint) = lives(seed, temper, temper, &mut counts) {
                panic!("{complaint}");
            }
        }
        println!("{temper:?}: {counts:?}");
    }
}
