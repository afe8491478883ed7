use super::*;
use bytes::Bytes;
use proptest::prelude::*;

const WAIT: Duration = Duration::from_millis(100);

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Picture `n` of a VP8 film, 33 ms each, in `parts` packets; every tenth is a key frame.
fn picture(n: u64, parts: u64, first_sequence: u16) -> Vec<MediaPacket> {
    (0..parts)
        .map(|part| MediaPacket {
            codec: Codec::Vp8,
            sequence: first_sequence.wrapping_add((n * parts + part) as u16),
            timestamp: (n as u32).wrapping_mul(3000).wrapping_sub(9000),
            marker: part + 1 == parts,
            payload: Bytes::from(vec![
                if part == 0 { 0x10 } else { 0 },
                u8::from(!n.is_multiple_of(10)),
                n as u8,
                part as u8,
            ]),
            arrived: ms(n * 33),
        })
        .collect()
}

fn film(pictures: u64) -> Vec<MediaPacket> {
    (0..pictures).flat_map(|n| picture(n, 3, 65_530)).collect()
}

/// Feeds packets at their arrival and then lets time pass; the pictures' numbers and the number of requests.
fn run(packets: impl IntoIterator<Item = MediaPacket>) -> (Vec<u8>, usize, AssembleStats) {
    let mut assembler = Assembler::new(WAIT);
    let (mut units, mut requests, mut now) = (Vec::new(), 0, Duration::ZERO);
    let mut drain = |assembler: &mut Assembler| {
        while let Some(event) = assembler.poll_event() {
            match event {
                AssembleEvent::Unit(unit) => units.push(unit.data[1]),
                AssembleEvent::KeyFrameNeeded => requests += 1,
            }
        }
    };
    for packet in packets {
        now = now.max(packet.arrived);
        assembler.handle_packet(now, packet);
        drain(&mut assembler);
    }
    assembler.handle_timeout(now + WAIT);
    drain(&mut assembler);
    let stats = assembler.stats();
    (units, requests, stats)
}

#[test]
fn a_whole_film_comes_out_in_order_across_both_wraps() {
    let (units, requests, stats) = run(film(30));
    assert_eq!((units, requests), ((0..30).collect(), 0));
    assert_eq!((stats.units, stats.late, stats.missing, stats.dropped), (30, 0, 0, 0));
}

#[test]
fn packets_out_of_order_and_twice_change_nothing() {
    let mut packets = film(20);
    for pair in packets[1..].chunks_mut(4) {
        pair.reverse();
    }
    let doubled = packets.into_iter().flat_map(|packet| [packet.clone(), packet]);
    assert_eq!(run(doubled).0, (0..20).collect::<Vec<_>>());
}

#[test]
fn a_retransmission_in_time_mends_the_gap() {
    let mut packets = film(12);
    let mut lost = packets.remove(7);
    lost.arrived = ms(5 * 33);
    packets.insert(14, lost);
    let (units, requests, _) = run(packets);
    assert_eq!((units, requests), ((0..12).collect(), 0));
}

#[test]
fn a_lost_packet_costs_all_pictures_to_the_next_key_frame_and_one_request() {
    let mut packets = film(14);
    packets.remove(7);
    let (units, requests, stats) = run(packets);
    assert_eq!((units, requests), (vec![0, 1, 10, 11, 12, 13], 1));
    assert_eq!(stats.missing, 1);
}

#[test]
fn a_whole_key_frame_behind_a_gap_is_not_made_to_wait() {
    let mut packets = film(11);
    packets.drain(25..29);
    let mut assembler = Assembler::new(Duration::from_secs(100));
    for packet in packets {
        assembler.handle_packet(packet.arrived, packet);
    }
    let keys = std::iter::from_fn(|| assembler.poll_event())
        .filter(|event| matches!(event, AssembleEvent::Unit(unit) if unit.key))
        .count();
    assert_eq!(keys, 2);
}

#[test]
fn a_stream_joined_in_the_middle_asks_until_its_key_frame_comes() {
    let packets: Vec<_> = film(31)
        .into_iter()
        .skip(3)
        .filter(|packet| packet.payload[1] == 1 || packet.payload[2] == 30)
        .collect();
    let (units, requests, _) = run(packets);
    assert_eq!(units, [30]);
    assert!((2..=3).contains(&requests), "{requests}");
}

#[test]
fn a_decode_error_is_mended_by_a_key_frame_only() {
    let mut assembler = Assembler::new(WAIT);
    for packet in film(3) {
        assembler.handle_packet(packet.arrived, packet);
    }
    while assembler.poll_event().is_some() {}
    assembler.handle_decode_error(ms(100));
    for packet in film(11).split_off(9) {
        assembler.handle_packet(packet.arrived.max(ms(100)), packet);
    }
    let events: Vec<_> = std::iter::from_fn(|| assembler.poll_event()).collect();
    assert!(
        matches!(&events[..], [AssembleEvent::KeyFrameNeeded, AssembleEvent::Unit(unit)] if unit.key),
        "{events:?}"
    );
}

#[test]
fn padding_without_payload_fills_its_place() {
    let mut packets = film(2);
    for packet in &mut packets[3..] {
        packet.sequence = packet.sequence.wrapping_add(2);
    }
    for (n, marker) in [(3u16, false), (4, true)] {
        let mut padding = packets[2].clone();
        (padding.sequence, padding.payload, padding.marker) =
            (65_530u16.wrapping_add(n), Bytes::new(), marker);
        packets.insert(n as usize, padding);
    }
    assert_eq!(run(packets).0, [0, 1]);
}

#[test]
fn a_sender_that_starts_anew_is_followed() {
    let anew = (0..3).flat_map(|n| picture(n, 3, 30_000)).map(|mut packet| {
        packet.arrived += ms(700);
        packet
    });
    let (units, ..) = run(film(20).into_iter().chain(anew.clone()).chain(anew.map(|mut p| {
        p.arrived += ms(700);
        p
    })));
    assert_eq!(units[..20], (0..20).collect::<Vec<_>>());
}

#[test]
fn memory_is_bounded_when_no_picture_ever_ends() {
    let mut assembler = Assembler::new(Duration::from_secs(1000));
    for n in 0..8_000u32 {
        let payload = Bytes::from(vec![0x10; 1000]);
        let packet = MediaPacket {
            codec: Codec::Vp8,
            sequence: (n * 2) as u16,
            timestamp: 0,
            marker: false,
            payload,
            arrived: Duration::ZERO,
        };
        assembler.handle_packet(Duration::ZERO, packet);
        assert!(assembler.held.len() <= MAX_PACKETS + 1 && assembler.bytes <= MAX_BYTES + 1000);
        assert!(assembler.events.len() < 10);
    }
}

proptest! {
    #[test]
    fn anything_may_arrive(packets in prop::collection::vec((any::<u16>(), any::<u32>(), any::<bool>(), any::<bool>(), prop::collection::vec(any::<u8>(), 0..12)), 0..200)) {
        let mut assembler = Assembler::new(WAIT);
        for (n, (sequence, timestamp, marker, vp8, payload)) in packets.into_iter().enumerate() {
            let codec = if vp8 { Codec::Vp8 } else { Codec::H264 };
            let now = ms(n as u64 * 20);
            assembler.handle_packet(now, MediaPacket { codec, sequence, timestamp, marker, payload: payload.into(), arrived: now });
            while assembler.poll_event().is_some() {}
            let bytes: usize = assembler.held.values().map(|held| held.packet.payload.len()).sum();
            prop_assert_eq!(assembler.bytes, bytes);
        }
    }

    #[test]
    fn any_loss_and_any_order_within_the_wait_gives_pictures_in_order(seed in prop::collection::vec((0u64..80, 0u8..20), 90)) {
        let mut packets: Vec<_> = film(30).into_iter().zip(seed).filter(|(_, (_, lost))| *lost > 0).map(|(mut packet, (delay, _))| { packet.arrived += ms(delay); packet }).collect();
        packets.sort_by_key(|packet| packet.arrived);
        let (units, ..) = run(packets);
        prop_assert!(units.is_sorted());
    }
}
