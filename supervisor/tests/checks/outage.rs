//! What everyone depends on is away: the platform hears of it only as far as the level says.

use std::net::{IpAddr, UdpSocket};
use std::os::unix::process::CommandExt;
use std::time::{Duration, Instant};

use crate::lab::{Manner, Probing, Server, by_name, check, helper, shown, wait_state};
use crate::programs::Postgres;
use crate::support::proc::{self, Process};
use crate::support::{Runmate, Setup, eventually, process};

/// How long the outage lasts. The platform's patience is longer than a test's: set RUNMATE_TEST_OUTAGE_SECS=300 to
/// see it through.
fn outage() -> Duration {
    let seconds = std::env::var("RUNMATE_TEST_OUTAGE_SECS").ok();
    Duration::from_secs(seconds.map_or(20, |seconds| seconds.parse().expect("a number of seconds")))
}

const USER: &str = "app";
const PASSWORD: &str = "s3cret-password";

fn url(server: &Postgres) -> String {
    format!(
        "postgres://{USER}:{PASSWORD}@127.0.0.1:{}/postgres",
        server.port()
    )
}

/// An app beside two checks of the same database, `soft` and `hard`.
fn start(url: &str) -> Runmate {
    let kind = format!("postgres = \"{url}\"");
    let config = process("app", "wait TERM", "")
        + &check("soft", &kind, "")
        + &check("hard", &kind, "level = \"required\"");
    let run = Setup::new(&config).with_health().start();
    wait_state(&run, "soft", "passing");
    wait_state(&run, "hard", "passing");
    assert_eq!(run.get("/readyz").0, 200);
    run
}

/// Both checks fail for as long as it lasts, and pass soon after; `/healthz` says 200 all the while.
fn see_through(run: &Runmate, begin: impl FnOnce(), reason: &str, end: impl FnOnce()) {
    let probing = Probing::start(run);
    probing.wait_for_answers();
    let began = Instant::now();
    begin();
    wait_state(run, "soft", "failing");
    wait_state(run, "hard", "failing");
    while began.elapsed() < outage() {
        let (status, body) = run.get("/health");
        assert_eq!((status, body["status"].as_str()), (200, Some("warn")), "{body}");
        let output = body["output"].as_str().expect("a reason");
        assert!(output.contains("soft: failing: "), "{output}");
        let why = shown(run, "soft")["output"].as_str().expect("why").to_owned();
        assert!(why.contains(reason), "{why}");
        assert!(!body.to_string().contains(PASSWORD), "{body}");
        std::thread::sleep(Duration::from_millis(100));
    }
    end();
    let ended = Instant::now();
    wait_state(run, "soft", "passing");
    wait_state(run, "hard", "passing");
    // The interval and the timeout of a look that was under way are a second each.
    assert!(ended.elapsed() < Duration::from_secs(3), "{:?}", ended.elapsed());
    assert_eq!(run.get("/health").1["status"], "pass");
    assert_eq!(run.get("/readyz").0, 200);
    let (healthz, readyz) = probing.seen();
    assert_eq!(healthz, [200], "the platform would replace the fleet");
    assert_eq!(
        readyz,
        [200, 503, 200],
        "the required one takes it out of traffic"
    );
}

fn stop(run: &Runmate) {
    run.signal(libc::SIGTERM);
    let exit = run.exit();
    assert_eq!(exit.code, Some(0), "{}", run.said());
    assert!(!run.said().contains(PASSWORD), "{}", run.said());
}

#[test]
fn a_database_that_is_down_is_a_warning_and_its_return_is_seen_soon() {
    let server = std::cell::RefCell::new(Postgres::start(USER, PASSWORD));
    let run = start(&url(&server.borrow()));
    see_through(
        &run,
        || server.borrow_mut().stop(),
        "refused",
        || server.borrow_mut().start_again(),
    );
    let lines = run.lines();
    let of = |event: &str| {
        lines
            .iter()
            .filter(|line| line["event"] == event && line["name"] == "soft")
            .count()
    };
    assert_eq!(
        (of("check_failing"), of("check_passing")),
        (1, 2),
        "{}",
        run.said()
    );
    stop(&run);
}

#[test]
fn a_database_that_accepts_and_hangs_is_a_warning_too() {
    let server = Postgres::start(USER, PASSWORD);
    let run = start(&url(&server));
    let all = || {
        let mut all = proc::descendants(server.pid());
        all.extend(Process::look(server.pid()));
        all
    };
    let signal = |signal| all().iter().for_each(|process| process.signal(signal));
    see_through(
        &run,
        || signal(libc::SIGSTOP),
        "no answer within 1s",
        || signal(libc::SIGCONT),
    );
    stop(&run);
}

#[test]
fn a_service_that_accepts_and_hangs_is_a_warning_wherever_it_is_looked_at() {
    let server = Server::start();
    let config = process("app", "wait TERM", "")
        + &check("here", &format!("http = \"http://{}/\"", server.address), "")
        + &check("helped", &format!("http = \"{}\"", by_name(server.address)), "");
    let run = Setup::new(&config).with_health().start();
    for name in ["here", "helped"] {
        wait_state(&run, name, "passing");
    }
    let probing = Probing::start(&run);
    server.behave(Manner::Hangs);
    for name in ["here", "helped"] {
        wait_state(&run, name, "failing");
        let why = shown(&run, name)["output"].as_str().expect("why").to_owned();
        assert!(why.contains("no answer within 1s"), "{why}");
    }
    server.behave(Manner::Answers("200 OK"));
    for name in ["here", "helped"] {
        wait_state(&run, name, "passing");
    }
    assert_eq!(probing.seen(), (vec![200], vec![200]));
    stop(&run);
}

#[test]
fn names_that_nobody_resolves_cost_one_thread_and_the_platform_nothing() {
    let config = process("app", "wait TERM", "") + &check("db", "tcp = \"db.example.com:5432\"", "");
    let mut setup = Setup::new(&config).with_health();
    let _resolver = mute_resolver(&mut setup, 64);
    let run = setup.start();
    let probing = Probing::start(&run);
    wait_state(&run, "db", "failing");
    let threads = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", helper(&run).pid));
        let status = status.expect("the helper runs");
        let count = status.lines().find_map(|line| line.strip_prefix("Threads:"));
        count.expect("Threads").trim().parse::<usize>().expect("a number")
    };
    let looks = || shown(&run, "db")["latency"]["looks"].as_u64().expect("a number");
    let before = threads();
    let until = looks() + 5;
    eventually("five more looks", || {
        assert!(threads() <= before.max(2), "{} threads", threads());
        (looks() >= until).then_some(())
    });
    let (status, body) = run.get("/health");
    assert_eq!((status, body["status"].as_str()), (200, Some("warn")), "{body}");
    assert_eq!(probing.seen(), (vec![200], vec![200]));
    drop(probing);
    let began = Instant::now();
    stop(&run);
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "it does not wait for the lookup"
    );
}

#[test]
fn once_names_are_resolved_again_the_check_passes_soon() {
    let server = Server::start();
    let kind = format!("tcp = \"db.example.com:{}\"", server.address.port());
    let config = process("app", "wait TERM", "") + &check("db", &kind, "");
    let mut setup = Setup::new(&config).with_health();
    let resolver = mute_resolver(&mut setup, 128);
    let run = setup.start();
    wait_state(&run, "db", "failing");
    lose_a_question(&resolver);
    let back = Instant::now();
    let ip = server.address.ip();
    std::thread::spawn(move || answer_names(&resolver, ip));
    wait_state(&run, "db", "passing");
    // Two seconds for a lookup that has just asked for the last time, the interval, and one for a slow machine. By
    // default a question alone takes five.
    assert!(back.elapsed() < Duration::from_secs(4), "{:?}", back.elapsed());
    stop(&run);
}

/// A name server of the run that accepts questions and never answers; `net` tells those of different tests apart.
fn mute_resolver(setup: &mut Setup, net: u8) -> UdpSocket {
    let [_, a, b, c] = std::process::id().to_be_bytes();
    let resolver = UdpSocket::bind(format!("127.{}.{b}.{}:53", net + a % 64, c.max(1)))
        .expect("the port of the resolver; this test has to run as root");
    let conf = setup.dir().join("resolv.conf");
    let ip = resolver.local_addr().expect("an address").ip();
    std::fs::write(&conf, format!("nameserver {ip}\n")).expect("write");
    mount_over(setup, &conf, "/etc/resolv.conf");
    resolver
}

/// Waits for a question, which is lost: a lookup is under way.
fn lose_a_question(resolver: &UdpSocket) {
    forget_questions(resolver);
    resolver.recv_from(&mut [0; 512]).expect("a question");
}

fn forget_questions(resolver: &UdpSocket) {
    resolver.set_nonblocking(true).expect("a socket");
    while resolver.recv_from(&mut [0; 512]).is_ok() {}
    resolver.set_nonblocking(false).expect("a socket");
}

/// Answers all questions from now on: every name is this address (RFC 1035, section 4.1). What was asked before is lost.
fn answer_names(resolver: &UdpSocket, ip: IpAddr) {
    let IpAddr::V4(ip) = ip else {
        panic!("{ip} is no IPv4 address");
    };
    let mut packet = [0; 512];
    forget_questions(resolver);
    while let Ok((_, asker)) = resolver.recv_from(&mut packet) {
        // The header, a name that ends with an empty label, type and class.
        let name = packet[12..].iter().position(|byte| *byte == 0).expect("a name") + 1;
        let question = &packet[12..12 + name + 4];
        let of_ipv4 = question[name..name + 2] == [0, 1];
        let mut reply = packet[..2].to_vec();
        reply.extend([0x81, 0x80, 0, 1, 0, u8::from(of_ipv4), 0, 0, 0, 0]);
        reply.extend(question);
        if of_ipv4 {
            reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
            reply.extend(ip.octets());
        }
        let _ = resolver.send_to(&reply, asker);
    }
}

/// In a mount namespace of its own, the run finds `file` at `place`.
fn mount_over(setup: &mut Setup, file: &std::path::Path, place: &str) {
    use std::ffi::CString;
    let text = |path: &str| CString::new(path).expect("no NUL");
    let (file, place) = (text(file.to_str().expect("UTF-8")), text(place));
    // SAFETY: the closure makes only system calls, on memory that it owns.
    unsafe {
        setup.command().pre_exec(move || {
            let done = libc::unshare(libc::CLONE_NEWNS) == 0
                && libc::mount(
                    std::ptr::null(),
                    c"/".as_ptr(),
                    std::ptr::null(),
                    libc::MS_REC | libc::MS_PRIVATE,
                    std::ptr::null(),
                ) == 0
                && libc::mount(
                    file.as_ptr(),
                    place.as_ptr(),
                    std::ptr::null(),
                    libc::MS_BIND,
                    std::ptr::null(),
                ) == 0;
            if done {
                Ok(())
            } else {
                Err(std::io::Error::last_os_error())
            }
        })
    };
}
