//! The runtime that a stack runs on: Tokio's, but that its sockets are ports of a [`Wire`]. Knows what a stack asks of a
//! runtime, and nothing of packets.

use super::events::{Note, Notes};
use super::socket::{Wire, locked};
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::AbortHandle;
use webrtc::runtime::{
    AsyncInterval, AsyncTcpListener, AsyncTcpStream, AsyncUdpSocket, JoinHandle, Runtime, TokioRuntime,
};

/// Tokio, except that sockets are ports, and that tasks can be stopped all together.
pub(super) struct PortRuntime {
    wire: Arc<Wire>,
    stand_ins: HashMap<SocketAddr, usize>,
    wrapped: AtomicUsize,
    tasks: Arc<Mutex<Vec<AbortHandle>>>,
}

impl PortRuntime {
    /// The runtime for one stack, and which of the wire's ports each of its stand-ins is for.
    pub(super) fn new(wire: Arc<Wire>, stand_ins: HashMap<SocketAddr, usize>) -> Self {
        Self { wire, stand_ins, wrapped: AtomicUsize::new(0), tasks: Arc::default() }
    }

    /// Whether the stack has got every port.
    pub(super) fn is_complete(&self) -> bool {
        self.wrapped.load(Ordering::Relaxed) == self.stand_ins.len()
    }

    /// The tasks that the stack started.
    pub(super) fn tasks(&self) -> Tasks {
        Tasks(Arc::clone(&self.tasks))
    }
}

/// The tasks of a stack, and those that help it, stopped when this goes.
pub(super) struct Tasks(Arc<Mutex<Vec<AbortHandle>>>);

impl Tasks {
    /// Starts one more.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        locked(&self.0).push(tokio::spawn(task).abort_handle());
    }

    /// Stops all.
    pub(super) fn stop(&self) {
        for task in locked(&self.0).drain(..) {
            task.abort();
        }
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for PortRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PortRuntime({} ports)", self.stand_ins.len())
    }
}

/// Notes down that a task of the stack's has ended, even if by a panic: without its loop a peer is deaf.
struct TellEnd(Notes);

impl Drop for TellEnd {
    fn drop(&mut self) {
        self.0.put(Note::Gone);
    }
}

/// A task of the stack's; dropping it lets it run on, as the stack's contract wants it.
struct Spawned(tokio::task::JoinHandle<()>);

impl JoinHandle for Spawned {
    fn detach(&self) {}

    fn abort(&self) {
        self.0.abort();
    }

    fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl Runtime for PortRuntime {
    fn spawn(&self, future: Boxed<'static, ()>) -> Box<dyn JoinHandle> {
        let end = TellEnd(self.wire.notes());
        let task = tokio::spawn(async move {
            let _end = end;
            future.await;
        });
        locked(&self.tasks).push(task.abort_handle());
        Box::new(Spawned(task))
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let address = socket.local_addr()?;
        let found =
            self.stand_ins.get(&address).and_then(|index| Wire::stand_in(&self.wire, *index, address));
        let socket = found.ok_or(io::ErrorKind::AddrNotAvailable)?;
        self.wrapped.fetch_add(1, Ordering::Relaxed);
        Ok(socket)
    }

    fn wrap_tcp_listener(&self, listener: std::net::TcpListener) -> io::Result<Arc<dyn AsyncTcpListener>> {
        TokioRuntime.wrap_tcp_listener(listener)
    }

    /// Never: whatever leaves goes through a port.
    fn connect_tcp(&self, _: SocketAddr) -> Boxed<'_, io::Result<Arc<dyn AsyncTcpStream>>> {
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }

    /// Never: names in a remote description are not looked up.
    fn resolve_host<'a>(&'a self, _: &'a str) -> Boxed<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }

    fn sleep(&self, duration: Duration) -> Boxed<'static, ()> {
        TokioRuntime.sleep(duration)
    }

    fn interval(&self, period: Duration) -> Box<dyn AsyncInterval> {
        TokioRuntime.interval(period)
    }

    fn block_on(&self, future: Pin<Box<dyn Future<Output = ()> + '_>>) {
        TokioRuntime.block_on(future);
    }

    fn yield_now(&self) -> Boxed<'static, ()> {
        TokioRuntime.yield_now()
    }

    fn name(&self) -> &'static str {
        "ports"
    }
}
