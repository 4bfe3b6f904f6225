//! Work and its checks held to what real pools and chips have said.
//!
//! `headers.json`: block headers, a midstate, a notify with its header, and captured jobs with the
//! nonces that chips answered, each with its public source. `recorded_submits.jsonl`: submits to
//! ckpool and datum with the notify they answer and the pool's reply, one recording a line.
#![allow(clippy::unwrap_used, clippy::expect_used)] // helpers of tests are tests too

mod independent;

use bitcoin::hashes::{Hash, sha256d};
use bitcoin::hex::{DisplayHex, FromHex};
use cgminer_rs::work::coinbase::CoinbaseTemplate;
use cgminer_rs::work::sha256::{Midstate, double_hash_tail};
use cgminer_rs::work::target::hash_difficulty;
use cgminer_rs::work::{
    ChainIndex, ChipNonce, CountedBy, Difficulty, Extranonce2, Extranonce2Partition, Job, JobId,
    Registry, RolledMidstate, SessionId, Target, Ticket, Verdict, VersionRolling, Work, WorkSource,
};
use independent::assert_pool_agrees;
use serde_json::Value;
use std::sync::Arc;
use tokio::time::Instant;

const HEADERS: &str = include_str!("data/work/headers.json");
const SUBMITS: &str = include_str!("data/work/recorded_submits.jsonl");

fn headers(kind: &str) -> Vec<Value> {
    let all: Vec<Value> = serde_json::from_str(HEADERS).unwrap();
    let found: Vec<_> = all
        .into_iter()
        .filter(|vector| vector["kind"] == kind)
        .collect();
    assert!(!found.is_empty());
    found
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key]
        .as_str()
        .unwrap_or_else(|| panic!("no {key} in {value}"))
}

fn bytes(hex: &str) -> Vec<u8> {
    Vec::from_hex(hex).unwrap()
}

fn array<const N: usize>(hex: &str) -> [u8; N] {
    bytes(hex).try_into().unwrap()
}

fn number(hex: &str) -> u32 {
    u32::from_str_radix(hex, 16).unwrap()
}

/// Stratum's previous hash: each of its eight words has its bytes turned round.
fn previous_hash(stratum: &str) -> [u8; 32] {
    let mut hash = array::<32>(stratum);
    hash.chunks_mut(4).for_each(<[u8]>::reverse);
    hash
}

fn displayed(mut hash: [u8; 32]) -> String {
    hash.reverse();
    hash.to_lower_hex_string()
}

/// A job of the header's fields; the coinbase has no part in these tests.
fn job_of_header(header: &[u8; 80], version: u32, mask: u32) -> Arc<Job> {
    let word = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().unwrap());
    Arc::new(Job {
        session: SessionId(1),
        sequence: 1,
        id: JobId("header".into()),
        version,
        version_mask: mask,
        previous_hash: header[4..36].try_into().unwrap(),
        roots: cgminer_rs::work::MerkleRoots::Coinbase,
        coinbase_prefix: Box::default(),
        extranonce2_size: 4,
        coinbase_suffix: Box::default(),
        merkle_branches: Box::default(),
        nbits: word(72),
        ntime: word(68),
        ntime_roll_limit: 0,
        clean: true,
        share_target: Target::from_difficulty(Difficulty::ONE),
        network_target: Target::from_nbits(word(72)).unwrap(),
        received_at: Instant::now(),
        counted: CountedBy::default(),
    })
}

fn work_of_header(header: &[u8; 80], version: u32, mask: u32) -> Work {
    let mut first: [u8; 64] = header[..64].try_into().unwrap();
    first[..4].copy_from_slice(&version.to_le_bytes());
    let state = Midstate::INITIAL.after(&first);
    Work {
        job: job_of_header(header, version, mask),
        extranonce2: Extranonce2 { value: 0, size: 4 },
        ntime: u32::from_le_bytes(header[68..72].try_into().unwrap()),
        merkle_root: header[36..68].try_into().unwrap(),
        midstates: std::iter::once(RolledMidstate { version, state }).collect(),
        chip_mask: mask,
    }
}

fn silicon() -> Registry {
    Registry::new(ChainIndex(0), 16, Ticket::new(32, 0).unwrap())
}

#[test]
fn real_block_headers_hash_to_their_blocks() {
    for vector in headers("block_header") {
        let header: [u8; 80] = array(text(&vector, "header"));
        let midstate = Midstate::INITIAL.after(header.first_chunk().unwrap());
        assert_eq!(midstate.digest(), array(text(&vector, "midstate_be")));

        let version = u32::from_le_bytes(header[..4].try_into().unwrap());
        let work = work_of_header(&header, version, 0);
        let nonce: [u8; 4] = header[76..].try_into().unwrap();
        assert_eq!(work.header(version, u32::from_le_bytes(nonce)), header);
        let mut registry = silicon();
        let slot = registry.insert(work);
        let found = ChipNonce {
            slot,
            midstate: 0,
            nonce,
            version_field: 0,
        };
        match registry.check(&found, Instant::now()) {
            Verdict::Share { share, .. } => {
                assert_eq!(displayed(share.hash), text(&vector, "hash"));
                assert_eq!(share.hash, sha256d::Hash::hash(&header).to_byte_array());
                assert!(share.is_block);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn captured_midstate_is_what_the_chip_was_sent() {
    for vector in headers("midstate") {
        let state = Midstate::INITIAL.after(&array(text(&vector, "header64")));
        assert_eq!(state.digest(), array(text(&vector, "midstate_be")));
    }
}

#[test]
fn captured_nonces_of_chips_are_shares_under_their_rolled_versions() {
    let mut rolled = 0;
    for vector in headers("job_nonce_hash") {
        let header: [u8; 80] = array(text(&vector, "header"));
        // The job frame ends with the version, before two bytes of CRC; the reply has nonce at 2,
        // version at 8.
        let frame = bytes(text(&vector, "job"));
        let version = u32::from_le_bytes(frame[82..86].try_into().unwrap());
        let reply = bytes(text(&vector, "response"));
        let nonce: [u8; 4] = reply[2..6].try_into().unwrap();
        let version_field = u16::from_be_bytes(reply[8..10].try_into().unwrap());
        rolled += u32::from(version_field != 0);

        let mut registry = silicon();
        let slot = registry.insert(work_of_header(&header, version, 0x1FFF_E000));
        let found = ChipNonce {
            slot,
            midstate: 0,
            nonce,
            version_field,
        };
        match registry.check(&found, Instant::now()) {
            Verdict::Share { share, hashes } => {
                assert_eq!(displayed(share.hash), text(&vector, "hash"));
                assert_eq!(share.hash, sha256d::Hash::hash(&header).to_byte_array());
                let difficulty = vector["difficulty"].as_f64().unwrap();
                assert!((hash_difficulty(&share.hash) / difficulty - 1.0).abs() < 1e-6);
                assert_eq!(share.version_bits, u32::from(version_field) << 13);
                assert!((hashes - 4_294_967_296.0).abs() < f64::EPSILON);
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(rolled >= 2, "the captures have rolled versions among them");
}

#[test]
fn notify_becomes_the_header_that_was_mined() {
    for vector in headers("stratum_notify_to_header") {
        let prefix = bytes(&[text(&vector, "coinbase1"), text(&vector, "extranonce1")].concat());
        let header: [u8; 80] = array(text(&vector, "header"));
        let branches = vector["branches"].as_array().unwrap().iter();
        let job = Job {
            version: number(text(&vector, "version")),
            previous_hash: previous_hash(text(&vector, "prevhash")),
            roots: cgminer_rs::work::MerkleRoots::Coinbase,
            coinbase_prefix: prefix.into(),
            coinbase_suffix: bytes(text(&vector, "coinbase2")).into(),
            merkle_branches: branches.map(|hex| array(hex.as_str().unwrap())).collect(),
            nbits: number(text(&vector, "nbits")),
            ntime: number(text(&vector, "ntime")),
            ..(*job_of_header(&header, 0, 0)).clone()
        };
        let mut source = WorkSource::new(Extranonce2Partition::WHOLE, VersionRolling::Chip);
        let received_at = job.received_at;
        source.set_job(Arc::new(job));
        let work = source.next_work(received_at).unwrap();
        assert_eq!(work.extranonce2.value, 0);
        assert_eq!(work.merkle_root, array(text(&vector, "merkle_root")));
        let nonce = u32::try_from(vector["nonce"].as_u64().unwrap()).unwrap();
        assert_eq!(work.header(work.version(), nonce), header);

        let mut registry = silicon();
        let slot = registry.insert(work);
        let found = ChipNonce {
            slot,
            midstate: 0,
            nonce: nonce.to_le_bytes(),
            version_field: 0,
        };
        match registry.check(&found, received_at) {
            Verdict::Share { share, .. } => {
                assert_pool_agrees(&share);
                let difficulty = vector["difficulty"].as_f64().unwrap();
                assert!((hash_difficulty(&share.hash) / difficulty - 1.0).abs() < 1e-5);
            }
            other => panic!("{other:?}"),
        }
    }
}

struct Recorded {
    work: Work,
    nonce: ChipNonce,
    reply: Value,
}

/// A recorded submit as the work it came from; `None` where it names no work that could have been
/// given out (another size of extranonce2, another ntime, or version bits that no chip can report).
fn recorded(line: &str) -> Option<Recorded> {
    let record: Value = serde_json::from_str(line).unwrap();
    let notify = |index: usize| record["notify"][index].as_str().unwrap();
    let submit = |index: usize| record["submit"][index].as_str().unwrap();
    let size = u8::try_from(record["extranonce2_size"].as_u64().unwrap()).unwrap();
    let bits = number(submit(5));
    if submit(2).len() != 2 * usize::from(size) || submit(3) != notify(7) || bits & 0x1FFF != 0 {
        return None;
    }
    let difficulty = Difficulty::new(record["difficulty"].as_f64().unwrap()).unwrap();
    let nbits = number(notify(6));
    let branches = record["notify"][4].as_array().unwrap().iter();
    let job = Job {
        session: SessionId(7),
        sequence: 1,
        id: JobId(notify(0).into()),
        version: number(notify(5)),
        version_mask: number(text(&record, "version_mask")),
        previous_hash: previous_hash(notify(1)),
        roots: cgminer_rs::work::MerkleRoots::Coinbase,
        coinbase_prefix: bytes(&[notify(2), text(&record, "extranonce1")].concat()).into(),
        extranonce2_size: size,
        coinbase_suffix: bytes(notify(3)).into(),
        merkle_branches: branches.map(|hex| array(hex.as_str().unwrap())).collect(),
        nbits,
        ntime: number(notify(7)),
        ntime_roll_limit: 600,
        clean: false,
        share_target: Target::from_difficulty(difficulty),
        network_target: Target::from_nbits(nbits).unwrap(),
        received_at: Instant::now(),
        counted: CountedBy::default(),
    };
    let extranonce2 = Extranonce2 {
        value: u64::from_str_radix(submit(2), 16).unwrap(),
        size,
    };
    let mut coinbase = CoinbaseTemplate::default();
    coinbase.set_job(&job);
    let [merkle_root] = coinbase.merkle_roots(&job.merkle_branches, &[extranonce2]);
    let mut work = Work {
        extranonce2,
        ntime: job.ntime,
        merkle_root,
        midstates: heapless::Vec::new(),
        chip_mask: job.version_mask,
        job: Arc::new(job),
    };
    let version = work.job.version;
    let first: [u8; 64] = *work.header(version, 0).first_chunk().unwrap();
    let state = Midstate::INITIAL.after(&first);
    work.midstates
        .push(RolledMidstate { version, state })
        .unwrap();
    Some(Recorded {
        work,
        nonce: ChipNonce {
            slot: 0,
            midstate: 0,
            nonce: number(submit(4)).to_le_bytes(),
            version_field: u16::try_from(bits >> 13).unwrap(),
        },
        reply: record,
    })
}

#[test]
fn recorded_submits_are_judged_as_the_pool_judged_them() {
    // The recording client stood for a chip with fewer zero bits wired in: difficulty 0.001 is 22
    // bits.
    let ticket = Ticket::new(22, 0).unwrap();
    let (mut accepted, mut refused, mut repeated) = (0, 0, 0);
    for Recorded { work, nonce, reply } in SUBMITS.lines().filter_map(recorded) {
        let mut registry = Registry::new(ChainIndex(2), 16, ticket);
        assert_eq!(registry.insert(work), nonce.slot);
        let verdict = registry.check(&nonce, Instant::now());
        let reason = reply["error"][1].as_str().unwrap_or_default();
        match (reply["result"].as_bool(), reason) {
            (Some(true), _) => match &verdict {
                Verdict::Share { share, .. } => {
                    assert_pool_agrees(share);
                    assert_ne!(share.version_bits, 0, "the recordings roll the version");
                    accepted += 1;
                }
                other => panic!("{reply}: {other:?}"),
            },
            (_, "Above target" | "H-not-zero") => {
                assert!(
                    !matches!(verdict, Verdict::Share { .. }),
                    "{reply}: {verdict:?}"
                );
                refused += 1;
            }
            (_, "Duplicate") => {
                assert!(
                    matches!(verdict, Verdict::Share { .. }),
                    "{reply}: {verdict:?}"
                );
                let again = registry.check(&nonce, Instant::now());
                assert!(matches!(again, Verdict::Duplicate), "{reply}: {again:?}");
                repeated += 1;
            }
            // The share itself is right: it came under another name.
            (_, "Worker mismatch") => assert!(matches!(verdict, Verdict::Share { .. })),
            other => panic!("{reply}: a reply this test knows nothing of: {other:?}"),
        }
    }
    assert_eq!((accepted, refused, repeated), (8, 19, 2));
}

#[test]
fn header_of_work_is_what_the_hash_was_taken_of() {
    for Recorded { work, nonce, .. } in SUBMITS.lines().filter_map(recorded) {
        let version = work.version() | u32::from(nonce.version_field) << 13;
        let header = work.header(version, u32::from_le_bytes(nonce.nonce));
        let midstate = Midstate::INITIAL.after(header.first_chunk().unwrap());
        let mut tail = [0; 64];
        tail[..16].copy_from_slice(&header[64..]);
        tail[16] = 0x80;
        tail[62..].copy_from_slice(&640_u16.to_be_bytes());
        let hash = double_hash_tail(&midstate, &tail);
        assert_eq!(hash.digest(), sha256d::Hash::hash(&header).to_byte_array());
    }
}
