//! Code that the guests for WASI 0.1 share: the working directory, raw calls, and the transcript.
//!
//! A guest works in its first preopened directory. It prints a line for each call that it tries, with the
//! value or the error code. It compares values that may differ between filesystems (inode numbers, times,
//! directory sizes) itself and does not print them, so that two filesystems that behave alike have equal
//! transcripts. It asserts what has to hold on every filesystem.

use std::fmt::{Debug, Display};
use std::io;
use std::path::PathBuf;

pub mod checks;

pub use wasi;

/// The first preopened directory.
pub const ROOT: wasi::Fd = 3;

/// The path of a name in the first preopened directory, for use with `std`.
pub fn at(name: &str) -> PathBuf {
    // SAFETY: a call to the host that takes a number.
    let stat = unsafe { wasi::fd_prestat_get(ROOT) }.expect("there is a preopened directory");
    // SAFETY: only directories can be preopened, so this is the field that is set.
    let mut path = vec![0; unsafe { stat.u.dir.pr_name_len }];
    // SAFETY: the buffer has the length that is passed.
    unsafe { wasi::fd_prestat_dir_name(ROOT, path.as_mut_ptr(), path.len()) }
        .expect("it has a name");
    PathBuf::from(String::from_utf8(path).expect("preopens have UTF-8 names")).join(name)
}

/// Whether the guest runs behind the adapter for WASI 0.1, which can do less than a host of WASI 0.1: it has
/// 128 descriptors, cannot set the times of an open directory, and traps at paths that are not UTF-8.
pub fn is_wrapped() -> bool {
    std::env::var_os("WRAPPED").is_some()
}

/// An error with a code of WASI 0.1.
pub trait Code {
    /// The name of the code.
    fn code(&self) -> &'static str;
}

impl Code for wasi::Errno {
    fn code(&self) -> &'static str {
        self.name()
    }
}

impl Code for io::Error {
    fn code(&self) -> &'static str {
        match self.raw_os_error() {
            Some(raw) => usize::try_from(raw)
                .ok()
                .and_then(|raw| NAMES.get(raw))
                .unwrap_or(&"?"),
            None if self.kind() == io::ErrorKind::UnexpectedEof => "(end of file)",
            None if self.kind() == io::ErrorKind::WriteZero => "(nothing written)",
            None => "(not the system's)",
        }
    }
}

/// The names of the error codes, by number.
const NAMES: [&str; 77] = [
    "SUCCESS",
    "2BIG",
    "ACCES",
    "ADDRINUSE",
    "ADDRNOTAVAIL",
    "AFNOSUPPORT",
    "AGAIN",
    "ALREADY",
    "BADF",
    "BADMSG",
    "BUSY",
    "CANCELED",
    "CHILD",
    "CONNABORTED",
    "CONNREFUSED",
    "CONNRESET",
    "DEADLK",
    "DESTADDRREQ",
    "DOM",
    "DQUOT",
    "EXIST",
    "FAULT",
    "FBIG",
    "HOSTUNREACH",
    "IDRM",
    "ILSEQ",
    "INPROGRESS",
    "INTR",
    "INVAL",
    "IO",
    "ISCONN",
    "ISDIR",
    "LOOP",
    "MFILE",
    "MLINK",
    "MSGSIZE",
    "MULTIHOP",
    "NAMETOOLONG",
    "NETDOWN",
    "NETRESET",
    "NETUNREACH",
    "NFILE",
    "NOBUFS",
    "NODEV",
    "NOENT",
    "NOEXEC",
    "NOLCK",
    "NOLINK",
    "NOMEM",
    "NOMSG",
    "NOPROTOOPT",
    "NOSPC",
    "NOSYS",
    "NOTCONN",
    "NOTDIR",
    "NOTEMPTY",
    "NOTRECOVERABLE",
    "NOTSOCK",
    "NOTSUP",
    "NOTTY",
    "NXIO",
    "OVERFLOW",
    "OWNERDEAD",
    "PERM",
    "PIPE",
    "PROTO",
    "PROTONOSUPPORT",
    "PROTOTYPE",
    "RANGE",
    "ROFS",
    "SPIPE",
    "SRCH",
    "STALE",
    "TIMEDOUT",
    "TXTBSY",
    "XDEV",
    "NOTCAPABLE",
];

/// The name that later versions of WASI have for an error code, for scripts that all versions run.
pub fn script_code(code: wasi::Errno) -> &'static str {
    match code.name() {
        "ACCES" => "access",
        "AGAIN" => "would-block",
        "BADF" => "bad-descriptor",
        "BUSY" => "busy",
        "DQUOT" => "quota",
        "EXIST" => "exist",
        "FBIG" => "file-too-large",
        "ILSEQ" => "illegal-byte-sequence",
        "INVAL" => "invalid",
        "IO" => "io",
        "ISDIR" => "is-directory",
        "LOOP" => "loop",
        "MLINK" => "too-many-links",
        "NAMETOOLONG" => "name-too-long",
        "NODEV" => "no-device",
        "NOENT" => "no-entry",
        "NOMEM" => "insufficient-memory",
        "NOSPC" => "insufficient-space",
        "NOTDIR" => "not-directory",
        "NOTEMPTY" => "not-empty",
        "NOTSUP" => "unsupported",
        "NXIO" => "no-such-device",
        "OVERFLOW" => "overflow",
        "PERM" => "not-permitted",
        "ROFS" => "read-only",
        "TXTBSY" => "text-file-busy",
        "XDEV" => "cross-device",
        other => other,
    }
}

/// Prints `what` was tried and the result; returns the value.
pub fn show<T: Debug, E: Code>(what: impl Display, result: Result<T, E>) -> Option<T> {
    match result {
        Ok(value) => {
            println!("{what}: {value:?}");
            Some(value)
        }
        Err(error) => {
            println!("{what}: {}", error.code());
            None
        }
    }
}

/// Prints `what` was tried and whether it succeeded; returns the value without printing it.
pub fn tried<T, E: Code>(what: impl Display, result: Result<T, E>) -> Option<T> {
    let (shown, value) = match result {
        Ok(value) => (Ok(()), Some(value)),
        Err(error) => (Err(error), None),
    };
    show(what, shown);
    value
}

/// Prints the length of some data, its first bytes and a checksum.
pub fn show_data<E: Code>(what: impl Display, result: Result<Vec<u8>, E>) {
    show(what, result.map(|data| digest(&data)));
}

/// The length of some data, a checksum and its first bytes.
pub fn digest(data: &[u8]) -> String {
    // FNV-1a.
    let sum = data.iter().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let start = String::from_utf8_lossy(&data[..data.len().min(24)])
        .escape_debug()
        .to_string();
    format!("{} bytes, {sum:016x}, {start}", data.len())
}

/// The names in a directory, sorted, with a letter for the type: `d`, `f`, `l` or `?`.
pub fn names(path: &str) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(at(path))? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let letter = match (kind.is_dir(), kind.is_file(), kind.is_symlink()) {
            (true, _, _) => 'd',
            (_, true, _) => 'f',
            (_, _, true) => 'l',
            _ => '?',
        };
        names.push(format!("{letter} {}", entry.file_name().to_string_lossy()));
    }
    names.sort();
    Ok(names)
}

/// Prints the whole tree at `path`: names, types, data of files and targets of links.
pub fn show_tree(path: &str) {
    let mut left = vec![path.to_owned()];
    while let Some(path) = left.pop() {
        match std::fs::symlink_metadata(at(&path)) {
            Ok(meta) if meta.is_dir() => {
                let names = show(format_args!("  list {path}"), names(&path)).unwrap_or_default();
                left.extend(
                    names
                        .iter()
                        .rev()
                        .map(|name| format!("{path}/{}", &name[2..])),
                );
            }
            Ok(meta) if meta.is_symlink() => {
                show(format_args!("  link {path}"), std::fs::read_link(at(&path)));
            }
            Ok(_) => show_data(format_args!("  file {path}"), std::fs::read(at(&path))),
            Err(error) => {
                tried::<(), _>(format_args!("  stat {path}"), Err(error));
            }
        }
    }
}

/// Safe wrappers of the raw calls of WASI 0.1.
pub mod raw {
    use super::wasi;

    /// A result of a raw call.
    pub type Result<T> = std::result::Result<T, wasi::Errno>;

    /// The rights to read, to write, and to everything else that a descriptor can do.
    pub const ALL: wasi::Rights = !0;

    /// `path_open`, without the arguments that most callers leave at their defaults.
    pub fn open(
        dir: wasi::Fd,
        path: &str,
        follow: bool,
        oflags: wasi::Oflags,
        rights: wasi::Rights,
        fdflags: wasi::Fdflags,
    ) -> Result<wasi::Fd> {
        let lookup = if follow {
            wasi::LOOKUPFLAGS_SYMLINK_FOLLOW
        } else {
            0
        };
        // SAFETY: a call to the host; the path outlives it.
        unsafe { wasi::path_open(dir, lookup, path, oflags, rights, rights, fdflags) }
    }

    /// Opens a file for reading.
    pub fn open_read(dir: wasi::Fd, path: &str) -> Result<wasi::Fd> {
        open(
            dir,
            path,
            true,
            0,
            wasi::RIGHTS_FD_READ | wasi::RIGHTS_FD_SEEK | wasi::RIGHTS_FD_FILESTAT_GET,
            0,
        )
    }

    /// Opens a file for reading and writing.
    pub fn open_write(dir: wasi::Fd, path: &str, oflags: wasi::Oflags) -> Result<wasi::Fd> {
        let rights = wasi::RIGHTS_FD_READ
            | wasi::RIGHTS_FD_WRITE
            | wasi::RIGHTS_FD_SEEK
            | wasi::RIGHTS_FD_FILESTAT_GET;
        open(dir, path, true, oflags, rights, 0)
    }

    /// Opens a directory.
    pub fn open_dir(dir: wasi::Fd, path: &str) -> Result<wasi::Fd> {
        open(
            dir,
            path,
            true,
            wasi::OFLAGS_DIRECTORY,
            wasi::RIGHTS_FD_READDIR,
            0,
        )
    }

    /// `fd_close`.
    pub fn close(fd: wasi::Fd) -> Result<()> {
        // SAFETY: a call to the host; nothing else uses the number afterwards.
        unsafe { wasi::fd_close(fd) }
    }

    /// `fd_pread` into one buffer.
    pub fn pread(fd: wasi::Fd, length: usize, offset: u64) -> Result<Vec<u8>> {
        let mut data = vec![0; length];
        let iovs = [wasi::Iovec {
            buf: data.as_mut_ptr(),
            buf_len: length,
        }];
        // SAFETY: the buffer has the length that is passed.
        let count = unsafe { wasi::fd_pread(fd, &iovs, offset) }?;
        data.truncate(count);
        Ok(data)
    }

    /// `fd_pwrite` of one buffer.
    pub fn pwrite(fd: wasi::Fd, data: &[u8], offset: u64) -> Result<usize> {
        let iovs = [wasi::Ciovec {
            buf: data.as_ptr(),
            buf_len: data.len(),
        }];
        // SAFETY: the buffer has the length that is passed.
        unsafe { wasi::fd_pwrite(fd, &iovs, offset) }
    }

    /// `fd_read` into one buffer.
    pub fn read(fd: wasi::Fd, length: usize) -> Result<Vec<u8>> {
        let mut data = vec![0; length];
        let iovs = [wasi::Iovec {
            buf: data.as_mut_ptr(),
            buf_len: length,
        }];
        // SAFETY: the buffer has the length that is passed.
        let count = unsafe { wasi::fd_read(fd, &iovs) }?;
        data.truncate(count);
        Ok(data)
    }

    /// `fd_write` of one buffer.
    pub fn write(fd: wasi::Fd, data: &[u8]) -> Result<usize> {
        let iovs = [wasi::Ciovec {
            buf: data.as_ptr(),
            buf_len: data.len(),
        }];
        // SAFETY: the buffer has the length that is passed.
        unsafe { wasi::fd_write(fd, &iovs) }
    }

    /// `fd_filestat_get`.
    pub fn fstat(fd: wasi::Fd) -> Result<wasi::Filestat> {
        // SAFETY: a call to the host.
        unsafe { wasi::fd_filestat_get(fd) }
    }

    /// `path_filestat_get`.
    pub fn stat(dir: wasi::Fd, path: &str, follow: bool) -> Result<wasi::Filestat> {
        let lookup = if follow {
            wasi::LOOKUPFLAGS_SYMLINK_FOLLOW
        } else {
            0
        };
        // SAFETY: a call to the host; the path outlives it.
        unsafe { wasi::path_filestat_get(dir, lookup, path) }
    }

    /// `path_create_directory`.
    pub fn mkdir(dir: wasi::Fd, path: &str) -> Result<()> {
        // SAFETY: a call to the host; the path outlives it.
        unsafe { wasi::path_create_directory(dir, path) }
    }

    /// `path_remove_directory`.
    pub fn rmdir(dir: wasi::Fd, path: &str) -> Result<()> {
        // SAFETY: a call to the host; the path outlives it.
        unsafe { wasi::path_remove_directory(dir, path) }
    }

    /// `path_unlink_file`.
    pub fn unlink(dir: wasi::Fd, path: &str) -> Result<()> {
        // SAFETY: a call to the host; the path outlives it.
        unsafe { wasi::path_unlink_file(dir, path) }
    }

    /// `path_rename`.
    pub fn rename(dir: wasi::Fd, from: &str, new_dir: wasi::Fd, to: &str) -> Result<()> {
        // SAFETY: a call to the host; the paths outlive it.
        unsafe { wasi::path_rename(dir, from, new_dir, to) }
    }

    /// `path_link`, without following.
    pub fn link(dir: wasi::Fd, from: &str, new_dir: wasi::Fd, to: &str) -> Result<()> {
        // SAFETY: a call to the host; the paths outlive it.
        unsafe { wasi::path_link(dir, 0, from, new_dir, to) }
    }

    /// `path_symlink`: makes `path` a link to `target`.
    pub fn symlink(target: &str, dir: wasi::Fd, path: &str) -> Result<()> {
        // SAFETY: a call to the host; the paths outlive it.
        unsafe { wasi::path_symlink(target, dir, path) }
    }

    /// `path_readlink`, with room for `length` bytes.
    pub fn readlink(dir: wasi::Fd, path: &str, length: usize) -> Result<String> {
        let mut target = vec![0; length];
        // SAFETY: the buffer has the length that is passed.
        let count = unsafe { wasi::path_readlink(dir, path, target.as_mut_ptr(), length) }?;
        target.truncate(count);
        Ok(String::from_utf8_lossy(&target).into_owned())
    }

    /// One entry of a directory.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Entry {
        /// The name.
        pub name: String,
        /// The type, as in `wasi::Filetype`.
        pub kind: u8,
        /// The inode number.
        pub inode: u64,
        /// The cookie with which the listing continues after this entry.
        pub next: u64,
    }

    /// One `fd_readdir` with a buffer of `length` bytes from `cookie`: returns the complete entries, and
    /// whether the buffer was filled.
    pub fn readdir(dir: wasi::Fd, length: usize, cookie: u64) -> Result<(Vec<Entry>, bool)> {
        let mut buffer = vec![0_u8; length];
        // SAFETY: the buffer has the length that is passed.
        let used = unsafe { wasi::fd_readdir(dir, buffer.as_mut_ptr(), length, cookie) }?;
        assert!(used <= length, "the host filled more than the buffer");
        let mut entries = Vec::new();
        let mut rest = &buffer[..used];
        // The layout of `dirent`: next, inode, length of the name, type; the name follows.
        while let Some((head, tail)) = rest.split_at_checked(24) {
            let name_length =
                u32::from_le_bytes(head[16..20].try_into().expect("four bytes")) as usize;
            let Some((name, tail)) = tail.split_at_checked(name_length) else {
                break;
            };
            entries.push(Entry {
                name: String::from_utf8_lossy(name).into_owned(),
                kind: head[20],
                inode: u64::from_le_bytes(head[8..16].try_into().expect("eight bytes")),
                next: u64::from_le_bytes(head[..8].try_into().expect("eight bytes")),
            });
            rest = tail;
        }
        Ok((entries, used == length))
    }

    /// All entries of a directory, `.` and `..` included, read with buffers of `length` bytes.
    pub fn readdir_all(dir: wasi::Fd, length: usize) -> Result<Vec<Entry>> {
        let mut all: Vec<Entry> = Vec::new();
        loop {
            let cookie = all.last().map_or(0, |entry| entry.next);
            let (entries, full) = readdir(dir, length, cookie)?;
            let none = entries.is_empty();
            all.extend(entries);
            if !full {
                return Ok(all);
            }
            assert!(
                !none,
                "a buffer of {length} bytes was filled and holds no entry"
            );
        }
    }
}
