//! A small HTTP/1.1 server: each request is a value, and each answer may break the rules.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    /// By name in lower case.
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// `METHOD PATH`.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// The first value of a parameter in the query.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        url::form_urlencoded::parse(self.query.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }
}

/// How the server says where a body ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Length {
    /// With the right `Content-Length`.
    Right,
    /// With this `Content-Length`.
    Claimed(u64),
    /// By closing the connection.
    Close,
    /// In chunks.
    Chunked,
}

/// What follows the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// The next request.
    Next,
    /// The connection is closed.
    Close,
    /// Nothing, while the connection stays open.
    Silence,
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) length: Length,
    pub(crate) then: Then,
    /// The body is sent byte by byte, with such a pause after each.
    pub(crate) pace: Option<Duration>,
}

impl Reply {
    pub(crate) fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            length: Length::Right,
            then: Then::Next,
            pace: None,
        }
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) fn length(mut self, length: Length) -> Self {
        self.length = length;
        self
    }

    pub(crate) fn pace(mut self, pace: Duration) -> Self {
        self.pace = Some(pace);
        self
    }

    pub(crate) fn then(mut self, then: Then) -> Self {
        self.then = then;
        self
    }
}

/// A running server. It ends when it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
    /// Bytes of bodies that were sent.
    pub(crate) sent: Arc<AtomicU64>,
}

impl Server {
    /// Answers each request with what `answer` returns.
    pub(crate) fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let answer = Arc::new(answer);
        Self::accept(move |stream, sent| {
            let _ = serve(&stream, &*answer, &sent);
            let _ = stream.shutdown(Shutdown::Both);
        })
    }

    /// Runs `serve` with each connection, in a thread of its own.
    fn accept(serve: impl Fn(TcpStream, Arc<AtomicU64>) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stopped = Arc::new(AtomicBool::new(false));
        let sent = Arc::new(AtomicU64::new(0));
        let serve = Arc::new(serve);
        let (flag, counter) = (stopped.clone(), sent.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                if flag.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(stream), serve, counter) = (stream, serve.clone(), counter.clone()) else {
                    continue;
                };
                thread::spawn(move || serve(stream, counter));
            }
        });
        Self {
            address,
            stopped,
            sent,
        }
    }

    /// A proxy that tunnels every host to `target`. `seen` gets the hosts.
    pub(crate) fn proxy(target: String, seen: Arc<Mutex<Vec<String>>>) -> Self {
        Self::accept(move |client, _| {
            let mut reader = BufReader::new(client.try_clone().unwrap());
            let Ok(Some(request)) = read_request(&mut reader) else {
                return;
            };
            seen.lock().unwrap().push(request.line());
            let Ok(upstream) = TcpStream::connect(&target) else {
                return;
            };
            (&client).write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            let (mut back, mut to_client) = (upstream.try_clone().unwrap(), client);
            thread::spawn(move || {
                let _ = io::copy(&mut back, &mut to_client);
                let _ = to_client.shutdown(Shutdown::Both);
            });
            let mut upstream = upstream;
            let _ = io::copy(&mut reader, &mut upstream);
            let _ = upstream.shutdown(Shutdown::Both);
        })
    }

    /// `HOST:PORT`.
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes the listener.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(
    stream: &TcpStream,
    answer: &dyn Fn(&Request) -> Reply,
    sent: &AtomicU64,
) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    while let Some(request) = read_request(&mut reader)? {
        let reply = answer(&request);
        write_reply(stream, &request, &reply, sent)?;
        match reply.then {
            Then::Next if !matches!(reply.length, Length::Close) => {}
            Then::Next | Then::Close => return Ok(()),
            Then::Silence => {
                // Until the client gives up.
                stream.set_read_timeout(Some(Duration::from_secs(30)))?;
                let _ = reader.read(&mut [0]);
                return Ok(());
            }
        }
    }
    Ok(())
}

fn read_request(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_ascii_whitespace();
    let method = words.next().unwrap_or_default().to_owned();
    let target = words.next().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request = Request {
        method,
        path: path.to_owned(),
        query: query.to_owned(),
        ..Request::default()
    };
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        let name = name.to_ascii_lowercase();
        request.headers.insert(name, value.trim().to_owned());
    }
    let length = request
        .header("content-length")
        .and_then(|l| l.parse().ok());
    reader
        .take(length.unwrap_or(0))
        .read_to_end(&mut request.body)?;
    Ok(Some(request))
}

fn write_reply(
    mut stream: &TcpStream,
    request: &Request,
    reply: &Reply,
    sent: &AtomicU64,
) -> io::Result<()> {
    let mut head = format!("HTTP/1.1 {} X\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    match reply.length {
        Length::Right => head.push_str(&format!("Content-Length: {}\r\n", reply.body.len())),
        Length::Claimed(length) => head.push_str(&format!("Content-Length: {length}\r\n")),
        Length::Close => head.push_str("Connection: close\r\n"),
        Length::Chunked => head.push_str("Transfer-Encoding: chunked\r\n"),
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    if request.method == "HEAD" {
        return Ok(());
    }
    for piece in reply
        .body
        .chunks(if reply.pace.is_some() { 1 } else { 64 << 10 })
    {
        thread::sleep(reply.pace.unwrap_or_default());
        if matches!(reply.length, Length::Chunked) {
            write!(stream, "{:x}\r\n", piece.len())?;
        }
        stream.write_all(piece)?;
        if matches!(reply.length, Length::Chunked) {
            stream.write_all(b"\r\n")?;
        }
        sent.fetch_add(piece.len() as u64, Ordering::SeqCst);
    }
    if matches!(reply.length, Length::Chunked) && reply.then == Then::Next {
        stream.write_all(b"0\r\n\r\n")?;
    }
    stream.flush()
}
