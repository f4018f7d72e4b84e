//! The whiteout format of Linux's overlayfs and fuse-overlayfs, recognized in lowers.
//!
//! See [overlayfs] on whiteouts, opaque directories, `redirect_dir` and `metacopy`.
//!
//! [overlayfs]: https://docs.kernel.org/filesystems/overlayfs.html

use crate::error::{Errno, Error, Result};
use crate::layer::{Listed, XattrNames};
use crate::log::Warning;
use crate::meta::{Kind, Meta};
use crate::name::Name;
use crate::plain::Plain;
use std::ops::ControlFlow;

/// The namespaces of overlay attributes: those of the kernel's overlayfs as root and with `userxattr`, and
/// that of fuse-overlayfs.
const NAMESPACES: [&[u8]; 3] = [
    b"trusted.overlay.",
    b"user.overlay.",
    b"user.fuseoverlayfs.",
];

/// The meaning of an overlay attribute.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    Opaque,
    Whiteout,
    Redirect,
    Metacopy,
    /// Bookkeeping (`origin`, `impure`, `uuid`, …) without a meaning for readers.
    None,
}

/// The meaning of an attribute. `None` if it does not belong to an overlay.
pub(crate) fn meaning(attribute: &[u8]) -> Option<Meaning> {
    let what = NAMESPACES
        .iter()
        .find_map(|namespace| attribute.strip_prefix(*namespace))?;
    Some(match what {
        b"opaque" => Meaning::Opaque,
        b"whiteout" => Meaning::Whiteout,
        b"redirect" => Meaning::Redirect,
        b"metacopy" => Meaning::Metacopy,
        _ => Meaning::None,
    })
}

/// Whether the attribute belongs to an overlay. Such attributes are never shown, copied or set.
pub(crate) fn is_overlay_attribute(attribute: &[u8]) -> bool {
    meaning(attribute).is_some()
}

/// The attributes that a reader may see.
pub(super) fn visible_xattrs<P: Plain>(
    plain: &P,
    dir: &P::Dir,
    name: Option<Name<'_>>,
) -> Result<Vec<Box<[u8]>>> {
    Ok(visible(plain.xattrs(dir, name)?))
}

fn visible(mut attributes: XattrNames) -> XattrNames {
    if !cfg!(feature = "native") {
        return Vec::new();
    }
    attributes.retain(|attribute| !is_overlay_attribute(attribute));
    attributes
}

/// Whether the file is a whiteout by its type, a character device 0:0.
pub(super) fn is_whiteout_device(meta: &Meta) -> bool {
    meta.kind == Kind::CharDevice && meta.rdev == 0
}

/// Whether a regular file is a whiteout by its attribute.
///
/// For an ordinary file this makes no call: a whiteout is empty, and a file whose data the kernel left
/// in another layer (`metacopy`) has less storage than its size.
pub(super) fn is_whiteout_by_attribute<P: Plain>(
    plain: &P,
    dir: &P::Dir,
    name: Name<'_>,
    meta: &Meta,
) -> Result<bool> {
    let sparse = meta.allocated.is_some_and(|bytes| bytes < meta.size);
    if meta.size > 0 && !sparse {
        return Ok(false);
    }
    let mut whiteout = false;
    for attribute in read(plain, dir, Some(name))? {
        match meaning(&attribute) {
            Some(Meaning::Whiteout) => whiteout |= meta.size == 0,
            Some(Meaning::Metacopy | Meaning::Redirect) => {
                return Err(content_elsewhere(plain, name, &attribute));
            }
            Some(Meaning::Opaque | Meaning::None) | None => {}
        }
    }
    Ok(whiteout)
}

/// Refuses an open `file` whose data lies in another layer. Returns the attributes that a reader may see.
///
/// In most cases the storage of the file has shown it before. But a file's attributes may take blocks of
/// their own (ext4, xfs), which count like blocks of data: a small file without data then looks complete.
pub(super) fn check_data<P: Plain>(
    plain: &P,
    file: &P::File,
    dir: &P::Dir,
    name: Name<'_>,
) -> Result<XattrNames> {
    let attributes = plain
        .xattrs_of(file, dir, name)
        .map_err(|error| unreadable(plain, Some(name), error))?;
    match attributes
        .iter()
        .find(|name| meaning(name) == Some(Meaning::Metacopy))
    {
        Some(attribute) => Err(content_elsewhere(plain, name, attribute)),
        None => Ok(visible(attributes)),
    }
}

/// The meaning of a directory's overlay attributes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DirAttributes {
    /// Whether it is opaque.
    pub(super) opaque: bool,
    /// Whether a listing must expect files that are whiteouts by attribute: the kernel flags such a
    /// directory (`opaque=x`), so that listings of other directories need not check each file.
    pub(super) has_attribute_whiteouts: bool,
}

/// The overlay attributes of the directory `name` in `dir`.
pub(super) fn dir_attributes<P: Plain>(
    plain: &P,
    dir: &P::Dir,
    name: Name<'_>,
) -> Result<DirAttributes> {
    read_dir_attributes(plain, dir, Some(name), Some(name))
}

/// The overlay attributes of `dir`, which has the name `name` in its parent.
pub(super) fn open_dir_attributes<P: Plain>(
    plain: &P,
    dir: &P::Dir,
    name: Name<'_>,
) -> Result<DirAttributes> {
    read_dir_attributes(plain, dir, None, Some(name))
}

/// The overlay attributes of the root of a layer, for which a redirect has no meaning.
pub(super) fn root_attributes<P: Plain>(plain: &P, root: &P::Dir) -> Result<DirAttributes> {
    read_dir_attributes(plain, root, None, None)
}

/// The overlay attributes of the directory `name`, or of `dir` itself if `name` is `None`. A directory with
/// a name (`own_name`) is refused if its content lies in another layer.
fn read_dir_attributes<P: Plain>(
    plain: &P,
    dir: &P::Dir,
    name: Option<Name<'_>>,
    own_name: Option<Name<'_>>,
) -> Result<DirAttributes> {
    let mut attributes = DirAttributes::default();
    let named = |error| unreadable(plain, own_name, error);
    for attribute in plain.xattrs(dir, name).map_err(named)? {
        match (meaning(&attribute), own_name) {
            (Some(Meaning::Opaque), _) => {
                let value = plain.xattr(dir, name, &attribute).map_err(named)?;
                // The attribute was listed, so if it has no value, access is denied.
                let value = value.ok_or_else(|| named(Errno::Access.into()))?;
                attributes.opaque |= value == b"y";
                attributes.has_attribute_whiteouts |= value == b"x";
            }
            (Some(Meaning::Redirect), Some(name)) => {
                return Err(content_elsewhere(plain, name, &attribute));
            }
            (Some(Meaning::Redirect), None) => {}
            (Some(Meaning::Whiteout | Meaning::Metacopy | Meaning::None) | None, _) => {}
        }
    }
    Ok(attributes)
}

/// The form in which an entry is listed. `None` if it was removed meanwhile.
pub(super) fn listed<P: Plain>(
    plain: &P,
    dir: &P::Dir,
    name: Name<'_>,
    kind: Kind,
    inode: u64,
    attribute_whiteouts: bool,
) -> Result<Option<Listed>> {
    let here = Listed::Here { kind, inode };
    let suspect = kind == Kind::CharDevice || (kind == Kind::File && attribute_whiteouts);
    if !suspect {
        return Ok(Some(here));
    }
    let meta = match plain.meta(dir, Some(name)) {
        Ok(meta) => meta,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error),
    };
    let hidden = is_whiteout_device(&meta)
        || (meta.kind == Kind::File && is_whiteout_by_attribute(plain, dir, name, &meta)?);
    Ok(Some(if hidden { Listed::Hidden } else { here }))
}

/// Refuses an upper whose root shows that another overlay filesystem wrote it. Whiteouts deeper down are
/// refused when they are found.
pub(super) fn check_upper<P: Plain>(plain: &P, root: &P::Dir) -> Result<()> {
    let mut devices = Vec::new();
    plain.list(root, &mut |name, kind, _| {
        if kind == Kind::CharDevice {
            devices.push(name.to_owned());
        }
        ControlFlow::Continue(())
    })?;
    for name in devices {
        let name = name.as_name();
        if is_whiteout_device(&plain.meta(root, Some(name))?) {
            return Err(foreign_upper(plain, name));
        }
    }
    let attributes = read(plain, root, None)?;
    match attributes.iter().find(|name| is_overlay_attribute(name)) {
        Some(attribute) => Err(refused_upper(
            plain,
            format_args!("has the attribute {}", attribute.escape_ascii()),
        )),
        None => Ok(()),
    }
}

/// The error that refuses an upper because of a whiteout in another format.
pub(super) fn foreign_upper<P: Plain>(plain: &P, name: Name<'_>) -> Error {
    refused_upper(plain, format_args!("holds the whiteout {name}"))
}

fn refused_upper<P: Plain>(plain: &P, what: std::fmt::Arguments<'_>) -> Error {
    Error::new(
        Errno::Unsupported,
        format_args!(
            "it {what} of another overlay filesystem, so it cannot be an upper: use it as a \
             layer, below an upper that is empty"
        ),
    )
    .in_layer(|| plain.label())
}

fn read<P: Plain>(plain: &P, dir: &P::Dir, name: Option<Name<'_>>) -> Result<Vec<Box<[u8]>>> {
    plain
        .xattrs(dir, name)
        .map_err(|error| unreadable(plain, name, error))
}

fn unreadable<P: Plain>(plain: &P, name: Option<Name<'_>>, error: Error) -> Error {
    match error.errno() {
        Errno::Access | Errno::NotPermitted => error
            .context(format_args!(
                "the overlay attributes of {} cannot be read: run with the permission to read \
                 them, or make them readable",
                NameOrDir(name)
            ))
            .in_layer(|| plain.label()),
        _ => error,
    }
}

/// A name in a message, or the directory itself.
struct NameOrDir<'a>(Option<Name<'a>>);

impl std::fmt::Display for NameOrDir<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(name) => name.fmt(f),
            None => f.write_str("a directory"),
        }
    }
}

fn content_elsewhere<P: Plain>(plain: &P, name: Name<'_>, attribute: &[u8]) -> Error {
    Error::new(
        Errno::Unsupported,
        format_args!(
            "`{name}` has the attribute {}: its content lies in another layer, as the kernel's \
             overlayfs does with redirect_dir or metacopy",
            attribute.escape_ascii()
        ),
    )
    .with_remedy(|| "copy the merged tree to a directory, and use that as the layer")
    .with_warning(Warning::ForeignLayer)
    .in_layer(|| plain.label())
}

/// Whether the attribute must not be copied: it belongs to an overlay, or the system's
/// security modules set it anew on every file.
pub(crate) fn is_never_copied(attribute: &[u8]) -> bool {
    matches!(
        attribute,
        b"security.selinux" | b"security.ima" | b"security.evm"
    ) || is_overlay_attribute(attribute)
}
