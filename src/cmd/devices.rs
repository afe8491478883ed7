//! `p2pcall devices`: what can be captured and played.

use crate::cli::JsonArgs;
use crate::error::{Exit, Failure};
use crate::media::device::{self, DeviceInfo};
use crate::media::source;
use serde::Serialize;
use std::fmt::Write as _;

#[derive(Serialize)]
struct List {
    v: u8,
    video: Vec<DeviceInfo>,
    audio_in: Vec<DeviceInfo>,
    audio_out: Vec<DeviceInfo>,
}

/// Prints the list.
pub async fn run(args: JsonArgs) -> Result<Exit, Failure> {
    let list = tokio::task::spawn_blocking(list).await.map_err(|error| {
        Failure::new(Exit::Failure, "internal", format!("Listing the devices broke: {error}."), "")
    })?;
    let text = if args.json { serde_json::to_string(&list).unwrap_or_default() + "\n" } else { list.text() };
    super::print(&text)
}

fn list() -> List {
    let cameras = source::cameras().into_iter().enumerate();
    let video = cameras
        .map(|(place, camera)| DeviceInfo {
            id: format!("camera:{}", camera.index),
            name: camera.name,
            default: place == 0,
        })
        .collect();
    let sound = device::devices();
    List { v: 1, video, audio_in: sound.audio_in, audio_out: sound.audio_out }
}

impl List {
    fn text(&self) -> String {
        let mut out = String::new();
        let groups = [
            ("Cameras", &self.video, "none (a call shows the test card)"),
            ("Microphones", &self.audio_in, "none (a call sends no sound)"),
            ("Speakers", &self.audio_out, "none (a call plays no sound)"),
        ];
        for (title, devices, none) in groups {
            let _ = writeln!(out, "{title}");
            if devices.is_empty() {
                let _ = writeln!(out, "  {none}");
            }
            for device in devices {
                let mark = if device.default { '*' } else { ' ' };
                let _ = writeln!(out, "{mark} {}  ({})", device.name, device.id);
            }
        }
        out.push_str("* is used when none is named: --video camera:N, --audio mic:NAME, --speaker NAME\n");
        out
    }
}
