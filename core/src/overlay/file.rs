//! [`OverlayFile`], an open file of an overlay. It stays valid through copy-up, rename and removal.

use super::Shared;
use super::children::At;
use super::copy_up::Data;
use super::dir::OverlayDir;
use super::node::Node;
use super::resolve::TRIES;
use super::stat::{apply_ghost_times, lower_meta, set_ghost_times, stat_of};
use crate::error::{Errno, Error, Result};
#[cfg(feature = "dir")]
use crate::host_descriptors::guests::Handle;
use crate::layer::{Advice, ReadAt, WriteAt};
use crate::log::Warned;
use crate::meta::{Identity, Meta, SET_ID, SetTimes, Stat};
use crate::stack::OpenLower;
use crate::sync::Within;
use crate::sync::atomic::{AtomicBool, Ordering};
use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// An open file of an overlay.
#[derive(Clone)]
pub(crate) struct OverlayFile {
    open: Arc<OpenFile>,
}

pub(super) struct OpenFile {
    shared: Arc<Shared>,
    node: Arc<Node>,
    readable: bool,
    writable: bool,
    /// Whether the mount refuses changes.
    read_only: bool,
    /// The lower file, if the node was not in the upper when this was opened.
    lower: Option<OpenLower>,
    /// The upper file: from the start, or since the first use after a copy-up.
    upper: OnceLock<Arc<dyn WriteAt>>,
    /// Whether the first write still has to clear set-id bits.
    has_set_id: AtomicBool,
    /// Its share of the guest's limit on handles.
    #[cfg(feature = "dir")]
    handle: Option<Handle>,
}

/// The file that currently has the data.
enum Source<'a> {
    Lower(&'a OpenLower),
    Upper(&'a dyn WriteAt),
}

impl OpenFile {
    /// Registers an open file on `node`. From here on a copy-up keeps the copy open.
    pub(super) fn register(
        dir: &OverlayDir,
        node: Arc<Node>,
        readable: bool,
        writable: bool,
    ) -> Self {
        node.state.lock().opens += 1;
        Self {
            shared: Arc::clone(&dir.shared),
            node,
            readable,
            writable,
            read_only: dir.read_only,
            lower: None,
            upper: OnceLock::new(),
            has_set_id: AtomicBool::new(false),
            #[cfg(feature = "dir")]
            handle: None,
        }
    }

    /// Uses `file`, an open file of the upper without set-id bits.
    pub(super) fn set_upper_file(&mut self, file: Arc<dyn WriteAt>) {
        self.upper = OnceLock::from(file);
    }

    pub(super) fn node(&self) -> &Arc<Node> {
        &self.node
    }

    pub(super) fn open_for_reading(&mut self, at: Option<At<'_>>) -> Result<()> {
        let Self { shared, node, .. } = &*self;
        if node.upper.get().is_none() {
            let below = node.below().ok_or(Errno::Io)?;
            self.lower = Some(below.open(&shared.stack)?);
            return Ok(());
        }
        let copied = node.state.lock().copied.clone();
        let opened = match copied {
            Some(copied) => copied,
            None => shared.at_any_name(node, at, |upper, dir, name| upper.open_read(dir, name))?,
        };
        self.upper = OnceLock::from(opened);
        Ok(())
    }

    pub(super) fn open_for_writing(
        &mut self,
        at: Option<At<'_>>,
        copied: Option<Arc<dyn WriteAt>>,
    ) -> Result<()> {
        let Self { shared, node, .. } = &*self;
        let file = match copied {
            Some(file) => file,
            None => shared.at_any_name(node, at, |_, dir, name| {
                shared.upper()?.open_write(dir, name)
            })?,
        };
        // Only a copy-up of this overlay sets such bits in the upper, so cached metadata suffices.
        let mode = match shared.cached_meta(node) {
            Some((_, meta)) => meta.mode,
            None => file.meta()?.mode,
        };
        self.has_set_id = AtomicBool::new(mode.is_some_and(|mode| mode & SET_ID != 0));
        self.upper = OnceLock::from(file);
        Ok(())
    }

    /// The copy of a file that was copied up while it was open.
    fn copied(&self) -> Result<Arc<dyn WriteAt>> {
        for _ in 0..TRIES {
            let copied = self.node.state.lock().copied.clone();
            if let Some(copied) = copied {
                return Ok(copied);
            }
            // The file was copied up with its directory. A removal opens the copy before the name goes.
            let opened = (self.shared).at_any_name(&self.node, None, |upper, dir, name| {
                upper.open_read(dir, name)
            });
            match opened {
                Err(error) if error.is_not_found() => {}
                opened => return opened,
            }
        }
        let message = "the file moved at every attempt to open its copy";
        Err(Error::new(Errno::Busy, message))
    }

    /// Calls `change` with the upper file, for a change of data.
    pub(super) fn change<T>(&self, change: impl FnOnce(&dyn WriteAt) -> Result<T>) -> Result<T> {
        let _changing = self.shared.begin_change()?;
        let changed = {
            let _within = Within::new();
            change(self.upper_for_change()?)
        };
        self.node.touch();
        changed
    }

    /// The upper file, with set-id bits cleared since its data is about to change.
    fn upper_for_change(&self) -> Result<&dyn WriteAt> {
        let upper = self.upper.get().ok_or(Errno::BadDescriptor)?;
        if self.has_set_id.load(Ordering::Relaxed) {
            if let Some(mode) = upper.meta()?.mode {
                upper.set_mode(mode & !SET_ID)?;
            }
            self.has_set_id.store(false, Ordering::Relaxed);
        }
        Ok(&**upper)
    }
}

impl From<OpenFile> for OverlayFile {
    fn from(open: OpenFile) -> Self {
        Self {
            open: Arc::new(open),
        }
    }
}

impl OverlayFile {
    /// Attaches the guest's `handle`, which counts towards its limit until the file is closed.
    ///
    /// Preconditions: the file was just opened, so nothing else holds it.
    #[cfg(feature = "dir")]
    pub(crate) fn attach_handle(&mut self, mut handle: Handle) {
        let open = Arc::get_mut(&mut self.open);
        debug_assert!(open.is_some(), "the file is shared already");
        if let Some(open) = open {
            // A copy-up opens the copy of a lower file, and a thread may be reading that.
            if !matches!(open.lower, Some(OpenLower::File(_))) {
                handle.limit_descriptors(1);
            }
            open.handle = Some(handle);
        }
    }

    /// The path from the mount's root, for a log. None after its last name was removed.
    pub(crate) fn path(&self) -> Option<Vec<u8>> {
        super::path_of(&self.open.node)
    }

    /// The kinds of failure for which the mount has logged a warning.
    pub(crate) fn warned(&self) -> &Warned {
        &self.open.shared.warned
    }

    /// The layer that has the data, for a log.
    pub(crate) fn layer(&self) -> Option<String> {
        let OpenFile { shared, node, .. } = &*self.open;
        let label = match (node.upper.get(), &shared.upper, node.below()) {
            (Some(_), Some(upper), _) => upper.label(),
            (_, _, Some(below)) => below.label(&shared.stack),
            (_, _, None) => return None,
        };
        Some(label.to_owned())
    }

    fn source(&self) -> Result<Source<'_>> {
        let open = &*self.open;
        if let Some(upper) = open.upper.get() {
            return Ok(Source::Upper(&**upper));
        }
        if open.node.upper.get().is_some() {
            let copied = open.copied()?;
            return Ok(Source::Upper(&**open.upper.get_or_init(|| copied)));
        }
        match &open.lower {
            Some(lower) => Ok(Source::Lower(lower)),
            None => Err(Errno::Io.into()),
        }
    }

    fn check_writable(&self) -> Result<()> {
        if self.open.writable {
            Ok(())
        } else {
            Err(Error::not_open_for("writing"))
        }
    }

    fn check_readable(&self) -> Result<()> {
        if self.open.readable {
            Ok(())
        } else {
            Err(Error::not_open_for("reading"))
        }
    }

    pub(crate) fn native_reader(&self) -> Result<Option<&dyn Any>> {
        self.check_readable()?;
        Ok(match self.source()? {
            Source::Lower(file) => file.as_file().native(),
            Source::Upper(file) => file.native(),
        })
    }

    pub(crate) fn native_writer(&self) -> Result<Option<&dyn Any>> {
        self.check_writable()?;
        let _changing = self.open.shared.begin_change()?;
        let native = self.open.upper_for_change()?.native();
        if native.is_some() {
            self.open.shared.written_past.store(true, Ordering::Release);
        }
        self.open.node.touch();
        Ok(native)
    }

    pub(crate) fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let length = buffer.len();
        self.read(offset, length, |file| file.read_at(buffer, offset))
    }

    pub(crate) fn read_vec_at(&self, length: usize, offset: u64) -> Result<Vec<u8>> {
        self.read(offset, length, |file| file.read_vec_at(length, offset))
    }

    /// Calls `read` with the file that currently has the data, to read `length` bytes at `offset`.
    #[inline]
    fn read<T>(
        &self,
        offset: u64,
        length: usize,
        read: impl FnOnce(&dyn ReadAt) -> Result<T>,
    ) -> Result<T> {
        check_offset(offset)?;
        self.check_readable()?;
        check_range(offset, length)?;
        match self.source()? {
            Source::Lower(file) => {
                let OpenFile { shared, node, .. } = &*self.open;
                let below = node.below().ok_or(Errno::Io)?;
                file.read(below, &shared.stack, read)
            }
            Source::Upper(file) => {
                self.open.shared.check_may_call_upper()?;
                read(file)
            }
        }
    }

    pub(crate) fn write_at(&self, buffer: &[u8], offset: u64) -> Result<usize> {
        check_offset(offset)?;
        self.check_writable()?;
        check_range(offset, buffer.len())?;
        self.open.change(|file| file.write_at(buffer, offset))
    }

    pub(crate) fn append(&self, buffer: &[u8]) -> Result<usize> {
        self.check_writable()?;
        self.open.change(|file| file.append(buffer))
    }

    pub(crate) fn set_size(&self, size: u64) -> Result<()> {
        if !self.open.writable {
            return Err(if self.open.read_only {
                self.open.shared.refused_change()
            } else {
                Error::because(Errno::Invalid, || "the file was not opened for writing")
            });
        }
        check_range(size, 0)?;
        self.open.change(|file| file.set_size(size))
    }

    fn meta(&self) -> Result<Meta> {
        let OpenFile { shared, node, .. } = &*self.open;
        match self.source()? {
            Source::Lower(_) => lower_meta(node).ok_or_else(|| Errno::Io.into()),
            Source::Upper(file) => {
                let version = node.version.load(Ordering::Acquire);
                if let Some((at, meta)) = shared.cached_meta(node)
                    && at == version
                {
                    return Ok(meta);
                }
                shared.check_may_call_upper()?;
                let mut meta = shared.at_rest(|| file.meta())?;
                apply_ghost_times(node, &mut meta);
                node.cache_meta(version, meta);
                Ok(meta)
            }
        }
    }

    pub(crate) fn stat(&self) -> Result<Stat> {
        let mut meta = self.meta()?;
        if self.open.node.is_removed() {
            meta.links = 0;
        }
        Ok(stat_of(&meta))
    }

    pub(crate) fn identity(&self) -> Result<Identity> {
        Ok(self.open.node.identity(&self.open.shared))
    }

    pub(crate) fn set_times(&self, times: SetTimes) -> Result<()> {
        let OpenFile {
            shared,
            node,
            read_only,
            ..
        } = &*self.open;
        if times.is_noop() {
            return Ok(());
        }
        if *read_only {
            return Err(shared.refused_change());
        }
        times.check()?;
        match shared.copy_up(node, Data::Keep) {
            Ok(_) => {}
            Err(error) if error.is_not_found() && node.is_removed() => {
                set_ghost_times(node, times, shared.clock);
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        let _changing = shared.begin_change()?;
        match self.source()? {
            Source::Upper(file) => {
                let set = {
                    let _within = Within::new();
                    file.set_times(times)
                };
                match set {
                    // The kernel's overlayfs, for a file of an image: it cannot copy up a removed file.
                    Err(error) if error.errno() == Errno::Exist && node.is_removed() => {
                        set_ghost_times(node, times, shared.clock);
                        return Ok(());
                    }
                    set => set?,
                }
            }
            Source::Lower(_) => return Err(Errno::Io.into()),
        }
        node.touch();
        Ok(())
    }

    pub(crate) fn sync(&self, data_only: bool) -> Result<()> {
        let OpenFile { shared, node, .. } = &*self.open;
        let Source::Upper(file) = self.source()? else {
            // A file in a lower layer never changed.
            return Ok(());
        };
        if shared.volatile {
            return Ok(());
        }
        file.sync(data_only)?;
        shared.sync_names_above(node)
    }

    pub(crate) fn advise(&self, offset: u64, length: u64, advice: Advice) -> Result<()> {
        // Linux checks only the sign of the length.
        check_range(length, 0)?;
        match self.source()? {
            Source::Lower(file) => file.as_file().advise(offset, length, advice),
            Source::Upper(file) => file.advise(offset, length, advice),
        }
    }

    pub(crate) fn is_readable(&self) -> bool {
        self.open.readable
    }

    pub(crate) fn is_writable(&self) -> bool {
        self.open.writable
    }
}

/// Fails with `invalid` for an offset beyond 2^63 - 1. Linux checks the sign of the offset before the file,
/// and the end of the range ([`check_range`]) after that.
#[inline]
fn check_offset(offset: u64) -> Result<()> {
    match i64::try_from(offset) {
        Ok(_) => Ok(()),
        Err(_) => Err(out_of_range()),
    }
}

/// Fails with `invalid` for a range that begins or ends beyond 2^63 - 1, as Linux does (`rw_verify_area`),
/// independent of the layer.
fn check_range(offset: u64, length: usize) -> Result<()> {
    let end = u64::try_from(length)
        .ok()
        .and_then(|length| offset.checked_add(length));
    if end.is_some_and(|end| i64::try_from(end).is_ok()) {
        Ok(())
    } else {
        Err(out_of_range())
    }
}

fn out_of_range() -> Error {
    Error::because(
        Errno::Invalid,
        || "the range begins or ends beyond the largest file offset, 2^63 - 1",
    )
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        let mut state = self.node.state.lock();
        state.opens = state.opens.saturating_sub(1);
        let unused = match state.opens {
            0 => state.copied.take(),
            _ => None,
        };
        drop(state);
        drop(unused);
    }
}

impl fmt::Debug for OverlayFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OverlayFile")
            .field("identity", &self.open.node.identity(&self.open.shared))
            .field("readable", &self.open.readable)
            .field("writable", &self.open.writable)
            .finish_non_exhaustive()
    }
}
