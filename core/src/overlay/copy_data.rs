//! The data of a copy.
//!
//! The end of a file is where a read finds nothing, not where `stat` says: files of procfs are of
//! size 0 and those of sysfs of one page, whatever they hold. A lower file that is shorter than it
//! was is an error, since its layer was changed. One without end ends with the space of the upper.

use crate::error::{Errno, Error, Result};
use crate::layer::{ReadAt, WriteAt};
use crate::meta::Meta;

/// Copying without help of the kernel goes in steps of this size.
const STEP: usize = 64 * 1024;

/// Bytes that a file of size 0 is asked for first: most have none.
const SOME: usize = 4096;

/// Copies all data of `from`, of which `meta` is known, to `to`, which has none yet. Holes stay holes.
pub(super) fn copy_data(meta: &Meta, from: &dyn ReadAt, to: &dyn WriteAt) -> Result<()> {
    let size = meta.size;
    let sparse = meta.allocated.is_some_and(|bytes| bytes < size);
    let mut at;
    if size <= STEP as u64 && !sparse {
        // A small file is whole in one step, which takes fewer calls than asking what is cheaper.
        let length = if size == 0 { SOME } else { size as usize + 1 };
        let data = from.read_vec_at(length, 0)?;
        write_all(to, &data, 0)?;
        at = data.len() as u64;
        // There was room for more.
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

/// Copies what is data in the first `size` bytes, and makes the rest of them a hole. Returns how far
/// it came: to `size`, or to the end of the file.
fn copy_data_ranges(size: u64, from: &dyn ReadAt, to: &dyn WriteAt) -> Result<u64> {
    let mut buffer = Vec::new();
    let (mut at, mut written) = (0, 0);
    'ranges: while at < size {
        let Some(range) = from.next_data(at)?.filter(|range| range.start < size) else {
            // Nothing but a hole is left, or nothing at all.
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

/// An error if the file is no longer as long as it was. One that ends before a size that it still has
/// never was as long as that.
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
            0 => return Err(Error::new(Errno::Io, "the upper took no more bytes")),
            written => {
                bytes = &bytes[written.min(bytes.len())..];
                at += written as u64;
            }
        }
    }
    Ok(())
}
