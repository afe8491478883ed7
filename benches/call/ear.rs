//! Mouth to ear: two ends with sound devices of a PulseAudio server of our own. Chirps are spoken into one end's
//! microphone, and looked for in what the other's speaker plays.

use super::end::{End, Trouble};
use super::figure::{Figure, Table, note, quantile, sorted};
use super::sound::ear::{Heard, mouth_to_ear};
use super::sound::pulse::Pulse;
use serde_json::Value;
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
    table.row(of("of it in the jitter buffer, as told", None), &told("buffer_ms"));
    table.row(of("concealed in a run", None), &told("concealed_ms"));
    let (heard, missed) =
        runs.iter().fold((0, 0), |sum, (run, _)| (sum.0 + run.delays.len(), sum.1 + run.missed));
    note(&format!("{heard} of {} chirps heard", heard + missed));
    Ok(())
}

/// One call, and what its listener said of itself at its end.
fn call(pulse: &Pulse) -> Result<(Heard, Value), Trouble> {
    let mut environment = pulse.environment();
    // Where PulseAudio's cookie is, without which its client library cannot log in.
    let home = environment.iter().find(|(name, _)| *name == "HOME").map(|(_, home)| home.join(".config"));
    environment.extend(home.map(|config| ("XDG_CONFIG_HOME", config)));
    let sound = |microphone: &str, speaker: &str| {
        [format!("--audio=mic:{microphone}"), format!("--speaker={speaker}")]
            .into_iter()
            .chain(["--no-servers", "--video=none"].map(str::to_owned))
            .collect::<Vec<_>>()
    };
    let start = |first: &[&str], devices: Vec<String>| {
        let args: Vec<String> = first.iter().map(|arg| (*arg).to_owned()).chain(devices).collect();
        End::start_with(&args, &environment)
    };
    let mut speaks = start(&["offer"], sound("mic", "spk"))?;
    let (_, code) = speaks.code()?;
    let mut listens = start(&["answer", &code], sound("mic2", "spk2"))?;
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

fn number(told: &Value, name: &str) -> f64 {
    told.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN)
}
