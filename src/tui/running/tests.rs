use super::*;
use crate::call::event::{CallState, CodeForm, CodeKind, EndReason, StateEvent};
use crate::cli::{Color, Render};
use crate::media::level::Gauge;
use crate::picture::{CellSize, ColorDepth};
use crate::tui::model::Role;
use crate::tui::view::PictureArea;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Mutex;

const SIZE: (u16, u16) = (80, 24);

/// Pictures that a test puts there.
struct Pictures(Mutex<mpsc::Receiver<Arc<VideoFrame>>>);

#[async_trait::async_trait]
impl PictureFeed for Pictures {
    async fn next(&self) -> Arc<VideoFrame> {
        match self.0.lock().await.recv().await {
            Some(frame) => frame,
            None => std::future::pending().await,
        }
    }
}

/// Fills a picture's cells with a letter, holes left out, as the real one does.
struct Letters;

impl DrawPictures for Letters {
    fn draw(&mut self, _: &VideoFrame, area: &PictureArea, _: Duration) -> Vec<u8> {
        let letter = if area.which == Which::Remote { 'R' } else { 'L' };
        let cells = area.placed.positions().filter(|at| !area.holes.iter().any(|hole| hole.contains(*at)));
        let cells: Vec<String> = cells.map(|at| format!("\x1b[{};{}H{letter}", at.y + 1, at.x + 1)).collect();
        format!("\x1b7{}\x1b8", cells.concat()).into_bytes()
    }

    fn forget(&mut self) {}

    fn remove(&mut self, _: Which) -> Vec<u8> {
        Vec::new()
    }
}

/// Counts how often the screen was suspended and resumed.
#[derive(Clone, Default)]
struct FakeHost(Arc<[AtomicUsize; 2]>);

impl Host for FakeHost {
    fn suspend(&mut self) -> bool {
        self.0[0].fetch_add(1, Ordering::Relaxed);
        true
    }

    fn resume(&mut self) -> io::Result<(u16, u16)> {
        self.0[1].fetch_add(1, Ordering::Relaxed);
        Ok((100, 30))
    }
}

/// A screen that is up, without a terminal: its frames go to a parser.
struct Bench {
    input: mpsc::Sender<Input>,
    events: Option<mpsc::Sender<(Duration, CallEvent)>>,
    commands: mpsc::Receiver<Command>,
    remote: mpsc::Sender<Arc<VideoFrame>>,
    levels: Gauge,
    _local: mpsc::Sender<Arc<VideoFrame>>,
    frames: mpsc::Receiver<Vec<u8>>,
    done: mpsc::Sender<io::Result<()>>,
    parser: vt100::Parser,
    host: FakeHost,
    screen: tokio::task::JoinHandle<io::Result<Ended>>,
}

impl Bench {
    fn open(role: Role) -> Self {
        let (input, from_below) = mpsc::channel(16);
        let (events, from_call) = mpsc::channel(16);
        let (to_call, commands) = mpsc::channel(16);
        let ((remote, remote_feed), (local, local_feed)) = (mpsc::channel(16), mpsc::channel(16));
        let (output, frames, done) = Output::pair();
        let (host, levels) = (FakeHost::default(), Gauge::default());
        let setup = TuiSetup {
            role,
            ask_code: false,
            auto_accept: true,
            clipboard: false,
            headphones: false,
            render: Render::Auto,
            color: Color::Auto,
            titles: None,
            events: from_call,
            commands: to_call,
            remote: Box::new(Pictures(Mutex::new(remote_feed))),
            local: Box::new(Pictures(Mutex::new(local_feed))),
            levels: levels.clone(),
            share: Box::new(|_| Share::default()),
            log: None,
        };
        let look = Look { colors: ColorDepth::True, utf8: true, cell: CellSize::default() };
        let host_too = Box::new(host.clone());
        let drawer = Box::new(Letters);
        let world = World { input: from_below, output, host: host_too, look, drawer, tool: None };
        let screen = tokio::spawn(show(setup, world, SIZE));
        let parser = vt100::Parser::new(SIZE.1, SIZE.0, 0);
        let events = Some(events);
        Self { input, events, commands, remote, levels, _local: local, frames, done, parser, host, screen }
    }

    async fn call(&self, event: CallEvent) {
        self.events
            .as_ref()
            .expect("the call is there")
            .send((Duration::ZERO, event))
            .await
            .expect("the screen is up");
    }

    async fn state(&self, state: CallState) {
        let reason = (state == CallState::Ended).then_some(EndReason::RemoteHangup);
        self.call(CallEvent::State(StateEvent {
            state,
            name: None,
            reason,
            message: None,
            help: None,
            explanation: None,
        }))
        .await;
    }

    async fn key(&self, code: KeyCode, modifiers: KeyModifiers) {
        self.input
            .send(Input::Msg(Msg::Key(KeyEvent::new(code, modifiers))))
            .await
            .expect("the screen is up");
    }

    /// Lets the terminal take frames until the screen shows what `want` wants.
    async fn until(&mut self, want: impl Fn(&str) -> bool) -> String {
        let shown = tokio::time::timeout(Duration::from_secs(20), async {
            loop {
                let frame = self.frames.recv().await.expect("the screen is up");
                self.parser.process(&frame);
                self.done.send(Ok(())).await.expect("the screen is up");
                let shown = self.parser.screen().contents();
                if want(&shown) {
                    break shown;
                }
            }
        });
        let Ok(shown) = shown.await else { panic!("it never came:\n{}", self.parser.screen().contents()) };
        shown
    }
}

#[tokio::test]
async fn events_reach_the_screen_and_keys_the_call() {
    let mut bench = Bench::open(Role::Offer);
    bench.until(|shown| shown.contains("making a code")).await;
    bench
        .call(CallEvent::Code(CodeEvent {
            kind: CodeKind::Offer,
            form: CodeForm::P2p,
            code: "P2P".repeat(33),
            chars: 99,
            reply_needed: None,
            expires_in: 900,
        }))
        .await;
    bench.until(|shown| shown.contains("expires in 14:5")).await;
    // The terminal itself wraps the code: selecting it gives one line.
    assert!(bench.parser.screen().contents().contains(&"P2P".repeat(33)));
    bench.state(CallState::Connected).await;
    bench.until(|shown| shown.contains("No picture yet")).await;
    bench.key(KeyCode::Char('m'), KeyModifiers::NONE).await;
    bench.until(|shown| shown.contains("YOU ARE MUTED")).await;
    assert_eq!(bench.commands.recv().await, Some(Command::Mute(true)));
    bench.state(CallState::Ended).await;
    let ended = bench.screen.await.expect("no panic").expect("no error");
    assert_eq!(ended.reason, EndReason::RemoteHangup);
}

#[tokio::test]
async fn pictures_are_drawn_around_what_covers_them() {
    let mut bench = Bench::open(Role::Answer);
    bench.state(CallState::Connected).await;
    bench.remote.send(Arc::new(VideoFrame::black(640, 360))).await.expect("the screen is up");
    bench.until(|shown| shown.matches('R').count() > 1000).await;
    bench.key(KeyCode::Char('q'), KeyModifiers::NONE).await;
    let asked = bench.until(|shown| shown.contains("Hang up the call?")).await;
    assert!(asked.matches('R').count() > 1000);
    bench.key(KeyCode::Esc, KeyModifiers::NONE).await;
    bench.until(|shown| !shown.contains("Hang up") && !shown.contains("RR  RR")).await;
    let covered = bench.parser.screen().contents();
    bench.until(|shown| shown.matches('R').count() >= covered.matches('R').count()).await;
}

#[tokio::test]
async fn levels_move_also_while_pictures_keep_the_screen_busy() {
    let mut bench = Bench::open(Role::Answer);
    bench.state(CallState::Connected).await;
    let remote = bench.remote.clone();
    let pictures = tokio::spawn(async move {
        while remote.send(Arc::new(VideoFrame::black(64, 36))).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    });
    for (dbfs, column) in [(-20.0, "your friend ▆"), (-60.0, "your friend ▁"), (-20.0, "your friend ▆")]
    {
        bench.levels.set_output(dbfs);
        bench.until(|shown| shown.contains(column)).await;
    }
    pictures.abort();
}

#[tokio::test]
async fn a_slow_terminal_gets_the_newest_picture_only() {
    let mut bench = Bench::open(Role::Answer);
    bench.state(CallState::Connected).await;
    bench.until(|shown| shown.contains("No picture yet")).await;
    for _ in 0..10 {
        bench.remote.send(Arc::new(VideoFrame::black(64, 36))).await.expect("the screen is up");
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    // One frame is on its way, and nothing is queued behind it.
    assert!(bench.frames.recv().await.is_some());
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(bench.frames.try_recv().is_err());
}

#[tokio::test]
async fn hanging_up_tells_the_call_and_does_not_wait_for_ever() {
    let mut bench = Bench::open(Role::Answer);
    bench.until(|_| true).await;
    bench.key(KeyCode::Char('c'), KeyModifiers::CONTROL).await;
    bench.key(KeyCode::Char('c'), KeyModifiers::CONTROL).await;
    assert_eq!(bench.commands.recv().await, Some(Command::Hangup));
    let from = Instant::now();
    let ended = bench.screen.await.expect("no panic").expect("no error");
    assert!(ended.interrupted);
    assert!(from.elapsed() <= Duration::from_secs(5), "{:?}", from.elapsed());
}

#[tokio::test]
async fn a_call_that_vanishes_ends_the_screen() {
    let mut bench = Bench::open(Role::Answer);
    bench.until(|_| true).await;
    bench.events = None;
    let ended = bench.screen.await.expect("no panic").expect("no error");
    assert_eq!(ended.reason, EndReason::Error);
}

#[tokio::test]
async fn a_terminal_that_fails_hangs_up() {
    let mut bench = Bench::open(Role::Answer);
    bench.frames.recv().await;
    bench.done.send(Err(io::ErrorKind::BrokenPipe.into())).await.expect("the screen is up");
    assert_eq!(bench.commands.recv().await, Some(Command::Hangup));
}

#[tokio::test]
async fn after_a_suspension_all_is_drawn_again_at_the_new_size() {
    let mut bench = Bench::open(Role::Answer);
    bench.state(CallState::Connected).await;
    bench.until(|shown| shown.contains("No picture yet")).await;
    bench.key(KeyCode::Char('z'), KeyModifiers::CONTROL).await;
    while bench.host.0[0].load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    bench.input.send(Input::Resumed).await.expect("the screen is up");
    bench.parser = vt100::Parser::new(30, 100, 0);
    let shown = bench.until(|shown| shown.contains("No picture yet")).await;
    assert_eq!(bench.host.0[1].load(Ordering::Relaxed), 1);
    assert!(shown.lines().count() >= 29, "{shown}");
}
