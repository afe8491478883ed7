//! I/O: asks the gateway, by whichever protocol it speaks. Sends the codecs' requests, reads bounded answers, waits no
//! longer than it says. One mapping at a time and protocol; who keeps it renews it.

use super::http::{self, Response};
use super::{Handle, MapError, Mapped, Protocol, natpmp, pcp, upnp};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// RFC 6886 §3.1, RFC 6887 §8.1.1: where gateways listen.
const PORT: u16 = 5351;
/// RFC 6886 §3.1: the first wait for an answer; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// Tries: on one's own link nothing takes longer than a second or two.
const TRIES: u32 = 3;
/// Searches for a gateway by UPnP, and the wait after each.
const SEARCHES: u32 = 2;
const SEARCH_WAIT: Duration = Duration::from_millis(900);
/// One exchange by HTTP.
const HTTP_PATIENCE: Duration = Duration::from_secs(2);
/// The longest datagram that is read.
const MAX_DATAGRAM: usize = 2048;
/// Answers to a search that are looked at; more only a prankster sends.
const MAX_ANSWERS: u32 = 64;

/// A way to ask the gateway of one of our addresses.
#[derive(Debug, Clone, Copy)]
pub struct PortMapper {
    local: Ipv4Addr,
    gateway: Option<Ipv4Addr>,
}

impl PortMapper {
    /// For UDP ports bound at this local address. Without a gateway only UPnP can be tried, which finds its own.
    pub fn new(local: Ipv4Addr, gateway: Option<Ipv4Addr>) -> Self {
        Self { local, gateway }
    }

    /// Maps one of our UDP ports by whichever protocol answers first.
    ///
    /// # Errors
    /// When none of them gave a mapping: the most telling of their reasons. It takes at most some six seconds.
    pub async fn map(&self, internal_port: u16, lifetime: Duration) -> Result<Mapped, MapError> {
        let by_gateway = async {
            match self.map_by(Protocol::Pcp, internal_port, lifetime).await {
                Ok(mapped) => Ok(mapped),
                Err(_) => self.map_by(Protocol::NatPmp, internal_port, lifetime).await,
            }
        };
        let by_upnp = self.map_by(Protocol::Upnp, internal_port, lifetime);
        tokio::pin!(by_gateway, by_upnp);
        let (first, second) = tokio::select! {
            first = &mut by_gateway => (first, None),
            second = &mut by_upnp => (second, Some(())),
        };
        let Err(reason) = first else { return first };
        let other = match second {
            None => by_upnp.await,
            Some(()) => by_gateway.await,
        };
        match (other, reason) {
            (Err(MapError::Silent), reason) => Err(reason),
            (other, _) => other,
        }
    }

    /// The same by one protocol.
    ///
    /// # Errors
    /// When it gave none.
    pub async fn map_by(
        &self,
        protocol: Protocol,
        internal_port: u16,
        lifetime: Duration,
    ) -> Result<Mapped, MapError> {
        let seconds = seconds(lifetime);
        match protocol {
            Protocol::Pcp => {
                let any = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
                self.pcp(nonce()?, internal_port, any, seconds).await
            }
            Protocol::NatPmp => self.natpmp(internal_port, internal_port, seconds).await,
            Protocol::Upnp => {
                let service = self.find_service().await?;
                self.upnp(service, internal_port, seconds).await
            }
        }
    }

    /// Prolongs a mapping by its own lifetime. The outer port may be another one afterwards.
    ///
    /// # Errors
    /// When the gateway refuses, or is gone.
    pub async fn renew(&self, mapped: &Mapped) -> Result<Mapped, MapError> {
        let seconds = seconds(mapped.lifetime);
        match &mapped.handle {
            Handle::Pcp(nonce) => self.pcp(*nonce, mapped.internal_port, mapped.external, seconds).await,
            Handle::NatPmp => self.natpmp(mapped.internal_port, mapped.external.port(), seconds).await,
            Handle::Upnp(service) => {
                let external = mapped.external.port();
                let seconds = self.upnp_add(service, mapped.internal_port, external, seconds).await?;
                Ok(Mapped { lifetime: Duration::from_secs(seconds.into()), ..mapped.clone() })
            }
        }
    }

    /// Takes a mapping back.
    ///
    /// # Errors
    /// When the gateway refuses, or is gone; then it ends by itself.
    pub async fn delete(&self, mapped: &Mapped) -> Result<(), MapError> {
        match &mapped.handle {
            Handle::Pcp(nonce) => self.pcp(*nonce, mapped.internal_port, mapped.external, 0).await.map(drop),
            // RFC 6886 §3.4: to delete, lifetime and outer port are zero.
            Handle::NatPmp => self.natpmp_map(mapped.internal_port, 0, 0).await.map(drop),
            Handle::Upnp(service) => {
                let request = service.delete(mapped.external.port());
                upnp::read_done(&exchange(service.host, service.port, &request).await?).map(drop)
            }
        }
    }

    async fn pcp(
        &self,
        nonce: [u8; 12],
        internal: u16,
        external: SocketAddrV4,
        seconds: u32,
    ) -> Result<Mapped, MapError> {
        let map = pcp::Map { client: self.local, nonce, internal, external, seconds };
        let (external, seconds) = self.ask(&pcp::map(&map), |bytes| pcp::read(bytes, &map)).await?;
        Ok(Mapped {
            protocol: Protocol::Pcp,
            external,
            internal_port: internal,
            lifetime: Duration::from_secs(seconds.into()),
            handle: Handle::Pcp(nonce),
        })
    }

    async fn natpmp(&self, internal: u16, wish: u16, seconds: u32) -> Result<Mapped, MapError> {
        let (port, seconds) = self.natpmp_map(internal, wish, seconds).await?;
        let address = self.ask(&natpmp::EXTERNAL, natpmp::read_external).await?;
        Ok(Mapped {
            protocol: Protocol::NatPmp,
            external: SocketAddrV4::new(address, port),
            internal_port: internal,
            lifetime: Duration::from_secs(seconds.into()),
            handle: Handle::NatPmp,
        })
    }

    async fn natpmp_map(&self, internal: u16, wish: u16, seconds: u32) -> Result<(u16, u32), MapError> {
        self.ask(&natpmp::map(internal, wish, seconds), |bytes| natpmp::read_map(bytes, internal)).await
    }

    async fn upnp(&self, service: upnp::Service, internal: u16, seconds: u32) -> Result<Mapped, MapError> {
        let address = upnp::read_external(&exchange(service.host, service.port, &service.external()).await?)?;
        let seconds = self.upnp_add(&service, internal, internal, seconds).await?;
        Ok(Mapped {
            protocol: Protocol::Upnp,
            external: SocketAddrV4::new(address, internal),
            internal_port: internal,
            lifetime: Duration::from_secs(seconds.into()),
            handle: Handle::Upnp(service),
        })
    }

    /// Adds or prolongs; the seconds that were given. A gateway that knows no end is asked for none.
    async fn upnp_add(
        &self,
        service: &upnp::Service,
        internal: u16,
        external: u16,
        seconds: u32,
    ) -> Result<u32, MapError> {
        for seconds in [seconds, 0] {
            let request = service.map(self.local, internal, external, seconds);
            if upnp::read_done(&exchange(service.host, service.port, &request).await?)? {
                return Ok(seconds);
            }
        }
        Err(MapError::Nonsense)
    }

    /// One request by UDP to the gateway until `read` takes the answer for one.
    async fn ask<T>(
        &self,
        request: &[u8],
        read: impl Fn(&[u8]) -> Option<Result<T, MapError>>,
    ) -> Result<T, MapError> {
        let gateway = self.gateway.ok_or(MapError::Silent)?;
        let socket = UdpSocket::bind((self.local, 0)).await?;
        // RFC 6886 §3.1, RFC 6887 §8.3: what does not come from the gateway is no answer.
        socket.connect((gateway, PORT)).await?;
        let mut buffer = vec![0; MAX_DATAGRAM];
        for number in 0..TRIES {
            if let Err(error) = socket.send(request).await
                && error.kind() != std::io::ErrorKind::ConnectionRefused
            {
                return Err(error.into());
            }
            let answer = timeout(FIRST_WAIT * 2_u32.pow(number), async {
                loop {
                    match socket.recv(&mut buffer).await {
                        Ok(length) => {
                            if let Some(answer) = read(buffer.get(..length).unwrap_or_default()) {
                                return answer;
                            }
                        }
                        // Nobody listens there (ICMP): no use waiting.
                        Err(_) => return Err(MapError::Silent),
                    }
                }
            });
            if let Ok(answer) = answer.await {
                return answer;
            }
        }
        Err(MapError::Silent)
    }

    /// Looks for a gateway, and in its description for the service.
    async fn find_service(&self) -> Result<upnp::Service, MapError> {
        let socket = UdpSocket::bind((self.local, 0)).await?;
        let mut buffer = vec![0; MAX_DATAGRAM];
        let mut failed = MapError::Silent;
        for _ in 0..SEARCHES {
            for search in upnp::searches() {
                socket.send_to(search.as_bytes(), upnp::SEARCH_ADDRESS).await?;
            }
            let deadline = tokio::time::Instant::now() + SEARCH_WAIT;
            let mut described: Vec<(Ipv4Addr, u16, String)> = Vec::new();
            for _ in 0..MAX_ANSWERS {
                let Ok(Ok((length, from))) =
                    tokio::time::timeout_at(deadline, socket.recv_from(&mut buffer)).await
                else {
                    break;
                };
                let SocketAddr::V4(from) = from else { continue };
                let answer = buffer.get(..length).unwrap_or_default();
                let Some((port, path)) = upnp::read_search(answer, *from.ip()) else { continue };
                let place = (*from.ip(), port, path);
                if described.contains(&place) || !self.is_near(place.0) {
                    continue;
                }
                match describe(&place).await {
                    Ok(service) => return Ok(service),
                    Err(error) => failed = error,
                }
                described.push(place);
            }
            if !described.is_empty() {
                break;
            }
        }
        Err(failed)
    }

    /// A gateway is on our own side: the known one, or an address that no stranger has.
    fn is_near(&self, address: Ipv4Addr) -> bool {
        self.gateway == Some(address) || !crate::transport::interfaces::is_public(IpAddr::V4(address))
    }
}

async fn describe((host, port, path): &(Ipv4Addr, u16, String)) -> Result<upnp::Service, MapError> {
    let response = exchange(*host, *port, &http::get(&format!("{host}:{port}"), path)).await?;
    upnp::read_description(&response.body, *host, *port).ok_or(MapError::Nonsense)
}

/// One exchange by HTTP; an answer beyond all measure is none.
async fn exchange(host: Ipv4Addr, port: u16, request: &str) -> Result<Response, MapError> {
    let exchanged = timeout(HTTP_PATIENCE, async {
        let mut stream = TcpStream::connect((host, port)).await?;
        stream.write_all(request.as_bytes()).await?;
        read_bounded(&mut stream).await
    });
    match exchanged.await {
        Ok(Ok(bytes)) => http::parse(&bytes).ok_or(MapError::Nonsense),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(MapError::Silent),
    }
}

/// Reads until the answer is complete or the other side ends.
async fn read_bounded(stream: &mut TcpStream) -> Result<Vec<u8>, MapError> {
    let mut bytes = Vec::new();
    while !http::is_complete(&bytes) {
        if bytes.len() >= http::LONGEST {
            return Err(MapError::Nonsense);
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            break;
        }
    }
    Ok(bytes)
}

fn nonce() -> Result<[u8; 12], MapError> {
    let mut nonce = [0; 12];
    getrandom::fill(&mut nonce).map_err(|error| MapError::Io(error.to_string()))?;
    Ok(nonce)
}

fn seconds(lifetime: Duration) -> u32 {
    u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
