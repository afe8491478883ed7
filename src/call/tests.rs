//! Two lives joined by a wire of values, on a virtual clock.

use super::*;
use event::EndReason;

const START: Duration = Duration::ZERO;
const RECONNECT: Duration = Duration::from_secs(120);

fn life(role: Role, auto_accept: bool) -> Call {
    let reply_deadline = (role == Role::Answerer).then_some(Duration::from_secs(900));
    let deadline = if role == Role::Answerer { ANSWER_TIMEOUT } else { Duration::from_secs(900) };
    let name = if role == Role::Offerer { "alice" } else { "bob" }.to_owned();
    Call::new(
        START,
        LifeConfig {
            role,
            name,
            candidates: Vec::new(),
            auto_accept,
            deadline,
            reply_deadline,
            duration: None,
            reconnect: RECONNECT,
        },
    )
}

fn verification(nonce: u8) -> Input {
    Input::Verified(Verification {
        nonce: [nonce; 32],
        derive: Box::new(|a, b| format!("{} {}", a[0], b[0])),
    })
}

/// Carries what each end sends to the other until both are silent; returns all that was not carried.
fn converse(
    now: Duration,
    alice: &mut Call,
    bob: &mut Call,
    first: Vec<(Role, Effect)>,
) -> Vec<(Role, Effect)> {
    let mut queue: std::collections::VecDeque<_> = first.into();
    let mut seen = Vec::new();
    while let Some((from, effect)) = queue.pop_front() {
        let reaction = match effect {
            Effect::Send(talk) if from == Role::Offerer => {
                bob.handle(now, Input::Heard(talk)).into_iter().map(|e| (Role::Answerer, e)).collect()
            }
            Effect::Send(talk) => {
                alice.handle(now, Input::Heard(talk)).into_iter().map(|e| (Role::Offerer, e)).collect()
            }
            other => {
                seen.push((from, other));
                Vec::new()
            }
        };
        queue.extend(reaction);
    }
    seen
}

fn tag(role: Role, effects: Vec<Effect>) -> Vec<(Role, Effect)> {
    effects.into_iter().map(|effect| (role, effect)).collect()
}

/// Both ends verified, greeted, and the offerer asked.
fn greeted(auto_accept: bool) -> (Call, Call, Vec<(Role, Effect)>) {
    let (mut alice, mut bob) = (life(Role::Offerer, auto_accept), life(Role::Answerer, false));
    let mut first = tag(Role::Offerer, alice.handle(START, verification(1)));
    first.extend(tag(Role::Answerer, bob.handle(START, verification(2))));
    let seen = converse(START, &mut alice, &mut bob, first);
    (alice, bob, seen)
}

fn talking() -> (Call, Call) {
    let (mut alice, mut bob, _) = greeted(true);
    alice.handle(START, Input::MediaReady);
    bob.handle(START, Input::MediaReady);
    assert!(alice.is_connected() && bob.is_connected());
    (alice, bob)
}

fn ending(effects: &[Effect]) -> Option<&Ending> {
    effects.iter().find_map(|effect| match effect {
        Effect::Finish(ending) => Some(ending),
        _ => None,
    })
}

fn words_of(seen: &[(Role, Effect)], role: Role) -> Option<String> {
    seen.iter().find_map(|(who, effect)| match effect {
        Effect::Emit(CallEvent::Verify { words, .. }) if *who == role => Some(words.clone()),
        _ => None,
    })
}

#[test]
fn both_ends_learn_the_name_and_the_same_safety_words() {
    let (_, _, seen) = greeted(false);
    assert_eq!(words_of(&seen, Role::Offerer), Some("1 2".into()));
    assert_eq!(words_of(&seen, Role::Answerer), words_of(&seen, Role::Offerer));
    assert!(seen.contains(&(Role::Offerer, Effect::Emit(state(CallState::Answered, Some("bob".into()))))));
    assert!(seen.contains(&(Role::Answerer, Effect::Emit(state(CallState::Answered, Some("alice".into()))))));
}

#[test]
fn no_device_is_opened_before_the_offerer_accepts() {
    let (mut alice, mut bob, seen) = greeted(false);
    assert!(!seen.iter().any(|(_, effect)| *effect == Effect::OpenMedia));
    let offer = Talk::Description { kind: DescriptionKind::Offer, sdp: String::new() };
    assert_eq!(bob.handle(START, Input::Heard(offer)), []);

    let accept = tag(Role::Offerer, alice.handle(START, Input::Told(Command::Accept)));
    let seen = converse(START, &mut alice, &mut bob, accept);
    for role in [Role::Offerer, Role::Answerer] {
        assert!(seen.contains(&(role, Effect::OpenMedia)), "{role:?}");
    }
    assert!(seen.contains(&(Role::Offerer, Effect::OfferMedia)));
}

#[test]
fn an_answerer_cannot_accept_itself_in() {
    let (mut alice, mut bob, _) = greeted(false);
    assert_eq!(bob.handle(START, Input::Told(Command::Accept)), []);
    assert_eq!(alice.handle(START, Input::Heard(Talk::Accepted)), []);
}

#[test]
fn a_refusal_is_told_and_ends_both() {
    let (mut alice, mut bob, _) = greeted(false);
    let refusal = tag(Role::Offerer, alice.handle(START, Input::Told(Command::Refuse)));
    let seen = converse(START, &mut alice, &mut bob, refusal);
    assert!(seen.contains(&(Role::Offerer, Effect::Finish(Ending::WeRefused))));
    assert!(seen.contains(&(Role::Answerer, Effect::Finish(Ending::Refused))));
}

#[test]
fn a_hangup_ends_both_ends_well() {
    let (mut alice, mut bob) = talking();
    let hangup = tag(Role::Offerer, alice.handle(START, Input::Told(Command::Hangup)));
    let seen = converse(START, &mut alice, &mut bob, hangup);
    assert!(seen.contains(&(Role::Offerer, Effect::Finish(Ending::HungUp { connected: true }))));
    assert!(seen.contains(&(Role::Answerer, Effect::Finish(Ending::RemoteHungUp { connected: true }))));
}

#[test]
fn without_a_path_the_reply_code_comes_after_four_seconds_and_lengthens_the_wait() {
    let mut bob = life(Role::Answerer, false);
    assert_eq!(bob.poll_timeout(), Some(REPLY_AFTER));
    assert_eq!(bob.handle(REPLY_AFTER, Input::Tick), [Effect::ShowReply]);
    assert_eq!(bob.handle(ANSWER_TIMEOUT * 2, Input::Tick), []);
    let end = bob.handle(Duration::from_secs(900), Input::Tick);
    assert_eq!(ending(&end), Some(&Ending::NoPath { reply_shown: true }));
}

#[test]
fn a_short_timeout_is_kept_also_before_the_reply_code() {
    let mut bob = life(Role::Answerer, false);
    bob.config.deadline = Duration::from_secs(2);
    let end = bob.handle(Duration::from_secs(2), Input::Tick);
    assert_eq!(ending(&end), Some(&Ending::NoPath { reply_shown: false }));
}

#[test]
fn an_offer_nobody_answers_ends_when_its_code_expires() {
    let mut alice = life(Role::Offerer, false);
    assert_eq!(alice.handle(Duration::from_secs(899), Input::Tick), []);
    let end = alice.handle(Duration::from_secs(900), Input::Tick);
    assert_eq!(ending(&end), Some(&Ending::NobodyAnswered));
    assert_eq!(Ending::NobodyAnswered.reason(), EndReason::Timeout);
}

#[test]
fn a_stranger_who_drops_while_ringing_does_not_end_the_offer() {
    let mut alice = life(Role::Offerer, false);
    assert_eq!(alice.handle(START, Input::PathFailed { relayed: false }), []);
    assert!(alice.is_ringing());
}

fn states(effects: &[Effect]) -> Vec<CallState> {
    let state = |effect: &Effect| match effect {
        Effect::Emit(CallEvent::State(event)) => Some(event.state),
        _ => None,
    };
    effects.iter().filter_map(state).collect()
}

#[test]
fn a_silent_path_is_said_once_and_comes_back() {
    let (mut alice, _) = talking();
    let down = alice.handle(START, Input::PathDown { relayed: false });
    assert_eq!(states(&down), [CallState::Reconnecting]);
    assert_eq!(alice.handle(START, Input::PathDown { relayed: false }), []);
    let back = alice.handle(RECONNECT / 2, Input::PathUp);
    assert_eq!((states(&back), back.last()), (vec![CallState::Connected], Some(&Effect::Resume)));
    assert_eq!(alice.poll_timeout(), None);
    assert_eq!(alice.handle(RECONNECT, Input::PathUp), []);
}

#[test]
fn a_path_that_stays_silent_is_given_up_in_time_and_not_before() {
    for reconnect in [RECONNECT, Duration::ZERO] {
        let (mut alice, _) = talking();
        alice.config.reconnect = reconnect;
        alice.handle(START, Input::PathDown { relayed: true });
        let due = alice.poll_timeout().unwrap();
        assert_eq!(alice.handle(due.saturating_sub(Duration::from_millis(1)), Input::Tick), []);
        let end = alice.handle(due, Input::Tick);
        assert!(matches!(ending(&end), Some(Ending::GivenUp { relayed: true, .. })), "{end:?}");
    }
}

#[test]
fn a_friend_whose_port_refuses_is_gone_once_it_is_silent_too() {
    let (mut alice, _) = talking();
    assert_eq!(alice.handle(START, Input::PortRefuses), []);
    alice.handle(START, Input::PathDown { relayed: false });
    assert_eq!(alice.handle(START, Input::PortRefuses), []);
    let end = alice.handle(Duration::from_secs(3), Input::PortRefuses);
    assert_eq!(ending(&end), Some(&Ending::FriendGone));
}

#[test]
fn a_hangup_in_the_silence_ends_well() {
    let (mut alice, _) = talking();
    alice.handle(START, Input::PathDown { relayed: false });
    let end = alice.handle(START, Input::Told(Command::Hangup));
    assert_eq!(ending(&end), Some(&Ending::HungUp { connected: true }));
    assert_eq!(alice.poll_timeout(), None);
}

#[test]
fn before_media_flows_a_silent_path_is_not_waited_for() {
    let (mut alice, _, _) = greeted(false);
    assert_eq!(alice.handle(START, Input::PathDown { relayed: false }), []);
    let end = alice.handle(Duration::from_secs(3), Input::Tick);
    assert_eq!(ending(&end), Some(&Ending::LostEarly));
}

#[test]
fn a_lost_relayed_call_names_the_relay_among_the_suspects() {
    let (mut alice, _) = talking();
    let end = alice.handle(START, Input::PathFailed { relayed: true });
    let (message, help) = ending(&end).unwrap().words();
    assert!(message.contains("relay") && help.contains("relay"), "{message} {help}");
}

#[test]
fn the_duration_counts_from_connected() {
    let (mut alice, _) = talking();
    alice.config.duration = Some(Duration::from_secs(10));
    assert_eq!(alice.poll_timeout(), Some(Duration::from_secs(10)));
    let end = alice.handle(Duration::from_secs(10), Input::Tick);
    assert_eq!(ending(&end), Some(&Ending::DurationOver));
}

#[test]
fn a_silent_friend_who_authenticated_is_not_waited_for_for_ever() {
    let mut alice = life(Role::Offerer, true);
    alice.handle(START, verification(1));
    let end = alice.handle(GREETING_TIMEOUT, Input::Tick);
    assert!(matches!(ending(&end), Some(Ending::Misbehaved(_))));
}

#[test]
fn nothing_happens_after_the_end() {
    let (mut alice, _) = talking();
    alice.handle(START, Input::Told(Command::Hangup));
    assert_eq!(alice.handle(START, Input::Heard(Talk::Chat { text: "late".into(), number: 1 })), []);
    assert_eq!(alice.poll_timeout(), None);
}

#[test]
fn mute_before_connected_is_told_when_connected() {
    let (mut alice, _, _) = greeted(true);
    assert_eq!(alice.handle(START, Input::Told(Command::Mute(true))), [Effect::Mute(true)]);
    let effects = alice.handle(START, Input::MediaReady);
    assert!(effects.contains(&Effect::Send(Talk::Devices { muted: true, video_off: false })));
}
