//! Sound devices: which there are, which one is meant, how they are asked for sound. The only place, with
//! `device/keeper.rs`, microphone and speaker, that names `cpal`. Knows no codec and no call.
//!
//! On Linux PulseAudio (or PipeWire's version of it) comes first, and ALSA is asked only where that is not
//! running: its plugins print, probe hardware, and are slow. Everything here may block for seconds when a
//! sound server is stuck: never call it on an async thread or the screen's.

pub mod format;
pub mod keeper;

use crate::error::{Exit, Failure};
use crate::media::quiet;
use cpal::traits::{DeviceTrait, HostTrait};
use serde::Serialize;
use std::sync::{Arc, Mutex, PoisonError};

/// The two kinds of device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceKind {
    /// Captures.
    Microphone,
    /// Plays.
    Speaker,
}

impl DeviceKind {
    /// Its name in a sentence.
    pub fn name(self) -> &'static str {
        match self {
            Self::Microphone => "microphone",
            Self::Speaker => "speaker",
        }
    }
}

/// A device as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeviceInfo {
    /// What the system calls it, unique; control characters removed.
    pub id: String,
    /// What a person calls it; control characters removed.
    pub name: String,
    /// Whether it is the one used when none is asked for.
    pub default: bool,
}

/// All sound devices.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Devices {
    /// Microphones and line inputs; not the monitors of speakers.
    pub audio_in: Vec<DeviceInfo>,
    /// Speakers.
    pub audio_out: Vec<DeviceInfo>,
}

/// Why there is no such device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// No sound server and no sound card.
    #[error("this machine has no sound system that answers")]
    NoSystem,
    /// None of this kind.
    #[error("there is none")]
    None,
    /// None that matches.
    #[error("there is no {} called \"{wanted}\"", kind.name())]
    NotFound {
        /// Which kind.
        kind: DeviceKind,
        /// What was asked for.
        wanted: String,
        /// What there is, by name.
        choices: Vec<String>,
    },
    /// It is there and cannot be used.
    #[error("{name}: {reason}")]
    Unusable {
        /// Its name.
        name: String,
        /// Why, as the system says it.
        reason: String,
    },
}

impl DeviceError {
    /// How a device asked for by name fails at the start: exit 5, with what there is instead.
    pub fn failure(&self, kind: DeviceKind) -> Failure {
        let help = match self {
            Self::NotFound { choices, .. } if !choices.is_empty() => {
                format!("There is: {}.", choices.join(", "))
            }
            _ => "`p2pcall devices` lists what there is.".to_owned(),
        };
        let message = match self {
            Self::NotFound { .. } => self.to_string(),
            other => format!("no {}: {other}", kind.name()),
        };
        Failure::new(Exit::NoDevice, "no_device", message, help)
    }
}

/// A device that was found.
pub struct Found {
    /// The device itself.
    pub device: cpal::Device,
    /// What it is called.
    pub info: DeviceInfo,
    /// Frames to ask it for per callback, at 48 kHz.
    pub period: u32,
}

/// The sound system that a device was found in, to ask whether it is still there.
pub struct System(Arc<cpal::Host>);

impl System {
    /// Whether a device is still there, where the system would not say so by itself: PulseAudio silently moves
    /// the stream of a device that has gone to another one, be it a speaker's monitor.
    pub fn has(&self, found: &Found) -> bool {
        if !is_pulse(&self.0) {
            return true;
        }
        let Ok(mut devices) = self.0.devices() else { return false };
        devices.any(|device| device == found.device)
    }
}

impl std::fmt::Debug for System {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("System").field(&self.0.id()).finish()
    }
}

impl std::fmt::Debug for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Found").field("info", &self.info).finish_non_exhaustive()
    }
}

/// Lists all devices; nothing where there is no sound system. May block for seconds.
pub fn devices() -> Devices {
    let _quiet = quiet::discard_stderr();
    let Some(host) = host() else { return Devices::default() };
    let list = |kind| {
        let all = list(&host, kind).into_iter().map(|found| found.info);
        all.filter(|info| !is_monitor(&info.id)).collect()
    };
    Devices { audio_in: list(DeviceKind::Microphone), audio_out: list(DeviceKind::Speaker) }
}

/// Finds the device that is meant: the default one, or the one whose id or name is `wanted`, or else the
/// first one whose name or id contains it, in any case. May block for seconds.
///
/// # Errors
/// When there is none.
pub fn find(kind: DeviceKind, wanted: Option<&str>) -> Result<(System, Found), DeviceError> {
    let _quiet = quiet::discard_stderr();
    let host = host().ok_or(DeviceError::NoSystem)?;
    let mut all = list(&host, kind);
    let infos: Vec<&DeviceInfo> = all.iter().map(|found| &found.info).collect();
    let chosen = match wanted {
        Some(wanted) => choose(&infos, wanted).ok_or_else(|| DeviceError::NotFound {
            kind,
            wanted: printable(wanted),
            choices: infos.iter().filter(|i| !is_monitor(&i.id)).map(|i| i.name.clone()).collect(),
        })?,
        None => choose_default(&infos).ok_or(DeviceError::None)?,
    };
    let found = all.swap_remove(chosen);
    Ok((System(host), found))
}

/// The one connection to PulseAudio. Each one that is made costs a thread and one of the server's 64 places
/// until the server ends, whether it is used or not.
static PULSE: Mutex<Option<Arc<cpal::Host>>> = Mutex::new(None);

/// The first sound system that answers, in cpal's order: PulseAudio before ALSA on Linux.
fn host() -> Option<Arc<cpal::Host>> {
    let mut pulse = PULSE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(host) = pulse.as_ref().filter(|host| host.devices().is_ok()) {
        return Some(Arc::clone(host));
    }
    *pulse = None;
    let host =
        cpal::available_hosts().into_iter().find_map(|id| cpal::host_from_id(id).ok()).map(Arc::new)?;
    if is_pulse(&host) {
        *pulse = Some(Arc::clone(&host));
    }
    Some(host)
}

fn is_pulse(host: &cpal::Host) -> bool {
    host.id().name() == "PulseAudio"
}

/// Frames asked for per callback, at 48 kHz: 10 ms. ALSA's plugins err with less.
const PERIOD: u32 = 480;
/// Of PulseAudio 5 ms; without asking it grants two seconds. It delivers a microphone in such portions, keeps two of
/// a speaker's, and a third waits in our ring: each millisecond of it is four from mouth to ear. With a load of ten a
/// processor a speaker stutters as often (for some milliseconds, once in five seconds) with 10 ms.
const PULSE_PERIOD: u32 = 240;

fn list(host: &cpal::Host, kind: DeviceKind) -> Vec<Found> {
    let default = match kind {
        DeviceKind::Microphone => host.default_input_device(),
        DeviceKind::Speaker => host.default_output_device(),
    };
    let default = default.and_then(|device| id(&device));
    let Ok(devices) = host.devices() else { return Vec::new() };
    let period = if is_pulse(host) { PULSE_PERIOD } else { PERIOD };
    let usable = |device: &cpal::Device| match kind {
        DeviceKind::Microphone => device.supports_input(),
        DeviceKind::Speaker => device.supports_output(),
    };
    devices
        .filter_map(|device| {
            let id = id(&device).filter(|id| is_worth_probing(id))?;
            let name = device.description().ok().map(|d| printable(d.name())).filter(|name| !name.is_empty());
            let info = DeviceInfo {
                default: default.as_ref() == Some(&id),
                name: name.unwrap_or_else(|| id.clone()),
                id,
            };
            usable(&device).then_some(Found { device, info, period })
        })
        .collect()
}

fn id(device: &cpal::Device) -> Option<String> {
    device.id().ok().map(|id| printable(id.id()))
}

/// ALSA lists every plugin for every card; asking them opens them. These are the ones that stand for a
/// device. (Other systems' ids contain no such words.)
fn is_worth_probing(id: &str) -> bool {
    const PLUGINS: [&str; 14] = [
        "null",
        "hw:",
        "dmix",
        "dsnoop",
        "front:",
        "rear:",
        "center_lfe:",
        "side:",
        "surround",
        "iec958",
        "hdmi:",
        "oss",
        "speex",
        "upmix",
    ];
    !PLUGINS.iter().any(|plugin| id.starts_with(plugin))
        && !["lavrate", "samplerate", "speexrate", "vdownmix", "usbstream:", "jack"].contains(&id)
}

/// PulseAudio offers what a speaker plays as something to record, and takes it for the default microphone
/// where there is no other: the friend would hear himself.
fn is_monitor(id: &str) -> bool {
    id.ends_with(".monitor")
}

fn choose_default(devices: &[&DeviceInfo]) -> Option<usize> {
    let real = |info: &&DeviceInfo| !is_monitor(&info.id);
    devices.iter().position(|info| info.default && real(info)).or_else(|| devices.iter().position(real))
}

fn choose(devices: &[&DeviceInfo], wanted: &str) -> Option<usize> {
    let lower = wanted.to_lowercase();
    let contains = |info: &&DeviceInfo| {
        info.name.to_lowercase().contains(&lower) || info.id.to_lowercase().contains(&lower)
    };
    devices
        .iter()
        .position(|info| info.id == wanted)
        .or_else(|| devices.iter().position(|info| info.name == wanted))
        .or_else(|| devices.iter().position(|info| !is_monitor(&info.id) && contains(info)))
        .or_else(|| devices.iter().position(contains))
}

/// Names come from outside: no control characters, one line, not too long.
fn printable(name: &str) -> String {
    let line = name.lines().next().unwrap_or_default();
    line.chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(id: &str, name: &str, default: bool) -> DeviceInfo {
        DeviceInfo { id: id.into(), name: name.into(), default }
    }

    #[test]
    fn a_device_is_meant_by_id_by_name_or_by_a_part_of_either() {
        let devices = [
            info("alsa_output.pci.monitor", "Monitor of Built-in Audio", false),
            info("alsa_input.pci", "Built-in Audio", true),
            info("alsa_input.usb-Blue_Yeti", "Yeti Stereo Microphone", false),
        ];
        let all: Vec<&DeviceInfo> = devices.iter().collect();
        for (wanted, expected) in [
            ("alsa_input.pci", Some(1)),
            ("Built-in Audio", Some(1)),
            ("built-in", Some(1)),
            ("yeti", Some(2)),
            ("BLUE", Some(2)),
            ("monitor", Some(0)),
            ("alsa_output.pci.monitor", Some(0)),
            ("webcam", None),
        ] {
            assert_eq!(choose(&all, wanted), expected, "{wanted}");
        }
    }

    #[test]
    fn a_speakers_monitor_is_never_the_default_microphone() {
        let monitor = info("spk.monitor", "Monitor of Speaker", true);
        let microphone = info("mic", "Mic", false);
        assert_eq!(choose_default(&[&monitor, &microphone]), Some(1));
        assert_eq!(choose_default(&[&monitor]), None);
        assert_eq!(choose_default(&[&info("a", "A", false), &info("b", "B", true)]), Some(1));
    }

    #[test]
    fn a_missing_device_is_exit_5_and_names_the_choices() {
        let error = DeviceError::NotFound {
            kind: DeviceKind::Microphone,
            wanted: "webcam".into(),
            choices: vec!["Built-in".into(), "Yeti".into()],
        };
        let failure = error.failure(DeviceKind::Microphone);
        assert_eq!(failure.exit, Exit::NoDevice);
        assert!(failure.message.contains("webcam") && failure.help.contains("Built-in, Yeti"), "{failure}");
    }

    #[test]
    fn names_of_devices_are_made_harmless() {
        assert_eq!(printable("Card\u{1b}[2J, Device\nPurpose"), "Card[2J, Device");
        assert_eq!(printable(&"x".repeat(1000)).len(), 200);
    }
}
