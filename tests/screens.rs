//! Every screen at five sizes, as snapshots; and no screen at any size panics or leaves its cells. Pictures
//! show as shaded areas: `░` the friend's, `▒` the own.
#![expect(clippy::indexing_slicing, clippy::expect_used, reason = "a test that fails here is to fail")]
#![expect(clippy::format_push_string, reason = "a few lines of text")]

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use p2pcall::call::event::{
    AudioStats, CallEvent, CallState, CodeEvent, CodeForm, CodeKind, CodecNames, DirectionStats, Notice,
    PathEvent, PathKind, Protocol, RecordingEvent, Side, StateEvent, StatsEvent, VideoStats,
};
use p2pcall::code::network::{Mapping, NetworkSummary, Udp};
use p2pcall::media::level::Levels;
use p2pcall::nat::explain::{Attempt, Pair, Reply, explain};
use p2pcall::nat::predict::Meeting;
use p2pcall::picture::{CellSize, ColorDepth};
use p2pcall::tui::input::TextInput;
use p2pcall::tui::model::{CODE_LIMIT, Copied, CopyWhat, Model, QrView, Role, Screen, Share, Which};
use p2pcall::tui::theme::Look;
use p2pcall::tui::update::{Msg, update};
use p2pcall::tui::view::{pictures, view, wrapped};
use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::layout::{Position, Rect};
use std::time::Duration;

const SIZES: [(u16, u16); 5] = [(40, 12), (60, 18), (80, 24), (120, 36), (200, 60)];
const CELL: CellSize = CellSize { width: 8, height: 16 };
const UTF8: Look = Look { colors: ColorDepth::True, utf8: true, cell: CELL };
const CODE: &str =
    "P2P42576ECCGZV0H9QK3TDM8Y1R7XW5N2B4JFA6S0C8E3G7HK9MPQRTVWXYZ0123456789ABCDEFGHJKMNPQRSTVWXYZ0123456";

/// A screen under way: messages go in one after the other.
struct Script(Model);

impl Script {
    fn new(role: Role) -> Self {
        Self(Model::new(role, UTF8, (80, 24)))
    }

    fn then(mut self, msg: Msg) -> Self {
        update(&mut self.0, msg, Duration::from_secs(28));
        self
    }

    fn call(self, event: CallEvent) -> Self {
        self.then(Msg::Call(event))
    }

    fn state(self, state: CallState, name: Option<&str>, message: Option<&str>) -> Self {
        let (name, message) = (name.map(str::to_owned), message.map(str::to_owned));
        self.call(CallEvent::State(StateEvent {
            state,
            name,
            reason: None,
            message,
            help: None,
            explanation: None,
        }))
    }

    fn keys(self, keys: &str) -> Self {
        keys.chars().fold(self, |script, key| {
            script.then(Msg::Key(KeyEvent::new(KeyCode::Char(key), KeyModifiers::NONE)))
        })
    }

    fn key(self, key: KeyCode) -> Self {
        self.then(Msg::Key(KeyEvent::new(key, KeyModifiers::NONE)))
    }

    fn tick(mut self, at: u64) -> Self {
        let levels = Levels { input_dbfs: Some(-31.0), output_dbfs: -24.0 };
        update(&mut self.0, Msg::Tick(levels), Duration::from_secs(at));
        self
    }
}

fn code(kind: CodeKind, code: &str, reply_needed: Option<bool>) -> Msg {
    let event = CodeEvent {
        kind,
        form: CodeForm::P2p,
        code: code.to_owned(),
        chars: code.len(),
        reply_needed,
        expires_in: 900,
    };
    let modules = (0..33_usize).map(|row| (0..33).map(|column| (row * column + row / 3) % 3 == 0).collect());
    let qr = (kind == CodeKind::Offer).then(|| QrView { modules: modules.collect(), quiet: 2 });
    Msg::Code(event, Share { invitation: format!("Call me: p2pcall answer {code}"), qr })
}

fn waiting() -> Script {
    Script::new(Role::Offer)
        .state(CallState::Gathering, None, Some("Asking stun.example.org for this network's address."))
        .state(CallState::Waiting, None, Some("Reachable in the local network and through 203.0.113.7."))
        .then(code(CodeKind::Offer, CODE, None))
        .then(Msg::Copied(CopyWhat::Invitation, Copied::ToTerminal))
}

fn reply() -> Script {
    Script::new(Role::Answer)
        .state(CallState::Connecting, None, Some("Trying 192.168.1.20 and 203.0.113.7."))
        .then(code(CodeKind::Answer, "531N-2G66-6DJ4-VQ7E", Some(true)))
        .then(Msg::Copied(CopyWhat::Invitation, Copied::Certain))
}

/// An attempt between two networks that hide their ports, ten seconds in.
fn attempt() -> CallEvent {
    let pair = |local: &str, remote: &str, remote_kind, sent, heard| Pair {
        local: local.parse().expect("an address"),
        local_kind: PathKind::Host,
        protocol: Protocol::Udp,
        remote: remote.parse().expect("an address"),
        remote_kind,
        sent,
        answered: 0,
        heard,
        refused: false,
        forbidden: false,
    };
    let (lan, vpn) = ("192.168.100.105:41234", "[2001:db8:7:1234:5678:9abc:def0:3]:41234");
    let network = NetworkSummary { mapping: Mapping::Dependent, udp: Udp::Open, ..NetworkSummary::default() };
    let attempt = Attempt {
        meeting: Meeting { ours: network, theirs: network, same_address: Some(false), ..Meeting::default() },
        pairs: vec![
            pair(lan, "203.0.113.119:54321", PathKind::Srflx, 260, 0),
            pair(lan, "203.0.113.119:61002", PathKind::Prflx, 12, 7),
            pair(lan, "192.168.1.20:54321", PathKind::Host, 260, 0),
            pair(vpn, "[2001:db8:9:1234:5678:9abc:def0:9]:54321", PathKind::Host, 260, 0),
        ],
        reply: Reply::Shown,
        ..Attempt::default()
    };
    CallEvent::Pairs(Box::new(explain(&attempt).expect("pairs were tried")))
}

fn prompt() -> Script {
    let mut script = Script::new(Role::Answer);
    script.0.screen = Screen::Prompt(TextInput::new(CODE_LIMIT));
    script.then(Msg::Paste("P2P42576ECCG".to_owned())).call(CallEvent::Error(Notice {
        code: "cut_off",
        message: "The code is cut off after 12 characters.".to_owned(),
        help: "Copy the whole line and paste it again.".to_owned(),
    }))
}

fn path(kind: PathKind) -> CallEvent {
    CallEvent::Path(PathEvent {
        kind,
        local: kind,
        remote: PathKind::Host,
        protocol: if kind == PathKind::Relay { Protocol::Tls } else { Protocol::Udp },
        family: 4,
        rtt_ms: Some(12),
        why: "Both ends are in the same network.".to_owned(),
        local_address: Some(([192, 168, 1, 20], 50123).into()),
        remote_address: Some(([192, 168, 1, 31], 40312).into()),
    })
}

fn stats() -> CallEvent {
    let side = |audio_kbps, video_kbps| DirectionStats {
        audio_kbps,
        video_kbps,
        packets: 18_211,
        lost: 37,
        loss: 0.004,
    };
    CallEvent::Stats(Box::new(StatsEvent {
        rtt_ms: Some(12.4),
        sent: side(32, 480),
        received: side(31, 455),
        jitter_ms: Some(3.2),
        video: VideoStats {
            sent_fps: 30.0,
            shown_fps: 29.0,
            width: 640,
            height: 360,
            frames_decoded: 8_120,
            freezes: 1,
            freeze_ms: 620,
            frozen: false,
            delay_ms: Some(38.6),
        },
        audio: AudioStats {
            level_in_dbfs: Some(-31.0),
            level_out_dbfs: Some(-24.0),
            concealed_ms: 80,
            silent_ms: 0,
            buffer_ms: 38,
            delay_ms: Some(91.4),
        },
        target_kbps: 600,
        relayed_bytes: 0,
        codecs: CodecNames {
            audio: Some("Opus".to_owned()),
            video_sent: Some("H.264".to_owned()),
            video_received: Some("H.264".to_owned()),
            cipher: Some("AES-128-GCM, DTLS 1.2".to_owned()),
        },
    }))
}

fn words(verified: bool) -> CallEvent {
    CallEvent::Verify { words: "apple river stone cloud".to_owned(), verified }
}

fn consent() -> Script {
    waiting().call(path(PathKind::Host)).call(words(false)).state(CallState::Answered, Some("Bob"), None)
}

fn call() -> Script {
    consent()
        .keys("a")
        .state(CallState::Connected, None, None)
        .then(Msg::Picture(Which::Remote, (640, 360)))
        .then(Msg::Picture(Which::Local, (640, 360)))
        .call(stats())
        .tick(70)
}

fn talk() -> Script {
    call()
        .call(CallEvent::Remote { muted: true, video_off: false })
        .call(CallEvent::Chat { from: Side::Remote, text: "can you see the whiteboard?".to_owned() })
        .call(CallEvent::Chat { from: Side::Local, text: "a little more to the left".to_owned() })
        .call(CallEvent::Warning(Notice {
            code: "silent_microphone",
            message: "The microphone gives nothing but silence.".to_owned(),
            help: "Let the terminal use it in the system's privacy settings.".to_owned(),
        }))
        .keys("mtthat is bet")
}

/// A call in which much was said, seen at its chat's end.
fn chat() -> Script {
    let said = |from, text: &str| CallEvent::Chat { from, text: text.to_owned() };
    let mut script = call();
    for n in 1..=12 {
        script = script.call(said(Side::Remote, &format!("point {n} of the list")));
    }
    script
        .call(said(Side::Remote, "can you see the whiteboard, or is the lamp in front of it again?"))
        .call(said(Side::Local, "a little more to the left"))
        .call(said(Side::Remote, &format!("https://example.org/{}", "long/".repeat(12))))
        .call(said(Side::Remote, "\u{1b}[2Jevil \u{202e}txt.exe"))
        .call(recording(Side::Remote, true))
        .keys("c")
}

fn recording(from: Side, on: bool) -> CallEvent {
    let path = (from == Side::Local).then(|| "/home/alice/p2pcall-2026-11-23T06-33-04Z.mkv".to_owned());
    CallEvent::Recording(RecordingEvent { from, on, path })
}

fn demo() -> Script {
    Script::new(Role::Demo)
        .call(path(PathKind::Relay))
        .state(CallState::Connected, None, None)
        .then(Msg::Picture(Which::Remote, (640, 360)))
        .then(Msg::Picture(Which::Local, (640, 360)))
        .call(stats())
        .tick(28)
}

/// A screen as text, pictures shaded.
fn shown(model: &Model, size: (u16, u16)) -> String {
    let area = Rect::new(0, 0, size.0, size.1);
    let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).expect("a test backend never fails");
    terminal.draw(|frame| view(model, frame, area)).expect("a test backend never fails");
    let pictures = pictures(model, area);
    let mut out = String::new();
    for y in 0..size.1 {
        let mut row = String::new();
        for x in 0..size.0 {
            let at = Position::new(x, y);
            let picture = pictures
                .iter()
                .rev()
                .find(|area| area.placed.contains(at) && !area.holes.iter().any(|hole| hole.contains(at)));
            match picture.map(|area| area.which) {
                Some(Which::Remote) => row.push('░'),
                Some(Which::Local) => row.push('▒'),
                None => row.push_str(terminal.backend().buffer()[at].symbol()),
            }
        }
        out.push_str(row.trim_end());
        out.push_str("|\n");
    }
    out
}

fn check(name: &str, script: &Script) {
    let mut all = String::new();
    for size in SIZES {
        let mut model = script.0.clone();
        model.size = size;
        all.push_str(&format!("{}x{}\n{}\n", size.0, size.1, shown(&model, size)));
    }
    insta::assert_snapshot!(name, all);
}

#[test]
fn the_offerer_waits_with_code_and_qr() {
    check("waiting", &waiting());
    check("waiting_reply_typed", &waiting().keys("r531N-2G"));
}

#[test]
fn the_answerer_shows_the_reply_code() {
    check("reply", &reply());
}

#[test]
fn an_attempt_is_explained_while_it_lasts() {
    let joining = Script::new(Role::Answer).state(CallState::Connecting, None, None);
    check("attempt", &joining.call(attempt()).keys("d"));
    check("attempt_reply", &reply().call(attempt()).keys("d"));
    check("attempt_waiting", &waiting().call(attempt()).keys("d"));
    let closed = shown(&waiting().call(attempt()).keys("dd").0, (80, 24));
    assert_eq!(closed, shown(&waiting().0, (80, 24)), "and d closes it");
}

#[test]
fn the_prompt_says_what_is_wrong_with_a_code() {
    check("prompt", &prompt());
}

#[test]
fn the_consent_names_who_and_how() {
    check("consent", &consent());
}

#[test]
fn the_call_gives_the_picture_all_it_can() {
    check("call", &call());
    check("call_diagnostics", &call().keys("d"));
    check("call_talk", &talk());
}

#[test]
fn the_chat_has_a_pane() {
    check("chat", &chat());
    let typing = chat().keys("tthat is better").key(KeyCode::PageUp);
    check("chat_typing", &typing);
    check("chat_diagnostics", &chat().keys("d"));
    let unread = shown(&chat().keys("c").call(words(false)).0, (80, 24));
    assert!(!unread.contains("unread"), "{unread}");
    let said = CallEvent::Chat { from: Side::Remote, text: "there?".to_owned() };
    let unread = shown(&chat().keys("c").call(said).0, (80, 24));
    assert!(unread.contains("1 unread: c"), "{unread}");
}

#[test]
fn whoever_records_both_screens_say_so_at_any_size() {
    for (script, words) in [
        (call().call(recording(Side::Local, true)), "● recording"),
        (call().call(recording(Side::Remote, true)), "● Bob is recording"),
        (
            call().call(recording(Side::Remote, true)).call(recording(Side::Local, true)),
            "● recording at both ends",
        ),
        (demo().call(recording(Side::Local, true)), "● recording"),
    ] {
        for keys in ["", "mv", "d", "tx"] {
            let mut script = script.0.clone();
            script = Script(script).keys(keys).0;
            for size in SIZES {
                script.size = size;
                let text = shown(&script, size);
                assert!(text.contains(words), "{text}");
            }
        }
        let over = script.call(recording(Side::Local, false)).call(recording(Side::Remote, false));
        assert!(!shown(&over.0, (80, 24)).contains('●'));
    }
}

#[test]
fn the_most_useful_keys_are_named_where_there_is_little_room() {
    let words = |columns, keys| {
        let text = shown(&call().keys(keys).0, (columns, 24));
        text.lines().last().unwrap_or_default().to_owned()
    };
    for key in ["? help", "q quit", "m mute", "c chat", "s file"] {
        assert!(words(80, "").contains(key) && words(90, "").contains(key), "{key}: {}", words(80, ""));
    }
    assert!(words(90, "").contains("v camera"), "{}", words(90, ""));
    assert!(words(100, "").contains("r record"), "{}", words(100, ""));
    assert!(words(40, "mv").contains("? help"), "{}", words(40, "mv"));
}

#[test]
fn panes_lie_over_the_call() {
    check("help", &call().keys("?"));
    check("words", &call().keys("w"));
    check("quit", &call().keys("q"));
}

#[test]
fn the_demo_shows_both_ends() {
    check("demo", &demo());
}

#[test]
fn a_terminal_without_utf8_gets_ascii_only() {
    for mut script in [
        waiting(),
        reply(),
        reply().call(attempt()).keys("d"),
        prompt(),
        consent(),
        talk(),
        demo(),
        chat(),
        call().keys("d?"),
    ] {
        script.0.look = Look { colors: ColorDepth::Never, utf8: false, cell: CELL };
        // Text from the friend may be anything; here it has to become ASCII as well.
        script.0.name = Some("Zoë 日本".to_owned());
        for size in SIZES {
            let text = shown(&script.0, size).replace(['░', '▒'], " ");
            assert!(text.is_ascii(), "{text}");
        }
    }
}

#[test]
fn the_typical_code_and_its_qr_fit_80x24() {
    let text = shown(&waiting().0, (80, 24));
    assert_eq!(text.matches('▀').count(), 37 * 19);
    let rows: String = text.lines().map(|row| row.trim_end_matches('|')).collect();
    assert!(rows.contains(CODE), "{text}");
    let wrapped = wrapped(&waiting().0, Rect::new(0, 0, 80, 24)).expect("two rows");
    assert_eq!((wrapped.at, wrapped.text.as_str()), (Position::new(0, 21), CODE));
}

/// Any of the screens, with text of any kind in it.
fn any_script() -> impl Strategy<Value = Script> {
    let start = 0..9_usize;
    (start, any::<String>(), any::<bool>(), "[?dwtqorcm]{0,4}", 1_u32..4000, 1_u32..4000).prop_map(
        |(start, text, utf8, keys, width, height)| {
            let trying = || reply().call(attempt()).keys("d");
            let all = [waiting, reply, prompt, consent, call, talk, demo, trying, chat];
            let mut script = (all[start % all.len()])();
            script.0.look = Look { colors: ColorDepth::Ansi, utf8, cell: CELL };
            script
                .state(CallState::Reconnecting, Some(&text), Some(&text))
                .call(CallEvent::Chat { from: Side::Remote, text: text.clone() })
                .call(CallEvent::Verify { words: text.clone(), verified: false })
                .call(CallEvent::Warning(Notice { code: "x", message: text.clone(), help: text }))
                .then(Msg::Picture(Which::Remote, (width, height)))
                .then(Msg::Picture(Which::Local, (height, width)))
                .keys(&keys)
                .key(KeyCode::PageUp)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn no_screen_at_any_size_panics_or_leaves_its_cells(
        script in any_script(), columns in 1_u16..310, rows in 1_u16..110,
    ) {
        let area = Rect::new(0, 0, columns, rows);
        shown(&script.0, (columns, rows));
        for picture in pictures(&script.0, area) {
            prop_assert_eq!(picture.rect.intersection(area), picture.rect);
        }
        if let Some(wrapped) = wrapped(&script.0, area) {
            let cells = usize::from(rows - wrapped.at.y) * usize::from(columns);
            prop_assert!(wrapped.text.len() <= cells);
        }
    }
}

impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.0)
    }
}
