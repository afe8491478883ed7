//! What coturn's own tools say of the relay: an independent client of TURN, and one of behaviour discovery. Where
//! they are not installed (Debian: coturn), the tests say so and pass.
#![cfg(all(target_os = "linux", feature = "server"))]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, says aloud what it skips, and waits by the clock"
)]

#[path = "support/running.rs"]
mod running;

use std::net::{TcpListener, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use running::{Running, state};

/// Far more than any of them takes: five seconds, most of which they wait.
const PATIENCE: Duration = Duration::from_secs(40);
/// The tool drops packets of its own where it does not get the processor; the relay must have lost none in one of
/// these.
const TRIES: usize = 4;
/// So many tools at a time: they mostly sleep.
const ABREAST: usize = 6;

/// Everything `turnutils_uclient` is asked to do. `T` is the TLS port, `P` the plain one, `E` where the echo is.
const ERRANDS: &[&str] = &[
    "-p P -e 127.0.0.1 127.0.0.1",
    "-p P -e 127.0.0.1 -s 127.0.0.1",
    "-p P -y -c 127.0.0.1",
    "-p P -y -s -c 127.0.0.1",
    "-p P -l 1200 -e 127.0.0.1 127.0.0.1",
    "-p P -l 1200 -y -c 127.0.0.1",
    "-p P -t -e 127.0.0.1 127.0.0.1",
    "-p P -t -s -l 1200 -e 127.0.0.1 127.0.0.1",
    "-p P -t -y -c 127.0.0.1",
    "-p T -t -S -e 127.0.0.1 127.0.0.1",
    "-p T -t -S -y -s -c 127.0.0.1",
    "-p P -x -e ::1 127.0.0.1",
    "-p P -x -y -c 127.0.0.1",
    "-p P -e ::1 ::1",
    "-p P -X -e 127.0.0.1 ::1",
    "-p P -g -D -e 127.0.0.1 127.0.0.1",
    "-p P -G -e 127.0.0.1 127.0.0.1",
    "-p P -G -y -c 127.0.0.1",
    "-p P -t -G -s -y -c 127.0.0.1",
];

fn installed(tool: &str) -> bool {
    let there = Command::new(tool).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !there {
        println!("SKIPPED: {tool} (package coturn) is not installed");
    }
    there
}

/// A port that is free for everything now, and most likely a moment later; the next one too.
fn free_ports() -> u16 {
    let free = |port: u16| {
        ["127.0.0.1", "127.0.0.2"].iter().all(|&ip| UdpSocket::bind((ip, port)).is_ok())
            && TcpListener::bind(("127.0.0.1", port)).is_ok()
            && (!has_ipv6() || TcpListener::bind(("::1", port)).is_ok())
    };
    loop {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        if port < u16::MAX && free(port) && free(port + 1) {
            return port;
        }
    }
}

fn has_ipv6() -> bool {
    UdpSocket::bind("[::1]:0").is_ok()
}

/// A process that is ended at the latest with the test.
struct Tool(Child);

impl Drop for Tool {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A relay on loopback with its ports, and coturn's echo.
struct Bench {
    relay: Running,
    plain: String,
    tls: String,
    echo: String,
    _echoes: Tool,
}

impl Bench {
    fn new(name: &str, options: &[&str]) -> Self {
        let (plain, tls, echo) = (free_ports(), free_ports(), free_ports().to_string());
        let [listen, tls_listen] = [plain, tls].map(|port| format!("127.0.0.1:{port}"));
        let words = ["--listen", &listen, "--tls", &tls_listen, "--relay-ip", "127.0.0.1"];
        let rules = ["--allow-peer", "127.0.0.1/32", "--user", "u:p", "--drain", "0s"];
        let listen6 = format!("[::1]:{plain}");
        let words6 = ["--listen", &listen6, "--relay-ip", "::1", "--allow-peer", "::1/128"];
        let words6 = if has_ipv6() { &words6[..] } else { &[] };
        let relay = Running::start(&state(name), &[&words, &rules[..], words6, options].concat());
        let mut echoes = Command::new("turnutils_peer");
        echoes.args(["-L", "127.0.0.1", "-L", "::1", "-p", &echo]);
        let echoes = echoes.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Self { relay, plain: plain.to_string(), tls: tls.to_string(), echo, _echoes: Tool(echoes) }
    }

    /// Runs `turnutils_uclient` with two clients of 50 packets each, for `limit` at most.
    fn errand(&self, errand: &str, limit: Duration) -> Outcome {
        let words = errand.split(' ').map(|word| match word {
            "P" => &self.plain,
            "T" => &self.tls,
            word => word,
        });
        let mut tool = Command::new("turnutils_uclient");
        tool.args(["-u", "u", "-w", "p", "-m", "2", "-n", "50", "-z", "10", "-r", &self.echo]).args(words);
        run(tool, limit)
    }

    /// Runs an errand until it has lost nothing, or too often.
    fn faultless(&self, errand: &str) -> Result<(), String> {
        let mut said = String::new();
        for _ in 0..TRIES {
            let outcome = self.errand(errand, PATIENCE);
            let errors = outcome.errors(errand);
            if !errors.is_empty() {
                return Err(format!("{errand}: {errors:?}"));
            }
            if outcome.code == Some(0) && outcome.lost_nothing() {
                return Ok(());
            }
            said = outcome.said;
        }
        Err(format!("{errand}: {said}"))
    }
}

/// How a tool ended, and what it said.
struct Outcome {
    /// `None` if it had to be ended.
    code: Option<i32>,
    said: String,
}

impl Outcome {
    fn lost_nothing(&self) -> bool {
        let all = self.said.contains("tot_send_msgs=100, tot_recv_msgs=100");
        all && self.said.contains("Total lost packets 0 (0.000000%), total send dropped 0 (0.000000%)")
    }

    /// Lines about errors, without those that the tool is after.
    fn errors(&self, errand: &str) -> Vec<&str> {
        let expected = |line: &str| {
            // With -G it asks for peers of the other family on purpose: RFC 8656 §9.2 wants 443.
            (errand.contains("-G") && line.contains("error 443"))
                // With -S it tries old versions of TLS at random, which RFC 8996 forbids, and then again.
                || (errand.contains("-S") && line.contains("SSL routines"))
        };
        let lines = self.said.lines().filter(|line| line.to_lowercase().contains("error"));
        lines.filter(|line| !expected(line)).collect()
    }
}

/// Runs a tool, for `limit` at most.
fn run(mut tool: Command, limit: Duration) -> Outcome {
    let (mut output, input) = std::io::pipe().unwrap();
    let errors = input.try_clone().unwrap();
    let mut child = Tool(tool.stdin(Stdio::null()).stdout(input).stderr(errors).spawn().unwrap());
    // Its ends of the pipe are the tool's alone, or reading would never end.
    drop(tool);
    let reader = std::thread::spawn(move || {
        let mut said = Vec::new();
        std::io::Read::read_to_end(&mut output, &mut said).map(|_| said).unwrap()
    });
    let deadline = Instant::now() + limit;
    let code = loop {
        match child.0.try_wait().unwrap() {
            Some(status) => break status.code(),
            None if Instant::now() > deadline => break None,
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    drop(child);
    Outcome { code, said: String::from_utf8_lossy(&reader.join().unwrap()).into_owned() }
}

fn uclient_is_satisfied(name: &str, options: &[&str]) {
    if !installed("turnutils_uclient") {
        return;
    }
    let bench = Bench::new(name, options);
    let possible = |errand: &&str| has_ipv6() || !(errand.contains("::1") || errand.contains("-x"));
    let errands: Vec<_> = ERRANDS.iter().copied().filter(possible).collect();
    for errands in errands.chunks(ABREAST) {
        let faults: Vec<String> = std::thread::scope(|scope| {
            let running: Vec<_> =
                errands.iter().map(|errand| scope.spawn(|| bench.faultless(errand))).collect();
            running.into_iter().filter_map(|errand| errand.join().unwrap().err()).collect()
        });
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
    misbehaviour_is_survived(&bench);
    let (code, log) = bench.relay.end();
    assert_eq!(code, Some(0));
    assert!(!log.contains("panicked"), "{log}");
}

/// The modes by which the tool looks for weaknesses; its own server ends them with errors.
fn misbehaviour_is_survived(bench: &Bench) {
    let negative = bench.errand("-p P -N -e 127.0.0.1 127.0.0.1", PATIENCE);
    assert!(negative.said.contains("channel bind: error 400"), "{}", negative.said);
    // It breaks every tenth message, and waits for ever for the answer to one that has to be dropped.
    let hurt = Duration::from_secs(4);
    std::thread::scope(|scope| {
        for errand in
            ["-p P -R -e 127.0.0.1 127.0.0.1", "-p P -R -t -y -c 127.0.0.1", "-p P -O -e 127.0.0.1 127.0.0.1"]
        {
            scope.spawn(|| bench.errand(errand, hurt));
        }
    });
    bench.faultless("-p P -y -c 127.0.0.1").unwrap();
}

#[test]
fn coturns_client_is_satisfied_with_the_batched_backend() {
    uclient_is_satisfied("tools-linux", &["--backend", "linux", "--threads", "2"]);
}

#[test]
fn coturns_client_is_satisfied_with_the_portable_backend() {
    uclient_is_satisfied("tools-portable", &["--backend", "portable"]);
}

#[test]
fn coturns_discovery_finds_no_nat_where_there_is_none() {
    if !installed("turnutils_natdiscovery") {
        return;
    }
    for backend in ["linux", "portable"] {
        let bench = Bench::new(
            &format!("discovery-{backend}"),
            &["--backend", backend, "--alternate-ip", "127.0.0.2"],
        );
        let tool = |name: &str, words: &[&str]| {
            let mut tool = Command::new(name);
            tool.args(["-p", &bench.plain]).args(words).arg("127.0.0.1");
            let outcome = run(tool, PATIENCE);
            assert_eq!(outcome.code, Some(0), "{name}: {}", outcome.said);
            outcome.said
        };
        let said = tool("turnutils_natdiscovery", &["-m", "-f", "-H"]);
        for verdict in [
            "NAT with Endpoint Independent Mapping!",
            "NAT with Endpoint Independent Filtering!",
            "Received a request (maybe a successful hairpinning)",
        ] {
            assert!(said.contains(verdict), "{verdict} {said}");
        }
        assert!(tool("turnutils_stunclient", &[]).contains("UDP reflexive addr: 127.0.0.1:"));
        // From another address and port, and to another port (RESPONSE-PORT).
        assert_eq!(tool("turnutils_stunclient", &["-f"]).matches("RFC 5780 response").count(), 3);
    }
}
