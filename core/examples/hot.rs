//! A native benchmark of the engine's hot paths. `scripts/counts.sh` counts the instructions of each.
//!
//! usage: hot              time every path, in nanoseconds per round
//!        hot PATH ROUNDS  run one path that many times, without timing it
//!        hot --names      list the names of the paths
//!        hot --threads    the throughput of two threads over that of one, on overlays of one stack
//!
//! The layers are directories of the host, and the upper is in memory. Each path runs before it is
//! measured, so that all its caches are warm.

use std::cell::RefCell;
use std::error::Error;
use std::path::Path;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};
use wasi_overlay_core::{Dir, File, Limits, Lower, LowerStack, OpenHow, Opened, Overlay};

/// Layers of the stack.
const LAYERS: usize = 4;
/// Bytes of a small file.
const SMALL: usize = 4096;
/// Bytes of a large file, whose reads go to its descriptor.
const LARGE: usize = 1 << 20;

/// The data to write.
static DATA: [u8; SMALL] = [7; SMALL];

/// A hot path: its name, and one round of it.
type Hot = (&'static str, fn(&World));

const PATHS: &[Hot] = &[
    ("stat", |world| {
        assert!(world.root.stat_at("a/b/small", true).is_ok());
    }),
    ("stat-upper", |world| {
        assert!(world.root.stat_at("a/one", true).is_ok());
    }),
    ("missing", |world| {
        assert!(world.root.stat_at("a/b/none", true).is_err());
    }),
    // All of them: the position of one name in a hash table depends on the seed, which changes with each run.
    ("stat-each-of-1000", |world| {
        for path in &world.names {
            assert!(world.root.stat_at(path, true).is_ok());
        }
    }),
    ("open-read-close", |world| read(&world.root, "a/b/small")),
    ("open-read-close-large", |world| {
        read(&world.root, "a/b/large");
    }),
    ("create-write-unlink", |world| {
        let new = file(&world.root, "a/new", CREATE);
        assert_eq!(new.write_at(&DATA, 0).ok(), Some(SMALL));
        drop(new);
        assert!(world.root.unlink_file_at("a/new").is_ok());
    }),
    ("rename", |world| {
        assert!(world.root.rename_at("a/one", &world.root, "a/two").is_ok());
        assert!(world.root.rename_at("a/two", &world.root, "a/one").is_ok());
    }),
    ("list-1000", |world| {
        let listing = world.many.list().unwrap_or_default();
        assert_eq!(listing.len(), 1000);
        assert!(
            listing
                .iter()
                .all(|entry| entry.inode().is_ok_and(|inode| inode > 0))
        );
    }),
    ("list-1000-anew", |world| {
        // A new overlay, whose directory has no cached listing.
        let overlay = world.overlay();
        let many = dir(&overlay.root(), "many");
        assert_eq!(many.list().unwrap_or_default().len(), 1000);
    }),
    // WASI 0.1 lists inode numbers.
    ("list-1000-anew-numbered", |world| {
        let overlay = world.overlay();
        let listing = dir(&overlay.root(), "many").list().unwrap_or_default();
        assert!(
            listing
                .iter()
                .all(|entry| entry.inode().is_ok_and(|inode| inode > 0))
        );
    }),
    ("overlay", |world| drop(world.overlay())),
];

/// The tree and the overlay that the paths run on.
struct World {
    stack: Arc<LowerStack>,
    root: Dir,
    many: Dir,
    /// The paths of the files in `many`.
    names: Vec<String>,
}

impl World {
    fn new(at: &Path) -> Result<Self, Box<dyn Error>> {
        for layer in 0..LAYERS {
            let at = at.join(layer.to_string());
            // Few names per directory, since positions in a hash table change with each run.
            std::fs::create_dir_all(at.join("a/b"))?;
            std::fs::create_dir(at.join("others"))?;
            std::fs::write(at.join(format!("others/{layer}")), "")?;
        }
        let top = at.join((LAYERS - 1).to_string());
        std::fs::write(top.join("a/b/small"), [1; SMALL])?;
        std::fs::write(top.join("a/b/large"), vec![1; LARGE])?;
        std::fs::create_dir(top.join("many"))?;
        for path in many() {
            std::fs::write(top.join(path), "")?;
        }
        let lower = |layer: usize| -> Result<Lower, Box<dyn Error>> {
            let at = at.join(layer.to_string());
            let dir = cap_std::fs::Dir::open_ambient_dir(&at, cap_std::ambient_authority())?;
            Ok(Lower::dir(at.display().to_string(), dir)?)
        };
        let lowers: Vec<_> = (0..LAYERS).map(lower).collect::<Result<_, _>>()?;
        Ok(Self::on(&LowerStack::new(lowers, &Limits::default())?))
    }

    /// Makes a new overlay on a stack.
    fn on(stack: &Arc<LowerStack>) -> Self {
        let root = overlay(stack).root();
        drop(file(&root, "a/one", CREATE));
        let many = dir(&root, "many");
        let stack = Arc::clone(stack);
        let names = self::many().collect();
        Self {
            stack,
            root,
            many,
            names,
        }
    }

    fn overlay(&self) -> Overlay {
        overlay(&self.stack)
    }
}

/// The paths of a thousand files in one directory.
fn many() -> impl Iterator<Item = String> {
    (0..1000).map(|name| format!("many/file-{name:04}"))
}

fn overlay(stack: &Arc<LowerStack>) -> Overlay {
    let overlay = Overlay::builder().stack(Arc::clone(stack));
    overlay.upper_memory(1 << 20).build().expect("an overlay")
}

const READ: OpenHow = OpenHow::READ;
const CREATE: OpenHow = OpenHow {
    create: true,
    write: true,
    ..READ
};

fn file(dir: &Dir, path: &str, how: OpenHow) -> File {
    match dir.open_at(path, how) {
        Ok(Opened::File(file)) => file,
        other => panic!("{path}: {other:?}"),
    }
}

fn dir(dir: &Dir, path: &str) -> Dir {
    match dir.open_at(path, READ) {
        Ok(Opened::Dir(dir)) => dir,
        other => panic!("{path}: {other:?}"),
    }
}

thread_local! {
    /// A buffer that stands for the memory of a guest.
    static BUFFER: RefCell<[u8; SMALL]> = const { RefCell::new([0; SMALL]) };
}

fn read(root: &Dir, path: &str) {
    let opened = file(root, path, READ);
    BUFFER.with_borrow_mut(|buffer| {
        assert_eq!(opened.read_at(buffer, 0).ok(), Some(SMALL));
        assert_eq!(buffer[SMALL - 1], 1);
    });
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if arguments == ["--names"] {
        PATHS.iter().for_each(|(name, _)| println!("{name}"));
        return Ok(());
    }
    let temp = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir())?;
    let world = World::new(temp.path())?;
    match arguments[..] {
        [] => {
            for (name, round) in PATHS {
                println!("{name:24}{:>12.0} ns", nanoseconds(&world, *round));
            }
        }
        ["--threads"] => {
            for (name, round) in PATHS {
                let (one, two) = (throughput(&world, *round, 1), throughput(&world, *round, 2));
                println!("{name:24}{:>12.2} x", two / one);
            }
        }
        [name, rounds] => {
            let found = PATHS.iter().find(|path| path.0 == name);
            let (_, round) =
                found.ok_or_else(|| format!("no path {name}: list the paths with --names"))?;
            // Two rounds of warm-up: caches are filled by the first or the second use.
            (0..2 + rounds.parse::<usize>()?).for_each(|_| round(&world));
        }
        _ => return Err("usage: hot [PATH ROUNDS | --names | --threads]".into()),
    }
    Ok(())
}

/// Nanoseconds per round in the best of many short runs, which other load disturbed least.
fn nanoseconds(world: &World, round: fn(&World)) -> f64 {
    let time = |rounds: u32| {
        let start = Instant::now();
        (0..rounds).for_each(|_| round(world));
        start.elapsed().as_secs_f64() * 1e9 / f64::from(rounds)
    };
    time(10);
    let rounds = (100_000.0 / time(10)).clamp(1.0, 1000.0) as u32;
    (0..200).map(|_| time(rounds)).fold(f64::MAX, f64::min)
}

/// Rounds per second of `threads` threads, each with its own overlay, in the best of many short
/// intervals: each thread needs a processor for the whole interval.
fn throughput(world: &World, round: fn(&World), threads: usize) -> f64 {
    const INTERVAL: Duration = Duration::from_millis(5);
    let worlds: Vec<_> = (0..threads).map(|_| World::on(&world.stack)).collect();
    let measure = || {
        let start = Barrier::new(threads);
        let rounds = |world: &World| {
            start.wait();
            let begin = Instant::now();
            let mut rounds = 0.0;
            while begin.elapsed() < INTERVAL {
                (0..16).for_each(|_| round(world));
                rounds += 16.0;
            }
            rounds / begin.elapsed().as_secs_f64()
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = worlds
                .iter()
                .map(|world| scope.spawn(|| rounds(world)))
                .collect();
            let rounds = threads.into_iter().map(|thread| thread.join());
            rounds.map(|rounds| rounds.unwrap_or(0.0)).sum()
        })
    };
    (0..100).map(|_| measure()).fold(0.0, f64::max)
}
