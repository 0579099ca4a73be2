//! Servers that repeat what they are told, or say what real ones say too seldom to wait for.

use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;
use runmate_health::checks::{Postgres, Redis};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{block_on, look};

/// A server for one connection.
async fn serve<F: Future<Output = Option<()>> + Send + 'static>(
    talk: impl FnOnce(TcpStream) -> F + Send + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.ok()?;
        talk(stream).await
    });
    address
}

/// A Redis that answers the first command with an error that repeats it.
async fn repeating_redis(mut stream: TcpStream) -> Option<()> {
    let mut command = vec![0; 4096];
    let count = stream.read(&mut command).await.ok()?;
    let words = String::from_utf8_lossy(&command[..count]).replace(['\r', '\n'], " ");
    stream
        .write_all(format!("-ERR what is {words}?\r\n").as_bytes())
        .await
        .ok()
}

/// A PostgreSQL that asks for the password in plain text, and repeats it (protocol: "Message Formats").
async fn repeating_postgres(mut stream: TcpStream) -> Option<()> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).await.ok()?;
    let mut startup = vec![0; u32::from_be_bytes(length) as usize - 4];
    stream.read_exact(&mut startup).await.ok()?;
    // AuthenticationCleartextPassword.
    stream.write_all(&[b'R', 0, 0, 0, 8, 0, 0, 0, 3]).await.ok()?;
    stream.read_u8().await.ok()?;
    stream.read_exact(&mut length).await.ok()?;
    let mut password = vec![0; u32::from_be_bytes(length) as usize - 4];
    stream.read_exact(&mut password).await.ok()?;
    password.pop();
    let mut error = b"SFATAL\0VFATAL\0C28P01\0Mwrong password \"".to_vec();
    error.extend(password);
    error.extend(b"\"\0\0");
    let length = u32::try_from(error.len() + 4).ok()?.to_be_bytes();
    stream.write_all(&[b"E", &length[..], &error].concat()).await.ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_password_comes_back(password in "[^\\p{C}\\p{Z}]{4,30}") {
        // What is in our own words would be found in them.
        prop_assume!(!"refuses the login wrong password withheld ERR SQLSTATE".contains(password.as_str()));
        let encoded = utf8_percent_encode(&password, NON_ALPHANUMERIC).to_string();
        block_on(async {
            let address = serve(repeating_redis).await;
            let check = Redis::new(&format!("redis://:{encoded}@{address}")).unwrap();
            let redis = look(&check).await.unwrap_err().why;
            let address = serve(repeating_postgres).await;
            let check = Postgres::new(&format!("postgres://app:{encoded}@{address}/d?sslmode=disable")).unwrap();
            let postgres = look(&check).await.unwrap_err().why;
            assert!(redis.contains("refuses the login"), "{redis}");
            assert!(postgres.contains("refuses the login") && postgres.contains("28P01"), "{postgres}");
            for why in [redis, postgres] {
                assert!(!why.contains(&password) && !why.contains(&encoded), "{why}");
                assert!(why.chars().count() < 300, "{why}");
            }
        });
    }
}

#[test]
fn a_redis_that_is_loading_does_not_pass() {
    block_on(async {
        let address = serve(async |mut stream: TcpStream| {
            stream.read_u8().await.ok()?;
            let answer = b"-LOADING Redis is loading the dataset in memory\r\n";
            stream.write_all(answer).await.ok()
        })
        .await;
        let failure = look(&Redis::new(&format!("redis://{address}")).unwrap())
            .await
            .unwrap_err();
        assert_eq!(
            failure.why,
            format!("{address} says: Redis is loading the dataset in memory (LOADING)")
        );
    });
}

#[test]
fn what_is_no_redis_is_said_to_be_none() {
    block_on(async {
        let address = serve(async |mut stream: TcpStream| {
            stream.read_u8().await.ok()?;
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.ok()?;
            tokio::time::sleep(Duration::from_secs(60)).await;
            Some(())
        })
        .await;
        let failure = look(&Redis::new(&format!("redis://{address}")).unwrap())
            .await
            .unwrap_err();
        assert_eq!(
            failure.why,
            format!("what {address} answered is not Redis's protocol")
        );
    });
}
