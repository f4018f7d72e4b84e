//! `wasi:io` and sockets for synchronous stores: wasmtime-wasi's functions with an added check.
//!
//! A function that has to wait for tokio first checks that it is not in an asynchronous task, where
//! waiting would panic.

use crate::blocking::check_may_wait;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use tokio::runtime::Handle;
use wasmtime::component::{HasData, Resource, ResourceTable};
use wasmtime_wasi::p2::bindings::sockets::network::{self, Network};
use wasmtime_wasi::p2::bindings::sync::io::{poll, streams};
use wasmtime_wasi::p2::bindings::sync::sockets::{tcp, udp, udp_create_socket};
use wasmtime_wasi::p2::{SocketError, SocketResult, StreamError, StreamResult};
use wasmtime_wasi::runtime::in_tokio;
use wasmtime_wasi::sockets::WasiSocketsCtxView;
use wasmtime_wasi_io::bindings::wasi::io::{poll as async_poll, streams as async_streams};

use poll::Pollable;
use streams::{InputStream, OutputStream};
use tcp::{Duration, IpAddressFamily, IpSocketAddress, ShutdownType, TcpSocket};
use udp::{
    IncomingDatagram, IncomingDatagramStream, OutgoingDatagram, OutgoingDatagramStream, UdpSocket,
};

/// wasmtime-wasi's implementation of an interface, with the check before calls that wait.
pub(super) struct Checked<T>(pub(super) T);

/// The `HasData` marker for `wasi:io`, which wasmtime-wasi implements on the table.
pub(super) struct HasCheckedIo;

impl HasData for HasCheckedIo {
    type Data<'a> = Checked<&'a mut ResourceTable>;
}

/// The `HasData` marker for sockets.
pub(super) struct HasCheckedSockets;

impl HasData for HasCheckedSockets {
    type Data<'a> = Checked<WasiSocketsCtxView<'a>>;
}

fn check() -> wasmtime::Result<()> {
    check_may_wait("wasi_overlay::p2::add_to_linker_async")
}

/// Runs an asynchronous function of wasmtime-wasi to completion.
///
/// On a thread that has a runtime, the first poll is by hand: a stream of a file completes in it, and
/// needs nothing from tokio. On other threads tokio makes the first poll too, since streams that are not
/// ours may need a runtime, and `in_tokio` yields to their background tasks.
///
/// # Errors
/// A trap if the function has to wait in an asynchronous task.
fn run<F: Future>(call: F) -> wasmtime::Result<F::Output> {
    let mut call = pin!(call);
    if Handle::try_current().is_ok() {
        let mut context = Context::from_waker(Waker::noop());
        if let Poll::Ready(answer) = call.as_mut().poll(&mut context) {
            return Ok(answer);
        }
        check()?;
    }
    Ok(in_tokio(call))
}

/// Functions that never wait.
macro_rules! pass_on {
    ($trait:path; $(fn $name:ident($($arg:ident: $ty:ty),*) -> $answer:ty;)*) => {$(
        fn $name(&mut self, $($arg: $ty),*) -> $answer {
            <_ as $trait>::$name(&mut self.0, $($arg),*)
        }
    )*};
}

/// Functions of `wasi:io` that may have to wait. `$trap` converts a trap to their error type.
macro_rules! wait {
    ($trait:path, $trap:expr; $(fn $name:ident($($arg:ident: $ty:ty),*) -> $answer:ty;)*) => {$(
        fn $name(&mut self, $($arg: $ty),*) -> $answer {
            run(<ResourceTable as $trait>::$name(self.0, $($arg),*)).map_err($trap)?
        }
    )*};
}

/// Functions of sockets that enter tokio, whether they have to wait or not. `$trap` converts a trap to
/// their error type.
macro_rules! enter_tokio {
    ($trait:path, $trap:expr; $(fn $name:ident($($arg:ident: $ty:ty),*) -> $answer:ty;)*) => {$(
        fn $name(&mut self, $($arg: $ty),*) -> $answer {
            check().map_err($trap)?;
            <_ as $trait>::$name(&mut self.0, $($arg),*)
        }
    )*};
}

impl poll::Host for Checked<&mut ResourceTable> {
    wait! { async_poll::Host, |trap| trap;
        fn poll(pollables: Vec<Resource<Pollable>>) -> wasmtime::Result<Vec<u32>>;
    }
}

impl poll::HostPollable for Checked<&mut ResourceTable> {
    fn ready(&mut self, pollable: Resource<Pollable>) -> wasmtime::Result<bool> {
        let ready = run(<ResourceTable as async_poll::HostPollable>::ready(
            self.0, pollable,
        ))??;
        if !ready {
            // The guest would poll again until it is ready, which may never happen while the guest
            // occupies the task's thread.
            check()?;
        }
        Ok(ready)
    }

    wait! { async_poll::HostPollable, |trap| trap;
        fn block(pollable: Resource<Pollable>) -> wasmtime::Result<()>;
    }
    pass_on! { poll::HostPollable;
        fn drop(pollable: Resource<Pollable>) -> wasmtime::Result<()>;
    }
}

impl streams::Host for Checked<&mut ResourceTable> {
    pass_on! { streams::Host;
        fn convert_stream_error(error: StreamError) -> wasmtime::Result<streams::StreamError>;
    }
}

impl streams::HostOutputStream for Checked<&mut ResourceTable> {
    pass_on! { streams::HostOutputStream;
        fn check_write(stream: Resource<OutputStream>) -> StreamResult<u64>;
        fn write(stream: Resource<OutputStream>, bytes: Vec<u8>) -> StreamResult<()>;
        fn write_zeroes(stream: Resource<OutputStream>, length: u64) -> StreamResult<()>;
        fn flush(stream: Resource<OutputStream>) -> StreamResult<()>;
        fn subscribe(stream: Resource<OutputStream>) -> wasmtime::Result<Resource<Pollable>>;
        fn splice(
            to: Resource<OutputStream>, from: Resource<InputStream>, length: u64
        ) -> StreamResult<u64>;
    }
    wait! { async_streams::HostOutputStream, StreamError::Trap;
        fn blocking_write_and_flush(
            stream: Resource<OutputStream>, bytes: Vec<u8>
        ) -> StreamResult<()>;
        fn blocking_write_zeroes_and_flush(
            stream: Resource<OutputStream>, length: u64
        ) -> StreamResult<()>;
        fn blocking_flush(stream: Resource<OutputStream>) -> StreamResult<()>;
        fn blocking_splice(
            to: Resource<OutputStream>, from: Resource<InputStream>, length: u64
        ) -> StreamResult<u64>;
    }
    wait! { async_streams::HostOutputStream, |trap| trap;
        fn drop(stream: Resource<OutputStream>) -> wasmtime::Result<()>;
    }
}

impl streams::HostInputStream for Checked<&mut ResourceTable> {
    pass_on! { streams::HostInputStream;
        fn read(stream: Resource<InputStream>, length: u64) -> StreamResult<Vec<u8>>;
        fn skip(stream: Resource<InputStream>, length: u64) -> StreamResult<u64>;
        fn subscribe(stream: Resource<InputStream>) -> wasmtime::Result<Resource<Pollable>>;
    }
    wait! { async_streams::HostInputStream, StreamError::Trap;
        fn blocking_read(stream: Resource<InputStream>, length: u64) -> StreamResult<Vec<u8>>;
        fn blocking_skip(stream: Resource<InputStream>, length: u64) -> StreamResult<u64>;
    }
    wait! { async_streams::HostInputStream, |trap| trap;
        fn drop(stream: Resource<InputStream>) -> wasmtime::Result<()>;
    }
}

type Sockets<'a> = Checked<WasiSocketsCtxView<'a>>;

impl network::Host for Sockets<'_> {
    pass_on! { network::Host;
        fn convert_error_code(error: SocketError) -> wasmtime::Result<network::ErrorCode>;
        fn network_error_code(
            error: Resource<wasmtime::Error>
        ) -> wasmtime::Result<Option<network::ErrorCode>>;
    }
}

impl network::HostNetwork for Sockets<'_> {
    pass_on! { network::HostNetwork;
        fn drop(network: Resource<Network>) -> wasmtime::Result<()>;
    }
}

impl tcp::Host for Sockets<'_> {}

impl tcp::HostTcpSocket for Sockets<'_> {
    enter_tokio! { tcp::HostTcpSocket, SocketError::trap;
        fn start_bind(
            socket: Resource<TcpSocket>, network: Resource<Network>, address: IpSocketAddress
        ) -> SocketResult<()>;
        fn start_listen(socket: Resource<TcpSocket>) -> SocketResult<()>;
    }
    pass_on! { tcp::HostTcpSocket;
        fn finish_bind(socket: Resource<TcpSocket>) -> SocketResult<()>;
        fn start_connect(
            socket: Resource<TcpSocket>, network: Resource<Network>, address: IpSocketAddress
        ) -> SocketResult<()>;
        fn finish_connect(
            socket: Resource<TcpSocket>
        ) -> SocketResult<(Resource<InputStream>, Resource<OutputStream>)>;
        fn finish_listen(socket: Resource<TcpSocket>) -> SocketResult<()>;
        fn accept(
            socket: Resource<TcpSocket>
        ) -> SocketResult<(Resource<TcpSocket>, Resource<InputStream>, Resource<OutputStream>)>;
        fn local_address(socket: Resource<TcpSocket>) -> SocketResult<IpSocketAddress>;
        fn remote_address(socket: Resource<TcpSocket>) -> SocketResult<IpSocketAddress>;
        fn is_listening(socket: Resource<TcpSocket>) -> wasmtime::Result<bool>;
        fn address_family(socket: Resource<TcpSocket>) -> wasmtime::Result<IpAddressFamily>;
        fn set_listen_backlog_size(socket: Resource<TcpSocket>, value: u64) -> SocketResult<()>;
        fn keep_alive_enabled(socket: Resource<TcpSocket>) -> SocketResult<bool>;
        fn set_keep_alive_enabled(socket: Resource<TcpSocket>, value: bool) -> SocketResult<()>;
        fn keep_alive_idle_time(socket: Resource<TcpSocket>) -> SocketResult<Duration>;
        fn set_keep_alive_idle_time(
            socket: Resource<TcpSocket>, value: Duration
        ) -> SocketResult<()>;
        fn keep_alive_interval(socket: Resource<TcpSocket>) -> SocketResult<Duration>;
        fn set_keep_alive_interval(
            socket: Resource<TcpSocket>, value: Duration
        ) -> SocketResult<()>;
        fn keep_alive_count(socket: Resource<TcpSocket>) -> SocketResult<u32>;
        fn set_keep_alive_count(socket: Resource<TcpSocket>, value: u32) -> SocketResult<()>;
        fn hop_limit(socket: Resource<TcpSocket>) -> SocketResult<u8>;
        fn set_hop_limit(socket: Resource<TcpSocket>, value: u8) -> SocketResult<()>;
        fn receive_buffer_size(socket: Resource<TcpSocket>) -> SocketResult<u64>;
        fn set_receive_buffer_size(socket: Resource<TcpSocket>, value: u64) -> SocketResult<()>;
        fn send_buffer_size(socket: Resource<TcpSocket>) -> SocketResult<u64>;
        fn set_send_buffer_size(socket: Resource<TcpSocket>, value: u64) -> SocketResult<()>;
        fn subscribe(socket: Resource<TcpSocket>) -> wasmtime::Result<Resource<Pollable>>;
        fn shutdown(socket: Resource<TcpSocket>, which: ShutdownType) -> SocketResult<()>;
        fn drop(socket: Resource<TcpSocket>) -> wasmtime::Result<()>;
    }
}

impl udp::Host for Sockets<'_> {}

impl udp::HostUdpSocket for Sockets<'_> {
    enter_tokio! { udp::HostUdpSocket, SocketError::trap;
        fn start_bind(
            socket: Resource<UdpSocket>, network: Resource<Network>, address: IpSocketAddress
        ) -> SocketResult<()>;
        fn stream(
            socket: Resource<UdpSocket>, remote: Option<IpSocketAddress>
        ) -> SocketResult<(Resource<IncomingDatagramStream>, Resource<OutgoingDatagramStream>)>;
    }
    pass_on! { udp::HostUdpSocket;
        fn finish_bind(socket: Resource<UdpSocket>) -> SocketResult<()>;
        fn local_address(socket: Resource<UdpSocket>) -> SocketResult<IpSocketAddress>;
        fn remote_address(socket: Resource<UdpSocket>) -> SocketResult<IpSocketAddress>;
        fn address_family(socket: Resource<UdpSocket>) -> wasmtime::Result<IpAddressFamily>;
        fn unicast_hop_limit(socket: Resource<UdpSocket>) -> SocketResult<u8>;
        fn set_unicast_hop_limit(socket: Resource<UdpSocket>, value: u8) -> SocketResult<()>;
        fn receive_buffer_size(socket: Resource<UdpSocket>) -> SocketResult<u64>;
        fn set_receive_buffer_size(socket: Resource<UdpSocket>, value: u64) -> SocketResult<()>;
        fn send_buffer_size(socket: Resource<UdpSocket>) -> SocketResult<u64>;
        fn set_send_buffer_size(socket: Resource<UdpSocket>, value: u64) -> SocketResult<()>;
        fn subscribe(socket: Resource<UdpSocket>) -> wasmtime::Result<Resource<Pollable>>;
        fn drop(socket: Resource<UdpSocket>) -> wasmtime::Result<()>;
    }
}

impl udp::HostIncomingDatagramStream for Sockets<'_> {
    pass_on! { udp::HostIncomingDatagramStream;
        fn receive(
            stream: Resource<IncomingDatagramStream>, most: u64
        ) -> SocketResult<Vec<IncomingDatagram>>;
        fn subscribe(
            stream: Resource<IncomingDatagramStream>
        ) -> wasmtime::Result<Resource<Pollable>>;
        fn drop(stream: Resource<IncomingDatagramStream>) -> wasmtime::Result<()>;
    }
}

impl udp::HostOutgoingDatagramStream for Sockets<'_> {
    pass_on! { udp::HostOutgoingDatagramStream;
        fn check_send(stream: Resource<OutgoingDatagramStream>) -> SocketResult<u64>;
        fn send(
            stream: Resource<OutgoingDatagramStream>, datagrams: Vec<OutgoingDatagram>
        ) -> SocketResult<u64>;
        fn subscribe(
            stream: Resource<OutgoingDatagramStream>
        ) -> wasmtime::Result<Resource<Pollable>>;
    }
    enter_tokio! { udp::HostOutgoingDatagramStream, |trap| trap;
        fn drop(stream: Resource<OutgoingDatagramStream>) -> wasmtime::Result<()>;
    }
}

impl udp_create_socket::Host for Sockets<'_> {
    enter_tokio! { udp_create_socket::Host, SocketError::trap;
        fn create_udp_socket(family: IpAddressFamily) -> SocketResult<Resource<UdpSocket>>;
    }
}
