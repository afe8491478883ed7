//! PURE: what was typed and what the config file says -> finished settings. Flags and their variables win
//! over the file, the file over the defaults.

use super::file::ConfigFile;
use super::proxy::{ProxyLink, proxy};
use super::{AudioChoice, CallConfig, MediaConfig, NetworkConfig, SpeakerChoice, VideoChoice};
use crate::call::channel::{MAX_NAME, clean};
use crate::cli::{CallArgs, MediaArgs, NetworkArgs};
use crate::error::Failure;
use p2pcall_relay::link::BadLink;
use std::sync::Arc;
use std::time::Duration;

/// The STUN servers asked unless others are given: two operators, so that one may fail.
pub const DEFAULT_STUN: [&str; 2] = ["stun.l.google.com:19302", "stun.cloudflare.com:3478"];
/// How long a lost connection is tried to be got back: a lift, a tunnel, a relay that is started again.
const RECONNECT: Duration = Duration::from_secs(120);
/// The largest own picture.
const MAX_SIZE: (u32, u32) = (1920, 1080);
/// The smallest own picture.
const MIN_SIZE: u32 = 16;

/// A call's settings. `login` is the person's login name.
pub fn call(args: &CallArgs, file: &ConfigFile, login: &str) -> Result<CallConfig, Failure> {
    let name = args.name.as_deref().or(file.name.as_deref()).unwrap_or(login);
    let name = clean(name, MAX_NAME);
    Ok(CallConfig {
        media: media(&args.media, file)?,
        network: network(&args.network, file)?,
        name: if name.is_empty() { "friend".into() } else { name },
        sdp: args.sdp,
        auto_accept: args.auto_accept || args.headless || args.json || file.auto_accept == Some(true),
        duration: seconds("--duration", args.duration)?,
        timeout: seconds("--timeout", args.timeout.or(file.timeout))?,
        reconnect: reconnect(args.reconnect.or(file.reconnect))?,
        save_to: args.save_to.clone().or_else(|| file.save_to.clone()).unwrap_or_else(|| ".".into()),
        record: args.record.clone(),
    })
}

/// Sound and picture.
pub fn media(args: &MediaArgs, file: &ConfigFile) -> Result<MediaConfig, Failure> {
    let defaults = MediaConfig::default();
    let video = args.video.as_deref().or(file.video.as_deref()).map_or(Ok(VideoChoice::Default), video)?;
    let audio = args.audio.as_deref().or(file.audio.as_deref()).map_or(Ok(AudioChoice::Default), audio)?;
    let speaker =
        args.speaker.as_deref().or(file.speaker.as_deref()).map_or(Ok(SpeakerChoice::Default), speaker)?;
    let video_out = match args.video_out.as_deref().map(|text| text.split_once(':')) {
        None => None,
        Some(Some(("file", path))) if !path.is_empty() => Some(path.into()),
        Some(_) => {
            return Err(Failure::usage(
                "--video-out takes file:PATH.",
                "For example --video-out file:friend.y4m",
            ));
        }
    };
    let fps = args.fps.or(file.fps).unwrap_or(defaults.fps);
    if !(1..=60).contains(&fps) {
        return Err(Failure::usage("fps is 1 to 60.", "For example fps = 30"));
    }
    let bitrate = args.bitrate.or(file.bitrate).unwrap_or(defaults.bitrate);
    if !(24..=50_000).contains(&bitrate) {
        return Err(Failure::usage("bitrate is 24 to 50000 kbit/s.", "For example bitrate = 600"));
    }
    Ok(MediaConfig {
        video,
        audio,
        speaker,
        video_out,
        fps,
        size: args.size.as_deref().or(file.size.as_deref()).map_or(Ok(defaults.size), size)?,
        bitrate,
        headphones: args.headphones || file.headphones == Some(true),
    })
}

/// Where addresses come from.
pub fn network(args: &NetworkArgs, file: &ConfigFile) -> Result<NetworkConfig, Failure> {
    let no_servers =
        args.no_servers || (file.no_servers == Some(true) && args.relay.is_empty() && !args.relay_only);
    let relay_only = args.relay_only || (file.relay_only == Some(true) && !args.no_servers);
    let links: Vec<&str> = match args.relay.is_empty() {
        true => file.relays.values().map(String::as_str).collect(),
        false => args.relay.iter().map(String::as_str).collect(),
    };
    let servers: Vec<&str> = match (args.stun.is_empty(), &file.stun) {
        (false, _) => args.stun.iter().map(String::as_str).collect(),
        (true, Some(list)) => list.iter().map(String::as_str).collect(),
        (true, None) => DEFAULT_STUN.to_vec(),
    };
    // Parsed also where they are not used: a typo is a typo.
    let relays =
        links.into_iter().map(str::parse).collect::<Result<Vec<_>, _>>().map_err(|error| bad_link(&error))?;
    let stun = servers
        .into_iter()
        .map(str::parse)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| bad_link(&error))?;
    let proxy = match args.proxy.as_deref().or(file.proxy.as_deref()) {
        None | Some("") => None,
        Some(text) => Some(link_to_proxy(text)?.but_for(file.no_proxy.as_deref().unwrap_or_default())),
    };
    let bind = if args.bind.is_empty() { file.bind.clone().unwrap_or_default() } else { args.bind.clone() };
    Ok(NetworkConfig {
        stun: if no_servers || relay_only { Vec::new() } else { stun },
        relays: if no_servers { Vec::new() } else { relays },
        no_servers,
        relay_only,
        bind,
        portmap: !(no_servers || relay_only || args.no_portmap || file.no_portmap == Some(true)),
        proxy: proxy.map(Arc::new),
    })
}

/// Whether these settings can make a call. A code that is answered may bring its own relay; one that is made has to
/// name one.
pub fn can_offer(network: &NetworkConfig) -> Result<(), Failure> {
    if network.relay_only && network.relays.is_empty() {
        let help = "Give one with --relay LINK, or store one: p2pcall relay add LINK";
        return Err(Failure::usage("--relay-only needs a relay.", help));
    }
    Ok(())
}

fn bad_link(error: &BadLink) -> Failure {
    Failure::usage(
        format!("{error}"),
        "A relay is turn:USER:PASSWORD@HOST:PORT or turn:HOST:PORT?secret=SECRET; a STUN server is HOST:PORT.",
    )
}

fn link_to_proxy(text: &str) -> Result<ProxyLink, Failure> {
    let help = "For example --proxy socks5://127.0.0.1:1080; an empty --proxy= uses none.";
    proxy(text).map_err(|error| Failure::usage(format!("{error}."), help))
}

fn video(text: &str) -> Result<VideoChoice, Failure> {
    match text.split_once(':').map_or((text, None), |(word, rest)| (word, Some(rest))) {
        ("camera", None) => Ok(VideoChoice::Camera(0)),
        ("camera", Some(number)) => number.parse().map(VideoChoice::Camera).map_err(|_| {
            Failure::usage(
                format!("`{}` is not the number of a camera.", clean(number, 40)),
                "See `p2pcall devices`.",
            )
        }),
        ("test", None) => Ok(VideoChoice::TestCard),
        ("none", None) => Ok(VideoChoice::None),
        ("file", Some(path)) if !path.is_empty() => Ok(VideoChoice::File(path.into())),
        _ => Err(Failure::usage(
            format!("--video does not take `{}`.", clean(text, 60)),
            "It takes camera, camera:N, test, file:PATH or none.",
        )),
    }
}

fn audio(text: &str) -> Result<AudioChoice, Failure> {
    match text.split_once(':').map_or((text, None), |(word, rest)| (word, Some(rest))) {
        ("mic", name) => Ok(AudioChoice::Microphone(name.filter(|name| !name.is_empty()).map(str::to_owned))),
        ("tone", None) => Ok(AudioChoice::Tone),
        ("none", None) => Ok(AudioChoice::None),
        ("file", Some(path)) if !path.is_empty() => Ok(AudioChoice::File(path.into())),
        _ => Err(Failure::usage(
            format!("--audio does not take `{}`.", clean(text, 60)),
            "It takes mic, mic:NAME, tone, file:PATH or none.",
        )),
    }
}

fn speaker(text: &str) -> Result<SpeakerChoice, Failure> {
    match text.split_once(':') {
        Some(("file", "")) => {
            Err(Failure::usage("--speaker file: needs a path.", "For example --speaker file:heard.wav"))
        }
        Some(("file", path)) => Ok(SpeakerChoice::File(path.into())),
        _ if text == "default" => Ok(SpeakerChoice::Default),
        _ if text == "none" => Ok(SpeakerChoice::None),
        _ if text.is_empty() => {
            Err(Failure::usage("--speaker needs a value.", "default, NAME, file:PATH or none."))
        }
        _ => Ok(SpeakerChoice::Named(text.to_owned())),
    }
}

/// `WxH`; odd sizes are rounded down to even ones, which 4:2:0 wants.
fn size(text: &str) -> Result<(u32, u32), Failure> {
    let wrong = || {
        let (width, height) = MAX_SIZE;
        Failure::usage(
            format!("`{}` is not a size.", clean(text, 40)),
            format!("WIDTHxHEIGHT, {MIN_SIZE}x{MIN_SIZE} to {width}x{height}: for example 640x360."),
        )
    };
    let (width, height) = text.split_once(['x', 'X']).ok_or_else(wrong)?;
    let (width, height): (u32, u32) =
        (width.parse().map_err(|_| wrong())?, height.parse().map_err(|_| wrong())?);
    let fits = (MIN_SIZE..=MAX_SIZE.0).contains(&width) && (MIN_SIZE..=MAX_SIZE.1).contains(&height);
    if fits { Ok((width & !1, height & !1)) } else { Err(wrong()) }
}

/// At most a day, at least a tenth of a second.
fn seconds(flag: &str, value: Option<f64>) -> Result<Option<Duration>, Failure> {
    match value {
        None => Ok(None),
        Some(value) if (0.1..=86_400.0).contains(&value) => Ok(Some(Duration::from_secs_f64(value))),
        Some(_) => Err(Failure::usage(format!("{flag} takes 0.1 to 86400 seconds."), "For example 30.")),
    }
}

/// Zero is a wish of its own: not at all.
fn reconnect(value: Option<f64>) -> Result<Duration, Failure> {
    match value {
        Some(0.0) => Ok(Duration::ZERO),
        value => Ok(seconds("--reconnect", value)?.unwrap_or(RECONNECT)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args() -> CallArgs {
        CallArgs::default()
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_the_defaults() {
        let file =
            ConfigFile { video: Some("test".into()), name: Some("File".into()), ..ConfigFile::default() };
        let mut typed = args();
        assert_eq!(call(&typed, &ConfigFile::default(), "login").unwrap().name, "login");
        assert_eq!(call(&typed, &file, "login").unwrap().name, "File");
        typed.name = Some("Typed".into());
        typed.media.video = Some("none".into());
        let settled = call(&typed, &file, "login").unwrap();
        assert_eq!(settled.name, "Typed");
        assert_eq!(settled.media.video, VideoChoice::None);
    }

    #[test]
    fn no_servers_means_none_at_all() {
        let mut typed = args();
        typed.network.no_servers = true;
        let settled = call(&typed, &ConfigFile::default(), "x").unwrap().network;
        assert!(settled.stun.is_empty() && settled.relays.is_empty() && settled.no_servers);
    }

    #[test]
    fn typos_are_refused_with_what_is_allowed() {
        for (text, parse) in
            [("camra", video as fn(&str) -> _), ("camera:x", video), ("file:", video), ("test:1", video)]
        {
            assert_eq!(parse(text).unwrap_err().exit as u8, 2, "{text}");
        }
        assert!(audio("micc").is_err() && audio("file:").is_err());
        for text in ["640", "0x0", "640x", "x360", "10000x10000", "-1x5", "640x360x2"] {
            assert!(size(text).is_err(), "{text}");
        }
        assert_eq!(size("641x361").unwrap(), (640, 360));
        assert!(seconds("--duration", Some(f64::NAN)).is_err());
        assert!(reconnect(Some(-1.0)).is_err());
        assert_eq!(reconnect(Some(0.0)).unwrap(), Duration::ZERO);
    }

    #[test]
    fn headless_lets_in_whoever_authenticated() {
        let mut typed = args();
        typed.json = true;
        assert!(call(&typed, &ConfigFile::default(), "x").unwrap().auto_accept);
    }

    #[test]
    fn relay_only_without_a_relay_can_answer_and_not_offer() {
        let mut typed = args();
        assert!(can_offer(&network(&typed.network, &ConfigFile::default()).unwrap()).is_ok());
        typed.network.relay_only = true;
        let alone = network(&typed.network, &ConfigFile::default()).unwrap();
        assert!(alone.relay_only && can_offer(&alone).is_err());
    }
}
