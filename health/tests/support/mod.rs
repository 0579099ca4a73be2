//! Boards of every kind, made of what the crate shows to everyone.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, header};
use http_body_util::BodyExt;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use runmate_health::{
    Access, Component, ComponentType, Failure, Health, Level, Look, Looked, Measured, Observation, Phase,
    Settings, Snapshot, Status,
};
use tower::ServiceExt;

/// The code, the media type and the body of a GET.
pub async fn get(health: &Health, path: &str, accept: Option<&str>) -> (u16, String, String) {
    let mut request = Request::get(path);
    if let Some(accept) = accept {
        request = request.header(header::ACCEPT, accept);
    }
    let request = request.body(Body::empty()).expect("a request");
    let response = health.router().oneshot(request).await.expect("an answer");
    let code = response.status().as_u16();
    let media = response.headers()[header::CONTENT_TYPE]
        .to_str()
        .expect("text")
        .to_owned();
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    (code, media, String::from_utf8(body.into()).expect("UTF-8"))
}

/// A check that gives these results, one after the other, and then the last one for ever.
pub struct Scripted {
    pub kind: ComponentType,
    pub results: Vec<Looked>,
    pub looked: std::sync::atomic::AtomicUsize,
}

impl runmate_health::Check for Scripted {
    fn look(&self) -> Look<'_> {
        let number = self.looked.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let result = self.results[number.min(self.results.len() - 1)].clone();
        Box::pin(async {
            tokio::time::sleep(Duration::from_millis(7)).await;
            result
        })
    }

    fn component_type(&self) -> ComponentType {
        self.kind
    }
}

/// What to make endpoints of.
#[derive(Clone, Debug)]
pub struct Board {
    version: Option<String>,
    release: Option<String>,
    snapshot: Snapshot,
    checks: Vec<(String, ComponentType, Settings, Vec<Looked>)>,
    /// How long the checks have been looking.
    age: Duration,
    draining: bool,
}

impl Board {
    /// On tokio's paused clock.
    pub async fn health(self) -> Health {
        let mut health = Health::new(Access::Public);
        if let Some(version) = self.version {
            health = health.with_version(version);
        }
        if let Some(release) = self.release {
            health = health.with_release_id(release);
        }
        for (name, kind, settings, results) in self.checks {
            let check = Scripted {
                kind,
                results,
                looked: Default::default(),
            };
            health.check(name, check, settings);
        }
        tokio::time::sleep(self.age).await;
        health.publish(self.snapshot);
        if self.draining {
            health.drain().begin();
        }
        health
    }
}

/// A runtime on a paused clock.
pub fn paused() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime")
}

/// With what the formats have to escape, and what the draft keeps for itself.
fn words() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-z][a-z0-9_-]{0,8}",
        2 => "\\PC{1,8}",
        1 => prop::sample::select(vec![
            "a:b", "a::b", ":", "\"", "\\", "\\\"", "a\nb", "\n", "\\n", "{x=\"y\"} 1", "# EOF", "ü€😀", " ", "\r", "\t",
        ]).prop_map(str::to_owned),
    ]
}

fn measured() -> impl Strategy<Value = Measured> {
    let value = prop_oneof![
        any::<f64>(),
        (0.0..100.0_f64),
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(0.0),
    ];
    let unit = prop_oneof![
        prop::sample::select(vec!["percent", "bytes", "MiB", "ms", "s", "days"]).prop_map(str::to_owned),
        words(),
    ];
    (words(), value, unit).prop_map(|(what, value, unit)| Measured::new(what, value, unit))
}

fn looked() -> impl Strategy<Value = Looked> {
    let observation =
        option::of(measured()).prop_map(|measured| Ok(measured.map(Observation::of).unwrap_or_default()));
    let failure = (words(), option::of(measured())).prop_map(|(why, measured)| {
        let failure = Failure::new(why);
        Err(match measured {
            Some(measured) => failure.with(measured),
            None => failure,
        })
    });
    let unknown = words().prop_map(|why| Err(Failure::unknown(why)));
    prop_oneof![3 => observation, 3 => failure, 1 => unknown]
}

fn component() -> impl Strategy<Value = Component> {
    let uptime = option::of((0_u64..1 << 40).prop_map(Duration::from_millis));
    let status = prop::sample::select(vec![Status::Pass, Status::Warn, Status::Fail]);
    let pid = option::of(1..i32::MAX);
    (
        words(),
        words(),
        status,
        pid,
        any::<u32>(),
        uptime,
        option::of(words()),
    )
        .prop_map(|(name, state, status, pid, restarts, uptime, output)| {
            let mut component = Component::new(name, state, status);
            component.pid = pid;
            component.restarts = restarts;
            component.uptime = uptime;
            component.output = output;
            component
        })
}

fn snapshot() -> impl Strategy<Value = Snapshot> {
    let phase = prop::sample::select(vec![
        Phase::Booting,
        Phase::Migrating,
        Phase::Starting,
        Phase::Up,
        Phase::Up,
        Phase::Draining,
        Phase::Exiting,
    ]);
    let reason = || option::of(words()).prop_map(|why| why.map_or(Ok(()), Err));
    (
        phase,
        reason(),
        reason(),
        any::<bool>(),
        vec(component(), 0..4),
        0_u64..1 << 40,
    )
        .prop_map(|(phase, healthy, ready, degraded, components, millis)| {
            let mut snapshot = Snapshot::new(phase);
            snapshot.healthy = healthy;
            snapshot.ready = ready;
            snapshot.degraded = degraded;
            snapshot.components = components;
            snapshot.since_start = Duration::from_millis(millis);
            snapshot
        })
}

/// Any board.
pub fn boards() -> impl Strategy<Value = Board> {
    let level = prop::sample::select(vec![
        Level::Info,
        Level::Degraded,
        Level::Required,
        Level::Critical,
    ]);
    let settings = (level, 1_u32..4, 1_u32..4).prop_map(|(level, fail_after, pass_after)| {
        Settings::default()
            .level(level)
            .fail_after(fail_after)
            .pass_after(pass_after)
    });
    let kind = prop::sample::select(vec![
        ComponentType::Component,
        ComponentType::Datastore,
        ComponentType::System,
    ]);
    let checks = vec((words(), kind, settings, vec(looked(), 1..8)), 0..5);
    let told = || option::of(words());
    (
        told(),
        told(),
        snapshot(),
        checks,
        0_u64..90_000,
        prop::bool::weighted(0.1),
    )
        .prop_map(|(version, release, snapshot, checks, age, draining)| Board {
            version,
            release,
            snapshot,
            checks,
            age: Duration::from_millis(age),
            draining,
        })
}
