//! The functions of `wasi_snapshot_preview1`. Each looks up its descriptor, converts the arguments, calls
//! the engine, and converts the answer.
//!
//! wiggle's glue in wasmtime-wasi already runs each call in a `tracing` span with the name, the arguments
//! and the answer, at level `trace`.

use super::fd_table::Entry;
use super::macros::{call_on_descriptor, call_on_file, call_with_path, call_with_two_paths};
use super::types::{
    self as types, Advice, CiovecArray, Dircookie, Errno, Error, Event, Fd, Fdflags, Fdstat,
    Filedelta, Filesize, Filestat, Fstflags, IovecArray, Lookupflags, Oflags, Prestat, PrestatDir,
    Rights, Size, Subscription, Timestamp, Whence,
};
use super::{OverlayP1Ctx, Preview1, convert, delegate, vectored_io};
use crate::stream_io::WritePosition;
use wasi_overlay_core::{Dir, File, Identity, Stat, log};
use wiggle::{GuestMemory as Memory, GuestPtr};

type Result<T> = std::result::Result<T, Error>;

impl Preview1 for OverlayP1Ctx {
    fn set_hostcall_fuel(&mut self, fuel: usize) {
        self.fuel = fuel;
        self.wasi.set_hostcall_fuel(fuel);
    }

    async fn fd_read(&mut self, memory: &mut Memory<'_>, fd: Fd, iovs: IovecArray) -> Result<Size> {
        self.charge_fuel(iovs)?;
        if let Some(inner) = self.stdio("fd_read", fd)? {
            self.enter_runtime().await;
            return self.wasi.fd_read(memory, inner, iovs).await;
        }
        let open = self.table.file("fd_read", fd)?;
        let position = open.position;
        let count = vectored_io::read(self.blocking(), memory, &open.file, iovs, position).await?;
        self.advance(fd, position, count)?;
        Ok(count)
    }

    async fn fd_pread(
        &mut self,
        memory: &mut Memory<'_>,
        fd: Fd,
        iovs: IovecArray,
        offset: Filesize,
    ) -> Result<Size> {
        self.charge_fuel(iovs)?;
        if let Some(inner) = self.stdio("fd_pread", fd)? {
            return self.wasi.fd_pread(memory, inner, iovs, offset).await;
        }
        let file = &self.table.file("fd_pread", fd)?.file;
        vectored_io::read(self.blocking(), memory, file, iovs, offset).await
    }

    async fn fd_write(
        &mut self,
        memory: &mut Memory<'_>,
        fd: Fd,
        ciovs: CiovecArray,
    ) -> Result<Size> {
        self.charge_fuel(ciovs)?;
        if let Some(inner) = self.stdio("fd_write", fd)? {
            self.enter_runtime().await;
            return self.wasi.fd_write(memory, inner, ciovs).await;
        }
        let open = self.table.file("fd_write", fd)?;
        let (file, position) = (&open.file, open.position);
        if !open.append {
            let start = WritePosition::At(position);
            let count = vectored_io::write(self.blocking(), memory, file, ciovs, start).await?;
            self.advance(fd, position, count)?;
            return Ok(count);
        }
        let start = WritePosition::End;
        let count = vectored_io::write(self.blocking(), memory, file, ciovs, start).await?;
        let end = call_on_file!(self, "fd_write", fd, file => file.stat())?.size;
        self.table.file_mut("fd_write", fd)?.position = end;
        Ok(count)
    }

    async fn fd_pwrite(
        &mut self,
        memory: &mut Memory<'_>,
        fd: Fd,
        ciovs: CiovecArray,
        offset: Filesize,
    ) -> Result<Size> {
        self.charge_fuel(ciovs)?;
        if let Some(inner) = self.stdio("fd_pwrite", fd)? {
            return self.wasi.fd_pwrite(memory, inner, ciovs, offset).await;
        }
        let open = self.table.file("fd_pwrite", fd)?;
        // As on Linux and in wasmtime-wasi, a file that is open for appending ignores the offset.
        let start = if open.append {
            WritePosition::End
        } else {
            WritePosition::At(offset)
        };
        vectored_io::write(self.blocking(), memory, &open.file, ciovs, start).await
    }

    async fn fd_seek(
        &mut self,
        memory: &mut Memory<'_>,
        fd: Fd,
        offset: Filedelta,
        whence: Whence,
    ) -> Result<Filesize> {
        if let Some(inner) = self.stdio("fd_seek", fd)? {
            return self.wasi.fd_seek(memory, inner, offset, whence).await;
        }
        let from = match whence {
            Whence::Set => 0,
            Whence::Cur => self.table.file("fd_seek", fd)?.position,
            Whence::End => call_on_file!(self, "fd_seek", fd, file => file.stat())?.size,
        };
        let open = self.table.file_mut("fd_seek", fd)?;
        open.position = from.checked_add_signed(offset).ok_or(Errno::Inval)?;
        Ok(open.position)
    }

    fn fd_tell(&mut self, memory: &mut Memory<'_>, fd: Fd) -> Result<Filesize> {
        match self.stdio("fd_tell", fd)? {
            Some(inner) => self.wasi.fd_tell(memory, inner),
            None => Ok(self.table.file("fd_tell", fd)?.position),
        }
    }

    async fn fd_close(&mut self, memory: &mut Memory<'_>, fd: Fd) -> Result<()> {
        let entry = self.table.remove("fd_close", fd)?;
        self.close(memory, entry).await
    }

    async fn fd_renumber(&mut self, memory: &mut Memory<'_>, from: Fd, to: Fd) -> Result<()> {
        match self.table.renumber(from, to)? {
            Some(replaced) => self.close(memory, replaced).await,
            None => Ok(()),
        }
    }

    async fn fd_advise(
        &mut self,
        _memory: &mut Memory<'_>,
        fd: Fd,
        offset: Filesize,
        length: Filesize,
        advice: Advice,
    ) -> Result<()> {
        let advice = convert::advice(advice);
        call_on_file!(self, "fd_advise", fd, file => file.advise(offset, length, advice))
    }

    /// Unsupported, as in wasmtime-wasi: most filesystems cannot guarantee the space.
    fn fd_allocate(
        &mut self,
        _memory: &mut Memory<'_>,
        fd: Fd,
        _offset: Filesize,
        _length: Filesize,
    ) -> Result<()> {
        self.table.file("fd_allocate", fd)?;
        let unsupported = wasi_overlay_core::Errno::Unsupported;
        log::refused(
            "fd_allocate",
            unsupported,
            || "allocating space is not supported",
        );
        Err(Errno::Notsup.into())
    }

    async fn fd_datasync(&mut self, _memory: &mut Memory<'_>, fd: Fd) -> Result<()> {
        call_on_file!(self, "fd_datasync", fd, file => file.sync(true))
    }

    async fn fd_sync(&mut self, _memory: &mut Memory<'_>, fd: Fd) -> Result<()> {
        call_on_file!(self, "fd_sync", fd, file => file.sync(false))
    }

    async fn fd_fdstat_get(&mut self, memory: &mut Memory<'_>, fd: Fd) -> Result<Fdstat> {
        match self.table.get("fd_fdstat_get", fd)? {
            Entry::Stdio(inner) => {
                let inner = *inner;
                self.wasi.fd_fdstat_get(memory, inner).await
            }
            Entry::Dir(open) if open.preopen.is_some() => Ok(convert::preopen_fdstat()),
            Entry::Dir(_) => Ok(convert::dir_fdstat()),
            Entry::File(open) => Ok(convert::file_fdstat(&open.file, open.append, open.nonblock)),
        }
    }

    fn fd_fdstat_set_flags(
        &mut self,
        _memory: &mut Memory<'_>,
        fd: Fd,
        flags: Fdflags,
    ) -> Result<()> {
        let open = self.table.file_mut("fd_fdstat_set_flags", fd)?;
        if convert::is_synchronous(flags) {
            log::refused(
                "fd_fdstat_set_flags",
                wasi_overlay_core::Errno::Invalid,
                || "flags for synchronous writes are not supported",
            );
            return Err(Errno::Inval.into());
        }
        open.append = flags.contains(Fdflags::APPEND);
        open.nonblock = flags.contains(Fdflags::NONBLOCK);
        Ok(())
    }

    fn fd_fdstat_set_rights(
        &mut self,
        _memory: &mut Memory<'_>,
        fd: Fd,
        _base: Rights,
        _inheriting: Rights,
    ) -> Result<()> {
        match self.stdio("fd_fdstat_set_rights", fd)? {
            Some(_) => Err(Errno::Badf.into()),
            None => Err(Errno::Notsup.into()),
        }
    }

    async fn fd_filestat_get(&mut self, memory: &mut Memory<'_>, fd: Fd) -> Result<Filestat> {
        let stat: Result<(Stat, Identity)> = call_on_descriptor!(
            self, "fd_filestat_get", fd,
            inner => {
                let inner = *inner;
                return self.wasi.fd_filestat_get(memory, inner).await;
            },
            object => Ok((object.stat()?, object.identity()?))
        );
        convert::filestat(stat?)
    }

    async fn fd_filestat_set_size(
        &mut self,
        _memory: &mut Memory<'_>,
        fd: Fd,
        size: Filesize,
    ) -> Result<()> {
        call_on_file!(self, "fd_filestat_set_size", fd, file => file.set_size(size))
    }

    async fn fd_filestat_set_times(
        &mut self,
        _memory: &mut Memory<'_>,
        fd: Fd,
        accessed: Timestamp,
        modified: Timestamp,
        flags: Fstflags,
    ) -> Result<()> {
        let times = convert::set_times(accessed, modified, flags)?;
        call_on_descriptor!(
            self, "fd_filestat_set_times", fd,
            _inner => return Err(Errno::Badf.into()),
            object => object.set_times(times)
        )
    }

    fn fd_prestat_get(&mut self, _memory: &mut Memory<'_>, fd: Fd) -> Result<Prestat> {
        // Not logged: every C library calls this until it fails.
        match self.table.find(fd) {
            Some(Entry::Dir(open)) if let Some(path) = &open.preopen => {
                Ok(Prestat::Dir(PrestatDir {
                    pr_name_len: path.len().try_into()?,
                }))
            }
            Some(Entry::Dir(_) | Entry::File(_) | Entry::Stdio(_)) | None => {
                Err(Errno::Badf.into())
            }
        }
    }

    fn fd_prestat_dir_name(
        &mut self,
        memory: &mut Memory<'_>,
        fd: Fd,
        buffer: GuestPtr<u8>,
        max: Size,
    ) -> Result<()> {
        match self.table.get("fd_prestat_dir_name", fd)? {
            Entry::Dir(open) if let Some(path) = &open.preopen => {
                let length = u32::try_from(path.len())?;
                if length > max {
                    return Err(Errno::Nametoolong.into());
                }
                memory.copy_from_slice(path.as_bytes(), buffer.as_array(length))?;
                Ok(())
            }
            Entry::Dir(_) | Entry::File(_) | Entry::Stdio(_) => Err(Errno::Notdir.into()),
        }
    }

    async fn fd_readdir(
        &mut self,
        memory: &mut Memory<'_>,
        fd: Fd,
        buffer: GuestPtr<u8>,
        length: Size,
        cookie: Dircookie,
    ) -> Result<Size> {
        self.read_directory(memory, fd, buffer.as_array(length), cookie)
            .await
    }

    async fn path_open(
        &mut self,
        memory: &mut Memory<'_>,
        fd: Fd,
        lookup: Lookupflags,
        path: GuestPtr<str>,
        oflags: Oflags,
        rights: Rights,
        _inheriting: Rights,
        fdflags: Fdflags,
    ) -> Result<Fd> {
        let how = convert::open_how(lookup, oflags, rights);
        self.open(memory, fd, path, how, fdflags).await
    }

    async fn path_filestat_get(
        &mut self,
        memory: &mut Memory<'_>,
        fd: Fd,
        lookup: Lookupflags,
        path: GuestPtr<str>,
    ) -> Result<Filestat> {
        let follow = convert::follows(lookup);
        let stat = call_with_path!(
            self,
            "path_filestat_get",
            memory,
            fd,
            path,
            move |dir, path| dir.stat_and_identity_at(path, follow)
        )?;
        convert::filestat(stat)
    }

    async fn path_filestat_set_times(
        &mut self,
        memory: &mut Memory<'_>,
        fd: Fd,
        lookup: Lookupflags,
        path: GuestPtr<str>,
        accessed: Timestamp,
        modified: Timestamp,
        flags: Fstflags,
    ) -> Result<()> {
        let times = convert::set_times(accessed, modified, flags)?;
        let follow = convert::follows(lookup);
        call_with_path!(
            self,
            "path_filestat_set_times",
            memory,
            fd,
            path,
            move |dir, path| { dir.set_times_at(path, follow, times) }
        )
    }

    async fn path_create_directory(
        &mut self,
        memory: &mut Memory<'_>,
        fd: Fd,
        path: GuestPtr<str>,
    ) -> Result<()> {
        call_with_path!(
            self,
            "path_create_directory",
            memory,
            fd,
            path,
            |dir, path| dir.create_directory_at(path)
        )
    }

    async fn path_remove_directory(
        &mut self,
        memory: &mut Memory<'_>,
        fd: Fd,
        path: GuestPtr<str>,
    ) -> Result<()> {
        call_with_path!(
            self,
            "path_remove_directory",
            memory,
            fd,
            path,
            |dir, path| dir.remove_directory_at(path)
        )
    }

    async fn path_unlink_file(
        &mut self,
        memory: &mut Memory<'_>,
        fd: Fd,
        path: GuestPtr<str>,
    ) -> Result<()> {
        call_with_path!(self, "path_unlink_file", memory, fd, path, |dir, path| dir
            .unlink_file_at(path))
    }

    async fn path_readlink(
        &mut self,
        memory: &mut Memory<'_>,
        fd: Fd,
        path: GuestPtr<str>,
        buffer: GuestPtr<u8>,
        length: Size,
    ) -> Result<Size> {
        let target = call_with_path!(self, "path_readlink", memory, fd, path, |dir, path| dir
            .readlink_at(path))?;
        // The target is truncated to the buffer, as in POSIX.
        let length = length.min(u32::try_from(target.len())?);
        let fitting = &target.as_bytes()[..length as usize];
        memory.copy_from_slice(fitting, buffer.as_array(length))?;
        Ok(length)
    }

    async fn path_symlink(
        &mut self,
        memory: &mut Memory<'_>,
        target: GuestPtr<str>,
        fd: Fd,
        path: GuestPtr<str>,
    ) -> Result<()> {
        // The engine does not resolve the target, but the guest passes it like a path.
        call_with_two_paths!(
            self,
            "path_symlink",
            memory,
            (fd, target),
            (fd, path),
            |(_, target), (dir, path)| { dir.symlink_at(target, path) }
        )
    }

    async fn path_link(
        &mut self,
        memory: &mut Memory<'_>,
        old_fd: Fd,
        lookup: Lookupflags,
        old_path: GuestPtr<str>,
        new_fd: Fd,
        new_path: GuestPtr<str>,
    ) -> Result<()> {
        let follow = convert::follows(lookup);
        call_with_two_paths!(
            self,
            "path_link",
            memory,
            (old_fd, old_path),
            (new_fd, new_path),
            move |(old, old_path), (new, new_path)| {
                if follow {
                    let reason = "hard links to the target of a symbolic link are not supported";
                    Err(old.refused("link-at", wasi_overlay_core::Errno::Invalid, reason))
                } else {
                    old.link_at(old_path, new, new_path)
                }
            }
        )
    }

    async fn path_rename(
        &mut self,
        memory: &mut Memory<'_>,
        old_fd: Fd,
        old_path: GuestPtr<str>,
        new_fd: Fd,
        new_path: GuestPtr<str>,
    ) -> Result<()> {
        call_with_two_paths!(
            self,
            "path_rename",
            memory,
            (old_fd, old_path),
            (new_fd, new_path),
            |(old, old_path), (new, new_path)| old.rename_at(old_path, new, new_path)
        )
    }

    async fn poll_oneoff(
        &mut self,
        memory: &mut Memory<'_>,
        subs: GuestPtr<Subscription>,
        events: GuestPtr<Event>,
        count: Size,
    ) -> Result<Size> {
        self.poll(memory, subs, events, count).await
    }

    delegate::everything_else!();
}
