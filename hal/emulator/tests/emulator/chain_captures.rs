//! The emulated chips against bytes of production hardware. Each capture names its public source.

use crate::common::{
    Bench, command, hash, header, hex, leading_zero_bits, read_all, settings, write_all,
};
use cgminer_emulator::chain::{ChipType, Focus};
use std::time::Duration;

/// BM1366 over FTDI, testnet, July 2023: comment in early ESP-Miner `bm1366.c`.
const BM1366_JOB: &str = "55aa2156280100000000f8952419e016af64f3c00910cbdaf23f0fffdf3f7b42acc98d70ed9bbfba1b1d4474ede0322885c7000000000c000000659049105857dda2478a5e7cccfe036fe8be8ef8c25721d4000000203c3f";
const BM1366_REPLIES: [(&str, u16); 4] = [
    ("aa55083928a9032b000396", 3),
    ("aa551a514ebe012800008a", 0),
    ("aa554272d2df0429000199", 1),
    ("aa5556b35f2b0329000192", 1),
];

#[test]
fn captured_bm1366_job_gives_the_captured_replies_at_full_difficulty() {
    for (reply, variant) in BM1366_REPLIES {
        let reply = hex(reply);
        let mut full = settings(ChipType::Bm1366, 1);
        full.hardwired_zero_bits = 32;
        let mut bench = Bench::new(full);
        bench.bring_up(0);
        let nonce = u32::from_be_bytes(reply[2..6].try_into().unwrap());
        bench.chain.set_focus(Some(Focus {
            first_nonce: nonce - 300,
            nonces: 600,
            first_variant: u32::from(variant) / 8 * 8,
            variants: 8,
        }));
        assert_eq!(bench.ask(&hex(BM1366_JOB)), reply);
        let hash = hash(&header(&hex(BM1366_JOB), &reply[2..6], variant));
        assert!(leading_zero_bits(&hash) >= 32);
    }
}

/// Registers read back as production chips answer: mujina `protocol.rs` and `REFERENCE.md`, `DCENT_OS`
/// `assigned_address.rs`, bm13xx-rs `response.rs`, skot's BM1397 notes.
#[test]
fn identities_read_back_as_captured() {
    for (chip, long, reply) in [
        (ChipType::Bm1370, true, "aa55137000000000000010"),
        (ChipType::Bm1370, false, "aa5513700000000006"),
        (ChipType::Bm1366, true, "aa55136600000000000005"),
        (ChipType::Bm1368, true, "aa5513680000000000000f"),
        (ChipType::Bm1362, true, "aa5513620300000000001e"),
        (ChipType::Bm1397, false, "aa5513971800000006"),
    ] {
        let mut bench = Bench::new(settings(chip, 1));
        if long {
            bench.ask(&hex("55aa510900a49000ffff1c"));
        }
        assert_eq!(bench.ask(&hex("55aa520500000a")), hex(reply), "{chip:?}");
    }
}

#[test]
fn misc_control_of_a_fresh_bm1370_reads_as_captured() {
    let mut bench = Bench::new(settings(ChipType::Bm1370, 1));
    assert_eq!(bench.ask(&read_all(0x18)), hex("aa550000c100001802"));
}

#[test]
fn an_addressed_s19j_pro_chain_answers_as_captured() {
    let mut bench = Bench::new(settings(ChipType::Bm1362, 126));
    bench.bring_up(0xFC);
    let replies = bench.ask(&read_all(0));
    assert_eq!(replies.len(), 126 * 11);
    for (address, reply) in [
        (0xCA, "aa55136203caca00000008"),
        (0xCC, "aa55136203cccc00000012"),
        (0xF0, "aa55136203f0f00000000d"),
        (0xFA, "aa55136203fafa00000006"),
    ] {
        let at = address / 2 * 11;
        assert_eq!(
            &replies[at..at + 11],
            hex(reply),
            "chip {address:02x} in chain order"
        );
    }
}

/// Command frames from captures (mujina, ESP-Miner, skot): each must be taken for what it is.
#[test]
fn captured_commands_are_obeyed() {
    for (chip, frame, register, value) in [
        (ChipType::Bm1370, "55aa5109001000001eb50f", 0x10, 0x1EB5),
        (
            ChipType::Bm1370,
            "55aa510900a49000ffff1c",
            0xA4,
            0x9000_FFFF,
        ),
        (
            ChipType::Bm1370,
            "55aa510900a80007000003",
            0xA8,
            0x0007_0000,
        ),
        (ChipType::Bm1370, "55aa510900540000000218", 0x54, 2),
        (
            ChipType::Bm1366,
            "55aa51090018ff0fc10000",
            0x18,
            0xFF0F_C100,
        ),
        (
            ChipType::Bm1366,
            "55aa4109002c007c000303",
            0x2C,
            0x007C_0003,
        ),
        (
            ChipType::Bm1366,
            "55aa510900580211411113",
            0x58,
            0x0211_4111,
        ),
        (ChipType::Bm1397, "55aa51090080000000001c", 0x80, 0),
        (
            ChipType::Bm1397,
            "55aa510900700f0f0f0019",
            0x70,
            0x0F0F_0F00,
        ),
    ] {
        let mut bench = Bench::new(settings(chip, 1));
        bench.ask(&hex(frame));
        assert_eq!(bench.chain.chips()[0].read(register, 0.0), value, "{frame}");
    }
}

#[test]
fn a_published_frame_with_a_wrong_checksum_is_not_obeyed() {
    // Two public documents print 15 as the last byte of this frame; 03 is right.
    let mut bench = Bench::new(settings(ChipType::Bm1362, 1));
    bench.ask(&command(&crate::common::INACTIVE));
    bench.ask(&hex("55aa4005040015"));
    assert!(!bench.chain.chips()[0].addressed);
    bench.ask(&hex("55aa4005040003"));
    assert_eq!(
        (
            bench.chain.chips()[0].addressed,
            bench.chain.chips()[0].address
        ),
        (true, 4)
    );
}

/// Block 125552 on a BM1397: the midstate from braiins/braiins `test_blocks.rs`, the nonce from the block itself.
#[test]
fn a_bm1397_finds_a_historic_block_from_its_midstate() {
    let block = hex(
        "01000000b3aec10cfb91d39d005f1a1e2a127a81e4af245fc0c4b6d088040000000000007e6ebbf2035cab9376138a28ef231f055fc9d6753fdb0f8309f3e9a02fa722ce1426674f87320b1a000187a2",
    );
    let midstate = hex("e48f544a9a3afa71451471134df6c35682b400254bfe0860c99876bf4679ba4e");
    let wire_midstate: Vec<u8> = midstate.rchunks(4).flatten().copied().collect();
    let body = [
        &[0x21, 0x36, 0x04, 1, 0, 0, 0, 0][..],
        &block[72..76],
        &block[68..72],
        &block[64..68],
        &wire_midstate,
    ]
    .concat();
    let crc = cgminer_emulator::chain::codec::crc16(&body).to_be_bytes();
    let frame = [&[0x55, 0xAA][..], &body, &crc].concat();
    let mut full = settings(ChipType::Bm1397, 1);
    full.hardwired_zero_bits = 32;
    let mut bench = Bench::new(full);
    bench.ask(&write_all(0x08, 0x40A0_0225));
    let nonce = u32::from_be_bytes(block[76..80].try_into().unwrap());
    bench.chain.set_focus(Some(Focus {
        first_nonce: nonce - 100,
        nonces: 200,
        first_variant: 0,
        variants: 4,
    }));
    let reply = bench.ask(&frame);
    assert_eq!(reply.len(), 9);
    assert_eq!(reply[2..6], block[76..80]);
    assert_eq!(reply[7], 0x04, "job header with midstate index 0");
    assert!(leading_zero_bits(&hash(&block)) >= 32);
}

/// Job frames whose checksum covers a length byte that counts the frame (0x56) and one that does not (0x36).
#[test]
fn a_full_header_chip_takes_both_length_bytes() {
    for frame in [
        // bm13xx-rs `command.rs`
        "55aa2136a801000000005024041783de70652d19757466632146b8717a7efe83ec35c096f3a4c0d886daa80e702eede996710000000000000000ff8602005ba4a50e55d300fcae0ed556d776d81a38e1991f0000002030b9",
        // mujina `test_data.rs`, Bitaxe Gamma
        "55aa2156680100000000043a0217d76854685519a7cb044f88726355919e61a98bcf71a0c28795ea54db8c36414b06ddf5f00000000000000000965201001d3996bca3f4670dfcd4f201c162b96dfd55646b00000020721c",
    ] {
        let mut bench = Bench::new(settings(ChipType::Bm1366, 1));
        bench.send(&hex(frame));
        bench.wait(Duration::from_millis(50));
        assert_eq!(
            bench.chain.chips()[0].work.as_ref().unwrap().job.header,
            hex(frame)[4]
        );
    }
}

/// One and four midstates: bm13xx-rs `command.rs`, ESP-Miner `verifiers/bm1397.py`.
#[test]
fn a_bm1397_takes_captured_midstate_jobs() {
    for frame in [
        "55aa2136000100000000159e071775328e63a2b36a70de604a09e9301de1256d7eb80ea1e64382df61141503966c185f502f5574d4bad3dc",
        "55aa219604040000000001dd0517d88b6564c604a8464d3185f25f7d5de0e3591741cb21cae11574ddd65d490d3d68739f8a52eadf910000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000006b1d",
    ] {
        let mut bench = Bench::new(settings(ChipType::Bm1397, 1));
        bench.send(&hex(frame));
        bench.wait(Duration::from_millis(50));
        let job = &bench.chain.chips()[0].work.as_ref().unwrap().job;
        assert_eq!(
            (job.header, job.variants(0)),
            (hex(frame)[4], u32::from(hex(frame)[5]))
        );
    }
}
