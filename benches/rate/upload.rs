//! A TCP connection that takes all it can get, from one machine of a laboratory to another. Ends when dropped.

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

const PORT: u16 = 9_000;
/// How often each end looks whether it shall end.
const LOOK: Duration = Duration::from_millis(200);

pub(crate) struct Upload {
    ended: Arc<AtomicBool>,
    bytes: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Upload {
    /// From the namespace `from` to the namespace `to`, which has `address`.
    pub(crate) fn start(from: &str, to: &str, address: &'static str) -> Self {
        let (ended, bytes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (ready, is_ready) = std::sync::mpsc::channel();
        let (from, to) = (from.to_owned(), to.to_owned());
        let (its, counted) = (Arc::clone(&ended), Arc::clone(&bytes));
        let sink = std::thread::spawn(move || {
            enter(&to);
            let listener = TcpListener::bind((address, PORT)).expect("a free port");
            ready.send(()).expect("awaited");
            let (mut stream, _) = listener.accept().expect("the other end");
            stream.set_read_timeout(Some(LOOK)).expect("a socket");
            let mut buffer = [0; 65_536];
            while !its.load(Ordering::Relaxed) {
                let read = stream.read(&mut buffer).unwrap_or(0);
                counted.fetch_add(read as u64, Ordering::Relaxed);
            }
        });
        is_ready.recv().expect("the sink listens");
        let its = Arc::clone(&ended);
        let source = std::thread::spawn(move || {
            enter(&from);
            let mut stream = TcpStream::connect((address, PORT)).expect("the sink is reached");
            stream.set_write_timeout(Some(LOOK)).expect("a socket");
            while !its.load(Ordering::Relaxed) {
                // Full is what it should be.
                let _ = stream.write(&[0; 16_384]);
            }
        });
        Self { ended, bytes, threads: vec![sink, source] }
    }

    /// Bytes that have arrived.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // What went wrong there has been printed by its panic.
            let _ = thread.join();
        }
    }
}

fn enter(namespace: &str) {
    let file = File::open(Path::new("/run/netns").join(namespace)).expect("a namespace");
    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).expect("root");
}
