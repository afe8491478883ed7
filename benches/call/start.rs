//! How long one waits: from a process's start to its code, and to the call.

use super::end::{End, Trouble};
use super::figure::{Figure, Table};
use super::pair::{Pair, SYNTHETIC};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::time::Duration;

/// Measures and prints.
pub(crate) fn measure(table: &mut Table, runs: u32) -> Result<(), Trouble> {
    let seconds = |what, most| Figure { what, unit: "s", most: Some(most), digits: 3 };
    let alone = times(runs, || to_code(&["--no-servers"]))?;
    table.row(seconds("`offer --no-servers` started to code", 0.5), &alone);

    let silent = Silent::open().map_err(|error| format!("no silent servers: {error}"))?;
    let options = silent.options();
    table.row(
        seconds("`offer` to code, STUN and relay on this machine silent", 3.0),
        &times(runs, || to_code(&options))?,
    );
    // RFC 5737: addresses that nobody has.
    let nowhere = ["--stun", "198.51.100.1:3478", "--relay", "turn:user:password@203.0.113.1"];
    table.row(
        seconds("`offer` to code, STUN and relay at addresses that nobody has", 3.0),
        &times(runs, || to_code(&nowhere))?,
    );

    let mut joined: [Vec<f64>; 3] = Default::default();
    for _ in 0..runs {
        for (all, one) in joined.iter_mut().zip(answer()?) {
            all.push(one.as_secs_f64());
        }
    }
    let rows = [
        ("`answer` started to connected", 0.4),
        ("`answer` started to first remote picture", 0.8),
        ("`answer` started to first remote sound", 0.8),
    ];
    for ((what, most), values) in rows.into_iter().zip(&joined) {
        table.row(seconds(what, most), values);
    }
    Ok(())
}

fn times(runs: u32, run: impl Fn() -> Result<Duration, Trouble>) -> Result<Vec<f64>, Trouble> {
    (0..runs).map(|_| run().map(|time| time.as_secs_f64())).collect()
}

fn to_code(options: &[impl AsRef<str>]) -> Result<Duration, Trouble> {
    let args: Vec<&str> = std::iter::once("offer").chain(options.iter().map(AsRef::as_ref)).collect();
    let mut end = End::start(&args)?;
    let (at, _) = end.code()?;
    end.hang_up()?;
    Ok(at)
}

/// From the answerer's start: connected, first picture, first sound.
fn answer() -> Result<[Duration; 3], Trouble> {
    let mut pair = Pair::start(&SYNTHETIC)?;
    let answerer = &mut pair.answerer;
    let times = [answerer.connected()?, answerer.first("video")?, answerer.first("audio")?];
    pair.hang_up()?;
    Ok(times)
}

/// Ports on loopback that take everything and say nothing.
struct Silent {
    udp: UdpSocket,
    tcp: TcpListener,
}

impl Silent {
    fn open() -> std::io::Result<Self> {
        Ok(Self {
            udp: UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?,
            tcp: TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?,
        })
    }

    fn options(&self) -> Vec<String> {
        let port = |address: std::io::Result<std::net::SocketAddr>| address.map_or(9, |a| a.port());
        let (udp, tcp) = (port(self.udp.local_addr()), port(self.tcp.local_addr()));
        let relay = |port, transport| format!("turn:user:password@127.0.0.1:{port}?transport={transport}");
        let options = ["--bind", "127.0.0.1", "--stun", &format!("127.0.0.1:{udp}"), "--relay"];
        let mut options: Vec<String> = options.map(str::to_owned).into();
        options.extend([relay(udp, "udp"), "--relay".to_owned(), relay(tcp, "tcp")]);
        options
    }
}
