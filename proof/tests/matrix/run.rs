//! One cell of the matrix: the same script on an overlay and on a plain directory with the merged tree.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use wasi_overlay_core::layer::MemoryLayer;
use wasi_overlay_core::{Dir, Identity, Live, Lower, Overlay, OverlayBuilder, Result};
use wasi_overlay_proof::Script;
use wasi_overlay_proof::kit::{capability, leftovers, scratch, skip, unlock};
use wasi_overlay_proof::machine;
use wasi_overlay_proof::matrix::tree::{dir, set_mtime};
use wasi_overlay_proof::matrix::{SETTLED, Start};
use wasi_overlay_proof::view::{identities, tree};

/// The kind of mount, and how it got into the starting state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mount {
    /// A directory upper that was written to disk in the starting state.
    Written,
    /// A directory upper, brought into the state by calls of the engine.
    Directory,
    /// The same, with handles that are paths.
    ByPath,
    /// A memory upper, brought into the state by calls of the engine.
    Memory,
    /// As `Written`, in the lower layer of a kernel overlayfs on which the upper is. Needs root; a rename of a
    /// directory is `EXDEV` there.
    Image,
    /// As `Memory`, with a layer that outlives the mount.
    Lasting,
    /// As `Lasting`, on layers in archives that GNU tar wrote.
    Archives,
    /// No upper: the upper of the state is the topmost lower.
    NoUpper,
    /// A read-only view of an overlay that has an upper.
    ReadOnly,
}

impl Mount {
    /// Whether the upper is a directory that is empty at the mount.
    fn is_fresh_directory(self) -> bool {
        matches!(self, Self::Directory | Self::ByPath)
    }

    fn is_memory(self) -> bool {
        matches!(self, Self::Memory | Self::Lasting | Self::Archives)
    }

    /// Whether an operation is worth running on this mount.
    pub(crate) fn wants(self, op: &str) -> bool {
        self != Self::ByPath || op.contains("rename")
    }
}

/// The answers of a script, and the tree after it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) answers: Vec<String>,
    pub(crate) tree: Vec<String>,
    /// The names that are the same file, before and after.
    pub(crate) same: Vec<String>,
}

impl Outcome {
    /// Records a difference if `tree` is not the same tree.
    fn compare(&mut self, what: &str, tree: Vec<String>) {
        // Removing the work folder changes the root's time.
        if tree[1..] != self.tree[1..] {
            self.tree.push(format!("{what}, it is another tree:"));
            self.tree.extend(tree);
        }
    }
}

/// Lower layers on disk, shared by all cells of a state.
pub(crate) struct Layers {
    /// The kernel's overlayfs, which is unmounted before its directories are removed.
    image: Option<machine::Mount>,
    temp: tempfile::TempDir,
    lowers: Vec<PathBuf>,
    /// The lowers in archives, if they are packed.
    archives: Vec<Lower>,
    before: Vec<String>,
}

impl Layers {
    pub(crate) fn write(start: &Start) -> Self {
        let temp = scratch();
        let mut lowers = Vec::new();
        for (index, lower) in start.lowers.iter().enumerate() {
            let path = temp.path().join(format!("lower{index}"));
            lower.write(&path);
            lowers.push(path);
        }
        let before = lowers.iter().flat_map(|path| on_disk(path)).collect();
        Self {
            image: None,
            temp,
            lowers,
            archives: Vec::new(),
            before,
        }
    }

    /// Packs the lowers with GNU tar, to be mounted in the place of the directories.
    pub(crate) fn pack(&mut self) {
        for lower in &self.lowers {
            let archive = lower.with_extension("tar");
            let packed = Command::new("tar")
                .args(["--create", "--format=pax", "--xattrs", "--file"])
                .arg(&archive)
                .arg("--directory")
                .arg(lower)
                .arg(".")
                .status();
            assert!(packed.unwrap().success(), "{}", lower.display());
            let file = fs::File::open(&archive).unwrap();
            self.archives.push(Lower::tar("archive", file).unwrap());
        }
    }

    /// Mounts an overlayfs that has `count` uppers in its image. Returns whether that is possible here.
    pub(crate) fn mount_image(&mut self, start: &Start, count: usize) -> bool {
        let [image, changes, work, merged] =
            ["image", "changes", "work", "merged"].map(|name| self.temp.path().join(name));
        for path in [&image, &changes, &work, &merged] {
            fs::create_dir(path).unwrap();
        }
        for number in 0..count {
            start.upper.write(&image.join(number.to_string()));
        }
        let upper = Some((changes.as_path(), work.as_path()));
        match machine::Mount::overlay(&merged, &[image], upper, "") {
            Ok(mount) => self.image = Some(mount),
            Err(error) => skip("an upper that came with an image", &error.to_string()),
        }
        self.image.is_some()
    }

    /// Whether no cell has changed a lower layer.
    pub(crate) fn unchanged(&self) -> bool {
        let now: Vec<_> = self.lowers.iter().flat_map(|path| on_disk(path)).collect();
        now == self.before
    }

    fn fresh(&self, name: &str) -> PathBuf {
        let path = self.temp.path().join(name);
        if path.exists() {
            unlock(&path);
            fs::remove_dir_all(&path).unwrap();
        }
        path
    }

    /// The script on a plain directory.
    pub(crate) fn expected(&self, start: &Start, mount: Mount, script: &str) -> Outcome {
        let path = self.fresh("plain");
        start.merged().write(&path);
        if let Some(prelude) = start.prelude {
            let root = Live::new(capability(&path)).root();
            prelude(&root);
            set_mtime(&root, SETTLED);
        }
        let live = if matches!(mount, Mount::NoUpper | Mount::ReadOnly) {
            Live::read_only(capability(&path))
        } else {
            Live::new(capability(&path))
        };
        see(&live.root(), start.place, script)
    }

    /// The script on an overlay; none if the mount cannot be in the state.
    pub(crate) fn actual(
        &self,
        start: &Start,
        (mount, number): (Mount, usize),
        script: &str,
    ) -> Option<Outcome> {
        if mount == Mount::NoUpper && start.prelude.is_some() {
            return None;
        }
        let upper = match mount {
            Mount::Image => self.temp.path().join(format!("merged/{number}")),
            _ => self.fresh("upper"),
        };
        match mount {
            Mount::Image => {}
            Mount::Written | Mount::NoUpper | Mount::ReadOnly => start.upper.write(&upper),
            Mount::Memory | Mount::Lasting | Mount::Archives => {}
            Mount::Directory | Mount::ByPath => dir([]).write(&upper),
        }
        let memory = MemoryLayer::with_capacity(1 << 20);
        let overlay = self.mount(mount, &upper, &memory).unwrap();
        let root = overlay.root();
        if mount.is_fresh_directory() || mount.is_memory() {
            start.upper.apply(&root);
        }
        if let Some(prelude) = start.prelude {
            prelude(&root);
            set_mtime(&root, SETTLED);
        } else if matches!(mount, Mount::Written | Mount::Image | Mount::ReadOnly) {
            // Mounting changes the time of the upper's root.
            set_mtime(&root, start.upper.mtime);
        }
        let view = if mount == Mount::ReadOnly {
            overlay.read_only_root()
        } else {
            root.clone()
        };
        let mut seen = see(&view, start.place, script);
        drop((view, root));
        overlay.close().unwrap();
        if !matches!(mount, Mount::Memory | Mount::NoUpper | Mount::ReadOnly) {
            let again = self.mount(mount, &upper, &memory).unwrap();
            seen.compare("mounted again", tree(&again.root()));
            again.close().unwrap();
        }
        if matches!(mount, Mount::Lasting | Mount::Archives) {
            let top = Lower::new("was an upper", memory);
            seen.compare("as a layer", self.rotated(top));
        }
        if mount == Mount::Image {
            let top = Lower::dir("was an upper", capability(&upper)).unwrap();
            seen.compare("as a layer", self.rotated(top));
        }
        if mount.is_fresh_directory() || matches!(mount, Mount::Written | Mount::Image) {
            seen.tree.extend(
                leftovers(&upper)
                    .iter()
                    .map(|path| format!("left: {}", path.display())),
            );
        }
        Some(seen)
    }

    /// The tree of the layers with `top` as the topmost of them.
    fn rotated(&self, top: Lower) -> Vec<String> {
        let overlay = self.layers().unwrap().lower(top).build().unwrap();
        tree(&overlay.root())
    }

    fn layers(&self) -> Result<OverlayBuilder> {
        let mut builder = Overlay::builder();
        if !self.archives.is_empty() {
            let archives = self.archives.iter().cloned();
            return Ok(archives.fold(builder, OverlayBuilder::lower));
        }
        for lower in &self.lowers {
            let label = lower.display().to_string();
            builder = builder.lower(Lower::dir(label, capability(lower))?);
        }
        Ok(builder)
    }

    fn mount(&self, mount: Mount, upper: &Path, memory: &MemoryLayer) -> Result<Overlay> {
        let builder = self.layers()?;
        match mount {
            Mount::ByPath => {
                use wasi_overlay_core::{
                    plain::HostDir, plain::by_path::ByPath, whiteouts::Marked,
                };
                let plain = ByPath::new(HostDir::new(capability(upper), "upper"));
                builder.upper("upper", Marked::upper_on_demand(plain))
            }
            Mount::Memory => builder.upper_memory(1 << 20),
            Mount::Lasting | Mount::Archives => builder.upper("kept", memory.clone()),
            Mount::NoUpper => builder.lower(Lower::dir("top", capability(upper))?),
            Mount::Written | Mount::Image | Mount::Directory | Mount::ReadOnly => {
                builder.upper_dir("upper", capability(upper))
            }
        }
        .build()
    }
}

impl Drop for Layers {
    fn drop(&mut self) {
        unlock(self.temp.path());
    }
}

fn see(root: &Dir, slot: &str, script: &str) -> Outcome {
    // Walking the tree would fill every cache, so half of the cells skip it.
    let warm = script.len().is_multiple_of(2);
    let before = if warm {
        identities(root)
    } else {
        BTreeMap::new()
    };
    let answers = Script::run(root, slot, script);
    Outcome {
        answers,
        tree: tree(root),
        same: same(&before, &identities(root)),
    }
}

/// For each name, the first name that is the same file, before and after.
fn same(before: &BTreeMap<String, Identity>, after: &BTreeMap<String, Identity>) -> Vec<String> {
    let first = |map: &BTreeMap<String, Identity>, identity| {
        map.iter()
            .find(|(_, other)| **other == identity)
            .map(|(name, _)| name.clone())
    };
    let line = |(name, identity): (&String, &Identity)| {
        let was = first(before, *identity);
        let is = first(after, *identity);
        format!("{name} was {was:?}, is {is:?}")
    };
    after.iter().map(line).collect()
}

/// A host tree, including times; only the path of a directory that cannot be read.
fn on_disk(path: &Path) -> Vec<String> {
    let Ok(meta) = fs::symlink_metadata(path) else {
        return vec![format!("{path:?}")];
    };
    let mut lines = vec![format!(
        "{path:?} {:?} {} {} {}.{}",
        meta.file_type(),
        meta.mode(),
        meta.len(),
        meta.mtime(),
        meta.mtime_nsec()
    )];
    if meta.is_dir() {
        let entries = fs::read_dir(path).into_iter().flatten();
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        lines.extend(paths.iter().flat_map(|path| on_disk(path)));
    } else if meta.is_file() {
        lines.extend(fs::read_to_string(path));
    }
    lines
}
