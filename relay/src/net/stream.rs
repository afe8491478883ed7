//! TCP and TLS: cutting streams into messages, and queues for what goes back.
//!
//! | queue | when full |
//! |---|---|
//! | messages to a connection, 256 | the message is dropped, counted: late media is worth nothing |

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;

use super::portable::PortableShard;
use super::socket::plain;
use crate::server::{Client, Via};
use crate::stun::frame_length;

/// Connections at a time, over all listeners of one kind.
const MAX_CONNECTIONS: usize = 16_384;
/// Connections of one address at a time: a household, or a company behind one NAT.
const MAX_PER_ADDRESS: usize = 512;
/// A connection that is quiet for so long, or that has been there for so long, needs an allocation to stay.
const IDLE: Duration = Duration::from_secs(30);
/// A TLS handshake that takes longer is given up.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// A write that makes no progress for so long ends the connection.
const STUCK: Duration = Duration::from_secs(30);
/// Messages waiting to be written to one connection.
const QUEUE: usize = 256;
/// Bytes read, or gathered for one write, at a time.
const CHUNK: usize = 4096;
const MAX_WRITE: usize = 64 * 1024;

/// Numbers connections; none is used twice.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// What is around the messages.
#[derive(Clone)]
pub(super) enum Wrap {
    Plain,
    Tls(TlsAcceptor),
}

/// How many connections each address has.
#[derive(Default)]
struct Crowd(Mutex<HashMap<IpAddr, usize>>);

/// One connection's place among those of its address.
struct Place {
    crowd: Arc<Crowd>,
    address: IpAddr,
}

impl Crowd {
    /// `None` if the address has too many.
    fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_default();
        (*count < MAX_PER_ADDRESS).then(|| {
            *count += 1;
            Place { crowd: Arc::clone(self), address }
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.crowd.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut entry) = counts.entry(self.address) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

/// Accepts connections for ever.
pub(super) async fn accept(listener: TcpListener, shard: Arc<PortableShard>, wrap: Wrap) {
    let (room, crowd) = (Arc::new(Semaphore::new(MAX_CONNECTIONS)), Arc::new(Crowd::default()));
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        let Ok((stream, from)) = listener.accept().await else {
            // Out of file descriptors, most likely: let others close first.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let from = plain(from);
        let Some(place) = crowd.admit(from.ip()) else { continue };
        let (shard, wrap) = (Arc::clone(&shard), wrap.clone());
        tokio::spawn(async move {
            begin(stream, from, &shard, wrap).await;
            drop((permit, place));
        });
    }
}

async fn begin(stream: TcpStream, from: SocketAddr, shard: &PortableShard, wrap: Wrap) {
    // Media does not wait for more to send.
    let _ = stream.set_nodelay(true);
    match wrap {
        Wrap::Plain => serve(stream, from, shard, true).await,
        Wrap::Tls(acceptor) => {
            if let Ok(Ok(stream)) = timeout(HANDSHAKE, acceptor.accept(stream)).await {
                serve(stream, from, shard, false).await;
            }
        }
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Send + 'static,
    from: SocketAddr,
    shard: &PortableShard,
    joined: bool,
) {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let client = Client { address: from, via: Via::Stream(number) };
    let (queue, outbox) = mpsc::channel(QUEUE);
    shard.connected(number, queue);
    let (reading, writing) = tokio::io::split(stream);
    tokio::select! {
        () = read(reading, client, shard) => {}
        () = write(writing, outbox, joined) => {}
    }
    shard.disconnected(&client);
}

/// Hands whole messages on until the stream ends, goes quiet or carries something else.
async fn read<S: AsyncRead>(mut stream: ReadHalf<S>, client: Client, shard: &PortableShard) {
    let mut buffer = Vec::new();
    let mut looked = Instant::now();
    loop {
        buffer.reserve(CHUNK);
        let ended = matches!(timeout(IDLE, stream.read_buf(&mut buffer)).await, Ok(Err(_) | Ok(0)));
        if ended || (looked.elapsed() >= IDLE && !shard.serves(&client)) {
            return;
        }
        if looked.elapsed() >= IDLE {
            looked = Instant::now();
        }
        let mut rest = buffer.as_slice();
        loop {
            match frame_length(rest) {
                Err(_) => return,
                Ok(None) => break,
                Ok(Some(length)) => match rest.split_at_checked(length) {
                    None => break,
                    Some((message, after)) => {
                        shard.take_client(client, message);
                        rest = after;
                    }
                },
            }
        }
        let done = buffer.len() - rest.len();
        buffer.drain(..done);
        if buffer.is_empty() {
            buffer.shrink_to(2 * CHUNK);
        }
    }
}

/// Writes what is queued: on TCP several messages at once when they are there; on TLS each is a record of its
/// own, because there are clients that take a record for a message.
async fn write<S: AsyncWrite>(mut stream: WriteHalf<S>, mut outbox: mpsc::Receiver<Vec<u8>>, joined: bool) {
    while let Some(mut bytes) = outbox.recv().await {
        while joined && bytes.len() < MAX_WRITE {
            let Ok(more) = outbox.try_recv() else { break };
            bytes.extend(more);
        }
        let written = timeout(STUCK, async {
            stream.write_all(&bytes).await?;
            stream.flush().await
        });
        if !matches!(written.await, Ok(Ok(()))) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_share_of_connections_and_is_forgotten_after_the_last() {
        let crowd = Arc::new(Crowd::default());
        let address = IpAddr::from([192, 0, 2, 1]);
        let places: Vec<_> = (0..MAX_PER_ADDRESS).map(|_| crowd.admit(address).unwrap()).collect();
        assert!(crowd.admit(address).is_none() && crowd.admit(IpAddr::from([192, 0, 2, 2])).is_some());
        drop(places);
        assert!(crowd.0.lock().unwrap().is_empty());
    }
}
