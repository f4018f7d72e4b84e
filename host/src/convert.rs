//! Conversions between the engine's types and those of WASI 0.2 and 0.3.

#[cfg(feature = "p2")]
use crate::p2;
#[cfg(feature = "p3")]
use crate::p3;
use wasi_overlay_core::{Errno, Error, log};

/// The error code for the guest. The rest of the error goes to the log, for the embedder.
pub(crate) fn guest_code(error: &Error) -> Errno {
    log::unlogged(error);
    error.errno()
}

#[cfg(feature = "p2")]
wasi_overlay_core::wasi_conversions!(p2::bindings::types);
#[cfg(feature = "p2")]
wasi_overlay_core::wasi_conversions!(p2::bindings::sync::types);
#[cfg(feature = "p3")]
wasi_overlay_core::wasi_conversions_p3!(p3::bindings::types);

#[cfg(all(test, feature = "p2"))]
mod tests {
    use super::*;

    #[test]
    fn every_sync_flag_is_unsupported() {
        use p2::bindings::types::{DescriptorFlags, OpenFlags, PathFlags};
        let how = |flags| OpenFlags::empty().how(PathFlags::empty(), flags);
        for flag in [
            DescriptorFlags::FILE_INTEGRITY_SYNC,
            DescriptorFlags::DATA_INTEGRITY_SYNC,
            DescriptorFlags::REQUESTED_WRITE_SYNC,
        ] {
            assert_eq!(how(flag | DescriptorFlags::READ), Err(Errno::Unsupported));
        }
        assert!(how(DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY).is_ok());
    }
}
