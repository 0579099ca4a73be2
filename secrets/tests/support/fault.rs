//! A Secrets Manager and Parameter Store on loopback that can fail in the ways the real ones do.
//!
//! It follows the services, not their emulators: 20 and 10 ids at most, errors as status 400 with `__type`,
//! `Selector` in answers, answers in another order than asked for, ARNs in full, and an ID that ends in a
//! hyphen and six characters taken as complete. Regions are told apart by the credential scope of the
//! request's signature, and a request must be scoped to the service it is for; the signature itself is
//! not checked.
//!
//! It knows nothing of this crate, so that the supervisor's tests can include it by its path.

// Each test program uses the part it needs.
#![allow(dead_code)]

#[path = "fault_aws.rs"]
mod aws;
#[path = "fault_http.rs"]
pub mod http;
#[path = "fault_store.rs"]
mod store;

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use http::{Greeting, Listener, Reply, Request};
use store::{Parameter, Secret, Store, Version};

/// The actions, as IAM writes them.
pub const GET_SECRET: &str = "secretsmanager:GetSecretValue";
pub const BATCH_GET_SECRET: &str = "secretsmanager:BatchGetSecretValue";
pub const GET_PARAMETERS: &str = "ssm:GetParameters";
pub const GET_PARAMETER: &str = "ssm:GetParameter";

/// A request that arrived, answered or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The action, as IAM writes it.
    pub action: String,
    /// The region of the credential scope.
    pub region: String,
    /// What was asked for, as it was asked.
    pub ids: Vec<String>,
    /// The access key that signed it.
    pub access_key: String,
    /// The session token that came with it.
    pub session_token: Option<String>,
    /// When it had arrived.
    pub at: Instant,
}

/// What can be wrong with one secret or parameter, for as long as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// No policy allows to read it.
    Denied,
    /// It may be read, but its key may not be used.
    Kms,
    /// Its key is disabled.
    KeyDisabled,
    /// It is scheduled for deletion (secrets only).
    ScheduledForDeletion,
    /// The service fails inside (in a batch: for this one only).
    Internal,
}

/// What becomes of the next requests of an action, whatever they ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// ThrottlingException, with these seconds in `Retry-After`.
    Throttle(Option<u32>),
    /// InternalServiceError with status 500.
    ServerError,
    /// Status 503 with HTML, as a load balancer has it.
    Unavailable,
    /// The request is read; nothing is ever answered.
    Hang,
    /// Half a body is answered, and then nothing.
    HangInBody,
    /// Status 200 and no JSON.
    Garbage,
    /// Status 200 and JSON of another shape.
    WrongShape,
    /// The connection is closed instead of an answer.
    Close,
    /// The session token has expired.
    ExpiredToken,
    /// The access key is unknown.
    UnknownKey,
    /// The clock of the one that signed is wrong.
    WrongClock,
    /// Another error, with status 400: type and message.
    Error(&'static str, &'static str),
}

/// What becomes of the next connections, before any request is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionFault {
    /// Reset by peer.
    Reset,
    /// Accepted and then left alone.
    Hang,
}

/// A running server; it ends when it is dropped, and so does every answer that hangs.
pub struct FaultServer {
    shared: Arc<Shared>,
    listener: Listener,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    store: Store,
    denied_actions: Vec<String>,
    faults: Vec<(String, Fault, usize)>,
    connection_faults: Vec<(ConnectionFault, usize)>,
    delay: Duration,
    calls: Vec<Call>,
    connections: usize,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl FaultServer {
    /// Starts one on a free port of 127.0.0.1, with nothing in it.
    pub fn start() -> FaultServer {
        let shared = Arc::new(Shared::default());
        let on_connection = Arc::clone(&shared);
        let on_request = Arc::clone(&shared);
        let listener = Listener::start(
            move || greet(&on_connection),
            move |request| answer(&on_request, request),
        );
        FaultServer { shared, listener }
    }

    /// Where it is: for `AWS_ENDPOINT_URL`.
    pub fn url(&self) -> String {
        format!("http://{}", self.listener.address())
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.listener.address().port()
    }

    /// What a program needs in its environment to use this server with fixed credentials, and with nothing
    /// of the machine's own.
    pub fn env(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT_URL", self.url()),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "secret-key-of-nobody".to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            ("AWS_CONFIG_FILE", "/dev/null".to_owned()),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null".to_owned()),
        ]
    }

    /// Adds a secret, or its next version: the current one becomes `AWSPREVIOUS`. The ARN is a whole one,
    /// suffix included.
    pub fn secret(&self, arn: &str, value: &str) -> &Self {
        self.version(arn, Version::text(value))
    }

    /// As [`secret`](FaultServer::secret), with bytes, which come base64-encoded.
    pub fn binary_secret(&self, arn: &str, base64: &str) -> &Self {
        self.version(arn, Version::binary(base64))
    }

    fn version(&self, arn: &str, version: Version) -> &Self {
        let mut state = self.shared.lock();
        let secret = state.store.secrets.entry(arn.to_owned());
        secret.or_insert_with(|| Secret::new(arn)).push(version);
        drop(state);
        self
    }

    /// The id of a secret's version, counted from 1.
    pub fn version_id(&self, arn: &str, number: usize) -> String {
        self.shared.lock().store.secrets[arn].versions[number - 1]
            .id
            .clone()
    }

    /// Adds a parameter (a SecureString), or its next version.
    pub fn parameter(&self, arn: &str, value: &str) -> &Self {
        let mut state = self.shared.lock();
        let parameter = state.store.parameters.entry(arn.to_owned());
        parameter
            .or_insert_with(|| Parameter::new(arn))
            .values
            .push(value.to_owned());
        drop(state);
        self
    }

    /// Gives a label to a version of a parameter.
    pub fn label(&self, arn: &str, version: usize, label: &str) -> &Self {
        let mut state = self.shared.lock();
        let parameter = state
            .store
            .parameters
            .get_mut(arn)
            .expect("a parameter that is there");
        parameter.labels.insert(label.to_owned(), version);
        drop(state);
        self
    }

    /// Denies an action altogether, such as [`BATCH_GET_SECRET`].
    pub fn deny(&self, action: &str) -> &Self {
        self.shared.lock().denied_actions.push(action.to_owned());
        self
    }

    /// Something is wrong with this secret or parameter from now on.
    pub fn wrong(&self, arn: &str, wrong: Wrong) -> &Self {
        self.shared.lock().store.wrong.insert(arn.to_owned(), wrong);
        self
    }

    /// The next requests of an action (`"*"`: of any) meet this fault; `usize::MAX` is for ever. Several
    /// take their turns in the order they were given.
    pub fn fault(&self, action: &str, fault: Fault, times: usize) -> &Self {
        self.shared.lock().faults.push((action.to_owned(), fault, times));
        self
    }

    /// The next connections meet this fault.
    pub fn connection_fault(&self, fault: ConnectionFault, times: usize) -> &Self {
        self.shared.lock().connection_faults.push((fault, times));
        self
    }

    /// Every answer comes this late.
    pub fn delay(&self, delay: Duration) -> &Self {
        self.shared.lock().delay = delay;
        self
    }

    /// Every request that arrived, in order.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.lock().calls.clone()
    }

    /// How many requests of this action arrived.
    pub fn count(&self, action: &str) -> usize {
        let state = self.shared.lock();
        state.calls.iter().filter(|call| call.action == action).count()
    }

    /// How many of this action arrived for this region.
    pub fn count_in(&self, region: &str, action: &str) -> usize {
        let calls = self.calls();
        let wanted = calls
            .iter()
            .filter(|call| call.action == action && call.region == region);
        wanted.count()
    }

    /// How many connections were made.
    pub fn connections(&self) -> usize {
        self.shared.lock().connections
    }

    /// Waits until so many requests have arrived, answered or not.
    ///
    /// # Panics
    /// If they have not within 30 s.
    pub fn wait_for_calls(&self, count: usize) {
        self.wait(&format!("{count} calls"), |state| state.calls.len() >= count);
    }

    /// Waits until so many connections were made.
    pub fn wait_for_connections(&self, count: usize) {
        self.wait(&format!("{count} connections"), |state| {
            state.connections >= count
        });
    }

    fn wait(&self, what: &str, done: impl Fn(&State) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut state = self.shared.lock();
        while !done(&state) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no {what}: {:?}", state.calls);
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(|poisoned| poisoned.into_inner()).0;
        }
    }
}

/// Counts a connection and meets it with its fault.
fn greet(shared: &Shared) -> Greeting {
    let mut state = shared.lock();
    state.connections += 1;
    shared.changed.notify_all();
    let Some((fault, times)) = state.connection_faults.first_mut() else {
        return Greeting::Serve;
    };
    let fault = *fault;
    *times -= 1;
    if *times == 0 {
        state.connection_faults.remove(0);
    }
    match fault {
        ConnectionFault::Reset => Greeting::Reset,
        ConnectionFault::Hang => Greeting::Hang,
    }
}

fn answer(shared: &Shared, request: &Request) -> Reply {
    let call = match aws::read(request) {
        Ok(call) => call,
        Err(refusal) => return Reply::Answer(refusal),
    };
    let mut state = shared.lock();
    let number = state.calls.len();
    state.calls.push(call.clone());
    shared.changed.notify_all();
    let fault = state.next_fault(&call.action);
    let good = if state.denied_actions.contains(&call.action) {
        aws::denied(&call)
    } else {
        aws::answer(&state.store, &call, request, number)
    };
    let delay = state.delay;
    drop(state);
    // The time a service takes; nothing waits for it to pass.
    std::thread::sleep(delay);
    match fault {
        None => Reply::Answer(good),
        Some(Fault::Hang) => Reply::Hang,
        Some(Fault::HangInBody) => Reply::HangInBody(good),
        Some(Fault::Close) => Reply::Close,
        Some(fault) => Reply::Answer(aws::fault(&fault)),
    }
}

impl State {
    fn next_fault(&mut self, action: &str) -> Option<Fault> {
        let applies = |(of, ..): &(String, Fault, usize)| of == action || of == "*";
        let index = self.faults.iter().position(applies)?;
        let (_, fault, times) = &mut self.faults[index];
        let fault = fault.clone();
        *times -= 1;
        if *times == 0 {
            self.faults.remove(index);
        }
        Some(fault)
    }
}
