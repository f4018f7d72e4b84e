//! Entries of an archive, from what the parser returns: pax records, times, owners, types, sparse maps.
//!
//! The parser applies paths, link targets, sizes and sparse maps. It is lenient about records that it
//! cannot read, and knows neither global records nor times before 1970 or fractions of seconds, so this
//! file reads the pax records too, and refuses what it cannot read: an archive must not have two readings.

use super::extras::{Attribute, Chunk, Extras};
use super::node::{Node, NodeFlags};
use super::pax::Records;
use crate::error::{Errno, Error, Result};
use crate::meta::{Kind, Timestamp};
use crate::whiteouts::{Meaning, meaning};
use tar_core::parse::ParsedEntry;
use tar_core::{EntryType, HEADER_SIZE, SparseEntry};

/// What an archive has at a path.
#[derive(Debug)]
pub(super) enum Item {
    /// A file, directory or symbolic link.
    Node(Node, Extras),
    /// A hard link to this path.
    Link(Box<[u8]>),
    /// A whiteout in the kernel's format.
    Whiteout,
}

/// The map of a sparse file.
pub(super) struct Sparse {
    pub(super) map: Vec<SparseEntry>,
    /// Bytes of the file, holes included.
    pub(super) size: u64,
}

/// The bytes of data that follow the header of an entry, without padding.
///
/// Links, directories, devices and fifos have none, whatever their size says, as in Go's archive/tar, which
/// container tools use.
pub(super) fn data_bytes(entry: &ParsedEntry<'_>) -> u64 {
    match entry.entry_type {
        EntryType::Link
        | EntryType::Symlink
        | EntryType::Char
        | EntryType::Block
        | EntryType::Directory
        | EntryType::Fifo => 0,
        _ => entry.size,
    }
}

impl Item {
    /// The item of `entry`, whose data begins at `data` in the archive. `globals` are the global records in
    /// force.
    ///
    /// # Errors
    /// `invalid` for what cannot be read or shown; `unsupported` for a type that is not a file's.
    pub(super) fn new(
        entry: &ParsedEntry<'_>,
        sparse: Option<Sparse>,
        data: u64,
        globals: &Records,
    ) -> Result<Self> {
        let own = match entry.pax {
            Some(pax) => Records::parse(pax)?,
            None => Records::default(),
        };
        if let Some(size) = own.size
            && sparse.is_none()
            && size != entry.size
        {
            return Err(invalid("its size is given more than once"));
        }
        if entry.entry_type == EntryType::Link {
            return Self::link(entry);
        }
        let kind = kind(entry)?;
        let mut node = Node::new(kind);
        let mut extras = Extras {
            accessed: own.accessed.or(globals.accessed),
            attributes: attributes(entry, own.attributes, globals),
            ..Extras::default()
        };
        node.mode = (entry.mode & 0o7777) as u16;
        node.owner = (
            id(own.user.or(globals.user).unwrap_or(entry.uid), "user")?,
            id(own.group.or(globals.group).unwrap_or(entry.gid), "group")?,
        );
        node.modified = own.modified.or(globals.modified).unwrap_or(Timestamp {
            // Negative numbers in base 256 wrap around.
            seconds: entry.mtime.cast_signed(),
            nanoseconds: 0,
        });
        match kind {
            Kind::File => match sparse {
                Some(sparse) => set_sparse(&mut node, &mut extras, &sparse, entry.size, data)?,
                None => (node.size, node.data) = (entry.size, data),
            },
            Kind::Symlink => {
                let target = entry.link_target.as_deref().unwrap_or_default();
                if target.is_empty() || target.contains(&0) {
                    return Err(invalid("it is a symbolic link without a target"));
                }
                extras.target = target.into();
                node.size = target.len() as u64;
            }
            Kind::CharDevice | Kind::BlockDevice => {
                node.data = device(entry);
                if kind == Kind::CharDevice && node.data == 0 {
                    return Ok(Self::Whiteout);
                }
            }
            Kind::Dir | Kind::Fifo | Kind::Socket => {}
        }
        if apply_overlay_attributes(&mut node, &mut extras.attributes)? {
            return Ok(Self::Whiteout);
        }
        Ok(Self::Node(node, extras))
    }

    fn link(entry: &ParsedEntry<'_>) -> Result<Self> {
        match &entry.link_target {
            Some(target) => Ok(Self::Link((&**target).into())),
            None => Err(invalid("it is a hard link without a target")),
        }
    }
}

/// The kind of an entry that is not a hard link.
fn kind(entry: &ParsedEntry<'_>) -> Result<Kind> {
    let has_format = entry.header.is_ustar() || entry.header.is_gnu();
    Ok(match entry.entry_type {
        // Old archives mark a directory by the end of its path.
        EntryType::Regular | EntryType::Continuous if entry.path.ends_with(b"/") => Kind::Dir,
        EntryType::Regular | EntryType::Continuous => Kind::File,
        EntryType::GnuSparse if has_format => Kind::File,
        EntryType::Symlink => Kind::Symlink,
        EntryType::Char => Kind::CharDevice,
        EntryType::Block => Kind::BlockDevice,
        EntryType::Directory => Kind::Dir,
        EntryType::Fifo => Kind::Fifo,
        EntryType::Link
        | EntryType::GnuSparse
        | EntryType::GnuLongName
        | EntryType::GnuLongLink
        | EntryType::XHeader
        | EntryType::XGlobalHeader
        | EntryType::Other(_) => {
            return Err(Error::new(
                Errno::Unsupported,
                format_args!(
                    "it has the type `{}`, which is not that of a file, directory or link",
                    entry.entry_type.to_byte().escape_ascii()
                ),
            ));
        }
    })
}

/// The number of a user or group.
fn id(number: u64, what: &str) -> Result<u32> {
    match u32::try_from(number) {
        // The system reserves the last number.
        Ok(id) if id != u32::MAX => Ok(id),
        _ => Err(invalid(format_args!(
            "its {what} has the number {number}, but Linux has numbers up to 4294967294"
        ))),
    }
}

/// A device number, as the C library's `makedev` composes it.
fn device(entry: &ParsedEntry<'_>) -> u64 {
    let major = u64::from(entry.dev_major.unwrap_or_default());
    let minor = u64::from(entry.dev_minor.unwrap_or_default());
    (major & 0xffff_f000) << 32 | (major & 0xfff) << 8 | (minor & 0xffff_ff00) << 12 | minor & 0xff
}

/// The extended attributes of an entry: its own before those of a global record, and of the two forms of
/// one attribute the one that container tools write.
fn attributes(
    entry: &ParsedEntry<'_>,
    libarchive: Vec<Attribute>,
    globals: &Records,
) -> Vec<Attribute> {
    let own = entry.xattrs.iter();
    let own = own.map(|(name, value)| ((&**name).into(), (&**value).into()));
    let mut attributes: Vec<Attribute> = Vec::new();
    for (name, value) in own {
        // The last record of a name counts.
        attributes.retain(|(known, _)| *known != name);
        attributes.push((name, value));
    }
    for (name, value) in libarchive
        .into_iter()
        .chain(globals.attributes.iter().cloned())
    {
        if !attributes.iter().any(|(known, _)| *known == name) {
            attributes.push((name, value));
        }
    }
    attributes
}

/// Applies the attributes of overlay filesystems, and removes them. Returns whether they make the entry a
/// whiteout.
fn apply_overlay_attributes(node: &mut Node, attributes: &mut Vec<Attribute>) -> Result<bool> {
    let mut is_whiteout = false;
    for (name, value) in &*attributes {
        match meaning(name) {
            Some(Meaning::Opaque) if node.is_dir() => {
                if **value == *b"y" {
                    node.flags.set(NodeFlags::OPAQUE, true);
                }
            }
            Some(Meaning::Whiteout) => {
                is_whiteout |= node.kind() == Some(Kind::File) && node.size == 0;
            }
            Some(Meaning::Redirect | Meaning::Metacopy) => {
                return Err(Error::new(
                    Errno::Unsupported,
                    format_args!(
                        "it has the attribute {}: its content lies in another layer, as the \
                         kernel's overlayfs does with redirect_dir or metacopy",
                        name.escape_ascii()
                    ),
                ));
            }
            Some(Meaning::Opaque | Meaning::None) | None => {}
        }
    }
    attributes.retain(|(name, _)| meaning(name).is_none());
    Ok(is_whiteout)
}

/// Sets the size and the chunks of a sparse file whose archive has `stored` bytes of it at `data`.
fn set_sparse(
    node: &mut Node,
    extras: &mut Extras,
    sparse: &Sparse,
    stored: u64,
    mut data: u64,
) -> Result<()> {
    let bad_map = || invalid("its map of holes does not fit its size");
    let first = data;
    let mut end = 0;
    for part in &sparse.map {
        let part_end = part.offset.checked_add(part.length).ok_or_else(bad_map)?;
        if part.offset < end || part_end > sparse.size {
            return Err(bad_map());
        }
        if part.length > 0 {
            extras.chunks.push(Chunk {
                offset: part.offset,
                length: part.length,
                data,
            });
        }
        data = data.checked_add(part.length).ok_or_else(bad_map)?;
        end = part_end;
    }
    if data - first != stored {
        return Err(bad_map());
    }
    node.flags.set(NodeFlags::SPARSE, true);
    node.size = sparse.size;
    node.data = first;
    Ok(())
}

/// The bytes of data with the padding to the next header.
pub(super) fn padded(bytes: u64) -> Option<u64> {
    bytes.checked_next_multiple_of(HEADER_SIZE as u64)
}

pub(super) fn invalid(message: impl std::fmt::Display) -> Error {
    Error::new(Errno::Invalid, message)
}
