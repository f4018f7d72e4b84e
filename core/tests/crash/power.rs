//! A loss of power in durable mode: names are there in the order in which they were made, what
//! was synced is there, and no copy is half.
//!
//! The trees that the overlay showed after each step are the oracle. What a loss leaves must
//! show the names of one of them, not older than a sync promised, and every file whole whose data
//! the guest did not write itself since its last sync.

use crate::cell::{
    MODES, Mode, cells, disks, is_all, is_in_sample, is_wanted, mount, next_calls, next_ends,
    planted, without_dir_times,
};
use crate::disk::Disk;
use crate::journal::Moment;
use crate::ops::OPS;
use crate::random::Random;
use crate::script::Script;
use crate::tree::{dir, file, link};
use crate::view::tree;
use std::collections::BTreeSet;
use wasi_overlay_core::Overlay;

/// One of so many cells is in the sample.
const ONE_OF: usize = 8;
/// Losses tried at each moment of an operation.
const DRAWS: usize = 2;

#[derive(Debug, Default)]
struct Counts {
    operations: usize,
    losses: usize,
}

/// A file, or everything, that was synced after so many steps.
#[derive(Clone, Debug)]
struct Promise {
    step: usize,
    path: Option<String>,
}

/// What an overlay showed.
#[derive(Debug, Default)]
struct History {
    /// After each step, the first before any.
    views: Vec<Vec<String>>,
    promises: Vec<Promise>,
    /// The step that was under way at each moment of the disk.
    steps: Vec<usize>,
}

impl History {
    fn saw(&mut self, overlay: &Overlay, disk: &Disk) {
        let step = self.views.len();
        self.steps.resize(disk.journal().moments().len(), step);
        self.views.push(without_dir_times(tree(&overlay.root())));
    }

    /// Complains of what a loss at the moment `at` left.
    fn judge(&self, at: usize, left: &Moment, seen: &[String]) -> Result<(), String> {
        let (written, torn) = (left.written(false), left.written(true));
        let under_way = self.steps[at];
        let candidates = &self.views[..(under_way + 1).min(self.views.len())];
        let promises = self
            .promises
            .iter()
            .filter(|promise| promise.step < under_way);
        let fits = |step: usize, view: &Vec<String>| {
            are_alike(seen, view, &written)
                && promises
                    .clone()
                    .all(|promise| self.keeps(promise, (step, under_way), seen, &torn))
        };
        let mut steps = candidates.iter().enumerate().rev();
        if steps.any(|(step, view)| fits(step, view)) {
            return Ok(());
        }
        Err(format!(
            "in step {under_way} the power went; {seen:#?}, written {written:?}, is none of {:#?} \
             that keeps {:?}",
            candidates, self.promises
        ))
    }

    /// Whether a tree with the names of after `step`, left in the step `under_way`, keeps a
    /// promise.
    fn keeps(
        &self,
        promise: &Promise,
        (step, under_way): (usize, usize),
        seen: &[String],
        torn: &BTreeSet<String>,
    ) -> bool {
        let Some(path) = &promise.path else {
            return step >= promise.step;
        };
        let line = |view: &[String]| {
            let line = view.iter().find(|line| path_of(line) == path);
            line.map(|line| as_promised(line))
        };
        let promised = line(&self.views[promise.step]);
        // It may have been written, renamed or removed since.
        let since = self.views.get(promise.step..=under_way).unwrap_or_default();
        let stays = since.iter().all(|view| line(view) == promised);
        !stays || torn.contains(path) || line(seen) == promised
    }
}

/// A file's time goes with the names here, and its other names are other names: a sync of the file
/// promises neither.
fn as_promised(line: &str) -> String {
    let mut words: Vec<_> = line.splitn(7, ' ').collect();
    if words.get(1) == Some(&"File") {
        words.drain(4..6);
    }
    words.join(" ")
}

fn path_of(line: &str) -> &str {
    line.split(' ').next().unwrap_or_default()
}

/// Whether what is seen is `view`, up to the data of files that the guest wrote: data and names
/// reach the disk each by itself.
fn are_alike(seen: &[String], view: &[String], written: &BTreeSet<String>) -> bool {
    let is_alike = |(seen, view): (&String, &String)| {
        let (path, kind) = (path_of(seen), seen.split(' ').nth(1));
        seen == view
            || (written.contains(path)
                && path == path_of(view)
                && kind == Some("File")
                && kind == view.split(' ').nth(1))
    };
    seen.len() == view.len() && seen.iter().zip(view).all(is_alike)
}

/// Loses the power at the moment `at` and mounts what is left.
fn lose(
    lowers: &[Moment],
    mode: Mode,
    (disk, history): (&Disk, &History),
    at: usize,
    random: &mut Random,
) -> Result<Disk, String> {
    let left = disk.journal().lose_power(at, random);
    let again = Disk::of(&left);
    let mounted = mount(disks(lowers), mode.upper(again.clone()), false);
    let overlay = mounted.map_err(|error| format!("it cannot be mounted: {error}"))?;
    let seen = without_dir_times(tree(&overlay.root()));
    history.judge(at, &left, &seen)?;
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
fn an_operation_is_not_half_there_when_the_power_goes() {
    let mut counts = Counts::default();
    let mut report = Vec::new();
    let mut random = Random::new(11);
    let mut number = 0;
    for cell in cells() {
        for op in OPS {
            number += 1;
            if !is_wanted(&cell.name, op) || !is_in_sample(number, ONE_OF) {
                continue;
            }
            let mode = MODES[number % 2];
            let disk = Disk::of(&cell.upper);
            let overlay = mount(disks(&cell.lowers), mode.upper(disk.clone()), false).unwrap();
            cell.given(&overlay);
            let root = overlay.root();
            disk.journal().record();
            let mut history = History::default();
            history.saw(&overlay, &disk);
            let mut script = Script::new(&root, cell.start.slot);
            for step in op.split(';') {
                script.take(step);
                history.saw(&overlay, &disk);
            }
            let moments = disk.journal().moments().len();
            counts.operations += usize::from(moments > 1);
            for at in (1..moments).flat_map(|at| [at; DRAWS]) {
                counts.losses += 1;
                let tried = lose(&cell.lowers, mode, (&disk, &history), at, &mut random);
                if let Err(complaint) = tried {
                    report.push(format!("{} | {op}\n  moment {at}: {complaint}", cell.name));
                }
            }
        }
    }
    println!("{counts:?}, {} failed", report.len());
    assert!(counts.losses > 0, "nothing was lost");
    let shown = report.len().min(10);
    assert!(report.is_empty(), "{}", report[..shown].join("\n"));
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
        _ => format!("{word} {path}"),
    }
}

/// Lives of one upper: each ends with the power, and the next begins with what it left.
fn lives(seed: u64, counts: &mut Counts) -> Result<(), String> {
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
    let mode = MODES[random.below(2)];
    let mut disk = Disk::default();
    for _ in 0..3 {
        let mut told = Vec::new();
        let overlay = mount(disks(&lowers), mode.upper(disk.clone()), false).unwrap();
        let root = overlay.root();
        disk.journal().record();
        let mut history = History::default();
        history.saw(&overlay, &disk);
        let mut script = Script::new(&root, "d/s");
        for _ in 0..10 + random.below(20) {
            let text = step(&mut random);
            let answer = match text.as_str() {
                "all" => format!("{:?}", overlay.sync().is_ok()),
                text => script.take(text),
            };
            history.saw(&overlay, &disk);
            let promised = match (text.split_once(' '), answer.as_str()) {
                (None, "true") => Some(None),
                // What is synced through a link is what the link leads to.
                (Some(("sync", path)), "done") if root.readlink_at(path).is_err() => {
                    Some(Some(format!("/{path}")))
                }
                _ => None,
            };
            told.push(format!("{text}: {answer}"));
            if let Some(path) = promised {
                let step = history.views.len() - 1;
                history.promises.push(Promise { step, path });
            }
            counts.operations += 1;
        }
        let moments = disk.journal().moments().len();
        let mut next = None;
        for _ in 0..30 {
            counts.losses += 1;
            let at = random.below(moments);
            let lost = lose(&lowers, mode, (&disk, &history), at, &mut random);
            next = Some(lost.map_err(|complaint| format!("seed {seed}: {told:#?}\n{complaint}"))?);
        }
        disk = next.unwrap_or_default();
    }
    Ok(())
}

#[test]
fn what_was_synced_is_there_when_the_power_went() {
    let seeds = if is_all() { 5_000 } else { 150 };
    let mut counts = Counts::default();
    for seed in 0..seeds {
        if let Err(complaint) = lives(seed, &mut counts) {
            panic!("{complaint}");
        }
    }
    println!("{counts:?}");
}
