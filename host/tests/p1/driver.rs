//! A guest that the test controls: a module that exports the functions of WASI 0.1 that it imports.

use cap_std::ambient_authority;
use std::fmt::Write as _;
use std::path::Path;
use wasi_overlay::p1::{self, OverlayP1Ctx};
use wasi_overlay::{FsPerms, Limits, Overlay, OverlayCtx, OverlayCtxBuilder};
use wasmtime::{Config, Engine, Extern, Instance, Linker, Memory, Module, Store, Val, ValType};
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::p2::pipe::{MemoryInputPipe, MemoryOutputPipe};

pub(crate) const BADF: i32 = 8;
pub(crate) const EXIST: i32 = 20;
pub(crate) const ILSEQ: i32 = 25;
pub(crate) const INVAL: i32 = 28;
pub(crate) const ISDIR: i32 = 31;
pub(crate) const MFILE: i32 = 33;
pub(crate) const NAMETOOLONG: i32 = 37;
pub(crate) const NOENT: i32 = 44;
pub(crate) const NOMEM: i32 = 48;
pub(crate) const NOTDIR: i32 = 54;
pub(crate) const NOTSOCK: i32 = 57;
pub(crate) const NOTSUP: i32 = 58;
pub(crate) const PERM: i32 = 63;
pub(crate) const SPIPE: i32 = 70;

pub(crate) const CREAT: u16 = 1;
pub(crate) const DIRECTORY: u16 = 2;
pub(crate) const EXCL: u16 = 4;
pub(crate) const TRUNC: u16 = 8;
pub(crate) const APPEND: u16 = 1;
pub(crate) const DSYNC: u16 = 2;
pub(crate) const NONBLOCK: u16 = 4;
pub(crate) const FD_READ: u64 = 1 << 1;
pub(crate) const FD_WRITE: u64 = 1 << 6;
pub(crate) const RW: u64 = FD_READ | FD_WRITE;

/// The preopened directory.
pub(crate) const ROOT: u32 = 3;

/// Imports with their parameters: `i` is an i32, `I` an i64. Each returns an errno.
const FUNCTIONS: &[(&str, &str)] = &[
    ("fd_advise", "iIIi"),
    ("fd_allocate", "iII"),
    ("fd_close", "i"),
    ("fd_datasync", "i"),
    ("fd_fdstat_get", "ii"),
    ("fd_fdstat_set_flags", "ii"),
    ("fd_fdstat_set_rights", "iII"),
    ("fd_filestat_get", "ii"),
    ("fd_filestat_set_size", "iI"),
    ("fd_filestat_set_times", "iIIi"),
    ("fd_pread", "iiiIi"),
    ("fd_prestat_dir_name", "iii"),
    ("fd_prestat_get", "ii"),
    ("fd_pwrite", "iiiIi"),
    ("fd_read", "iiii"),
    ("fd_readdir", "iiiIi"),
    ("fd_renumber", "ii"),
    ("fd_seek", "iIii"),
    ("fd_sync", "i"),
    ("fd_tell", "ii"),
    ("fd_write", "iiii"),
    ("path_create_directory", "iii"),
    ("path_filestat_get", "iiiii"),
    ("path_filestat_set_times", "iiiiIIi"),
    ("path_link", "iiiiiii"),
    ("path_open", "iiiiiIIii"),
    ("path_readlink", "iiiiii"),
    ("path_remove_directory", "iii"),
    ("path_rename", "iiiiii"),
    ("path_symlink", "iiiii"),
    ("path_unlink_file", "iii"),
    ("poll_oneoff", "iiii"),
    ("random_get", "ii"),
    ("sched_yield", ""),
    ("sock_shutdown", "ii"),
];

/// The WASI implementation that serves the guest, with its linker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    /// wasmtime-wasi.
    Stock,
    /// This crate, with a synchronous linker.
    Sync,
    /// The same, for a guest with a shared memory.
    Shared,
    /// This crate, with an asynchronous linker that may block the thread.
    AsyncInline,
    /// This crate, with an asynchronous linker that uses the blocking pool.
    AsyncPool,
    /// This crate, with a synchronous linker; the directory is the upper of an overlay without lower
    /// layers. All other hosts serve the directory live.
    Overlay,
}

pub(crate) const HOSTS: [Host; 6] = [
    Host::Stock,
    Host::Sync,
    Host::Shared,
    Host::AsyncInline,
    Host::AsyncPool,
    Host::Overlay,
];

struct State {
    stock: WasiP1Ctx,
    ours: OverlayP1Ctx,
}

pub(crate) struct Guest {
    pub(crate) host: Host,
    store: Store<State>,
    instance: Instance,
    runtime: tokio::runtime::Runtime,
    pub(crate) stdout: MemoryOutputPipe,
    /// The next free byte of the guest's memory.
    heap: u32,
}

/// Where the guest's heap begins, and how large its memory is, in bytes.
const HEAP: u32 = 1024;
pub(crate) const MEMORY: u32 = 64 * 65536;

/// Runs `test` on every host, each time with a directory that `prepare` has filled.
pub(crate) fn on_every_host(prepare: impl Fn(&Path), test: impl Fn(&mut Guest, &Path)) {
    for host in HOSTS {
        let dir = tempfile::tempdir().unwrap();
        prepare(dir.path());
        eprintln!("host: {host:?}");
        test(&mut Guest::new(host, dir.path()), dir.path());
    }
}

fn module(shared: bool) -> String {
    let mut wat = String::from("(module\n");
    for (name, params) in FUNCTIONS {
        let params = types(params);
        writeln!(
            wat,
            "(import \"wasi_snapshot_preview1\" \"{name}\" (func ${name} {params} (result i32)))"
        )
        .unwrap();
    }
    let memory = if shared { "64 64 shared" } else { "64 64" };
    writeln!(wat, "(memory (export \"memory\") {memory})").unwrap();
    for (name, params) in FUNCTIONS {
        let args: String = (0..params.len())
            .map(|i| format!("(local.get {i})"))
            .collect();
        let params = types(params);
        writeln!(
            wat,
            "(func (export \"{name}\") {params} (result i32) (call ${name} {args}))"
        )
        .unwrap();
    }
    wat.push_str(
        "(func (export \"peek\") (param i32) (result i32) (i32.load8_u (local.get 0)))
         (func (export \"poke\") (param i32 i32) (i32.store8 (local.get 0) (local.get 1))))",
    );
    wat
}

fn types(params: &str) -> String {
    let type_of = |c| {
        if c == 'I' {
            "(param i64)"
        } else {
            "(param i32)"
        }
    };
    params.chars().map(type_of).collect()
}

/// A context with the directory at `/`, as `host` serves it. `Host::Stock` uses no context of ours.
pub(crate) fn files(host: Host, dir: &Path, perms: FsPerms, limits: Limits) -> OverlayCtxBuilder {
    let mut files = OverlayCtx::builder();
    files.limits(limits);
    let opened = cap_std::fs::Dir::open_ambient_dir(dir, ambient_authority()).unwrap();
    if host == Host::Overlay {
        let overlay = Overlay::builder()
            .upper_dir("upper", opened)
            .build()
            .unwrap();
        files.overlay(&overlay, "/", perms).unwrap();
    } else if host != Host::Stock {
        files.dir(opened, "/", perms).unwrap();
    }
    files.allow_blocking_current_thread(host == Host::AsyncInline);
    files
}

impl Guest {
    pub(crate) fn new(host: Host, dir: &Path) -> Self {
        Self::with_perms(host, dir, FsPerms::ReadWrite)
    }

    pub(crate) fn with_perms(host: Host, dir: &Path, perms: FsPerms) -> Self {
        let stock = (host == Host::Stock).then_some((dir, perms));
        let files = files(host, dir, perms, Limits::default()).build();
        Self::start(host, stock, &files)
    }

    /// A guest on the directories of a context, which `Host::Stock` does not have.
    pub(crate) fn on(host: Host, files: &OverlayCtx) -> Self {
        assert_ne!(host, Host::Stock);
        Self::start(host, None, files)
    }

    fn start(host: Host, stock_dir: Option<(&Path, FsPerms)>, files: &OverlayCtx) -> Self {
        let mut config = Config::new();
        config.wasm_threads(true).shared_memory(true);
        let engine = Engine::new(&config).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let stdout = MemoryOutputPipe::new(4096);
        let mut stock = WasiCtxBuilder::new();
        stock
            .stdin(MemoryInputPipe::new("standard input"))
            .stdout(stdout.clone());
        let inner = if let Some((dir, perms)) = stock_dir {
            stock.preopened_dir(dir, "/", perms).unwrap();
            WasiCtxBuilder::new().build_p1()
        } else {
            std::mem::replace(&mut stock, WasiCtxBuilder::new()).build_p1()
        };
        let state = State {
            stock: stock.build_p1(),
            ours: OverlayP1Ctx::new(inner, files).unwrap(),
        };

        let mut store = Store::new(&engine, state);
        let mut linker = Linker::<State>::new(&engine);
        match host {
            Host::Stock => {
                wasmtime_wasi::p1::add_to_linker_sync(&mut linker, |s| &mut s.stock).unwrap();
            }
            Host::Sync | Host::Shared | Host::Overlay => {
                p1::add_to_linker_sync(&mut linker, |s| &mut s.ours).unwrap();
            }
            Host::AsyncInline | Host::AsyncPool => {
                p1::add_to_linker_async(&mut linker, |s| &mut s.ours).unwrap();
            }
        }
        let module = Module::new(&engine, module(host == Host::Shared)).unwrap();
        let instance = runtime
            .block_on(linker.instantiate_async(&mut store, &module))
            .unwrap();
        Self {
            host,
            store,
            instance,
            runtime,
            stdout,
            heap: HEAP,
        }
    }

    pub(crate) fn is_stock(&self) -> bool {
        self.host == Host::Stock
    }

    /// Whether the test may change the directory while it is mounted, which it may not do with an upper.
    pub(crate) fn is_live(&self) -> bool {
        self.host != Host::Overlay
    }

    /// Calls a function.
    pub(crate) fn try_call(&mut self, name: &str, args: &[i64]) -> wasmtime::Result<i32> {
        let func = self.instance.get_func(&mut self.store, name).unwrap();
        let types = func.ty(&self.store);
        let args: Vec<Val> = types
            .params()
            .zip(args)
            .map(|(ty, arg)| match ty {
                ValType::I64 => Val::I64(*arg),
                _ => Val::I32(*arg as i32),
            })
            .collect();
        let mut answer = vec![Val::I32(0); types.results().len()];
        match self.host {
            Host::Stock | Host::Sync | Host::Shared | Host::Overlay => {
                func.call(&mut self.store, &args, &mut answer)?;
            }
            Host::AsyncInline | Host::AsyncPool => {
                let call = func.call_async(&mut self.store, &args, &mut answer);
                self.runtime.block_on(call)?;
            }
        }
        Ok(answer.first().map_or(0, |value| value.unwrap_i32()))
    }

    /// Calls a function that must not trap; returns its errno.
    pub(crate) fn call(&mut self, name: &str, args: &[i64]) -> i32 {
        self.try_call(name, args)
            .unwrap_or_else(|trap| panic!("{:?}: {name}{args:?}: {trap:#}", self.host))
    }

    /// Calls a function that has to succeed.
    pub(crate) fn ok(&mut self, name: &str, args: &[i64]) {
        let errno = self.call(name, args);
        assert_eq!(errno, 0, "{:?}: {name}{args:?}", self.host);
    }

    fn memory(&mut self) -> Option<Memory> {
        match self.instance.get_export(&mut self.store, "memory") {
            Some(Extern::Memory(memory)) => Some(memory),
            _ => None,
        }
    }

    pub(crate) fn peek(&mut self, at: u32, length: usize) -> Vec<u8> {
        if let Some(memory) = self.memory() {
            return memory.data(&self.store)[at as usize..][..length].to_vec();
        }
        (0..length as i64)
            .map(|i| self.call("peek", &[i64::from(at) + i]) as u8)
            .collect()
    }

    pub(crate) fn poke(&mut self, at: u32, data: &[u8]) {
        if let Some(memory) = self.memory() {
            return memory.write(&mut self.store, at as usize, data).unwrap();
        }
        for (i, byte) in data.iter().enumerate() {
            self.call("poke", &[i64::from(at) + i as i64, i64::from(*byte)]);
        }
    }

    pub(crate) fn u32_at(&mut self, at: u32) -> u32 {
        u32::from_le_bytes(self.peek(at, 4).try_into().unwrap())
    }

    pub(crate) fn u64_at(&mut self, at: u32) -> u64 {
        u64::from_le_bytes(self.peek(at, 8).try_into().unwrap())
    }

    /// Allocates guest memory, aligned to 8 bytes and never freed.
    pub(crate) fn alloc(&mut self, length: usize) -> u32 {
        let at = self.heap;
        self.heap += (length as u32).next_multiple_of(8);
        assert!(self.heap <= MEMORY);
        at
    }

    /// Copies `data` into newly allocated guest memory.
    pub(crate) fn put(&mut self, data: &[u8]) -> u32 {
        let at = self.alloc(data.len());
        self.poke(at, data);
        at
    }

    /// Writes an array of buffers into newly allocated guest memory.
    pub(crate) fn buffers(&mut self, buffers: &[(u32, u32)]) -> i64 {
        let mut bytes = Vec::new();
        for (at, length) in buffers {
            bytes.extend(at.to_le_bytes());
            bytes.extend(length.to_le_bytes());
        }
        self.put(&bytes).into()
    }

    /// Calls a function with a path (address and length) after `before`.
    pub(crate) fn with_path(
        &mut self,
        name: &str,
        before: &[i64],
        path: &[u8],
        after: &[i64],
    ) -> i32 {
        let at = self.put(path);
        let mut args = before.to_vec();
        args.extend([i64::from(at), path.len() as i64]);
        args.extend(after);
        self.call(name, &args)
    }

    /// `path_open` below the root, following links.
    pub(crate) fn open(
        &mut self,
        path: &str,
        oflags: u16,
        rights: u64,
        fdflags: u16,
    ) -> Result<u32, i32> {
        let out = self.alloc(4);
        let after = [
            oflags.into(),
            rights as i64,
            0,
            fdflags.into(),
            i64::from(out),
        ];
        match self.with_path("path_open", &[ROOT.into(), 1], path.as_bytes(), &after) {
            0 => Ok(self.u32_at(out)),
            errno => Err(errno),
        }
    }

    /// `fd_read` into one buffer.
    pub(crate) fn read(&mut self, fd: u32, length: u32) -> Result<Vec<u8>, i32> {
        let buffer = self.alloc(length as usize);
        let iovs = self.buffers(&[(buffer, length)]);
        let out = self.alloc(4);
        match self.call("fd_read", &[fd.into(), iovs, 1, out.into()]) {
            0 => {
                let count = self.u32_at(out) as usize;
                Ok(self.peek(buffer, count))
            }
            errno => Err(errno),
        }
    }

    /// `fd_write` of one buffer.
    pub(crate) fn write(&mut self, fd: u32, data: &[u8]) -> Result<u32, i32> {
        let buffer = self.put(data);
        let iovs = self.buffers(&[(buffer, data.len() as u32)]);
        let out = self.alloc(4);
        match self.call("fd_write", &[fd.into(), iovs, 1, out.into()]) {
            0 => Ok(self.u32_at(out)),
            errno => Err(errno),
        }
    }

    /// `fd_seek`; whence 0 is the start, 1 the position, 2 the end.
    pub(crate) fn seek(&mut self, fd: u32, offset: i64, whence: i64) -> Result<u64, i32> {
        let out = self.alloc(8);
        match self.call("fd_seek", &[fd.into(), offset, whence, out.into()]) {
            0 => Ok(self.u64_at(out)),
            errno => Err(errno),
        }
    }

    /// `fd_tell`.
    pub(crate) fn tell(&mut self, fd: u32) -> Result<u64, i32> {
        let out = self.alloc(8);
        match self.call("fd_tell", &[fd.into(), out.into()]) {
            0 => Ok(self.u64_at(out)),
            errno => Err(errno),
        }
    }

    /// `fd_fdstat_get`: type, flags, rights, inheriting rights.
    pub(crate) fn fdstat(&mut self, fd: u32) -> Result<(u8, u16, u64, u64), i32> {
        let out = self.alloc(24);
        match self.call("fd_fdstat_get", &[fd.into(), out.into()]) {
            0 => {
                let bytes = self.peek(out, 4);
                let flags = u16::from_le_bytes([bytes[2], bytes[3]]);
                Ok((bytes[0], flags, self.u64_at(out + 8), self.u64_at(out + 16)))
            }
            errno => Err(errno),
        }
    }

    /// `fd_readdir` with a buffer of `length` bytes; returns the used bytes.
    pub(crate) fn readdir(&mut self, fd: u32, length: u32, cookie: u64) -> Result<Vec<u8>, i32> {
        let buffer = self.alloc(length as usize);
        let out = self.alloc(4);
        let args = [
            fd.into(),
            buffer.into(),
            length.into(),
            cookie as i64,
            out.into(),
        ];
        match self.call("fd_readdir", &args) {
            0 => {
                let used = self.u32_at(out) as usize;
                Ok(self.peek(buffer, used))
            }
            errno => Err(errno),
        }
    }
}
