//! A host with secrets, mounts beside them, and every call that takes a path.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::PathBuf;
use tempfile::TempDir;
use wasi_overlay_core::plain::{HostDir, by_path::ByPath};
use wasi_overlay_core::whiteouts::Marked;
use wasi_overlay_core::{AbsoluteSymlinks, Dir, Live, Lower, Overlay, OverlayBuilder};
use wasi_overlay_proof::Script;
use wasi_overlay_proof::kit::{capability, scratch};

/// The data of every file outside the mount. No answer may contain it.
pub(crate) const SECRET: &str = "SECRET";
/// A name that exists only outside the mount. No listing may contain it.
pub(crate) const ONLY_OUTSIDE: &str = "only-outside";

/// A kind of mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mount {
    Directory,
    ByPath,
    Memory,
    NoUpper,
    /// The tree with the links is the upper, without lowers.
    UpperAlone,
    /// The same, with absolute links resolved from the root.
    AbsoluteLinks,
    /// A live mount of a plain directory.
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

/// A directory of the host, with a tree to mount and files beside it that no guest may reach.
pub(crate) struct Host {
    temp: TempDir,
    before: BTreeMap<PathBuf, String>,
}

impl Host {
    pub(crate) fn new() -> Self {
        let temp = scratch();
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

    /// Every file outside the mount, with all metadata except the access time.
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

    /// Whether nothing outside the mount has changed.
    pub(crate) fn is_untouched(&self) -> bool {
        self.scan() == self.before
    }

    /// Checks that nothing outside the mount was written, created, removed, linked or touched.
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
            "created beside the mount by {by}: {strange:?}"
        );
    }

    /// Writes a tree with many links that lead out of it.
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
            ("whiteout", ".wh.x".to_owned()),
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

    /// A mount of the tree, with the overlay that owns it.
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

/// A script that opens a path, and reads, writes and lists everything through the handle.
macro_rules! open {
    ($flags:literal, $path:literal $(, $write:literal)?) => {
        concat!(
            "hold.", $flags, " ", $path, "; files #1",
            $("; write #1 ", $write, " 0; append #1 ", $write, "; size #1 2",)?
            "; stat #1/..; stat #1/../..; stat #1/../outside; stat #1/../secret",
            "; stat #1/../outside/secret; create.wc #1/made; times #1"
        )
    };
}

/// Every call that takes a path, with all its flags, as scripts.
pub(crate) const CALLS: &[&str] = &[
    open!("r", "@"),
    open!("rn", "@"),
    open!("rd", "@"),
    open!("rw", "@", "EVIL"),
    open!("rwn", "@", "EVIL"),
    open!("rwc", "@", "EVIL"),
    open!("rwcn", "@", "EVIL"),
    open!("rwcx", "@", "EVIL"),
    open!("rwt", "@", "EVIL"),
    open!("rwct", "@", "EVIL"),
    "stat @",
    "stat.n @",
    "same @ @",
    "same.n @ @",
    "times @",
    "times.n @",
    concat!("mkdir @; ", open!("r", "@")),
    "rmdir @",
    "unlink @",
    "readlink @",
    concat!("symlink x @; ", open!("r", "@")),
    concat!(
        "symlink @ made-link; ",
        open!("rwc", "made-link", "EVIL"),
        "; unlink made-link"
    ),
    concat!(
        "symlink @ made-link; ",
        open!("rw", "made-link/secret", "EVIL"),
        "; rename made-link/secret stolen; unlink made-link/secret; mkdir made-link/new; unlink made-link"
    ),
    concat!("link @ stolen; ", open!("r", "stolen"), "; unlink stolen"),
    concat!("link f @; ", open!("r", "@")),
    concat!("rename @ stolen; ", open!("r", "stolen"), "; unlink stolen"),
    concat!("rename f @; ", open!("r", "@")),
    concat!("rename empty @; ", open!("r", "@")),
    "set-xattr @; remove-xattr.n @; xattrs @",
];

/// Runs one of [`CALLS`]. Returns its answers, or the error of the first call; if that fails, nothing
/// else is tried.
///
/// # Panics
/// If a path leads out of the mount.
pub(crate) fn run(dir: &Dir, path: &str, calls: &str) -> Result<String, String> {
    let mut script = Script::new(dir, path);
    let mut answers = String::new();
    for (number, call) in calls.split("; ").enumerate() {
        let answer = script.try_call(call);
        if number == 0 && !call.contains("xattr") {
            answer.clone()?;
        }
        assert!(
            answer.is_err() || !call.starts_with("stat #1/.."),
            "{call} with {path:?} open: {answer:?}"
        );
        answers += &answer.unwrap_or_else(|code| code);
        answers.push(' ');
    }
    Ok(answers)
}
