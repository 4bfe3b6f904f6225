//! Each fault of a chain, and what it does to the bytes.

use crate::common::{Bench, hash, header, hex, leading_zero_bits, read_all, settings, write_all};
use cgminer_emulator::chain::{ChainFaults, ChipType, Noise};
use std::time::Duration;

/// mujina `test_data.rs`, Bitaxe Gamma: any well-formed job would do.
const JOB: &str = "55aa2156680100000000043a0217d76854685519a7cb044f88726355919e61a98bcf71a0c28795ea54db8c36414b06ddf5f00000000000000000965201001d3996bca3f4670dfcd4f201c162b96dfd55646b00000020721c";

/// A chain at work with this wrong from the moment of the first job; what is heard in the next second.
fn heard_with(faults: ChainFaults) -> (Bench, Vec<u8>) {
    let mut bench = Bench::new(settings(ChipType::Bm1362, 20));
    bench.bring_up(0);
    bench.chain.set_faults(faults);
    bench.send(&hex(JOB));
    bench.wait(Duration::from_secs(1));
    let heard = std::mem::take(&mut bench.heard);
    (bench, heard)
}

fn bad_nonces(heard: &[u8]) -> usize {
    let job = hex(JOB);
    let is_bad = |frame: &&[u8]| {
        let version = u16::from_be_bytes([frame[8], frame[9]]);
        leading_zero_bits(&hash(&header(&job, &frame[2..6], version))) < 10
    };
    heard
        .chunks_exact(11)
        .filter(|frame| frame[10] >> 5 == 4)
        .filter(is_bad)
        .count()
}

#[test]
fn a_dead_chip_cuts_the_chain_before_it() {
    let (mut bench, heard) = heard_with(ChainFaults {
        cut_at: Some(7),
        ..ChainFaults::default()
    });
    assert_eq!(
        bench
            .ask(&read_all(0))
            .chunks(11)
            .filter(|frame| frame[7] == 0)
            .count(),
        7
    );
    let owners = |frame: &[u8]| u32::from_be_bytes(frame[2..6].try_into().unwrap()) >> 17 & 0xFF;
    assert!(heard.len() > 110 && heard.chunks(11).all(|frame| owners(frame) < 14));
}

#[test]
fn a_silent_chip_is_missing_among_the_others() {
    let silent = [4].into();
    let (mut bench, heard) = heard_with(ChainFaults {
        silent,
        ..ChainFaults::default()
    });
    bench.ask(&write_all(0x10, 0));
    let answers = bench.ask(&read_all(0));
    let addresses: Vec<u8> = answers.chunks(11).map(|frame| frame[6]).collect();
    assert_eq!(addresses.len(), 19);
    assert!(!addresses.contains(&8) && addresses.contains(&10));
    assert!(
        heard
            .chunks(11)
            .all(|frame| u32::from_be_bytes(frame[2..6].try_into().unwrap()) >> 17 & 0xFF != 8)
    );
}

#[test]
fn a_mute_chain_hears_and_says_nothing() {
    let (bench, heard) = heard_with(ChainFaults {
        mute: true,
        ..ChainFaults::default()
    });
    assert!(heard.is_empty());
    assert!(bench.chain.chips()[0].work.is_some());
}

#[test]
fn noise_damages_bytes_in_every_way_it_is_told_to() {
    let clean = heard_with(ChainFaults::default()).1.len();
    for (noise, longer) in [
        (
            Noise {
                flip: 0.05,
                ..Noise::default()
            },
            None,
        ),
        (
            Noise {
                drop: 0.05,
                ..Noise::default()
            },
            Some(false),
        ),
        (
            Noise {
                insert: 0.05,
                ..Noise::default()
            },
            Some(true),
        ),
        (
            Noise {
                duplicate: 0.05,
                ..Noise::default()
            },
            Some(true),
        ),
    ] {
        let mut bench = Bench::new(settings(ChipType::Bm1362, 20));
        bench.bring_up(0);
        bench.send(&hex(JOB));
        bench.wait(Duration::from_millis(10));
        bench.chain.set_faults(ChainFaults {
            noise: Some(noise),
            ..ChainFaults::default()
        });
        bench.wait(Duration::from_millis(990));
        let heard = &bench.heard;
        match longer {
            None => assert!(
                heard.len() == clean && heard.chunks(11).any(|frame| frame[..2] != [0xAA, 0x55])
            ),
            Some(true) => assert!(
                heard.len() > clean + clean / 50,
                "{noise:?} {}",
                heard.len()
            ),
            Some(false) => assert!(
                heard.len() + clean / 50 < clean,
                "{noise:?} {}",
                heard.len()
            ),
        }
    }
}

#[test]
fn a_runaway_crystal_gives_garbage_and_hears_none() {
    let mut bench = Bench::new(settings(ChipType::Bm1362, 20));
    bench.bring_up(0);
    bench.send(&hex(JOB));
    bench.wait(Duration::from_millis(100));
    bench.heard.clear();
    bench.chain.set_faults(ChainFaults {
        baud_factor: Some(1.2),
        ..ChainFaults::default()
    });
    bench.wait(Duration::from_millis(500));
    assert!(bench.heard.len() > 50);
    let whole = bench
        .heard
        .windows(2)
        .filter(|pair| *pair == [0xAA, 0x55])
        .count();
    assert!(
        whole * 20 < bench.heard.len() / 11 + 20,
        "{whole} of {}",
        bench.heard.len()
    );
    bench.ask(&write_all(0x10, 0));
    assert!(
        bench.chain.is_hashing(),
        "the write that should have halted it was not understood"
    );
}

#[test]
fn a_stuck_core_repeats_one_nonce_each_second() {
    let stuck = [(3, 9)].into();
    let (mut bench, _) = heard_with(ChainFaults {
        stuck,
        ..ChainFaults::default()
    });
    bench.ask(&write_all(0x14, 0xFFFF_FFFF));
    let mut repeats = Vec::new();
    for _ in 0..5 {
        bench.send(&hex(JOB));
        bench.wait(Duration::from_secs(1));
        repeats.extend(std::mem::take(&mut bench.heard));
    }
    let frames: Vec<&[u8]> = repeats.chunks(11).collect();
    assert!((4..=6).contains(&frames.len()), "{}", frames.len());
    assert!(
        frames
            .iter()
            .all(|frame| frame[2..6] == (9_u32 << 25 | 6 << 17).to_be_bytes())
    );
}

#[test]
fn bad_nonces_come_in_their_share_and_are_counted_by_the_chip() {
    assert_eq!(bad_nonces(&heard_with(ChainFaults::default()).1), 0);
    let (bench, heard) = heard_with(ChainFaults {
        bad_share: 0.5,
        ..ChainFaults::default()
    });
    let (bad, all) = (bad_nonces(&heard), heard.len() / 11);
    assert!(bad * 4 > all && bad * 4 < all * 3, "{bad} of {all}");
    let counted: u32 = bench
        .chain
        .chips()
        .iter()
        .map(|chip| chip.nonce_errors)
        .sum();
    assert!(counted as usize >= bad);
}

#[test]
fn a_pll_change_can_bring_frames_without_meaning() {
    let mut bench = Bench::new(settings(ChipType::Bm1362, 20));
    bench.bring_up(0);
    assert!(bench.ask(&write_all(0x08, 0x50DA_0141)).is_empty());
    bench.chain.set_faults(ChainFaults {
        pll_garbage: true,
        ..ChainFaults::default()
    });
    let heard = bench.ask(&write_all(0x08, 0x40A8_0230));
    assert_eq!(heard.len(), 33, "three good frames");
    assert!(heard.chunks(11).all(|frame| frame[10] >> 5 == 4));
}

#[test]
fn register_40_can_come_unasked() {
    let mut bench = Bench::new(settings(ChipType::Bm1362, 20));
    bench.bring_up(0);
    bench.chain.set_faults(ChainFaults {
        chatter: true,
        ..ChainFaults::default()
    });
    bench.wait(Duration::from_millis(3500));
    assert_eq!(bench.heard.len(), 33);
    assert!(
        bench
            .heard
            .chunks(11)
            .all(|frame| frame[7] == 0x40 && frame[10] >> 5 == 0)
    );
}
