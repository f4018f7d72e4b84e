//! Resources of the machine that tests use: temporary directories, programs and mounts. Each is released
//! when it is dropped, also by a failing test.

use crate::kit::{forbids_skipping, skip};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A requirement that a machine may lack.
#[derive(Clone, Copy, Debug)]
pub enum Need {
    /// The permission to mount the kernel's overlayfs.
    KernelOverlay,
    /// A program of that name.
    Program(&'static str),
    /// The permission to change what only root may.
    Root,
}

impl Need {
    /// The reason why it is missing; none if it is not.
    fn lack(self) -> Option<String> {
        match self {
            Self::KernelOverlay => kernel_overlay().clone(),
            Self::Program(name) => match Command::new(name).arg("--version").output() {
                Ok(_) => None,
                Err(error) => Some(format!(
                    "{name}: {error} (scripts/interop.sh and scripts/registry.sh install what they need)"
                )),
            },
            Self::Root => {
                let is_root = rustix::process::geteuid().is_root();
                (!is_root).then(|| "only root can make such layers".into())
            }
        }
    }
}

/// Whether the machine has everything that `test` needs. If not, prints the reason.
///
/// # Panics
/// If something is missing and no test may be skipped (`CI=true`, or `OVERLAY_NO_SKIP`).
pub fn has(test: &str, needs: &[Need]) -> bool {
    let Some(reason) = needs.iter().find_map(|need| need.lack()) else {
        return true;
    };
    assert!(
        !forbids_skipping(),
        "{test} may not be skipped here: {reason}"
    );
    eprintln!("SKIPPED {test}: {reason}");
    false
}

/// The reason why the kernel's overlayfs cannot be mounted; none if it can.
fn kernel_overlay() -> &'static Option<String> {
    static LACK: OnceLock<Option<String>> = OnceLock::new();
    LACK.get_or_init(|| {
        let scratch = Scratch::new();
        let [lower, upper, work, at] = ["l", "u", "w", "m"].map(|name| scratch.dir(name));
        let mounted = Mount::overlay(&at, &[lower], Some((&upper, &work)), "");
        let error = mounted.err()?;
        Some(format!("mounting the kernel's overlayfs: {error}"))
    })
}

/// A tmpfs of a bounded size. It is unmounted when it is dropped.
#[derive(Debug)]
pub struct SmallDisk(TempDir);

impl SmallDisk {
    /// Mounts one of this size, as in `512k`. `None` if that fails and `test` may be skipped.
    ///
    /// # Panics
    /// As [`skip`].
    pub fn mount(test: &str, size: &str) -> Option<Self> {
        let at = TempDir::new().expect("a temporary directory");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(at.path())
            .output();
        match mount {
            Ok(output) if output.status.success() => Some(Self(at)),
            other => {
                skip(test, &format!("cannot mount a tmpfs: {other:?}"));
                None
            }
        }
    }

    /// Changes its size.
    ///
    /// # Panics
    /// If more is on it.
    pub fn resize(&self, size: &str) {
        self.run("mount", &["-o", &format!("remount,size={size}")]);
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let mut command = Command::new(program);
        let status = command.args(arguments).arg(self.path()).status();
        assert!(status.is_ok_and(|status| status.success()), "{command:?}");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        self.run("umount", &["--lazy"]);
    }
}

/// An empty directory for a test. It is on tmpfs if tmpfs supports everything that layers need. When it
/// is dropped, it is removed, with all mounts in it.
#[derive(Debug)]
pub struct Scratch(TempDir);

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl Scratch {
    /// A directory on tmpfs if possible.
    ///
    /// # Panics
    /// If it cannot be created.
    pub fn new() -> Self {
        static IN_MEMORY: OnceLock<bool> = OnceLock::new();
        let shm = Path::new("/dev/shm");
        // Before Linux 6.6 tmpfs had no `user.*` attributes.
        let holds_attributes = *IN_MEMORY.get_or_init(|| {
            TempDir::new_in(shm)
                .is_ok_and(|temp| set_attribute(temp.path(), "user.x", b"x").is_ok())
        });
        if holds_attributes {
            Self(TempDir::new_in(shm).expect("a directory in memory"))
        } else {
            Self::on_disk()
        }
    }

    /// A directory where the system has its temporary files, usually on a disk.
    ///
    /// # Panics
    /// If it cannot be created.
    pub fn on_disk() -> Self {
        Self(TempDir::new().expect("a temporary directory"))
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Creates a directory in it.
    ///
    /// # Panics
    /// If it cannot be created.
    pub fn dir(&self, name: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(&path).expect("a directory in the scratch directory");
        path
    }
}

/// Unmounts what programs left mounted, since a mount prevents the removal: containers/storage bind-mounts
/// its directory onto itself and never unmounts it.
impl Drop for Scratch {
    fn drop(&mut self) {
        let Ok(mounts) = std::fs::read_to_string("/proc/self/mountinfo") else {
            return;
        };
        // The fifth field is the mount point, with spaces in octal.
        let places = mounts.lines().filter_map(|line| line.split(' ').nth(4));
        let places: Vec<_> = places.map(|place| place.replace("\\040", " ")).collect();
        for place in places.iter().rev() {
            if Path::new(place).starts_with(self.path()) {
                let _ = unmount(Path::new(place), &["-l"]);
            }
        }
    }
}

/// Sets an extended attribute, and follows no link.
///
/// # Errors
/// Any error of `lsetxattr`.
pub fn set_attribute(path: &Path, name: &str, value: &[u8]) -> io::Result<()> {
    Ok(rustix::fs::lsetxattr(
        path,
        name,
        value,
        rustix::fs::XattrFlags::empty(),
    )?)
}

/// Runs a program to its end, and returns its output.
///
/// # Panics
/// If it cannot be run, or fails. The message contains the output.
pub fn run(command: &mut Command) -> Output {
    let output = match command.stdin(Stdio::null()).output() {
        Ok(output) => output,
        Err(error) => panic!("{command:?}: {error}"),
    };
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// A mount, until it is dropped.
#[derive(Debug)]
pub struct Mount {
    at: PathBuf,
    /// The program that serves the mount, if any.
    server: Option<Child>,
}

impl Mount {
    /// Mounts the kernel's overlayfs at `at`: `lowers` from the bottom up, and an upper with its work
    /// directory.
    ///
    /// # Errors
    /// Any error of `mount`.
    pub fn overlay(
        at: &Path,
        lowers: &[PathBuf],
        upper: Option<(&Path, &Path)>,
        more: &str,
    ) -> io::Result<Self> {
        let mounted = Command::new("mount")
            .args(["-t", "overlay", "overlay", "-o"])
            .arg(options(lowers, upper, more))
            .arg(at)
            // The newer system call takes no more than 255 bytes of layers.
            .env("LIBMOUNT_FORCE_MOUNT2", "always")
            .output()?;
        if !mounted.status.success() {
            return Err(io::Error::other(
                String::from_utf8_lossy(&mounted.stderr).into_owned(),
            ));
        }
        Ok(Self {
            at: at.to_owned(),
            server: None,
        })
    }

    /// Mounts fuse-overlayfs at `at`, with variables of its environment.
    ///
    /// # Errors
    /// If it does not serve the mount within ten seconds.
    pub fn fuse(
        at: &Path,
        lowers: &[PathBuf],
        upper: Option<(&Path, &Path)>,
        environment: &[(&str, &str)],
    ) -> io::Result<Self> {
        let before = at.metadata()?.dev();
        let mut server = Command::new("fuse-overlayfs")
            .arg("-f")
            .args(["-o", &options(lowers, upper, "")])
            .arg(at)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        let deadline = Instant::now() + Duration::from_secs(10);
        while at.metadata()?.dev() == before {
            let ended = server.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                let _ = server.kill();
                let status = server.wait()?;
                return Err(io::Error::other(format!("fuse-overlayfs: {status}")));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(Self {
            at: at.to_owned(),
            server: Some(server),
        })
    }

    /// The mount point.
    pub fn path(&self) -> &Path {
        &self.at
    }
}

fn options(lowers: &[PathBuf], upper: Option<(&Path, &Path)>, more: &str) -> String {
    let lowers: Vec<_> = lowers
        .iter()
        .rev()
        .map(|path| path.to_string_lossy())
        .collect();
    let mut options = format!("lowerdir={}", lowers.join(":"));
    if let Some((upper, work)) = upper {
        options += &format!(",upperdir={},workdir={}", upper.display(), work.display());
    }
    if !more.is_empty() {
        options += ",";
        options += more;
    }
    options
}

fn unmount(place: &Path, options: &[&str]) -> io::Result<()> {
    let output = Command::new("umount").args(options).arg(place).output()?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        return Err(io::Error::other(words.into_owned()));
    }
    Ok(())
}

impl Drop for Mount {
    fn drop(&mut self) {
        // If a file in it is still open, the mount ends when the file is closed.
        let unmounted = unmount(&self.at, &[]).or_else(|_| unmount(&self.at, &["-l"]));
        if let Err(error) = &unmounted {
            eprintln!("cannot unmount {}: {error}", self.at.display());
        }
        if let Some(mut server) = self.server.take() {
            if unmounted.is_err() {
                let _ = server.kill();
            }
            let _ = server.wait();
        }
    }
}
