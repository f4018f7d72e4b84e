//! A memory layer as an upper that outlives its mount, as a directory does: it can be mounted
//! again, and become a layer. So the engine's rules for such uppers are tried at the speed of memory.

use std::ops::ControlFlow;
use wasi_overlay_core::layer::{
    At, Attributes, Durability, Found, Layer, Leave, Listed, MemoryDir, MemoryFile, MemoryLayer,
    MemoryStaged, New, Over, Upper, Usage, WriteAt,
};
use wasi_overlay_core::{Meta, Name, Result, SetTimes};

/// The layer, as an upper that is not ephemeral.
#[derive(Clone, Debug)]
pub struct Lasting(pub MemoryLayer);

impl Layer for Lasting {
    type Dir = MemoryDir;
    type File = MemoryFile;

    fn root(&self) -> Result<MemoryDir> {
        self.0.root()
    }

    fn dir_meta(&self, dir: &MemoryDir) -> Result<Meta> {
        self.0.dir_meta(dir)
    }

    fn is_opaque(&self, dir: &MemoryDir) -> Result<bool> {
        self.0.is_opaque(dir)
    }

    fn find(&self, dir: &MemoryDir, name: Name<'_>) -> Result<Found> {
        self.0.find(dir, name)
    }

    fn open_dir(&self, dir: &MemoryDir, name: Name<'_>) -> Result<MemoryDir> {
        self.0.open_dir(dir, name)
    }

    fn open_file(&self, dir: &MemoryDir, name: Name<'_>) -> Result<MemoryFile> {
        self.0.open_file(dir, name)
    }

    fn read_link(&self, dir: &MemoryDir, name: Name<'_>) -> Result<Box<[u8]>> {
        self.0.read_link(dir, name)
    }

    fn list(
        &self,
        dir: &MemoryDir,
        each: &mut dyn FnMut(Name<'_>, Listed) -> ControlFlow<()>,
    ) -> Result<()> {
        self.0.list(dir, each)
    }

    fn xattrs(&self, dir: &MemoryDir, name: Option<Name<'_>>) -> Result<Vec<Box<[u8]>>> {
        self.0.xattrs(dir, name)
    }

    fn xattr(
        &self,
        dir: &MemoryDir,
        name: Option<Name<'_>>,
        attribute: &[u8],
    ) -> Result<Option<Vec<u8>>> {
        self.0.xattr(dir, name, attribute)
    }
}

impl Upper for Lasting {
    type Staged = MemoryStaged;
    type Writable = MemoryFile;

    fn mount(&self, durability: Durability) -> Result<()> {
        self.0.mount(durability)
    }

    fn unmount(&self) -> Result<()> {
        self.0.unmount()
    }

    fn stage(&self, new: New<'_>) -> Result<MemoryStaged> {
        self.0.stage(new)
    }

    fn staged_file<'a>(&self, staged: &'a MemoryStaged) -> Option<&'a dyn WriteAt> {
        self.0.staged_file(staged)
    }

    fn dress(&self, staged: &MemoryStaged, attributes: &Attributes) -> Result<()> {
        self.0.dress(staged, attributes)
    }

    fn staged_meta(&self, staged: &MemoryStaged) -> Result<Meta> {
        self.0.staged_meta(staged)
    }

    fn publish(
        &self,
        staged: MemoryStaged,
        to: At<'_, MemoryDir>,
        over: Over,
        keep_times: bool,
    ) -> Result<Option<MemoryFile>> {
        self.0.publish(staged, to, over, keep_times)
    }

    fn create(
        &self,
        new: New<'_>,
        to: At<'_, MemoryDir>,
        over: Over,
    ) -> Result<Option<MemoryFile>> {
        self.0.create(new, to, over)
    }

    fn remove(&self, at: At<'_, MemoryDir>, what: Over, leave: Leave) -> Result<()> {
        self.0.remove(at, what, leave)
    }

    fn rename(
        &self,
        from: At<'_, MemoryDir>,
        to: At<'_, MemoryDir>,
        over: Over,
        leave: Leave,
    ) -> Result<()> {
        self.0.rename(from, to, over, leave)
    }

    fn link(&self, from: At<'_, MemoryDir>, to: At<'_, MemoryDir>, over: Over) -> Result<()> {
        self.0.link(from, to, over)
    }

    fn set_opaque(&self, dir: &MemoryDir) -> Result<()> {
        self.0.set_opaque(dir)
    }

    fn open_write(&self, dir: &MemoryDir, name: Name<'_>) -> Result<MemoryFile> {
        self.0.open_write(dir, name)
    }

    fn set_times(&self, dir: &MemoryDir, name: Option<Name<'_>>, times: SetTimes) -> Result<()> {
        self.0.set_times(dir, name, times)
    }

    fn set_xattr(
        &self,
        dir: &MemoryDir,
        name: Option<Name<'_>>,
        attribute: &[u8],
        value: &[u8],
    ) -> Result<()> {
        self.0.set_xattr(dir, name, attribute, value)
    }

    fn remove_xattr(
        &self,
        dir: &MemoryDir,
        name: Option<Name<'_>>,
        attribute: &[u8],
    ) -> Result<()> {
        self.0.remove_xattr(dir, name, attribute)
    }

    fn sync_dir(&self, dir: &MemoryDir) -> Result<()> {
        self.0.sync_dir(dir)
    }

    fn sync_all(&self) -> Result<()> {
        self.0.sync_all()
    }

    fn usage(&self) -> Option<Usage> {
        Upper::usage(&self.0)
    }

    fn is_ephemeral(&self) -> bool {
        false
    }

    fn handles_follow_rename(&self) -> bool {
        self.0.handles_follow_rename()
    }
}
