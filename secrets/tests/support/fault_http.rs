//! As much of HTTP/1.1 as the stand-ins need: requests with a length, answers with a length, connections
//! that are kept. A thread per connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

/// A request, as it came.
pub struct Request {
    pub method: String,
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    /// The first header of this name (in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(key, _)| key == name)?;
        Some(value)
    }
}

/// An answer to be.
pub struct Response {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

/// What is done with a request.
pub enum Reply {
    Answer(Response),
    /// Nothing, until the server ends.
    Hang,
    /// Half of the body, and then nothing until the server ends.
    HangInBody(Response),
    /// The connection is closed.
    Close,
}

/// What is done with a connection.
pub enum Greeting {
    Serve,
    Reset,
    Hang,
}

/// Whether the server has ended.
#[derive(Default)]
struct Latch {
    ended: Mutex<bool>,
    changed: Condvar,
}

impl Latch {
    fn wait(&self) {
        let mut ended = self.ended.lock().expect("nobody panics with it");
        while !*ended {
            ended = self.changed.wait(ended).expect("nobody panics with it");
        }
    }
}

/// A listener with its threads; both end when it is dropped.
pub struct Listener {
    address: SocketAddr,
    latch: Arc<Latch>,
}

type Greet = dyn Fn() -> Greeting + Send + Sync;
type Answer = dyn Fn(&Request) -> Reply + Send + Sync;

impl Listener {
    /// Listens on a free port of 127.0.0.1.
    pub fn start(
        greet: impl Fn() -> Greeting + Send + Sync + 'static,
        answer: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Listener {
        Listener::start_at((Ipv4Addr::LOCALHOST, 0).into(), greet, answer)
    }

    /// Listens where it is told to.
    pub fn start_at(
        address: SocketAddr,
        greet: impl Fn() -> Greeting + Send + Sync + 'static,
        answer: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Listener {
        let socket = TcpListener::bind(address).expect("the address is free");
        let address = socket.local_addr().expect("its address");
        let latch = Arc::new(Latch::default());
        let greet: Arc<Greet> = Arc::new(greet);
        let answer: Arc<Answer> = Arc::new(answer);
        let ended = Arc::clone(&latch);
        std::thread::spawn(move || {
            for stream in socket.incoming() {
                if *ended.ended.lock().expect("nobody panics with it") {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let (greet, answer, latch) = (Arc::clone(&greet), Arc::clone(&answer), Arc::clone(&ended));
                // Ends with the connection, which the client ends.
                std::thread::spawn(move || serve(stream, &*greet, &*answer, &latch));
            }
        });
        Listener { address, latch }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        *self.latch.ended.lock().expect("nobody panics with it") = true;
        self.latch.changed.notify_all();
        // accept() has no other end.
        let _ = TcpStream::connect(self.address);
    }
}

/// Serves a connection until either side has enough.
fn serve(mut stream: TcpStream, greet: &Greet, answer: &Answer, latch: &Latch) {
    match greet() {
        Greeting::Serve => {}
        Greeting::Hang => return latch.wait(),
        Greeting::Reset => {
            // Whoever closes with something unread resets the connection.
            let _ = stream.peek(&mut [0]);
            return;
        }
    }
    // Two small writes are not to wait for an acknowledgement that comes late.
    let _ = stream.set_nodelay(true);
    let Ok(reading) = stream.try_clone() else { return };
    let mut reader = BufReader::new(reading);
    while let Some(request) = read(&mut reader, &mut stream) {
        let sent = match answer(&request) {
            Reply::Answer(response) => stream.write_all(&response.bytes()),
            Reply::Hang => return latch.wait(),
            Reply::HangInBody(response) => {
                let bytes = response.bytes();
                let _ = stream.write_all(&bytes[..bytes.len() - response.body.len() / 2]);
                return latch.wait();
            }
            Reply::Close => return,
        };
        if sent.is_err() {
            return;
        }
    }
}

/// Reads a request; `None` at the end of the connection, and of patience with it.
fn read(reader: &mut BufReader<TcpStream>, stream: &mut TcpStream) -> Option<Request> {
    let first = line(reader)?;
    let mut words = first.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let line = line(reader)?;
        if line.is_empty() {
            break;
        }
        // Not trimmed at its end: the tests look for what a client sends too much.
        let (name, value) = line.split_once(':')?;
        headers.push((name.to_ascii_lowercase(), value.trim_start().to_owned()));
    }
    let mut request = Request {
        method,
        path,
        headers,
        body: Vec::new(),
    };
    if request.header("expect").is_some() {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
    }
    let length = request
        .header("content-length")
        .map_or(Some(0), |length| length.parse().ok())?;
    request.body = vec![0; length];
    reader.read_exact(&mut request.body).ok()?;
    Some(request)
}

fn line(reader: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
    Some(line.strip_suffix("\r\n")?.to_owned())
}

impl Response {
    /// An answer with JSON.
    pub fn json(status: u16, body: &serde_json::Value) -> Response {
        Response {
            status,
            headers: vec![("content-type", "application/x-amz-json-1.1".to_owned())],
            body: body.to_string().into_bytes(),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut head = format!(
            "HTTP/1.1 {} X\r\ncontent-length: {}\r\n",
            self.status,
            self.body.len()
        );
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        let mut bytes = (head + "\r\n").into_bytes();
        bytes.extend(&self.body);
        bytes
    }
}
