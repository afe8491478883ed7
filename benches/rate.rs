//! A call over a link that changes: 300, then 80, then 2,000 kbit/s, 40 ms there and back, a queue of 200 ms, in the
//! laboratory of `tests/natlab`: two real p2pcall processes, and a router that has the narrow place and counts.
//! `scripts/bench rate` runs it; needs root on Linux, and ffmpeg.
#![cfg_attr(
    target_os = "linux",
    expect(
        clippy::print_stdout,
        clippy::disallowed_methods,
        clippy::expect_used,
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "a benchmark prints, reads the clock, and fails by panicking"
    )
)]

#[cfg(target_os = "linux")]
#[path = "../tests"]
mod laboratory {
    pub(crate) mod natlab;
    pub(crate) mod support;
}

#[cfg(target_os = "linux")]
use laboratory::{natlab, support};

#[cfg(target_os = "linux")]
#[path = "rate"]
mod rate {
    pub(crate) mod upload;
}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    linux::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
mod linux {
    use super::natlab::gateway::{Done, Weather};
    use super::natlab::kind::{Kind, Side};
    use super::natlab::world::{SERVER, Who, World};
    use super::rate::upload::Upload;
    use super::support::film;
    use super::support::process::Process;
    use clap::Parser;
    use serde_json::Value;
    use std::process::ExitCode;
    use std::time::{Duration, Instant};

    /// What can be asked for.
    #[derive(Debug, Parser)]
    struct Options {
        /// Rates one after the other, kbit/s
        #[arg(long, value_delimiter = ',', default_values_t = [300, 80, 2_000])]
        rates: Vec<u32>,
        /// How long each, seconds, at least 20
        #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(20..))]
        seconds: u64,
        /// The part of all packets that is lost, 0 to 1
        #[arg(long, default_value_t = 0.0)]
        loss: f64,
        /// A TCP connection beside it takes all it can get
        #[arg(long)]
        tcp: bool,
        /// Prints each second
        #[arg(long)]
        each: bool,
        /// Cargo's own word for "measure": without it (`cargo test --all-targets`) nothing is done
        #[arg(long, hide = true)]
        bench: bool,
    }

    /// Nothing else takes so long.
    const PATIENCE: Duration = Duration::from_secs(60);
    /// Each direction.
    const DELAY: Duration = Duration::from_millis(20);
    const QUEUE: Duration = Duration::from_millis(200);
    /// Less than this at a stretch, ms, is a syllable drawn out: WebRTC's NetEq counts no interruption there either.
    const INTERRUPTION: u64 = 150;

    /// One second of a call.
    struct Second {
        line: Done,
        /// What the friend had heard or not by then.
        friend: Value,
        own: Value,
        /// Bytes of the TCP connection.
        tcp: u64,
    }

    pub(super) fn main() -> ExitCode {
        let options = Options::parse();
        if options.bench && !measure(&options) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }

    fn measure(options: &Options) -> bool {
        let Some(world) = World::new([Kind::PortRestricted.into(), Side::from(Kind::Public)]) else {
            return false;
        };
        let narrow = |kbps: u32| Weather {
            loss: options.loss,
            delay: DELAY,
            rate: Some(kbps * 1_000),
            patience: QUEUE,
        };
        let folder = tempfile::tempdir().expect("a folder");
        let film = film::make(&folder.path().join("film.y4m"), "testsrc2=size=1280x720:rate=30", 3);
        world.set_weather(Who::Alice, narrow(options.rates[0]));
        let start = |machine: &str, words: &[&str]| {
            let common = ["--no-servers", "--no-portmap", "--audio", "tone", "--speaker", "none"];
            world.lab.start(machine, words, &common)
        };
        let mut friend = start("bob", &["offer", "--video", "none"]);
        let code = friend.wait_for_code(PATIENCE);
        let film = format!("file:{}", film.display());
        let own = ["answer", &code, "--video", &film, "--size", "1280x720", "--bitrate", "4000"];
        let mut own = start("alice", &own);
        own.wait_for_state("connected", PATIENCE);
        let [alice, server] = ["alice", "server"].map(|machine| world.lab.namespace(machine));
        let upload = options.tcp.then(|| Upload::start(&alice, &server, SERVER));
        let uploaded = || upload.as_ref().map_or(0, Upload::bytes);
        let mut parts = Vec::new();
        for kbps in &options.rates {
            world.set_weather(Who::Alice, narrow(*kbps));
            world.went_up(Who::Alice);
            let began = Instant::now();
            let part = (1..=options.seconds).map(|second| {
                std::thread::sleep(
                    (began + Duration::from_secs(second)).saturating_duration_since(Instant::now()),
                );
                let line = world.went_up(Who::Alice);
                Second { line, friend: last_stats(&mut friend), own: last_stats(&mut own), tcp: uploaded() }
            });
            parts.push((*kbps, part.collect::<Vec<_>>()));
        }
        let ended = |end: &Process| end.of_kind("state").find(|event| event["state"] == "ended").cloned();
        if let Some(end) = [&own, &friend].into_iter().find_map(ended) {
            println!("The call ended by itself: {end}");
            return false;
        }
        own.type_line("/hangup");
        assert_eq!((own.exit(PATIENCE), friend.exit(PATIENCE)), (0, 0));
        drop(upload);
        if options.each {
            for (kbps, part) in &parts {
                each(*kbps, part);
            }
        }
        table(&parts, options.tcp)
    }

    /// The newest word of an end on how it is.
    fn last_stats(end: &mut Process) -> Value {
        end.take_what_came();
        end.of_kind("stats").last().cloned().unwrap_or(Value::Null)
    }

    fn each(kbps: u32, part: &[Second]) {
        println!(
            "\n{kbps} kbit/s: through, waits (least, longest, ms), dropped, target, picture sent, concealed, \
             freezes\n"
        );
        for second in part {
            let (least, most) = second.line.waits.unwrap_or_default();
            println!(
                "{:5} {:4} {:4} {:3} {:5} {:3} rows {:4.1} a second {:6} {:3}",
                second.line.bits / 1_000,
                least.as_millis(),
                most.as_millis(),
                second.line.full,
                second.own["target_kbps"],
                second.friend["video"]["height"],
                second.own["video"]["sent_fps"].as_f64().unwrap_or(0.0),
                second.friend["audio"]["concealed_ms"],
                second.friend["video"]["freezes"],
            );
        }
    }

    fn table(parts: &[(u32, Vec<Second>)], crowded: bool) -> bool {
        println!(
            "\n| link | used after 15 s | least wait a second, after 5 s | sound concealed, first 5 s | after them | \
             picture at the end | freezes |"
        );
        println!("|---|---|---|---|---|---|---|");
        let mut met = true;
        let mut before = (0, 0);
        for (kbps, part) in parts {
            let concealed = |second: &Second| second.friend["audio"]["concealed_ms"].as_u64().unwrap_or(0);
            let freezes = |second: &Second| second.friend["video"]["freezes"].as_u64().unwrap_or(0);
            let used = part[15..].iter().map(|second| second.line.bits).sum::<u64>() as f64;
            let used = used / (f64::from(*kbps) * 1_000.0 * (part.len() - 15) as f64);
            let least = |second: &Second| second.line.waits.unwrap_or_default().0;
            let standing = part[5..].iter().map(least).max().unwrap_or_default();
            let (last, early) = (part.last().unwrap(), &part[4]);
            let (at_step, later) = (concealed(early) - before.0, concealed(last) - concealed(early));
            let pairs = part[4..].iter().zip(&part[5..]);
            let most = pairs.map(|(last, next)| concealed(next) - concealed(last)).max().unwrap_or(0);
            println!(
                "| {kbps} kbit/s | **{:.0} %** | {} ms | {at_step} ms | {later} ms, {most} in a second | {}x{}, {:.0} a second | {} |",
                used * 100.0,
                standing.as_millis(),
                last.friend["video"]["width"],
                last.friend["video"]["height"],
                last.own["video"]["sent_fps"].as_f64().unwrap_or(0.0),
                freezes(last) - before.1,
            );
            before = (concealed(last), freezes(last));
            met &= used >= 0.8
                && standing <= Duration::from_millis(150)
                && at_step <= 500
                && most < INTERRUPTION;
        }
        for (kbps, part) in parts.iter().filter(|_| crowded) {
            let seconds = (part.len() - 15) as f64;
            let theirs = (part[part.len() - 1].tcp - part[14].tcp) as f64 * 8.0 / seconds / 1_000.0;
            let rate = |second: &Second, kind: &str| second.own["sent"][kind].as_f64().unwrap_or(0.0);
            let ours = part[15..].iter().map(|s| rate(s, "audio_kbps") + rate(s, "video_kbps")).sum::<f64>();
            println!(
                "\n{kbps} kbit/s: {:.0} kbit/s of the call, {theirs:.0} of the TCP connection",
                ours / seconds
            );
        }
        if crowded {
            // The queue is the other's.
            return true;
        }
        println!("\nTargets: 80 % used, 150 ms, 500 ms, none: {}", if met { "met" } else { "MISSED" });
        met
    }
}
