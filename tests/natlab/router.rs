//! The dull loop around a gateway: a thread that lives in a router's namespace and carries packets between the
//! gateway and a TUN device there. Dropping it ends it.

use super::gateway::Gateway;
use super::tun;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::io::{self, Read, Write};
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
    /// Lets a gateway work in a namespace, by the device [`DEVICE`], which is there when this returns.
    pub(crate) fn start(namespace: &str, gateway: Gateway) -> io::Result<Self> {
        let shared = Arc::new(Shared { gateway: Mutex::new(gateway), ended: AtomicBool::new(false) });
        let (its, namespace) = (Arc::clone(&shared), Path::new("/run/netns").join(namespace));
        let (sender, ready) = sync_channel(1);
        let thread = std::thread::spawn(move || match enter(&namespace) {
            Ok(device) => {
                // Nobody waits for it any more only when the test has failed.
                let _ = sender.send(Ok(()));
                its.run(device);
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
}

impl Drop for Router {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        // What went wrong there has been printed by its panic.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Moves this thread into a namespace and makes the device there.
fn enter(namespace: &Path) -> io::Result<File> {
    move_into_link_name_space(File::open(namespace)?.as_fd(), Some(LinkNameSpaceType::Network))?;
    tun::open(DEVICE)
}

impl Shared {
    fn run(&self, mut device: File) {
        let began = Instant::now();
        let mut buffer = vec![0; LONGEST];
        while !self.ended.load(Ordering::Relaxed) {
            let mut gateway = self.gateway.lock().unwrap_or_else(PoisonError::into_inner);
            while let Ok(length) = device.read(&mut buffer) {
                gateway.take(buffer[..length].to_vec(), began.elapsed());
            }
            while let Some(packet) = gateway.give(began.elapsed()) {
                // What cannot be delivered is lost, as on any router.
                let _ = device.write(&packet);
            }
            let wait = gateway.due().map_or(LOOK, |due| due.saturating_sub(began.elapsed()).min(LOOK));
            drop(gateway);
            let wait = Timespec { tv_sec: 0, tv_nsec: i64::from(wait.subsec_nanos()) };
            // Interrupted or not, the next round looks for itself.
            let _ = poll(&mut [PollFd::new(&device, PollFlags::IN)], Some(&wait));
        }
    }
}
