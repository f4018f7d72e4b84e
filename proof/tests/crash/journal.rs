//! The state of a filesystem at every moment, and the states that a power loss can leave.
//!
//! ```text
//!   names      1  2  3  4  5  6  7      kept in order: a loss leaves the first n operations,
//!                       └ synced        and all that were synced
//!   data       each file separately: synced data stays, other data is lost, present or torn
//! ```
//! That is [`NameOrder::Ordered`]; `unordered.rs` has the other case.

use crate::disk::{Names, ROOT};
use crate::random::Random;
use crate::unordered::names_left;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use wasi_overlay_core::{Kind, Result};

pub(crate) type Files = BTreeMap<u64, Content>;

/// The unsynced directory operations that survive a power loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NameOrder {
    /// The first ones, as on ext4 and xfs.
    Ordered,
    /// Any of them, as on btrfs.
    Unordered,
}

pub(crate) const NAME_ORDERS: [NameOrder; 2] = [NameOrder::Ordered, NameOrder::Unordered];

/// A sync.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Synced {
    File(u64),
    Dir(u64),
    All,
}

/// The data of a file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Content {
    pub(crate) now: Arc<Vec<u8>>,
    /// The data at the last sync.
    synced: Arc<Vec<u8>>,
    /// Whether it has been at another name than the one at which it was created.
    pub(crate) is_published: bool,
    /// Whether it was written after that. Earlier data is synced by the engine, later data by the guest.
    pub(crate) is_written: bool,
    /// Whether the data left by a loss was synced.
    is_synced: bool,
}

impl Content {
    pub(crate) fn made(is_published: bool) -> Self {
        Self {
            is_published,
            ..Self::default()
        }
    }

    pub(crate) fn settled(data: Vec<u8>) -> Self {
        let now = Arc::new(data);
        Self {
            synced: Arc::clone(&now),
            now,
            is_published: true,
            is_written: false,
            is_synced: true,
        }
    }

    fn sync(&mut self) {
        self.synced = Arc::clone(&self.now);
    }

    /// The data that a power loss leaves.
    fn torn(&self, random: &mut Random) -> Vec<u8> {
        let (old, new) = (&*self.synced, &*self.now);
        if old == new {
            return new.clone();
        }
        let longest = old.len().max(new.len());
        let length = match random.below(4) {
            0 => old.len(),
            1 => random.below(longest + 1),
            _ => new.len(),
        };
        // Blocks of a few bytes, since the files are small.
        let block = 1 + random.below(8);
        let mut left = Vec::with_capacity(length);
        while left.len() < length {
            let from = match random.below(3) {
                0 => Some(old),
                1 => Some(new),
                _ => None,
            };
            for _ in 0..block.min(length - left.len()) {
                let byte = from.and_then(|data| data.get(left.len()));
                left.push(byte.copied().unwrap_or(0));
            }
        }
        left
    }
}

/// The state of a filesystem.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    pub(crate) names: Names,
    pub(crate) files: Files,
    /// The last moment whose names are all on disk.
    durable: usize,
}

impl Moment {
    pub(crate) fn new(names: Names, files: Files) -> Self {
        Self {
            names,
            files,
            durable: 0,
        }
    }

    pub(crate) fn content(&self, inode: u64) -> Arc<Vec<u8>> {
        let content = self.files.get(&inode);
        content.map_or_else(Arc::default, |content| Arc::clone(&content.now))
    }

    /// Every path, with the inode number and kind of its file.
    pub(crate) fn paths(&self) -> Vec<(String, u64, Kind)> {
        let mut paths = Vec::new();
        let mut pending = vec![(String::new(), ROOT)];
        while let Some((above, dir)) = pending.pop() {
            for (name, &number) in self.names.inode(dir).unwrap().entries().unwrap() {
                let path = format!("{above}/{}", name.escape_ascii());
                let kind = self.names.inode(number).unwrap().kind();
                if kind == Kind::Dir {
                    pending.push((path.clone(), number));
                }
                paths.push((path, number, kind));
            }
        }
        paths
    }

    /// Paths that an upper must not contain between two calls: staged files, and whiteouts beside entries.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        let paths = self.paths();
        let all: BTreeSet<_> = paths.iter().map(|(path, ..)| path.as_str()).collect();
        let is_unsteady = |path: &&str| {
            let (parent, name) = path.rsplit_once('/').unwrap_or_default();
            parent == "/.wh..wh.work" || all.contains(format!("{parent}/.wh.{name}").as_str())
        };
        all.iter()
            .copied()
            .filter(is_unsteady)
            .map(str::to_owned)
            .collect()
    }

    pub(crate) fn has_work_folder(&self) -> bool {
        let root = self.names.inode(ROOT).unwrap().entries().unwrap();
        root.contains_key(&b".wh..wh.work"[..])
    }

    /// Files whose data the guest wrote (and did not sync, with `and_not_synced`), by their paths in `later`.
    pub(crate) fn written(&self, later: &Moment, and_not_synced: bool) -> BTreeSet<String> {
        let is_written = |number: &u64| {
            self.files
                .get(number)
                .is_some_and(|content| content.is_written && !(and_not_synced && content.is_synced))
        };
        let paths = later.paths().into_iter();
        paths
            .filter(|(_, number, _)| is_written(number))
            .map(|(path, ..)| path)
            .collect()
    }
}

/// The states since the journal was started.
#[derive(Debug)]
pub(crate) struct Journal {
    moments: Vec<Moment>,
    /// When the names in a directory last changed.
    touched: BTreeMap<u64, usize>,
    /// Syncs, with their moments.
    syncs: Vec<(usize, Synced)>,
    /// Whether earlier moments are kept.
    keeps: bool,
}

impl Default for Journal {
    fn default() -> Self {
        Self::new(Moment::new(Names::empty(), Files::new()))
    }
}

impl Journal {
    pub(crate) fn new(moment: Moment) -> Self {
        Self {
            moments: vec![moment],
            touched: BTreeMap::new(),
            syncs: Vec::new(),
            keeps: false,
        }
    }

    pub(crate) fn now(&self) -> &Moment {
        &self.moments[self.moments.len() - 1]
    }

    /// Starts again with everything on disk, and records every moment from here on.
    pub(crate) fn record(&mut self) {
        let mut now = self.now().clone();
        now.durable = 0;
        for content in now.files.values_mut() {
            *content = Content::settled(content.now.to_vec());
        }
        *self = Self::new(now);
        self.keeps = true;
    }

    /// The journal as it was at a moment.
    pub(crate) fn until(&self, moment: usize) -> Self {
        Self {
            moments: self.moments[..=moment].to_vec(),
            touched: self.touched_until(moment),
            syncs: self
                .syncs
                .iter()
                .copied()
                .filter(|(at, _)| *at <= moment)
                .collect(),
            keeps: true,
        }
    }

    /// When the names in each directory last changed up to a moment.
    fn touched_until(&self, moment: usize) -> BTreeMap<u64, usize> {
        let mut touched = BTreeMap::new();
        for (at, pair) in self.moments[..=moment].windows(2).enumerate() {
            for (&number, inode) in &pair[1].names.inodes {
                let before = pair[0]
                    .names
                    .inode(number)
                    .and_then(|inode| inode.entries());
                if inode.entries().ok() != before.ok() {
                    touched.insert(number, at + 1);
                }
            }
        }
        touched
    }

    /// Forgets all moments but the last.
    pub(crate) fn forget(&mut self) {
        self.moments.drain(..self.moments.len() - 1);
        self.keeps = false;
    }

    pub(crate) fn moments(&self) -> &[Moment] {
        &self.moments
    }

    /// Makes an atomic change of the names of `dirs`.
    pub(crate) fn change<T>(
        &mut self,
        dirs: &[u64],
        change: impl FnOnce(&mut Names, &mut Files) -> Result<T>,
    ) -> Result<T> {
        let mut next = self.now().clone();
        let done = change(&mut next.names, &mut next.files)?;
        let when = self.moments.len();
        self.touched.extend(dirs.iter().map(|&dir| (dir, when)));
        self.push(next);
        Ok(done)
    }

    fn push(&mut self, moment: Moment) {
        if self.keeps {
            self.moments.push(moment);
        } else {
            self.moments = vec![moment];
        }
    }

    /// Syncs the data of a file.
    pub(crate) fn sync_file(&mut self, inode: u64) {
        let mut next = self.now().clone();
        if let Some(content) = next.files.get_mut(&inode) {
            content.sync();
        }
        self.push_sync(next, Synced::File(inode));
    }

    /// Syncs the names in a directory, with every earlier operation.
    pub(crate) fn sync_dir(&mut self, dir: u64) {
        let mut next = self.now().clone();
        if let Some(&touched) = self.touched.get(&dir) {
            next.durable = next.durable.max(touched);
        }
        self.push_sync(next, Synced::Dir(dir));
    }

    /// Syncs everything.
    pub(crate) fn sync_all(&mut self) {
        let mut next = self.now().clone();
        next.files.values_mut().for_each(Content::sync);
        next.durable = self.moments.len() - 1;
        self.push_sync(next, Synced::All);
    }

    fn push_sync(&mut self, moment: Moment, what: Synced) {
        self.push(moment);
        if self.keeps {
            self.syncs.push((self.moments.len() - 1, what));
        }
    }

    /// A state that a power loss at a moment may leave.
    pub(crate) fn lose_power(&self, at: usize, order: NameOrder, random: &mut Random) -> Moment {
        let now = &self.moments[at];
        let names = match order {
            NameOrder::Ordered => {
                let kept = now.durable + random.below(at - now.durable + 1);
                self.moments[kept].names.clone()
            }
            NameOrder::Unordered => names_left(&self.moments[..=at], &self.syncs, random),
        };
        let mut left = Moment::new(names, Files::new());
        for (&number, content) in &now.files {
            let mut settled = Content::settled(content.torn(random));
            settled.is_written = content.is_written;
            settled.is_synced = content.now == content.synced;
            left.files.insert(number, settled);
        }
        left
    }
}
