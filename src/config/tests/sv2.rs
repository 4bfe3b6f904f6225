//! Pools of Stratum v2: what is refused, and what is said then.

use super::*;
use crate::pool::settings::Sv2Channel;

const POOL: &str = "stratum2+tcp://pool.example.com:34254";
/// Public test key of the reference implementation's configuration examples (github.com/stratum-mining/sv2-apps).
const KEY: &str = "9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72";

fn pool(url: &str, more: &str) -> String {
    format!("[[pool]]\nurl = \"{url}\"\nuser = \"account.worker\"\n{more}\n")
}

#[test]
fn an_address_with_its_key_is_taken_with_all_that_goes_with_it() {
    let url = format!("{POOL}/{KEY}");
    let more = "sv2_channel = \"standard\"\nsuggest_difficulty = 4096\nversion_rolling = false\npassword = \"x\"\n\
                proxy = \"socks5://127.0.0.1:9050\"";
    let config = parse(&pool(&url, more)).unwrap().config;
    assert_eq!(config.pool[0].url.to_string(), url);
    assert_eq!(config.pool[0].sv2_channel, Some(Sv2Channel::Standard));
    assert_eq!(
        parse(&pool(&url, "")).unwrap().config.pool[0].sv2_channel,
        None
    );
}

#[test]
fn a_key_that_is_missing_or_wrong_is_refused_at_its_place_with_what_to_do() {
    let mistyped = format!("{POOL}/{}", KEY.replace('q', "p"));
    let short = format!("{POOL}/{}", &KEY[..KEY.len() - 1]);
    let no_base58 = format!("{POOL}/{}", KEY.replace('9', "0"));
    let behind = format!("{POOL}/{KEY}/worker");
    for (url, words) in [
        (POOL, "ends with the pool's authority key"),
        (&*format!("{POOL}/"), "ends with the pool's authority key"),
        (&*mistyped, "is no authority key"),
        (&*short, "is no authority key"),
        (&*no_base58, "is no authority key"),
        (&*behind, "is no authority key"),
        ("stratum2+tls://pool.example.com:34254", "no Stratum scheme"),
        (
            &*format!("stratum+tcp://pool.example.com:3333/{KEY}"),
            "remove it",
        ),
    ] {
        let error = error_of(&pool(url, ""));
        assert!(
            error.starts_with("<text>:2:7: pool[0].url: ") && error.contains(words),
            "{url}: {error}"
        );
    }
}

#[test]
fn what_means_nothing_to_stratum_v2_or_without_it_is_refused() {
    let url = format!("{POOL}/{KEY}");
    let pin = format!("tls_pin = \"{}\"", "ab".repeat(32));
    let node = "http://127.0.0.1:8332";
    let payout = "payout_address = \"bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4\"\nsv2_channel = \"extended\"";
    for (url, more, place, words) in [
        (
            &*url,
            "ca_file = \"/etc/ca.pem\"",
            "ca_file",
            "by the key in its address",
        ),
        (&*url, &*pin, "tls_pin", "by the key in its address"),
        (
            &*url,
            "extranonce_subscribe = true",
            "extranonce_subscribe",
            "means nothing to Stratum v2",
        ),
        (&*url, "sv2_channel = \"group\"", "sv2_channel", "standard"),
        (&*url, payout, "url", "for one's own node only"),
        (
            "pool.example.com:3333",
            "sv2_channel = \"standard\"",
            "sv2_channel",
            "stratum2+tcp://host:port/key",
        ),
        (node, payout, "sv2_channel", "for pools of Stratum v2 only"),
    ] {
        let error = error_of(&pool(url, more));
        assert!(
            error.contains(&format!("pool[0].{place}: ")) && error.contains(words),
            "{url} {more}: {error}"
        );
    }
    let error = error_of(&format!("[[pool]]\nurl = \"{url}\"\n"));
    assert!(error.contains("pool[0].user: is missing"), "{error}");
}
