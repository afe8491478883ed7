//! Who gets in, and how little is said to those who do not.

use base64::Engine as _;

use super::*;
use crate::stun::Integrity;

#[test]
fn strangers_get_56_bytes_and_cost_no_memory() {
    let mut lab = lab();
    let packet =
        build(Method::ALLOCATE, TransactionId([1; 12]), Seal::NONE, |b| b.put(attr::REQUESTED_TRANSPORT, 17));
    for last in 0..=255 {
        let answer = lab.request(0, udp(&format!("198.51.{last}.1:5")), &packet);
        assert_eq!((answer.error(), answer.0.len()), (401, 56));
    }
    assert_eq!((lab.shared.allocations(), lab.shards[0].poll_timeout()), (0, None));
    assert!(lab.shards[0].poll_event().is_none(), "nor a line in the log");
}

#[test]
fn a_flood_from_one_network_is_answered_in_measure() {
    let mut lab = lab();
    let packet = build(Method::ALLOCATE, TransactionId([1; 12]), Seal::NONE, |b| b);
    let mut answered =
        |from: &str| (0..5_000).filter(|_| lab.try_request(0, udp(from), &packet).is_some()).count();
    assert_eq!(answered("198.51.100.1:5"), 800);
    assert_eq!(answered("198.51.100.2:5"), 0);
    assert_eq!(answered("127.0.0.1:5"), 5_000);
    assert!(lab.shards[0].counters().limited > 9_000);
    let stream = Client { address: address("198.51.100.1:5"), via: Via::Stream(1) };
    assert!(lab.try_request(0, stream, &packet).is_some(), "a stream's address is not forged");
}

#[test]
fn only_the_right_password_opens() {
    for (name, password, code) in [
        ("alice", "alice's word", 0),
        ("alice", "bob's word", 401),
        ("carol", "alice's word", 401),
        ("", "", 401),
        ("1790000100", "", 401),
        ("1790000100:x", "north", 401),
    ] {
        let mut lab = lab();
        let user = lab.join("198.51.100.1:1", 0, name, password);
        let answer = lab.ask(&user, Method::ALLOCATE, |b| b.put(attr::REQUESTED_TRANSPORT, 17));
        assert_eq!(answer.error(), code, "{name}");
    }
}

#[test]
fn a_time_limited_credential_opens_until_its_time_and_a_call_goes_on_after_it() {
    let mut lab = lab();
    let given = time_limited("north", UNIX + 100, Some("carol"));
    let carol = lab.join("198.51.100.1:1", 0, &given.user, &given.password);
    lab.allocate(&carol);
    lab.pass(200);
    assert_eq!(lab.refresh(&carol, 600).error(), 0);
    let late = lab.join("198.51.100.2:1", 0, &given.user, &given.password);
    assert_eq!(lab.ask(&late, Method::ALLOCATE, |b| b.put(attr::REQUESTED_TRANSPORT, 17)).error(), 401);
}

#[test]
fn a_nonce_is_of_one_address_and_one_hour_and_tells_the_time() {
    let mut lab = lab();
    let alice = lab.alice();
    let ask = |lab: &mut Lab, user: &User| {
        lab.ask(user, Method::ALLOCATE, |b| b.put(attr::REQUESTED_TRANSPORT, 17)).error()
    };
    let elsewhere = User { client: udp("198.51.100.77:1"), ..alice.clone() };
    assert_eq!(ask(&mut lab, &elsewhere), 438);
    let forged = User { nonce: "AAAAAAAAAAAAAAAA".into(), ..alice.clone() };
    assert_eq!(ask(&mut lab, &forged), 438);
    lab.pass(3601);
    assert_eq!(ask(&mut lab, &alice), 438);
    let nonce = base64::engine::general_purpose::STANDARD.decode(&alice.nonce).unwrap();
    assert_eq!(nonce[..4], (UNIX as u32).to_be_bytes());
}

#[test]
fn what_is_missing_or_changed_is_told_apart() {
    let mut lab = lab();
    let alice = lab.alice();
    let good = lab.signed(&alice, Method::ALLOCATE, |b| b.put(attr::REQUESTED_TRANSPORT, 17));
    let mut changed = good.clone();
    changed[24] = 6;
    assert_eq!(lab.request(0, alice.client, &changed).error(), 401);
    let id = lab.id();
    let nameless = build(Method::ALLOCATE, id, Seal::signed(&alice.key()), |b| b.put(attr::REALM, "p2p"));
    assert_eq!(lab.request(0, alice.client, &nameless).error(), 400);
    assert_eq!(lab.request(0, alice.client, &good).error(), 0);
}

#[test]
fn a_new_secret_lets_calls_go_on_and_shuts_out_the_old_one() {
    let mut lab = lab();
    let alice = lab.alice();
    lab.allocate(&alice);
    lab.shared.set_credentials(Credentials::new("p2p", &[], vec!["south".into()]));
    assert_eq!(lab.refresh(&alice, 600).error(), 0);
    let again = lab.join("198.51.100.8:1", 0, "alice", "alice's word");
    assert_eq!(lab.ask(&again, Method::ALLOCATE, |b| b.put(attr::REQUESTED_TRANSPORT, 17)).error(), 401);
}

#[test]
fn sha256_credentials_work_where_they_are_offered() {
    let mut lab = lab_with(|settings| settings.sha256 = true);
    let alice = lab.alice();
    assert!(alice.nonce.starts_with(SHA256_NONCE_PREFIX));
    let bare = build(Method::ALLOCATE, TransactionId([1; 12]), Seal::NONE, |b| b);
    assert_eq!(lab.request(0, alice.client, &bare).0.len(), 84);
    let key = Key::long_term(PasswordAlgorithm::Sha256, "alice", "p2p", "alice's word");
    let ask = |lab: &mut Lab, list: &[u8], algorithm| {
        let packet = build(Method::ALLOCATE, TransactionId([8; 12]), Seal::signed_sha256(&key), |b| {
            b.put(attr::REQUESTED_TRANSPORT, 17)
                .put(attr::USERNAME, "alice")
                .put(attr::REALM, "p2p")
                .put(attr::NONCE, &alice.nonce)
                .put(attr::PASSWORD_ALGORITHMS, list)
                .put_some(attr::PASSWORD_ALGORITHM, algorithm)
        });
        lab.request(0, alice.client, &packet)
    };
    assert_eq!(ask(&mut lab, PasswordAlgorithm::LIST, None).error(), 400);
    assert_eq!(ask(&mut lab, &[0, 1, 0, 0], Some(PasswordAlgorithm::Sha256)).error(), 400, "a bid down");
    let answer = ask(&mut lab, PasswordAlgorithm::LIST, Some(PasswordAlgorithm::Sha256));
    assert_eq!(answer.error(), 0);
    assert_eq!(answer.message().verify(&key, Integrity::Sha256), Ok(()));
    lab.refresh(&alice, 0);
    let old = lab.bob();
    lab.allocate(&old);
}

#[test]
fn control_characters_of_a_name_never_reach_the_log() {
    let mut lab = lab();
    let user = lab.join("198.51.100.1:1", 0, "\x1b[2J\u{7}evil\r\n", "x");
    lab.ask(&user, Method::ALLOCATE, |b| b.put(attr::REQUESTED_TRANSPORT, 17));
    let Some(Event::Refused { user, code: 401, .. }) = lab.shards[0].poll_event() else { panic!("an event") };
    assert_eq!(user, "\u{FFFD}[2J\u{FFFD}evil\u{FFFD}\u{FFFD}");
}
