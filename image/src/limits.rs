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
/// Bytes of output that no ratio applies to. The ratio of a small blob says nothing: a tar of one empty
/// file compresses to less than a hundredth.
pub(crate) const FREE_OF_RATIO: u64 = 64 << 20;

/// Bounds on what a compressed layer decompresses to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnpackLimits {
    /// Bytes of a decompressed layer.
    pub bytes: u64,
    /// The decompressed size as a multiple of the compressed one. The first 64 MiB are exempt.
    pub ratio: u64,
}

impl Default for UnpackLimits {
    fn default() -> Self {
        Self {
            bytes: 64 << 30,
            ratio: 1000,
        }
    }
}

impl UnpackLimits {
    /// The bound for a blob of `compressed` bytes.
    pub(crate) fn for_blob(&self, compressed: u64) -> u64 {
        self.bytes
            .min(compressed.saturating_mul(self.ratio).max(FREE_OF_RATIO))
    }
}
