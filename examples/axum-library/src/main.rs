//! A web app without the supervisor: its secrets come from ARNs, its health endpoints stand beside its own routes
//! on the same port, and it drains by itself.
//!
//! The order matters. Secrets first, because without them nothing works; then the port, with the endpoints
//! saying what is not there yet; and on SIGTERM the endpoints say so while the app still serves.

mod jobs;
mod secrets;
mod stop;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use axum::Router;
use axum::middleware::map_response_with_state;
use runmate_health::{Access, Health, Level, Phase, Settings, Snapshot, checks};
use tokio::net::TcpListener;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let asked_to_stop = stop::signals()?;
    let mut secrets = secrets::resolve(&[("DATABASE_URL", "database-url"), ("HEALTH_TOKEN", "text")]).await?;
    let token = secrets.remove("HEALTH_TOKEN").and_then(text);
    let database = secrets.remove("DATABASE_URL").and_then(text);

    let health = Health::new(Access::Token(token)).with_version(env!("CARGO_PKG_VERSION"));
    let jobs = jobs::Jobs::start();
    add_checks(
        &health,
        database.ok_or("DATABASE_URL is not set")?.as_str(),
        &jobs,
    )?;

    let address = variable("LISTEN", "0.0.0.0:8080");
    let listener = TcpListener::bind(&address)
        .await
        .map_err(|error| format!("cannot listen on {address}: {error}; set LISTEN to another address"))?;
    println!("listening on http://{}", listener.local_addr()?);

    let drain = health.drain();
    let app = Router::new()
        .merge(jobs::routes(jobs))
        .merge(health.router())
        .layer(map_response_with_state(drain.clone(), stop::close_connection));
    health.publish(Snapshot::new(Phase::Up));
    let delay = Duration::from_secs(variable("DRAIN_SECONDS", "5").parse()?);
    tokio::spawn({
        let drain = drain.clone();
        async move {
            asked_to_stop.await;
            println!("asked to stop: still serving for {delay:?}, until the load balancer has let go");
            drain.begin();
        }
    });
    axum::serve(listener, app)
        .with_graceful_shutdown(async move {
            drain.begun().await;
            tokio::time::sleep(delay).await;
        })
        .await?;
    println!("all requests are answered, bye");
    Ok(())
}

/// What the app depends on, and how much each of it matters.
fn add_checks(health: &Health, database: &str, jobs: &jobs::Jobs) -> Result<()> {
    let of = |level| Settings::default().level(level);
    // Without it there is nothing to serve: no traffic then. A new version that never reaches it is not even
    // healthy, so that the deploy stops; a running one stays healthy, because to replace it would not help.
    health.check("db", checks::Postgres::new(database)?, of(Level::Required));
    // Shared by everybody, and the app can do without: a warning. That is the default.
    if let Ok(url) = std::env::var("PAYMENTS_URL") {
        health.check("payments", checks::Http::new(&url)?, Settings::default());
    }
    health.check(
        "space",
        checks::Disk::new(std::env::temp_dir()),
        Settings::default(),
    );
    // One of its own. It costs nothing, so it may look each second and need not fail three times.
    let often = Settings::default().interval(Duration::from_secs(1)).fail_after(1);
    health.check("jobs", jobs.check(), often);
    Ok(())
}

fn text(secret: runmate_secrets::Secret) -> Option<String> {
    secret.expose_str().map(str::to_owned)
}

fn variable(name: &str, default: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| default.to_owned())
}
