//! Bounds on what manifests, archives and registries can make this crate hold or write.

/// Bytes of a manifest or an index. Docker's registry accepts 4 MiB.
pub const MAX_MANIFEST: u64 = 4 << 20;
/// Bytes of an image's config.
pub const MAX_CONFIG: u64 = 8 << 20;
/// Bytes of the `index.json` of a layout or a store: room for some 40,000 images.
pub const MAX_INDEX: u64 = 16 << 20;
/// Levels of indexes in indexes.
pub(crate) const MAX_INDEX_DEPTH: usize = 4;
/// Manifests reachable from one index.
pub(crate) const MAX_MANIFESTS: usize = 1024;
/// Symbolic links followed to a layer in the output of `docker save`.
pub(crate) const MAX_LINKS: usize = 16;
/// Logarithm of the largest window of zstd that is accepted: 128 MiB, as `zstd -d` has it.
pub(crate) const ZSTD_WINDOW_LOG: u32 = 27;
/// Bytes of a decompressed layer that no ratio applies to: that of a small blob says nothing.
const FREE_OF_RATIO: u64 = 1 << 20;

/// The bytes that a blob of `compressed` bytes may decompress to.
pub(crate) fn unpacked_bytes(limits: &wasi_overlay_core::Limits, compressed: u64) -> u64 {
    let by_ratio = compressed.saturating_mul(limits.archive_expansion);
    limits.archive_bytes.min(by_ratio.max(FREE_OF_RATIO))
}
