//! Reads and writes of whole files through streams.

use crate::{
    Descriptor, FutureReader, OpenFlags, Result, StreamWriter, bindings, open, open_write, show,
};

/// The future that reports how a stream ended.
pub type Ended = FutureReader<Result<()>>;

/// Reads from an offset to the end of the file.
pub async fn read_at(file: &Descriptor, offset: u64) -> Result<Vec<u8>> {
    let (stream, ended) = file.read_via_stream(offset);
    let data = stream.collect().await;
    ended.await?;
    Ok(data)
}

/// Reads all of a file.
pub async fn read_all(file: &Descriptor) -> Result<Vec<u8>> {
    read_at(file, 0).await
}

/// Opens a file and reads all of it.
pub async fn read_file(dir: &Descriptor, path: &str) -> Result<Vec<u8>> {
    read_all(&open(dir, path).await?).await
}

/// A stream into a file: the end to write to, and the future.
pub type Sink = (StreamWriter<u8>, Ended);

/// Opens a stream into a file, at an offset or at its end.
pub fn sink(file: &Descriptor, offset: Option<u64>) -> Sink {
    let (writer, reader) = bindings::wit_stream::new();
    let ended = match offset {
        Some(offset) => file.write_via_stream(reader, offset),
        None => file.append_via_stream(reader),
    };
    (writer, ended)
}

/// Writes all of `data` to a stream and closes it; returns how many bytes were written.
async fn write_and_close((mut writer, ended): Sink, data: &[u8]) -> Result<usize> {
    let left = writer.write_all(data.to_vec()).await;
    drop(writer);
    ended.await?;
    Ok(data.len() - left.len())
}

/// Writes at an offset.
pub async fn write_at(file: &Descriptor, data: &[u8], offset: u64) -> Result<usize> {
    write_and_close(sink(file, Some(offset)), data).await
}

/// Writes at the end.
pub async fn append(file: &Descriptor, data: &[u8]) -> Result<usize> {
    write_and_close(sink(file, None), data).await
}

/// Writes a file, which is created or truncated.
pub async fn write_file(dir: &Descriptor, path: &str, data: &[u8]) -> Result<()> {
    let file = open_write(dir, path, OpenFlags::CREATE | OpenFlags::TRUNCATE).await?;
    let count = write_at(&file, data, 0).await?;
    assert_eq!(count, data.len(), "a stream that ended well took all");
    Ok(())
}

/// Prints a digest of a file's data.
pub async fn show_file(dir: &Descriptor, path: &str) {
    let data = read_file(dir, path).await;
    show(format_args!("read {path}"), data.map(|data| digest(&data)));
}

/// The length of some data, a checksum and its first bytes.
pub fn digest(data: &[u8]) -> String {
    // FNV-1a.
    let sum = data.iter().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let start = String::from_utf8_lossy(&data[..data.len().min(24)])
        .escape_debug()
        .to_string();
    format!("{} bytes, {sum:016x}, {start}", data.len())
}

/// Pseudorandom bytes, so that no two ranges are equal.
pub fn filled(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}
