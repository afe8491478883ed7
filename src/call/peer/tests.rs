//! Two peers in one process, over loopback, with real ICE, DTLS, SCTP and SRTP.
#![expect(clippy::disallowed_methods, reason = "these tests run in real time")]

mod harness;

use super::*;
use crate::call::event::PathKind;
use harness::*;
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
    assert!(alice.peer.round_trip().is_some());
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
async fn a_killed_peer_is_noticed_within_six_seconds() {
    let (mut alice, bob) = connected(Setup::direct(), Setup::direct()).await;
    drop(bob);
    let began = Instant::now();
    alice.event(PeerEvent::Disconnected).await;
    println!("in doubt after {} ms", began.elapsed().as_millis());
    alice.event(PeerEvent::Failed).await;
    println!("lost after {} ms", began.elapsed().as_millis());
    assert!(began.elapsed() < Duration::from_secs(6));
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
    drop((alice.streams, alice.config));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), before);
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
        println!("first sound {:?}, first picture {:?}", sounds[0].arrived, pictures[0].arrived);
        let (audio, video) = end.peer.counters();
        assert_eq!((audio.received.packets, audio.lost, video.lost, video.frames_dropped), (50, 0, 0, 0));
        assert_eq!(video.sent.packets, 152);
    }
    alice.event(PeerEvent::Track { kind: MediaKind::Video, codec: Codec::H264 }).await;
    // What was sent before the other end could take it would be lost: the first picture is asked for again.
    alice.event(PeerEvent::KeyFrameWanted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lossy_path_loses_little_and_repeats_little() {
    let lossy = || Setup { lose_every: 20, ..Setup::direct() };
    let (mut alice, mut bob) = connected(lossy(), lossy()).await;
    agree(&alice, &bob).await;
    tokio::join!(talk(&alice, 0..300, picture), async {
        let pictures = heard(&mut bob.streams.video, SILENCE).await;
        let (_, video) = bob.peer.counters();
        println!("{} packets, {video:?}", pictures.len());
        assert_eq!(pictures.len() as u64, video.received.packets);
        assert!(video.lost <= 2, "{video:?}");
        let mut sequences: Vec<u16> = pictures.iter().map(|packet| packet.sequence).collect();
        sequences.sort_unstable();
        sequences.dedup();
        assert_eq!(sequences.len(), pictures.len(), "copies reached the session");
    });
    let (audio, video) = alice.peer.counters();
    println!("{audio:?}\n{video:?}");
    assert!(video.retransmitted >= video.sent.packets / 30, "{video:?}");
    assert!(video.retransmitted <= video.sent.packets / 10, "a storm: {video:?}");
    alice.event(PeerEvent::ChannelOpen).await;
}
