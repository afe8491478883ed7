//! What becomes of the target: sound first, the rest for the picture, whose size and frame rate go with it. Down at
//! once, up after a while, so that nothing thrashes.

use super::OVERHEAD;
use std::time::Duration;

/// What this end would send on a path without limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wishes {
    /// bit/s in all, on the wire.
    pub most: u32,
    /// The picture's columns and rows, and pictures a second; `None`: no picture is sent.
    pub picture: Option<((u32, u32), u32)>,
}

/// What sound gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sound {
    /// bit/s for the codec.
    pub bitrate: u32,
    /// 20 ms frames in a packet: at the lowest rates headers cost more than sound.
    pub frames: u32,
}

impl Sound {
    /// bit/s on the wire.
    pub fn wire(self) -> u32 {
        self.bitrate + OVERHEAD * 8 * 50 / self.frames
    }
}

/// What the picture gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picture {
    /// bit/s for the codec.
    pub bitrate: u32,
    /// bit/s on the wire.
    pub wire: u32,
    /// Pictures a second.
    pub fps: u32,
    /// Columns and rows, even.
    pub size: (u32, u32),
    /// Bytes of a packet's payload at the most: on a narrow path sound waits behind each.
    pub payload: usize,
}

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Always something: a call without sound is none.
    pub sound: Sound,
    /// `None` while the path does not carry one.
    pub picture: Option<Picture>,
}

/// The best first. Speech without losses gains nothing audible beyond 40 kbit/s, but what restores it from them does:
/// with 56 a tenth lost in bursts leaves half as much to be invented (`scripts/bench sound network --kbit 40`).
const SOUNDS: [Sound; 6] = [
    Sound { bitrate: 56_000, frames: 1 },
    Sound { bitrate: 40_000, frames: 1 },
    Sound { bitrate: 32_000, frames: 1 },
    Sound { bitrate: 24_000, frames: 1 },
    Sound { bitrate: 20_000, frames: 2 },
    LAST_SOUND,
];
const LAST_SOUND: Sound = Sound { bitrate: 16_000, frames: 3 };
/// Below so much in all the first two have no place beside a picture.
const BEST_SOUNDS: [u32; 2] = [500_000, 400_000];
/// What the smallest picture needs on the wire, bit/s, beside all sounds but the last, and beside that.
const LEAST_PICTURE: u32 = 20_000;
const LAST_PICTURE: u32 = 7_000;

/// From so many bit/s on, pictures of so many rows and so many a second.
struct Rung {
    from: u32,
    rows: u32,
    fps: u32,
}

const RUNGS: [Rung; 9] = [
    Rung { from: 0, rows: 90, fps: 5 },
    Rung { from: 45_000, rows: 90, fps: 10 },
    Rung { from: 70_000, rows: 180, fps: 10 },
    Rung { from: 110_000, rows: 180, fps: 15 },
    Rung { from: 180_000, rows: 270, fps: 20 },
    Rung { from: 280_000, rows: 360, fps: 30 },
    Rung { from: 800_000, rows: 540, fps: 30 },
    Rung { from: 1_300_000, rows: 720, fps: 30 },
    Rung { from: 2_600_000, rows: 1_080, fps: 60 },
];
/// A packet of the picture takes so long at the picture's own rate, s; its payload in bytes within these limits, the
/// greater of which leaves room for all headers in the 1,280 bytes that every IPv6 path carries (RFC 8200 §5).
const PACKET_TIME: f64 = 0.05;
const PAYLOAD: (usize, usize) = (250, 1_160);
/// What is better is taken when there is so much more than it needs, as a fraction, for so long; what there is is
/// kept down to so much less for a moment, to half of what it needs not at all.
const UP: (u64, u64) = (11, 10);
const KEEP: (u64, u64) = (85, 100);
const PATIENCE: Duration = Duration::from_secs(2);
const MOMENT: Duration = Duration::from_secs(1);
/// What was left again so soon was no gain: patience doubles, to no more than this.
const SOON: Duration = Duration::from_secs(15);
const LONGEST_PATIENCE: Duration = Duration::from_secs(32);

/// How a place on a ladder suits what there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    /// Not for another moment.
    Hopeless,
    /// Not for long.
    Tight,
    /// One can stay.
    Good,
    /// One can go there.
    Ample,
    /// Twice what is needed.
    Plenty,
}

/// Remembers what was planned.
#[derive(Debug, Default)]
pub struct Planner {
    sound: Ladder,
    rung: Ladder,
    on: Ladder,
}

/// A place on a ladder, 0 the best.
#[derive(Debug, Default)]
struct Ladder {
    at: Option<usize>,
    better_since: Option<Duration>,
    tight_since: Option<Duration>,
    rose: Option<Duration>,
    patience: Option<Duration>,
}

impl Ladder {
    fn take(&mut self, now: Duration, places: usize, fit: impl Fn(usize) -> Fit) -> usize {
        let best = |least: Fit| (0..places).find(|place| fit(*place) >= least);
        let last = places.saturating_sub(1);
        let Some(at) = self.at.map(|at| at.min(last)) else {
            let first = best(Fit::Good).unwrap_or(last);
            self.at = Some(first);
            return first;
        };
        let fits = fit(at);
        if fits < Fit::Good {
            self.better_since = None;
            let tight = now.saturating_sub(*self.tight_since.get_or_insert(now));
            if at == last || (fits == Fit::Tight && tight < MOMENT) {
                return at;
            }
            self.tight_since = None;
            let in_vain = self.rose.take().is_some_and(|rose| now.saturating_sub(rose) < SOON);
            let patience = self.patience.unwrap_or(PATIENCE);
            self.patience = in_vain.then(|| (patience * 2).min(LONGEST_PATIENCE));
            // What is hopeless may be so for a moment only, and then the next place that bears a moment will do.
            let least = if fits == Fit::Hopeless { Fit::Tight } else { Fit::Good };
            let lower = best(least).unwrap_or(last);
            self.at = Some(lower);
            return lower;
        }
        self.tight_since = None;
        let Some(better) = best(Fit::Ample).filter(|better| *better < at) else {
            self.better_since = None;
            return at;
        };
        let patience = self.patience.unwrap_or(PATIENCE);
        // What failed before may have failed for want of little; with plenty it is tried sooner.
        let patience = if fit(better) == Fit::Plenty { (patience / 4).max(PATIENCE) } else { patience };
        if now.saturating_sub(*self.better_since.get_or_insert(now)) < patience {
            return at;
        }
        self.better_since = None;
        self.rose = Some(now);
        self.at = Some(better);
        better
    }
}

/// How what there is suits sound that needs so much alone, and so much with a picture, which is first to give way.
fn of_sound(have: u32, alone: u32, need: u32) -> Fit {
    match u64::from(have) * UP.1 {
        have if have >= u64::from(need) * (UP.0 + UP.1) / 2 => Fit::Ample,
        have if have >= u64::from(need) * UP.1 => Fit::Good,
        have if have >= u64::from(alone) * UP.1 => Fit::Tight,
        _ => Fit::Hopeless,
    }
}

/// How what there is suits a picture that needs so much.
fn of_picture(have: u32, need: u64) -> Fit {
    let have = u64::from(have);
    match have {
        _ if have >= need * 2 => Fit::Plenty,
        _ if have * UP.1 >= need * UP.0 => Fit::Ample,
        _ if have * KEEP.1 >= need * KEEP.0 => Fit::Good,
        _ if have * 2 >= need => Fit::Tight,
        _ => Fit::Hopeless,
    }
}

impl Planner {
    /// What to send at this target, bit/s on the wire.
    pub fn plan(&mut self, now: Duration, target: u32, wishes: &Wishes) -> Plan {
        let sound = self.sound(now, target, wishes);
        let left = target.saturating_sub(sound.wire());
        let picture = wishes.picture.and_then(|wish| self.picture(now, left, wishes.most, wish));
        Plan { sound, picture }
    }

    fn sound(&mut self, now: Duration, target: u32, wishes: &Wishes) -> Sound {
        let with_picture = wishes.picture.is_some();
        let place = self.sound.take(now, SOUNDS.len(), |place| {
            let Some(sound) = SOUNDS.get(place) else { return Fit::Hopeless };
            let picture = match BEST_SOUNDS.get(place) {
                _ if !with_picture => 0,
                Some(all) => all - sound.wire(),
                None => LEAST_PICTURE,
            };
            of_sound(target, sound.wire(), sound.wire() + picture)
        });
        SOUNDS.get(place).copied().unwrap_or(LAST_SOUND)
    }

    fn picture(
        &mut self,
        now: Duration,
        left: u32,
        most: u32,
        (size, fps): ((u32, u32), u32),
    ) -> Option<Picture> {
        // A queue is drained within a moment: the picture waits for that, and goes when there is still no room.
        let on = || of_picture(left, LAST_PICTURE.into()).max(Fit::Tight);
        let off = self.on.take(now, 2, |place| if place == 1 { Fit::Good } else { on() });
        if off == 1 {
            return None;
        }
        // Whoever asks for much within little shall have it, when all of the little is there.
        let top = rung_of(size.1, fps);
        let affordable = u64::from(most.saturating_sub(SOUNDS[0].wire())) * 8 / 10;
        let full = u64::from(RUNGS.get(top).map_or(0, |rung| rung.from)).max(1);
        let place = self.rung.take(now, top + 1, |place| {
            let Some(rung) = RUNGS.get(top - place) else { return Fit::Hopeless };
            of_picture(left, u64::from(rung.from) * full.min(affordable) / full)
        });
        let rung = RUNGS.get(top - place)?;
        let fps = rung.fps.min(fps);
        let payload = ((f64::from(left) * PACKET_TIME / 8.0) as usize).clamp(PAYLOAD.0, PAYLOAD.1);
        // Half a packet of each picture is not full.
        let packets = fps / 2 + left / 8 / (payload as u32 + OVERHEAD);
        let bitrate = left.saturating_sub(packets * OVERHEAD * 8);
        let size = shrunk(size, if place == 0 { size.1 } else { rung.rows });
        Some(Picture { bitrate, wire: left, fps, size, payload })
    }
}

/// The lowest rung that has all that is wished for; the best one if none has.
fn rung_of(rows: u32, fps: u32) -> usize {
    let enough = |rung: &Rung| rung.rows >= rows && rung.fps >= fps;
    RUNGS.iter().position(enough).unwrap_or(RUNGS.len() - 1)
}

/// The size in the same shape with at most so many rows, even.
fn shrunk((columns, height): (u32, u32), rows: u32) -> (u32, u32) {
    if height <= rows {
        return (columns, height);
    }
    let columns = u64::from(columns) * u64::from(rows) / u64::from(height.max(1));
    ((columns as u32).next_multiple_of(2).max(2), rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WISHES: Wishes = Wishes { most: 5_000_000, picture: Some(((1280, 720), 30)) };

    fn settled(target: u32, wishes: &Wishes) -> Plan {
        Planner::default().plan(Duration::ZERO, target, wishes)
    }

    #[test]
    fn the_picture_gives_way_before_sound_does_and_goes_before_sound_goes() {
        let mut last: Option<Plan> = None;
        for target in (26_000..5_000_000).step_by(1_000) {
            let plan = settled(target, &WISHES);
            let wire = plan.sound.wire() + plan.picture.map_or(0, |picture| picture.wire);
            assert!(wire <= target, "{target}: {plan:?}");
            if plan.sound.bitrate < 32_000 {
                assert!(plan.picture.is_none_or(|p| (p.fps, p.size) == (5, (160, 90))), "{target}: {plan:?}");
            }
            if let Some(last) = last.replace(plan) {
                assert!(plan.sound.bitrate >= last.sound.bitrate, "{target}");
                assert!(plan.picture.map(|p| p.size) >= last.picture.map(|p| p.size), "{target}");
            }
        }
        assert_eq!(last.unwrap().picture.unwrap().size, (1280, 720));
        let least = settled(26_000, &WISHES);
        assert_eq!((least.sound, least.picture), (Sound { bitrate: 16_000, frames: 3 }, None));
    }

    #[test]
    fn sound_alone_has_what_there_is() {
        let alone = Wishes { most: 5_000_000, picture: None };
        for (target, bitrate) in [(40_000, 20_000), (70_000, 40_000), (90_000, 56_000), (600_000, 56_000)] {
            assert_eq!(settled(target, &alone).sound.bitrate, bitrate, "{target}");
        }
        for (target, bitrate) in [(90_000, 32_000), (450_000, 40_000), (600_000, 56_000)] {
            assert_eq!(settled(target, &WISHES).sound.bitrate, bitrate, "{target}");
        }
    }

    #[test]
    fn forty_kbit_a_second_carry_sound_and_five_pictures() {
        let plan = settled(40_000, &WISHES);
        assert_eq!(plan.sound.bitrate, 16_000);
        assert!(plan.picture.is_some_and(|picture| picture.fps == 5 && picture.bitrate > 8_000), "{plan:?}");
    }

    #[test]
    fn whoever_asks_for_much_within_little_has_it_when_all_of_the_little_is_there() {
        let wishes = Wishes { most: 600_000, ..WISHES };
        assert_eq!(settled(600_000, &wishes).picture.unwrap().size, (1280, 720));
        let small = Wishes { most: 600_000, picture: Some(((320, 240), 15)) };
        let picture = settled(600_000, &small).picture.unwrap();
        assert_eq!((picture.size, picture.fps), ((320, 240), 15));
        assert_eq!(settled(80_000, &small).picture.unwrap().size, (120, 90));
        assert_eq!(settled(600_000, &Wishes { picture: None, ..small }).picture, None);
    }

    #[test]
    fn what_is_better_is_waited_for_and_longer_each_time_that_it_did_not_last() {
        let mut planner = Planner::default();
        let mut sizes = 0;
        let mut last = None;
        for second in 0..120u64 {
            // Five good seconds, three bad ones.
            let target = if second % 8 < 5 { 450_000 } else { 230_000 };
            for part in 0..10 {
                let now = Duration::from_millis(second * 1_000 + part * 100);
                let size = planner.plan(now, target, &WISHES).picture.map(|picture| picture.size);
                sizes += u32::from(last.replace(size) != Some(size));
            }
        }
        assert!(sizes <= 6, "{sizes}");
    }

    #[test]
    fn a_moment_s_dip_changes_no_size() {
        let mut planner = Planner::default();
        let before = planner.plan(Duration::ZERO, 600_000, &WISHES).picture.unwrap();
        let dip = planner.plan(Duration::from_millis(100), 300_000, &WISHES).picture.unwrap();
        assert_eq!(dip.size, before.size);
        assert!(dip.bitrate < before.bitrate);
        let step = planner.plan(Duration::from_millis(200), 100_000, &WISHES).picture.unwrap();
        assert_eq!(step.size, (160, 90));
    }
}
