//! Calls that change names, with the checks in the order of Linux and wasmtime-wasi.

use super::walk::{Last, Walked};
use super::{Body, Entries, Id, Reference};
use wasi_overlay_core::Errno;

impl Reference {
    /// Creates a node at the end of a walk.
    pub(super) fn create(&mut self, walked: &Walked, body: Body) -> Result<Id, Errno> {
        let name = self.new_name(walked)?;
        let id = self.make(body, None);
        self.attach(walked.dir, &name, id);
        self.changed(walked.dir);
        Ok(id)
    }

    fn new_name(&self, walked: &Walked) -> Result<String, Errno> {
        match (&walked.name, walked.found) {
            (Some(name), None) => self.allowed(name).cloned(),
            (Some(_), Some(_)) | (None, _) => Err(Errno::Exist),
        }
    }

    fn allowed<'a>(&self, name: &'a String) -> Result<&'a String, Errno> {
        if self.reserves_names && name.starts_with(".wh.") {
            Err(Errno::NotPermitted)
        } else {
            Ok(name)
        }
    }

    pub(super) fn mkdir(&mut self, base: Id, path: &str) -> Result<(), Errno> {
        let walked = self.resolve(base, path, Last::Name)?;
        self.create(&walked, Body::Dir(Entries::default()))?;
        Ok(())
    }

    pub(super) fn symlink(&mut self, target: &str, base: Id, path: &str) -> Result<(), Errno> {
        if target.starts_with('/') {
            return Err(Errno::NotPermitted);
        }
        let walked = self.resolve(base, path, Last::Stop)?;
        if target.is_empty() {
            return Err(Errno::NoEntry);
        }
        if walked.wants_dir {
            self.existing(&walked)?;
        }
        self.create(&walked, Body::Link(target.to_owned()))?;
        Ok(())
    }

    pub(super) fn rmdir(&mut self, base: Id, path: &str) -> Result<(), Errno> {
        let walked = self.resolve(base, path, Last::Stop)?;
        let dir = walked.there()?;
        if !self.is_dir(dir) {
            return Err(Errno::NotDirectory);
        }
        // A path that ends in a slash, `.` or `..` has no name to remove. POSIX allows a slash; wasmtime-wasi
        // does not.
        if walked.wants_dir {
            return Err(Errno::Invalid);
        }
        if !self.entries(dir).names.is_empty() {
            return Err(Errno::NotEmpty);
        }
        self.drop_name(&walked);
        Ok(())
    }

    pub(super) fn unlink(&mut self, base: Id, path: &str) -> Result<(), Errno> {
        let walked = self.resolve(base, path, Last::Stop)?;
        if self.is_dir(walked.there()?) {
            return Err(Errno::IsDirectory);
        }
        self.existing(&walked)?;
        self.drop_name(&walked);
        Ok(())
    }

    /// Removes the name at the end of a walk.
    fn drop_name(&mut self, walked: &Walked) {
        if let Some(name) = &walked.name {
            self.entries_mut(walked.dir).names.remove(name);
            self.changed(walked.dir);
        }
        if let Some(id) = walked.found {
            self.lost_a_name(id);
        }
    }

    fn lost_a_name(&mut self, id: Id) {
        if self.is_dir(id) {
            let entries = self.entries_mut(id);
            (entries.is_removed, entries.place) = (true, None);
        } else {
            self.nodes[id].links -= 1;
        }
        self.touched.insert(id);
    }

    pub(super) fn link(
        &mut self,
        (base, path): (Id, &str),
        (new_base, new_path): (Id, &str),
    ) -> Result<(), Errno> {
        let old = self.walk(base, path, Last::Stop)?;
        // A path with a trailing slash is opened as a directory, before the next path is resolved.
        if old.wants_dir {
            self.existing(&old)?;
        }
        let new = self.walk(new_base, new_path, Last::Stop)?;
        if new.wants_dir {
            self.existing(&new)?;
        }
        let file = self.existing(&old)?;
        if let Some(errno) = new.refused {
            return Err(errno);
        }
        if new.found.is_some() {
            return Err(Errno::Exist);
        }
        if self.is_dir(file) {
            return Err(Errno::NotPermitted);
        }
        let name = self.new_name(&new)?;
        self.attach(new.dir, &name, file);
        self.nodes[file].links += 1;
        self.touched.insert(file);
        self.changed(new.dir);
        Ok(())
    }

    pub(super) fn rename(
        &mut self,
        (base, path): (Id, &str),
        (new_base, new_path): (Id, &str),
    ) -> Result<(), Errno> {
        let old = self.walk(base, path, Last::Name)?;
        let new = self.walk(new_base, new_path, Last::Name)?;
        let (Some(old_name), Some(new_name)) = (&old.name, &new.name) else {
            return Err(Errno::Busy);
        };
        let moved = old.there()?;
        if let Some(errno) = new.refused {
            return Err(errno);
        }
        let is_dir = self.is_dir(moved);
        if !is_dir && (old.wants_dir || new.wants_dir) {
            return Err(Errno::NotDirectory);
        }
        if is_dir && self.is_above(moved, new.dir) {
            return Err(Errno::Invalid);
        }
        if let Some(over) = new.found {
            if self.is_above(over, old.dir) {
                return Err(Errno::NotEmpty);
            }
            if over == moved {
                return Ok(());
            }
            match (is_dir, self.is_dir(over)) {
                (true, false) => return Err(Errno::NotDirectory),
                (false, true) => return Err(Errno::IsDirectory),
                (true, true) if !self.entries(over).names.is_empty() => {
                    return Err(Errno::NotEmpty);
                }
                (true, true) | (false, false) => {}
            }
        }
        self.allowed(new_name)?;
        self.entries_mut(old.dir).names.remove(old_name);
        if let Some(over) = new.found {
            self.lost_a_name(over);
        }
        self.attach(new.dir, new_name, moved);
        self.changed(old.dir);
        self.changed(new.dir);
        self.touched.insert(moved);
        Ok(())
    }

    /// Whether `above` is `node` or above it.
    fn is_above(&self, above: Id, node: Id) -> bool {
        let mut at = node;
        loop {
            if at == above {
                return true;
            }
            if !self.is_dir(at) {
                return false;
            }
            match &self.entries(at).place {
                Some((dir, _)) => at = *dir,
                None => return false,
            }
        }
    }
}
