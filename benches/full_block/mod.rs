//! The job that benches work on: a coinbase of 200 bytes and 12 merkle branches, as in a full block.

use cgminer_rs::work::{CountedBy, Difficulty, Job, JobId, MerkleRoots, SessionId, Target};
use tokio::time::Instant;

/// All bits of the version may be rolled, ntime may not: where every unit needs a step that is measured, none is saved.
pub fn job() -> Job {
    Job {
        session: SessionId(0),
        sequence: 1,
        id: JobId("bench".into()),
        version: 0x2000_0000,
        version_mask: 0x1FFF_E000,
        previous_hash: [0x17; 32],
        roots: MerkleRoots::Coinbase,
        coinbase_prefix: vec![0x21; 86].into(),
        extranonce2_size: 8,
        coinbase_suffix: vec![0x43; 106].into(),
        merkle_branches: (0..12).map(|index| [index; 32]).collect(),
        nbits: 0x1705_AE3A,
        ntime: 1_700_000_000,
        ntime_roll_limit: 0,
        clean: true,
        share_target: Target::from_difficulty(Difficulty::ONE),
        network_target: Target::HARDEST,
        received_at: Instant::now(),
        counted: CountedBy::default(),
    }
}
