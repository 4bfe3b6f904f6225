//! A node's block template (BIP 22, 23, 145), checked before anything is made of it.

use super::hash::{branches_of_first, merkle_pair, root_of};
use crate::pool::reject::bounded;
use crate::work::job::NTIME_ROLL_LIMIT;
use crate::work::target::NbitsError;
use crate::work::version::ROLLABLE_BITS;
use crate::work::{Target, hex};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, Visitor};
use std::collections::BTreeMap;
use std::fmt;
use thiserror::Error;

/// Most bytes of a `getblocktemplate` answer: a full block in hex, with some 350 bytes around each of 16,000 transactions.
pub const LONGEST_ANSWER: usize = 24 * 1024 * 1024;
/// Most bytes of a block (BIP 141).
const LARGEST_BLOCK: usize = 4_000_000;
/// Bytes kept free for header, transaction count and coinbase.
const RESERVED: usize = 1000;
/// All coins there will ever be, in satoshi; no coinbase can be worth more.
const ALL_COINS: u64 = 2_100_000_000_000_000;
/// Heights from here on would be read as times in `nLockTime`.
const HEIGHT_BOUND: u32 = 500_000_000;
/// Longest `coinbaseaux`; a coinbase script has 100 bytes in all.
const LONGEST_AUX: usize = 40;
/// Why a template is not mined on.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TemplateError {
    /// Not the JSON of a template.
    #[error("the template is malformed: {0}")]
    Malformed(String),
    /// A rule that blocks must keep and that is unknown here.
    #[error(
        "the node enforces the rule `{0}`, which this program does not know: it would make bad blocks"
    )]
    UnknownRule(String),
    /// Signed blocks.
    #[error("the node follows a signet: its blocks need a signature that this program cannot make")]
    Signet,
    /// No room in it for an own coinbase.
    #[error("the template brings its own coinbase: only `coinbasevalue` is understood")]
    FixedCoinbase,
    /// A nonce range that chips cannot be held to.
    #[error("the template restricts the nonce range to {0}: chips cannot be held to that")]
    NonceRange(String),
    /// The target in words and in compact form differ.
    #[error("the template's target {target} is not that of its bits {bits:08x}")]
    Target {
        /// As written.
        target: String,
        /// Compact form.
        bits: u32,
    },
    /// Compact form that is no target.
    #[error(transparent)]
    Nbits(#[from] NbitsError),
    /// A number out of its range.
    #[error("the template's {field} is {value}, out of range")]
    OutOfRange {
        /// Which number.
        field: &'static str,
        /// What it is.
        value: u64,
    },
    /// The witness commitment is not that of the transactions listed.
    #[error("the template's witness commitment does not commit to its transactions")]
    WitnessCommitment,
}

/// A checked template. Hashes are in header byte order.
#[derive(Clone, Debug, PartialEq)]
pub struct BlockTemplate {
    /// Block version that the node prefers.
    pub version: u32,
    /// Version bits that may be rolled without changing what the block signals.
    pub rollable_version_bits: u32,
    /// Hash of the block to build on.
    pub previous_hash: [u8; 32],
    /// Height of the new block.
    pub height: u32,
    /// What the coinbase may pay, in satoshi.
    pub coinbase_value: u64,
    /// Bytes that the node wants in the coinbase script.
    pub coinbase_aux: Box<[u8]>,
    /// Compact network target.
    pub nbits: u32,
    /// Network target.
    pub target: Target,
    /// Block time, seconds since 1970.
    pub time: u32,
    /// How far the block time may be rolled forward.
    pub ntime_roll_limit: u32,
    /// Script of the output that commits to the witnesses; `None` before segwit.
    pub witness_commitment: Option<Box<[u8]>>,
    /// Path of the coinbase in the merkle tree.
    pub merkle_branches: Box<[[u8; 32]]>,
    /// Transactions behind the coinbase, serialized.
    pub transactions: Vec<Box<[u8]>>,
    /// Names this template to a long poll.
    pub long_poll_id: Option<String>,
    /// To be sent back with the block.
    pub work_id: Option<String>,
    /// Whether the node checks proposed blocks (BIP 23).
    pub takes_proposals: bool,
}

impl BlockTemplate {
    /// Reads the `result` of a `getblocktemplate` call.
    pub fn parse(json: &[u8]) -> Result<Self, TemplateError> {
        let Checked(checked) = serde_json::from_slice(json)
            .map_err(|error| TemplateError::Malformed(error.to_string()))?;
        checked
    }
}

/// A template checked while its JSON is read, on whatever thread that is done.
#[derive(Debug, Deserialize)]
#[serde(from = "WireTemplate")]
pub struct Checked(pub Result<BlockTemplate, TemplateError>);

impl From<WireTemplate> for Checked {
    fn from(wire: WireTemplate) -> Self {
        Self(wire.check())
    }
}

/// A template as the node writes it. Unknown members are of no concern.
#[derive(Debug, Deserialize)]
struct WireTemplate {
    version: u32,
    rules: Vec<String>,
    #[serde(default)]
    vbavailable: BTreeMap<String, u32>,
    #[serde(default)]
    vbrequired: u32,
    #[serde(default)]
    capabilities: Vec<String>,
    previousblockhash: Hash,
    transactions: Vec<WireTransaction>,
    #[serde(default)]
    coinbaseaux: BTreeMap<String, HexBytes>,
    coinbasevalue: Option<u64>,
    longpollid: Option<String>,
    workid: Option<String>,
    target: Option<String>,
    #[serde(default)]
    mintime: u32,
    maxtime: Option<u32>,
    #[serde(default)]
    mutable: Vec<String>,
    noncerange: Option<String>,
    sizelimit: Option<usize>,
    curtime: u32,
    bits: String,
    height: u32,
    default_witness_commitment: Option<HexBytes>,
    signet_challenge: Option<String>,
}

#[derive(Debug, Deserialize)]
struct WireTransaction {
    data: HexBytes,
    txid: Hash,
    hash: Hash,
}

impl WireTemplate {
    /// Checks all of it and works out what follows from it: the merkle path and the commitment.
    fn check(self) -> Result<BlockTemplate, TemplateError> {
        if self.signet_challenge.is_some() {
            return Err(TemplateError::Signet);
        }
        let has_segwit = check_rules(&self.rules)?;
        let coinbase_value = self.coinbasevalue.ok_or(TemplateError::FixedCoinbase)?;
        within("coinbasevalue", coinbase_value, 0, ALL_COINS)?;
        within("height", self.height.into(), 1, u64::from(HEIGHT_BOUND) - 1)?;
        within(
            "curtime",
            self.curtime.into(),
            self.mintime.into(),
            u32::MAX.into(),
        )?;
        if let Some(range) = self.noncerange.filter(|range| range != "00000000ffffffff") {
            return Err(TemplateError::NonceRange(shown(&range)));
        }
        let (nbits, target) = check_target(&self.bits, self.target.as_deref())?;
        check_size(&self.transactions, self.sizelimit)?;

        let coinbase_aux: Box<[u8]> = self
            .coinbaseaux
            .into_values()
            .flat_map(|aux| aux.0)
            .collect();
        within(
            "coinbaseaux length",
            coinbase_aux.len() as u64,
            0,
            LONGEST_AUX as u64,
        )?;

        let commitment = has_segwit.then(|| witness_commitment(&self.transactions));
        if let Some(stated) = self.default_witness_commitment {
            if commitment.as_deref() != Some(&*stated.0) {
                return Err(TemplateError::WitnessCommitment);
            }
        }
        let ids: Vec<[u8; 32]> = self.transactions.iter().map(|tx| tx.txid.0).collect();
        let deployments = self
            .vbavailable
            .values()
            .fold(0, |bits, bit| bits | 1_u32.checked_shl(*bit).unwrap_or(0));

        Ok(BlockTemplate {
            version: self.version,
            rollable_version_bits: ROLLABLE_BITS & !(self.version | self.vbrequired | deployments),
            previous_hash: self.previousblockhash.0,
            height: self.height,
            coinbase_value,
            coinbase_aux,
            nbits,
            target,
            time: self.curtime,
            ntime_roll_limit: ntime_roll_limit(&self.mutable, self.curtime, self.maxtime),
            witness_commitment: commitment,
            merkle_branches: branches_of_first(&ids).into(),
            transactions: self
                .transactions
                .into_iter()
                .map(|tx| tx.data.0.into())
                .collect(),
            long_poll_id: self.longpollid.filter(|id| !id.is_empty()),
            work_id: self.workid,
            takes_proposals: self.capabilities.iter().any(|name| name == "proposal"),
        })
    }
}

/// Whether segwit holds. A rule marked `!` changes what a block must look like (BIP 9).
fn check_rules(rules: &[String]) -> Result<bool, TemplateError> {
    let unknown = |rule: &&String| rule.starts_with('!') && *rule != "!segwit";
    if let Some(rule) = rules.iter().find(unknown) {
        return Err(match rule.as_str() {
            "!signet" => TemplateError::Signet,
            rule => TemplateError::UnknownRule(shown(rule)),
        });
    }
    Ok(rules
        .iter()
        .any(|rule| matches!(rule.as_str(), "segwit" | "!segwit")))
}

fn check_target(bits: &str, stated: Option<&str>) -> Result<(u32, Target), TemplateError> {
    let nbits = Some(bits)
        .filter(|bits| bits.len() == 8 && bits.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .and_then(|bits| u32::from_str_radix(bits, 16).ok())
        .ok_or_else(|| TemplateError::Malformed(format!("bits `{}`", shown(bits))))?;
    let target = Target::from_nbits(nbits)?;
    let [a, b, c, d] = target.0;
    let written = format!("{a:016x}{b:016x}{c:016x}{d:016x}");
    if stated.is_some_and(|stated| !stated.eq_ignore_ascii_case(&written)) {
        return Err(TemplateError::Target {
            target: shown(stated.unwrap_or_default()),
            bits: nbits,
        });
    }
    Ok((nbits, target))
}

fn check_size(transactions: &[WireTransaction], limit: Option<usize>) -> Result<(), TemplateError> {
    let bytes: usize = transactions.iter().map(|tx| tx.data.0.len()).sum();
    let limit = limit
        .unwrap_or(LARGEST_BLOCK)
        .min(LARGEST_BLOCK)
        .saturating_sub(RESERVED);
    within("size of transactions", bytes as u64, 0, limit as u64)?;
    // The shortest transaction of consensus has one input, one output and 60 bytes.
    let shortest = transactions.iter().map(|tx| tx.data.0.len()).min();
    within(
        "length of a transaction",
        shortest.unwrap_or(60) as u64,
        60,
        LARGEST_BLOCK as u64,
    )
}

/// Script of the commitment output (BIP 141). The coinbase's own witness hash counts as zero, its reserved value is zero.
fn witness_commitment(transactions: &[WireTransaction]) -> Box<[u8]> {
    const OP_RETURN_PUSH_36: [u8; 2] = [0x6a, 0x24];
    const COMMITMENT: [u8; 4] = [0xaa, 0x21, 0xa9, 0xed];
    let witness_ids: Vec<[u8; 32]> = transactions.iter().map(|tx| tx.hash.0).collect();
    let root = root_of([0; 32], &branches_of_first(&witness_ids));
    let hash = merkle_pair(&root, &[0; 32]);
    [&OP_RETURN_PUSH_36, COMMITMENT.as_slice(), &hash]
        .concat()
        .into()
}

fn ntime_roll_limit(mutable: &[String], now: u32, latest: Option<u32>) -> u32 {
    let may_roll = mutable
        .iter()
        .any(|name| matches!(name.as_str(), "time" | "time/increment"));
    if !may_roll {
        return 0;
    }
    NTIME_ROLL_LIMIT.min(latest.unwrap_or(u32::MAX).saturating_sub(now))
}

fn within(field: &'static str, value: u64, least: u64, most: u64) -> Result<(), TemplateError> {
    if (least..=most).contains(&value) {
        Ok(())
    } else {
        Err(TemplateError::OutOfRange { field, value })
    }
}

fn shown(text: &str) -> String {
    bounded(text)
}

/// Bytes written as hex, decoded where they stand: a template's transactions are not kept twice.
#[derive(Debug, Default)]
struct HexBytes(Vec<u8>);

impl<'de> Deserialize<'de> for HexBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Hex;
        impl Visitor<'_> for Hex {
            type Value = HexBytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes in hex")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<HexBytes, E> {
                hex::decode(text)
                    .map(HexBytes)
                    .ok_or_else(|| E::custom("no bytes in hex"))
            }
        }
        deserializer.deserialize_str(Hex)
    }
}

/// A hash as it is displayed, turned into header byte order.
#[derive(Debug)]
struct Hash([u8; 32]);

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut bytes = HexBytes::deserialize(deserializer)?.0;
        bytes.reverse();
        let hash = bytes
            .try_into()
            .map_err(|_| D::Error::custom("a hash has 64 digits"))?;
        Ok(Self(hash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    const RECORDED: [&str; 3] = [
        include_str!("../../../tests/data/gbt/regtest-0-transactions.json"),
        include_str!("../../../tests/data/gbt/regtest-1-transaction.json"),
        include_str!("../../../tests/data/gbt/regtest-4-transactions.json"),
    ];

    fn recorded() -> Value {
        serde_json::from_str(RECORDED[2]).unwrap()
    }

    fn parse(template: &Value) -> Result<BlockTemplate, TemplateError> {
        BlockTemplate::parse(template.to_string().as_bytes())
    }

    /// The recorded template with one member set, or taken out by null.
    fn with(member: &str, value: Value) -> Value {
        let mut template = recorded();
        let members = template.as_object_mut().unwrap();
        if value.is_null() {
            members.remove(member);
        } else {
            members.insert(member.to_owned(), value);
        }
        template
    }

    #[test]
    fn recorded_templates_are_taken_and_their_commitments_recomputed() {
        for (text, count) in RECORDED.into_iter().zip([0, 1, 4]) {
            let template = BlockTemplate::parse(text.as_bytes()).unwrap();
            let wire: Value = serde_json::from_str(text).unwrap();
            assert_eq!(template.transactions.len(), count);
            assert_eq!(u64::from(template.height), wire["height"]);
            assert_eq!(template.coinbase_value, wire["coinbasevalue"]);
            assert_eq!(template.nbits, 0x207f_ffff);
            assert_eq!(template.time, wire["curtime"].as_u64().unwrap() as u32);
            assert_eq!(template.ntime_roll_limit, 600);
            assert_eq!(template.rollable_version_bits, 0x1fff_e000);
            assert_eq!(
                template.long_poll_id.as_deref(),
                wire["longpollid"].as_str()
            );
            assert!(template.takes_proposals);
            // Equal to the node's, or parsing would have failed.
            assert!(template.witness_commitment.is_some());
        }
    }

    #[test]
    fn a_template_that_states_no_commitment_gets_the_same_one() {
        let without = parse(&with("default_witness_commitment", Value::Null)).unwrap();
        assert_eq!(without, parse(&recorded()).unwrap());
    }

    #[test]
    fn what_must_not_be_mined_on_is_named() {
        type Check = fn(&TemplateError) -> bool;
        let mut other_commitment = recorded()["default_witness_commitment"]
            .as_str()
            .unwrap()
            .to_owned();
        other_commitment.pop();
        other_commitment.push('0');
        let rows: Vec<(Value, Check)> = vec![
            (with("rules", json!(["csv", "!blake2b"])), |e| {
                *e == TemplateError::UnknownRule("!blake2b".into())
            }),
            (with("rules", json!(["!segwit", "!signet"])), |e| {
                *e == TemplateError::Signet
            }),
            (with("signet_challenge", json!("51")), |e| {
                *e == TemplateError::Signet
            }),
            (with("coinbasevalue", Value::Null), |e| {
                *e == TemplateError::FixedCoinbase
            }),
            (with("noncerange", json!("00000000000fffff")), |e| {
                matches!(e, TemplateError::NonceRange(_))
            }),
            (
                with("default_witness_commitment", json!(other_commitment)),
                |e| *e == TemplateError::WitnessCommitment,
            ),
            (with("target", json!("00".repeat(32))), |e| {
                matches!(e, TemplateError::Target { .. })
            }),
            (with("bits", json!("1d00ffff")), |e| {
                matches!(e, TemplateError::Target { .. })
            }),
            (with("bits", json!("+07fffff")), |e| {
                matches!(e, TemplateError::Malformed(_))
            }),
            (with("bits", json!("00000000")), |e| {
                matches!(e, TemplateError::Nbits(_))
            }),
            (
                with("coinbasevalue", json!(2_100_000_000_000_001_u64)),
                is_out_of_range,
            ),
            (with("height", json!(0)), is_out_of_range),
            (with("height", json!(500_000_000)), is_out_of_range),
            (with("mintime", json!(4_294_967_295_u32)), is_out_of_range),
            (with("sizelimit", json!(1200)), is_out_of_range),
            (
                with("coinbaseaux", json!({"flags": "00".repeat(41)})),
                is_out_of_range,
            ),
            (with("coinbaseaux", json!({"flags": "0"})), is_malformed),
            (
                with("previousblockhash", json!("00".repeat(31))),
                is_malformed,
            ),
            (with("transactions", json!([{"data": "zz"}])), is_malformed),
            (with("version", json!("2")), is_malformed),
            (with("height", json!(-1)), is_malformed),
            (json!([]), is_malformed),
            (Value::Null, is_malformed),
        ];
        for (template, is_right) in rows {
            let error = parse(&template).expect_err("must be refused");
            assert!(is_right(&error), "{error:?}");
        }
    }

    fn is_out_of_range(error: &TemplateError) -> bool {
        matches!(error, TemplateError::OutOfRange { .. })
    }

    fn is_malformed(error: &TemplateError) -> bool {
        matches!(error, TemplateError::Malformed(_))
    }

    #[test]
    fn bits_that_signal_are_not_rolled() {
        let mut template = with("vbavailable", json!({"a": 13, "b": 31, "c": 99}));
        template["vbrequired"] = json!(0x4000);
        template["version"] = json!(0x2000_8000);
        let template = parse(&template).unwrap();
        assert_eq!(template.rollable_version_bits, 0x1fff_0000);
        assert_eq!(template.version, 0x2000_8000);
    }

    #[test]
    fn time_is_rolled_only_where_the_node_lets_it() {
        let now = recorded()["curtime"].as_u64().unwrap();
        let limit = |template: &Value| parse(template).unwrap().ntime_roll_limit;
        assert_eq!(limit(&with("mutable", json!(["transactions"]))), 0);
        assert_eq!(limit(&with("maxtime", json!(now + 10))), 10);
        assert_eq!(limit(&with("maxtime", json!(now - 10))), 0);
    }

    #[test]
    fn a_cut_template_is_an_error_wherever_it_is_cut() {
        for text in RECORDED {
            let text = text.trim_end();
            for end in 0..text.len() {
                assert!(
                    BlockTemplate::parse(&text.as_bytes()[..end]).is_err(),
                    "cut at {end}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_template_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = BlockTemplate::parse(&bytes);
        }

        #[test]
        fn a_template_with_one_byte_changed_never_panics(at in 0_usize..4000, byte: u8) {
            let mut bytes = RECORDED[2].as_bytes().to_vec();
            let at = at % bytes.len();
            bytes[at] = byte;
            let _ = BlockTemplate::parse(&bytes);
        }

        #[test]
        fn numbers_of_any_size_never_panic(
            member in "(version|vbrequired|coinbasevalue|mintime|maxtime|curtime|height|sizelimit)",
            value: i64,
        ) {
            let _ = parse(&with(&member, json!(value)));
        }
    }
}
