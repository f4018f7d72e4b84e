//! The calls on the reference.

use super::walk::Last;
use super::{Body, Id, Open, Reference};
use crate::mount::{Held, May, Mount};
use wasi_overlay_core::{Errno, Identity, Kind, OpenHow, SetTime, SetTimes, Stat};

fn last(follow: bool) -> Last {
    if follow { Last::Follow } else { Last::Stop }
}

/// The identity of a node, whose number is unique.
fn identity_of(id: Id) -> Identity {
    Identity {
        lower: id as u64,
        upper: 0,
    }
}

fn id_of(held: &Held<Id, Open>) -> Id {
    match held {
        Held::Dir(id) => *id,
        Held::File(file) => file.id,
    }
}

impl Reference {
    /// The node at a path.
    pub fn find(&self, dir: Id, path: &str, follow: bool) -> Result<Id, Errno> {
        self.existing(&self.resolve(dir, path, last(follow))?)
    }

    fn set_node_times(&mut self, id: Id, times: SetTimes) {
        if let SetTime::To(time) = times.modified {
            self.nodes[id].seconds = u64::try_from(time.seconds).ok();
            self.touched.insert(id);
        }
    }

    fn file_data(&mut self, file: Open) -> &mut Vec<u8> {
        self.changed(file.id);
        match &mut self.nodes[file.id].body {
            Body::File(data) => data,
            Body::Dir(_) | Body::Link(_) => panic!("{} is not a file", file.id),
        }
    }
}

impl Mount for Reference {
    type Dir = Id;
    type File = Open;

    fn may(&self, file: &Open) -> May {
        May {
            read: file.read,
            write: file.write,
        }
    }

    fn read(&mut self, file: &Open, offset: u64, length: u64) -> Result<Vec<u8>, Errno> {
        if !file.read {
            return Err(Errno::BadDescriptor);
        }
        let data = self.data(file.id).unwrap_or_default();
        let start = (offset as usize).min(data.len());
        let end = start.saturating_add(length as usize).min(data.len());
        Ok(data[start..end].to_vec())
    }

    fn write(&mut self, file: &Open, offset: u64, new: &[u8]) -> Result<usize, Errno> {
        if !file.write {
            return Err(Errno::BadDescriptor);
        }
        let (start, end) = (offset as usize, offset as usize + new.len());
        let data = self.file_data(*file);
        data.resize(data.len().max(end), 0);
        data[start..end].copy_from_slice(new);
        Ok(new.len())
    }

    fn append(&mut self, file: &Open, new: &[u8]) -> Result<(), Errno> {
        if !file.write {
            return Err(Errno::BadDescriptor);
        }
        self.file_data(*file).extend_from_slice(new);
        Ok(())
    }

    fn set_size(&mut self, file: &Open, size: u64) -> Result<(), Errno> {
        if !file.write {
            return Err(Errno::Invalid);
        }
        self.file_data(*file).resize(size as usize, 0);
        Ok(())
    }

    fn stat(&mut self, held: &Held<Id, Open>) -> Result<Stat, Errno> {
        Ok(self.stat_of(id_of(held)))
    }

    fn identity(&mut self, held: &Held<Id, Open>) -> Result<Identity, Errno> {
        Ok(identity_of(id_of(held)))
    }

    fn set_times(&mut self, held: &Held<Id, Open>, times: SetTimes) -> Result<(), Errno> {
        self.set_node_times(id_of(held), times);
        Ok(())
    }

    fn sync(&mut self, _held: &Held<Id, Open>) -> Result<(), Errno> {
        Ok(())
    }

    fn open_at(&mut self, dir: &Id, path: &str, how: OpenHow) -> Result<Held<Id, Open>, Errno> {
        if how.directory && (how.create || how.exclusive || how.truncate) {
            return Err(Errno::Invalid);
        }
        let write = how.write || how.create || how.truncate;
        let read = how.read || !how.write;
        let last = if how.create {
            Last::Create {
                follow: how.follow && !how.exclusive,
            }
        } else {
            last(how.follow)
        };
        let walked = self.resolve(*dir, path, last)?;
        let Some(id) = walked.found else {
            if !how.create {
                return Err(Errno::NoEntry);
            }
            let id = self.create(&walked, Body::File(Vec::new()))?;
            return Ok(Held::File(Open { id, read, write }));
        };
        if how.create && how.exclusive {
            return Err(Errno::Exist);
        }
        match &self.nodes[id].body {
            Body::Dir(_) if write => Err(Errno::IsDirectory),
            Body::Dir(_) => Ok(Held::Dir(id)),
            Body::File(_) | Body::Link(_) if walked.wants_dir => Err(Errno::NotDirectory),
            Body::Link(_) => Err(Errno::Loop),
            Body::File(_) if how.directory => Err(Errno::NotDirectory),
            Body::File(_) => {
                let file = Open { id, read, write };
                if how.truncate {
                    self.file_data(file).clear();
                }
                Ok(Held::File(file))
            }
        }
    }

    fn list(&mut self, dir: &Id) -> Result<Vec<(String, Kind)>, Errno> {
        let names = self.names(*dir);
        Ok(names
            .map(|(name, id)| (name.to_owned(), self.stat_of(id).kind))
            .collect())
    }

    fn stat_at(&mut self, dir: &Id, path: &str, follow: bool) -> Result<Stat, Errno> {
        Ok(self.stat_of(self.find(*dir, path, follow)?))
    }

    fn identity_at(&mut self, dir: &Id, path: &str, follow: bool) -> Result<Identity, Errno> {
        Ok(identity_of(self.find(*dir, path, follow)?))
    }

    fn set_times_at(
        &mut self,
        dir: &Id,
        path: &str,
        follow: bool,
        times: SetTimes,
    ) -> Result<(), Errno> {
        let id = self.find(*dir, path, follow)?;
        self.set_node_times(id, times);
        Ok(())
    }

    fn create_directory_at(&mut self, dir: &Id, path: &str) -> Result<(), Errno> {
        self.mkdir(*dir, path)
    }

    fn remove_directory_at(&mut self, dir: &Id, path: &str) -> Result<(), Errno> {
        self.rmdir(*dir, path)
    }

    fn unlink_file_at(&mut self, dir: &Id, path: &str) -> Result<(), Errno> {
        self.unlink(*dir, path)
    }

    fn symlink_at(&mut self, target: &str, dir: &Id, path: &str) -> Result<(), Errno> {
        self.symlink(target, *dir, path)
    }

    fn readlink_at(&mut self, dir: &Id, path: &str) -> Result<String, Errno> {
        let id = self.find(*dir, path, false)?;
        match &self.nodes[id].body {
            Body::Link(target) => Ok(target.clone()),
            Body::Dir(_) | Body::File(_) => Err(Errno::Invalid),
        }
    }

    fn link_at(&mut self, dir: &Id, path: &str, new_dir: &Id, new_path: &str) -> Result<(), Errno> {
        self.link((*dir, path), (*new_dir, new_path))
    }

    fn rename_at(
        &mut self,
        dir: &Id,
        path: &str,
        new_dir: &Id,
        new_path: &str,
    ) -> Result<(), Errno> {
        self.rename((*dir, path), (*new_dir, new_path))
    }
}
