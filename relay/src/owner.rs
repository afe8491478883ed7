//! What the owner is told: links, the line that says ready, what the firewall must let in. Pure.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::ops::RangeInclusive;

use crate::link::{Link, Login, Transport};

/// Where the relay can be reached, as seen from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reach {
    /// UDP.
    pub(crate) udp: Option<SocketAddr>,
    /// TCP.
    pub(crate) tcp: Option<SocketAddr>,
    /// TLS.
    pub(crate) tls: Option<SocketAddr>,
}

impl Reach {
    /// The line that says that the relay serves.
    pub(crate) fn ready(&self) -> String {
        let mut line = "ready".to_owned();
        let pairs: &[(&str, Option<SocketAddr>)] = match (self.udp, self.tcp) {
            (Some(udp), Some(tcp)) if udp == tcp => &[("udp+tcp", Some(udp))],
            (udp, tcp) => &[("udp", udp), ("tcp", tcp)],
        };
        for (name, address) in pairs.iter().chain(&[("tls", self.tls)]) {
            if let Some(address) = address {
                // Writing to a string cannot fail.
                let _ = write!(line, " {name} {address}");
            }
        }
        line
    }

    /// One link for UDP and TCP, one for TLS.
    pub(crate) fn links(&self, login: &Login, pin: Option<[u8; 32]>) -> Vec<Link> {
        let link = |address: SocketAddr, tls: bool| Link {
            host: address.ip().to_string(),
            port: address.port(),
            transport: tls.then_some(Transport::Tls),
            login: login.clone(),
            pin: pin.filter(|_| tls),
        };
        let plain = self.udp.or(self.tcp).map(|address| link(address, false));
        plain.into_iter().chain(self.tls.map(|address| link(address, true))).collect()
    }

    /// What the firewall must let in.
    pub(crate) fn firewall(&self, relayed: Option<&RangeInclusive<u16>>) -> String {
        let ports = [("UDP", self.udp), ("TCP", self.tcp), ("TCP", self.tls)];
        let ports: Vec<_> = ports
            .iter()
            .filter_map(|(name, address)| Some(format!("{name} {}", (*address)?.port())))
            .collect();
        let mut text = format!("The firewall must let in: {}.", ports.join(", "));
        if let Some(relayed) = relayed {
            let (first, last) = (relayed.start(), relayed.end());
            let _ = write!(
                text,
                "\nFor calls with people who are not on this relay also: UDP {first}-{last}. \
                 Two people on this relay do without."
            );
        }
        text
    }
}

/// A link as a QR code for a terminal: black on white whatever the theme, half a row a cell.
pub(crate) fn qr(text: &str) -> Option<String> {
    let code = qrcode::QrCode::with_error_correction_level(text, qrcode::EcLevel::L).ok()?;
    let (width, colors) = (code.width(), code.to_colors());
    let dark = |x: usize, y: usize| {
        // A quiet zone of two modules on each side.
        let (x, y) = (x.checked_sub(2).filter(|&x| x < width), y.checked_sub(2).filter(|&y| y < width));
        let module = x.zip(y).and_then(|(x, y)| colors.get(y * width + x));
        module == Some(&qrcode::Color::Dark)
    };
    let mut out = String::new();
    for y in (0..width + 4).step_by(2) {
        out.push_str("\x1b[30;107m");
        for x in 0..width + 4 {
            out.push(match (dark(x, y), dark(x, y + 1)) {
                (false, false) => ' ',
                (true, false) => '▀',
                (false, true) => '▄',
                (true, true) => '█',
            });
        }
        out.push_str("\x1b[0m\n");
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(udp: &str, tcp: &str, tls: &str) -> Reach {
        Reach { udp: udp.parse().ok(), tcp: tcp.parse().ok(), tls: tls.parse().ok() }
    }

    #[test]
    fn the_ready_line_names_what_serves() {
        let both = "203.0.113.10:3478";
        for (reach, line) in [
            (reach(both, both, ""), "ready udp+tcp 203.0.113.10:3478"),
            (reach(both, "", ""), "ready udp 203.0.113.10:3478"),
            (reach("", both, "203.0.113.10:443"), "ready tcp 203.0.113.10:3478 tls 203.0.113.10:443"),
        ] {
            assert_eq!(reach.ready(), line);
        }
    }

    #[test]
    fn links_carry_the_login_and_only_tls_the_pin() {
        let links =
            reach("[2001:db8::1]:3478", "", "192.0.2.1:443").links(&Login::Secret("s".into()), Some([0; 32]));
        let links: Vec<_> = links.iter().map(Link::with_secrets).collect();
        let pin = "A".repeat(43);
        let tls = format!("turns:192.0.2.1:443?secret=s&pin={pin}");
        assert_eq!(links, ["turn:[2001:db8::1]:3478?secret=s".to_owned(), tls]);
    }

    #[test]
    fn the_firewall_is_told_what_is_needed() {
        let text =
            reach("192.0.2.1:3478", "192.0.2.1:3478", "192.0.2.1:443").firewall(Some(&(49_152..=65_535)));
        assert!(text.contains("UDP 3478, TCP 3478, TCP 443.") && text.contains("UDP 49152-65535"));
    }

    #[test]
    fn a_qr_has_both_colours_on_every_row() {
        let code = qr("turn:203.0.113.10:3478?secret=abcdefghijklmnopqrstuvwx").unwrap();
        assert!(code.lines().all(|row| row.starts_with("\x1b[30;107m") && row.ends_with("\x1b[0m")));
    }
}
