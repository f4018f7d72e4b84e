//! A layer whose calls wait at a gate, for tests of what else runs in the meantime.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use wasi_overlay::engine::layer::{Found, Layer, Listed, ReadAt};
use wasi_overlay::engine::{Meta, Name, Result};
use wasi_overlay::{Errno, Lower, MemoryLayer, Overlay};

/// A layer that is slow on demand: once the gate is armed, calls of the layer wait until the gate opens, and
/// fail if it does not.
struct Slow {
    layer: MemoryLayer,
    gate: Arc<Gate>,
}

pub(crate) struct Gate {
    armed: AtomicBool,
    patience: Duration,
    open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn wait(&self) -> Result<()> {
        if !self.armed.load(Ordering::SeqCst) {
            return Ok(());
        }
        let closed = |open: &mut bool| !*open;
        let open = self.open.lock().unwrap();
        let waited = self.opened.wait_timeout_while(open, self.patience, closed);
        match *waited.unwrap().0 {
            true => Ok(()),
            false => Err(Errno::Busy.into()),
        }
    }

    /// Closes the gate: calls wait from now on.
    pub(crate) fn shut(&self) {
        *self.open.lock().unwrap() = false;
    }

    /// Opens the gate: waiting calls continue.
    pub(crate) fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.opened.notify_all();
    }
}

/// A file of a slow layer.
struct SlowFile {
    file: <MemoryLayer as Layer>::File,
    gate: Arc<Gate>,
}

impl ReadAt for SlowFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        self.gate.wait()?;
        self.file.read_at(buffer, offset)
    }

    fn meta(&self) -> Result<Meta> {
        self.gate.wait()?;
        self.file.meta()
    }
}

impl Layer for Slow {
    type Dir = <MemoryLayer as Layer>::Dir;
    type File = SlowFile;

    fn root(&self) -> Result<Self::Dir> {
        self.layer.root()
    }

    fn dir_meta(&self, dir: &Self::Dir) -> Result<Meta> {
        self.layer.dir_meta(dir)
    }

    fn is_opaque(&self, dir: &Self::Dir) -> Result<bool> {
        self.layer.is_opaque(dir)
    }

    fn find(&self, dir: &Self::Dir, name: Name<'_>) -> Result<Found> {
        self.gate.wait()?;
        self.layer.find(dir, name)
    }

    fn open_dir(&self, dir: &Self::Dir, name: Name<'_>) -> Result<Self::Dir> {
        self.gate.wait()?;
        self.layer.open_dir(dir, name)
    }

    fn open_file(&self, dir: &Self::Dir, name: Name<'_>) -> Result<Self::File> {
        self.gate.wait()?;
        let file = self.layer.open_file(dir, name)?;
        Ok(SlowFile {
            file,
            gate: Arc::clone(&self.gate),
        })
    }

    fn read_link(&self, dir: &Self::Dir, name: Name<'_>) -> Result<Box<[u8]>> {
        self.gate.wait()?;
        self.layer.read_link(dir, name)
    }

    fn list(
        &self,
        dir: &Self::Dir,
        each: &mut dyn FnMut(Name<'_>, Listed) -> ControlFlow<()>,
    ) -> Result<()> {
        self.gate.wait()?;
        self.layer.list(dir, each)
    }
}

impl Gate {
    /// Makes calls of the layer wait from now on.
    pub(crate) fn arm(&self) {
        self.armed.store(true, Ordering::SeqCst);
    }
}

/// An overlay on a slow [`lower`].
pub(crate) fn overlay(patience: Duration) -> (Overlay, Arc<Gate>) {
    let (lower, gate) = lower(patience);
    let overlay = Overlay::builder().lower(lower).build().unwrap();
    (overlay, gate)
}

/// A slow layer with a file of five bytes, a link to it, and a directory with another file. A call that waits
/// for longer than `patience` fails.
pub(crate) fn lower(patience: Duration) -> (Lower, Arc<Gate>) {
    let gate = Arc::new(Gate {
        armed: AtomicBool::new(false),
        patience,
        open: Mutex::new(false),
        opened: Condvar::new(),
    });
    let layer = MemoryLayer::build()
        .file("file", b"hello")
        .symlink("link", "file")
        .file("dir/inner", b"inside")
        .finish()
        .unwrap();
    let slow = Slow {
        layer,
        gate: Arc::clone(&gate),
    };
    (Lower::new("slow", slow), gate)
}
