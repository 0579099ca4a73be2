use proptest::prelude::*;

use super::*;

/// The beginning of a certificate, by hand: only what is read.
fn der(version: &[u8], begins: &str, ends: &str) -> Vec<u8> {
    fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
        let length = u8::try_from(value.len()).unwrap();
        assert!(length < 128);
        [&[tag, length], value].concat()
    }
    let time = |text: &str| tlv(if text.len() == 13 { 0x17 } else { 0x18 }, text.as_bytes());
    let validity = tlv(0x30, &[time(begins), time(ends)].concat());
    let serial = tlv(0x02, &[7]);
    let (algorithm, issuer) = (tlv(0x30, &[]), tlv(0x30, &[]));
    tlv(
        0x30,
        &tlv(0x30, &[version, &serial, &algorithm, &issuer, &validity].concat()),
    )
}

const VERSION_3: &[u8] = &[0xa0, 3, 2, 1, 2];
/// 2030-01-01.
const NOW: Duration = Duration::from_secs(1_893_456_000);

fn look(check: &Certificate, times: &[(&str, &str)]) -> Looked {
    let certificates: Vec<_> = times
        .iter()
        .map(|(begins, ends)| der(VERSION_3, begins, ends))
        .collect();
    check.judge(&certificates, NOW)
}

fn why(times: &[(&str, &str)]) -> (String, f64) {
    let failure = look(&Certificate::of_file("/etc/tls/cert.pem"), times).unwrap_err();
    (failure.why, failure.measured.unwrap().value)
}

#[test]
fn both_forms_of_a_time_and_both_versions_are_read() {
    let begins = Duration::from_secs(1_577_836_800);
    let ends = Duration::from_secs(2_524_608_000);
    let expected = Validity { begins, ends };
    for version in [VERSION_3, &[]] {
        let der = der(version, "200101000000Z", "20500101000000Z");
        assert_eq!(Validity::of(&der), Ok(expected));
    }
}

#[test]
fn a_certificate_with_time_left_passes_and_is_measured() {
    let check = Certificate::of_server("example.com:443").unwrap();
    let seen = look(&check, &[("290101000000Z", "300115000000Z")]).unwrap();
    let measured = seen.measured.unwrap();
    assert_eq!(
        (&*measured.what, measured.value, &*measured.unit),
        ("validFor", 14.0 * 86400.0, "s")
    );
    let failure = look(&check, &[("290101000000Z", "300114235959Z")]).unwrap_err();
    assert_eq!(
        failure.why,
        "the certificate of example.com:443 ends in 13 days, 14 days have to be left"
    );
    let check = check.min_valid(Duration::from_secs(3600));
    assert!(look(&check, &[("290101000000Z", "300114235959Z")]).is_ok());
}

#[test]
fn expired_and_not_yet_valid_are_said_as_such() {
    assert_eq!(
        why(&[("290101000000Z", "291229000000Z")]),
        (
            "the certificate in /etc/tls/cert.pem expired 3 days ago".into(),
            -3.0 * 86400.0
        )
    );
    assert_eq!(
        why(&[("300101013000Z", "310101000000Z")]),
        (
            "the certificate in /etc/tls/cert.pem is not valid for another 1 hour".into(),
            365.0 * 86400.0
        )
    );
}

#[test]
fn of_a_chain_the_certificate_that_ends_first_counts() {
    let (why, left) = why(&[
        ("290101000000Z", "310101000000Z"),
        ("290101000000Z", "300102000000Z"),
        ("290101000000Z", "20600101000000Z"),
    ]);
    assert_eq!(
        why,
        "certificate 2 of 3 in /etc/tls/cert.pem ends in 1 day, 14 days have to be left"
    );
    assert_eq!(left, 86400.0);
}

#[test]
fn what_is_no_certificate_is_said_to_be_none() {
    let check = Certificate::of_file("/x.pem");
    let failure = check.judge(&[b"rubbish".to_vec()], NOW).unwrap_err();
    assert!(
        failure
            .why
            .starts_with("the certificate in /x.pem cannot be read: "),
        "{}",
        failure.why
    );
}

#[tokio::test]
async fn a_file_without_a_certificate_fails() {
    let dir = tempfile::tempdir().unwrap();
    let why = async |text: &str| {
        let path = dir.path().join("file.pem");
        std::fs::write(&path, text).unwrap();
        let failure = Certificate::of_file(&path).look().await.unwrap_err();
        failure.why.replace(path.to_str().unwrap(), "FILE")
    };
    assert_eq!(why("").await, "FILE holds no certificate in PEM");
    assert_eq!(
        why("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n").await,
        "FILE holds no certificate in PEM"
    );
    assert_eq!(
        why("-----BEGIN CERTIFICATE-----\nAAAA\n").await,
        "cannot read FILE: it is not whole PEM"
    );
    let failure = Certificate::of_file("/nowhere.pem").look().await.unwrap_err();
    assert!(
        failure.why.starts_with("cannot read /nowhere.pem: "),
        "{}",
        failure.why
    );
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0usize..80, byte: u8) {
        let _ = Validity::of(&bytes);
        let mut nearly = der(VERSION_3, "200101000000Z", "20500101000000Z");
        let at = at % nearly.len();
        nearly[at] = byte;
        let _ = Validity::of(&nearly);
        nearly.truncate(at);
        prop_assert!(Validity::of(&nearly).is_err());
    }
}
