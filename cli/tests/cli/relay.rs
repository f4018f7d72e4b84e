//! [`Relay`]: a slow or broken way to a registry.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// Bytes of answers that a connection passes on in any case.
const LIMIT: u64 = 64 << 10;

/// What happens to an answer after [`LIMIT`] bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    /// The rest follows.
    Open,
    /// The rest waits until the gate is set otherwise.
    Closed,
    /// The connection ends.
    Broken,
}

struct State {
    gate: Gate,
    /// Connections that wait.
    held: usize,
}

/// A port of loopback whose connections lead to a registry.
pub(crate) struct Relay {
    host: String,
    state: Arc<(Mutex<State>, Condvar)>,
}

impl Relay {
    /// A relay to the registry at `target`, a host and a port.
    pub(crate) fn new(target: &str, gate: Gate) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let state = Arc::new((Mutex::new(State { gate, held: 0 }), Condvar::new()));
        let (target, shared) = (target.to_owned(), Arc::clone(&state));
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                // The registry ends with the test.
                let Ok(server) = TcpStream::connect(&target) else {
                    return;
                };
                let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                thread::spawn(move || pass(from, to, |_| true));
                let shared = Arc::clone(&shared);
                thread::spawn(move || pass(server, client, |bytes| may_pass(&shared, bytes)));
            }
        });
        Self { host, state }
    }

    /// Its address: a host and a port.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn set(&self, gate: Gate) {
        let (state, changed) = &*self.state;
        state.lock().unwrap().gate = gate;
        changed.notify_all();
    }

    /// Waits until an answer stops at the gate.
    pub(crate) fn wait_until_held(&self) {
        let (state, changed) = &*self.state;
        let minute = Duration::from_secs(60);
        let waited =
            changed.wait_timeout_while(state.lock().unwrap(), minute, |state| state.held == 0);
        assert!(!waited.unwrap().1.timed_out(), "no answer stops");
    }
}

/// Waits at the gate after `bytes`. Returns whether more may follow.
fn may_pass(state: &(Mutex<State>, Condvar), bytes: u64) -> bool {
    if bytes < LIMIT {
        return true;
    }
    let (state, changed) = state;
    let mut state = state.lock().unwrap();
    state.held += 1;
    changed.notify_all();
    let mut state = changed
        .wait_while(state, |state| state.gate == Gate::Closed)
        .unwrap();
    state.held -= 1;
    state.gate == Gate::Open
}

/// Copies bytes until one side ends, or `may_pass` refuses the number of bytes so far. Then both sides end.
fn pass(mut from: TcpStream, mut to: TcpStream, may_pass: impl Fn(u64) -> bool) {
    let mut buffer = [0; 16 << 10];
    let mut passed = 0;
    while let Ok(read @ 1..) = from.read(&mut buffer)
        && to.write_all(&buffer[..read]).is_ok()
    {
        passed += read as u64;
        if !may_pass(passed) {
            break;
        }
    }
    for stream in [from, to] {
        // It may have ended already.
        let _ = stream.shutdown(std::net::Shutdown::Both);
    }
}
