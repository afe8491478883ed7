//! UPnP-IGD, pure: the search for a gateway, its description, and what is asked of it. A description may only lead
//! back to the address that it came from.

use super::{MapError, http, xml};
use std::net::Ipv4Addr;

/// Where gateways are looked for (UPnP Device Architecture 1.1 §1.3.2).
pub(super) const SEARCH_ADDRESS: (Ipv4Addr, u16) = (Ipv4Addr::new(239, 255, 255, 250), 1900);
/// Gateways and services that are looked for.
const TARGETS: [&str; 3] = [
    "urn:schemas-upnp-org:device:InternetGatewayDevice:1",
    "urn:schemas-upnp-org:device:InternetGatewayDevice:2",
    "urn:schemas-upnp-org:service:WANIPConnection:1",
];
/// What the gateway shows as the mapping's name.
const DESCRIPTION: &str = "p2pcall";
/// UPnP WANIPConnection:1 §2.4.16: a gateway that only gives mappings without an end.
const ONLY_PERMANENT: u16 = 725;

/// The service that maps ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Service {
    /// The gateway.
    pub(super) host: Ipv4Addr,
    /// Its port.
    pub(super) port: u16,
    /// Where the service is asked.
    path: String,
    /// Its type and version.
    kind: String,
}

/// The searches to send.
pub(super) fn searches() -> impl Iterator<Item = String> {
    TARGETS.iter().map(|target| {
        format!(
            "M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\nST: {target}\r\n\r\n"
        )
    })
}

/// Port and path of the description in the answer to a search, if it lies where the answer came from.
pub(super) fn read_search(bytes: &[u8], from: Ipv4Addr) -> Option<(u16, String)> {
    let head = String::from_utf8_lossy(bytes);
    if !head.starts_with("HTTP/1.1 200") {
        return None;
    }
    let (host, port, path) = http::split_url(http::header(&head, "location")?)?;
    (host.parse() == Ok(from)).then(|| (port, path.to_owned()))
}

/// The service in a gateway's description.
pub(super) fn read_description(body: &str, host: Ipv4Addr, port: u16) -> Option<Service> {
    let mut services: Vec<(String, String)> = xml::elements(body, "service")
        .filter_map(|one| Some((xml::text(one, "serviceType")?, xml::text(one, "controlURL")?)))
        .filter(|(kind, _)| is_mapping(kind))
        .collect();
    // IP before PPP, new before old.
    services.sort_by(|one, other| (is_ppp(&one.0), &other.0).cmp(&(is_ppp(&other.0), &one.0)));
    let (kind, control) = services.into_iter().next()?;
    let (port, path) = match http::split_url(&control) {
        Some((place, port, path)) if place.parse() == Ok(host) => (port, path.to_owned()),
        Some(_) => return None,
        None => (port, format!("/{}", control.trim_start_matches('/'))),
    };
    path.chars().all(|c| c.is_ascii_graphic()).then_some(Service { host, port, path, kind })
}

fn is_mapping(kind: &str) -> bool {
    let known =
        ["urn:schemas-upnp-org:service:WANIPConnection:", "urn:schemas-upnp-org:service:WANPPPConnection:"];
    known.iter().any(|known| {
        kind.strip_prefix(known)
            .is_some_and(|version| !version.is_empty() && version.chars().all(|c| c.is_ascii_digit()))
    })
}

fn is_ppp(kind: &str) -> bool {
    kind.contains("PPP")
}

impl Service {
    /// Asks for the outer address.
    pub(super) fn external(&self) -> String {
        self.call("GetExternalIPAddress", "")
    }

    /// Maps a UDP port of the gateway to one of ours; 0 seconds: for good.
    pub(super) fn map(&self, client: Ipv4Addr, internal: u16, external: u16, seconds: u32) -> String {
        let arguments = format!(
            "<NewRemoteHost></NewRemoteHost><NewExternalPort>{external}</NewExternalPort>\
             <NewProtocol>UDP</NewProtocol><NewInternalPort>{internal}</NewInternalPort>\
             <NewInternalClient>{client}</NewInternalClient><NewEnabled>1</NewEnabled>\
             <NewPortMappingDescription>{DESCRIPTION}</NewPortMappingDescription>\
             <NewLeaseDuration>{seconds}</NewLeaseDuration>"
        );
        self.call("AddPortMapping", &arguments)
    }

    /// Ends a mapping.
    pub(super) fn delete(&self, external: u16) -> String {
        let arguments = format!(
            "<NewRemoteHost></NewRemoteHost><NewExternalPort>{external}</NewExternalPort><NewProtocol>UDP</NewProtocol>"
        );
        self.call("DeletePortMapping", &arguments)
    }

    fn call(&self, action: &str, arguments: &str) -> String {
        let body = format!(
            "<?xml version=\"1.0\"?><s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" \
             s:encodingStyle=\"http://schemas.xmlsoap.org/soap/encoding/\"><s:Body><u:{action} xmlns:u=\"{kind}\">\
             {arguments}</u:{action}></s:Body></s:Envelope>",
            kind = self.kind,
        );
        let host = format!("{}:{}", self.host, self.port);
        http::post(&host, &self.path, &format!("{}#{action}", self.kind), &body)
    }
}

/// An answer that only says whether it was done. `Ok(false)`: only mappings without an end are given.
pub(super) fn read_done(response: &http::Response) -> Result<bool, MapError> {
    if response.status == 200 {
        return Ok(true);
    }
    let code = xml::text(&response.body, "errorCode").and_then(|code| code.parse::<u16>().ok());
    match code {
        Some(ONLY_PERMANENT) => Ok(false),
        Some(code) => Err(MapError::Refused(reason(code))),
        None => Err(MapError::Refused(format!("HTTP status {}", response.status))),
    }
}

/// The outer address.
pub(super) fn read_external(response: &http::Response) -> Result<Ipv4Addr, MapError> {
    read_done(response)?;
    let address = xml::text(&response.body, "NewExternalIPAddress").and_then(|text| text.parse().ok());
    address.ok_or(MapError::Nonsense)
}

fn reason(code: u16) -> String {
    match code {
        401 | 402 => "the gateway does not understand".to_owned(),
        501 => "the action failed".to_owned(),
        606 => "not allowed".to_owned(),
        718 => "the port is taken".to_owned(),
        other => format!("UPnP error {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    const DESCRIBED: &str = "<root><device><serviceList><service>\
        <serviceType>urn:schemas-upnp-org:service:Layer3Forwarding:1</serviceType><controlURL>/l3</controlURL></service>\
        <service><serviceType>urn:schemas-upnp-org:service:WANPPPConnection:1</serviceType>\
        <controlURL>/ppp</controlURL></service>\
        <service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType>\
        <controlURL>ctl/ip?a=1&amp;b=2</controlURL></service></serviceList></device></root>";

    #[test]
    fn a_gateway_is_found_where_it_answered_from_and_nowhere_else() {
        let answer = "HTTP/1.1 200 OK\r\nST: x\r\nLocation: http://10.0.0.1:5000/d.xml\r\n\r\n";
        assert_eq!(read_search(answer.as_bytes(), GATEWAY), Some((5000, "/d.xml".to_owned())));
        assert_eq!(read_search(answer.as_bytes(), Ipv4Addr::new(10, 0, 0, 9)), None);
        assert_eq!(read_search(b"NOTIFY * HTTP/1.1\r\n\r\n", GATEWAY), None);
    }

    #[test]
    fn the_service_that_maps_ports_is_found() {
        let service = read_description(DESCRIBED, GATEWAY, 5000).unwrap();
        assert_eq!((service.port, service.path.as_str()), (5000, "/ctl/ip?a=1&b=2"));
        assert!(service.kind.ends_with("WANIPConnection:1"));
        let elsewhere = DESCRIBED.replace("ctl/ip?a=1&amp;b=2", "http://192.0.2.9/x");
        assert_eq!(read_description(&elsewhere, GATEWAY, 5000), None);
        let request = service.map(Ipv4Addr::new(10, 0, 0, 2), 5000, 5001, 600);
        assert!(request.contains("<NewExternalPort>5001</NewExternalPort>"), "{request}");
        assert!(request.starts_with("POST /ctl/ip?a=1&b=2 HTTP/1.1\r\nHost: 10.0.0.1:5000\r\n"), "{request}");
    }

    #[test]
    fn what_the_gateway_says_is_understood() {
        let answer = |status, body: &str| http::Response { status, body: body.to_owned() };
        let address = "<a><NewExternalIPAddress> 203.0.113.7 </NewExternalIPAddress></a>";
        assert_eq!(read_external(&answer(200, address)), Ok(Ipv4Addr::new(203, 0, 113, 7)));
        assert_eq!(read_external(&answer(200, "<a/>")), Err(MapError::Nonsense));
        assert_eq!(read_done(&answer(500, "<errorCode>725</errorCode>")), Ok(false));
        assert!(matches!(read_done(&answer(500, "<errorCode>718</errorCode>")), Err(MapError::Refused(_))));
    }

    proptest! {
        #[test]
        fn reading_anything_never_panics(bytes: Vec<u8>, text in "[<>/a-zURL: ]{0,120}") {
            let _ = read_search(&bytes, GATEWAY);
            let _ = read_description(&text, GATEWAY, 1);
        }
    }
}
