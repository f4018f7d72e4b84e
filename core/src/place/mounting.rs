//! Takes layers into use: registers their places, and waits for overlays that are about to give one back.
//!
//! Omitted from the component build to save code size: a component has one mount, and its layers no places.

#[cfg(feature = "native")]
pub(crate) use registered::{Held, LowerInUse, UpperInUse, use_lower};
#[cfg(not(feature = "native"))]
pub(crate) use unregistered::{Held, LowerInUse, UpperInUse, use_lower};

#[cfg(feature = "native")]
mod registered {
    use super::super::ending::{self, Mounted, retry_while_ending};
    use super::super::registry::{self, InUse, Role};
    use crate::error::Result;
    use crate::layer::Durability;
    use crate::layer::erased::{AnyLayer, AnyUpper};
    use crate::sync::{Mutex, Rank};
    use std::sync::Arc;

    pub(crate) use super::super::ending::Held;
    pub(crate) type LowerInUse = Option<InUse>;

    /// Takes a lower layer into use.
    ///
    /// # Errors
    /// `busy` if the layer shares storage with the upper of an overlay; any error returned by the layer.
    pub(crate) fn use_lower(layer: &dyn AnyLayer) -> Result<LowerInUse> {
        retry_while_ending(layer, || {
            let in_use = register(layer, Role::Lower)?;
            layer.mount_lower()?;
            Ok(in_use)
        })
    }

    fn register<L: AnyLayer + ?Sized>(layer: &L, role: Role) -> Result<Option<InUse>> {
        let place = layer.place()?;
        place
            .map(|place| registry::register(&place, role, layer.label()))
            .transpose()
    }

    /// The upper of an overlay, mounted.
    pub(crate) struct UpperInUse {
        /// None once the upper was given back. Guard: its own lock, a leaf.
        in_use: Mutex<Option<InUse>>,
        mounted: Option<Mounted>,
    }

    impl UpperInUse {
        /// Mounts `upper`.
        ///
        /// # Errors
        /// `busy` if another mount has the upper, or a layer in use shares its storage; any error returned
        /// by the upper.
        pub(crate) fn mount(upper: &dyn AnyUpper, durability: Durability) -> Result<Self> {
            let in_use = retry_while_ending(upper, || {
                let in_use = register(upper, Role::Upper)?;
                upper.mount(durability)?;
                Ok(in_use)
            })?;
            Ok(Self {
                in_use: Mutex::ranked(Rank::Leaf, in_use),
                mounted: None,
            })
        }

        /// Enters the upper, by device and inode number of its root, among those for which a later mount
        /// waits once what this returns was dropped.
        pub(crate) fn enter(&mut self, device: u64, inode: u64) -> Arc<Held> {
            let (mounted, held) = ending::mounted(device, inode);
            self.mounted = Some(mounted);
            held
        }

        /// Notes that the upper was unmounted.
        pub(crate) fn release(&self) {
            self.in_use.lock().take();
            if let Some(mounted) = &self.mounted {
                mounted.end();
            }
        }
    }
}

#[cfg(not(feature = "native"))]
mod unregistered {
    use crate::error::Result;
    use crate::layer::Durability;
    use crate::layer::erased::{AnyLayer, AnyUpper};
    use std::sync::Arc;

    pub(crate) type Held = ();
    pub(crate) type LowerInUse = Option<()>;

    pub(crate) fn use_lower(_layer: &dyn AnyLayer) -> Result<LowerInUse> {
        Ok(None)
    }

    pub(crate) struct UpperInUse;

    impl UpperInUse {
        pub(crate) fn mount(upper: &dyn AnyUpper, durability: Durability) -> Result<Self> {
            upper.mount(durability)?;
            Ok(Self)
        }

        pub(crate) fn enter(&mut self, _device: u64, _inode: u64) -> Arc<Held> {
            Arc::new(())
        }

        pub(crate) fn release(&self) {}
    }
}
