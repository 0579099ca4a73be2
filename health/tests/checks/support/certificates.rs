//! Certificates by openssl, for 127.0.0.1 and localhost, from any day to any day.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::daemon::Dir;
use super::programs::find_program;

/// Who issues certificates, from a directory.
pub struct Authority {
    path: PathBuf,
    _dir: Option<Dir>,
}

/// `openssl ca` is the only command of OpenSSL 3.0 that takes dates.
const CONFIG: &str = "\
[ca]
default_ca = tests
[tests]
database = index.txt
new_certs_dir = .
serial = serial
certificate = root.pem
private_key = root.key
default_md = sha256
policy = any
x509_extensions = server
unique_subject = no
[any]
commonName = supplied
[server]
basicConstraints = critical, CA:FALSE
subjectAltName = DNS:localhost, IP:127.0.0.1
[req]
distinguished_name = name
[name]
";

impl Authority {
    pub fn new() -> Authority {
        let dir = Dir::new("runmate-certificates-");
        dir.write("openssl.cnf", CONFIG);
        dir.write("index.txt", "");
        dir.write("serial", "01\n");
        let authority = Authority {
            path: dir.path().to_owned(),
            _dir: Some(dir),
        };
        // A name that no other has, or their signatures would be tried.
        let name = authority.path.file_name().expect("a name").to_string_lossy();
        authority.openssl(&format!(
            "req -x509 -config openssl.cnf -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout root.key \
             -out root.pem -days 365 -subj /CN={name} -addext basicConstraints=critical,CA:TRUE"
        ));
        authority
    }

    /// The one that was made in this directory, by another process.
    pub fn at(path: &Path) -> Authority {
        Authority {
            path: path.to_owned(),
            _dir: None,
        }
    }

    /// The certificate that vouches for all others.
    pub fn root(&self) -> PathBuf {
        self.path.join("root.pem")
    }

    /// Makes `cert.pem` and `key.pem` in a directory, valid between two days counted from today.
    pub fn issue(&self, to: &Path, from_day: i64, to_day: i64) -> (PathBuf, PathBuf) {
        let (certificate, key) = (to.join("cert.pem"), to.join("key.pem"));
        self.openssl(&format!(
            "req -new -config openssl.cnf -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout {} \
             -out request.pem -subj /CN=localhost",
            key.display()
        ));
        self.openssl(&format!(
            "ca -batch -notext -config openssl.cnf -in request.pem -out {} -startdate {} -enddate {}",
            certificate.display(),
            date(from_day),
            date(to_day)
        ));
        (certificate, key)
    }

    fn openssl(&self, arguments: &str) {
        let output = Command::new(find_program("openssl"))
            .args(arguments.split_whitespace())
            .current_dir(&self.path)
            .output()
            .expect("openssl starts");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// A moment as openssl reads it, so many days and an hour from now: whole days are left then, however long the test
/// takes.
fn date(day: i64) -> String {
    let output = Command::new("date")
        .args(["-u", "-d", &format!("{day} days 1 hour"), "+%Y%m%d%H%M%SZ"])
        .output()
        .expect("date starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
