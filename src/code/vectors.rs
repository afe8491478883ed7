//! The test vectors beside this file, against the code. They were made by a second implementation, in another language.

use serde::Deserialize;
use serde_json::{Value, from_value};

use super::facts::{AddressKind, DnsName, Fingerprint, Host, Item, Offer, Reply, Secret, Server};
use super::keys::Role;
use super::network::Shown;
use super::words::{SafetyInput, commit, safety_words};
use super::*;

const VECTORS: &str = include_str!("vectors.json");
const FORMAT: &str = include_str!("README.md");

fn vectors() -> Value {
    serde_json::from_str(VECTORS).unwrap()
}

fn hex(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn array<const N: usize>(value: &Value) -> [u8; N] {
    hex(value).try_into().unwrap()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

#[derive(Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "as in the item of the format")]
struct ServerFields {
    udp: bool,
    tcp: bool,
    tls: Option<u16>,
    doorbell: bool,
    guest: bool,
}

fn item(value: &Value) -> Item {
    let name = value["host"].as_str().unwrap();
    let host =
        name.parse::<std::net::IpAddr>().map_or_else(|_| Host::Name(DnsName::new(name).unwrap()), Host::from);
    let port = from_value(value["port"].clone()).unwrap();
    let kind = match value["type"].as_str().unwrap() {
        "host" => AddressKind::Host,
        "srflx" => AddressKind::Srflx,
        "relay" => AddressKind::Relay,
        _ => {
            let ServerFields { udp, tcp, tls, doorbell, guest } = from_value(value.clone()).unwrap();
            let pin = (!value["pin"].is_null()).then(|| array(&value["pin"]));
            return Item::Server(Server { host, port, udp, tcp, tls, doorbell, guest, pin });
        }
    };
    Item::Address { kind, host, port }
}

fn items(value: &Value) -> Vec<Item> {
    value["items"].as_array().unwrap().iter().map(item).collect()
}

fn offer(value: &Value) -> Offer {
    let fingerprint = &value["fingerprint"];
    Offer {
        fingerprint: match hex(fingerprint).len() {
            16 => Fingerprint::Half(array(fingerprint)),
            _ => Fingerprint::Full(array(fingerprint)),
        },
        secret: Secret(array(&value["secret"])),
        expiry: expiry::Expiry::from_bits(from_value(value["expiry"].clone()).unwrap()),
        network: network::NetworkSummary::from_bits(from_value(value["network"].clone()).unwrap()),
        wants_video: value["wants_video"].as_bool().unwrap(),
        open_relay: value["open_relay"].as_bool().unwrap(),
        items: items(value),
    }
}

fn named(name: &Value) -> OfferCode {
    let all = vectors();
    let value = all["offers"].as_array().unwrap().iter().find(|offer| offer["name"] == *name).unwrap();
    OfferCode::new(offer(value)).unwrap()
}

#[test]
fn offers() {
    for value in vectors()["offers"].as_array().unwrap() {
        let name = &value["name"];
        let code = OfferCode::new(offer(value)).unwrap();
        assert_eq!(code.bytes(), hex(&value["bytes"]), "{name}");
        assert_eq!(code.text(), text(&value["text"]), "{name}");
        assert_eq!(paste::read(&code.text()), Ok(Pasted::Offer(code.clone())), "{name}");

        let (keys, expected) = (code.keys(), &value["keys"]);
        for (label, derived) in [
            ("o-ufrag", &keys.offer_ice.ufrag),
            ("o-pwd", &keys.offer_ice.pwd),
            ("a-ufrag", &keys.answer_ice.ufrag),
            ("a-pwd", &keys.answer_ice.pwd),
            ("guest-user", &keys.guest_user),
            ("guest-key", &keys.guest_key),
        ] {
            assert_eq!(*derived, text(&expected[label]), "{name}: {label}");
        }
        for (label, derived) in [("auth", keys.auth), ("reply", keys.reply), ("sas", keys.sas)] {
            assert_eq!(derived.0, array(&expected[label]), "{name}: {label}");
        }
    }
}

#[test]
fn replies() {
    for value in vectors()["replies"].as_array().unwrap() {
        let offer = named(&value["offer"]);
        let wants_video = value["wants_video"].as_bool().unwrap();
        let shown = value["shown"].as_u64().map_or(Shown::Unknown, |bits| Shown::of_bits(bits as u8));
        let reply = Reply { wants_video, shown, items: items(value) };
        let code = ReplyCode::new(reply, &offer.keys()).unwrap();
        assert_eq!(code.bytes(), hex(&value["bytes"]));
        assert_eq!(code.text(), text(&value["text"]));
        assert_eq!(paste::read_reply(&code.text(), &offer, &offer.keys()), Ok(code));
    }
}

#[test]
fn authentication() {
    let value = &vectors()["authentication"];
    let keys = named(&value["offer"]).keys();
    let (offerer, answerer) = (array(&value["offerer_hash"]), array(&value["answerer_hash"]));
    for (role, name) in [(Role::Offerer, "offerer"), (Role::Answerer, "answerer")] {
        assert_eq!(keys.auth_mac(role, &offerer, &answerer), array(&value[name]), "{name}");
    }
}

#[test]
fn words_to_compare() {
    let value = &vectors()["safety_words"];
    let offerer_nonce = array(&value["offerer_nonce"]);
    let words = safety_words(&SafetyInput {
        offerer_nonce: &offerer_nonce,
        answerer_nonce: &array(&value["answerer_nonce"]),
        offerer_hash: &array(&value["offerer_hash"]),
        answerer_hash: &array(&value["answerer_hash"]),
        sas: &named(&value["offer"]).keys().sas,
    });
    assert_eq!(commit(&offerer_nonce), array(&value["commitment"]));
    assert_eq!(words.to_vec(), from_value::<Vec<String>>(value["words"].clone()).unwrap());
}

/// Bytes and characters; the QR version is the terminal's table.
#[test]
fn sizes_are_those_of_the_design() {
    for (name, bytes, characters, version) in [
        ("LAN, 1 host", 44, 74, 3),
        ("host, srflx, relay", 56, 93, 4),
        ("typical", 60, 99, 4),
        ("typical, full fingerprint", 76, 125, 5),
        ("six addresses, IPv4 and IPv6, full fingerprint", 102, 167, 6),
    ] {
        let code = named(&Value::from(name));
        let qr = qr::Qr::new(&code.text()).unwrap();
        assert_eq!(
            (code.bytes().len(), code.text().len(), qr.version()),
            (bytes, characters, version),
            "{name}"
        );
    }
    let reply = &vectors()["replies"][0];
    assert_eq!((hex(&reply["bytes"]).len(), text(&reply["text"]).replace('-', "").len()), (10, 16));
}

#[test]
fn what_the_format_document_shows_is_a_vector() {
    let (typical, reply) = (named(&Value::from("typical")), &vectors()["replies"][0]);
    for shown in [typical.text(), text(&reply["text"]), typical.keys().offer_ice.pwd] {
        assert!(FORMAT.contains(&shown), "{shown}");
    }
}
