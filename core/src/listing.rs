//! [`Listing`]: a snapshot of the entries of a directory, as a guest reads them.

use crate::budget::Charge;
use crate::error::Result;
use crate::identity::IdentityKey;
use crate::meta::Kind;
use crate::name::Name;
use crate::stack::{LowerNode, LowerStack, Record, Table};
use std::fmt;
use std::sync::{Arc, OnceLock};

/// The entries of a directory at one instant, each name once, without `.` and `..`.
///
/// The listing of a directory that only lower layers have shares its names with their stack, and keeps
/// the stack alive.
#[derive(Debug)]
pub struct Listing(Entries);

#[derive(Debug)]
enum Entries {
    /// Entries that the listing owns.
    Own(OwnEntries),
    /// The entries of a directory of which the upper has nothing: the stack caches them in any case.
    Lower(LowerNames),
}

/// Entries that a listing owns, or a listing under construction. None of them is a whiteout.
#[derive(Debug, Default)]
pub(crate) struct OwnEntries {
    /// All names, in any order.
    names: Vec<u8>,
    records: Vec<Record>,
    /// The bytes of both, released when the listing is dropped.
    charge: Option<Charge>,
}

struct LowerNames {
    /// A directory with a table of its names.
    dir: Arc<LowerNode>,
    stack: Arc<LowerStack>,
    key: IdentityKey,
    /// The inode numbers shown for the entries, computed at the first query: only WASI 0.1 shows them.
    inodes: OnceLock<Box<[u64]>>,
}

/// One entry of a [`Listing`].
#[derive(Clone, Copy)]
pub struct ListingEntry<'a> {
    /// The name. A host may have names that are not UTF-8.
    pub name: Name<'a>,
    /// The type.
    pub kind: Kind,
    inode: Inode<'a>,
}

#[derive(Clone, Copy)]
enum Inode<'a> {
    Known(u64),
    Lower(&'a LowerNames, usize),
}

/// Computes the inode numbers shown for the entries that lower layers have in a directory.
pub(crate) struct InodeNumbers<'a> {
    dir: &'a Arc<LowerNode>,
    stack: &'a LowerStack,
    key: &'a IdentityKey,
    /// The layer of the last query and its device: consecutive entries often come from one layer.
    known: Option<(u16, u64)>,
}

/// The number in a listing for a file whose number is not known. WASI's C library takes it as a request
/// to call `stat`.
pub(crate) const NO_INODE: u64 = 0;

impl Listing {
    /// The number of entries.
    pub fn len(&self) -> usize {
        match &self.0 {
            Entries::Own(own) => own.records.len(),
            Entries::Lower(lower) => lower.table().map_or(0, Table::len),
        }
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The entry at `index`, in the order of the listing.
    pub fn get(&self, index: usize) -> Option<ListingEntry<'_>> {
        let (name, kind, inode) = match &self.0 {
            Entries::Own(own) => {
                let record = own.records.get(index)?;
                let name = Name::checked(record.name(&own.names));
                (name, record.kind?, Inode::Known(record.inode))
            }
            Entries::Lower(lower) => {
                let (name, kind) = lower.table()?.get(index)?;
                (name, kind, Inode::Lower(lower, index))
            }
        };
        Some(ListingEntry { name, kind, inode })
    }

    /// All entries.
    pub fn iter(&self) -> impl Iterator<Item = ListingEntry<'_>> {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// Computes the [inode numbers](ListingEntry::inode) of all entries, for a caller that must not wait
    /// for the layers later.
    ///
    /// # Errors
    /// Any error returned by the layers.
    pub fn find_inodes(&self) -> Result<()> {
        match &self.0 {
            Entries::Own(_) => Ok(()),
            Entries::Lower(lower) => lower.inodes().map(drop),
        }
    }

    /// Bytes of memory that this listing holds for itself, without those that it shares with others.
    pub fn bytes(&self) -> usize {
        match &self.0 {
            Entries::Own(own) => own.names.len() + own.records.len() * size_of::<Record>(),
            Entries::Lower(lower) => lower.inodes.get().map_or(0, |all| size_of_val(&all[..])),
        }
    }

    /// Whether every name is UTF-8, so that WASI can express it.
    pub fn is_utf8(&self) -> bool {
        let is_ascii = match &self.0 {
            Entries::Own(own) => own.names.is_ascii(),
            Entries::Lower(lower) => lower.table().is_none_or(Table::is_ascii),
        };
        is_ascii || self.iter().all(|entry| entry.name.to_str().is_ok())
    }

    /// The listing of `records`, none of them a whiteout, with their names.
    pub(crate) fn new(names: Vec<u8>, records: Vec<Record>, charge: Option<Charge>) -> Self {
        OwnEntries {
            names,
            records,
            charge,
        }
        .into()
    }

    /// The listing of `dir`, a directory of `stack` of which the upper has nothing. `None` if it has too
    /// many names for a table.
    pub(crate) fn lower(
        dir: &Arc<LowerNode>,
        stack: &Arc<LowerStack>,
        key: &IdentityKey,
    ) -> Result<Option<Self>> {
        let has_table = dir.has_table(stack)?;
        Ok(has_table.then(|| {
            Self(Entries::Lower(LowerNames {
                dir: Arc::clone(dir),
                stack: Arc::clone(stack),
                key: key.clone(),
                inodes: OnceLock::new(),
            }))
        }))
    }
}

impl From<OwnEntries> for Listing {
    fn from(mut own: OwnEntries) -> Self {
        // The charge does not include unused capacity.
        own.names.shrink_to_fit();
        own.records.shrink_to_fit();
        if let Some(charge) = &mut own.charge {
            charge.settle();
        }
        Self(Entries::Own(own))
    }
}

/// A listing without entries.
impl Default for Listing {
    fn default() -> Self {
        OwnEntries::default().into()
    }
}

#[cfg(feature = "dir")]
impl OwnEntries {
    /// An empty list that charges the bytes of its entries to `charge`.
    pub(crate) fn charged(charge: Charge) -> Self {
        Self {
            charge: Some(charge),
            ..Self::default()
        }
    }

    /// Adds an entry. Returns false if the budget has no bytes left for it.
    #[must_use]
    pub(crate) fn push(&mut self, name: Name<'_>, kind: Kind, inode: u64) -> bool {
        let name = name.as_bytes();
        if let Some(charge) = &mut self.charge
            && !charge.add(name.len() + size_of::<Record>())
        {
            return false;
        }
        self.records.push(Record {
            start: self.names.len(),
            inode,
            length: u32::try_from(name.len()).unwrap_or(u32::MAX),
            layer: 0,
            kind: Some(kind),
        });
        self.names.extend_from_slice(name);
        true
    }
}

impl ListingEntry<'_> {
    /// The lower half of the file's [`Identity`](crate::Identity); 0 where it is not known without a
    /// `stat`, as in WASI 0.1.
    ///
    /// The first call on a listing may query the layers, and block;
    /// [`find_inodes`](Listing::find_inodes) does so beforehand, after which this never fails.
    ///
    /// # Errors
    /// Any error returned by the layers. A failure is not cached: the next call queries them again.
    #[inline]
    pub fn inode(&self) -> Result<u64> {
        match self.inode {
            Inode::Known(inode) => Ok(inode),
            Inode::Lower(lower, index) => match lower.inodes.get() {
                Some(inodes) => Ok(inodes[index]),
                None => lower.inode(index),
            },
        }
    }
}

impl LowerNames {
    fn table(&self) -> Option<&Table> {
        self.dir.table()
    }

    #[cold]
    fn inode(&self, index: usize) -> Result<u64> {
        self.inodes().map(|inodes| inodes[index])
    }

    /// The inode numbers, computed at the first call. A failure is not cached.
    fn inodes(&self) -> Result<&[u64]> {
        if let Some(inodes) = self.inodes.get() {
            return Ok(inodes);
        }
        let mut inodes = InodeNumbers::of(&self.dir, &self.stack, &self.key);
        let places = self.table().into_iter().flat_map(Table::places);
        let shown = places.map(|(layer, inode)| inodes.number(layer, inode));
        let shown = shown.collect::<Result<_>>()?;
        Ok(self.inodes.get_or_init(|| shown))
    }
}

impl<'a> InodeNumbers<'a> {
    pub(crate) fn of(dir: &'a Arc<LowerNode>, stack: &'a LowerStack, key: &'a IdentityKey) -> Self {
        Self {
            dir,
            stack,
            key,
            known: None,
        }
    }

    /// The number shown for the file with number `inode` in `layer`.
    ///
    /// # Errors
    /// Any error returned by the layer.
    pub(crate) fn number(&mut self, layer: u16, inode: u64) -> Result<u64> {
        if inode == NO_INODE {
            return Ok(NO_INODE);
        }
        let device = match self.known {
            Some((of, device)) if of == layer => device,
            _ => self.dir.device_in(self.stack, layer)?,
        };
        self.known = Some((layer, device));
        Ok(self.key.of(layer.into(), device, inode).lower)
    }
}

impl fmt::Debug for LowerNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LowerNames")
            .field("stack", &self.stack)
            .field("names", &self.table().map(Table::len))
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ListingEntry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListingEntry")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}
