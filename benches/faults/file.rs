//! A large file over a path that loses packets in both directions, while its receiver gets another address.

use super::super::figure::load;
use super::stage::PATIENCE;
use crate::support::lab::Lab;
use crate::support::process::Process;
use serde_json::Value;
use std::time::{Duration, Instant};

/// 100 MB.
const SIZE: usize = 100_000_000;
/// Of a hundred packets, in each direction.
const LOST: u8 = 2;
/// The address changes when so much has come.
const MOVES_AT: u64 = 30_000_000;
/// For all of it.
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// Measures and prints a row; whether the file is the same at the other end. `None` where there is no laboratory.
pub(crate) fn measure() -> Option<bool> {
    let lab = Lab::new(&["alice", "bob"])?;
    lab.cable("alice:eth0=10.9.0.1/24", "bob:eth0=10.9.0.2/24");
    let [home, away] = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    let path = home.path().join("film.bin");
    let content: Vec<u8> = (0..SIZE).map(|n| (n.wrapping_mul(2_654_435_761) >> 16) as u8).collect();
    std::fs::write(&path, &content).expect("written");
    let save_to = away.path().to_str().expect("UTF-8");
    let common = ["--no-servers", "--video", "test", "--audio", "tone", "--speaker", "none"];
    let mut alice = lab.start("alice", &["offer"], &common);
    let code = alice.wait_for_code(PATIENCE);
    let mut bob = lab.start("bob", &["answer", &code, "--save-to", save_to], &common);
    for end in [&mut alice, &mut bob] {
        end.wait_for_state("connected", PATIENCE);
    }
    for machine in ["alice", "bob"] {
        lab.lose(machine, LOST);
    }
    let is = |state: &'static str| move |event: &Value| event["event"] == "file" && event["state"] == state;
    alice.type_line(&format!("/send {}", path.display()));
    bob.wait_for("the question", PATIENCE, is("offered"));
    bob.type_line("/accept");
    let began = Instant::now();
    bob.wait_for("a part of it", LIMIT, |event| {
        is("moving")(event) && event["done"].as_u64().is_some_and(|done| done > MOVES_AT)
    });
    lab.run("bob", "ip addr del 10.9.0.2/24 dev eth0; ip addr add 10.9.0.3/24 dev eth0");
    let done = bob.wait_for("all of it", LIMIT, is("done"));
    let took = began.elapsed();
    let kept = std::fs::read(done["path"].as_str().expect("a path")).expect("it is there");
    Some(row(alice, bob, took, kept == content))
}

fn row(mut alice: Process, mut bob: Process, took: Duration, same: bool) -> bool {
    bob.take_what_came();
    let moved = bob
        .of_kind("path")
        .any(|event| event["local_address"].as_str().is_some_and(|address| address.starts_with("10.9.0.3")));
    alice.type_line("/hangup");
    let exits = [&mut alice, &mut bob].map(|end| end.exit(PATIENCE));
    let met = same && moved && exits == [0, 0];
    println!(
        "\n| {} MB, {LOST} % lost in each direction, another address at {} MB | MB/s | bytes | exit | | load |\n|---|---|---|---|---|---|",
        SIZE / 1_000_000,
        MOVES_AT / 1_000_000
    );
    println!(
        "| **{:.0} s** | {:.2} | {} | {}, {} | {} | {} |",
        took.as_secs_f64(),
        SIZE as f64 / 1e6 / took.as_secs_f64(),
        if same { "the same" } else { "OTHERS" },
        exits[0],
        exits[1],
        if met { "met" } else { "MISSED" },
        load()
    );
    met
}
