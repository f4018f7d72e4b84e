//! The oracle of power losses: the trees that an overlay showed before the loss.
//!
//! If the filesystem keeps directory operations in order, a loss leaves the names of one of the trees that were
//! shown, not older than the last sync. If not, each name is one that was shown since its last sync, and all
//! names that one call changed are from before that call, or all from after it: a rename leaves exactly one of
//! its names.
//!
//! A file is complete unless the guest wrote it after its last sync.

use crate::cell::without_dir_times;
use crate::disk::Disk;
use crate::journal::NameOrder;
use std::collections::{BTreeMap, BTreeSet};
use wasi_overlay_core::Overlay;
use wasi_overlay_proof::view::tree;

/// Paths of files whose data the guest wrote.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// All of them.
    pub(crate) all: BTreeSet<String>,
    /// Those whose data was not synced afterwards.
    pub(crate) unsynced: BTreeSet<String>,
}

/// A sync of a file, or of everything.
#[derive(Clone, Debug)]
pub(crate) struct Promise {
    pub(crate) step: usize,
    pub(crate) path: Option<String>,
}

/// The trees that an overlay showed, and its syncs and renames.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    /// The tree at the start and after each step.
    pub(crate) views: Vec<Vec<String>>,
    pub(crate) promises: Vec<Promise>,
    /// The step and both paths of each successful rename.
    pub(crate) renames: Vec<(usize, String, String)>,
    /// The step that was running at each moment of the disk.
    steps: Vec<usize>,
}

impl History {
    pub(crate) fn record(&mut self, overlay: &Overlay, disk: &Disk) {
        let step = self.views.len();
        self.steps.resize(disk.journal().moments().len(), step);
        self.record_view(overlay);
    }

    /// Records the tree of an overlay.
    pub(crate) fn record_view(&mut self, overlay: &Overlay) {
        self.views.push(without_dir_times(tree(&overlay.root())));
    }

    /// The history up to a moment of the disk.
    pub(crate) fn until(&self, moment: usize) -> Self {
        let mut until = self.clone();
        let step = self.steps[moment];
        until.steps.truncate(moment + 1);
        until.views.truncate(step + 1);
        until.promises.retain(|promise| promise.step < step);
        until.renames.retain(|(made, ..)| *made <= step);
        until
    }

    /// Records that the overlay was closed.
    pub(crate) fn ended(&mut self, disk: &Disk) {
        let step = self.views.len();
        self.steps.resize(disk.journal().moments().len(), step);
    }

    /// The step that was running at a moment of the disk.
    pub(crate) fn step_at(&self, moment: usize) -> usize {
        self.steps[moment]
    }

    /// Checks the tree that a loss in the step `current` left.
    pub(crate) fn check(
        &self,
        order: NameOrder,
        current: usize,
        written: &Written,
        seen: &[String],
    ) -> Result<(), String> {
        match order {
            NameOrder::Ordered => self.check_ordered(current, written, seen),
            NameOrder::Unordered => self.check_unordered(current, written, seen),
        }
    }

    fn check_ordered(
        &self,
        current: usize,
        written: &Written,
        seen: &[String],
    ) -> Result<(), String> {
        let candidates = &self.views[..(current + 1).min(self.views.len())];
        let promises = self
            .promises
            .iter()
            .filter(|promise| promise.step < current);
        let fits = |step: usize, view: &Vec<String>| {
            views_match(seen, view, &written.all)
                && promises
                    .clone()
                    .all(|promise| self.keeps(promise, (step, current), seen, &written.unsynced))
        };
        let mut steps = candidates.iter().enumerate().rev();
        if steps.any(|(step, view)| fits(step, view)) {
            return Ok(());
        }
        Err(format!(
            "loss in step {current}: {seen:#?}, {written:?}, is none of {:#?} that keeps {:?}",
            candidates, self.promises
        ))
    }

    /// Whether the tree after `step`, left by a loss in the step `current`, keeps a promise.
    fn keeps(
        &self,
        promise: &Promise,
        (step, current): (usize, usize),
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
        // It may have changed since.
        let last = current.min(self.views.len() - 1);
        let since = self.views.get(promise.step..=last).unwrap_or_default();
        let stays = since.iter().all(|view| line(view) == promised);
        !stays || torn.contains(path) || line(seen) == promised
    }
}

/// A line without the file's time and link count, which a sync of the file does not promise.
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

/// Whether a tree equals `view`, except for the data of files that the guest wrote, since data and names reach the
/// disk separately.
fn views_match(seen: &[String], view: &[String], written: &BTreeSet<String>) -> bool {
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

/// The lines of a tree by path. A directory has no details, since each of its names is checked separately.
type Lines<'a> = BTreeMap<&'a str, &'a str>;

fn lines(view: &[String]) -> Lines<'_> {
    let line = |line: &'_ String| -> (usize, usize) {
        let path = path_of(line).len();
        let is_dir = line[path..].starts_with(" Dir");
        (
            path,
            if is_dir {
                path + " Dir".len()
            } else {
                line.len()
            },
        )
    };
    let view = view.iter().filter(|line| path_of(line) != ".");
    view.map(|text| {
        let (path, end) = line(text);
        (&text[..path], &text[path..end])
    })
    .collect()
}

impl History {
    /// Checks a loss on a filesystem that does not keep names in order.
    fn check_unordered(
        &self,
        current: usize,
        written: &Written,
        seen: &[String],
    ) -> Result<(), String> {
        let last = current.min(self.views.len() - 1);
        let views: Vec<Lines<'_>> = self.views[..=last].iter().map(|view| lines(view)).collect();
        let left = lines(seen);
        let paths: BTreeSet<&str> = views
            .iter()
            .chain([&left])
            .flat_map(BTreeMap::keys)
            .copied()
            .collect();
        let mut fits: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
        for &path in &paths {
            let shown = self.shown(&views, path, last + 1, current);
            let keeps_data = !written.unsynced.contains(path);
            let is_left = |(step, line): &(usize, Option<&str>)| {
                lines_match(left.get(path).copied(), *line, keeps_data).then_some(*step)
            };
            let steps: BTreeSet<usize> = shown.iter().filter_map(is_left).collect();
            if steps.is_empty() {
                return Err(format!(
                    "loss in step {current}: {path} is{:?}, which is none of {shown:#?}",
                    left.get(path),
                ));
            }
            fits.insert(path, steps);
        }
        for step in 1..=last {
            let (before, after) = (&views[step - 1], &views[step]);
            let changed = paths.iter().filter(|path| {
                let (before, after) = (before.get(*path), after.get(*path));
                !lines_match(before.copied(), after.copied(), true)
            });
            let changed: Vec<&str> = changed.copied().collect();
            let all = |side: &dyn Fn(&usize) -> bool| {
                changed.iter().all(|path| fits[path].iter().any(side))
            };
            if !all(&|at| *at < step) && !all(&|at| *at >= step) {
                return Err(format!(
                    "loss in step {current}: step {step} is half done: {:#?} of {seen:#?}, {written:?}",
                    changed
                        .iter()
                        .map(|path| (path, &fits[path]))
                        .collect::<Vec<_>>(),
                ));
            }
        }
        Ok(())
    }

    /// The lines that a loss may leave at `path`, of the steps before `end`: those shown there since its last sync,
    /// and those shown at the old name if a directory was moved there. Each has the first step that may show it.
    fn shown<'a>(
        &self,
        views: &[Lines<'a>],
        path: &str,
        end: usize,
        current: usize,
    ) -> Vec<(usize, Option<&'a str>)> {
        let since = self.promised(path, current);
        let mut shown: Vec<_> = (since..end)
            .map(|step| (step, views[step].get(path).copied()))
            .collect();
        for (step, from, to) in &self.renames {
            let inside = path.strip_prefix(to.as_str());
            let Some(inside) = inside.filter(|rest| rest.starts_with('/')) else {
                continue;
            };
            if (since..end).contains(step) {
                let before = self.shown(views, &format!("{from}{inside}"), *step, current);
                shown.extend(before.into_iter().map(|(_, line)| (*step, line)));
            }
        }
        shown
    }

    /// The last step that synced `path`, its directory, or everything.
    fn promised(&self, path: &str, current: usize) -> usize {
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        let holds = |promise: &&Promise| {
            let of = promise.path.as_deref();
            promise.step < current && of.is_none_or(|of| of == path || of == parent)
        };
        let steps = self
            .promises
            .iter()
            .filter(holds)
            .map(|promise| promise.step);
        steps.max().unwrap_or(0)
    }
}

/// Whether the line left at a path is the one shown there. Times and link counts belong to the file and not to the
/// path, so they may be from another step.
fn lines_match(left: Option<&str>, shown: Option<&str>, keeps_data: bool) -> bool {
    let (Some(left), Some(shown)) = (left, shown) else {
        return left.is_none() && shown.is_none();
    };
    if keeps_data {
        as_promised(left) == as_promised(shown)
    } else {
        left.split(' ').nth(1) == shown.split(' ').nth(1)
    }
}
