//! Mouth to ear: two ends with sound devices of a PulseAudio server of our own. Chirps are spoken into one end's
//! microphone, and looked for in what the other's speaker plays.

use super::end::{End, Trouble};
use super::figure::{Figure, Table, note, quantile, sorted};
use super::sound::ear::{Heard, mouth_to_ear};
use super::sound::pulse::Pulse;
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

/// Sound is let settle for so long: PulseAudio, whose first sound may take 2 s, and the jitter buffer, which looks
/// back on 10 s and finds them clean only then.
const SETTLING: Duration = Duration::from_secs(15);
/// Chirps of a run: 0.6 s each.
const CHIRPS: usize = 25;

/// Measures and prints.
pub(crate) fn measure(table: &mut Table, runs: u32) -> Result<(), Trouble> {
    let Some(pulse) = Pulse::start() else {
        note("mouth to ear: left out, PulseAudio is not installed (scripts/packages test)");
        return Ok(());
    };
    pulse.add_second();
    let runs = (0..runs).map(|_| call(&pulse)).collect::<Result<Vec<_>, Trouble>>()?;
    let delays = |fraction| {
        runs.iter().map(|(heard, _)| quantile(&sorted(&heard.delays), fraction)).collect::<Vec<_>>()
    };
    let of = |what, most| Figure { what, unit: "ms", most, digits: 0 };
    table.row(of("mouth to ear, middle of each run", Some(90.0)), &delays(0.5));
    table.row(of("and its 95th of 100", None), &delays(0.95));
    let told = |name: &str| runs.iter().map(|(_, told)| number(told, name)).collect::<Vec<_>>();
    table.row(of("as told by the listener", None), &told("delay_ms"));
    table.row(of("of it in the jitter buffer, as told", None), &told("buffer_ms"));
    table.row(of("concealed in a run", None), &told("concealed_ms"));
    let (heard, missed) =
        runs.iter().fold((0, 0), |sum, (run, _)| (sum.0 + run.delays.len(), sum.1 + run.missed));
    note(&format!("{heard} of {} chirps heard", heard + missed));
    Ok(())
}

/// One call, and what its listener said of itself at its end.
fn call(pulse: &Pulse) -> Result<(Heard, Value), Trouble> {
    let environment = environment(pulse);
    let mut speaks = start(&["offer"], ("mic", "spk"), &environment)?;
    let (_, code) = speaks.code()?;
    let mut listens = start(&["answer", &code], ("mic2", "spk2"), &environment)?;
    for end in [&mut speaks, &mut listens] {
        end.connected()?;
        end.first("audio")?;
    }
    std::thread::sleep(SETTLING);
    let heard = mouth_to_ear(pulse, "micsrc", "spk2", CHIRPS);
    let told = listens.latest("stats").unwrap_or_default();
    listens.hang_up()?;
    speaks.hang_up()?;
    Ok((heard, told.get("audio").cloned().unwrap_or_default()))
}

/// What an end needs in its environment to find the server.
pub(crate) fn environment(pulse: &Pulse) -> Vec<(&'static str, PathBuf)> {
    let mut environment = pulse.environment();
    // Where PulseAudio's cookie is, without which its client library cannot log in.
    let home = environment.iter().find(|(name, _)| *name == "HOME").map(|(_, home)| home.join(".config"));
    environment.extend(home.map(|config| ("XDG_CONFIG_HOME", config)));
    environment
}

/// Starts an end with this microphone and speaker, and without a picture.
pub(crate) fn start(
    words: &[&str],
    (microphone, speaker): (&str, &str),
    environment: &[(&str, PathBuf)],
) -> Result<End, Trouble> {
    let devices = [format!("--audio=mic:{microphone}"), format!("--speaker={speaker}")];
    let common = ["--no-servers", "--video=none"].into_iter().chain(devices.iter().map(String::as_str));
    End::start_with(&words.iter().copied().chain(common).collect::<Vec<_>>(), environment)
}

fn number(told: &Value, name: &str) -> f64 {
    told.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN)
}
