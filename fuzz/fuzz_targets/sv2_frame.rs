//! Any plain frames, in packets of any size, reach a Stratum v2 session at any stage; nothing panics, and every job that it
//! makes can be mined on.
#![no_main]

use cgminer_rs::pool::reconnect::Conversation;
use cgminer_rs::pool::session::Counters;
use cgminer_rs::pool::settings::{StratumSettings, Sv2Channel};
use cgminer_rs::pool::sv2::session::{Lessons, Session};
use cgminer_rs::pool::sv2::settings::Sv2Settings;
use cgminer_rs::work::version::ROLLABLE_BITS;
use cgminer_rs::work::{ChainIndex, Extranonce2, Share};
use libfuzzer_sys::fuzz_target;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const URL: &str = "stratum2+tcp://pool.example.com:34254/9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72";

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_le_bytes();
    [&[0, 0, kind], &length[..3], payload].concat()
}

/// `SetupConnection.Success`, and an open channel 1 of group 2 with 8 bytes of extranonce, or none.
fn handshake(standard: bool) -> [Vec<u8>; 2] {
    let open = [&1_u32.to_le_bytes()[..], &1_u32.to_le_bytes(), &[0xff; 32]].concat();
    let prefix = [3, 0xaa, 0xbb, 0xcc];
    let group = 2_u32.to_le_bytes();
    let open = if standard {
        frame(0x11, &[&open[..], &prefix, &group].concat())
    } else {
        frame(0x14, &[&open[..], &[8, 0], &prefix, &group].concat())
    };
    [frame(0x01, &[2, 0, 0, 0, 0, 0]), open]
}

fuzz_target!(|input: &[u8]| {
    let [stage, packet, bytes @ ..] = input else {
        return;
    };
    let now = Instant::now();
    let settings = StratumSettings::new(URL.parse().expect("a URL"), "worker", "x");
    let standard = stage & 4 != 0;
    let settings = Sv2Settings {
        channel: if standard { Sv2Channel::Standard } else { Sv2Channel::Extended },
        ..Sv2Settings::new(settings, 1e14)
    };
    let settings = Arc::new(settings);
    let mut session = Session::new(settings, Arc::default(), Lessons::default(), Counters::default(), now);
    for answer in handshake(standard).iter().take(usize::from(stage & 3)) {
        session.on_bytes(answer, now);
    }
    // Either the bytes as they are, or made into frames: kind, length, payload.
    let mut stream = Vec::new();
    if stage & 8 != 0 {
        stream.extend_from_slice(bytes);
    } else {
        let mut rest = bytes;
        while let [kind, length, behind @ ..] = rest {
            let (payload, behind) = behind.split_at(usize::from(*length).min(behind.len()));
            stream.extend(frame(*kind, payload));
            rest = behind;
        }
    }
    for (second, packet) in stream.chunks(usize::from(*packet).max(1)).enumerate() {
        let now = now + Duration::from_secs(second as u64);
        session.on_bytes(packet, now);
        session.on_timer(now);
        session.output().clear();
        while let Some(job) = session.next_job() {
            let Some(job) = job.for_chain(ChainIndex(0)) else {
                continue;
            };
            assert_eq!(job.version_mask & !ROLLABLE_BITS, 0);
            assert_eq!(job.extranonce2_size == 0, standard);
            assert!(job.extranonce2_size <= 32);
            let share = Share {
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
                found_at: now,
                job,
            };
            session.submit(&share, now).expect("a new job is live");
            assert!(!session.output().is_empty());
        }
        if session.ended().is_some() {
            break;
        }
    }
    session.close();
});
