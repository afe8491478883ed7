//! The controller on simulated links, in virtual time.

use super::*;
use std::collections::{BTreeMap, VecDeque};

/// One bottleneck: a rate, a drop-tail queue of so much time, the way there and back, loss and jitter.
struct Link {
    /// Rate in bit/s from a time on.
    schedule: Vec<(u64, f64)>,
    queue: Duration,
    one_way: Duration,
    loss: f64,
    /// Nothing passes.
    cut: std::ops::Range<u64>,
    /// Each packet is late by up to so much, in order.
    jitter: Duration,
    busy_until: f64,
    last_out: Duration,
    random: u64,
}

impl Link {
    fn new(schedule: &[(u64, f64)]) -> Self {
        Self {
            schedule: schedule.to_vec(),
            queue: Duration::from_millis(200),
            one_way: Duration::from_millis(20),
            loss: 0.0,
            cut: 0..0,
            jitter: Duration::ZERO,
            busy_until: 0.0,
            last_out: Duration::ZERO,
            random: 0x1234_5678_9abc_def1,
        }
    }

    fn rate(&self, now: Duration) -> f64 {
        let second = now.as_secs();
        self.schedule.iter().rev().find(|(from, _)| *from <= second).unwrap().1
    }

    fn chance(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) as f64 / (1u64 << 53) as f64
    }

    /// How long a packet would wait now.
    fn wait(&mut self, now: Duration) -> Duration {
        let at = now.as_secs_f64();
        Duration::from_secs_f64((self.busy_until - at).max(0.0))
    }

    /// When it comes out, if it does.
    fn send(&mut self, now: Duration, bytes: u32) -> Option<Duration> {
        let wait = self.wait(now);
        // A packet always fits an empty queue.
        if wait + Duration::from_secs_f64(f64::from(bytes) * 8.0 / self.rate(now)) > self.queue
            && wait > Duration::from_millis(1)
        {
            return None;
        }
        let takes = f64::from(bytes) * 8.0 / self.rate(now);
        self.busy_until = self.busy_until.max(now.as_secs_f64()) + takes;
        if self.chance() < self.loss || self.cut.contains(&now.as_secs()) {
            return None;
        }
        let late = self.jitter.mul_f64(self.chance());
        let out = Duration::from_secs_f64(self.busy_until) + self.one_way + late;
        self.last_out = self.last_out.max(out);
        Some(self.last_out)
    }

    /// The rate changed: what waits takes another time.
    fn turn(&mut self, now: Duration, before: f64) {
        let wait = self.wait(now).as_secs_f64();
        let rate = self.rate(now);
        let wait =
            (wait * before / rate).min(if rate < before { self.queue.as_secs_f64() } else { f64::MAX });
        self.busy_until = now.as_secs_f64() + wait;
    }
}

/// A Reno flow with an endless file, 1,200-byte packets.
struct Tcp {
    window: f64,
    slow: f64,
    flight: BTreeMap<u64, (Option<Duration>, Duration)>,
    next: u64,
    recovery: u64,
    delivered: u64,
    round_trip: Duration,
}

impl Tcp {
    fn new() -> Self {
        Self {
            window: 10.0,
            slow: 1e9,
            flight: BTreeMap::new(),
            next: 0,
            recovery: 0,
            delivered: 0,
            round_trip: Duration::from_millis(100),
        }
    }

    fn step(&mut self, now: Duration, link: &mut Link) {
        while let Some((&number, &(out, sent))) = self.flight.iter().next() {
            // A loss is noticed a round trip later.
            let known =
                out.map_or(sent + self.round_trip + Duration::from_millis(20), |out| out + link.one_way);
            if known > now {
                break;
            }
            self.flight.remove(&number);
            match out {
                Some(_) => {
                    self.delivered += 1;
                    self.round_trip = now.saturating_sub(sent);
                    self.window += if self.window < self.slow { 1.0 } else { 1.0 / self.window };
                }
                None if number >= self.recovery => {
                    self.window = (self.window * 0.7).max(2.0);
                    self.slow = self.window;
                    self.recovery = self.next;
                }
                None => {}
            }
        }
        while self.flight.len() < self.window as usize {
            let out = link.send(now, 1_250);
            self.flight.insert(self.next, (out, now));
            self.next += 1;
        }
    }
}

/// A second of a run.
#[derive(Debug, Default, Clone)]
struct Second {
    sent: f64,
    delivered: f64,
    target: f64,
    /// The least wait in the queue.
    standing: Duration,
    /// The longest time without sound.
    gap: Duration,
    lost: f64,
    /// How long each packet of sound waits in the queue.
    waits: Vec<Duration>,
    fps: u32,
    rows: u32,
    sound: u32,
    tcp: f64,
}

struct Run {
    link: Link,
    tcp: Option<Tcp>,
    tcp_from: u64,
    most: u32,
    /// The content needs no more than so much.
    content: f64,
    /// The encoder gives so many times what it is asked for.
    excess: f64,
    seconds: u64,
    wish: ((u32, u32), u32),
    /// The remote end speaks of no single packet.
    reports: bool,
    /// So long from the start on, something else keeps the queue full.
    filled: Duration,
}

impl Run {
    fn new(schedule: &[(u64, f64)], seconds: u64) -> Self {
        Self {
            link: Link::new(schedule),
            tcp: None,
            tcp_from: 0,
            most: 5_000_000,
            content: f64::MAX,
            excess: 1.0,
            seconds,
            wish: ((1280, 720), 30),
            reports: false,
            filled: Duration::ZERO,
        }
    }

    /// With `RATE_SHOW` in the environment each second is printed.
    #[expect(
        clippy::too_many_lines,
        reason = "one loop, in the order in which things happen within a millisecond"
    )]
    fn run(mut self) -> Vec<Second> {
        let mut controller = Controller::new(self.most);
        let mut planner = Planner::default();
        let mut pace = Pace::default();
        let wishes = Wishes { most: self.most, picture: Some(self.wish) };
        let ms = Duration::from_millis;
        let mut plan = planner.plan(Duration::ZERO, controller.target(), &wishes);
        let mut to_send: VecDeque<(Duration, u32)> = VecDeque::new();
        let (mut next_sound, mut next_picture) = (Duration::ZERO, ms(7));
        let mut size = (0, 0);
        // Every packet: sent, out, size; what feedback told of.
        let mut packets: Vec<(Duration, Option<Duration>, u32)> = Vec::new();
        let mut told = 0;
        let mut feedbacks: VecDeque<(Duration, Vec<Fate>)> = VecDeque::new();
        let mut sounds: VecDeque<Duration> = VecDeque::new();
        let mut last_sound = Duration::ZERO;
        let mut seconds =
            vec![Second { standing: Duration::MAX, ..Second::default() }; self.seconds as usize];
        let mut outs: Vec<(Duration, u32)> = Vec::new();
        let mut before = self.link.rate(Duration::ZERO);
        let skew = ms(123_456);
        for now in (0..self.seconds * 1000).map(ms) {
            let rate = self.link.rate(now);
            if (rate - before).abs() > 1.0 {
                self.link.turn(now, before);
                before = rate;
            }
            let second = now.as_secs() as usize;
            while now < self.filled && self.link.send(now, 50).is_some() {}
            if now >= next_sound {
                let bytes = plan.sound.bitrate / 8 / 50 * plan.sound.frames + OVERHEAD;
                next_sound += ms(20) * plan.sound.frames;
                let out = self.link.send(now, bytes);
                packets.push((now, out, bytes));
                if let Some(out) = out {
                    seconds[second].waits.push(out.saturating_sub(now + self.link.one_way));
                    sounds.push_back(out);
                    outs.push((out, bytes));
                }
                seconds[second].sent += f64::from(bytes) * 8.0;
            }
            if now >= next_picture {
                match plan.picture {
                    Some(picture) if pace.clear() <= now + ms(5) => {
                        next_picture = now + Duration::from_secs(1) / picture.fps;
                        let noise = 0.7 + 0.6 * self.link.chance();
                        let bitrate = (f64::from(picture.bitrate) * self.excess).min(self.content);
                        let mut bytes = bitrate / 8.0 / f64::from(picture.fps) * noise;
                        if picture.size != size {
                            size = picture.size;
                            bytes *= 4.0;
                        }
                        let bytes = bytes as usize;
                        let count = bytes / picture.payload + 1;
                        let wire = bytes + count * OVERHEAD as usize;
                        let (begin, end) = pace.put(now, wire, picture.wire);
                        for n in 0..count {
                            let at = begin + end.saturating_sub(begin) * n as u32 / count as u32;
                            to_send.push_back((at, (wire / count) as u32));
                        }
                    }
                    Some(_) => next_picture = now + ms(5),
                    None => next_picture = now + ms(20),
                }
            }
            while to_send.front().is_some_and(|(at, _)| *at <= now) {
                let (_, bytes) = to_send.pop_front().unwrap();
                let out = self.link.send(now, bytes);
                packets.push((now, out, bytes));
                if let Some(out) = out {
                    outs.push((out, bytes));
                }
                seconds[second].sent += f64::from(bytes) * 8.0;
            }
            if now.as_secs() >= self.tcp_from
                && let Some(tcp) = &mut self.tcp
            {
                let had = tcp.delivered;
                tcp.step(now, &mut self.link);
                seconds[second].tcp += (tcp.delivered - had) as f64 * 1_250.0 * 8.0;
            }
            while sounds.front().is_some_and(|out| *out <= now) {
                sounds.pop_front();
                last_sound = now;
            }
            seconds[second].gap = seconds[second].gap.max(now.saturating_sub(last_sound));
            seconds[second].standing = seconds[second].standing.min(self.link.wait(now));
            if !packets.is_empty() {
                controller.sent(now);
            }
            if self.reports && now.as_millis() % 1_000 == 999 {
                let sent: Vec<_> = packets.iter().filter(|packet| packet.0 + ms(1_000) > now).collect();
                let lost = sent.iter().filter(|packet| packet.1.is_none()).count();
                let bits: u32 = sent.iter().map(|packet| packet.2 * 8).sum();
                controller.round_trip(self.link.one_way * 2 + self.link.wait(now));
                controller.report(now, bits, lost as f32 / sent.len() as f32);
            }
            let interval = if rate < 150e3 { 200 } else { 100 };
            if !self.reports && now.as_millis() % interval == 0 {
                // Up to the last one that came.
                let came =
                    |packet: &(Duration, Option<Duration>, u32)| packet.1.is_some_and(|out| out <= now);
                if let Some(last) = packets.iter().rposition(came).filter(|last| *last >= told) {
                    let fates = packets[told..=last].iter().map(|(sent, out, size)| Fate {
                        sent: *sent,
                        arrived: out.filter(|out| *out <= now).map(|out| out + skew),
                        size: *size,
                    });
                    feedbacks.push_back((now + self.link.one_way, fates.collect()));
                    told = last + 1;
                }
            }
            while feedbacks.front().is_some_and(|(at, _)| *at <= now) {
                let (_, fates) = feedbacks.pop_front().unwrap();
                if self.link.cut.contains(&now.as_secs()) {
                    continue;
                }
                controller.round_trip(self.link.one_way * 2 + self.link.wait(now));
                controller.feedback(now, &fates);
            }
            if now.as_millis() % 50 == 0 {
                controller.tick(now);
                plan = planner.plan(now, controller.target(), &wishes);
            }
            seconds[second].target = f64::from(controller.target());
            seconds[second].fps = plan.picture.map_or(0, |picture| picture.fps);
            seconds[second].rows = plan.picture.map_or(0, |picture| picture.size.1);
            seconds[second].sound = plan.sound.bitrate;
        }
        for (out, bytes) in outs {
            if let Some(second) = seconds.get_mut(out.as_secs() as usize) {
                second.delivered += f64::from(bytes) * 8.0;
            }
        }
        for (sent, out, _) in packets {
            if out.is_none() {
                seconds[sent.as_secs() as usize].lost += 1.0;
            }
        }
        if std::env::var_os("RATE_SHOW").is_some() {
            for (n, s) in seconds.iter().enumerate() {
                println!(
                    "{n:3} sent {:6.0} came {:6.0} target {:6.0} standing {:4} gap {:4} lost {:4} {}@{} sound {} tcp {:6.0}",
                    s.sent / 1e3,
                    s.delivered / 1e3,
                    s.target / 1e3,
                    s.standing.as_millis(),
                    s.gap.as_millis(),
                    s.lost,
                    s.rows,
                    s.fps,
                    s.sound / 1000,
                    s.tcp / 1e3
                );
            }
        }
        seconds
    }
}

const STEPS: [(u64, f64); 3] = [(0, 300e3), (30, 80e3), (60, 2_000e3)];

fn mean(seconds: &[Second], of: impl Fn(&Second) -> f64) -> f64 {
    seconds.iter().map(of).sum::<f64>() / seconds.len() as f64
}

#[test]
fn a_link_that_changes_is_used_without_a_queue() {
    for (jitter, excess, seed) in
        [(0, 1.0, 1), (0, 1.0, 2), (0, 1.3, 3), (20, 1.0, 4), (20, 0.8, 5), (20, 1.3, 6)]
    {
        let mut run = Run::new(&STEPS, 90);
        run.excess = excess;
        run.link.random ^= seed << 32;
        run.link.jitter = Duration::from_millis(jitter);
        let seconds = run.run();
        for (from, rate) in STEPS {
            let part = &seconds[from as usize..][..30];
            for (n, second) in part.iter().enumerate() {
                let at = from as usize + n;
                if n >= 5 {
                    assert!(second.standing < Duration::from_millis(150), "queue at {at}: {second:?}");
                }
                let allowed = if n < 5 { 500 } else { 200 };
                assert!(second.gap < Duration::from_millis(allowed), "sound at {at}: {second:?}");
            }
            let used = mean(&part[15..], |second| second.delivered) / rate;
            assert!(used > 0.8, "{used} of {rate} with {jitter} ms jitter");
            // What feels its way to the rate again and again makes sound wait: not for long.
            let mut waits: Vec<_> = part[15..].iter().flat_map(|second| &second.waits).collect();
            waits.sort_unstable();
            let nearly_all = **waits.get(waits.len() * 95 / 100).unwrap();
            assert!(
                nearly_all < Duration::from_millis(100),
                "{nearly_all:?} at {rate} with {jitter} ms jitter"
            );
        }
    }
}

#[test]
fn random_loss_does_not_collapse_the_rate() {
    let mut run = Run::new(&[(0, 1_000e3)], 60);
    run.link.loss = 0.05;
    let seconds = run.run();
    let used = mean(&seconds[20..], |second| second.delivered) / 1_000e3;
    assert!(used > 0.7, "{used}");
}

#[test]
fn heavy_loss_for_a_while_is_recovered_from() {
    let mut run = Run::new(&[(0, 1_000e3)], 40);
    run.link.loss = 0.3;
    let seconds = run.run();
    let used = mean(&seconds[20..], |second| second.sent) / 1_000e3;
    assert!(used > 0.3, "{used}");
}

#[test]
fn a_download_beside_it_takes_its_share_and_no_more() {
    let mut run = Run::new(&[(0, 2_000e3)], 90);
    run.tcp = Some(Tcp::new());
    run.tcp_from = 15;
    let seconds = run.run();
    let ours = mean(&seconds[30..], |second| second.delivered);
    let theirs = mean(&seconds[30..], |second| second.tcp);
    println!("ours {ours} theirs {theirs}");
    assert!(ours > 400e3, "starved: {ours}");
    assert!(theirs > 400e3, "starving: {theirs}");
}

#[test]
fn the_narrowest_and_the_widest_links_carry_a_call() {
    for rate in [40e3, 32e3, 60e3, 150e3, 600e3, 5_500e3] {
        let seconds = Run::new(&[(0, rate)], 40).run();
        let used = mean(&seconds[20..], |second| second.delivered) / rate;
        println!("{rate}: {used}");
        assert!(used > 0.75, "{used} of {rate}");
        assert!(seconds[10..].iter().all(|s| s.fps >= 5 || rate < 40e3), "no picture at {rate}");
        // One packet of a picture is 60 ms on the narrowest.
        assert!(seconds[10..].iter().all(|s| s.standing < Duration::from_millis(80)), "a queue at {rate}");
    }
}

#[test]
fn a_queue_that_was_there_first_is_found() {
    for rate in [40e3, 80e3, 300e3] {
        for seed in 0..8 {
            let mut run = Run::new(&[(0, rate)], 40);
            run.link.random ^= seed << 32;
            run.filled = Duration::from_millis(1_500);
            let seconds = run.run();
            let standing = seconds[10..].iter().map(|second| second.standing).max().unwrap();
            assert!(standing < Duration::from_millis(90), "{rate} {seed}: {standing:?}");
            let lost = mean(&seconds[20..], |second| second.lost);
            assert!(lost < 1.0, "{rate} {seed}: {lost} packets a second");
            let used = mean(&seconds[20..], |second| second.delivered) / rate;
            assert!(used > 0.7, "{used} of {rate}");
        }
    }
}

#[test]
fn a_cut_is_recovered_from() {
    let mut run = Run::new(&[(0, 1_000e3)], 50);
    run.link.cut = 20..28;
    let seconds = run.run();
    assert!(seconds[27].target <= 60e3, "{:?}", seconds[27]);
    assert!(seconds[28].gap < Duration::from_millis(8_300), "{:?}", seconds[28]);
    assert!(mean(&seconds[38..], |second| second.delivered) > 750e3);
}

#[test]
fn a_content_that_needs_little_is_no_proof_of_more() {
    let mut run = Run::new(&[(0, 5_000e3)], 30);
    run.content = 200e3;
    let seconds = run.run();
    assert!(seconds.iter().all(|second| second.target < 550e3));
    let mut run = Run::new(&[(0, 1_000e3)], 40);
    run.link.jitter = Duration::from_millis(60);
    let used = mean(&run.run()[20..], |second| second.delivered) / 1_000e3;
    assert!(used > 0.6, "{used}");
}

#[test]
fn receiver_reports_alone_do() {
    let mut run = Run::new(&STEPS, 90);
    run.reports = true;
    let seconds = run.run();
    for (from, rate) in STEPS {
        let part = &seconds[from as usize..][..30];
        let used = mean(&part[15..], |second| second.delivered) / rate;
        assert!(used > 0.6, "{used} of {rate}");
        assert!(part[10..].iter().all(|second| second.gap < Duration::from_millis(500)));
    }
}
