//! The full-screen display on a real terminal, with a scripted call instead of a real one: for trying layouts,
//! terminals, signals and panics by hand (`cargo run --example screens -- offer|prompt|reply|call|demo|panic`).
#![expect(clippy::expect_used, clippy::print_stderr, reason = "a developer's tool")]

use p2pcall::call::event::{
    CallEvent, CallState, CodeEvent, CodeForm, CodeKind, Command, DirectionStats, EndReason, Notice,
    PathEvent, PathKind, Protocol, Side, StateEvent, StatsEvent, VideoStats,
};
use p2pcall::cli::{Color, Render};
use p2pcall::media::frame::VideoFrame;
use p2pcall::media::level::Gauge;
use p2pcall::media::slot::Slot;
use p2pcall::tui::model::{QrView, Role, Share};
use p2pcall::tui::{TuiSetup, run};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Events' way to the screen.
type Events = mpsc::Sender<(Duration, CallEvent)>;

#[tokio::main]
async fn main() {
    let script = std::env::args().nth(1).unwrap_or_else(|| "call".to_owned());
    let (events, to_screen) = mpsc::channel(256);
    let (to_call, mut commands) = mpsc::channel(256);
    let (remote, local) = (Slot::new(), Slot::new());
    tokio::spawn(moving_picture(remote.clone(), 1));
    tokio::spawn(moving_picture(local.clone(), 3));
    let panics = script == "panic";
    let setup = TuiSetup {
        role: match script.as_str() {
            "offer" | "panic" => Role::Offer,
            "demo" => Role::Demo,
            _ => Role::Answer,
        },
        ask_code: script == "prompt",
        auto_accept: false,
        clipboard: true,
        headphones: false,
        render: Render::Auto,
        color: Color::Auto,
        titles: None,
        events: to_screen,
        commands: to_call,
        remote: Box::new(remote),
        local: Box::new(local),
        levels: Gauge::default(),
        share: Box::new(move |code| {
            assert!(!panics, "a panic on the screen's own thread, asked for");
            share(code)
        }),
        log: None,
    };
    let play = tokio::spawn(play(script, events.clone()));
    let answer = tokio::spawn(async move {
        while let Some(command) = commands.recv().await {
            obey(command, &events).await;
        }
    });
    match run(setup).await {
        Ok(ended) => eprintln!("{ended:?}"),
        Err(failure) => eprintln!("{failure}"),
    }
    play.abort();
    answer.abort();
}

fn share(code: &CodeEvent) -> Share {
    let modules = (0..33_usize).map(|row| (0..33).map(|column| (row * column + row / 3) % 3 == 0).collect());
    let qr = (code.kind == CodeKind::Offer).then(|| QrView { modules: modules.collect(), quiet: 2 });
    Share { invitation: format!("Call me: p2pcall answer {}", code.code), qr }
}

/// The call's side of the script.
async fn play(script: String, events: Events) {
    if script != "prompt" {
        state(&events, CallState::Gathering, Some("Asking for this network's address.")).await;
    }
    match script.as_str() {
        "offer" | "panic" => {
            state(&events, CallState::Waiting, Some("Reachable in the local network.")).await;
            code(&events, CodeKind::Offer, &format!("P2P{}", "42576ECCGZV0".repeat(8))).await;
        }
        "reply" => {
            state(&events, CallState::Connecting, Some("Trying 192.168.1.20.")).await;
            code(&events, CodeKind::Answer, "531N-2G66-6DJ4-VQ7E").await;
        }
        "prompt" => {}
        _ => connect(&events).await,
    }
    std::future::pending::<()>().await;
}

async fn connect(events: &Events) {
    state(events, CallState::Connected, None).await;
    let path = PathEvent {
        kind: PathKind::Host,
        local: PathKind::Host,
        remote: PathKind::Host,
        protocol: Protocol::Udp,
        family: 4,
        rtt_ms: Some(3),
        why: "Both ends are in the same network.".to_owned(),
        local_address: None,
        remote_address: None,
    };
    send(events, CallEvent::Path(path)).await;
    send(events, CallEvent::Verify { words: "apple river stone cloud".to_owned(), verified: false }).await;
    send(events, CallEvent::Chat { from: Side::Remote, text: "hello there".to_owned() }).await;
    for second in 0_u64.. {
        let side = DirectionStats {
            audio_kbps: 32,
            video_kbps: 480,
            packets: second * 70,
            ..DirectionStats::default()
        };
        let stats = StatsEvent {
            rtt_ms: Some(3.0),
            jitter_ms: Some(1.5),
            sent: side.clone(),
            received: side,
            video: VideoStats { width: 640, height: 360, shown_fps: 30.0, ..VideoStats::default() },
            ..StatsEvent::default()
        };
        send(events, CallEvent::Stats(Box::new(stats))).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// What the call does when it is told something.
async fn obey(command: Command, events: &Events) {
    match command {
        Command::Hangup => {
            let event = StateEvent {
                state: CallState::Ended,
                name: None,
                reason: Some(EndReason::Hangup),
                message: None,
                help: None,
                explanation: None,
            };
            send(events, CallEvent::State(event)).await;
        }
        Command::Say(text) => send(events, CallEvent::Chat { from: Side::Local, text }).await,
        Command::Paste(_) => {
            let notice = Notice {
                code: "bad_code",
                message: "A character of the code is wrong.".to_owned(),
                help: "Copy it once more.".to_owned(),
            };
            send(events, CallEvent::Error(notice)).await;
        }
        _ => {}
    }
}

async fn state(events: &Events, state: CallState, message: Option<&str>) {
    let message = message.map(str::to_owned);
    send(
        events,
        CallEvent::State(StateEvent {
            state,
            name: None,
            reason: None,
            message,
            help: None,
            explanation: None,
        }),
    )
    .await;
}

async fn code(events: &Events, kind: CodeKind, code: &str) {
    let (code, chars) = (code.to_owned(), code.len());
    let event = CodeEvent { kind, form: CodeForm::P2p, code, chars, reply_needed: None, expires_in: 900 };
    send(events, CallEvent::Code(event)).await;
}

async fn send(events: &Events, event: CallEvent) {
    events.send((Duration::ZERO, event)).await.expect("the screen is up");
}

/// Bands of colour that move, 30 a second.
async fn moving_picture(slot: Slot<Arc<VideoFrame>>, speed: usize) {
    for time in 0_usize.. {
        let mut frame = VideoFrame::black(640, 360);
        let width = frame.width as usize;
        for (index, sample) in frame.y.iter_mut().enumerate() {
            *sample = (16 + (index % width / 4 + index / width / 2 + time * speed * 4) % 200) as u8;
        }
        for (index, sample) in frame.u.iter_mut().enumerate() {
            *sample = (64 + index / 640 % 128) as u8;
        }
        slot.put(Arc::new(frame));
        tokio::time::sleep(Duration::from_millis(33)).await;
    }
}
