//! What the chain does with addresses, speeds, masks and deadlines.

use crate::common::{
    Bench, INACTIVE, command, hash, header, hex, leading_zero_bits, read_all, set_address,
    settings, write_all,
};
use cgminer_emulator::chain::ChipType;
use std::time::Duration;

/// mujina `test_data.rs`, Bitaxe Gamma: any well-formed job would do.
const JOB: &str = "55aa2156680100000000043a0217d76854685519a7cb044f88726355919e61a98bcf71a0c28795ea54db8c36414b06ddf5f00000000000000000965201001d3996bca3f4670dfcd4f201c162b96dfd55646b00000020721c";

fn nonces(heard: &[u8]) -> Vec<&[u8]> {
    assert_eq!(heard.len() % 11, 0, "whole long frames");
    heard
        .chunks(11)
        .filter(|frame| frame[10] >> 5 == 4)
        .collect()
}

#[test]
fn unaddressed_chips_all_answer_as_zero() {
    let mut bench = Bench::new(settings(ChipType::Bm1362, 126));
    let replies = bench.ask(&read_all(0));
    assert_eq!(replies.len(), 126 * 9);
    assert!(replies.chunks(9).all(|reply| reply[6] == 0));
}

#[test]
fn an_inactive_chain_opens_chip_by_chip() {
    let mut bench = Bench::new(settings(ChipType::Bm1362, 5));
    bench.ask(&command(&INACTIVE));
    for count in 0..5_u8 {
        let replies = bench.ask(&read_all(0));
        let addresses: Vec<u8> = replies.chunks(9).map(|reply| reply[6]).collect();
        let expected: Vec<u8> = (0..count)
            .map(|index| 0x10 + index * 2)
            .chain([0])
            .collect();
        assert_eq!(
            addresses, expected,
            "the addressed ones, then the first without"
        );
        bench.ask(&set_address(0x10 + count * 2));
    }
    bench.ask(&set_address(0x40));
    let replies = bench.ask(&read_all(0));
    assert_eq!(
        replies.len(),
        45,
        "an address that no chip is left for goes unused"
    );
    let single = bench.ask(&command(&[0x42, 5, 0x14, 0]));
    assert_eq!(
        single,
        [
            &[0xAA, 0x55, 0x13, 0x62, 0x03, 0x14, 0x14, 0x00][..],
            &single[8..]
        ]
        .concat()
    );
}

#[test]
fn answers_take_their_time_on_the_wire() {
    let mut bench = Bench::new(settings(ChipType::Bm1362, 126));
    bench.send(&read_all(0));
    // 7 bytes out and 1134 back at 115740 baud take 98.6 ms; half of that brings about half.
    bench.wait(Duration::from_millis(50));
    let half = bench.heard.len();
    assert!((450..600).contains(&half), "{half}");
    bench.wait(Duration::from_millis(52));
    assert_eq!(bench.heard.len(), 126 * 9);
}

#[test]
fn replies_grow_when_version_rolling_is_written() {
    let mut bench = Bench::new(settings(ChipType::Bm1366, 1));
    assert_eq!(bench.ask(&read_all(0)).len(), 9);
    bench.ask(&write_all(0xA4, 0x9000_FFFF));
    assert_eq!(bench.ask(&read_all(0)).len(), 11);
}

#[test]
fn a_speed_that_only_the_host_changed_gives_garbage() {
    let mut bench = Bench::new(settings(ChipType::Bm1362, 10));
    bench.send(&read_all(0));
    bench.wait(Duration::from_millis(1));
    bench.heard.clear();
    bench.chain.set_host_baud(Some(1_000_000));
    bench.wait(Duration::from_millis(100));
    assert!(!bench.heard.is_empty(), "not silence");
    assert!(
        !bench.heard.windows(2).any(|pair| pair == [0xAA, 0x55]),
        "not frames"
    );
    assert!(
        bench.ask(&read_all(0)).is_empty(),
        "chips do not understand the host either"
    );
}

#[test]
fn both_sides_at_the_new_speed_understand_each_other() {
    let mut bench = Bench::new(settings(ChipType::Bm1362, 126));
    bench.ask(&write_all(0x28, 0x1130_0000));
    assert!(bench.ask(&read_all(0)).is_empty());
    bench.chain.set_host_baud(Some(3_125_000));
    assert_eq!(bench.ask(&read_all(0)).len(), 126 * 9);
}

#[test]
fn the_reset_line_restores_everything() {
    let mut bench = Bench::new(settings(ChipType::Bm1362, 3));
    bench.bring_up(0xFC);
    bench.ask(&write_all(0x28, 0x1130_0000));
    bench.chain.set_reset(true);
    assert!(bench.ask(&read_all(0)).is_empty());
    bench.chain.set_reset(false);
    let replies = bench.ask(&read_all(0));
    assert_eq!(replies.len(), 27, "short replies at 115740 baud");
    assert!(
        replies
            .chunks(9)
            .all(|reply| reply[5] == 0 && reply[6] == 0)
    );
}

#[test]
fn a_damaged_frame_is_dropped_and_the_next_one_heard() {
    let mut bench = Bench::new(settings(ChipType::Bm1362, 1));
    let mut damaged = read_all(0);
    damaged[4] ^= 0x10;
    assert!(bench.ask(&damaged).is_empty());
    assert_eq!(bench.ask(&read_all(0)).len(), 9);
    assert_eq!(
        bench
            .ask(&[&[0x55, 0x55, 0xAA, 0x99, 0x00][..], &read_all(0)].concat())
            .len(),
        9
    );
}

#[test]
fn every_nonce_verifies_and_carries_its_version_and_place() {
    let mut bench = Bench::new(settings(ChipType::Bm1362, 126));
    bench.bring_up(0);
    let job = hex(JOB);
    bench.send(&job);
    bench.wait(Duration::from_secs(1));
    let heard = nonces(&bench.heard)
        .into_iter()
        .map(<[u8]>::to_vec)
        .collect::<Vec<_>>();
    // 200 kH/s at 10 bits make about 195 a second.
    assert!((140..260).contains(&heard.len()), "{}", heard.len());
    let mut versions = std::collections::BTreeSet::new();
    let mut chips = std::collections::BTreeSet::new();
    for frame in &heard {
        let version = u16::from_be_bytes([frame[8], frame[9]]);
        let hash = hash(&header(&job, &frame[2..6], version));
        assert!(leading_zero_bits(&hash) >= 10, "{frame:02x?}");
        assert_eq!(
            u16::from(frame[7] & 7),
            version & 7,
            "sub-core and version agree"
        );
        assert_eq!(frame[7] & 0xF8, 0x68);
        let word = u32::from_be_bytes(frame[2..6].try_into().unwrap());
        assert!(word >> 25 < 65, "a core that exists");
        let chip = word >> 17 & 0xFF;
        assert!(
            chip < 252 && chip % 2 == 0,
            "an address that was given: {chip:02x}"
        );
        versions.insert(version);
        chips.insert(chip);
    }
    assert!(
        versions.len() > 100 && chips.len() > 60,
        "{} {}",
        versions.len(),
        chips.len()
    );
    let different: std::collections::BTreeSet<_> = heard.iter().collect();
    assert_eq!(different.len(), heard.len(), "none twice");
}

#[test]
fn the_version_mask_bounds_what_is_rolled() {
    let mut bench = Bench::new(settings(ChipType::Bm1362, 4));
    bench.bring_up(0);
    bench.ask(&write_all(0xA4, 0x9000_00F0));
    bench.send(&hex(JOB));
    bench.wait(Duration::from_secs(2));
    let heard = nonces(&bench.heard).len();
    assert!(
        nonces(&bench.heard)
            .iter()
            .all(|frame| u16::from_be_bytes([frame[8], frame[9]]) & !0xF0 == 0)
    );
    // 16 versions on 8 sub-cores are two sweeps of 0x1381 ticks: after 0.4 ms nothing is left to search.
    assert!(heard < 5, "{heard}");
}

#[test]
fn the_ticket_mask_filters() {
    let count = |mask| {
        let mut bench = Bench::new(settings(ChipType::Bm1362, 126));
        bench.bring_up(mask);
        bench.send(&hex(JOB));
        bench.wait(Duration::from_millis(1500));
        let job = hex(JOB);
        for frame in nonces(&bench.heard) {
            let hash = hash(&header(
                &job,
                &frame[2..6],
                u16::from_be_bytes([frame[8], frame[9]]),
            ));
            let wanted = 10 + mask.count_ones();
            assert!(leading_zero_bits(&hash) >= wanted);
            assert_eq!(
                u32::from(frame[6]),
                leading_zero_bits(&hash) - wanted,
                "bits beyond those asked for"
            );
        }
        nonces(&bench.heard).len()
    };
    let (all, sixteenth) = (count(0), count(0x0000_00F0));
    assert!(
        sixteenth * 8 < all && sixteenth * 32 > all,
        "{all} {sixteenth}"
    );
}

#[test]
fn hash_counting_number_zero_halts() {
    let mut bench = Bench::new(settings(ChipType::Bm1362, 126));
    bench.bring_up(0);
    bench.send(&hex(JOB));
    bench.wait(Duration::from_millis(200));
    assert!(!bench.heard.is_empty());
    bench.ask(&write_all(0x10, 0));
    bench.send(&hex(JOB));
    bench.wait(Duration::from_secs(1));
    assert!(bench.heard.is_empty());
}

#[test]
fn work_runs_out_after_one_epoch() {
    let mut bench = Bench::new(settings(ChipType::Bm1362, 126));
    bench.bring_up(0);
    bench.send(&hex(JOB));
    // 65536 / 8 sweeps of 0x1381 ticks of 25 MHz: 1.64 s.
    bench.wait(Duration::from_millis(1700));
    assert!(!bench.heard.is_empty());
    bench.heard.clear();
    bench.wait(Duration::from_secs(2));
    assert!(bench.heard.is_empty());
}

#[test]
fn nonces_of_the_old_job_still_arrive_after_the_new_one() {
    let mut crowded = settings(ChipType::Bm1362, 126);
    crowded.hashes_per_second = 2_000_000.0;
    let mut bench = Bench::new(crowded);
    bench.bring_up(0);
    bench.send(&hex(JOB));
    bench.wait(Duration::from_millis(300));
    bench.heard.clear();
    // bm13xx-rs `command.rs`, job 0xA8.
    bench.send(&hex("55aa2136a801000000005024041783de70652d19757466632146b8717a7efe83ec35c096f3a4c0d886daa80e702eede996710000000000000000ff8602005ba4a50e55d300fcae0ed556d776d81a38e1991f0000002030b9"));
    bench.wait(Duration::from_millis(50));
    bench.heard.clear();
    bench.wait(Duration::from_millis(500));
    let whole = bench.heard.iter().position(|byte| *byte == 0xAA).unwrap();
    let jobs: Vec<u8> = bench.heard[whole..]
        .chunks_exact(11)
        .map(|frame| frame[7] & 0xF8)
        .collect();
    assert!(jobs.contains(&0x68), "stale ones first");
    assert_eq!(jobs.last(), Some(&0xA8), "then the new job's");
}

#[test]
fn a_line_that_is_too_slow_counts_overflows() {
    let mut crowded = settings(ChipType::Bm1362, 126);
    crowded.hashes_per_second = 4_000_000.0;
    let mut bench = Bench::new(crowded);
    bench.bring_up(0);
    bench.send(&hex(JOB));
    bench.wait(Duration::from_secs(1));
    let lost: u32 = bench.chain.chips().iter().map(|chip| chip.overflows).sum();
    assert!(lost > 0);
}

#[test]
fn the_way_time_is_cut_changes_nothing() {
    let run = |step: u64| {
        let mut bench = Bench::new(settings(ChipType::Bm1370, 7));
        bench.bring_up(0x03);
        bench.send(&hex(JOB));
        for _ in 0..600 / step {
            bench.wait(Duration::from_millis(step));
        }
        bench.heard
    };
    let whole = run(600);
    assert!(!whole.is_empty());
    assert_eq!(whole, run(1));
    assert_eq!(
        whole,
        run(7)[..run(7).len().min(whole.len())],
        "595 ms are a part of 600"
    );
}

#[test]
fn nonce_offsets_place_a_bm1370() {
    let mut bench = Bench::new(settings(ChipType::Bm1370, 2));
    bench.bring_up(0);
    bench.ask(&command(&[0x41, 9, 0x02, 0x0C, 0x80, 0x00, 0xF8, 0x20]));
    bench.send(&hex(JOB));
    bench.wait(Duration::from_millis(400));
    let places: Vec<u32> = nonces(&bench.heard)
        .iter()
        .map(|frame| (u32::from_be_bytes(frame[2..6].try_into().unwrap()) & 0x01FF_FFFF) >> 9)
        .collect();
    assert!(
        places.iter().any(|place| *place < 0x1000) && places.iter().any(|place| *place >= 0xF820)
    );
    assert!(
        places
            .iter()
            .all(|place| *place < 0x1000 || *place >= 0xF820)
    );
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_from_the_host_make_a_chain_panic(
        bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300),
        writes in proptest::collection::vec((0_u8..=0xFF, proptest::prelude::any::<u32>()), 0..20),
        chip in proptest::sample::select(vec![ChipType::Bm1362, ChipType::Bm1370, ChipType::Bm1397]),
    ) {
        let mut few = settings(chip, 3);
        few.hashes_per_second = 2000.0;
        let mut bench = Bench::new(few);
        bench.send(&bytes);
        for (register, value) in writes {
            bench.send(&write_all(register, value));
            bench.chain.set_host_baud(None);
            bench.send(&read_all(register));
            bench.send(&hex(JOB));
            bench.wait(Duration::from_millis(200));
        }
    }
}
