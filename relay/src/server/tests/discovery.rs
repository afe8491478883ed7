//! Binding and NAT behavior discovery.

use super::*;

fn bind(lab: &mut Lab, at: u16, fill: impl FnOnce(Builder<'_>) -> Builder<'_>) -> (Client, Answer) {
    let client = Client { address: address("198.51.100.1:5"), via: Via::Udp(at) };
    let packet = build(Method::BINDING, TransactionId([1; 12]), Seal::NONE, fill);
    match lab.input(0, client, &packet) {
        Output::Reply { to, bytes } => (to, Answer(bytes)),
        other => panic!("{other:?}"),
    }
}

/// Four listeners: two addresses, two ports.
fn square() -> Lab {
    lab_with(|settings| {
        let listener = |text: &str, other_port, other_address, other_both| Listener {
            local: address(text),
            external: address(text),
            other_port: Some(other_port),
            other_address: Some(other_address),
            other_both: Some(other_both),
            optional: false,
        };
        settings.listeners = vec![
            listener("203.0.113.5:3478", 1, 2, 3),
            listener("203.0.113.5:3479", 0, 3, 2),
            listener("203.0.113.6:3478", 3, 0, 1),
            listener("203.0.113.6:3479", 2, 1, 0),
        ];
    })
}

#[test]
fn a_bare_binding_costs_32_bytes() {
    let (to, answer) = bind(&mut lab(), 0, |b| b);
    assert_eq!(answer.0.len(), 32);
    assert_eq!(answer.message().get(attr::XOR_MAPPED_ADDRESS), Some(to.address));
}

#[test]
fn a_change_request_is_answered_from_where_it_asks() {
    let mut lab = square();
    for (change, from) in
        [(0, 0), (attr::CHANGE_PORT, 1), (attr::CHANGE_IP, 2), (attr::CHANGE_IP | attr::CHANGE_PORT, 3)]
    {
        let (to, answer) = bind(&mut lab, 0, |b| b.put(attr::CHANGE_REQUEST, change));
        assert_eq!(to.via, Via::Udp(from));
        let origin = ["203.0.113.5:3478", "203.0.113.5:3479", "203.0.113.6:3478", "203.0.113.6:3479"]
            [usize::from(from)];
        assert_eq!(answer.message().get(attr::RESPONSE_ORIGIN), Some(address(origin)));
        assert_eq!(answer.message().get(attr::OTHER_ADDRESS), Some(address("203.0.113.6:3479")));
    }
}

#[test]
fn with_one_address_the_port_changes_and_the_address_is_420() {
    let mut lab = lab_with(|settings| {
        settings.listeners.push(Listener::plain(address("10.0.0.5:3479"), address("203.0.113.5:3479")));
        settings.listeners[0].other_port = Some(1);
    });
    assert_eq!(bind(&mut lab, 0, |b| b.put(attr::CHANGE_REQUEST, attr::CHANGE_PORT)).0.via, Via::Udp(1));
    let (_, answer) = bind(&mut lab, 0, |b| b.put(attr::CHANGE_REQUEST, attr::CHANGE_IP));
    assert_eq!((answer.error(), answer.message().get(attr::UNKNOWN_ATTRIBUTES)), (420, Some(&[[0, 3]][..])));
    assert_eq!(bind(&mut lab, 0, |b| b).1.0.len(), 32, "still short for those who do not ask");
}

#[test]
fn an_answer_can_go_to_another_port_but_not_with_padding() {
    let mut lab = square();
    let (to, answer) = bind(&mut lab, 0, |b| b.put(attr::RESPONSE_PORT, 777));
    assert_eq!(to.address, address("198.51.100.1:777"));
    assert_eq!(answer.message().get(attr::XOR_MAPPED_ADDRESS), Some(address("198.51.100.1:5")));
    let (_, answer) = bind(&mut lab, 0, |b| b.put(attr::PADDING, &[0; 900]));
    assert_eq!(answer.message().get(attr::PADDING).map(<[u8]>::len), Some(900));
    let (_, answer) = bind(&mut lab, 0, |b| b.put(attr::PADDING, &[0; 900]).put(attr::RESPONSE_PORT, 777));
    assert_eq!(answer.error(), 400);
}

#[test]
fn what_is_no_request_is_not_answered() {
    let mut lab = lab();
    for class in [Class::Indication, Class::Success, Class::Error] {
        let mut buffer = [0; 64];
        let packet = Builder::new(&mut buffer, class, Method::BINDING, TransactionId([1; 12]))
            .finish(Seal::NONE)
            .unwrap();
        assert!(matches!(lab.input(0, udp("198.51.100.1:5"), packet), Output::Nothing));
    }
    let mut wrong = build(Method::BINDING, TransactionId([1; 12]), Seal::NONE.with_fingerprint(), |b| b);
    wrong[27] ^= 1;
    assert!(matches!(lab.input(0, udp("198.51.100.1:5"), &wrong), Output::Nothing));
    let unknown = build(Method::new(0xABC), TransactionId([1; 12]), Seal::NONE, |b| b);
    assert!(matches!(lab.input(0, udp("198.51.100.1:5"), &unknown), Output::Nothing));
}
