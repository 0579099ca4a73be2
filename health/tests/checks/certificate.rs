//! Certificates of files and servers, made by openssl.

use std::path::Path;
use std::time::Duration;

use runmate_health::checks::Certificate;

use crate::support::certificates::Authority;
use crate::support::daemon::{Daemon, Dir, on_a_free_port};
use crate::support::programs::find_program;
use crate::support::{look, passes, why};

const DAY: u64 = 24 * 60 * 60;

/// openssl as a server, with a certificate from and to these days.
fn serve(dir: &Dir, options: &[&str]) -> (Daemon, u16) {
    let log = dir.file("log");
    on_a_free_port(&log, |port| {
        let mut server = std::process::Command::new(find_program("openssl"));
        server
            .args(["s_server", "-quiet", "-accept", &format!("127.0.0.1:{port}")])
            .arg("-cert")
            .arg(dir.file("cert.pem"))
            .arg("-key")
            .arg(dir.file("key.pem"))
            .args(options);
        let accepts = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
        Daemon::start(&mut server, &log, libc::SIGTERM, accepts)
    })
}

fn issued(days: (i64, i64)) -> Dir {
    let dir = Dir::new("runmate-certificate-");
    Authority::new().issue(dir.path(), days.0, days.1);
    dir
}

#[tokio::test]
async fn a_server_with_a_certificate_for_months_passes_whoever_issued_it() {
    let dir = issued((-1, 90));
    for options in [
        &[][..],
        &["-tls1_2"],
        &["-tls1_3"],
        &["-Verify", "1"],
        &["-Verify", "1", "-tls1_2"],
    ] {
        let (_server, port) = serve(&dir, options);
        for host in ["127.0.0.1", "localhost"] {
            let check = Certificate::of_server(&format!("{host}:{port}")).unwrap();
            let measured = look(&check)
                .await
                .unwrap_or_else(|failure| panic!("{options:?}: {failure}"));
            let left = measured.measured.unwrap();
            assert!((left.value - (90 * DAY + 3600) as f64).abs() < 120.0, "{left:?}");
        }
    }
}

#[tokio::test]
async fn a_server_whose_time_is_over_near_or_to_come_is_said_to_be_just_that() {
    for (days, words) in [
        ((-10, -4), "expired 3 days ago"),
        ((-10, 3), "ends in 3 days, 14 days have to be left"),
        ((2, 90), "is not valid for another 2 days"),
    ] {
        let dir = issued(days);
        let (_server, port) = serve(&dir, &[]);
        let check = Certificate::of_server(&format!("127.0.0.1:{port}")).unwrap();
        assert_eq!(
            why(&check).await,
            format!("the certificate of 127.0.0.1:{port} {words}")
        );
        let file = dir.file("cert.pem");
        assert_eq!(
            why(&Certificate::of_file(&file)).await,
            format!("the certificate in {} {words}", file.display())
        );
    }
    let dir = issued((-10, 3));
    passes(&Certificate::of_file(dir.file("cert.pem")).min_valid(Duration::from_secs(3 * DAY))).await;
}

#[tokio::test]
async fn of_a_file_the_whole_chain_counts_and_the_key_in_it_is_passed_over() {
    let (server, above) = (issued((-10, 90)), issued((-10, 3)));
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    let all =
        read(&server.file("key.pem")) + &read(&server.file("cert.pem")) + &read(&above.file("cert.pem"));
    let chain = server.write("chain.pem", &all);
    assert_eq!(
        why(&Certificate::of_file(&chain)).await,
        format!(
            "certificate 2 of 2 in {} ends in 3 days, 14 days have to be left",
            chain.display()
        )
    );
}

#[tokio::test]
async fn a_file_that_was_renewed_passes_at_the_next_look() {
    let dir = issued((-10, 3));
    let check = Certificate::of_file(dir.file("cert.pem"));
    why(&check).await;
    Authority::new().issue(dir.path(), -1, 90);
    passes(&check).await;
}

#[tokio::test]
async fn a_server_without_tls_is_said_to_have_none() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.write_all(b"220 mail.example.com ESMTP\r\n").await;
    });
    let why = why(&Certificate::of_server(&address).unwrap()).await;
    assert_eq!(why, format!("TLS with {address}: what it says is not TLS"));
}
