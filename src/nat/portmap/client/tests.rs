//! The mapper against gateways on loopback: good ones, silent ones, mad ones.

use super::*;
use std::net::UdpSocket as StdSocket;
use tokio::net::TcpListener;

/// Loopback addresses are many: each test's gateway has its own, so that they can all listen on the one port.
fn gateway(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 53, 51, last)
}

/// Answers each datagram by these; ends with the test.
fn serve(at: Ipv4Addr, answers: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) {
    let socket = StdSocket::bind((at, PORT)).unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            for answer in answers(&buffer[..length]) {
                let _ = socket.send_to(&answer, from);
            }
        }
    });
}

fn natpmp_answer(request: &[u8]) -> Vec<u8> {
    if request == [0, 0] {
        return vec![0, 128, 0, 0, 0, 0, 0, 1, 203, 0, 113, 9];
    }
    let mut answer = vec![0, 129, 0, 0, 0, 0, 0, 1];
    answer.extend(&request[4..6]);
    answer.extend([0x20, 0x00]);
    answer.extend(&request[8..12]);
    answer
}

fn pcp_answer(request: &[u8]) -> Vec<u8> {
    let mut answer = request.to_vec();
    answer[1] |= 0x80;
    answer[3] = 0;
    answer[42..44].copy_from_slice(&[0x30, 0x00]);
    answer[44..60].copy_from_slice(&Ipv4Addr::new(203, 0, 113, 9).to_ipv6_mapped().octets());
    answer
}

const LIFETIME: Duration = Duration::from_secs(120);

#[tokio::test]
async fn a_port_is_mapped_renewed_and_taken_back_by_either_protocol() {
    serve(gateway(1), |request| {
        vec![if request[0] == 2 { pcp_answer(request) } else { natpmp_answer(request) }]
    });
    let mapper = PortMapper::new(Ipv4Addr::LOCALHOST, Some(gateway(1)));
    for (protocol, port) in [(Protocol::Pcp, 0x3000), (Protocol::NatPmp, 0x2000)] {
        let mapped = mapper.map_by(protocol, 5000, LIFETIME).await.unwrap();
        assert_eq!(mapped.external, SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, 9), port));
        assert_eq!((mapped.protocol, mapped.internal_port, mapped.lifetime), (protocol, 5000, LIFETIME));
        let renewed = mapper.renew(&mapped).await.unwrap();
        assert_eq!(renewed, mapped);
        assert_eq!(mapper.delete(&renewed).await, Ok(()));
    }
}

#[tokio::test]
async fn an_old_gateway_is_asked_in_its_own_way() {
    serve(gateway(2), |request| match request {
        [2, ..] => vec![vec![0, 0x81, 0, 1, 0, 0, 0, 1]],
        _ => vec![natpmp_answer(request)],
    });
    let mapper = PortMapper::new(Ipv4Addr::LOCALHOST, Some(gateway(2)));
    let refused = mapper.map_by(Protocol::Pcp, 5000, LIFETIME).await;
    assert!(matches!(refused, Err(MapError::Refused(_))), "{refused:?}");
    assert_eq!(mapper.map(5000, LIFETIME).await.unwrap().protocol, Protocol::NatPmp);
}

#[tokio::test]
async fn noise_and_answers_to_others_are_passed_over() {
    serve(gateway(3), |request| {
        let mut answers = vec![vec![0xFF; 1100], vec![], vec![2]];
        let mut other = pcp_answer(request);
        other[24] ^= 1;
        answers.push(other);
        answers.extend(std::iter::repeat_n(vec![2, 0x81], 200));
        answers.push(pcp_answer(request));
        answers
    });
    let mapper = PortMapper::new(Ipv4Addr::LOCALHOST, Some(gateway(3)));
    assert!(mapper.map_by(Protocol::Pcp, 5000, LIFETIME).await.is_ok());
}

#[tokio::test]
async fn a_gateway_that_is_not_there_or_says_nothing_is_silent() {
    serve(gateway(4), |_| Vec::new());
    for gateway in [None, Some(gateway(4)), Some(gateway(5))] {
        let mapper = PortMapper::new(Ipv4Addr::LOCALHOST, gateway);
        for protocol in [Protocol::Pcp, Protocol::NatPmp] {
            let mapped = mapper.map_by(protocol, 5000, LIFETIME).await;
            assert_eq!(mapped, Err(MapError::Silent), "{gateway:?}");
        }
    }
}

/// A gateway's web server that answers everything by this.
async fn web(answer: Vec<u8>) -> (Ipv4Addr, u16, String) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(&answer).await;
                // And keeps the line open.
                std::future::pending::<()>().await;
            });
        }
    });
    (Ipv4Addr::LOCALHOST, port, "/".to_owned())
}

#[tokio::test]
async fn a_megabyte_of_description_ends_in_an_error() {
    let mut endless = b"HTTP/1.1 200 OK\r\n\r\n<root>".to_vec();
    endless.resize(1 << 20, b'<');
    for answer in [endless, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}".to_vec(), vec![0xFF; 200_000]] {
        assert_eq!(describe(&web(answer).await).await, Err(MapError::Nonsense));
    }
}

#[tokio::test]
async fn a_gateway_is_asked_by_upnp() {
    let body = "<s:Envelope><NewExternalIPAddress>203.0.113.9</NewExternalIPAddress></s:Envelope>";
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let (host, port, _) = web(answer.into_bytes()).await;
    let described = "<service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType>\
                     <controlURL>/ctl</controlURL></service>";
    let service = upnp::read_description(described, host, port).unwrap();
    let mapper = PortMapper::new(Ipv4Addr::LOCALHOST, None);
    let mapped = mapper.upnp(service, 5000, 120).await.unwrap();
    assert_eq!(mapped.external, SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, 9), 5000));
    assert_eq!(mapper.renew(&mapped).await.unwrap(), mapped);
    assert_eq!(mapper.delete(&mapped).await, Ok(()));
}
