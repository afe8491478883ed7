//! Two peers in one process, over loopback, with real ICE, DTLS, SCTP and SRTP.
#![expect(clippy::disallowed_methods, reason = "these tests run in real time")]

mod harness;

use super::*;
use harness::*;

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
