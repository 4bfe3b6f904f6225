//! Single notifies into jobs, held to what their sources say of them.

use super::recording::{hex_bytes, job_from, lines_of};
use bitcoin::consensus::Decodable;
use bitcoin::hashes::{Hash, sha256d};
use cgminer_rs::work::Job;

/// Parses the coinbase with an extranonce2 of zeros as a transaction.
fn coinbase_of(job: &Job) -> bitcoin::Transaction {
    let extranonce2 = vec![0; usize::from(job.extranonce2_size)];
    let bytes = [&*job.coinbase_prefix, &extranonce2, &*job.coinbase_suffix].concat();
    bitcoin::Transaction::consensus_decode(&mut bytes.as_slice()).unwrap()
}

#[test]
fn coinbases_of_ckpools_templates_are_transactions() {
    for (name, branches) in [
        ("four-txns", 3),
        ("one-txn", 1),
        ("three-txns", 2),
        ("two-txns", 2),
    ] {
        let lines = lines_of(&format!("p2poolv2-gbt-{name}"));
        assert_eq!(lines.len(), 1);
        let job = job_from(&lines[0].text, &[0; 4], 8, 1.0);
        assert_eq!(job.merkle_branches.len(), branches, "{name}");
        assert!(job.clean && coinbase_of(&job).is_coinbase(), "{name}");
    }
}

#[test]
fn the_merkle_root_of_a_published_verifier_is_met() {
    let lines = lines_of("esp-miner-bm1397-verifier");
    assert_eq!(lines.len(), 1);
    let expect = &lines[0].expect;
    let extranonce1 = hex_bytes(expect["extranonce1"].as_str().unwrap());
    let extranonce2 = hex_bytes(expect["extranonce2"].as_str().unwrap());
    let job = job_from(
        &lines[0].text,
        &extranonce1,
        u8::try_from(extranonce2.len()).unwrap(),
        1.0,
    );
    let coinbase = coinbase_of(&job);
    let root = job
        .merkle_branches
        .iter()
        .fold(*coinbase.compute_txid().as_raw_hash(), |root, branch| {
            sha256d::Hash::hash(&[root.as_byte_array().as_slice(), branch].concat())
        });
    assert_eq!(
        root.as_byte_array().as_slice(),
        hex_bytes(expect["merkle_root"].as_str().unwrap())
    );
}

#[test]
fn a_notify_of_poolin_makes_a_job() {
    let lines = lines_of("poolin-notify");
    assert_eq!(lines.len(), 1);
    let job = job_from(&lines[0].text, &[0; 4], 8, 1.0);
    assert_eq!(
        (&*job.id.0, job.nbits, job.ntime),
        ("2236695", 0x1702_1a42, 0x6a51_1559)
    );
}
