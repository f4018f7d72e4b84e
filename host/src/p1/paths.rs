//! Calls with paths in guest memory.
//!
//! A call that stays on its thread passes the engine a slice of guest memory. Only a call that goes to
//! the blocking pool copies the path.

use super::fd_table::{Entry, OpenFile};
use super::types::{Errno, Error, Fd, Fdflags};
use super::{OverlayP1Ctx, convert};
use crate::blocking::Blocking;
use std::borrow::Cow;
use wasi_overlay_core::{self as core, Dir, OpenHow, Opened, log};
use wiggle::{GuestMemory, GuestPtr};

/// The most bytes that a path may have. A longer one is `nametoolong` before anything is copied. The
/// engine has limits of its own, below this one.
const MAX_PATH_BYTES: u32 = 64 * 1024;

/// Reads a path, or the target of a symbolic link, from guest memory.
///
/// # Errors
/// `ilseq` if it is not UTF-8; a trap if it lies outside guest memory.
fn read_path<'a>(
    call: &'static str,
    memory: &'a GuestMemory<'_>,
    path: GuestPtr<str>,
) -> Result<Cow<'a, str>, Error> {
    if path.len() > MAX_PATH_BYTES {
        log::refused(call, core::Errno::NameTooLong, || {
            format!("the path is longer than {MAX_PATH_BYTES} bytes")
        });
        return Err(Errno::Nametoolong.into());
    }
    Ok(memory.as_cow_str(path).inspect_err(|_| {
        log::refused(
            call,
            core::Errno::IllegalByteSequence,
            || "the path is not UTF-8, or not in the guest's memory",
        );
    })?)
}

/// Makes a call with one path.
pub(super) async fn with_path<R: Send + 'static>(
    name: &'static str,
    blocking: Blocking,
    memory: &GuestMemory<'_>,
    dir: &Dir,
    path: GuestPtr<str>,
    call: impl Fn(&Dir, &str) -> core::Result<R> + Send + 'static,
) -> Result<R, Error> {
    let path = read_path(name, memory, path)?;
    let outcome = match blocking.try_inline(|| call(dir, &path)) {
        Some(outcome) => {
            blocking.consume_budget().await;
            outcome
        }
        None => {
            let (dir, path) = (dir.clone(), path.into_owned());
            blocking.run_once(move || call(&dir, &path)).await
        }
    };
    outcome.map_err(convert::error)
}

/// Makes a call with two paths.
pub(super) async fn with_two_paths<R: Send + 'static>(
    name: &'static str,
    blocking: Blocking,
    memory: &GuestMemory<'_>,
    old: (&Dir, GuestPtr<str>),
    new: (&Dir, GuestPtr<str>),
    call: impl Fn((&Dir, &str), (&Dir, &str)) -> core::Result<R> + Send + 'static,
) -> Result<R, Error> {
    let old_path = read_path(name, memory, old.1)?;
    let new_path = read_path(name, memory, new.1)?;
    let outcome = match blocking.try_inline(|| call((old.0, &old_path), (new.0, &new_path))) {
        Some(outcome) => {
            blocking.consume_budget().await;
            outcome
        }
        None => {
            let (old_dir, old_path) = (old.0.clone(), old_path.into_owned());
            let (new_dir, new_path) = (new.0.clone(), new_path.into_owned());
            blocking
                .run_once(move || call((&old_dir, &old_path), (&new_dir, &new_path)))
                .await
        }
    };
    outcome.map_err(convert::error)
}

impl OverlayP1Ctx {
    /// Implements `path_open`.
    pub(super) async fn open(
        &mut self,
        memory: &GuestMemory<'_>,
        fd: Fd,
        path: GuestPtr<str>,
        how: OpenHow,
        flags: Fdflags,
    ) -> Result<Fd, Error> {
        let dir = match self.table.get("path_open", fd)? {
            Entry::Dir(open) => &open.dir,
            Entry::File(open) => {
                let code = core::Errno::NotDirectory;
                let error = open
                    .file
                    .refused("open-at", code, "the descriptor is a file");
                return Err(convert::error(error));
            }
            Entry::Stdio(_) => {
                log::refused(
                    "path_open",
                    core::Errno::BadDescriptor,
                    || "the descriptor is a standard stream",
                );
                return Err(Errno::Badf.into());
            }
        };
        if convert::is_synchronous(flags) {
            dir.refused(
                "open-at",
                core::Errno::Unsupported,
                "flags for synchronous writes are not supported",
            );
            return Err(Errno::Notsup.into());
        }
        let call = move |dir: &Dir, path: &str| dir.open_at(path, how);
        match with_path("path_open", self.blocking(), memory, dir, path, call).await? {
            Opened::Dir(dir) => self.table.push_dir(dir),
            Opened::File(file) => self.table.push_file(OpenFile {
                file,
                position: 0,
                append: flags.contains(Fdflags::APPEND),
                nonblock: flags.contains(Fdflags::NONBLOCK),
            }),
        }
    }
}
