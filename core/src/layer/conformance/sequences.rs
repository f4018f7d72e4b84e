//! Long random sequences of changes, compared with a model of the tree.

use super::kit::{Mounted, Seen, at, listing, name, ok, root, seen, write_all};
use crate::layer::{At, Leave, New, Over, Upper};
use std::collections::BTreeMap;

/// The names, few so that they collide.
const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// The number of sequences, each on an upper of its own.
const SEQUENCES: u64 = 8;

/// The number of changes in one sequence.
const CHANGES: usize = 200;

/// The maximum number of directories in a tree, few so that names collide.
const DIRS: usize = 8;

/// Makes random changes, the same on every run, and compares the whole tree after each.
///
/// # Panics
/// If the tree differs from the model; the message lists the changes that led there.
pub fn sequences<U: Upper>(make: &dyn Fn() -> U) {
    for seed in 1..=SEQUENCES {
        let upper = Mounted::new(make);
        let mut run = Run {
            upper: &*upper,
            state: seed,
            dirs: vec![Dir::of(root(&*upper))],
            files: Vec::new(),
            log: Vec::new(),
        };
        for _ in 0..CHANGES {
            run.change();
            run.compare();
        }
    }
}

struct Run<'a, U: Upper> {
    upper: &'a U,
    state: u64,
    /// The root first. Removed directories stay in the list, so that an index means one directory.
    dirs: Vec<Dir<U>>,
    files: Vec<Vec<u8>>,
    log: Vec<String>,
}

/// A directory, by the handle that it was first opened with, if handles follow renames.
struct Dir<U: Upper> {
    handle: U::Dir,
    slots: BTreeMap<&'static str, Slot>,
    opaque: bool,
    alive: bool,
    parent: usize,
}

impl<U: Upper> Dir<U> {
    fn of(handle: U::Dir) -> Self {
        Self {
            handle,
            slots: BTreeMap::new(),
            opaque: false,
            alive: true,
            parent: 0,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    Whiteout,
    /// With its index in `Run::files`.
    File(usize),
    Link,
    /// With its index in `Run::dirs`.
    Dir(usize),
}

/// A name in a directory of the model.
#[derive(Clone, Copy, Debug)]
struct Spot(usize, &'static str);

impl<U: Upper> Run<'_, U> {
    fn random(&mut self, below: usize) -> usize {
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 33) as usize % below
    }

    fn alive(&self) -> impl Iterator<Item = usize> {
        (0..self.dirs.len()).filter(|&dir| self.dirs[dir].alive)
    }

    /// Any name, with an entry or without.
    fn spot(&mut self) -> Spot {
        let dirs: Vec<_> = self.alive().collect();
        Spot(
            dirs[self.random(dirs.len())],
            NAMES[self.random(NAMES.len())],
        )
    }

    /// A name with an entry that fits. `None` if there is none.
    fn entry(&mut self, fits: impl Fn(&Self, Spot) -> bool) -> Option<Spot> {
        let entries: Vec<_> = self
            .alive()
            .flat_map(|dir| self.dirs[dir].slots.keys().map(move |text| Spot(dir, text)))
            .filter(|&spot| self.slot(spot) != Some(Slot::Whiteout) && fits(self, spot))
            .collect();
        match entries.len() {
            0 => None,
            count => Some(entries[self.random(count)]),
        }
    }

    fn empty_dir(&mut self) -> Option<Spot> {
        self.entry(|run, spot| run.over(spot) == Some(Over::EmptyDir))
    }

    fn at(&self, spot: Spot) -> At<'_, U::Dir> {
        at(&self.dirs[spot.0].handle, spot.1)
    }

    fn slot(&self, spot: Spot) -> Option<Slot> {
        self.dirs[spot.0].slots.get(spot.1).copied()
    }

    fn shows_nothing(&self, dir: usize) -> bool {
        self.dirs[dir]
            .slots
            .values()
            .all(|slot| *slot == Slot::Whiteout)
    }

    /// The `Over` that the engine would pass for a name. `None` for a directory that is not empty.
    fn over(&self, spot: Spot) -> Option<Over> {
        match self.slot(spot) {
            None => Some(Over::Nothing),
            Some(Slot::Whiteout) => Some(Over::Whiteout),
            Some(Slot::File(_) | Slot::Link) => Some(Over::File),
            Some(Slot::Dir(dir)) => self.shows_nothing(dir).then_some(Over::EmptyDir),
        }
    }

    fn change(&mut self) {
        let to = match self.random(6) {
            0 => self.empty_dir().unwrap_or(Spot(0, NAMES[0])),
            _ => self.spot(),
        };
        let leave = [Leave::Nothing, Leave::Whiteout][self.random(2)];
        let keep_times = self.random(2) == 0;
        match (self.random(12), self.entry(|_, _| true)) {
            (0, _) => self.create_file(to),
            (1, _) => self.create_link(to),
            (2..=3, _) => self.make_dir(to, keep_times),
            (4, _) => self.publish_file(to, keep_times),
            (5, _) => self.remove(to, Leave::Whiteout),
            (6, Some(at)) => self.remove(at, leave),
            (7..=10, Some(from)) => self.rename(from, to, leave),
            (11, Some(from)) => self.link(from, to),
            _ => {}
        }
    }

    fn create_file(&mut self, to: Spot) {
        let Some(over @ (Over::Nothing | Over::Whiteout)) = self.over(to) else {
            return;
        };
        self.log
            .push(format!("create a file at {to:?} over {over:?}"));
        let data = format!("file {}", self.files.len()).into_bytes();
        match ok("create", self.upper.create(New::File, self.at(to), over)) {
            Some(file) => write_all(&file, &data, 0),
            None => panic!("a new file came without an open file"),
        }
        self.set(to, Slot::File(self.files.len()));
        self.files.push(data);
    }

    fn create_link(&mut self, to: Spot) {
        let Some(over @ (Over::Nothing | Over::Whiteout)) = self.over(to) else {
            return;
        };
        self.log
            .push(format!("create a link at {to:?} over {over:?}"));
        let new = New::Symlink(b"target");
        ok("create", self.upper.create(new, self.at(to), over));
        self.set(to, Slot::Link);
    }

    fn make_dir(&mut self, to: Spot, keep_times: bool) {
        let Some(over) = self.over(to).filter(|over| *over != Over::File) else {
            return;
        };
        if self.alive().count() == DIRS {
            return;
        }
        let opaque = over != Over::Nothing;
        self.log
            .push(format!("make a directory at {to:?} over {over:?}"));
        let new = New::Dir { opaque };
        if opaque {
            let staged = ok("stage", self.upper.stage(new));
            let published = self.upper.publish(staged, self.at(to), over, keep_times);
            ok("publish", published);
        } else {
            ok("create", self.upper.create(new, self.at(to), over));
        }
        let opened = self.upper.open_dir(&self.dirs[to.0].handle, name(to.1));
        let mut dir = Dir::of(ok("open_dir", opened));
        dir.opaque = opaque;
        dir.parent = to.0;
        self.set(to, Slot::Dir(self.dirs.len()));
        self.dirs.push(dir);
    }

    fn publish_file(&mut self, to: Spot, keep_times: bool) {
        let Some(over) = self.over(to).filter(|over| *over != Over::EmptyDir) else {
            return;
        };
        self.log
            .push(format!("publish a file at {to:?} over {over:?}"));
        let data = format!("copy {}", self.files.len()).into_bytes();
        let staged = ok("stage", self.upper.stage(New::File));
        match self.upper.staged_file(&staged) {
            Some(file) => write_all(file, &data, 0),
            None => panic!("a staged file has no data"),
        }
        let published = self.upper.publish(staged, self.at(to), over, keep_times);
        assert!(
            ok("publish", published).is_some(),
            "no open file was published"
        );
        self.set(to, Slot::File(self.files.len()));
        self.files.push(data);
    }

    fn remove(&mut self, at: Spot, leave: Leave) {
        let Some(what) = self.over(at) else {
            return;
        };
        self.log
            .push(format!("remove {what:?} at {at:?}, leaving {leave:?}"));
        ok("remove", self.upper.remove(self.at(at), what, leave));
        self.leave(at, leave, true);
    }

    fn rename(&mut self, from: Spot, to: Spot, leave: Leave) {
        let (Some(moving), Some(over)) = (self.slot(from), self.over(to)) else {
            return;
        };
        let fits = match (moving, over) {
            (Slot::Whiteout, _) => false,
            (_, Over::Nothing | Over::Whiteout) => true,
            (Slot::Dir(_), over) => over == Over::EmptyDir,
            (_, over) => over == Over::File,
        };
        if !fits || self.slot(to) == Some(moving) {
            return;
        }
        if let Slot::Dir(dir) = moving {
            if self.lies_in(to.0, dir) {
                return;
            }
            if over != Over::Nothing {
                let opaque = self.upper.set_opaque(&self.dirs[dir].handle);
                ok("set_opaque", opaque);
                self.dirs[dir].opaque = true;
            }
            self.dirs[dir].parent = to.0;
        }
        self.log.push(format!(
            "rename {from:?} to {to:?} over {over:?}, leaving {leave:?}"
        ));
        let renamed = self.upper.rename(self.at(from), self.at(to), over, leave);
        ok("rename", renamed);
        self.leave(from, leave, false);
        self.set(to, moving);
        if matches!(moving, Slot::Dir(_)) && !self.upper.handles_follow_rename() {
            self.open_anew();
        }
    }

    /// Reopens all directories by their present names.
    fn open_anew(&mut self) {
        let mut next = vec![0];
        while let Some(above) = next.pop() {
            let inner: Vec<_> = self.dirs[above]
                .slots
                .iter()
                .filter_map(|(text, slot)| match slot {
                    Slot::Dir(dir) => Some((*text, *dir)),
                    Slot::Whiteout | Slot::File(_) | Slot::Link => None,
                })
                .collect();
            for (text, dir) in inner {
                let opened = self.upper.open_dir(&self.dirs[above].handle, name(text));
                self.dirs[dir].handle = ok("open_dir", opened);
                next.push(dir);
            }
        }
    }

    fn link(&mut self, from: Spot, to: Spot) {
        let (Some(Slot::File(file)), Some(over @ (Over::Nothing | Over::Whiteout))) =
            (self.slot(from), self.over(to))
        else {
            return;
        };
        self.log
            .push(format!("link {from:?} to {to:?} over {over:?}"));
        ok("link", self.upper.link(self.at(from), self.at(to), over));
        self.set(to, Slot::File(file));
    }

    fn lies_in(&self, mut dir: usize, above: usize) -> bool {
        while dir != 0 && dir != above {
            dir = self.dirs[dir].parent;
        }
        dir == above
    }

    fn set(&mut self, spot: Spot, slot: Slot) {
        if let Some(Slot::Dir(old)) = self.dirs[spot.0].slots.insert(spot.1, slot) {
            self.dirs[old].alive = false;
        }
    }

    fn leave(&mut self, spot: Spot, leave: Leave, ends: bool) {
        let old = match leave {
            Leave::Nothing => self.dirs[spot.0].slots.remove(spot.1),
            Leave::Whiteout => self.dirs[spot.0].slots.insert(spot.1, Slot::Whiteout),
        };
        if let (Some(Slot::Dir(old)), true) = (old, ends) {
            self.dirs[old].alive = false;
        }
    }

    /// Compares the whole tree, from the root, with the model.
    fn compare(&self) {
        let log = || self.log.join("\n");
        let mut rest = vec![(0, root(self.upper))];
        while let Some((index, dir)) = rest.pop() {
            let model = &self.dirs[index];
            let names = listing(self.upper, &dir).len();
            assert_eq!(names, model.slots.len(), "other names after:\n{}", log());
            for (text, slot) in &model.slots {
                let expected = match *slot {
                    Slot::Whiteout => Seen::Hidden,
                    Slot::File(file) => Seen::File(self.files[file].clone()),
                    Slot::Link => Seen::Symlink(b"target".to_vec()),
                    Slot::Dir(inner) => {
                        let opened = self.upper.open_dir(&dir, name(text));
                        rest.push((inner, ok("open_dir", opened)));
                        let opaque = self.dirs[inner].opaque;
                        Seen::Dir { opaque }
                    }
                };
                let found = seen(self.upper, &dir, name(text));
                assert_eq!(found, expected, "{text} is another after:\n{}", log());
            }
        }
    }
}
