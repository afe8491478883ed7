use super::*;
use crate::call::event::{CallState, CodeForm, CodeKind, FileState, Notice, Side, StateEvent};
use crate::media::level::Levels;
use crate::picture::{CellSize, ColorDepth};
use crate::tui::input::TextInput;
use crate::tui::model::{CHAT_LIMIT, CHAT_LINES, Place};
use crate::tui::theme::Look;
use crate::tui::view;
use crossterm::event::{KeyCode, KeyEventKind, KeyModifiers};
use proptest::prelude::*;

const LOOK: Look = Look { colors: ColorDepth::True, utf8: true, cell: CellSize { width: 8, height: 16 } };

/// A screen under test, with a clock that only goes when told to.
struct Bench {
    model: Model,
    now: Duration,
}

impl Bench {
    fn new(role: Role) -> Self {
        Self { model: Model::new(role, LOOK, (80, 24)), now: Duration::ZERO }
    }

    fn send(&mut self, msg: Msg) -> Vec<Effect> {
        update(&mut self.model, msg, self.now)
    }

    fn key(&mut self, code: KeyCode) -> Vec<Effect> {
        self.send(Msg::Key(KeyEvent::new(code, KeyModifiers::NONE)))
    }

    fn ctrl(&mut self, letter: char) -> Vec<Effect> {
        self.send(Msg::Key(KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL)))
    }

    fn state(&mut self, state: CallState) -> Vec<Effect> {
        let name = (state == CallState::Answered).then(|| "Bob\x1b[2J".to_owned());
        self.send(Msg::Call(CallEvent::State(StateEvent {
            state,
            name,
            reason: None,
            message: None,
            help: None,
            explanation: None,
        })))
    }

    fn connected(role: Role) -> Self {
        let mut bench = Self::new(role);
        bench.model.options.auto_accept = true;
        bench.state(CallState::Answered);
        bench.state(CallState::Connected);
        bench
    }
}

fn offer() -> CodeEvent {
    CodeEvent {
        kind: CodeKind::Offer,
        form: CodeForm::P2p,
        code: "P2P42576".to_owned(),
        chars: 8,
        reply_needed: None,
        expires_in: 900,
    }
}

fn command(command: Command) -> Vec<Effect> {
    vec![Effect::Command(command)]
}

#[test]
fn a_code_is_shown_and_its_invitation_copied() {
    let mut bench = Bench::new(Role::Offer);
    let share = Share { invitation: "Call me: p2pcall answer P2P42576".to_owned(), qr: None };
    let effects = bench.send(Msg::Code(offer(), share.clone()));
    assert_eq!(effects, vec![Effect::Copy(CopyWhat::Invitation, share.invitation)]);
    assert_eq!(bench.key(KeyCode::Char('C')), vec![Effect::Copy(CopyWhat::Code, "P2P42576".to_owned())]);
    assert_eq!(bench.model.expires_in(), Some(Duration::from_secs(900)));
}

#[test]
fn without_a_clipboard_nothing_is_copied_and_the_key_says_so() {
    let mut bench = Bench::new(Role::Offer);
    bench.model.options.clipboard = false;
    assert_eq!(bench.send(Msg::Code(offer(), Share::default())), vec![]);
    assert_eq!(bench.key(KeyCode::Char('c')), vec![]);
    assert_eq!(bench.model.copied, Some((CopyWhat::Invitation, Copied::Off)));
}

#[test]
fn who_answers_an_offer_is_let_in_only_by_a_key() {
    for (key, want, screen) in
        [('a', Command::Accept, Screen::Joining), ('x', Command::Refuse, Screen::Waiting)]
    {
        let mut bench = Bench::new(Role::Offer);
        bench.state(CallState::Answered);
        assert_eq!(bench.model.screen, Screen::Consent);
        assert_eq!(bench.model.friend(), "Bob[2J");
        bench.state(CallState::Connecting);
        assert_eq!(bench.model.screen, Screen::Consent, "the question stays");
        assert_eq!(bench.key(KeyCode::Char(key)), command(want));
        assert_eq!(bench.model.screen, screen);
    }
}

#[test]
fn auto_accept_and_the_answerer_are_not_asked() {
    let mut bench = Bench::new(Role::Offer);
    bench.model.options.auto_accept = true;
    bench.state(CallState::Answered);
    assert_eq!(bench.model.screen, Screen::Joining);
    let mut bench = Bench::new(Role::Answer);
    bench.state(CallState::Answered);
    assert_eq!(bench.model.screen, Screen::Joining);
}

#[test]
fn a_bad_code_at_the_prompt_stays_there_with_its_error() {
    let mut bench = Bench::new(Role::Answer);
    bench.model.screen = Screen::Prompt(TextInput::new(CODE_LIMIT));
    assert_eq!(bench.send(Msg::Paste("P2Pwrong".to_owned())), command(Command::Paste("P2Pwrong".to_owned())));
    assert!(bench.model.checking);
    let notice = Notice {
        code: "bad_code",
        message: "A character is wrong.".to_owned(),
        help: "Ask for it again.".to_owned(),
    };
    bench.send(Msg::Call(CallEvent::Error(notice)));
    assert!(!bench.model.checking);
    assert_eq!(bench.model.place(), Place::Prompt);
    assert_eq!(bench.model.fresh_notice().map(|shown| shown.message.as_str()), Some("A character is wrong."));
    bench.key(KeyCode::Esc);
    for letter in "P2Pright".chars() {
        bench.key(KeyCode::Char(letter));
    }
    assert_eq!(bench.key(KeyCode::Enter), command(Command::Paste("P2Pright".to_owned())));
    bench.state(CallState::Gathering);
    assert_eq!(bench.model.screen, Screen::Joining);
}

#[test]
fn a_reply_code_is_taken_pasted_or_typed() {
    let mut bench = Bench::new(Role::Offer);
    assert_eq!(
        bench.send(Msg::Paste("531N-2G66".to_owned())),
        command(Command::Paste("531N-2G66".to_owned()))
    );
    assert_eq!(bench.send(Msg::Paste(" \n".to_owned())), vec![]);
    bench.key(KeyCode::Char('r'));
    for letter in "q-5".chars() {
        bench.key(KeyCode::Char(letter));
    }
    assert_eq!(bench.key(KeyCode::Enter), command(Command::Paste("q-5".to_owned())));
    assert_eq!(bench.model.layer, Layer::None);
}

#[test]
fn space_is_held_to_speak_where_releases_are_told() {
    let mut bench = Bench::connected(Role::Offer);
    bench.key(KeyCode::Char('m'));
    let mut key = KeyEvent::new(KeyCode::Char(' '), KeyModifiers::NONE);
    assert_eq!(bench.send(Msg::Key(key)), command(Command::Mute(false)));
    for (held, after) in
        [(KeyEventKind::Repeat, 900), (KeyEventKind::Press, 150), (KeyEventKind::Repeat, 600)]
    {
        bench.now += Duration::from_millis(after);
        key.kind = held;
        assert_eq!(bench.send(Msg::Key(key)), []);
    }
    key.kind = KeyEventKind::Release;
    assert_eq!(bench.send(Msg::Key(key)), command(Command::Mute(true)));
    assert_eq!(bench.send(Msg::Key(key)), [], "it is let go of once");
    key.kind = KeyEventKind::Press;
    assert_eq!(bench.send(Msg::Key(key)), command(Command::Mute(false)), "at once again");
    // Whoever mutes while it is held is muted, and stays so when it is let go of.
    assert_eq!(bench.key(KeyCode::Char('m')), command(Command::Mute(true)));
    key.kind = KeyEventKind::Release;
    assert_eq!(bench.send(Msg::Key(key)), []);
    assert!(bench.model.local.muted);
}

#[test]
fn whoever_is_asked_something_can_mute() {
    for opens in ['?', 'w', 'q'] {
        let mut bench = Bench::connected(Role::Offer);
        bench.key(KeyCode::Char(opens));
        assert_eq!(bench.key(KeyCode::Char('m')), command(Command::Mute(true)), "under {opens}");
    }
}

#[test]
fn space_is_tapped_to_speak_where_no_release_is_told() {
    let mut bench = Bench::connected(Role::Offer);
    bench.key(KeyCode::Char('m'));
    for muted in [false, true, false] {
        bench.now += Duration::from_secs(1);
        assert_eq!(bench.key(KeyCode::Char(' ')), command(Command::Mute(muted)));
        bench.now += Duration::from_millis(30);
        assert_eq!(bench.key(KeyCode::Char(' ')), [], "the keyboard's own repetition");
    }
    bench.now += Duration::from_millis(300);
    assert_eq!(
        bench.key(KeyCode::Char(' ')),
        command(Command::Mute(true)),
        "it was let go of, or would repeat"
    );
}

#[test]
fn keys_of_the_call_tell_the_call() {
    let mut bench = Bench::connected(Role::Offer);
    assert_eq!(bench.model.screen, Screen::Call);
    assert_eq!(bench.key(KeyCode::Char('m')), command(Command::Mute(true)));
    assert_eq!(bench.key(KeyCode::Char('m')), command(Command::Mute(false)));
    assert_eq!(bench.key(KeyCode::Char('v')), command(Command::Video(false)));
    assert_eq!(bench.key(KeyCode::Char('h')), command(Command::Headphones(true)));
    assert_eq!(bench.key(KeyCode::Char('h')), command(Command::Headphones(false)));
    bench.key(KeyCode::Char('t'));
    for letter in "mv q".chars() {
        bench.key(KeyCode::Char(letter));
    }
    assert_eq!(bench.key(KeyCode::Enter), command(Command::Say("mv q".to_owned())));
    assert_eq!(bench.ctrl('z'), vec![Effect::Suspend]);
}

#[test]
fn the_words_are_verified_by_a_key_of_their_own() {
    let mut bench = Bench::connected(Role::Answer);
    bench.send(Msg::Call(CallEvent::Verify { words: "apple river stone cloud".to_owned(), verified: false }));
    bench.key(KeyCode::Char('w'));
    assert_eq!(bench.model.place(), Place::Words);
    assert_eq!(bench.key(KeyCode::Char('y')), command(Command::Verify));
    assert!(bench.model.words.as_ref().is_some_and(|words| words.verified));
}

#[test]
fn escape_closes_one_thing_at_a_time() {
    let mut bench = Bench::connected(Role::Answer);
    bench.key(KeyCode::Char('d'));
    bench.key(KeyCode::Char('?'));
    bench.key(KeyCode::Esc);
    assert_eq!((&bench.model.layer, bench.model.panes.diagnostics), (&Layer::None, true));
    bench.key(KeyCode::Esc);
    assert!(!bench.model.panes.diagnostics);
    bench.key(KeyCode::Esc);
    assert_eq!(bench.model.screen, Screen::Call);
}

#[test]
fn hanging_up_asks_then_waits_a_second_for_the_call() {
    let mut bench = Bench::connected(Role::Answer);
    bench.now = Duration::from_secs(90);
    assert_eq!(bench.key(KeyCode::Char('q')), vec![]);
    assert_eq!(bench.key(KeyCode::Esc), vec![]);
    assert_eq!(bench.model.place(), Place::Call);
    bench.key(KeyCode::Char('q'));
    assert_eq!(bench.key(KeyCode::Char('y')), command(Command::Hangup));
    bench.now += Duration::from_millis(900);
    assert_eq!(bench.send(Msg::Tick(Levels::default())), vec![]);
    bench.now += Duration::from_millis(100);
    assert_eq!(bench.send(Msg::Tick(Levels::default())), vec![Effect::Leave]);
    let ended = bench.model.ended.expect("a reason");
    assert_eq!((ended.reason, ended.interrupted), (EndReason::Hangup, false));
    assert_eq!(ended.to_string(), "You hung up. The call lasted 1:30.");
}

#[test]
fn control_c_asks_once_and_a_signal_does_not() {
    let mut bench = Bench::connected(Role::Offer);
    assert_eq!(bench.ctrl('c'), vec![]);
    assert_eq!(bench.ctrl('c'), command(Command::Hangup));
    assert_eq!(bench.ctrl('c'), vec![Effect::Leave]);
    let mut bench = Bench::connected(Role::Offer);
    assert_eq!(bench.send(Msg::Terminate), command(Command::Hangup));
    assert_eq!(bench.send(Msg::Terminate), vec![Effect::Leave]);
    assert!(bench.model.ended.is_some_and(|ended| ended.interrupted));
}

#[test]
fn the_end_of_the_call_closes_the_screen_with_its_reason() {
    let mut bench = Bench::connected(Role::Answer);
    let event = StateEvent {
        state: CallState::Ended,
        name: None,
        reason: Some(EndReason::RemoteHangup),
        message: None,
        help: None,
        explanation: None,
    };
    assert_eq!(bench.send(Msg::Call(CallEvent::State(event))), vec![Effect::Leave]);
    assert_eq!(bench.model.ended.map(|ended| ended.message), Some("Bob[2J hung up.".to_owned()));
    let mut bench = Bench::new(Role::Answer);
    assert_eq!(bench.send(Msg::CallGone), vec![Effect::Leave]);
    assert_eq!(bench.model.ended.map(|ended| ended.reason), Some(EndReason::Error));
}

#[test]
fn a_lost_path_keeps_the_call_screen() {
    let mut bench = Bench::connected(Role::Answer);
    bench.state(CallState::Reconnecting);
    assert_eq!(bench.model.screen, Screen::Call);
    assert_eq!(bench.model.lost, Some(Duration::ZERO));
    bench.state(CallState::Connected);
    assert_eq!(bench.model.lost, None);
}

#[test]
fn chat_is_bounded_and_clean() {
    let mut bench = Bench::connected(Role::Answer);
    for line in 0..CHAT_LINES + 50 {
        let text = format!("\x1b]0;line {line}\x07\n{}", "x".repeat(10_000));
        bench.send(Msg::Call(CallEvent::Chat { from: Side::Remote, text }));
    }
    assert_eq!(bench.model.chat.len(), CHAT_LINES);
    assert!(bench.model.chat.iter().all(|line| line.text.len() <= CHAT_LIMIT && !line.text.contains('\x1b')));
}

#[test]
fn warnings_fade_and_errors_stay() {
    let mut bench = Bench::connected(Role::Answer);
    let notice = Notice { code: "covered_lens", message: "Black picture".to_owned(), help: String::new() };
    bench.send(Msg::Call(CallEvent::Warning(notice.clone())));
    assert!(bench.model.fresh_notice().is_some());
    bench.now = Duration::from_secs(60);
    bench.send(Msg::Tick(Levels::default()));
    assert!(bench.model.fresh_notice().is_none());
    bench.send(Msg::Call(CallEvent::Error(notice)));
    bench.now = Duration::from_secs(600);
    bench.send(Msg::Tick(Levels::default()));
    assert!(bench.model.fresh_notice().is_some());
}

proptest! {
    #[test]
    fn a_pasted_megabyte_reaches_the_call_bounded(text in "[a-z]{1,20}") {
        let mut bench = Bench::new(Role::Offer);
        let effects = bench.send(Msg::Paste(text.repeat(1_000_000 / text.len())));
        let Some(Effect::Command(Command::Paste(sent))) = effects.first() else { panic!("{effects:?}") };
        prop_assert_eq!(sent.len(), CODE_LIMIT);
    }
}

fn say(bench: &mut Bench, from: Side, text: &str) {
    bench.send(Msg::Call(CallEvent::Chat { from, text: text.to_owned() }));
}

#[test]
fn what_came_while_nobody_looked_is_counted_until_somebody_does() {
    let mut bench = Bench::connected(Role::Offer);
    say(&mut bench, Side::Remote, "one");
    say(&mut bench, Side::Local, "mine");
    say(&mut bench, Side::Remote, "two");
    assert_eq!(bench.model.unread, 2);
    bench.key(KeyCode::Char('c'));
    assert!(bench.model.panes.chat && bench.model.unread == 0);
    say(&mut bench, Side::Remote, "three");
    assert_eq!(bench.model.unread, 0);
    bench.key(KeyCode::Esc);
    assert!(!bench.model.panes.chat);
    say(&mut bench, Side::Remote, "four");
    assert_eq!(bench.model.unread, 1);
    bench.key(KeyCode::Char('t'));
    assert_eq!(bench.model.unread, 0);
}

#[test]
fn the_chat_scrolls_by_pages_and_stays_where_it_is_read() {
    let mut bench = Bench::connected(Role::Offer);
    for n in 0..100 {
        say(&mut bench, Side::Remote, &format!("line {n}"));
    }
    // The first page opens the pane.
    bench.key(KeyCode::PageUp);
    assert_eq!((bench.model.panes.chat, bench.model.scrolled), (true, 0));
    let (rows, page) = view::chat_extent(&bench.model);
    assert!(rows == 100 && (4..30).contains(&page), "{rows} {page}");
    bench.key(KeyCode::PageUp);
    assert_eq!(bench.model.scrolled, page);
    say(&mut bench, Side::Remote, "another");
    assert_eq!(bench.model.scrolled, page + 1);
    (0..50).for_each(|_| drop(bench.key(KeyCode::PageUp)));
    assert_eq!(bench.model.scrolled, 101 - page);
    // The line being typed takes a row.
    bench.key(KeyCode::Char('t'));
    bench.key(KeyCode::PageDown);
    assert_eq!(bench.model.scrolled, 102 - 2 * page, "also while a message is typed");
    (0..50).for_each(|_| drop(bench.key(KeyCode::PageDown)));
    assert_eq!(bench.model.scrolled, 0);
    for n in 0..2 * CHAT_LINES {
        say(&mut bench, Side::Remote, &format!("line {n}"));
    }
    assert_eq!(bench.model.chat.len(), CHAT_LINES);
}

#[test]
fn r_begins_and_ends_a_recording_which_is_said_in_the_chat_and_at_the_end() {
    let mut bench = Bench::connected(Role::Offer);
    let wish = |on| command(Command::Record { on, path: None });
    // Taken back before the friend's end has answered, and wished again.
    for on in [true, false, true] {
        assert_eq!(bench.key(KeyCode::Char('r')), wish(on));
    }
    let event = |from, on, path: Option<&str>| {
        let path = path.map(str::to_owned);
        Msg::Call(CallEvent::Recording(crate::call::event::RecordingEvent { from, on, path }))
    };
    bench.send(event(Side::Local, true, Some("/a/b.mkv")));
    assert_eq!(bench.key(KeyCode::Char('r')), wish(false));
    bench.send(event(Side::Remote, true, None));
    assert!(bench.model.recording.own && bench.model.recording.friend);
    bench.send(event(Side::Local, false, Some("/a/b.mkv")));
    let said: Vec<&str> = bench.model.chat.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(said, ["began to record to /a/b.mkv", "began to record this call", "stopped recording"]);
    // Nothing begins where the friend's end does not answer.
    bench.key(KeyCode::Char('r'));
    let untold = Notice { code: "recording_untold", message: "Nothing.".into(), help: String::new() };
    bench.send(Msg::Call(CallEvent::Warning(untold)));
    assert!(!bench.model.recording.wished);
    bench.send(Msg::Terminate);
    let ended = bench.model.ended.expect("it ends").to_string();
    assert!(ended.contains("Recorded: /a/b.mkv"), "{ended}");
}

#[test]
fn what_became_of_the_files_stands_on_the_terminal_when_the_screen_is_gone() {
    let mut bench = Bench::connected(Role::Offer);
    let mut settled = |from, state, path: Option<&str>| {
        let (name, path) = ("a.txt".to_owned(), path.map(str::to_owned));
        let event = crate::call::event::FileEvent { from, state, name, bytes: 3, done: 3, path };
        bench.send(Msg::Call(CallEvent::File(event)));
    };
    settled(Side::Remote, FileState::Done, Some("/home/a.txt"));
    settled(Side::Local, FileState::Failed, None);
    bench.send(Msg::Terminate);
    let ended = bench.model.ended.expect("it ends").to_string();
    assert!(ended.contains("\n  Kept: /home/a.txt\n  Did not arrive there: a.txt"), "{ended}");
}
