//! `p2pcall demo`: a whole call on this machine between two ends and a relay, by the same code path as offer and
//! answer, over real loopback sockets. Nothing leaves the machine.

mod relay;

use super::run::{self, Part, Screen};
use super::settings;
use crate::call::ending::Ending;
use crate::call::event::{CallEvent, CodeKind, Command};
use crate::call::session::{self, Line};
use crate::cli::{DemoArgs, QrArgs, When};
use crate::code::paste::{self, Pasted};
use crate::config::{AudioChoice, CallConfig, NetworkConfig, SpeakerChoice, VideoChoice};
use crate::error::{Exit, Failure};
use crate::media::slot::Screens;
use std::net::Ipv4Addr;
use std::pin::pin;
use std::time::Duration;
use tokio::sync::mpsc;

/// Events that may wait.
const QUEUE: usize = 256;
/// How long the other end has to close its devices.
const FAREWELL: Duration = Duration::from_secs(1);

/// Shows a call with oneself.
pub async fn run(args: DemoArgs) -> Result<Exit, Failure> {
    settings::start_log(&args.call)?;
    let file = settings::config_file()?;
    let mut typed = args.call.clone();
    let own = (!typed.network.no_servers).then(relay::start).transpose()?;
    typed.network.relay = own.iter().map(|(_, link)| link.with_secrets()).collect();
    let alice = local(settings::call(&typed, &file)?, typed.network.relay_only);
    let bob = CallConfig {
        name: "demo friend".into(),
        media: crate::config::MediaConfig {
            speaker: SpeakerChoice::None,
            video_out: None,
            audio: match alice.media.audio {
                AudioChoice::Voice(_) => AudioChoice::Voice(1.0),
                ref same => same.clone(),
            },
            ..alice.media.clone()
        },
        // The code lets the friend in at the relay.
        network: NetworkConfig { relays: Vec::new(), ..alice.network.clone() },
        duration: None,
        record: None,
        ..alice.clone()
    };
    let no_qr = QrArgs { qr: When::Never, qr_png: None };
    let screen = Screen::new(&args.call, &file, Part::Demo, no_qr);
    let media = alice.media.clone();
    let calling =
        run::call(screen, &media, move |line| async move { Box::pin(both(&alice, &bob, line)).await });
    Box::pin(calling).await
}

/// What a demo uses unless it is told otherwise; its own relay and the loopback interface in any case.
fn local(config: CallConfig, relay_only: bool) -> CallConfig {
    let mut config = config;
    if config.media.video == VideoChoice::Default {
        config.media.video = VideoChoice::TestCard;
    }
    if config.media.audio == AudioChoice::Default {
        config.media.audio = AudioChoice::Voice(0.0);
    }
    config.network = NetworkConfig {
        stun: Vec::new(),
        relay_only,
        bind: vec![Ipv4Addr::LOCALHOST.into()],
        portmap: false,
        proxy: None,
        ..config.network
    };
    config.auto_accept = true;
    config.sdp = false;
    config
}

/// Both ends in this process; the offerer's is the one that is shown and commanded.
async fn both(alice: &CallConfig, bob: &CallConfig, line: Line) -> Ending {
    let (events, mut heard) = mpsc::channel(QUEUE);
    let (code_out, code_in) = tokio::sync::oneshot::channel();
    let started = line.started;
    let shown = line.events.clone();
    let seen_by_bob = Screens { remote: line.screens.local.clone(), ..Screens::default() };
    let watching = async move {
        let mut code_out = Some(code_out);
        while let Some((at, event)) = heard.recv().await {
            if let (CallEvent::Code(code), Some(out)) = (&event, code_out.take_if(|_| is_offer(&event))) {
                let _ = out.send(code.code.clone());
            }
            let _ = shown.send((at, event)).await;
        }
    };
    let offering = async {
        // What the friend sees stands in the place of the own picture: both have been through the whole call.
        let Screens { remote, levels, .. } = line.screens;
        let screens = Screens { remote, levels, ..Screens::default() };
        let line = Line { events, commands: line.commands, started, screens };
        session::offer(alice, line).await
    };
    let mut answering = pin!(answer_when_ready(bob, code_in, started, seen_by_bob));
    let mut calling = pin!(async { tokio::join!(offering, watching).0 });
    let mut answered = false;
    let ending = loop {
        tokio::select! {
            ending = &mut calling => break ending,
            () = &mut answering, if !answered => answered = true,
        }
    };
    if !answered {
        // It hears the hang-up, or was never heard: then it would ring on.
        let _ = tokio::time::timeout(FAREWELL, answering).await;
    }
    ending
}

fn is_offer(event: &CallEvent) -> bool {
    matches!(event, CallEvent::Code(code) if code.kind == CodeKind::Offer)
}

/// The other end: nobody sees its events, nobody commands it.
async fn answer_when_ready(
    bob: &CallConfig,
    code: tokio::sync::oneshot::Receiver<String>,
    started: std::time::Instant,
    screens: Screens,
) {
    let Ok(text) = code.await else { return };
    let Ok(Pasted::Offer(code)) = paste::read_offer(&text) else { return };
    let (events, mut unseen) = mpsc::channel::<(Duration, CallEvent)>(QUEUE);
    // Held open: a closed channel is a hang-up.
    let (_commands, told) = mpsc::channel::<Command>(1);
    let drain = async { while unseen.recv().await.is_some() {} };
    let answering = session::answer(bob, code, Line { events, commands: told, started, screens });
    tokio::join!(answering, drain);
}
