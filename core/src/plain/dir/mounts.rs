//! The table of mounts of this process, from `/proc/self/mountinfo` (proc(5)).

use super::open;
use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::{Errno as Os, Result, retry_on_intr};
use std::collections::HashMap;
use std::path::Path;

/// The table of mounts, by mount ID. Empty where there is no procfs.
pub(super) struct Mounts(HashMap<u64, Mount>);

/// A mount.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    /// The filesystem's device number as text. All subvolumes of a btrfs share one here.
    filesystem: Vec<u8>,
    /// The path of the mounted directory in its filesystem.
    root: Vec<u8>,
    /// The mount point.
    point: Vec<u8>,
}

/// The path of a directory in its filesystem.
pub(super) struct PathInFilesystem<'a> {
    pub(super) filesystem: &'a [u8],
    pub(super) names: Vec<&'a [u8]>,
}

impl Mounts {
    /// Reads the table.
    ///
    /// # Errors
    /// Those of the system, if there is a table: an incomplete one could make related layers seem
    /// unrelated.
    pub(super) fn read() -> Result<Self> {
        // Without procfs, directories of different mounts are compared by device and inode number alone.
        let table = read("/proc/self/mountinfo")?.unwrap_or_default();
        Ok(Self::parse(&table))
    }

    fn parse(table: &[u8]) -> Self {
        let lines = table.split(|&byte| byte == b'\n');
        Self(lines.filter_map(line).collect())
    }

    /// The path, in its filesystem, of the directory at `path` of this process, which is in `mount`.
    pub(super) fn locate<'a>(&'a self, mount: u64, path: &'a [u8]) -> Option<PathInFilesystem<'a>> {
        let mount = self.0.get(&mount)?;
        let inside = names(path);
        let point = names(&mount.point);
        let inside = inside.strip_prefix(point.as_slice())?;
        let mut names = names(&mount.root);
        names.extend_from_slice(inside);
        Some(PathInFilesystem {
            filesystem: &mount.filesystem,
            names,
        })
    }
}

/// The ID of the mount that a descriptor belongs to, from procfs.
///
/// # Errors
/// Those of the system, if there is procfs.
pub(super) fn of_descriptor(file: BorrowedFd<'_>) -> Result<Option<u64>> {
    let info = read(format!("/proc/self/fdinfo/{}", file.as_raw_fd()))?;
    Ok(info.as_deref().and_then(mount_of_info))
}

fn mount_of_info(info: &[u8]) -> Option<u64> {
    let mut lines = info.split(|&byte| byte == b'\n');
    let number = lines.find_map(|line| line.strip_prefix(b"mnt_id:"))?;
    std::str::from_utf8(number).ok()?.trim().parse().ok()
}

/// Parses a line into a mount ID and its mount. `None` for a filesystem that does not show the path of the
/// mounted directory, and for a directory that was removed while it was mounted.
fn line(line: &[u8]) -> Option<(u64, Mount)> {
    let mut fields = line.split(|&byte| byte == b' ');
    let number = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
    let _parent = fields.next()?;
    let filesystem = fields.next()?.to_vec();
    let root = unescape(fields.next()?);
    let point = unescape(fields.next()?);
    let kind = fields.skip_while(|field| *field != b"-").nth(1)?;
    // NFS always shows "/", control groups a path within a namespace.
    let shows_root = !kind.starts_with(b"nfs") && !kind.starts_with(b"cgroup");
    if !shows_root || root.ends_with(b"//deleted") {
        return None;
    }
    let mount = Mount {
        filesystem,
        root,
        point,
    };
    Some((number, mount))
}

fn names(path: &[u8]) -> Vec<&[u8]> {
    path.split(|&byte| byte == b'/')
        .filter(|name| !name.is_empty())
        .collect()
}

/// Turns octal escapes such as `\040` back into bytes.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, more)) = rest.split_first() {
        if let (b'\\', Some(&[a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7'])) =
            (first, more.first_chunk())
        {
            bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
            rest = &more[3..];
        } else {
            bytes.push(first);
            rest = more;
        }
    }
    bytes
}

/// Reads a whole file of procfs. `None` if procfs is not mounted, or the file is hidden from this process.
fn read(path: impl AsRef<Path>) -> Result<Option<Vec<u8>>> {
    const STEP: usize = 16 * 1024;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = match open::at(CWD, path.as_ref(), flags, Mode::empty()) {
        Ok(file) => file,
        Err(Os::NOENT | Os::NOTDIR | Os::ACCESS | Os::PERM) => return Ok(None),
        Err(os) => return Err(os),
    };
    let mut bytes = Vec::new();
    loop {
        bytes.reserve(STEP);
        let read = || rustix::io::read(&file, rustix::buffer::spare_capacity(&mut bytes));
        if retry_on_intr(read)? == 0 {
            return Ok(Some(bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[u8] = br"22 1 0:21 / / rw,relatime shared:1 - btrfs /dev/vda rw,subvol=/
40 22 0:21 /sub\040volume/a /mnt/a\134b rw master:3 propagate_from:2 - btrfs /dev/vda rw
41 22 0:55 / /mnt/nfs rw - nfs4 server:/export/a rw
42 22 8:1 /gone//deleted /mnt/gone rw - ext4 /dev/sda1 rw
nonsense
43 22";

    fn located(mount: u64, path: &str) -> Option<(String, String)> {
        let mounts = Mounts::parse(TABLE);
        let located = mounts.locate(mount, path.as_bytes())?;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Some((text(located.filesystem), text(&located.names.join(&b'/'))))
    }

    #[test]
    fn directory_is_located_in_its_filesystem() {
        let at = |path: &str| Some(("0:21".to_owned(), path.to_owned()));
        assert_eq!(located(22, "/"), at(""));
        assert_eq!(located(22, "/srv/x"), at("srv/x"));
        assert_eq!(located(40, r"/mnt/a\b/c"), at("sub volume/a/c"));
        // A path outside its mount point: the mount was moved meanwhile.
        assert_eq!(located(40, "/mnt/other"), None);
    }

    #[test]
    fn mounts_without_a_path_are_not_located() {
        for mount in [41, 42, 43, 7] {
            assert_eq!(located(mount, "/mnt/nfs/x"), None);
        }
    }

    #[test]
    fn only_octal_escapes_are_decoded() {
        assert_eq!(unescape(br"a\040b\134\043"), br"a b\#");
        assert_eq!(unescape(br"\04"), br"\04");
        assert_eq!(unescape(br"\999\"), br"\999\");
    }
}
