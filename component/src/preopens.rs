//! The exported `preopens`.

use crate::Overlay;
use crate::descriptor::Descriptor;
use crate::exports::preopens::Guest;
use crate::exports::types;
use crate::mount;

impl Guest for Overlay {
    /// Returns the merged tree, then the passed preopens.
    fn get_directories() -> Vec<(types::Descriptor, String)> {
        let directories = mount::preopens().into_iter();
        directories
            .map(|(descriptor, name): (Descriptor, String)| {
                (types::Descriptor::new(descriptor), name)
            })
            .collect()
    }
}
