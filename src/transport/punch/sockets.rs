//! I/O: the knocks of a [`Plan`], sent and listened to. The hard end's sockets live here until one of them is hit, which
//! becomes the transport's; all others are closed at once, and all of them when this is dropped.

use p2pcall_relay::stun::TransactionId;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use super::super::host::{self, Heard, HostSocket};
use super::super::hub::Outlet;
use super::super::interfaces::Usable;
use super::super::knock::{is_knock, knock};
use super::super::router::Credentials;
use super::super::servers::{Servers, random_id};
use super::{Plan, SOCKETS};

/// Whoever was reached answers so often: each answer may be lost.
const ANSWERS: [Duration; 3] =
    [Duration::from_millis(50), Duration::from_millis(150), Duration::from_millis(400)];

/// Sockets that are left to others where the system gives no more.
const SPARE: usize = 32;

/// What both ends have agreed on, as this one sees it.
#[derive(Debug, Clone)]
pub struct Agreed {
    /// Whether this end's NAT gives each peer another port.
    pub hard: bool,
    /// The call's own socket on whose network this is done; the easy end knocks from it.
    pub base: SocketAddr,
    /// Where the friend is; of a hard one the port means nothing.
    pub friend: SocketAddr,
    /// Who may knock here.
    pub local: Credentials,
    /// How the friend calls itself in its knocks.
    pub friends_name: String,
    /// Where we knock.
    pub remote: Credentials,
    /// How we call ourselves in ours.
    pub name: String,
}

/// An attempt under way; dropping it ends it.
#[derive(Debug)]
pub struct Punching {
    task: AbortHandle,
    /// The friend's knocks that the hub has heard.
    heard: mpsc::Sender<SocketAddr>,
    /// The friend was reached there.
    hits: mpsc::Receiver<SocketAddr>,
}

impl Punching {
    pub(in super::super) fn start(servers: Arc<Servers>, agreed: Agreed) -> Self {
        let (heard, knocks) = mpsc::channel(1);
        let (hit, hits) = mpsc::channel(1);
        let attempt = async move {
            let found = if agreed.hard {
                open(&servers, &agreed).await
            } else {
                guess(&servers, &agreed, knocks).await
            };
            let Some((socket, from)) = found else { return log::info!("no port of the hard NAT was hit") };
            log::info!("reached the friend at {from}");
            let _ = hit.send(from).await;
            for pause in ANSWERS {
                tokio::time::sleep(pause).await;
                agreed.knock(&socket, from);
            }
        };
        let task = tokio::spawn(attempt).abort_handle();
        Self { task, heard, hits }
    }

    /// The friend's knock has come from there, by the call's own socket.
    pub fn heard(&self, from: SocketAddr) {
        // The first one counts.
        let _ = self.heard.try_send(from);
    }

    /// Where the friend was reached, once; pending for ever where there is no attempt.
    pub async fn hit(this: &mut Option<Self>) -> Option<SocketAddr> {
        match this {
            Some(punching) => punching.hits.recv().await,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Punching {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Agreed {
    fn knock(&self, socket: &HostSocket, to: SocketAddr) {
        // What the system does not take at once is lost, as on any network.
        let _ = socket.try_send(to, &knock(random_id(), &self.name, &self.remote));
    }

    fn is_knock(&self, bytes: &[u8]) -> bool {
        is_knock(bytes, &self.local, &self.friends_name)
    }
}

type Found = (Arc<HostSocket>, SocketAddr);

/// The hard end: many sockets, and whichever is reached first.
async fn open(servers: &Arc<Servers>, agreed: &Agreed) -> Option<Found> {
    let sockets = bind_many(agreed.base);
    let (sender, mut knocks) = mpsc::channel(1);
    let mut listening = JoinSet::new();
    for socket in &sockets {
        let (socket, sender, agreed) = (Arc::clone(socket), sender.clone(), agreed.clone());
        listening.spawn(async move {
            let each = |heard: Heard<'_>| match heard {
                Heard::Datagram(from, bytes) if agreed.is_knock(bytes) => {
                    let _ = sender.try_send((Arc::clone(&socket), from));
                }
                Heard::Datagram(..) | Heard::Refusal(_) => {}
            };
            socket.receive(each).await;
        });
    }
    let (socket, from) =
        send(agreed, &sockets, Plan::opening(sockets.len(), agreed.friend), &mut knocks).await?;
    listening.shutdown().await;
    servers.adopt(Arc::clone(&socket));
    agreed.knock(&socket, from);
    Some((socket, from))
}

/// The easy end: one socket, and any port.
async fn guess(
    servers: &Arc<Servers>,
    agreed: &Agreed,
    mut heard: mpsc::Receiver<SocketAddr>,
) -> Option<Found> {
    let hosts = servers.hosts().all();
    let socket =
        hosts.into_iter().map(|(_, host)| host).find(|host| host.candidate().address == agreed.base)?;
    let plan = Plan::guesses(agreed.friend.ip(), random);
    let from = send(agreed, std::slice::from_ref(&socket), plan, &mut heard).await?;
    agreed.knock(&socket, from);
    Some((socket, from))
}

/// Sends what the plan says until something comes, or all was in vain.
async fn send<T>(
    agreed: &Agreed,
    sockets: &[Arc<HostSocket>],
    mut plan: Plan,
    came: &mut mpsc::Receiver<T>,
) -> Option<T> {
    let began = Instant::now();
    loop {
        while let Some(knock) = plan.poll(began.elapsed()) {
            if let Some(socket) = sockets.get(knock.socket) {
                agreed.knock(socket, knock.to);
            }
        }
        let next = plan.poll_timeout(began.elapsed())?;
        tokio::select! {
            biased;
            found = came.recv() => return found,
            () = tokio::time::sleep_until(began + next) => {}
        }
    }
}

/// As many as the system gives, up to the most that are useful; some of the last are given back for all else that the
/// call may need.
fn bind_many(base: SocketAddr) -> Vec<Arc<HostSocket>> {
    let usable = Usable { address: base.ip(), default_route: true, bridge: false, lonely: false };
    let mut sockets = Vec::with_capacity(SOCKETS);
    while sockets.len() < SOCKETS {
        match host::bind(base.ip(), 0).and_then(|socket| HostSocket::new(socket, &usable)) {
            Ok(socket) => sockets.push(Arc::new(socket)),
            Err(error) => {
                log::info!("{} sockets instead of {SOCKETS}: {error}", sockets.len());
                sockets.truncate(sockets.len().saturating_sub(SPARE));
                break;
            }
        }
    }
    sockets
}

fn random() -> u32 {
    let TransactionId([a, b, c, d, ..]) = random_id();
    u32::from_be_bytes([a, b, c, d])
}
