//! A load generator that knows which lost requests a server may be blamed for.
//!
//! Raw HTTP/1.1 over TCP, because every client library retries in silence what is to be counted here.
//!
//! A request counts as **accepted** from the moment its connection is established. If no whole, right
//! answer comes back, that is a failure, with one exception: on a connection that has carried an
//! exchange before and was idle, the server may close at any time (RFC 9112, section 9.5), and it may
//! do so just as the next request is on its way. Not a byte of an answer then arrives, and a client
//! knows that it may ask again. These are counted apart as `raced`, with the id each request carries
//! in its URL, so that the test can look into nginx's access log that they were never read.
//!
//! A connection that cannot be established is nobody's loss once the stop has begun, and a failure
//! before.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Longer than any drain: whatever takes longer is hung.
const PATIENCE: Duration = Duration::from_secs(20);

/// What one kind of client does, and how many of them there are.
#[derive(Clone, Copy)]
pub struct Kind {
    pub name: &'static str,
    pub clients: usize,
    /// The path with its query, without the id; a query must be there already.
    pub path: &'static str,
    /// Bytes of a POST body; `None` is a GET.
    pub body: Option<usize>,
    /// One connection for many requests, or a new one for each.
    pub keep_alive: bool,
    /// Between the end of one request and the next.
    pub pause: Duration,
}

/// What became of the requests.
#[derive(Default, Debug)]
pub struct Tally {
    pub answered: u64,
    /// Answered after the stop had begun.
    pub answered_late: u64,
    /// Ids of requests lost to the close of an idle connection, each legally.
    pub raced: Vec<u64>,
    /// Connections not established after the stop had begun.
    pub refused: u64,
    pub failures: Vec<String>,
}

impl Tally {
    fn add(&mut self, other: Tally) {
        self.answered += other.answered;
        self.answered_late += other.answered_late;
        self.raced.extend(other.raced);
        self.refused += other.refused;
        self.failures.extend(other.failures);
    }
}

/// What the clients and the test share.
pub struct Shared {
    target: SocketAddr,
    next_id: AtomicU64,
    stopping: AtomicBool,
    answered: AtomicU64,
    started: Instant,
}

/// Clients at work.
pub struct Load {
    shared: Arc<Shared>,
    clients: JoinSet<Tally>,
}

impl Load {
    /// Starts all clients; must be called inside a runtime.
    pub fn start(target: SocketAddr, kinds: &[Kind]) -> Load {
        let shared = Arc::new(Shared {
            target,
            next_id: AtomicU64::new(1),
            stopping: AtomicBool::new(false),
            answered: AtomicU64::new(0),
            started: Instant::now(),
        });
        let mut clients = JoinSet::new();
        for kind in kinds {
            for _ in 0..kind.clients {
                clients.spawn(client(shared.clone(), *kind));
            }
        }
        Load { shared, clients }
    }

    /// Requests answered so far.
    pub fn answered(&self) -> u64 {
        self.shared.answered.load(Ordering::Relaxed)
    }

    /// From now on a refused connection ends a client and is no failure.
    pub fn stop_begins(&self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
    }

    /// Waits until every client has met a closed door.
    pub async fn finish(mut self) -> Tally {
        let mut tally = Tally::default();
        while let Some(result) = self.clients.join_next().await {
            tally.add(result.expect("a load client panicked"));
        }
        tally
    }
}

/// How an exchange that failed ended.
struct Broken {
    /// Bytes of the answer seen before.
    seen: usize,
    why: String,
}

async fn client(shared: Arc<Shared>, kind: Kind) -> Tally {
    let mut tally = Tally::default();
    // The stream and the number of exchanges it has carried.
    let mut open: Option<(TcpStream, u32)> = None;
    loop {
        // A connection whose end has been seen is no longer used, as any client does it.
        let (mut stream, carried) = match open.take().filter(|(stream, _)| is_open(stream)) {
            Some(open) => open,
            None => match connect(&shared).await {
                Ok(stream) => (stream, 0),
                Err(_) if shared.stopping.load(Ordering::SeqCst) => {
                    tally.refused += 1;
                    return tally;
                }
                Err(error) => {
                    tally
                        .failures
                        .push(format!("{}: not connected before the stop: {error}", kind.name));
                    return tally;
                }
            },
        };
        let id = shared.next_id.fetch_add(1, Ordering::Relaxed);
        let sent = Instant::now();
        let late = shared.stopping.load(Ordering::SeqCst);
        match timeout(PATIENCE, exchange(&mut stream, &kind, id)).await {
            Ok(Ok(keep)) => {
                tally.answered += 1;
                tally.answered_late += u64::from(shared.stopping.load(Ordering::SeqCst));
                shared.answered.fetch_add(1, Ordering::Relaxed);
                if kind.keep_alive && keep {
                    open = Some((stream, carried + 1));
                }
            }
            Ok(Err(broken)) if broken.seen == 0 && carried > 0 => tally.raced.push(id),
            Ok(Err(broken)) => tally.failures.push(format!(
                "{} id={id}: {} after {} bytes of the answer; request {} of its connection, sent at {:.3} s \
                 ({} the stop began), broken {:.3} s later",
                kind.name,
                broken.why,
                broken.seen,
                carried + 1,
                sent.duration_since(shared.started).as_secs_f64(),
                if late { "after" } else { "before" },
                sent.elapsed().as_secs_f64(),
            )),
            Err(_) => tally
                .failures
                .push(format!("{} id={id}: no answer within {PATIENCE:?}", kind.name)),
        }
        if !kind.pause.is_zero() {
            tokio::time::sleep(kind.pause).await;
        }
    }
}

fn is_open(stream: &TcpStream) -> bool {
    matches!(stream.try_read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

async fn connect(shared: &Shared) -> io::Result<TcpStream> {
    // Once the door is closed nobody answers, and the kernel would go on knocking for two minutes.
    let stopping = shared.stopping.load(Ordering::SeqCst);
    let patience = Duration::from_millis(if stopping { 1500 } else { 5000 });
    let stream = timeout(patience, TcpStream::connect(shared.target))
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// One request and its answer, checked; true when the server keeps the connection open.
async fn exchange(stream: &mut TcpStream, kind: &Kind, id: u64) -> Result<bool, Broken> {
    let path = kind.path;
    let connection = if kind.keep_alive { "keep-alive" } else { "close" };
    let mut request = match kind.body {
        None => {
            format!("GET {path}&id={id} HTTP/1.1\r\nHost: example.com\r\nConnection: {connection}\r\n\r\n")
        }
        Some(length) => format!(
            "POST {path}&id={id} HTTP/1.1\r\nHost: example.com\r\nConnection: {connection}\r\n\
             Content-Length: {length}\r\n\r\n"
        ),
    }
    .into_bytes();
    if let Some(length) = kind.body {
        request.resize(request.len() + length, b'x');
    }
    // A failed write is not the end of the matter: an answer may have come before the reset.
    let written = stream.write_all(&request).await;
    let (head, body) = match read_answer(stream).await {
        Err(broken) if broken.seen == 0 => {
            let why = match written {
                Err(error) => format!("request not written: {error}"),
                Ok(()) => broken.why,
            };
            return Err(Broken { seen: 0, why });
        }
        other => other?,
    };
    let seen = head.len() + body.len();
    let broken = |why: String| Broken { seen, why };
    if !head.starts_with("HTTP/1.1 200 ") {
        return Err(broken(format!(
            "answered {:?}",
            head.lines().next().unwrap_or_default()
        )));
    }
    if let Some(length) = kind.body
        && body != format!("{length}\n").as_bytes()
    {
        return Err(broken(format!(
            "wrong body: {:?}",
            String::from_utf8_lossy(&body)
        )));
    }
    Ok(!head.to_ascii_lowercase().contains("\r\nconnection: close"))
}

/// The head (up to the blank line) and the body, whole by Content-Length.
async fn read_answer(stream: &mut TcpStream) -> Result<(String, Vec<u8>), Broken> {
    let mut bytes = Vec::with_capacity(1024);
    let mut wanted = None;
    loop {
        if wanted.is_none()
            && let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n")
        {
            let head = String::from_utf8_lossy(&bytes[..end + 2]).into_owned();
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length")
                    .then(|| value.trim().parse::<usize>().ok())?
            });
            let Some(length) = length else {
                return Err(Broken {
                    seen: bytes.len(),
                    why: format!("no Content-Length in {head:?}"),
                });
            };
            wanted = Some((head, end + 4, length));
        }
        if let Some((head, start, length)) = &wanted
            && bytes.len() >= start + length
        {
            return Ok((head.clone(), bytes[*start..start + length].to_vec()));
        }
        match stream.read_buf(&mut bytes).await {
            Ok(0) => {
                return Err(Broken {
                    seen: bytes.len(),
                    why: "closed".into(),
                });
            }
            Ok(_) => {}
            Err(error) => {
                return Err(Broken {
                    seen: bytes.len(),
                    why: error.to_string(),
                });
            }
        }
    }
}
