//! The layers of a plan as tar archives, with oddities that must not change what the layers mean.

use crate::archive::{Archive, EntryType, Header, header};
use crate::layers::{Layer, SET, What};
use crate::merged::{self, Merged};
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// What is odd about an archive.
#[derive(Clone, Copy)]
struct Oddities(u64);

impl Oddities {
    /// Names come before the directories that contain them.
    const REVERSED: u64 = 1;
    /// Each file has an earlier entry with other data.
    const STALE: u64 = 1 << 1;
    /// Each file is a hard link to a hidden one, which comes later.
    const LINKED: u64 = 1 << 2;
    /// A symbolic link comes first in the place of each directory.
    const REPLACED: u64 = 1 << 3;
    /// Paths have slashes and dots that mean nothing.
    const DOTTED: u64 = 1 << 4;
    /// Opaque directories and whiteouts are those of the kernel.
    const KERNEL: u64 = 1 << 5;

    fn has(self, oddity: u64) -> bool {
        self.0 & oddity != 0
    }
}

impl Layer {
    /// The layer as an archive, above layers that merge to `below`. Directories without an entry in the
    /// layer have none in the archive if they exist below, so that they take their times from there
    /// ([`Merged::of_archives`]).
    ///
    /// # Panics
    /// If a name has no room in a header.
    pub fn archive(&self, number: usize, below: &Merged) -> Vec<u8> {
        let mut hasher = DefaultHasher::new();
        (number, self.to_string()).hash(&mut hasher);
        let odd = Oddities(hasher.finish());
        let mut visible = below.clone();
        visible.hide(self, number);
        let own: BTreeSet<&str> = self.entries().iter().map(|entry| &*entry.path).collect();
        let mut all = self.all(number);
        all.retain(|(path, _, _)| own.contains(path) || !is_dir(&visible, path));
        let mut archive = Archive::default();
        for (path, what, _) in &all {
            match what {
                What::Dir { .. } if odd.has(Oddities::REPLACED) => {
                    archive = archive.symlink(*path, b"elsewhere");
                }
                What::File(_) if odd.has(Oddities::STALE) => {
                    archive = archive.file(*path, b"stale");
                }
                _ => {}
            }
        }
        if odd.has(Oddities::REVERSED) {
            all.reverse();
        }
        for (path, what, time) in all {
            archive = add(archive, odd, path, what, time);
        }
        archive.finished()
    }
}

fn is_dir(merged: &Merged, path: &str) -> bool {
    let node = merged.0.get(path);
    node.is_some_and(|node| node.kind == merged::Kind::Dir)
}

fn add(mut archive: Archive, odd: Oddities, path: &str, what: &What, time: u64) -> Archive {
    let spelled = if odd.has(Oddities::DOTTED) {
        format!("./{}", path.replace('/', "//./"))
    } else {
        path.to_owned()
    };
    let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
    let time = format!("{time}.{SET:09}");
    let mut records: Vec<(&str, &[u8])> = vec![("mtime", time.as_bytes())];
    let mut entry = |archive: Archive, header: Header, path: &str, data: &[u8]| {
        let records = std::mem::take(&mut records);
        archive.records(&records).entry(header, path, data)
    };
    match what {
        What::Dir { opaque } => {
            let is_kernel = odd.has(Oddities::KERNEL);
            if *opaque && is_kernel {
                archive = archive.file(format!("{path}/.wh..wh.aufs"), b"");
                records.push(("SCHILY.xattr.trusted.overlay.opaque", b"y"));
            }
            let path = format!("{spelled}/");
            let header = header(EntryType::Directory, 0);
            archive = archive.records(&records).entry(header, &path, b"");
            if *opaque && !is_kernel {
                archive = archive.file(format!("{path}.wh..wh..opq"), b"");
            }
        }
        What::File(text) if odd.has(Oddities::LINKED) => {
            let hidden = format!(".wh..wh.plnk/{}", path.replace('/', "."));
            archive = archive.link(&spelled, &hidden);
            let header = header(EntryType::Regular, text.len() as u64);
            archive = entry(archive, header, &hidden, text.as_bytes());
        }
        What::File(text) => {
            let header = header(EntryType::Regular, text.len() as u64);
            archive = entry(archive, header, &spelled, text.as_bytes());
        }
        What::Link(target) => {
            let header = header(EntryType::Symlink, 0);
            records.push(("linkpath", target.as_bytes()));
            archive = archive.records(&records).entry(header, &spelled, b"");
        }
        What::Whiteout if odd.has(Oddities::KERNEL) => {
            archive = archive.device(&spelled, EntryType::Char, 0, 0);
        }
        What::Whiteout => {
            let dir = if above.is_empty() {
                String::new()
            } else {
                format!("{above}/")
            };
            archive = archive.file(format!("{dir}.wh.{name}"), b"");
        }
    }
    archive
}
