//! One end of a call by whole session descriptions, for tests with browsers: `sdp_peer offer|answer ADDRESS [N]`.
//! With N it loses every Nth packet of media, either way.
//!
//! Reads the other end's description as a line of JSON on standard input, writes its own, then one JSON line
//! a second of what it counted. Sends silence and a moving grey picture; answers each channel message with
//! the same in upper case. Leaves when the channel closes.
#![expect(clippy::disallowed_methods, reason = "runs in real time")]
#![expect(clippy::print_stdout, reason = "its output is its purpose")]

use openh264::encoder::{Encoder, FrameType};
use openh264::formats::YUVBuffer;
use p2pcall::call::event::{PathKind, Protocol};
use p2pcall::call::identity::Identity;
use p2pcall::call::peer::{Candidate, IceCredentials, PacketPort, Peer, PeerConfig, PeerEvent, PeerStreams};
use p2pcall::media::frame::{Codec, EncodedFrame, MediaPacket};
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, BufReader, ReadBuf};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

const FRAME: Duration = Duration::from_millis(20);
const SIZE: (usize, usize) = (320, 180);
/// A whole Opus packet of silence (RFC 6716 §3.1: CELT, fullband, 20 ms, mono).
const SILENCE: [u8; 3] = [0xF8, 0xFF, 0xFE];

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[derive(Debug)]
struct UdpPort {
    socket: UdpSocket,
    address: SocketAddr,
    lose_every: u64,
    media: AtomicU64,
}

impl UdpPort {
    /// RTP and RTCP by their first byte (RFC 7983 §7), every nth of them.
    fn loses(&self, packet: &[u8]) -> bool {
        let media = packet.first().is_some_and(|first| (128..192).contains(first));
        media && self.lose_every > 0 && self.media.fetch_add(1, Ordering::Relaxed) % self.lose_every == 1
    }
}

impl PacketPort for UdpPort {
    fn kind(&self) -> PathKind {
        PathKind::Host
    }

    fn address(&self) -> SocketAddr {
        self.address
    }

    fn protocol(&self) -> Protocol {
        Protocol::Udp
    }

    fn poll_send(&self, cx: &mut Context<'_>, to: SocketAddr, packet: &[u8]) -> Poll<io::Result<()>> {
        if !self.loses(packet) {
            ready!(self.socket.poll_send_to(cx, packet, to))?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_recv(&self, cx: &mut Context<'_>, packet: &mut [u8]) -> Poll<io::Result<(usize, SocketAddr)>> {
        loop {
            let mut buffer = ReadBuf::new(packet);
            let from = ready!(self.socket.poll_recv_from(cx, &mut buffer))?;
            if !self.loses(buffer.filled()) {
                return Poll::Ready(Ok((buffer.filled().len(), from)));
            }
        }
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let offers = arguments.next().is_some_and(|role| role == "offer");
    let socket = UdpSocket::bind((arguments.next().ok_or("no address")?, 0)).await?;
    let address = socket.local_addr()?;
    let lose_every = arguments.next().map_or(Ok(0), |every| every.parse())?;
    let (peer, streams) = Peer::open(PeerConfig {
        identity: Identity::generate()?,
        local: IceCredentials { ufrag: "rust".into(), pwd: "rust-01234567890123456789".into() },
        ports: vec![Arc::new(UdpPort { socket, address, lose_every, media: AtomicU64::new(0) })],
        video_codecs: vec![Codec::H264, Codec::Vp8],
        verify_fingerprint: true,
        started: Instant::now(),
    })
    .await?;
    let own = [Candidate { kind: PathKind::Host, address, base: None }];
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    if offers {
        tell("offer", &peer.classic_offer(&own).await?);
    }
    let remote: serde_json::Value = serde_json::from_str(&lines.next_line().await?.ok_or("no description")?)?;
    let remote = remote.get("sdp").and_then(serde_json::Value::as_str).ok_or("no sdp")?;
    if offers {
        peer.classic_accept(remote).await?;
    } else {
        tell("answer", &peer.classic_answer(remote, &own).await?.0);
    }
    talk(Arc::new(peer), streams).await
}

fn tell(kind: &str, sdp: &str) {
    println!("{}", serde_json::json!({ "type": kind, "sdp": sdp }));
}

async fn talk(peer: Arc<Peer>, streams: PeerStreams) -> Result<()> {
    let PeerStreams { mut events, audio, video } = streams;
    let key = Arc::new(AtomicBool::new(true));
    tokio::spawn(send(Arc::clone(&peer), Arc::clone(&key)));
    tokio::spawn(drain(audio));
    tokio::spawn(drain(video));
    let mut second = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            _ = second.tick() => println!("{}", counted(&peer)),
            event = events.recv() => match event.ok_or("the peer is gone")? {
                PeerEvent::ChannelMessage(text) => peer.send(&text.to_ascii_uppercase()).await?,
                PeerEvent::KeyFrameWanted => key.store(true, Ordering::Relaxed),
                PeerEvent::ChannelClosed | PeerEvent::Failed => return Ok(()),
                event => println!("{}", serde_json::json!({ "event": format!("{event:?}") })),
            },
        }
    }
}

async fn drain(mut packets: mpsc::Receiver<MediaPacket>) {
    while packets.recv().await.is_some() {}
}

fn counted(peer: &Peer) -> serde_json::Value {
    let sample = peer.sample();
    let kind = |kind: p2pcall::call::peer::KindSample| {
        serde_json::json!({
            "sent": kind.sent.packets, "received": kind.received.packets, "lost": kind.lost,
            "recovered": kind.recovered, "round_trip_ms": kind.round_trip.map(|rtt| rtt.as_secs_f64() * 1e3),
            "plis_sent": kind.plis_sent, "plis_received": kind.plis_received, "nacks_sent": kind.nacks_sent, "retransmitted": kind.retransmitted,
        })
    };
    serde_json::json!({ "audio": kind(sample.audio), "video": kind(sample.video) })
}

async fn send(peer: Arc<Peer>, key: Arc<AtomicBool>) {
    let Ok(mut encoder) = Encoder::new() else { return };
    let mut pace = tokio::time::interval(FRAME);
    for n in 0u32.. {
        pace.tick().await;
        let at = FRAME * n;
        let sound = SILENCE.to_vec().into();
        peer.send_frame(EncodedFrame { codec: Codec::Opus, data: sound, key: true, at, duration: FRAME });
        if n.is_multiple_of(2)
            && let Some((data, key)) = picture(&mut encoder, n, key.swap(false, Ordering::Relaxed))
        {
            let data = data.into();
            peer.send_frame(EncodedFrame { codec: Codec::H264, data, key, at, duration: FRAME * 2 });
        }
    }
}

fn picture(encoder: &mut Encoder, n: u32, key: bool) -> Option<(Vec<u8>, bool)> {
    if key {
        encoder.force_intra_frame();
    }
    let (width, height) = SIZE;
    let mut yuv = vec![128; width * height * 3 / 2];
    for (index, luma) in yuv.iter_mut().take(width * height).enumerate() {
        *luma = (index % width + n as usize) as u8;
    }
    let coded = encoder.encode(&YUVBuffer::from_vec(yuv, width, height)).ok()?;
    let key = coded.frame_type() == FrameType::IDR;
    Some((coded.to_vec(), key)).filter(|(data, _)| !data.is_empty())
}
