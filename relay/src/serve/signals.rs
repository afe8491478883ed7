//! Signals, and what systemd wants to be told.

use std::io;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// SIGTERM, SIGINT, Ctrl-C.
    End,
    /// SIGHUP.
    Reload,
}

/// The signals a relay listens to.
#[cfg(unix)]
pub(crate) struct Signals {
    term: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    pub(crate) fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// The next one.
    pub(crate) async fn next(&mut self) -> Wish {
        let Self { term, interrupt, hangup } = self;
        tokio::select! {
            _ = term.recv() => Wish::End,
            _ = interrupt.recv() => Wish::End,
            _ = hangup.recv() => Wish::Reload,
        }
    }
}

/// Ctrl-C is all there is.
#[cfg(not(unix))]
pub(crate) struct Signals;

#[cfg(not(unix))]
impl Signals {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self)
    }

    pub(crate) async fn next(&mut self) -> Wish {
        let _ = tokio::signal::ctrl_c().await;
        Wish::End
    }
}

/// Tells systemd, if it asked (sd_notify): one datagram to a socket it names.
#[cfg(target_os = "linux")]
pub(crate) fn notify(state: &str) {
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::{SocketAddr, UnixDatagram};
    let Some(name) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let name = name.as_encoded_bytes();
    let address = match name.strip_prefix(b"@") {
        Some(hidden) => SocketAddr::from_abstract_name(hidden),
        None => SocketAddr::from_pathname(std::ffi::OsStr::new(&*String::from_utf8_lossy(name))),
    };
    // Who supervises the relay is told as far as it can be; the relay does not depend on it.
    if let (Ok(address), Ok(socket)) = (address, UnixDatagram::unbound()) {
        let _ = socket.send_to_addr(state.as_bytes(), &address);
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn notify(_state: &str) {}
