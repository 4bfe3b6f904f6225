//! The reply decoder on a bad line: it never panics, loses no more than what was damaged, and counts it.

use cgminer_rs::chain::crc::crc5;
use cgminer_rs::chain::frame::{Decoder, Reply, ReplyFormat};
use proptest::collection::vec;
use proptest::prelude::*;

/// A captured nonce of an S19j Pro.
const NONCE: [u8; 11] = [
    0xAA, 0x55, 0x6D, 0xB8, 0x8E, 0xE1, 0x01, 0x04, 0x03, 0x54, 0x94,
];
/// The captured identity of a BM1370, and its form before version rolling.
const IDENTITY: [u8; 11] = [
    0xAA, 0x55, 0x13, 0x70, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x10,
];
const SHORT_IDENTITY: [u8; 9] = [0xAA, 0x55, 0x13, 0x70, 0x00, 0x00, 0x00, 0x00, 0x06];

#[test]
fn malformed_replies_are_counted_and_the_next_good_one_is_found() {
    let flipped = |bit: usize| {
        let mut frame = NONCE;
        frame[bit / 8] ^= 1 << (bit % 8);
        frame.to_vec()
    };
    // A right checksum under a type that no chip sends.
    let typed = |kind: u8| with_checksum(&NONCE[2..10], kind);
    let commands = [0x55, 0xAA, 0x52, 0x05, 0x00, 0x00, 0x0A];
    // Name, bytes, candidates with a wrong checksum at least, candidates of an unknown type.
    let cases: [(&str, Vec<u8>, u64, u64); 18] = [
        ("nothing", vec![], 0, 0),
        ("one zero", vec![0], 0, 0),
        ("zeros", vec![0; 64], 0, 0),
        ("ones, as of a line without driver", vec![0xFF; 64], 0, 0),
        ("half a preamble", vec![0xAA], 0, 0),
        ("preambles' first halves", vec![0xAA; 30], 0, 0),
        ("a preamble alone", vec![0xAA, 0x55], 1, 0),
        ("preambles", [0xAA, 0x55].repeat(20), 1, 0),
        ("the host's own command", commands.to_vec(), 0, 0),
        ("a damaged preamble", flipped(3), 0, 0),
        ("a flipped bit in the nonce", flipped(20), 1, 0),
        ("a flipped bit in the checksum", flipped(80), 1, 0),
        ("a flipped bit in the type", flipped(87), 1, 0),
        ("a frame without its last byte", NONCE[..10].to_vec(), 0, 0),
        (
            "a frame without a byte inside",
            [&NONCE[..5], &NONCE[6..]].concat(),
            0,
            0,
        ),
        (
            "a frame with a byte too many inside",
            [&NONCE[..5], &[7], &NONCE[5..]].concat(),
            1,
            0,
        ),
        ("a reply of type 7", typed(7), 0, 1),
        (
            "a nine-byte reply among long ones",
            SHORT_IDENTITY.to_vec(),
            0,
            0,
        ),
    ];
    for (name, bytes, crc_errors, unknown_types) in cases {
        let mut decoder = Decoder::new(ReplyFormat::Eleven);
        decoder.push(&bytes);
        decoder.push(&NONCE);
        let replies = take_all(&mut decoder);
        assert_eq!(replies.len(), 1, "{name}: {replies:?}");
        assert!(
            matches!(replies[0], Reply::Nonce(nonce) if nonce.nonce == NONCE[2..6]),
            "{name}"
        );
        let counters = decoder.counters();
        assert_eq!(counters.lost_bytes, bytes.len() as u64, "{name}");
        assert!(counters.crc_errors >= crc_errors, "{name}: {counters:?}");
        assert_eq!(
            counters.unknown_types, unknown_types,
            "{name}: {counters:?}"
        );
    }
}

#[test]
fn a_reply_that_swallowed_the_next_ones_head_does_not_take_it_along() {
    // Of all frames that lost three bytes, one in 128 has a right checksum by accident.
    let mut accidents = 0;
    for number in 0..20_000_u32 {
        let body = [&number.to_be_bytes()[..], &[1, 0x20, 0, 7]].concat();
        let first = with_checksum(&body, 4);
        let damaged = [&first[..4], &first[7..]].concat();
        let stream = [&damaged[..], &IDENTITY, &NONCE].concat();
        let mut decoder = Decoder::new(ReplyFormat::Eleven);
        decoder.push(&stream);
        let replies = take_all(&mut decoder);
        assert_eq!(replies.len(), 2, "{damaged:02x?}");
        accidents += usize::from(crc5(&stream[2..11]) == 0 && matches!(stream[10] >> 5, 0 | 4));
    }
    assert!(accidents > 50, "{accidents}");
}

#[test]
fn the_format_may_change_between_replies() {
    let mut decoder = Decoder::new(ReplyFormat::Nine);
    decoder.push(&SHORT_IDENTITY);
    assert!(decoder.next_reply().is_some());
    decoder.set_format(ReplyFormat::Eleven);
    decoder.push(&IDENTITY);
    assert!(decoder.next_reply().is_some());
    assert_eq!(decoder.counters().lost_bytes, 0);
}

fn take_all(decoder: &mut Decoder) -> Vec<Reply> {
    std::iter::from_fn(|| decoder.next_reply()).collect()
}

/// A reply around a body, its preamble and its last byte added.
fn with_checksum(body: &[u8], kind: u8) -> Vec<u8> {
    let mut frame = [&[0xAA, 0x55], body, &[0]].concat();
    let last = frame.len() - 1;
    for checksum in 0..32 {
        frame[last] = kind << 5 | checksum;
        if crc5(&frame[2..]) == 0 {
            return frame;
        }
    }
    panic!("one of 32 checksums is right");
}

fn formats() -> impl Strategy<Value = ReplyFormat> {
    prop_oneof![
        Just(ReplyFormat::Seven),
        Just(ReplyFormat::Nine),
        Just(ReplyFormat::Eleven)
    ]
}

/// Frames of one of the formats with a preamble.
fn streams() -> impl Strategy<Value = (ReplyFormat, Vec<Vec<u8>>)> {
    prop_oneof![Just((ReplyFormat::Nine, 6)), Just((ReplyFormat::Eleven, 8))].prop_flat_map(
        |(format, body)| {
            let frame = (vec(any::<u8>(), body), prop_oneof![Just(0), Just(4)])
                .prop_map(|(body, kind)| with_checksum(&body, kind));
            (Just(format), vec(frame, 2..12))
        },
    )
}

/// Changes a frame.
#[derive(Clone, Debug)]
enum Damage {
    Flip { place: usize, bits: u8 },
    Drop { place: usize, count: usize },
    Insert { place: usize, bytes: Vec<u8> },
    Replace { bytes: Vec<u8> },
}

impl Damage {
    fn apply(&self, frame: &mut Vec<u8>) {
        let length = frame.len();
        match self {
            Self::Flip { place, bits } => frame[place % length] ^= bits,
            Self::Drop { place, count } => {
                let start = place % length;
                frame.drain(start..(start + count).min(length));
            }
            Self::Insert { place, bytes } => {
                let place = place % length;
                frame.splice(place..place, bytes.iter().copied());
            }
            Self::Replace { bytes } => frame.clone_from(bytes),
        }
    }
}

fn damages() -> impl Strategy<Value = Damage> {
    let place = any::<usize>();
    prop_oneof![
        (place, 1..=255_u8).prop_map(|(place, bits)| Damage::Flip { place, bits }),
        (place, 1..9_usize).prop_map(|(place, count)| Damage::Drop { place, count }),
        (place, vec(any::<u8>(), 1..20)).prop_map(|(place, bytes)| Damage::Insert { place, bytes }),
        vec(any::<u8>(), 0..40).prop_map(|bytes| Damage::Replace { bytes }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_bytes_in_any_pieces_are_replies_or_lost_or_held(
        format in formats(),
        pieces in vec(vec(prop_oneof![any::<u8>(), Just(0xAA), Just(0x55)], 0..60), 0..20),
    ) {
        let mut decoder = Decoder::new(format);
        let mut pushed = 0;
        for piece in &pieces {
            pushed += decoder.push(piece);
            take_all(&mut decoder);
        }
        let total: usize = pieces.iter().map(Vec::len).sum();
        prop_assert_eq!(pushed, total, "there is always room for what comes next");
        let counters = decoder.counters();
        let accounted = counters.frames * format.bytes() as u64 + counters.lost_bytes;
        let held = pushed as u64 - accounted;
        prop_assert!(held < format.bytes() as u64, "{} bytes held", held);
    }

    #[test]
    fn a_clean_stream_in_any_pieces_loses_nothing(
        (format, frames) in streams(),
        cuts in vec(1..20_usize, 1..40),
    ) {
        let stream = frames.concat();
        let mut decoder = Decoder::new(format);
        let mut replies = 0;
        let mut rest = &stream[..];
        for cut in cuts.iter().cycle() {
            let (piece, behind) = rest.split_at((*cut).min(rest.len()));
            decoder.push(piece);
            replies += take_all(&mut decoder).len();
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(replies, frames.len());
        prop_assert_eq!(decoder.counters().lost_bytes, 0);
    }

    #[test]
    fn good_frames_behind_garbage_are_found(
        (format, frames) in streams(),
        garbage in vec(prop_oneof![any::<u8>(), Just(0xAA), Just(0x55)], 0..100),
    ) {
        let mut decoder = Decoder::new(format);
        decoder.push(&garbage);
        decoder.push(&frames.concat());
        let replies = take_all(&mut decoder);
        let expected = clean(format, &frames);
        prop_assert!(replies.ends_with(&expected), "{:?} does not end with {:?}", replies, expected);
    }

    #[test]
    fn a_damaged_frame_loses_at_most_itself(
        (format, frames) in streams(),
        which in any::<proptest::sample::Index>(),
        damage in damages(),
    ) {
        let which = which.index(frames.len());
        let mut damaged = frames.clone();
        damage.apply(&mut damaged[which]);
        let mut decoder = Decoder::new(format);
        decoder.push(&damaged.concat());
        let replies = take_all(&mut decoder);
        prop_assert!(replies.starts_with(&clean(format, &frames[..which])));
        prop_assert!(replies.ends_with(&clean(format, &frames[which + 1..])));
    }
}

fn clean(format: ReplyFormat, frames: &[Vec<u8>]) -> Vec<Reply> {
    let mut decoder = Decoder::new(format);
    decoder.push(&frames.concat());
    take_all(&mut decoder)
}
