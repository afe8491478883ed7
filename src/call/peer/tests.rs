//! Two peers in one process, over loopback, with real ICE, DTLS, SCTP and SRTP.
#![expect(clippy::disallowed_methods, reason = "these tests run in real time")]

mod harness;

use super::*;
use crate::call::event::PathKind;
use crate::call::identity::Identity;
use crate::media::frame::{Codec, MediaKind};
use harness::*;
use std::time::Instant;
use tokio::time::timeout;

#[tokio::test(flavor = "multi_thread")]
async fn a_code_opens_a_channel() {
    let began = Instant::now();
    let (mut alice, mut bob) = connected(Setup::direct(), Setup::direct()).await;
    println!("open after {} ms", began.elapsed().as_millis());
    alice.peer.send(b"ring").await.unwrap();
    assert_eq!(bob.message().await, "ring");
    bob.peer.send(b"who is there?").await.unwrap();
    assert_eq!(alice.message().await, "who is there?");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_end_sees_the_others_certificate_and_path() {
    let (mut alice, bob) = connected(Setup::direct(), Setup::direct()).await;
    assert_eq!(alice.peer.remote_certificate().await.unwrap(), bob.identity.certificate());
    assert_eq!(bob.peer.remote_certificate().await.unwrap(), alice.identity.certificate());
    assert_eq!(alice.peer.path(), Some((0, bob.addresses[0])));
    assert!(alice.peer.sample().round_trip.is_some());
    alice.peer.send(b"x").await.unwrap();
    drop(bob);
    alice.event(PeerEvent::Disconnected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_direct_path_is_taken_where_there_is_a_relay_too() {
    let both = || Setup::ports(&[("127.0.0.1:0", PathKind::Relay), ("127.0.0.1:0", PathKind::Host)]);
    let (alice, bob) = connected(both(), both()).await;
    assert_eq!(alice.peer.path(), Some((1, bob.addresses[1])));
    assert_eq!(bob.peer.path(), Some((1, alice.addresses[1])));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_relays_are_a_path() {
    let relay = || Setup::ports(&[("127.0.0.1:0", PathKind::Relay)]);
    let began = Instant::now();
    let (alice, bob) = connected(relay(), relay()).await;
    println!("relayed after {} ms", began.elapsed().as_millis());
    assert_eq!(alice.peer.path(), Some((0, bob.addresses[0])));
}

#[tokio::test(flavor = "multi_thread")]
async fn ipv6_is_a_path() {
    let v6 = || Setup::ports(&[("[::1]:0", PathKind::Host)]);
    let both = Setup::ports(&[("127.0.0.1:0", PathKind::Host), ("[::1]:0", PathKind::Host)]);
    let (alice, bob) = connected(both, v6()).await;
    assert_eq!(bob.peer.path(), Some((0, alice.addresses[1])));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offerer_waits_for_its_answerer() {
    let mut alice = End::new("alice", Setup::direct()).await;
    let mut bob = End::new("bob", Setup::direct()).await;
    alice.peer.start_as_offerer(&bob.local).await.unwrap();
    tokio::time::sleep(Duration::from_secs(8)).await;
    let began = Instant::now();
    bob.peer.start_as_answerer(&alice.local, &alice.addresses).await.unwrap();
    alice.event(PeerEvent::ChannelOpen).await;
    bob.event(PeerEvent::ChannelOpen).await;
    println!("late answerer after {} ms", began.elapsed().as_millis());
}

#[tokio::test(flavor = "multi_thread")]
async fn other_credentials_open_nothing() {
    let alice = End::new("alice", Setup::direct()).await;
    let mut mallory = End::new("mallory", Setup::direct()).await;
    alice
        .peer
        .start_as_offerer(&IceCredentials { ufrag: "bobs".into(), ..mallory.local.clone() })
        .await
        .unwrap();
    mallory.peer.start_as_answerer(&alice.local, &alice.addresses).await.unwrap();
    let nothing = timeout(Duration::from_millis(700), mallory.streams.events.recv()).await;
    assert!(nothing.is_err(), "{nothing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_peer_is_noticed_and_waited_for() {
    let (mut alice, bob) = connected(Setup::direct(), Setup::direct()).await;
    drop(bob);
    let began = Instant::now();
    alice.event(PeerEvent::Disconnected).await;
    println!("in doubt after {} ms", began.elapsed().as_millis());
    // How long it is waited for is the life's business: no word of a failure.
    let more = tokio::time::timeout(Duration::from_secs(4), alice.streams.events.recv()).await;
    assert!(more.is_err(), "{more:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_who_stays_silent_does_not_occupy_a_peer() {
    let mut alice = End::new("alice", Setup::direct()).await;
    let stranger = End::new("bob", Setup { mute: true, ..Setup::direct() }).await;
    alice.peer.start_as_offerer(&stranger.local).await.unwrap();
    stranger.peer.start_as_answerer(&alice.local, &alice.addresses).await.unwrap();
    let began = Instant::now();
    alice.event(PeerEvent::Failed).await;
    assert!(began.elapsed() < Duration::from_secs(8));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ports_serve_again_after_a_stranger() {
    let mut alice = End::new("alice", Setup::direct()).await;
    let mut stranger = End::new("bob", Setup::direct()).await;
    alice.peer.start_as_offerer(&stranger.local).await.unwrap();
    stranger.peer.start_as_answerer(&alice.local, &alice.addresses).await.unwrap();
    alice.event(PeerEvent::ChannelOpen).await;
    stranger.event(PeerEvent::ChannelOpen).await;

    let config = alice.config.clone();
    let began = Instant::now();
    alice.peer.close().await;
    println!("closed after {} ms", began.elapsed().as_millis());
    (alice.peer, alice.streams) = Peer::open(config).await.unwrap();
    alice.peer.start_as_offerer(&stranger.local).await.unwrap();

    let mut bob = End::new("bob", Setup::direct()).await;
    bob.peer.start_as_answerer(&alice.local, &alice.addresses).await.unwrap();
    alice.event(PeerEvent::ChannelOpen).await;
    bob.event(PeerEvent::ChannelOpen).await;
    assert_eq!(alice.peer.remote_certificate().await.unwrap(), bob.identity.certificate());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_runs_on_after_a_peer_is_closed_or_dropped() {
    let before = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let (alice, bob) = connected(Setup::direct(), Setup::direct()).await;
    alice.peer.close().await;
    drop(bob);
    drop((alice.peer, alice.streams, alice.config));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_whose_ports_are_gone_says_so() {
    let (mut alice, bob) = connected(Setup::direct(), Setup::direct()).await;
    alice.ports[0].kill();
    bob.peer.send(b"hello?").await.unwrap();
    let began = Instant::now();
    alice.event(PeerEvent::Failed).await;
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_loses_one_packet_in_five_still_opens_at_once() {
    let bad = || Setup { lose_every: 5, lose_all_kinds: true, ..Setup::direct() };
    let began = Instant::now();
    let (alice, mut bob) = connected(bad(), bad()).await;
    println!("open in spite of losses after {} ms", began.elapsed().as_millis());
    assert!(began.elapsed() < Duration::from_secs(4));
    alice.peer.send(b"still here").await.unwrap();
    assert_eq!(bob.message().await, "still here");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_message_arrives_before_a_close() {
    let (alice, mut bob) = connected(Setup::direct(), Setup::direct()).await;
    alice.peer.send(b"goodbye").await.unwrap();
    alice.peer.close().await;
    assert_eq!(bob.message().await, "goodbye");
    assert!(matches!(alice.peer.send(b"more").await, Err(PeerError::Stack(_) | PeerError::Closed)));
    let began = Instant::now();
    drop(bob.peer);
    assert!(began.elapsed() < Duration::from_millis(50));
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_does_not_wait_for_the_dead() {
    let (alice, bob) = connected(Setup::direct(), Setup::direct()).await;
    drop(bob);
    alice.peer.send(b"goodbye").await.unwrap();
    let began = Instant::now();
    alice.peer.close().await;
    assert!(began.elapsed() < Duration::from_millis(600));
}

const SILENCE: Duration = Duration::from_millis(600);
const BOTH: Agreement = Agreement { audio: Some(Codec::Opus), video: Some(Codec::H264) };

#[tokio::test(flavor = "multi_thread")]
async fn media_flows_both_ways_on_the_connection_that_is_up() {
    let (mut alice, mut bob) = connected(Setup::direct(), Setup::direct()).await;
    let began = Instant::now();
    assert_eq!(agree(&alice, &bob).await, (BOTH, BOTH));
    println!("agreed after {} ms", began.elapsed().as_millis());
    tokio::join!(talk(&alice, 0..50, picture), talk(&bob, 0..50, picture));
    for end in [&mut alice, &mut bob] {
        let sounds = heard(&mut end.streams.audio, SILENCE).await;
        assert_eq!(sounds.len(), 50);
        assert!(sounds.iter().all(|packet| packet.payload.len() == 4 && packet.codec == Codec::Opus));
        let pictures = heard(&mut end.streams.video, SILENCE).await;
        assert_eq!(pictures.iter().filter(|packet| packet.marker).count(), 50);
        assert_eq!(pictures.len(), 3 * 50 + 2);
        let PeerSample { audio, video, .. } = end.peer.sample();
        assert_eq!((audio.received.packets, audio.lost, video.lost, video.frames_dropped), (50, 0, 0, 0));
        assert_eq!(video.sent.packets, 152);
    }
    // What was sent before the other end could take it would be lost: the first picture is asked for again.
    let mut missing = vec![
        PeerEvent::Track { kind: MediaKind::Audio, codec: Codec::Opus },
        PeerEvent::Track { kind: MediaKind::Video, codec: Codec::H264 },
        PeerEvent::KeyFrameWanted,
    ];
    alice
        .until(|event| {
            missing.retain(|missing| missing != event);
            missing.is_empty().then_some(())
        })
        .await;
    assert!(alice.peer.ciphers().await.is_some_and(|names| names.starts_with("DTLS 1.2")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lossy_path_loses_little_and_repeats_little() {
    let lossy = || Setup { lose_every: 20, ..Setup::direct() };
    let (alice, mut bob) = connected(lossy(), lossy()).await;
    agree(&alice, &bob).await;
    tokio::join!(talk(&alice, 0..300, picture), async {
        let pictures = heard(&mut bob.streams.video, SILENCE).await;
        let video = bob.peer.sample().video;
        assert_eq!(pictures.len() as u64, video.received.packets);
        assert!(video.lost <= 2, "{video:?}");
        let mut sequences: Vec<u16> = pictures.iter().map(|packet| packet.sequence).collect();
        sequences.sort_unstable();
        sequences.dedup();
        assert_eq!(sequences.len(), pictures.len(), "copies reached the session");
    });
    let video = alice.peer.sample().video;
    assert!(video.retransmitted >= video.sent.packets / 30, "{video:?}");
    assert!(video.retransmitted <= video.sent.packets / 10, "a storm: {video:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_without_our_first_codec_gets_another() {
    for (ours, theirs) in
        [(&[Codec::H264, Codec::Vp8][..], &[Codec::Vp8][..]), (&[Codec::Vp8], &[Codec::H264, Codec::Vp8])]
    {
        let with = |video: &[Codec]| Setup { video: video.to_vec(), ..Setup::direct() };
        let (alice, mut bob) = connected(with(ours), with(theirs)).await;
        let vp8 = Agreement { audio: Some(Codec::Opus), video: Some(Codec::Vp8) };
        assert_eq!(agree(&alice, &bob).await, (vp8, vp8));
        talk(&alice, 0..20, vp8_picture).await;
        let pictures = heard(&mut bob.streams.video, SILENCE).await;
        assert_eq!(pictures.len(), 3 * 20);
        assert!(pictures.iter().all(|packet| packet.codec == Codec::Vp8));
        // Reports come only for a stream that the stack's interceptors know by its codec.
        talk(&alice, 20..200, vp8_picture).await;
        let video = alice.peer.sample().video;
        assert!(video.round_trip.is_some(), "no reports on this codec: {video:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_takes_no_picture_still_talks() {
    for (ours, theirs) in
        [(&[Codec::H264][..], &[][..]), (&[], &[Codec::H264]), (&[Codec::H264], &[Codec::Vp8])]
    {
        let with = |video: &[Codec]| Setup { video: video.to_vec(), ..Setup::direct() };
        let (alice, mut bob) = connected(with(ours), with(theirs)).await;
        let sound_only = Agreement { audio: Some(Codec::Opus), video: None };
        assert_eq!(agree(&alice, &bob).await, (sound_only, sound_only));
        talk(&alice, 0..10, picture).await;
        assert_eq!(heard(&mut bob.streams.audio, SILENCE).await.len(), 10);
        assert_eq!(alice.peer.sample().video.frames_dropped, 10);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_offers_cross_the_makers_stands() {
    let (alice, mut bob) = connected(Setup::direct(), Setup::direct()).await;
    let (alices, bobs) = tokio::join!(alice.peer.create_media_offer(), bob.peer.create_media_offer());
    let (alices, bobs) = (alices.unwrap(), bobs.unwrap());
    assert!(matches!(alice.peer.accept_media_offer(&bobs).await, Err(PeerError::Glare)));
    let (answer, agreed) = bob.peer.accept_media_offer(&alices).await.unwrap();
    assert_eq!((alice.peer.accept_media_answer(&answer).await.unwrap(), agreed), (BOTH, BOTH));
    talk(&alice, 0..20, picture).await;
    assert_eq!(heard(&mut bob.streams.audio, SILENCE).await.len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn either_end_may_offer_again() {
    let (mut alice, mut bob) = connected(Setup::direct(), Setup::direct()).await;
    agree(&alice, &bob).await;
    agree(&bob, &alice).await;
    agree(&alice, &bob).await;
    tokio::join!(talk(&alice, 0..10, picture), talk(&bob, 0..10, picture));
    for end in [&mut alice, &mut bob] {
        assert_eq!(heard(&mut end.streams.audio, SILENCE).await.len(), 10);
        assert_eq!(heard(&mut end.streams.video, SILENCE).await.len(), 31);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_description_of_somebody_else_is_refused() {
    let (alice, bob) = connected(Setup::direct(), Setup::direct()).await;
    let mallory = Identity::generate().unwrap();
    let forged = |text: &str, whose: &Identity| {
        let (old, new) = (whose.fingerprint(), mallory.fingerprint());
        let text = text.to_uppercase().replace(&identity::colon_hex(&old), &identity::colon_hex(&new));
        assert!(text.contains(&identity::colon_hex(&new)));
        text.to_lowercase().replace("udp/tls/rtp/savpf", "UDP/TLS/RTP/SAVPF")
    };
    let offer = alice.peer.create_media_offer().await.unwrap();
    assert!(matches!(
        bob.peer.accept_media_offer(&forged(&offer, &alice.identity)).await,
        Err(PeerError::Fingerprint)
    ));
    let without: Vec<&str> = offer.lines().filter(|line| !line.contains("fingerprint")).collect();
    let without = without.join("\r\n");
    assert!(matches!(bob.peer.accept_media_offer(&without).await, Err(PeerError::Fingerprint)));
    let (answer, _) = bob.peer.accept_media_offer(&offer).await.unwrap();
    assert!(matches!(
        alice.peer.accept_media_answer(&forged(&answer, &bob.identity)).await,
        Err(PeerError::Fingerprint)
    ));
    assert!(matches!(
        bob.peer.accept_media_answer(&answer).await,
        Err(PeerError::Fingerprint | PeerError::Description(_))
    ));
    alice.peer.accept_media_answer(&answer).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_our_addresses_is_in_a_media_offer() {
    let (alice, bob) = connected(Setup::direct(), Setup::direct()).await;
    let offer = alice.peer.create_media_offer().await.unwrap();
    let (answer, _) = bob.peer.accept_media_offer(&offer).await.unwrap();
    for description in [offer, answer] {
        assert!(!description.contains("127.0.0.1") && !description.contains("candidate"), "{description}");
        assert_eq!(description.lines().filter(|line| line.starts_with("m=")).count(), 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_descriptions_open_a_call() {
    let verified = || Setup { verify: true, ..Setup::direct() };
    let (mut alice, mut bob) = (End::new("alice", verified()).await, End::new("bob", verified()).await);
    let offer = alice.peer.classic_offer(&alice.candidates()).await.unwrap();
    let (answer, bobs) = bob.peer.classic_answer(&offer, &bob.candidates()).await.unwrap();
    assert_eq!((alice.peer.classic_accept(&answer).await.unwrap(), bobs), (BOTH, BOTH));
    alice.event(PeerEvent::ChannelOpen).await;
    bob.event(PeerEvent::ChannelOpen).await;
    tokio::join!(talk(&alice, 0..10, picture), talk(&bob, 0..10, picture));
    for end in [&mut alice, &mut bob] {
        assert_eq!(heard(&mut end.streams.audio, SILENCE).await.len(), 10);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_description_with_another_fingerprint_fails() {
    let verified = || Setup { verify: true, ..Setup::direct() };
    let (mut alice, bob) = (End::new("alice", verified()).await, End::new("bob", verified()).await);
    let offer = alice.peer.classic_offer(&alice.candidates()).await.unwrap();
    let (answer, _) = bob.peer.classic_answer(&offer, &bob.candidates()).await.unwrap();
    let (old, new) = (identity::colon_hex(&bob.identity.fingerprint()), identity::colon_hex(&[7; 32]));
    let forged = answer.replace(&old.to_lowercase(), &new).replace(&old, &new);
    assert!(forged.contains(&new));
    alice.peer.classic_accept(&forged).await.unwrap();
    alice.event(PeerEvent::Failed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_lossy_way_is_repaired_without_a_storm() {
    let far = || Setup { lose_every: 20, delay: Duration::from_millis(100), ..Setup::direct() };
    let began = Instant::now();
    let (alice, mut bob) = connected(far(), far()).await;
    println!("open over 200 ms after {} ms", began.elapsed().as_millis());
    agree(&alice, &bob).await;
    tokio::join!(talk(&alice, 0..300, picture), async {
        heard(&mut bob.streams.video, SILENCE).await;
    });
    let (sent, received) = (alice.peer.sample(), bob.peer.sample());
    assert!(received.video.lost <= 2, "{received:?}");
    assert!(sent.video.retransmitted <= sent.video.sent.packets / 10, "a storm: {sent:?}");
    assert!(sent.round_trip.is_some_and(|round_trip| (200..260).contains(&round_trip.as_millis())));
    assert!(sent.video.round_trip.is_some_and(|round_trip| (200..260).contains(&round_trip.as_millis())));
}
