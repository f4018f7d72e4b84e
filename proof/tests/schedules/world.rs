//! A small tree, and threads that make the calls of scripts on it.

use crate::Outcome;
use wasi_overlay_core::layer::MemoryLayer;
use wasi_overlay_core::plain::HostDir;
use wasi_overlay_core::plain::faulty::{Faults, Faulty};
use wasi_overlay_core::whiteouts::Marked;
use wasi_overlay_core::{Kind, Limits, Lower, OpenHow, Opened, Overlay};
use wasi_overlay_proof::Script;
use wasi_overlay_proof::kit::{capability, scratch};
use wasi_overlay_proof::outcome::{self, text};

/// A kind of mount.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mount {
    Memory,
    /// Memory, with almost empty caches.
    MemorySmallCaches,
    Directory,
    /// A directory, with almost empty caches: the overlay evicts a file when the last handle closes.
    DirectorySmallCaches,
    /// As that, on storage that cannot rename a directory: it moves by copying.
    FixedDirectories,
}

pub(crate) struct World {
    overlay: Overlay,
    temp: Option<tempfile::TempDir>,
}

/// The handles and answers of a thread.
pub(crate) struct Worker {
    overlay: Overlay,
    script: Script,
    answers: Vec<String>,
}

fn lower() -> Lower {
    let layer = MemoryLayer::build()
        .file("d/f", "low")
        .file("d/g", "low")
        .file("d/s/x", "low")
        .dir("d/o")
        .file("e/h", "low")
        .file("w", "low");
    Lower::new("lower", layer.finish().unwrap())
}

fn small_caches() -> Limits {
    let mut limits = Limits::default();
    (limits.kept_handles, limits.table_entries) = (1, 1);
    (limits.kept_nodes, limits.kept_listings) = (1, 1);
    limits.recent_dirs = 1;
    limits
}

impl World {
    pub(crate) fn new(mount: Mount) -> Self {
        let builder = Overlay::builder().lower(lower()).volatile(true);
        let mut temp = None;
        let builder = match mount {
            Mount::Memory => builder.upper_memory(1 << 20),
            Mount::MemorySmallCaches => builder.upper_memory(1 << 20).limits(small_caches()),
            Mount::Directory | Mount::DirectorySmallCaches | Mount::FixedDirectories => {
                let dir = capability(temp.insert(scratch()).path());
                let builder = match mount {
                    Mount::Directory => builder,
                    _ => builder.limits(small_caches()),
                };
                match mount {
                    Mount::FixedDirectories => {
                        let plain = Faulty::new(HostDir::new(dir, "upper"), &Faults::default());
                        builder.upper("upper", Marked::upper(plain.with_all_dirs_fixed()))
                    }
                    _ => builder.upper_dir("upper", dir),
                }
            }
        };
        Self {
            overlay: builder.build().unwrap(),
            temp,
        }
    }

    pub(crate) fn worker(&self) -> Worker {
        Worker {
            overlay: self.overlay.clone(),
            script: Script::new(&self.overlay.root(), "."),
            answers: Vec::new(),
        }
    }

    /// The answers and the final tree.
    pub(crate) fn end(self, answers: Vec<Vec<String>>) -> Outcome {
        let mut outcome: Vec<_> = answers.into_iter().map(|a| a.join("; ")).collect();
        if outcome.iter().any(|answers| answers.starts_with("unmount")) {
            // The tree of a closed overlay shows only what was cached.
            return outcome;
        }
        outcome.push("left:".to_owned());
        let mut found = Vec::new();
        let mut dirs = vec![(String::new(), self.overlay.root())];
        while let Some((path, dir)) = dirs.pop() {
            let listing = match dir.list() {
                Ok(listing) => listing,
                Err(error) => {
                    found.push(format!("{path}/ {:?}", error.errno()));
                    continue;
                }
            };
            for entry in listing.iter() {
                let name = entry.name.to_str().unwrap();
                let path = format!("{path}/{name}");
                let more = match dir.open_at(name, OpenHow::default()) {
                    Ok(Opened::File(file)) => {
                        let attribute =
                            dir.as_overlay()
                                .unwrap()
                                .xattr_at(name, false, b"user.mark");
                        let is_marked = attribute.is_ok_and(|value| value.is_some());
                        let (data, links) = (text(outcome::data(&file)), text(links(&file)));
                        format!("{data} {links}{}", if is_marked { " marked" } else { "" })
                    }
                    Ok(Opened::Dir(dir)) => {
                        dirs.push((path.clone(), dir));
                        "dir".to_owned()
                    }
                    Err(error) => format!("{:?}", error.errno()),
                };
                found.push(format!("{path} {more}"));
            }
        }
        found.sort();
        outcome.extend(found);
        if let Some(temp) = &self.temp {
            text(self.overlay.close().map(|()| ""));
            let mut left = Vec::new();
            for entry in std::fs::read_dir(temp.path()).unwrap() {
                let name = entry.unwrap().file_name();
                if name.to_string_lossy().starts_with(".wh..wh.") {
                    left.push(name);
                }
            }
            assert!(left.is_empty(), "staging is left: {left:?}");
        }
        outcome
    }
}

impl Worker {
    pub(crate) fn call(&mut self, call: &str) {
        let answer = match call {
            "unmount" => text(self.overlay.close().map(|()| "done")),
            call => self.script.call(call),
        };
        self.answers.push(format!("{call}: {answer}"));
    }

    pub(crate) fn answers(self) -> Vec<String> {
        self.answers
    }
}

fn links(file: &wasi_overlay_core::File) -> wasi_overlay_core::Result<String> {
    let stat = file.stat()?;
    assert_eq!(stat.kind, Kind::File);
    Ok(format!("x{}", stat.links))
}
