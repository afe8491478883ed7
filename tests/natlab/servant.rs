//! Servers that do one thing, as threads in a machine's namespace: STUN servers that are plain, or lie, and a router that
//! answers UPnP with a megabyte. Dropped, they end.

use super::world::World;
use p2pcall_relay::stun::{Builder, Class, Message, Method, Seal, TransactionId, attr};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;
use std::time::Duration;

/// As often it looks whether it shall end.
const LOOK: Duration = Duration::from_millis(50);
/// What one request brings from a server that floods.
const FLOOD: u32 = 10_000;
/// UPnP Device Architecture §1.3.
const SEARCH: (Ipv4Addr, u16) = (Ipv4Addr::new(239, 255, 255, 250), 1900);
const MEGABYTE: usize = 1_000_000;

/// How a STUN server answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// RFC 8489 and no more: nobody can have it answer from elsewhere.
    Plain,
    /// Bytes that mean nothing.
    Garbage,
    /// To another request than was made.
    OtherTransaction,
    /// With an address that nobody has.
    Nowhere,
    /// Ten thousand times, each time with another address, the first one true.
    Flood,
}

/// A thread that serves.
pub(crate) struct Servant {
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Servant {
    /// A STUN server on a machine.
    pub(crate) fn stun(world: &World, machine: &str, address: &str, manner: Manner) -> Self {
        let address: SocketAddr = address.parse().expect("an address");
        let open = move || {
            let socket = UdpSocket::bind(address)?;
            socket.set_read_timeout(Some(LOOK))?;
            Ok(socket)
        };
        Self::start(world, machine, open, move |socket| {
            let mut buffer = [0; 1500];
            let Ok((length, from)) = socket.recv_from(&mut buffer) else { return };
            for bytes in answers(&buffer[..length], from, manner) {
                // A full buffer loses it, as anywhere.
                let _ = socket.send_to(&bytes, from);
            }
        })
    }

    /// A router that is found by UPnP, and describes itself with a megabyte.
    pub(crate) fn verbose_router(world: &World, machine: &str) -> Self {
        let address = World::inner_address();
        let open = move || {
            let search = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, SEARCH.1))?;
            search.join_multicast_v4(&SEARCH.0, &address)?;
            search.set_read_timeout(Some(LOOK))?;
            let pages = TcpListener::bind((address, 5000))?;
            pages.set_nonblocking(true)?;
            Ok((search, pages))
        };
        Self::start(world, machine, open, move |(search, pages)| {
            let mut buffer = [0; 1500];
            if let Ok((_, from)) = search.recv_from(&mut buffer) {
                let words = format!(
                    "HTTP/1.1 200 OK\r\nST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n\
                     LOCATION: http://{address}:5000/description.xml\r\n\r\n"
                );
                let _ = search.send_to(words.as_bytes(), from);
            }
            if let Ok((mut stream, _)) = pages.accept() {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {MEGABYTE}\r\n\r\n");
                // Whoever has had enough hangs up.
                let _ = stream.set_nonblocking(false);
                let _ = stream.set_write_timeout(Some(LOOK * 10));
                let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&[b'<'; MEGABYTE]));
            }
        })
    }

    fn start<T>(
        world: &World,
        machine: &str,
        open: impl FnOnce() -> io::Result<T> + Send + 'static,
        mut serve: impl FnMut(&mut T) + Send + 'static,
    ) -> Self {
        let namespace = Path::new("/run/netns").join(world.lab.namespace(machine));
        let ended = Arc::new(AtomicBool::new(false));
        let (its, (sender, ready)) = (Arc::clone(&ended), sync_channel(1));
        let thread = std::thread::spawn(move || {
            let entered = File::open(namespace).and_then(|file| {
                move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).map_err(Into::into)
            });
            match entered.and_then(|()| open()) {
                Ok(mut sockets) => {
                    // Nobody waits for it any more only when the test has failed.
                    let _ = sender.send(Ok(()));
                    while !its.load(Ordering::Relaxed) {
                        serve(&mut sockets);
                    }
                }
                Err(error) => {
                    let _ = sender.send(Err(error));
                }
            }
        });
        let opened = ready.recv().unwrap_or_else(|_| Err(ErrorKind::Other.into()));
        opened.expect("a socket in a laboratory");
        Self { ended, thread: Some(thread) }
    }
}

impl Drop for Servant {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // What went wrong there has been printed by its panic.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn answers(request: &[u8], from: SocketAddr, manner: Manner) -> Vec<Vec<u8>> {
    let Ok(message) = Message::parse(request) else { return Vec::new() };
    if (message.class(), message.method()) != (Class::Request, Method::BINDING) {
        return Vec::new();
    }
    let id = message.id();
    match manner {
        // RFC 8489 §6.3.1: an attribute that must be understood and is not makes an error.
        Manner::Plain if message.contains(attr::CHANGE_REQUEST) || message.contains(attr::RESPONSE_PORT) => {
            vec![refusal(id)]
        }
        Manner::Plain => vec![success(id, from)],
        Manner::Garbage => vec![request.iter().rev().copied().collect(), b"\x01\x01\xff\xff".to_vec()],
        Manner::OtherTransaction => vec![success(TransactionId([7; 12]), from)],
        Manner::Nowhere => vec![success(id, SocketAddr::from(([0, 0, 0, 0], from.port())))],
        Manner::Flood => {
            let others = (1..FLOOD).map(|number| SocketAddr::from(([203, 0, 113, 200], number as u16)));
            [from].into_iter().chain(others).map(|mapped| success(id, mapped)).collect()
        }
    }
}

fn success(id: TransactionId, mapped: SocketAddr) -> Vec<u8> {
    let mut buffer = [0; 64];
    let builder = Builder::new(&mut buffer, Class::Success, Method::BINDING, id);
    builder.put(attr::XOR_MAPPED_ADDRESS, mapped).finish(Seal::NONE).expect("it fits").to_vec()
}

fn refusal(id: TransactionId) -> Vec<u8> {
    let mut buffer = [0; 64];
    let error = p2pcall_relay::stun::ErrorCode { code: 420, reason: "Unknown Attribute" };
    let builder = Builder::new(&mut buffer, Class::Error, Method::BINDING, id);
    builder.put(attr::ERROR_CODE, error).finish(Seal::NONE).expect("it fits").to_vec()
}
