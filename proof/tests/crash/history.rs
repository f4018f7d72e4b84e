//! The trees that an overlay showed, as the oracle of what a power loss may leave.
//!
//! Where the filesystem keeps directory operations in order, a loss leaves the names of one of the
//! trees that were shown, not older than a sync promised. Where it does not, each name is one that
//! was shown since it was last synced, and all names that one call changed are from before that call
//! or from after it: of a rename, neither both names are left nor none.
//!
//! Every file is whole whose data the guest did not write itself since its last sync.

use crate::cell::without_dir_times;
use crate::disk::Disk;
use crate::journal::Temper;
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

/// A file, or everything, that was synced after so many steps.
#[derive(Clone, Debug)]
pub(crate) struct Promise {
    pub(crate) step: usize,
    pub(crate) path: Option<String>,
}

/// What an overlay showed.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    /// After each step, the first before any.
    pub(crate) views: Vec<Vec<String>>,
    pub(crate) promises: Vec<Promise>,
    /// Renames that were made: the step, and both paths.
    pub(crate) renames: Vec<(usize, String, String)>,
    /// The step that was under way at each moment of the disk.
    steps: Vec<usize>,
}

impl History {
    pub(crate) fn saw(&mut self, overlay: &Overlay, disk: &Disk) {
        let step = self.views.len();
        self.steps.resize(disk.journal().moments().len(), step);
        self.show(overlay);
    }

    /// Takes note of what an overlay shows.
    pub(crate) fn show(&mut self, overlay: &Overlay) {
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

    /// The overlay was closed.
    pub(crate) fn ended(&mut self, disk: &Disk) {
        let step = self.views.len();
        self.steps.resize(disk.journal().moments().len(), step);
    }

    /// The step that was under way at a moment of the disk.
    pub(crate) fn step_at(&self, moment: usize) -> usize {
        self.steps[moment]
    }

    /// Complains of what a loss in the step `under_way` left.
    pub(crate) fn judge(
        &self,
        temper: Temper,
        under_way: usize,
        written: &Written,
        seen: &[String],
    ) -> Result<(), String> {
        match temper {
            Temper::Ordered => self.judge_ordered(under_way, written, seen),
            Temper::Unordered => self.judge_unordered(under_way, written, seen),
        }
    }

    fn judge_ordered(
        &self,
        under_way: usize,
        written: &Written,
        seen: &[String],
    ) -> Result<(), String> {
        let candidates = &self.views[..(under_way + 1).min(self.views.len())];
        let promises = self
            .promises
            .iter()
            .filter(|promise| promise.step < under_way);
        let fits = |step: usize, view: &Vec<String>| {
            are_alike(seen, view, &written.all)
                && promises
                    .clone()
                    .all(|promise| self.keeps(promise, (step, under_way), seen, &written.unsynced))
        };
        let mut steps = candidates.iter().enumerate().rev();
        if steps.any(|(step, view)| fits(step, view)) {
            return Ok(());
        }
        Err(format!(
            "in step {under_way} the power went; {seen:#?}, {written:?}, is none of {:#?} \
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
        let last = under_way.min(self.views.len() - 1);
        let since = self.views.get(promise.step..=last).unwrap_or_default();
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

/// A tree by path. Of directories only that they are there: each name in one is judged by itself.
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
    /// Where names are kept in no order.
    fn judge_unordered(
        &self,
        under_way: usize,
        written: &Written,
        seen: &[String],
    ) -> Result<(), String> {
        let last = under_way.min(self.views.len() - 1);
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
            let shown = self.shown(&views, path, last + 1, under_way);
            let keeps_data = !written.unsynced.contains(path);
            let is_left = |(step, line): &(usize, Option<&str>)| {
                is_as(left.get(path).copied(), *line, keeps_data).then_some(*step)
            };
            let steps: BTreeSet<usize> = shown.iter().filter_map(is_left).collect();
            if steps.is_empty() {
                return Err(format!(
                    "in step {under_way} the power went; {path} is{:?}, which is none of {shown:#?}",
                    left.get(path),
                ));
            }
            fits.insert(path, steps);
        }
        for step in 1..=last {
            let (before, after) = (&views[step - 1], &views[step]);
            let changed = paths.iter().filter(|path| {
                let (before, after) = (before.get(*path), after.get(*path));
                !is_as(before.copied(), after.copied(), true)
            });
            let changed: Vec<&str> = changed.copied().collect();
            let all = |side: &dyn Fn(&usize) -> bool| {
                changed.iter().all(|path| fits[path].iter().any(side))
            };
            if !all(&|at| *at < step) && !all(&|at| *at >= step) {
                return Err(format!(
                    "in step {under_way} the power went; of step {step} there is a half: {:#?} of {seen:#?}, {written:?}",
                    changed
                        .iter()
                        .map(|path| (path, &fits[path]))
                        .collect::<Vec<_>>(),
                ));
            }
        }
        Ok(())
    }

    /// What `path` may be, of the steps before `end`: what was shown there since it was last synced,
    /// and where a directory was moved there, what was shown at the old name before. Each with the step
    /// from which on it may be seen.
    fn shown<'a>(
        &self,
        views: &[Lines<'a>],
        path: &str,
        end: usize,
        under_way: usize,
    ) -> Vec<(usize, Option<&'a str>)> {
        let since = self.promised(path, under_way);
        let mut shown: Vec<_> = (since..end)
            .map(|step| (step, views[step].get(path).copied()))
            .collect();
        for (step, from, to) in &self.renames {
            let inside = path.strip_prefix(to.as_str());
            let Some(inside) = inside.filter(|rest| rest.starts_with('/')) else {
                continue;
            };
            if (since..end).contains(step) {
                let before = self.shown(views, &format!("{from}{inside}"), *step, under_way);
                shown.extend(before.into_iter().map(|(_, line)| (*step, line)));
            }
        }
        shown
    }

    /// The last step after which `path` was synced: by itself, with the directory that it is in, or with
    /// everything.
    fn promised(&self, path: &str, under_way: usize) -> usize {
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        let holds = |promise: &&Promise| {
            let of = promise.path.as_deref();
            promise.step < under_way && of.is_none_or(|of| of == path || of == parent)
        };
        let steps = self
            .promises
            .iter()
            .filter(holds)
            .map(|promise| promise.step);
        steps.max().unwrap_or(0)
    }
}

/// Whether what is left at a path is what was shown there. Times and the number of names belong to the
/// file and not to the path, so each may be of another step.
fn is_as(left: Option<&str>, shown: Option<&str>, keeps_data: bool) -> bool {
    let (Some(left), Some(shown)) = (left, shown) else {
        return left.is_none() && shown.is_none();
    };
    if keeps_data {
        as_promised(left) == as_promised(shown)
    } else {
        left.split(' ').nth(1) == shown.split(' ').nth(1)
    }
}
