//! What must not be reached, mounts beside it, and every call that takes a path.

use cap_std::{ambient_authority, fs::Dir as CapDir};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use wasi_overlay_core::plain::{HostDir, by_path::ByPath};
use wasi_overlay_core::whiteouts::Marked;
use wasi_overlay_core::{
    AbsoluteSymlinks, Dir, Live, Lower, OpenHow, Opened, Overlay, OverlayBuilder, Result, SetTime,
    SetTimes, Timestamp,
};

/// Stands in every file outside, and in no answer.
pub(crate) const SECRET: &str = "SECRET";
/// A name that is outside only, and in no listing.
pub(crate) const ONLY_OUTSIDE: &str = "only-outside";

pub(crate) fn capability(path: &Path) -> CapDir {
    CapDir::open_ambient_dir(path, ambient_authority()).unwrap()
}

/// Where changes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mount {
    Directory,
    ByPath,
    Memory,
    NoUpper,
    /// What leads out stands in the upper, and nothing is below.
    UpperAlone,
    /// As above, and absolute links mean the mount's root.
    AbsoluteLinks,
    /// No overlay: a plain directory.
    Live,
}

pub(crate) const MOUNTS: [Mount; 7] = [
    Mount::Directory,
    Mount::ByPath,
    Mount::Memory,
    Mount::NoUpper,
    Mount::UpperAlone,
    Mount::AbsoluteLinks,
    Mount::Live,
];

/// A host with a tree to mount, and beside it what nobody may reach.
pub(crate) struct Host {
    temp: TempDir,
    before: BTreeMap<PathBuf, String>,
}

impl Host {
    pub(crate) fn new() -> Self {
        let temp = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        let temp = temp.unwrap();
        let outside = temp.path().join("outside");
        fs::create_dir_all(outside.join("dir/deep")).unwrap();
        fs::create_dir(outside.join("empty")).unwrap();
        for file in ["secret", "dir/secret", "dir/deep/secret", ONLY_OUTSIDE] {
            fs::write(outside.join(file), format!("{SECRET} of {file}")).unwrap();
        }
        fs::write(temp.path().join("secret"), format!("{SECRET} above")).unwrap();
        symlink("secret", outside.join("link")).unwrap();
        let mut host = Self {
            temp,
            before: BTreeMap::new(),
        };
        host.before = host.scan();
        host
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.temp.path().join(path)
    }

    pub(crate) fn outside(&self) -> PathBuf {
        self.path("outside")
    }

    /// Everything outside, in a form that shows every change but of the time of reading.
    fn scan(&self) -> BTreeMap<PathBuf, String> {
        let mut found = BTreeMap::new();
        let mut open = vec![self.outside(), self.path("secret")];
        while let Some(path) = open.pop() {
            let meta = fs::symlink_metadata(&path).unwrap();
            let mut line = format!(
                "{} {:o} x{} {}.{} {}.{}",
                meta.ino(),
                meta.mode(),
                meta.nlink(),
                meta.mtime(),
                meta.mtime_nsec(),
                meta.ctime(),
                meta.ctime_nsec()
            );
            if meta.is_dir() {
                open.extend(fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
            } else if meta.is_file() {
                line += &fs::read_to_string(&path).unwrap();
            }
            found.insert(path, line);
        }
        found
    }

    /// Whether all is outside as it was.
    pub(crate) fn is_untouched(&self) -> bool {
        self.scan() == self.before
    }

    /// All is outside as it was: nothing written, made, removed, linked or touched.
    pub(crate) fn must_be_untouched(&self, by: &str) {
        let now = self.scan();
        assert_eq!(now, self.before, "changed from inside by {by}");
        let beside: Vec<_> = fs::read_dir(self.temp.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let known = ["outside", "secret", "tree", "upper", "other"];
        let strange: Vec<_> = beside
            .iter()
            .filter(|name| !known.contains(&name.as_str()))
            .collect();
        assert!(
            strange.is_empty(),
            "made beside the mount by {by}: {strange:?}"
        );
    }

    /// Writes a tree full of links that lead out of it.
    pub(crate) fn write_tree(&self, name: &str) -> PathBuf {
        let tree = self.path(name);
        if tree.exists() {
            fs::remove_dir_all(&tree).unwrap();
        }
        fs::create_dir_all(tree.join("d/deep")).unwrap();
        fs::create_dir(tree.join("empty")).unwrap();
        for file in ["f", "x", "d/f", "d/deep/f"] {
            fs::write(tree.join(file), "inside").unwrap();
        }
        let outside = self.outside().display().to_string();
        let links = [
            ("abs", outside.clone()),
            ("abs-file", format!("{outside}/secret")),
            ("abs-new", format!("{outside}/new")),
            ("abs-root", "/".to_owned()),
            ("abs-proc", format!("/proc/self/root{outside}")),
            ("abs-cwd", "/proc/self/cwd".to_owned()),
            ("rel", "../outside".to_owned()),
            ("rel-slash", "../outside/".to_owned()),
            ("rel-file", "../outside/secret".to_owned()),
            ("rel-new", "../outside/new".to_owned()),
            ("up", "..".to_owned()),
            ("up-dot", "./..".to_owned()),
            ("up-slashes", "..//".to_owned()),
            ("chain", "rel".to_owned()),
            ("chain-file", "chain/secret".to_owned()),
            ("in-and-out", "d/../../outside/secret".to_owned()),
            ("deep-out", "d/deep/../../../outside".to_owned()),
            ("through", "d/up/up/outside".to_owned()),
            ("self", "self/x".to_owned()),
            ("self-up", "self/../../outside".to_owned()),
            ("mark", ".wh.x".to_owned()),
            ("here", ".".to_owned()),
            ("d/up", "..".to_owned()),
            ("d/up-two", "../..".to_owned()),
            ("d/out", "../../outside".to_owned()),
            ("d/abs", outside),
            ("d/deep/out", "../../../outside/dir/deep".to_owned()),
        ];
        for (link, target) in links {
            symlink(target, tree.join(link)).unwrap();
        }
        tree
    }

    /// A mount of the tree, and what keeps it.
    pub(crate) fn mount(&self, mount: Mount) -> (Dir, Option<Overlay>) {
        if mount == Mount::Live {
            return (
                Live::new(capability(&self.write_tree("upper"))).root(),
                None,
            );
        }
        let fresh = || {
            let path = self.path("upper");
            if path.exists() {
                fs::remove_dir_all(&path).unwrap();
            }
            fs::create_dir(&path).unwrap();
            path
        };
        let builder = Overlay::builder().volatile(true);
        let lower = |builder: OverlayBuilder| {
            if !self.path("tree").exists() {
                self.write_tree("tree");
            }
            builder.lower(Lower::dir("tree", capability(&self.path("tree"))).unwrap())
        };
        let overlay = match mount {
            Mount::Directory => lower(builder).upper_dir("upper", capability(&fresh())),
            Mount::ByPath => {
                let plain = ByPath::new(HostDir::new(capability(&fresh()), "upper"));
                lower(builder).upper("upper", Marked::upper(plain))
            }
            Mount::Memory => lower(builder).upper_memory(1 << 20),
            Mount::NoUpper => lower(builder),
            Mount::UpperAlone => builder.upper_dir("upper", capability(&self.write_tree("upper"))),
            Mount::AbsoluteLinks => builder
                .upper_dir("upper", capability(&self.write_tree("upper")))
                .absolute_symlinks(AbsoluteSymlinks::Root),
            Mount::Live => unreachable!("mounted above"),
        }
        .build()
        .unwrap();
        (overlay.root(), Some(overlay))
    }
}

const OPEN: OpenHow = OpenHow {
    follow: true,
    create: false,
    directory: false,
    exclusive: false,
    truncate: false,
    read: true,
    write: false,
};

fn how(flags: &str) -> OpenHow {
    OpenHow {
        follow: !flags.contains('n'),
        create: flags.contains('c'),
        directory: flags.contains('d'),
        exclusive: flags.contains('x'),
        truncate: flags.contains('t'),
        read: flags.contains('r'),
        write: flags.contains('w'),
    }
}

const TIMES: SetTimes = SetTimes {
    accessed: SetTime::Now,
    modified: SetTime::To(Timestamp {
        seconds: 7,
        nanoseconds: 7,
    }),
};

/// What a call showed to the guest.
pub(crate) type Seen = Result<String>;

/// Opens, and then reads, writes and lists all that can be.
fn open(dir: &Dir, path: &str, flags: &str) -> Seen {
    match dir.open_at(path, how(flags))? {
        Opened::File(file) => {
            let mut buffer = [0; 256];
            let read = file.read_at(&mut buffer, 0).unwrap_or_default();
            if flags.contains('w') {
                file.write_at(b"EVIL", 0)?;
                file.append(b"EVIL")?;
                file.set_size(2)?;
            }
            file.set_times(TIMES).ok();
            Ok(buffer[..read].escape_ascii().to_string())
        }
        Opened::Dir(found) => {
            let mut seen = String::new();
            for entry in found.list()?.iter() {
                seen += &format!("{} ", entry.name);
                if let Ok(name) = entry.name.to_str()
                    && let Ok(Opened::File(file)) = found.open_at(name, OPEN)
                {
                    let mut buffer = [0; 64];
                    let read = file.read_at(&mut buffer, 0)?;
                    seen += &buffer[..read].escape_ascii().to_string();
                }
            }
            // Nothing is ever made in what should not be reached.
            for up in [
                "..",
                "../..",
                "../outside",
                "../secret",
                "../outside/secret",
            ] {
                if let Ok(stat) = found.stat_at(up, true) {
                    panic!("{up} of {path} is {stat:?}");
                }
            }
            found.open_at("made", how("wc")).ok();
            found.set_times(TIMES).ok();
            Ok(seen)
        }
    }
}

/// What a name that was moved or linked inside turns out to be.
fn fetch(dir: &Dir, name: &str) -> Seen {
    let seen = open(dir, name, "r");
    dir.unlink_file_at(name).ok();
    seen
}

/// A call with a path.
pub(crate) type Call = fn(&Dir, &str) -> Seen;

/// Every call that takes a path, in every way that it can be asked.
pub(crate) const CALLS: &[(&str, Call)] = &[
    ("open to read", |dir, path| open(dir, path, "r")),
    ("open to read, not following", |dir, path| {
        open(dir, path, "rn")
    }),
    ("open a directory", |dir, path| open(dir, path, "rd")),
    ("open to write", |dir, path| open(dir, path, "rw")),
    ("open to write, not following", |dir, path| {
        open(dir, path, "rwn")
    }),
    ("create", |dir, path| open(dir, path, "rwc")),
    ("create, not following", |dir, path| open(dir, path, "rwcn")),
    ("create anew", |dir, path| open(dir, path, "rwcx")),
    ("truncate", |dir, path| open(dir, path, "rwt")),
    ("create or truncate", |dir, path| open(dir, path, "rwct")),
    ("stat", |dir, path| {
        dir.stat_at(path, true)
            .map(|stat| format!("{:?}", stat.kind))
    }),
    ("stat, not following", |dir, path| {
        dir.stat_at(path, false)
            .map(|stat| format!("{:?}", stat.kind))
    }),
    ("hash", |dir, path| {
        dir.identity_at(path, true).map(|_| String::new())
    }),
    ("hash, not following", |dir, path| {
        dir.identity_at(path, false).map(|_| String::new())
    }),
    ("set times", |dir, path| {
        dir.set_times_at(path, true, TIMES).map(|()| String::new())
    }),
    ("set times, not following", |dir, path| {
        dir.set_times_at(path, false, TIMES).map(|()| String::new())
    }),
    ("make a directory", |dir, path| {
        dir.create_directory_at(path)?;
        open(dir, path, "r")
    }),
    ("remove a directory", |dir, path| {
        dir.remove_directory_at(path).map(|()| String::new())
    }),
    ("unlink", |dir, path| {
        dir.unlink_file_at(path).map(|()| String::new())
    }),
    ("read a link", |dir, path| dir.readlink_at(path)),
    ("make a link", |dir, path| {
        dir.symlink_at("x", path)?;
        open(dir, path, "r")
    }),
    ("make a link to it", |dir, path| {
        dir.symlink_at(path, "made-link")?;
        let seen = open(dir, "made-link", "rwc");
        dir.unlink_file_at("made-link").ok();
        seen
    }),
    ("go through a link to it", |dir, path| {
        dir.symlink_at(path, "made-link")?;
        let seen = open(dir, "made-link/secret", "rw");
        dir.rename_at("made-link/secret", dir, "stolen").ok();
        dir.unlink_file_at("made-link/secret").ok();
        dir.create_directory_at("made-link/new").ok();
        dir.unlink_file_at("made-link").ok();
        seen
    }),
    ("link it", |dir, path| {
        dir.link_at(path, dir, "stolen")?;
        fetch(dir, "stolen")
    }),
    ("link to there", |dir, path| {
        dir.link_at("f", dir, path)?;
        open(dir, path, "r")
    }),
    ("rename it", |dir, path| {
        dir.rename_at(path, dir, "stolen")?;
        fetch(dir, "stolen")
    }),
    ("rename to there", |dir, path| {
        dir.rename_at("f", dir, path)?;
        open(dir, path, "r")
    }),
    ("rename a directory to there", |dir, path| {
        dir.rename_at("empty", dir, path)?;
        open(dir, path, "r")
    }),
    ("attributes", |dir, path| {
        let Some(dir) = dir.as_overlay() else {
            return Ok(String::new());
        };
        dir.set_xattr_at(path, true, b"user.evil", b"x").ok();
        dir.remove_xattr_at(path, false, b"user.evil").ok();
        let names = dir.xattrs_at(path, true)?;
        Ok(format!("{} attributes", names.len()))
    }),
];
