//! Copying of file data for a copy-up.
//!
//! A file ends where a read returns nothing, not where `stat` says: files of procfs report size 0 and
//! files of sysfs one page, whatever they contain. A lower file that is shorter than before is an error,
//! since its layer was changed. An endless file fills the upper until that has no space left.

use crate::error::{Errno, Error, Result};
use crate::layer::{ReadAt, WriteAt};
use crate::meta::Meta;

/// Bytes of a step where the kernel does not copy by itself.
const STEP: usize = 64 * 1024;

/// Bytes of the first read of a file of size 0: most such files have none.
const SOME: usize = 4096;

/// Copies all data of `from`, whose metadata is `meta`, to the empty file `to`. Holes stay holes.
pub(super) fn copy_data(meta: &Meta, from: &dyn ReadAt, to: &dyn WriteAt) -> Result<()> {
    let size = meta.size;
    let sparse = meta.allocated.is_some_and(|bytes| bytes < size);
    let mut at;
    if size <= STEP as u64 && !sparse {
        // One step copies a small file, with fewer system calls than the search for holes takes.
        let length = if size == 0 { SOME } else { size as usize + 1 };
        let data = from.read_vec_at(length, 0)?;
        write_all(to, &data, 0)?;
        at = data.len() as u64;
        // The read had room for one byte more, so this is the end.
        if at == size {
            return Ok(());
        }
    } else {
        at = copy_data_ranges(size, from, to)?;
    }
    let mut buffer = vec![0; STEP];
    loop {
        let read = from.read_at(&mut buffer, at)?;
        if read == 0 {
            break;
        }
        write_all(to, &buffer[..read], at)?;
        at += read as u64;
    }
    if at < size {
        check_size(size, from)?;
    }
    Ok(())
}

/// Copies the data in the first `size` bytes, and leaves holes elsewhere. Returns where it stopped: at
/// `size`, or at the end of the file.
fn copy_data_ranges(size: u64, from: &dyn ReadAt, to: &dyn WriteAt) -> Result<u64> {
    let mut buffer = Vec::new();
    let (mut at, mut written) = (0, 0);
    'ranges: while at < size {
        let Some(range) = from.next_data(at)?.filter(|range| range.start < size) else {
            // The rest is a hole, or the file ends here.
            check_size(size, from)?;
            at = size;
            break;
        };
        let end = range.end.min(size);
        at = range.start;
        at += to.copy_from(from, at..end)?.min(end - at);
        if at < end && buffer.is_empty() {
            buffer = vec![0; STEP];
        }
        while at < end {
            let want = usize::try_from(end - at).map_or(STEP, |left| left.min(STEP));
            let read = from.read_at(&mut buffer[..want], at)?;
            if read == 0 {
                break 'ranges;
            }
            write_all(to, &buffer[..read], at)?;
            at += read as u64;
        }
        written = at;
    }
    if written < at {
        to.set_size(at)?;
    }
    Ok(at)
}

/// Fails if the size of the file is no longer `size`. A file that still reports its size, but ends before
/// it, was never that long.
fn check_size(size: u64, from: &dyn ReadAt) -> Result<()> {
    if from.meta()?.size == size {
        return Ok(());
    }
    let message = "a lower file ended before its size: was the layer changed?";
    Err(Error::new(Errno::Io, message))
}

fn write_all(to: &dyn WriteAt, mut bytes: &[u8], mut at: u64) -> Result<()> {
    while !bytes.is_empty() {
        match to.write_at(bytes, at)? {
            0 => return Err(Error::new(Errno::Io, "the upper accepted no more bytes")),
            written => {
                bytes = &bytes[written.min(bytes.len())..];
                at += written as u64;
            }
        }
    }
    Ok(())
}
