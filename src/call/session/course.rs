//! I/O: the task that steers what this end sends, by what its connection learns. All decisions are `call::rate`'s.

use crate::call::peer::{Peer, Sending};
use crate::call::rate::{Controller, Plan, Planner, Wishes};
use crate::config::{MediaConfig, VideoChoice};
use crate::media::{Aim, Media, Negotiated, PictureAim};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

/// How often the connection is asked for news: what is learned is no older.
const INTERVAL: Duration = Duration::from_millis(25);
/// Codecs are told of a rate that changed by more than this part of it.
const NOTICED: u32 = 30;

/// What is sent, and why.
pub(super) struct Course {
    controller: Controller,
    planner: Planner,
    wishes: Wishes,
    plan: Plan,
}

impl Course {
    /// At the start of a call.
    pub(super) fn new(config: &MediaConfig, negotiated: Negotiated) -> Self {
        let most = config.bitrate.saturating_mul(1_000);
        let picture = negotiated.video.filter(|_| config.video != VideoChoice::None);
        let wishes = Wishes { most, picture: picture.map(|_| (config.size, config.fps)) };
        let controller = Controller::new(most);
        let mut planner = Planner::default();
        let plan = planner.plan(Duration::ZERO, controller.target(), &wishes);
        Self { controller, planner, wishes, plan }
    }

    /// What the codecs aim at.
    pub(super) fn aim(&self) -> Aim {
        let picture = self.plan.picture.map(|picture| PictureAim {
            kbps: picture.bitrate / 1_000,
            fps: picture.fps,
            size: picture.size,
        });
        Aim { sound: self.plan.sound.bitrate, picture }
    }

    /// How the connection sends.
    fn sending(&self) -> Sending {
        let sending = Sending {
            all: self.controller.target(),
            sounds: self.plan.sound.frames as usize,
            ..Sending::default()
        };
        match self.plan.picture {
            Some(picture) => Sending { picture: picture.wire, payload: picture.payload, ..sending },
            None => sending,
        }
    }

    /// Takes a connection's news; `true` when there is another plan.
    fn hear(&mut self, now: Duration, peer: &Peer) -> bool {
        let news = peer.news();
        if news.sent {
            self.controller.sent(now);
        }
        if let Some(round_trip) = news.round_trip {
            self.controller.round_trip(round_trip);
        }
        self.controller.feedback(now, &news.fates);
        if let Some(summary) = news.summary {
            self.controller.report(now, summary.sent, summary.loss);
        }
        self.controller.tick(now);
        let plan = self.planner.plan(now, self.controller.target(), &self.wishes);
        let changed = differs(&plan, &self.plan);
        if changed {
            log::debug!(
                "target {} kbit/s, queue {:?}: {plan:?}",
                self.controller.target() / 1_000,
                self.controller.queueing()
            );
            self.plan = plan;
        }
        changed
    }
}

/// Whether the codecs should hear of it.
fn differs(new: &Plan, old: &Plan) -> bool {
    let far = |new: u32, old: u32| new.abs_diff(old) > old / NOTICED;
    new.sound != old.sound
        || match (new.picture, old.picture) {
            (Some(new), Some(old)) => {
                (new.fps, new.size, new.payload) != (old.fps, old.size, old.payload)
                    || far(new.bitrate, old.bitrate)
            }
            (new, old) => new.is_some() != old.is_some(),
        }
}

/// Steers until the media are gone.
pub(super) async fn steer(
    mut course: Course,
    mut peers: watch::Receiver<Arc<Peer>>,
    media: Arc<Media>,
    started: Instant,
) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    peers.borrow().send_as(course.sending());
    loop {
        ticks.tick().await;
        let Ok(moved) = peers.has_changed() else { return };
        let peer = Arc::clone(&peers.borrow_and_update());
        if moved {
            course.controller.new_path();
        }
        if course.hear(started.elapsed(), &peer) || moved {
            peer.send_as(course.sending());
            media.set_aim(course.aim());
        }
        media.picture_leaves_until(peer.clear());
    }
}
