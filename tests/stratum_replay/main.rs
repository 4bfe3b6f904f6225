//! Every recorded line of real pools, played against the session. Nothing is skipped: each line is
//! either part of a played conversation or named in a table with what it must be read as.

#![allow(clippy::unwrap_used)] // a recording that cannot be read is a failure

mod conversations;
mod jobs;
mod lines;
mod play;
mod recording;

use recording::sessions;

#[test]
fn every_recorded_session_has_a_test_here() {
    let names: Vec<String> = sessions().into_keys().collect();
    let tested = [
        "braiins-v1",
        "esp-miner-bm1397-verifier",
        "esp-miner-unit",
        "p2poolv2-gbt-four-txns",
        "p2poolv2-gbt-one-txn",
        "p2poolv2-gbt-three-txns",
        "p2poolv2-gbt-two-txns",
        "poolin-notify",
        "recorded-ckpool-lhr",
        "recorded-ckpool-lhr-lowdiff",
        "recorded-ckproxy",
        "recorded-datum_gateway",
        "recorded-datum_gateway-accepted",
    ];
    assert_eq!(names, tested);
}
