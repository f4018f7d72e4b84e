//! Macros that forward the functions without files to wasmtime-wasi.

/// Functions that call the inner context with the same arguments.
macro_rules! pass_on {
    ($(fn $name:ident($($arg:ident: $ty:ty),*) -> $answer:ty;)*) => {$(
        fn $name(&mut self, memory: &mut Memory<'_>, $($arg: $ty),*) -> $answer {
            self.wasi.$name(memory, $($arg),*)
        }
    )*};
}

/// Functions on sockets. No descriptor is a socket, because wasmtime-wasi gives preview 1 none.
macro_rules! no_socket {
    ($(fn $name:ident($($ty:ty),*) -> $answer:ty;)*) => {$(
        fn $name(&mut self, _: &mut Memory<'_>, fd: Fd, $(_: $ty),*) -> Result<$answer> {
            self.table.get(stringify!($name), fd)?;
            Err(Errno::Notsock.into())
        }
    )*};
}

/// Every function of the trait that `imports` does not define itself.
macro_rules! everything_else {
    () => {
        delegate::pass_on! {
            fn args_get(argv: GuestPtr<GuestPtr<u8>>, buffer: GuestPtr<u8>) -> Result<()>;
            fn args_sizes_get() -> Result<(Size, Size)>;
            fn environ_get(list: GuestPtr<GuestPtr<u8>>, buffer: GuestPtr<u8>) -> Result<()>;
            fn environ_sizes_get() -> Result<(Size, Size)>;
            fn clock_res_get(id: types::Clockid) -> Result<Timestamp>;
            fn clock_time_get(id: types::Clockid, precision: Timestamp) -> Result<Timestamp>;
            fn random_get(buffer: GuestPtr<u8>, length: Size) -> Result<()>;
            fn proc_exit(status: types::Exitcode) -> wasmtime::Error;
            fn proc_raise(signal: types::Signal) -> Result<()>;
            fn sched_yield() -> Result<()>;
        }
        delegate::no_socket! {
            fn sock_accept(Fdflags) -> Fd;
            fn sock_recv(IovecArray, types::Riflags) -> (Size, types::Roflags);
            fn sock_send(CiovecArray, types::Siflags) -> Size;
            fn sock_shutdown(types::Sdflags) -> ();
        }
    };
}

pub(super) use {everything_else, no_socket, pass_on};
