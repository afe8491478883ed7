use super::*;

/// Two ends, and what each was told to do besides speaking.
#[derive(Default)]
struct Pair {
    ends: [Share; 2],
    done: [Vec<Act>; 2],
}

impl Pair {
    /// Carries out what `end` is to do: what it says is heard, the rest is kept.
    fn run(&mut self, end: usize, acts: Vec<Act>) {
        for act in acts {
            if let Act::Say(talk) = act {
                let answers = self.ends[1 - end].heard(talk);
                self.run(1 - end, answers);
            } else {
                self.done[end].push(act);
            }
        }
    }

    fn offer(&mut self, name: &str, bytes: u64) {
        let acts = self.ends[0].offer(PathBuf::from("/x").join(name), name, bytes);
        self.run(0, acts);
    }

    fn decide(&mut self, yes: bool) {
        let acts = self.ends[1].decide(yes);
        self.run(1, acts);
    }

    /// Everything that an end did since it was asked last.
    fn did(&mut self, end: usize) -> Vec<Act> {
        std::mem::take(&mut self.done[end])
    }

    /// The states that an end's person was told since.
    fn told(&mut self, end: usize) -> Vec<(FileState, String)> {
        let files = self.did(end).into_iter().filter_map(|act| match act {
            Act::Emit(CallEvent::File(file)) => Some((file.state, file.name)),
            _ => None,
        });
        files.collect()
    }
}

fn is(state: FileState, name: &str) -> (FileState, String) {
    (state, name.to_owned())
}

#[test]
fn a_file_is_offered_taken_sent_and_kept() {
    let mut pair = Pair::default();
    pair.offer("../a.txt", 10);
    assert_eq!(pair.told(0), [is(FileState::Offered, "a.txt")]);
    assert_eq!(pair.told(1), [is(FileState::Offered, "a.txt")]);
    pair.decide(true);
    assert_eq!(pair.did(1), [Act::Keep { id: 0, name: "a.txt".into(), bytes: 10 }]);
    let placed = pair.ends[1].placed(0);
    pair.run(1, placed);
    assert_eq!(pair.did(0), [Act::Send { id: 0, path: "/x/../a.txt".into(), bytes: 10, from: 0 }]);
    let kept = pair.ends[1].kept(0, "/home/a.txt".into());
    pair.run(1, kept);
    assert_eq!(pair.told(1), [is(FileState::Done, "a.txt")]);
    assert_eq!(pair.told(0), [is(FileState::Done, "a.txt")]);
}

#[test]
fn questions_come_one_at_a_time_and_files_go_one_at_a_time() {
    let mut pair = Pair::default();
    pair.offer("a", 1);
    pair.offer("b", 1);
    assert_eq!(pair.told(1), [is(FileState::Offered, "a")]);
    pair.decide(true);
    assert_eq!(pair.told(1), [is(FileState::Offered, "b")]);
    pair.decide(true);
    pair.did(0);
    for id in [0, 1] {
        let placed = pair.ends[1].placed(id);
        pair.run(1, placed);
    }
    assert!(matches!(pair.did(0)[..], [Act::Send { id: 0, .. }]));
    let kept = pair.ends[1].kept(0, "a".into());
    pair.run(1, kept);
    assert!(pair.did(0).iter().any(|act| matches!(act, Act::Send { id: 1, .. })));
}

#[test]
fn a_refused_file_is_told_at_both_ends_and_leaves_nothing() {
    let mut pair = Pair::default();
    pair.offer("a", 1);
    pair.told(0);
    pair.told(1);
    pair.decide(false);
    assert_eq!(pair.told(0), [is(FileState::Refused, "a")]);
    let did = pair.did(1);
    assert!(did.contains(&Act::Discard(0)), "{did:?}");
    // Nothing is asked any more, and nothing is on its way.
    pair.decide(true);
    pair.decide(false);
    assert_eq!((pair.did(0), pair.did(1)), (Vec::new(), Vec::new()));
}

#[test]
fn after_a_reconnection_each_file_goes_on_where_it_stood() {
    let mut pair = Pair::default();
    for name in ["kept", "half", "asked", "refused"] {
        pair.offer(name, 100);
    }
    pair.decide(true);
    pair.decide(true);
    for id in [0, 1] {
        let placed = pair.ends[1].placed(id);
        pair.run(1, placed);
    }
    // The word that the first was kept is lost, as is the refusal of the third.
    pair.ends[1].kept(0, "kept".into());
    pair.ends[1].moved(Side::Remote, 1, 40);
    pair.ends[1].decide(false);
    for end in [0, 1] {
        pair.did(end);
    }
    let again = pair.ends[0].met_again();
    pair.run(0, again);
    let did = pair.did(0);
    assert!(did.contains(&Act::Send { id: 1, path: "/x/half".into(), bytes: 100, from: 40 }), "{did:?}");
    let told: Vec<_> = did
        .into_iter()
        .filter_map(|act| match act {
            Act::Emit(CallEvent::File(file)) => Some((file.name, file.state)),
            _ => None,
        })
        .collect();
    assert_eq!(told, [("kept".into(), FileState::Done), ("asked".into(), FileState::Refused)]);
    assert_eq!(pair.told(1), [], "a person is asked once");
}

#[test]
fn whoever_stops_a_file_the_other_end_hears_why() {
    let mut pair = Pair::default();
    pair.offer("a", 1);
    pair.decide(true);
    for end in [0, 1] {
        pair.did(end);
    }
    let full = pair.ends[1].failed(Side::Remote, 0, Stopped::NoSpace);
    pair.run(1, full);
    for (end, who) in [(0, "your friend's disk is full"), (1, "this disk is full")] {
        let did = pair.did(end);
        let said = did.iter().any(|act| matches!(act, Act::Emit(CallEvent::Warning(notice)) if notice.code == "disk_full" && notice.message.contains(who)));
        assert!(said, "{did:?}");
    }
    pair.offer("b", 1);
    pair.did(1);
    let gone = pair.ends[0].failed(Side::Local, 1, Stopped::Unreadable);
    pair.run(0, gone);
    assert!(pair.told(1).contains(&is(FileState::Failed, "b")));
}

#[test]
fn a_flood_of_offers_is_bounded_and_nonsense_is_nothing() {
    let mut share = Share::default();
    let refused = (0..1_000)
        .filter(|id| {
            let offer = FileTalk::Offer { id: *id, name: "x".into(), bytes: u64::MAX };
            share
                .heard(offer)
                .iter()
                .any(|act| matches!(act, Act::Say(FileTalk::Stop { why: Stopped::Busy, .. })))
        })
        .count();
    assert_eq!(refused, 1_000 - MOST_WAITING);
    for talk in [
        FileTalk::Take { id: 7, from: 0 },
        FileTalk::Kept { id: 7 },
        FileTalk::Stop { id: 7_000, yours: true, why: Stopped::Refused },
        FileTalk::Stop { id: 7_000, yours: false, why: Stopped::Refused },
    ] {
        assert_eq!(share.heard(talk), []);
    }
}

#[test]
fn whoever_asks_again_for_what_is_on_its_way_or_has_more_of_it_than_there_is_changes_nothing() {
    let mut share = Share::default();
    share.offer("/x/a".into(), "a", 10);
    let take = || FileTalk::Take { id: 0, from: 0 };
    assert!(matches!(share.heard(take())[..], [Act::Send { .. }]));
    assert_eq!(share.heard(take()), []);
    assert_eq!(share.moved(Side::Local, 0, 11), []);
    // Over another connection it is begun anew.
    share.met_again();
    assert!(matches!(share.heard(take())[..], [Act::Send { .. }]));
}

#[test]
fn at_the_end_of_the_call_what_has_not_arrived_is_told_at_both_ends() {
    let mut pair = Pair::default();
    for name in ["a", "b"] {
        pair.offer(name, 1);
    }
    pair.decide(true);
    for (end, files) in [(0, vec!["a", "b"]), (1, vec!["a"])] {
        pair.told(end);
        let over = pair.ends[end].over();
        pair.run(end, over);
        assert_eq!(
            pair.told(end),
            files.into_iter().map(|name| is(FileState::Failed, name)).collect::<Vec<_>>()
        );
    }
}
