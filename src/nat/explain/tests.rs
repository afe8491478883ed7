//! What was seen, and what is said of it: a table.

use super::*;
use crate::call::event::Protocol;

/// A pair by its two addresses, the kind of the friend's, and how often was sent, answered and heard.
fn pair(kinds: (PathKind, PathKind), counts: (u32, u32, u32)) -> Pair {
    let (sent, answered, heard) = counts;
    let at = |kind: PathKind, private: &str, public: &str| {
        let text = match kind {
            PathKind::Host => private,
            PathKind::Srflx => public,
            PathKind::Prflx => "203.0.113.9:61234",
            PathKind::Relay => "198.51.100.4:50000",
        };
        text.parse().unwrap()
    };
    Pair {
        local: at(kinds.0, "192.168.1.5:4000", "203.0.113.5:4000"),
        local_kind: kinds.0,
        protocol: Protocol::Udp,
        remote: at(kinds.1, "192.168.7.9:5000", "203.0.113.9:5000"),
        remote_kind: kinds.1,
        sent,
        answered,
        heard,
        refused: false,
        forbidden: false,
    }
}

const HOST: PathKind = PathKind::Host;
const SRFLX: PathKind = PathKind::Srflx;
const RELAY: PathKind = PathKind::Relay;

fn nat(mapping: Mapping, filtering: Filtering) -> NetworkSummary {
    NetworkSummary { mapping, filtering, udp: Udp::Open, ..NetworkSummary::default() }
}

fn easy() -> NetworkSummary {
    nat(Mapping::EndpointIndependent, Filtering::Unknown)
}

fn hard() -> NetworkSummary {
    nat(Mapping::Dependent, Filtering::Unknown)
}

/// An answerer of a code whose checks nobody answered.
fn unanswered(ours: NetworkSummary, theirs: NetworkSummary) -> Attempt {
    let meeting = Meeting { ours, theirs, same_address: Some(false), ..Meeting::default() };
    let pairs = vec![pair((HOST, SRFLX), (14, 0, 0))];
    Attempt { meeting, pairs, reply: Reply::Shown, ..Attempt::default() }
}

/// The same at the offerer, whom the reply was given.
fn entered(ours: NetworkSummary, theirs: NetworkSummary, outside: bool) -> Attempt {
    Attempt { we_offer: true, reply: Reply::Entered { outside }, ..unanswered(ours, theirs) }
}

fn with(change: impl FnOnce(&mut Attempt)) -> Attempt {
    let mut attempt = unanswered(easy(), easy());
    change(&mut attempt);
    attempt
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn the_likely_cause_and_one_next_command() {
    let blocked = NetworkSummary { udp: Udp::Blocked, ..NetworkSummary::default() };
    let unknown = NetworkSummary::default();
    let trouble = "The relay r.example refused the password.";
    let relay = "p2pcall relay add LINK";
    let (offer, answer) = ("p2pcall offer", "p2pcall answer CODE");
    let table: Vec<(&str, Attempt, &str, &str)> = vec![
        (
            "both hide their ports",
            unanswered(hard(), hard()),
            "Both networks show every friend another port",
            relay,
        ),
        ("the same, told by the reply", entered(hard(), hard(), true), "Both networks", relay),
        ("one hides them", unanswered(hard(), easy()), "This network shows every friend another port", relay),
        (
            "the other one does",
            entered(easy(), hard(), true),
            "The friend's network shows every friend",
            relay,
        ),
        (
            "nobody there",
            unanswered(easy(), easy()),
            "`p2pcall offer` has ended, the reply was not entered",
            offer,
        ),
        ("no reply yet", with(|a| a.reply = Reply::None), "Nobody answers there", offer),
        (
            "nobody answers any more",
            entered(easy(), easy(), true),
            "likely `p2pcall answer` has ended",
            answer,
        ),
        ("nothing is known", unanswered(unknown, unknown), "a firewall drops the packets", offer),
        ("the port is closed", with(|a| a.pairs[0].refused = true), "203.0.113.9:5000 refuses", offer),
        (
            "a port in the own network is closed",
            with(|a| {
                (a.meeting.same_lan, a.meeting.same_address) = (true, Some(true));
                a.pairs = vec![Pair { refused: true, ..pair((HOST, HOST), (14, 0, 0)) }];
            }),
            "192.168.7.9:5000 refuses",
            offer,
        ),
        (
            "a port of this machine is closed",
            with(|a| {
                (a.meeting.same_lan, a.meeting.same_address) = (true, Some(true));
                let remote = "192.168.1.5:5000".parse().unwrap();
                a.pairs = vec![Pair { remote, refused: true, ..pair((HOST, HOST), (14, 0, 0)) }];
            }),
            "Nobody answers there, though",
            offer,
        ),
        (
            "a port in a network that only looks the same is closed",
            Attempt {
                pairs: vec![Pair { refused: true, ..pair((HOST, HOST), (14, 0, 0)) }],
                meeting: Meeting { ours: easy(), same_lan: true, ..Meeting::default() },
                ..entered(easy(), unknown, false)
            },
            "no UDP leaves your friend's",
            relay,
        ),
        (
            "a guess that missed",
            unanswered(easy(), NetworkSummary { ports: Ports::Sequential, ..hard() }),
            "No guess was right, as it seems. Likely that leaves no direct path.",
            relay,
        ),
        (
            "a port of somebody else with that address is closed",
            with(|a| a.pairs = vec![Pair { refused: true, ..pair((HOST, HOST), (14, 0, 0)) }]),
            "`p2pcall offer` has ended, the reply was not entered",
            offer,
        ),
        (
            "servers silent",
            with(|a| a.servers_silent = true),
            "No UDP leaves this network, as it seems",
            relay,
        ),
        ("UDP blocked here", unanswered(blocked, easy()), "No UDP leaves this network", relay),
        ("UDP blocked there", unanswered(easy(), blocked), "No UDP leaves your friend's network", relay),
        (
            "a reply of their own network",
            entered(easy(), unknown, false),
            "no UDP leaves your friend's",
            relay,
        ),
        ("they reach us only", with(|a| a.pairs[0].heard = 5), "in one direction only", relay),
        ("a path fell silent", with(|a| a.pairs[0].answered = 3), "then it fell silent", "p2pcall diagnose"),
        ("the relay knows no code", with(|a| a.code_unknown = true), "relay does not know this code", offer),
        (
            "a relay that refuses",
            Attempt { relay_trouble: Some(trouble.to_owned()), ..unanswered(hard(), hard()) },
            "leaves no direct path. The relay r.example refused the password.",
            "p2pcall relay check",
        ),
        (
            "through a relay as well",
            Attempt { pairs: vec![pair((RELAY, RELAY), (9, 0, 0))], ..unanswered(hard(), hard()) },
            "Nobody answers there, not even through the relay",
            offer,
        ),
        (
            "a relay that lets nothing through",
            Attempt {
                pairs: vec![Pair { forbidden: true, ..pair((RELAY, SRFLX), (9, 0, 0)) }],
                ..unanswered(hard(), hard())
            },
            "Both networks",
            relay,
        ),
    ];
    for (name, attempt, cause, next) in table {
        let verdict = explain(&attempt).unwrap().verdict.unwrap();
        assert!(verdict.cause.contains(cause), "{name}: {}", verdict.cause);
        assert_eq!(verdict.next, next, "{name}: {}", verdict.cause);
        assert!(
            verdict.advice.contains(&format!("`{}`", next.trim_end_matches(" CODE"))),
            "{name}: {verdict:?}"
        );
        let careful =
            ["likely", "Likely", "seems", "the code says"].iter().any(|word| verdict.cause.contains(word));
        assert!(careful, "{name}: surer than the facts: {}", verdict.cause);
        assert!(verdict.cause.len() < 300, "{name}: {}", verdict.cause.len());
    }
}

#[test]
fn a_pair_is_a_line() {
    let refused = Pair { refused: true, ..pair((HOST, HOST), (1, 0, 0)) };
    let forbidden = Pair { forbidden: true, ..pair((RELAY, HOST), (1, 0, 0)) };
    for (pair, line) in [
        (
            pair((HOST, SRFLX), (14, 0, 0)),
            "your 192.168.1.5:4000 -> their public 203.0.113.9:5000: 14 checks sent, none answered",
        ),
        (
            pair((HOST, HOST), (2, 1, 0)),
            "your 192.168.1.5:4000 -> their 192.168.7.9:5000: 2 checks sent, 1 answered",
        ),
        (
            pair((RELAY, RELAY), (2, 0, 3)),
            "your relayed 198.51.100.4:50000 -> their relayed 198.51.100.4:50000: 2 checks sent, none answered, though \
             3 came from there",
        ),
        (
            pair((HOST, PathKind::Prflx), (0, 0, 1)),
            "your 192.168.1.5:4000 -> their unforeseen 203.0.113.9:61234: 1 check came from there",
        ),
        (
            refused,
            "your 192.168.1.5:4000 -> their 192.168.7.9:5000: 1 check sent, refused: nobody listens at that port",
        ),
        (
            forbidden,
            "your relayed 198.51.100.4:50000 -> their 192.168.7.9:5000: the relay lets nothing through to there",
        ),
    ] {
        assert_eq!(pair.sentence(), line);
    }
}

#[test]
fn what_each_nat_did_is_said_as_far_as_it_is_known() {
    let nats = |attempt: &Attempt| explain(attempt).map(|said| [said.ours, said.theirs]).unwrap();
    let turns = NetworkSummary { ports: Ports::Sequential, ..hard() };
    let [ours, theirs] = nats(&unanswered(turns, nat(Mapping::None, Filtering::AddressAndPortDependent)));
    assert!(ours.starts_with("Your NAT hides your ports") && ours.contains("the next one in turn"), "{ours}");
    assert_eq!(
        theirs,
        "Their machine has a public address: nothing translates it. It lets in only exact answers."
    );
    let [ours, theirs] = nats(&with(|attempt| {
        attempt.meeting = Meeting::default();
        attempt.servers_silent = true;
    }));
    assert!(ours.contains("likely none leaves your network"), "{ours}");
    assert_eq!(theirs, "What their NAT does was not measured.");
    // What was seen counts for more than what was said.
    let [_, theirs] = nats(&with(|attempt| attempt.pairs.push(pair((HOST, PathKind::Prflx), (3, 0, 2)))));
    assert!(theirs.contains("come from 203.0.113.9:61234 and not from 203.0.113.9:5000"), "{theirs}");
}

#[test]
fn nothing_is_said_of_nothing_and_nothing_concluded_too_early() {
    assert_eq!(explain(&Attempt::default()), None);
    let early = explain(&with(|attempt| attempt.early = true)).unwrap();
    assert_eq!((early.verdict, early.pairs.len()), (None, 1));
}

#[test]
fn the_most_telling_pairs_come_first_and_there_is_an_end_to_them() {
    let mut pairs = vec![pair((HOST, SRFLX), (14, 0, 0)); 40];
    pairs.push(pair((RELAY, RELAY), (1, 1, 0)));
    let said = explain(&Attempt { pairs, ..Attempt::default() }).unwrap();
    assert_eq!((said.pairs.len(), said.pairs[0].answered), (MOST, 1));
    assert_eq!(said.lines().len(), MOST + 2);
}
