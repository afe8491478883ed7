//! What the tests of two peers share: ports that can be bad, peers over them, and waiting for events.

use super::*;
use crate::call::event::{PathKind, Protocol};
use crate::call::identity::Identity;
use crate::media::frame::Codec;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;
use tokio::time::timeout;

pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// The same throws in every run (a linear congruential generator, Knuth's constants).
fn dice(nth: u64) -> u64 {
    let mixed = nth.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (mixed ^ (mixed >> 29)).wrapping_mul(6_364_136_223_846_793_005) >> 33
}

/// A port over a real socket: host or, as far as the peer can tell, relay; it may lose one packet in n.
#[derive(Debug)]
pub(super) struct TestPort {
    socket: Arc<UdpSocket>,
    kind: PathKind,
    lose_every: u64,
    lose_all_kinds: bool,
    mute: bool,
    sent: AtomicU64,
    dead: AtomicBool,
    /// Packets on a long way, where it is long.
    late: Option<mpsc::UnboundedSender<(Instant, SocketAddr, Vec<u8>)>>,
}

impl TestPort {
    async fn new((address, kind): (&str, PathKind), setup: &Setup) -> Arc<Self> {
        let socket = Arc::new(UdpSocket::bind(address).await.unwrap());
        let late = (!setup.delay.is_zero()).then(|| {
            let (late, mut queue) = mpsc::unbounded_channel::<(Instant, SocketAddr, Vec<u8>)>();
            let socket = Arc::clone(&socket);
            let delay = setup.delay;
            tokio::spawn(async move {
                while let Some((left, to, packet)) = queue.recv().await {
                    tokio::time::sleep_until((left + delay).into()).await;
                    socket.send_to(&packet, to).await.unwrap();
                }
            });
            late
        });
        Arc::new(Self {
            socket,
            late,
            kind,
            lose_every: setup.lose_every,
            lose_all_kinds: setup.lose_all_kinds,
            mute: setup.mute,
            sent: AtomicU64::new(0),
            dead: AtomicBool::new(false),
        })
    }

    /// From the next packet on it fails, as the port of an allocation that was lost.
    pub(super) fn kill(&self) {
        self.dead.store(true, Ordering::Relaxed);
    }
}

impl PacketPort for TestPort {
    fn kind(&self) -> PathKind {
        self.kind
    }

    fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    fn protocol(&self) -> Protocol {
        Protocol::Udp
    }

    fn poll_send(&self, cx: &mut Context<'_>, to: SocketAddr, packet: &[u8]) -> Poll<io::Result<()>> {
        let count = self.sent.fetch_add(1, Ordering::Relaxed) + 1;
        // RTP and RTCP by their first byte (RFC 7983 §7).
        let media = packet.first().is_some_and(|first| (128..192).contains(first));
        if (media || self.lose_all_kinds)
            && self.lose_every > 0
            && dice(count).is_multiple_of(self.lose_every)
        {
            return Poll::Ready(Ok(()));
        }
        if self.mute && packet.first().is_some_and(|first| *first >= 4) {
            return Poll::Ready(Ok(()));
        }
        if let Some(late) = &self.late {
            late.send((Instant::now(), to, packet.to_vec())).unwrap();
            return Poll::Ready(Ok(()));
        }
        ready!(self.socket.poll_send_to(cx, packet, to))?;
        Poll::Ready(Ok(()))
    }

    fn poll_recv(&self, cx: &mut Context<'_>, packet: &mut [u8]) -> Poll<io::Result<(usize, SocketAddr)>> {
        let mut buffer = ReadBuf::new(packet);
        if self.dead.load(Ordering::Relaxed) {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        }
        let from = ready!(self.socket.poll_recv_from(cx, &mut buffer))?;
        Poll::Ready(Ok((buffer.filled().len(), from)))
    }
}

/// What a peer of a test is made of.
pub(super) struct Setup {
    pub(super) ports: Vec<(&'static str, PathKind)>,
    pub(super) lose_every: u64,
    pub(super) lose_all_kinds: bool,
    /// Answers checks and says nothing else.
    pub(super) mute: bool,
    pub(super) delay: Duration,
    pub(super) video: Vec<Codec>,
    pub(super) verify: bool,
}

impl Setup {
    pub(super) fn direct() -> Self {
        Self {
            ports: vec![("127.0.0.1:0", PathKind::Host)],
            lose_every: 0,
            lose_all_kinds: false,
            mute: false,
            delay: Duration::ZERO,
            video: vec![Codec::H264, Codec::Vp8],
            verify: false,
        }
    }

    pub(super) fn ports(ports: &[(&'static str, PathKind)]) -> Self {
        Self { ports: ports.to_vec(), ..Self::direct() }
    }
}

/// A peer with what comes out of it.
pub(super) struct End {
    pub(super) peer: Peer,
    pub(super) streams: PeerStreams,
    pub(super) identity: Identity,
    pub(super) config: PeerConfig,
    pub(super) local: IceCredentials,
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) ports: Vec<Arc<TestPort>>,
}

impl End {
    pub(super) async fn new(name: &str, setup: Setup) -> Self {
        let mut ports: Vec<Arc<dyn PacketPort>> = Vec::new();
        let mut bad_ports = Vec::new();
        for port in &setup.ports {
            let port = TestPort::new(*port, &setup).await;
            bad_ports.push(Arc::clone(&port));
            ports.push(port);
        }
        let addresses = ports.iter().map(|port| port.address()).collect();
        let identity = Identity::generate().unwrap();
        let local =
            IceCredentials { ufrag: format!("{name}ufrag"), pwd: format!("{name}-0123456789012345678901") };
        let config = PeerConfig {
            identity: identity.clone(),
            local: local.clone(),
            ports,
            relay_hold: RELAY_HOLD,
            video_codecs: setup.video,
            sent: SentStreams::new().unwrap(),
            verify_fingerprint: setup.verify,
            started: Instant::now(),
        };
        let (peer, streams) = Peer::open(config.clone()).await.unwrap();
        Self { peer, streams, identity, config, local, addresses, ports: bad_ports }
    }

    /// The addresses of its ports, as candidates of a description.
    pub(super) fn candidates(&self) -> Vec<Candidate> {
        let host = |address: &SocketAddr| Candidate { kind: PathKind::Host, address: *address, base: None };
        self.addresses.iter().map(host).collect()
    }

    /// The first event that the test cares for; others pass.
    pub(super) async fn until<T>(&mut self, mut wanted: impl FnMut(&PeerEvent) -> Option<T>) -> T {
        let waiting = async {
            loop {
                let event = self.streams.events.recv().await.expect("the peer lives");

                if let Some(found) = wanted(&event) {
                    return found;
                }
            }
        };
        timeout(PATIENCE, waiting).await.expect("in time")
    }

    pub(super) async fn event(&mut self, wanted: PeerEvent) {
        self.until(|event| (*event == wanted).then_some(())).await;
    }

    pub(super) async fn message(&mut self) -> String {
        self.until(|event| match event {
            PeerEvent::ChannelMessage(bytes) => Some(String::from_utf8(bytes.to_vec()).unwrap()),
            _ => None,
        })
        .await
    }
}

/// Two peers whose channel is open, as by a code: alice made it, bob read it.
pub(super) async fn connected(alice: Setup, bob: Setup) -> (End, End) {
    let (mut alice, mut bob) = (End::new("alice", alice).await, End::new("bob", bob).await);
    alice.peer.start_as_offerer(&bob.local).await.unwrap();
    bob.peer.start_as_answerer(&alice.local, &alice.addresses).await.unwrap();
    alice.event(PeerEvent::ChannelOpen).await;
    bob.event(PeerEvent::ChannelOpen).await;
    (alice, bob)
}

/// Media agreed on over the channel, alice offering.
pub(super) async fn agree(alice: &End, bob: &End) -> (Agreement, Agreement) {
    let offer = alice.peer.create_media_offer().await.unwrap();
    let (answer, bobs) = bob.peer.accept_media_offer(&offer).await.unwrap();
    let alices = alice.peer.accept_media_answer(&answer).await.unwrap();
    (alices, bobs)
}

/// The nth 20 ms of sound.
pub(super) fn sound(n: u64) -> EncodedFrame {
    frame(Codec::Opus, n, vec![0x78, n as u8, (n >> 8) as u8, 0x55])
}

/// The nth picture, three slices and, where it is a key frame, parameter sets.
pub(super) fn picture(n: u64) -> EncodedFrame {
    let slice = |kind: u8| [&[0, 0, 0, 1, kind][..], &[n as u8 | 1; 900]].concat();
    let sets: &[u8] =
        if n.is_multiple_of(25) { &[0, 0, 0, 1, 0x67, 1, 2, 3, 0, 0, 0, 1, 0x68, 4, 5] } else { &[] };
    let kind = if sets.is_empty() { 0x41 } else { 0x65 };
    frame(Codec::H264, n, [sets, &slice(kind), &slice(kind), &slice(kind)].concat())
}

/// The nth picture in VP8: as far as a packetizer looks.
pub(super) fn vp8_picture(n: u64) -> EncodedFrame {
    frame(Codec::Vp8, n, vec![n as u8; 2_500])
}

fn frame(codec: Codec, n: u64, data: Vec<u8>) -> EncodedFrame {
    let duration = Duration::from_millis(20);
    EncodedFrame { codec, data: data.into(), key: n.is_multiple_of(25), at: duration * n as u32, duration }
}

/// Sends `frames` of both kinds at twice their pace.
pub(super) async fn talk(end: &End, frames: std::ops::Range<u64>, picture: fn(u64) -> EncodedFrame) {
    for n in frames {
        end.peer.send_frame(sound(n));
        end.peer.send_frame(picture(n));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Everything that comes until nothing comes for so long.
pub(super) async fn heard(packets: &mut mpsc::Receiver<MediaPacket>, silence: Duration) -> Vec<MediaPacket> {
    let mut heard = Vec::new();
    while let Ok(Some(packet)) = timeout(silence, packets.recv()).await {
        heard.push(packet);
    }
    heard
}
