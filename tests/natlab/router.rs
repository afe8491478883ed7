//! The dull loop around a gateway: a thread that lives in a router's namespace and carries packets between the
//! gateway and a TUN device there, and requests for ports to who answers them. Dropping it ends it.

use super::gateway::Gateway;
use super::{opener, tun};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The device's name.
pub(crate) const DEVICE: &str = "nat";
/// As often it looks whether it shall end.
const LOOK: Duration = Duration::from_millis(100);
/// No packet is longer.
const LONGEST: usize = 65_536;

/// A router at work.
pub(crate) struct Router {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    gateway: Mutex<Gateway>,
    ended: AtomicBool,
}

impl Router {
    /// Lets a gateway work in a namespace, by the device [`DEVICE`], which is there when this returns. Where it has
    /// an `inner` address it opens ports there on request.
    pub(crate) fn start(namespace: &str, gateway: Gateway, inner: Option<Ipv4Addr>) -> io::Result<Self> {
        let shared = Arc::new(Shared { gateway: Mutex::new(gateway), ended: AtomicBool::new(false) });
        let (its, namespace) = (Arc::clone(&shared), Path::new("/run/netns").join(namespace));
        let (sender, ready) = sync_channel(1);
        let thread = std::thread::spawn(move || match enter(&namespace, inner) {
            Ok((device, requests)) => {
                // Nobody waits for it any more only when the test has failed.
                let _ = sender.send(Ok(()));
                its.run(device, requests);
            }
            Err(error) => {
                let _ = sender.send(Err(error));
            }
        });
        ready.recv().map_err(io::Error::other)??;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Changes something, between two packets.
    pub(crate) fn change(&self, how: impl FnOnce(&mut Gateway)) {
        how(&mut self.shared.gateway.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The ports that are open on request.
    pub(crate) fn opened(&self) -> usize {
        self.shared.gateway.lock().unwrap_or_else(PoisonError::into_inner).nat.opened()
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        // What went wrong there has been printed by its panic.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Moves this thread into a namespace and makes the device there, and a socket for requests.
fn enter(namespace: &Path, inner: Option<Ipv4Addr>) -> io::Result<(File, Option<UdpSocket>)> {
    move_into_link_name_space(File::open(namespace)?.as_fd(), Some(LinkNameSpaceType::Network))?;
    let requests = inner.map(|address| UdpSocket::bind((address, opener::PORT))).transpose()?;
    if let Some(socket) = &requests {
        socket.set_nonblocking(true)?;
    }
    Ok((tun::open(DEVICE)?, requests))
}

impl Shared {
    fn run(&self, mut device: File, requests: Option<UdpSocket>) {
        let began = Instant::now();
        let mut buffer = vec![0; LONGEST];
        while !self.ended.load(Ordering::Relaxed) {
            let mut gateway = self.gateway.lock().unwrap_or_else(PoisonError::into_inner);
            while let Ok(length) = device.read(&mut buffer) {
                gateway.take(buffer[..length].to_vec(), began.elapsed());
            }
            while let Some(Ok((length, SocketAddr::V4(from)))) =
                requests.as_ref().map(|socket| socket.recv_from(&mut buffer))
            {
                let answer = opener::answer(&mut gateway.nat, from, &buffer[..length], began.elapsed());
                if let (Some(answer), Some(socket)) = (answer, &requests) {
                    // Whoever asks asks again.
                    let _ = socket.send_to(&answer, from);
                }
            }
            while let Some(packet) = gateway.give(began.elapsed()) {
                // What cannot be delivered is lost, as on any router.
                let _ = device.write(&packet);
            }
            let wait = gateway.due().map_or(LOOK, |due| due.saturating_sub(began.elapsed()).min(LOOK));
            drop(gateway);
            let wait = Timespec { tv_sec: 0, tv_nsec: i64::from(wait.subsec_nanos()) };
            // Interrupted or not, the next round looks for itself.
            let mut ready = vec![PollFd::new(&device, PollFlags::IN)];
            ready.extend(requests.as_ref().map(|socket| PollFd::new(socket, PollFlags::IN)));
            let _ = poll(&mut ready, Some(&wait));
        }
    }
}
