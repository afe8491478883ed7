//! One connection to a server: whole messages in, whole messages out.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio_rustls::client::TlsStream;

use super::trust::{Trust, Verdict};
use crate::stun::frame_length;

/// The longest datagram that is read.
const MAX_DATAGRAM: usize = 4096;

/// A connection.
pub struct Wire(Kind);

enum Kind {
    Udp(UdpSocket),
    Tcp(TcpStream, Vec<u8>),
    Tls(Box<TlsStream<TcpStream>>, Vec<u8>),
}

impl Wire {
    /// A UDP socket connected to the server.
    pub async fn udp(server: SocketAddr) -> io::Result<Self> {
        let any: IpAddr =
            if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await?;
        socket.connect(server).await?;
        Ok(Self(Kind::Udp(socket)))
    }

    /// A TCP connection.
    pub async fn tcp(server: SocketAddr) -> io::Result<Self> {
        Self::over(TcpStream::connect(server).await?)
    }

    /// The same over a connection that somebody else made.
    pub fn over(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self(Kind::Tcp(stream, Vec::new())))
    }

    /// A TLS connection, and what its certificate was worth.
    pub async fn tls(server: SocketAddr, host: &str, trust: &Trust) -> io::Result<(Self, Verdict)> {
        Self::tls_over(TcpStream::connect(server).await?, host, trust).await
    }

    /// The same over a connection that somebody else made.
    pub async fn tls_over(stream: TcpStream, host: &str, trust: &Trust) -> io::Result<(Self, Verdict)> {
        stream.set_nodelay(true)?;
        let (stream, verdict) = trust.connect(host, stream).await?;
        Ok((Self(Kind::Tls(Box::new(stream), Vec::new())), verdict))
    }

    /// Our own address.
    pub fn local(&self) -> io::Result<SocketAddr> {
        match &self.0 {
            Kind::Udp(socket) => socket.local_addr(),
            Kind::Tcp(stream, _) => stream.local_addr(),
            Kind::Tls(stream, _) => stream.get_ref().0.local_addr(),
        }
    }

    /// The UDP socket, if it is one: for whoever wants to send by other means.
    pub fn into_udp(self) -> Option<UdpSocket> {
        match self.0 {
            Kind::Udp(socket) => Some(socket),
            Kind::Tcp(..) | Kind::Tls(..) => None,
        }
    }

    pub(super) fn is_stream(&self) -> bool {
        !matches!(self.0, Kind::Udp(_))
    }

    /// Sends one message; on a stream it is padded to four bytes (RFC 8656 §12.5).
    pub(super) async fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let mut padded = message.to_vec();
        padded.resize(message.len().next_multiple_of(4), 0);
        match &mut self.0 {
            Kind::Udp(socket) => socket.send(message).await.map(drop),
            Kind::Tcp(stream, _) => stream.write_all(&padded).await,
            Kind::Tls(stream, _) => {
                stream.write_all(&padded).await?;
                stream.flush().await
            }
        }
    }

    /// The next message. May be given up and called again.
    pub(super) async fn receive(&mut self) -> io::Result<Vec<u8>> {
        match &mut self.0 {
            Kind::Udp(socket) => {
                let mut buffer = vec![0; MAX_DATAGRAM];
                let length = socket.recv(&mut buffer).await?;
                buffer.truncate(length);
                Ok(buffer)
            }
            Kind::Tcp(stream, buffer) => loop {
                if let Some(message) = cut(buffer)? {
                    return Ok(message);
                }
                if stream.read_buf(buffer).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            },
            Kind::Tls(stream, buffer) => loop {
                if let Some(message) = cut(buffer)? {
                    return Ok(message);
                }
                if stream.read_buf(buffer).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            },
        }
    }
}

/// Takes the first whole message out of what a stream has brought.
fn cut(buffer: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    let length = frame_length(buffer).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    Ok(length.filter(|&length| length <= buffer.len()).map(|length| buffer.drain(..length).collect()))
}
