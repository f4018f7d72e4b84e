//! Where a call blocks: on its own thread only if the embedder allows it.

use crate::support::{State, mounted};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use wasi_overlay::engine::layer::{Found, Layer, Listed};
use wasi_overlay::engine::{Meta, Name, Result};
use wasi_overlay::p2::bindings::types::{HostDescriptor, PathFlags};
use wasi_overlay::p2::{FsError, FsResult};
use wasi_overlay::{Errno, FsPerms, Lower, MemoryLayer, Overlay, OverlayView};

/// A layer that is as slow as it is told to be: once armed, a look into it waits for somebody to
/// open the gate, and fails if nobody does.
struct Slow {
    layer: MemoryLayer,
    gate: Arc<Gate>,
}

struct Gate {
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

    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.opened.notify_all();
    }
}

impl Layer for Slow {
    type Dir = <MemoryLayer as Layer>::Dir;
    type File = <MemoryLayer as Layer>::File;

    fn root(&self) -> Result<Self::Dir> {
        self.layer.root()
    }

    fn dir_meta(&self, dir: &Self::Dir) -> Result<Meta> {
        self.layer.dir_meta(dir)
    }

    fn find(&self, dir: &Self::Dir, name: Name<'_>) -> Result<Found> {
        self.gate.wait()?;
        self.layer.find(dir, name)
    }

    fn open_dir(&self, dir: &Self::Dir, name: Name<'_>) -> Result<Self::Dir> {
        self.layer.open_dir(dir, name)
    }

    fn open_file(&self, dir: &Self::Dir, name: Name<'_>) -> Result<Self::File> {
        self.layer.open_file(dir, name)
    }

    fn read_link(&self, dir: &Self::Dir, name: Name<'_>) -> Result<Box<[u8]>> {
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

/// A guest's `stat-at` on the slow layer, beside a task that opens the gate.
async fn stat_beside_another_task(allow_blocking: bool, patience: Duration) -> FsResult<u64> {
    let gate = Arc::new(Gate {
        armed: AtomicBool::new(false),
        patience,
        open: Mutex::new(false),
        opened: Condvar::new(),
    });
    let layer = MemoryLayer::build()
        .file("file", b"hello")
        .finish()
        .unwrap();
    let slow = Slow {
        layer,
        gate: Arc::clone(&gate),
    };
    let lower = Lower::new("slow", slow);
    let overlay = Overlay::builder().lower(lower).build().unwrap();
    let mut state: State = mounted(&overlay, FsPerms::ReadOnly, allow_blocking);
    let root = state.preopens().remove(0);
    gate.armed.store(true, Ordering::SeqCst);

    let mut view = state.overlay();
    let stat = view.stat_at(root, PathFlags::empty(), "file".into());
    // One thread runs both: the gate opens only if the call gives the thread back.
    let (stat, ()) = tokio::join!(stat, async { gate.open() });
    Ok(stat?.size)
}

#[tokio::test(flavor = "current_thread")]
async fn a_call_that_waits_for_a_disk_leaves_the_executors_thread() {
    let stat = stat_beside_another_task(false, Duration::from_secs(60));
    assert_eq!(stat.await.unwrap(), 5);
}

#[tokio::test(flavor = "current_thread")]
async fn a_call_stays_on_its_thread_where_that_is_allowed() {
    let stat = stat_beside_another_task(true, Duration::from_millis(50));
    assert!(matches!(stat.await, Err(FsError::Code(Errno::Busy))));
}
