//! A directory of a million names, in a generated layer.

use crate::{CREATE, MIB, alone, dir, file, held, peak_of};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use wasi_overlay_core::layer::{Found, Layer, Listed, MemoryLayer};
use wasi_overlay_core::{
    Errno, Kind, Limits, Lower, LowerStack, Meta, Name, Overlay, Result, Timestamp,
};

const NAMES: usize = 1_000_000;
const LENGTH: usize = "name-0000000".len();

/// A layer with a directory `d` of a million empty files.
struct Million {
    /// The number of listed names.
    listed: Arc<AtomicUsize>,
}

fn meta(kind: Kind, inode: u64) -> Meta {
    Meta {
        kind,
        size: 0,
        allocated: None,
        links: 1,
        accessed: Timestamp::default(),
        modified: Timestamp::default(),
        changed: Timestamp::default(),
        device: 1,
        inode,
        mode: Some(0o755),
        owner: None,
        rdev: 0,
        implied: false,
    }
}

fn number(name: Name<'_>) -> Option<usize> {
    let digits = name.to_str().ok()?.strip_prefix("name-")?;
    digits.parse().ok().filter(|number| *number < NAMES)
}

/// The handle of a directory is whether it is `d`.
impl Layer for Million {
    type Dir = bool;
    type File = <MemoryLayer as Layer>::File;

    fn root(&self) -> Result<bool> {
        Ok(false)
    }

    fn dir_meta(&self, dir: &bool) -> Result<Meta> {
        Ok(meta(Kind::Dir, 1 + u64::from(*dir)))
    }

    fn is_opaque(&self, _: &bool) -> Result<bool> {
        Ok(false)
    }

    fn find(&self, dir: &bool, name: Name<'_>) -> Result<Found> {
        let meta = match (dir, name.as_bytes(), number(name)) {
            (false, b"d", _) => meta(Kind::Dir, 2),
            (true, _, Some(number)) => meta(Kind::File, 10 + number as u64),
            _ => return Ok(Found::Absent),
        };
        Ok(Found::Here {
            meta,
            opaque: false,
        })
    }

    fn open_dir(&self, _: &bool, _: Name<'_>) -> Result<bool> {
        Ok(true)
    }

    fn open_file(&self, _: &bool, _: Name<'_>) -> Result<Self::File> {
        let empty = MemoryLayer::build().file("empty", "").finish()?;
        empty.open_file(&empty.root()?, Name::new(b"empty")?)
    }

    fn read_link(&self, _: &bool, _: Name<'_>) -> Result<Box<[u8]>> {
        Err(Errno::Invalid.into())
    }

    fn list(
        &self,
        dir: &bool,
        each: &mut dyn FnMut(Name<'_>, Listed) -> ControlFlow<()>,
    ) -> Result<()> {
        let mut give = |name: &[u8], kind, inode| -> Result<bool> {
            self.listed.fetch_add(1, Ordering::Relaxed);
            let listed = Listed::Here { kind, inode };
            Ok(each(Name::new(name)?, listed).is_continue())
        };
        if !dir {
            give(b"d", Kind::Dir, 2)?;
            return Ok(());
        }
        for number in 0..NAMES {
            let name = format!("name-{number:07}");
            if !give(name.as_bytes(), Kind::File, 10 + number as u64)? {
                break;
            }
        }
        Ok(())
    }
}

#[test]
fn directory_of_a_million_names_takes_bounded_memory() {
    let _alone = alone();
    let listed = Arc::new(AtomicUsize::new(0));
    let limits = Limits::default();
    let layer = Million {
        listed: Arc::clone(&listed),
    };
    let stack = LowerStack::new([Lower::new("million", layer)], &limits).unwrap();
    let overlay = Overlay::builder().stack(stack).upper_memory(1 << 20);
    let root = overlay.build().unwrap().root();

    // One existing and one missing name of a directory that is too large for a table.
    let ((), peak) = peak_of(|| {
        assert_eq!(root.stat_at("d/name-0999999", true).unwrap().size, 0);
        assert!(root.stat_at("d/none", true).is_err());
    });
    let asked = listed.load(Ordering::Relaxed);
    println!("one name: {asked} listed, {} KiB at most", peak / 1024);
    assert!(
        asked <= 2 * limits.table_entries,
        "{asked} were listed for one name"
    );
    assert!(peak < 2 * MIB);

    // Many existing and missing names.
    let before = held();
    for round in 0..200_000_usize {
        let number = round * 7919 % NAMES;
        root.stat_at(&format!("d/name-{number:07}"), true).unwrap();
        assert!(root.stat_at(&format!("d/none-{number}"), true).is_err());
    }
    let grown = held().saturating_sub(before);
    println!("400000 names asked for: {} KiB kept", grown / 1024);
    assert!(grown < 4 * MIB, "{grown} bytes are kept");

    // All names, with 24 bytes for each, and half as much again while the vectors grow and are sorted.
    let d = dir(&root, "d");
    let (listing, peak) = peak_of(|| d.list().unwrap());
    assert_eq!(listing.len(), NAMES);
    println!("listing: {} bytes a name at most", peak / NAMES);
    assert!(peak / NAMES < 2 * (LENGTH + 24), "{peak} bytes");

    // Listings of an unchanged directory are shared.
    let (streams, peak) = peak_of(|| (0..64).map(|_| d.list().unwrap()).collect::<Vec<_>>());
    println!("64 streams more: {} KiB", peak / 1024);
    assert!(peak < MIB, "every stream has its own names: {peak} bytes");
    drop((listing, streams));

    // A refused removal does not cache a listing.
    let before = held();
    let refused = root.remove_directory_at("d").unwrap_err();
    assert_eq!(refused.errno(), Errno::NotEmpty);
    assert!(held() < before + MIB);

    // A change evicts the cached listing.
    let all = d.list().unwrap();
    let ((), _) = peak_of(|| drop(file(&root, "d/new", CREATE)));
    let before = held();
    drop(all);
    assert!(
        before - held() > NAMES * LENGTH,
        "an outdated listing is cached"
    );
}
