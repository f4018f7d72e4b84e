//! Errors for mount points inside a layer. A layer is one filesystem: a mount point can be listed and
//! queried with `stat`, but nothing in it can be reached.

use crate::error::{Errno, Error, Result};
use crate::name::Name;
use crate::plain::Plain;

/// Converts the result of opening `name`, in a tree that does not cross mounts, for a lower layer.
pub(super) fn in_lower<T, P: Plain>(plain: &P, name: Name<'_>, opened: Result<T>) -> Result<T> {
    refuse(
        plain,
        name,
        opened,
        "mount the layer with the key `cross-mounts`, as in `--mount dst=/,layer=DIR,cross-mounts` \
         (as an embedder, `HostDir::cross_mounts`)",
    )
}

/// Converts the result of opening `name`, in a tree that does not cross mounts, for an upper.
pub(super) fn in_upper<T, P: Plain>(plain: &P, name: Name<'_>, opened: Result<T>) -> Result<T> {
    refuse(
        plain,
        name,
        opened,
        "unmount it: an upper is one filesystem",
    )
}

/// Fails if `name` is a mount point, for calls that would change the mounted file or directory by name.
pub(super) fn check_not_mounted<P: Plain>(
    plain: &P,
    dir: &P::Dir,
    name: Option<Name<'_>>,
) -> Result<()> {
    match name {
        Some(name) if plain.is_mount_point(dir, name)? => {
            in_upper(plain, name, Err(Errno::CrossDevice.into()))
        }
        Some(_) | None => Ok(()),
    }
}

fn refuse<T, P: Plain>(plain: &P, name: Name<'_>, opened: Result<T>, remedy: &str) -> Result<T> {
    match opened {
        // A component has no mounts.
        Err(error) if cfg!(feature = "native") && error.errno() == Errno::CrossDevice => {
            let message = format_args!("{name} is a mount point, and not entered");
            Err(Error::new(Errno::NotPermitted, message)
                .with_remedy(|| remedy)
                .in_layer(|| plain.label()))
        }
        opened => opened,
    }
}
