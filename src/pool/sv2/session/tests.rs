//! Frames of any kind, whole, damaged or made up: what cannot be read is named and costs nothing but itself.

use super::super::frame::FrameReader;
use super::super::message::MessageError;
use super::*;
use crate::pool::settings::StratumSettings;
use crate::work::{ChainIndex, Extranonce2};
use proptest::prelude::*;

const URL: &str =
    "stratum2+tcp://pool.example.com:34254/9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72";
const CHANNEL: u32 = 1;
const NTIME: u32 = 0x6600_0000;

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_le_bytes();
    [&[0, 0, kind], &length[..3], payload].concat()
}

/// Fields of a message, numbers least significant byte first.
fn fields(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn number(value: u32) -> [u8; 4] {
    value.to_le_bytes()
}

fn text(text: &str) -> Vec<u8> {
    [&[text.len() as u8], text.as_bytes()].concat()
}

fn job(id: u32, min_ntime: Option<u32>) -> Vec<u8> {
    let when = min_ntime.map_or(vec![0], |at| [&[1][..], &number(at)].concat());
    let coinbase = [&[4, 0][..], &[7; 4], &[5, 0], &[8; 5]].concat();
    let branch = [&[1][..], &[0x0b; 32]].concat();
    let ids = [number(CHANNEL), number(id)].concat();
    let version = number(0x2000_0000);
    frame(
        0x1f,
        &fields(&[&ids, &when, &version, &[1], &branch, &coinbase]),
    )
}

fn previous(job: u32, block: u8) -> Vec<u8> {
    let ids = [number(CHANNEL), number(job)].concat();
    let times = [number(NTIME), number(0x1705_c739)].concat();
    frame(0x20, &fields(&[&ids, &[block; 32], &times]))
}

fn accepted(last: u32, count: u32) -> Vec<u8> {
    let numbers = [number(CHANNEL), number(last), number(count)].concat();
    frame(0x1c, &fields(&[&numbers, &[0; 8]]))
}

/// One of each message that a pool sends while it is mined at.
fn messages() -> Vec<Vec<u8>> {
    let channel = number(CHANNEL);
    vec![
        job(9, Some(NTIME + 1)),
        job(10, None),
        previous(10, 5),
        frame(0x21, &fields(&[&channel, &[0xff; 32]])),
        frame(0x19, &fields(&[&channel, &[4, 1, 2, 3, 4]])),
        frame(0x25, &fields(&[&number(9), &[1, 0], &channel])),
        accepted(1, 1),
        frame(0x1d, &fields(&[&channel, &number(1), &text("stale-share")])),
        frame(0x17, &fields(&[&channel, &text("max-target-out-of-range")])),
        frame(0x18, &fields(&[&channel, &text("maintenance")])),
        frame(
            0x04,
            &fields(&[&text("eu.pool.example.com"), &[0xb5, 0x85]]),
        ),
        frame(0x01, &[2, 0, 0, 0, 0, 0]),
        frame(0x02, &fields(&[&number(0), &text("unsupported-protocol")])),
        frame(0x12, &fields(&[&number(1), &text("unknown-user")])),
    ]
}

/// A session with a clock.
struct Talk {
    session: Session,
    now: Instant,
}

impl Talk {
    /// With an open channel, a job, 7, which the chains have, and a share of it on its way.
    fn mining() -> Self {
        let settings = StratumSettings::new(URL.parse().unwrap(), "worker", "x");
        let settings = Arc::new(Sv2Settings::new(settings, 1e14));
        let now = Instant::now();
        let counters = Counters::default();
        let mut session = Session::new(settings, Arc::default(), Lessons::default(), counters, now);
        let open = [number(1), number(CHANNEL)].concat();
        let open = fields(&[
            &open,
            &[0xff; 32],
            &[8, 0],
            &[3, 0xaa, 0xbb, 0xcc],
            &number(2),
        ]);
        for message in [
            frame(0x01, &[2, 0, 0, 0, 0, 0]),
            frame(0x14, &open),
            job(7, None),
            previous(7, 1),
        ] {
            session.on_bytes(&message, now);
        }
        let mut talk = Self { session, now };
        let job = talk.session.next_job().unwrap();
        talk.submit(&job).unwrap();
        talk
    }

    fn submit(&mut self, job: &Arc<Job>) -> Result<(), Withheld> {
        self.session.output().clear();
        let share = Share {
            job: Arc::clone(job),
            extranonce2: Extranonce2 {
                value: 1,
                size: job.extranonce2_size,
            },
            ntime: job.ntime,
            nonce: 1,
            version_bits: 0,
            hash: [0; 32],
            is_block: false,
            chain: ChainIndex(0),
            found_at: self.now,
        };
        self.session.submit(&share, self.now)
    }

    /// All that a message could change, but for the counters of messages.
    fn state(&self) -> String {
        let Session {
            maker,
            state,
            channels,
            ledger,
            vigil,
            newest,
            out,
            ..
        } = &self.session;
        format!("{maker:?} {state:?} {channels:?} {ledger:?} {vigil:?} {newest:?} {out:?}")
    }
}

fn read(bytes: &[u8]) -> Option<Result<Message, MessageError>> {
    let mut reader = FrameReader::default();
    reader.push(bytes);
    let frame = reader.next_frame().ok()??;
    Some(Message::parse(frame))
}

/// A message with some bytes changed, cut off or added, its length being right again.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    let tail = prop::collection::vec(any::<u8>(), 0..40);
    let cut = any::<prop::sample::Index>();
    let messages = prop::sample::select(messages());
    (messages, changes, prop::option::of(cut), tail).prop_map(|(message, changes, cut, tail)| {
        let (header, payload) = message.split_at(6);
        let mut payload = payload.to_vec();
        for (at, byte) in changes {
            if !payload.is_empty() {
                let at = at.index(payload.len());
                payload[at] = byte;
            }
        }
        if let Some(cut) = cut {
            payload.truncate(cut.index(payload.len() + 1));
        } else {
            payload.extend(tail);
        }
        frame(header[2], &payload)
    })
}

fn made_up() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop::collection::vec(any::<u8>(), 0..120);
    (any::<u8>(), payload).prop_map(|(kind, payload)| frame(kind, &payload))
}

#[test]
fn the_messages_of_these_tests_are_read() {
    for message in messages() {
        let read = read(&message);
        assert!(
            matches!(read, Some(Ok(ref read)) if !matches!(read, Message::Unknown(_))),
            "{message:x?}: {read:?}"
        );
    }
}

#[test]
fn a_message_cut_short_is_refused_by_its_kind() {
    for message in messages() {
        let (header, payload) = message.split_at(6);
        for length in 0..payload.len() {
            let error = read(&frame(header[2], &payload[..length]))
                .unwrap()
                .unwrap_err();
            let kind = format!("message 0x{:02x} cannot be read", header[2]);
            assert!(error.to_string().starts_with(&kind), "{error}");
        }
    }
}

/// Found by fuzzing: both in one packet, so that the chains had not seen the first.
#[test]
fn a_block_without_a_job_makes_worthless_what_no_chain_has_seen() {
    let mut talk = Talk::mining();
    let now = talk.now;
    let both = [job(8, Some(NTIME + 1)), previous(99, 2)].concat();
    talk.session.on_bytes(&both, now);
    assert_eq!(talk.session.next_job(), None);
    assert_eq!(talk.session.lines.bad_parameters, 1);
    // What comes for that block is worked on.
    talk.session.on_bytes(&job(100, Some(NTIME + 2)), now);
    let next = talk.session.next_job().unwrap();
    assert_eq!((&*next.id.0, next.previous_hash), ("100", [2; 32]));
    talk.submit(&next).unwrap();
}

/// The other way round, a message that is no use costs an unseen job nothing.
#[test]
fn a_job_of_another_kind_of_channel_leaves_the_unseen_one_alone() {
    let mut talk = Talk::mining();
    let now = talk.now;
    let root = [number(CHANNEL), number(11)].concat();
    let standard = frame(0x15, &fields(&[&root, &[0], &number(4), &[1; 32]]));
    talk.session
        .on_bytes(&[job(8, Some(NTIME + 1)), standard].concat(), now);
    assert_eq!(&*talk.session.next_job().unwrap().id.0, "8");
    assert_eq!(talk.session.lines.bad_parameters, 1);
}

proptest! {
    /// Whatever a frame holds, it is read, or refused in words that name it.
    #[test]
    fn any_frame_is_read_or_refused_by_name(frame in prop_oneof![damaged(), made_up()]) {
        if let Some(Err(error)) = read(&frame) {
            let error = error.to_string();
            let named = [&format!("0x{:02x}", frame[2]), "branches", "extranonce", "nbits"];
            prop_assert!(named.iter().any(|name| error.contains(name)), "{}", error);
        }
    }

    /// A frame that cannot be read is counted and changes nothing else at all.
    #[test]
    fn what_cannot_be_read_costs_nothing_but_itself(frame in prop_oneof![damaged(), made_up()]) {
        let mut talk = Talk::mining();
        if !matches!(read(&frame), Some(Err(_))) {
            return Ok(());
        }
        let (before, lines) = (talk.state(), talk.session.lines.clone());
        talk.session.on_bytes(&frame, talk.now + Duration::from_secs(1));
        prop_assert_eq!(talk.state(), before);
        prop_assert_eq!(talk.session.lines.malformed, lines.malformed + 1);
        prop_assert_eq!(talk.session.lines.received, lines.received + 1);
    }

    /// After any frames in packets of any size the session is over for a reason in words, or goes on: every share has its
    /// fate, and the next block of the pool is mined.
    #[test]
    fn after_anything_it_goes_on_or_says_why_not(
        frames in prop::collection::vec(prop_oneof![2 => damaged(), 1 => made_up()], 0..12),
        packet in 1_usize..300,
    ) {
        let mut talk = Talk::mining();
        let now = talk.now;
        for packet in frames.concat().chunks(packet) {
            talk.session.on_bytes(packet, now);
            talk.session.on_timer(now);
            if let Some(job) = talk.session.next_job() {
                let is_live = talk.session.channels[0].as_ref().unwrap().is_live(job.sequence);
                prop_assert!(is_live, "a job that is worthless already");
            }
        }
        if let Some(reason) = talk.session.ended() {
            prop_assert!(reason.to_string().len() > 10);
        } else {
            prop_assert_eq!(talk.session.channels().count(), 1);
            prop_assert_eq!(talk.session.lines.received as usize, 4 + frames.len());
            let next = [job(500, None), previous(500, 77)].concat();
            talk.session.on_bytes(&next, now);
            let job = talk.session.next_job();
            prop_assert!(job.is_some());
            let job = job.unwrap();
            prop_assert_eq!((&*job.id.0, job.clean, job.previous_hash), ("500", true, [77; 32]));
            prop_assert_eq!(talk.submit(&job), Ok(()));
            prop_assert!(!talk.session.output().is_empty());
        }
        let submitted = talk.session.ledger.counters().submitted;
        let shares = talk.session.close().shares;
        prop_assert_eq!(shares.accepted + shares.rejected.total + shares.unanswered, submitted);
    }
}
