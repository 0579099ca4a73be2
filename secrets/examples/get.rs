//! Resolves one reference and says how long its value is: `cargo run --example get -- ARN`.

use std::process::ExitCode;

use runmate_secrets::{Reference, Resolver};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let text = std::env::args().nth(1).unwrap_or_default();
    let Ok(Some(reference)) = Reference::parse(&text) else {
        eprintln!("usage: get ARN (of a secret or a parameter) or get file:PATH");
        return ExitCode::from(64);
    };
    match Resolver::from_env().get(&reference).await {
        Ok(secret) => println!("{} bytes", secret.expose().len()),
        Err(failure) => {
            eprintln!("{failure}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
