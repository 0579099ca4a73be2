//! The server of the health endpoints: small, and open to the platform's probe whoever else has connected.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::net::TcpListener;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use runmate_health::Health;
use tokio::net::TcpStream;
use tokio::task::{AbortHandle, yield_now};
use tokio::time::{Instant, sleep};

use crate::event_loop;
use crate::output::{Level, Line, Sink};
use crate::process::sys;

/// How long a client may take to send its request: nobody holds a descriptor for longer without asking.
const REQUEST: Duration = Duration::from_secs(5);
/// Connections at the same time. Whoever reaches the port could otherwise take every descriptor there is, and then
/// no process can be started.
const CONNECTIONS: u64 = 64;
/// What a connection may hold of requests and of answers that are not taken, each (the least hyper allows). No
/// header of a probe comes near it.
const BUFFER: usize = 8 << 10;
/// The pause after a connection could not be accepted, mostly for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often it is said that there are too many connections.
const COMPLAINT: Duration = Duration::from_secs(60);

/// Serves until the program ends. On hyper itself: axum's own server brings upgrades and a graceful
/// stop, which nobody needs here, and has no limit on how long a request may take to arrive.
///
/// When all places are taken, a new connection gets the place of the one that has not asked for longest. So nobody,
/// slow, silent or many, keeps the platform's probe out.
pub(super) async fn serve(health: Health, listener: TcpListener, sink: Rc<Sink>) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let service = TowerToHyperService::new(health.router());
    // Of a small limit the processes' pipes and the checks need the most.
    let room = CONNECTIONS.min(sys::descriptor_limit() / 4).max(1);
    let mut connections = Connections::default();
    let mut complained: Option<Instant> = None;
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        if connections.make_room(room) && complained.is_none_or(|at| at.elapsed() >= COMPLAINT) {
            complained = Some(Instant::now());
            let message = format!(
                "more than {room} connections to the health endpoints: those that have not asked for longest are closed"
            );
            sink.line(&Line::new(Level::Warn, "health_busy", message));
        }
        connections.add(stream, service.clone());
        // It gets to say what it wants before the next can take its place.
        yield_now().await;
    }
}

/// The requests of all connections so far: the time by which is decided who was silent for longest.
type Clock = Rc<Cell<u64>>;

/// Those that are open.
#[derive(Default)]
struct Connections {
    clock: Clock,
    next: u64,
    open: BTreeMap<u64, Open>,
}

struct Open {
    task: AbortHandle,
    last_asked: Rc<Cell<u64>>,
}

impl Connections {
    /// Makes room for one more; true if somebody had to go for it.
    fn make_room(&mut self, room: u64) -> bool {
        self.open.retain(|_, open| !open.task.is_finished());
        if (self.open.len() as u64) < room {
            return false;
        }
        // Of several that never asked, the oldest: the numbers grow.
        let silent = self
            .open
            .iter()
            .min_by_key(|(number, open)| (open.last_asked.get(), **number));
        if let Some(number) = silent.map(|(number, _)| *number)
            && let Some(open) = self.open.remove(&number)
        {
            open.task.abort();
        }
        true
    }

    fn add(&mut self, stream: TcpStream, router: TowerToHyperService<axum::Router>) {
        let last_asked = Rc::new(Cell::new(self.clock.get()));
        let answered = Rc::new(Cell::new(false));
        let noting = Noting {
            router,
            clock: Rc::clone(&self.clock),
            last_asked: Rc::clone(&last_asked),
            answered: Rc::clone(&answered),
        };
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(REQUEST)
            .max_buf_size(BUFFER)
            .serve_connection(TokioIo::new(stream), noting);
        let task = event_loop::spawn(async move {
            let mut served = pin!(served);
            let turns = poll_fn(|context| {
                answered.set(false);
                served.as_mut().poll(context)
            });
            // What fails in a connection is the client's affair.
            drop(turns.await);
        });
        self.open.insert(self.next, Open { task, last_asked });
        self.next += 1;
    }
}

/// The endpoints, for one connection; notes when it asks.
///
/// Connections take turns, a request each: hyper itself would answer many that were sent together before any other
/// connection is looked at, and the probe would wait for all of them.
struct Noting {
    router: TowerToHyperService<axum::Router>,
    clock: Clock,
    last_asked: Rc<Cell<u64>>,
    /// Whether it had an answer already since it was its turn.
    answered: Rc<Cell<bool>>,
}

impl Service<Request<Incoming>> for Noting {
    type Response = <TowerToHyperService<axum::Router> as Service<Request<Incoming>>>::Response;
    type Error = <TowerToHyperService<axum::Router> as Service<Request<Incoming>>>::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>>>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let now = self.clock.get() + 1;
        self.clock.set(now);
        self.last_asked.set(now);
        let answer = self.router.call(request);
        let answered = Rc::clone(&self.answered);
        Box::pin(async move {
            if answered.get() {
                yield_now().await;
            }
            answered.set(true);
            answer.await
        })
    }
}
