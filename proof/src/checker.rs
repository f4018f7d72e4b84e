//! The comparison of a mount with the reference: the names in each directory, and the metadata and data of files.

use crate::deviations::Deviation;
use crate::reference::{Id, ROOT, Reference};
use crate::{run, snapshot};
use std::collections::{BTreeSet, HashMap, HashSet};
use wasi_overlay_core::{Dir, File, Identity, Kind, Opened, Stat};

/// The comparison of one mount, with the identities that it has shown. They must not change.
#[derive(Debug)]
pub struct Checker {
    known: HashMap<Id, Identity>,
    /// Whether inode numbers of the upper are stable. Otherwise an evicted directory gets a new identity, and
    /// listings may have 0.
    has_inodes: bool,
}

impl Checker {
    /// A comparison of a mount whose upper has stable inode numbers, or not.
    pub fn new(has_inodes: bool) -> Self {
        Self {
            known: HashMap::new(),
            has_inodes,
        }
    }

    /// Compares some directories and their entries.
    ///
    /// # Errors
    /// The first difference.
    pub fn dirs(
        &mut self,
        reference: &Reference,
        root: &Dir,
        dirs: &BTreeSet<Id>,
    ) -> Result<(), String> {
        for &id in dirs {
            let Some(path) = reference.path(id) else {
                continue;
            };
            let dir = match path.as_str() {
                "" => root.clone(),
                path => match root.open_at(path, snapshot::READ) {
                    Ok(Opened::Dir(dir)) => dir,
                    other => return Err(format!("{path} is not a directory: {other:?}")),
                },
            };
            self.dir(reference, id, &dir, &path, &mut Vec::new())?;
        }
        Ok(())
    }

    /// Compares the whole tree, and checks that different files have different identities.
    ///
    /// # Errors
    /// The first difference.
    pub fn tree(&mut self, reference: &Reference, root: &Dir) -> Result<(), String> {
        let mut left = vec![(ROOT, root.clone(), String::new())];
        while let Some((id, dir, path)) = left.pop() {
            self.dir(reference, id, &dir, &path, &mut left)?;
        }
        let mut seen = HashSet::new();
        for dir in reference.directories() {
            let names = reference.names(dir).map(|(_, id)| id);
            let all: BTreeSet<_> = names.filter(|id| !reference.were_one(*id, *id)).collect();
            for id in all
                .into_iter()
                .filter(|id| reference.is_first_name(dir, *id))
            {
                let identity = self.known.get(&id);
                if identity.is_some_and(|identity| !seen.insert(*identity)) {
                    return Err(format!(
                        "{:?} has a file with the identity of another",
                        reference.path(dir)
                    ));
                }
            }
        }
        Ok(())
    }

    fn dir(
        &mut self,
        reference: &Reference,
        id: Id,
        dir: &Dir,
        path: &str,
        inside: &mut Vec<(Id, Dir, String)>,
    ) -> Result<(), String> {
        let fail = |what: String| format!("in {path:?}: {what}");
        let found = dir.stat().and_then(|stat| Ok((stat, dir.identity()?)));
        let found = found.map_err(|error| fail(format!("stat: {error:?}")))?;
        self.stat(reference, id, &found).map_err(fail)?;
        let listing = dir
            .list()
            .map_err(|error| fail(format!("list: {error:?}")))?;
        let mut entries: Vec<_> = listing.iter().collect();
        entries.sort_by_key(|entry| entry.name);
        let expected: Vec<_> = reference.names(id).collect();
        let same = entries.iter().map(|entry| entry.name.as_bytes());
        if !same.eq(expected.iter().map(|(name, _)| name.as_bytes())) {
            let found: Vec<_> = entries.iter().map(|entry| entry.name.to_string()).collect();
            let expected: Vec<_> = expected.iter().map(|(name, _)| name).collect();
            return Err(fail(format!("expected {expected:?}, found {found:?}")));
        }
        for (entry, (name, id)) in entries.into_iter().zip(expected) {
            let fail = |what: String| fail(format!("{name}: {what}"));
            let found = dir
                .stat_and_identity_at(name, false)
                .map_err(|error| fail(format!("stat: {error:?}")))?;
            self.stat(reference, id, &found).map_err(fail)?;
            let (stat, identity) = found;
            if entry.kind != stat.kind {
                return Err(fail(format!("listed as {:?}", entry.kind)));
            }
            let inode = entry
                .inode()
                .map_err(|error| fail(format!("inode number: {error:?}")))?;
            let has_inode = self.has_inodes || (inode != 0 && stat.kind != Kind::Dir);
            if has_inode && inode != identity.lower {
                return Err(fail("listed with another inode number".to_owned()));
            }
            if let Some(below) = self.data(reference, id, dir, name, &stat).map_err(fail)? {
                let slash = if path.is_empty() { "" } else { "/" };
                inside.push((id, below, format!("{path}{slash}{name}")));
            }
        }
        Ok(())
    }

    /// Compares the contents of a file or link; opens a directory.
    fn data(
        &self,
        reference: &Reference,
        id: Id,
        dir: &Dir,
        name: &str,
        stat: &Stat,
    ) -> Result<Option<Dir>, String> {
        if stat.kind == Kind::Symlink {
            let target = dir
                .readlink_at(name)
                .map_err(|error| format!("readlink: {error:?}"))?;
            return if Some(target.as_bytes()) == reference.data(id) {
                Ok(None)
            } else {
                Err(format!("another target: {target}"))
            };
        }
        match dir.open_at(name, snapshot::READ) {
            Ok(Opened::Dir(dir)) => Ok(Some(dir)),
            Ok(Opened::File(file)) => self.file(reference, id, &file).map(|()| None),
            Err(error) => Err(format!("open: {error:?}")),
        }
    }

    /// Compares the data of a file that is open for reading.
    ///
    /// # Errors
    /// The difference.
    pub fn file(&self, reference: &Reference, id: Id, file: &File) -> Result<(), String> {
        let expected = reference.data(id).unwrap_or_default();
        // Small files are read into a buffer on the stack, which is longer than expected.
        let mut buffer = [0; 64];
        let mut long = Vec::new();
        let buffer = if expected.len() < buffer.len() {
            &mut buffer[..]
        } else {
            long.resize(expected.len() + 1, 0);
            &mut long[..]
        };
        let read = file
            .read_at(buffer, 0)
            .map_err(|error| format!("read: {error:?}"))?;
        if buffer[..read] == *expected {
            Ok(())
        } else {
            Err(format!(
                "expected \"{}\", found \"{}\"",
                expected.escape_ascii(),
                buffer[..read].escape_ascii()
            ))
        }
    }

    /// Compares the metadata of a file, and checks that its identity is unchanged.
    ///
    /// # Errors
    /// The difference.
    pub fn stat(
        &mut self,
        reference: &Reference,
        id: Id,
        (found, identity): &(Stat, Identity),
    ) -> Result<(), String> {
        let mut expected = reference.stat_of(id);
        let has_twins = reference.were_one(id, id) && Deviation::LowerHardLinks.is_listed();
        if has_twins {
            expected.links = found.links;
        } else if (self.has_inodes || found.kind != Kind::Dir)
            && *self.known.entry(id).or_insert(*identity) != *identity
        {
            return Err("another file than before".to_owned());
        }
        let is_set = |stat: &Stat| match stat.modified.nanoseconds {
            crate::layers::SET => Some(stat.modified.seconds),
            _ => None,
        };
        let same = expected.kind == found.kind
            && is_set(&expected) == is_set(found)
            && (expected.kind == Kind::Dir && Deviation::Attributes.is_listed()
                || expected.size == found.size && expected.links == found.links);
        if same {
            Ok(())
        } else {
            Err(format!(
                "expected {}, found {}",
                run::shown(&expected),
                run::shown(found)
            ))
        }
    }
}
