//! `mining.notify` into the template of a job: all fields checked, all in header byte order.

use super::message::shown;
use super::reject::bounded;
use crate::work::{Target, hex, target::NbitsError};
use serde_json::Value;
use thiserror::Error;

/// Longest job id that is kept; known pools use up to about 20 characters.
const LONGEST_JOB_ID: usize = 256;
/// Most merkle branches: a block of 2^24 transactions cannot exist.
const MOST_BRANCHES: usize = 24;

/// What a pool says about a job; the session adds extranonce, difficulty and version mask.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    /// The pool's name for it.
    pub job_id: Box<str>,
    /// Hash of the previous block, in header byte order.
    pub previous_hash: [u8; 32],
    /// Coinbase in front of the extranonces.
    pub coinbase_1: Box<[u8]>,
    /// Coinbase behind them.
    pub coinbase_2: Box<[u8]>,
    /// Merkle path of the coinbase, nearest sibling first.
    pub merkle_branches: Box<[[u8; 32]]>,
    /// Block version.
    pub version: u32,
    /// Compact network target.
    pub nbits: u32,
    /// The same as a number.
    pub network_target: Target,
    /// Block time.
    pub ntime: u32,
    /// Work on earlier jobs is worthless. A missing flag is false.
    pub clean: bool,
}

/// Which field of a `mining.notify` cannot be used, and why.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NotifyError {
    /// Fewer than the eight fields that a job needs.
    #[error("{0} parameters, a job needs at least 8")]
    TooFew(usize),
    /// A field that should be a text is something else.
    #[error("{field} is no text: {found}")]
    NotText {
        /// Name of the field.
        field: &'static str,
        /// What was there.
        found: String,
    },
    /// A field that should be hex is not, or has the wrong length.
    #[error("{field} is not {expected}: `{found}`")]
    NotHex {
        /// Name of the field.
        field: &'static str,
        /// What was expected.
        expected: &'static str,
        /// What was there.
        found: String,
    },
    /// A job id that is empty or too long.
    #[error("job id of {0} bytes, expected 1 to {LONGEST_JOB_ID}")]
    JobId(usize),
    /// The merkle branches are no list.
    #[error("merkle branches are no list: {0}")]
    BranchesNoList(String),
    /// More branches than any block has.
    #[error("{0} merkle branches, at most {MOST_BRANCHES} can be")]
    TooManyBranches(usize),
    /// A network target that no block could meet.
    #[error("nbits: {0}")]
    Nbits(#[from] NbitsError),
}

impl Template {
    /// Whether both stand for the same headers and the same name: all but the clean flag.
    pub fn is_same_work(&self, other: &Self) -> bool {
        let Self {
            job_id,
            previous_hash,
            coinbase_1,
            coinbase_2,
            merkle_branches,
            version,
            nbits,
            network_target: _,
            ntime,
            clean: _,
        } = self;
        *ntime == other.ntime
            && *previous_hash == other.previous_hash
            && *version == other.version
            && *nbits == other.nbits
            && *job_id == other.job_id
            && *merkle_branches == other.merkle_branches
            && *coinbase_1 == other.coinbase_1
            && *coinbase_2 == other.coinbase_2
    }

    /// Reads the parameters of a `mining.notify`.
    pub fn from_params(params: &[Value]) -> Result<Self, NotifyError> {
        let [
            job_id,
            previous_hash,
            coinbase_1,
            coinbase_2,
            branches,
            version,
            nbits,
            ntime,
            behind @ ..,
        ] = params
        else {
            return Err(NotifyError::TooFew(params.len()));
        };
        let job_id = text("job id", job_id)?;
        if job_id.is_empty() || job_id.len() > LONGEST_JOB_ID {
            return Err(NotifyError::JobId(job_id.len()));
        }
        let nbits = number("nbits", nbits)?;
        Ok(Self {
            job_id: job_id.into(),
            previous_hash: words_swapped(hash("previous hash", previous_hash)?),
            coinbase_1: bytes("coinbase part 1", coinbase_1)?,
            coinbase_2: bytes("coinbase part 2", coinbase_2)?,
            merkle_branches: merkle_branches(branches)?,
            version: number("version", version)?,
            nbits,
            network_target: Target::from_nbits(nbits)?,
            ntime: number("ntime", ntime)?,
            // The last one: some pools repeat a field in front of it.
            clean: behind.last().and_then(Value::as_bool).unwrap_or(false),
        })
    }
}

fn merkle_branches(value: &Value) -> Result<Box<[[u8; 32]]>, NotifyError> {
    let Value::Array(branches) = value else {
        return Err(NotifyError::BranchesNoList(shown(value)));
    };
    if branches.len() > MOST_BRANCHES {
        return Err(NotifyError::TooManyBranches(branches.len()));
    }
    branches
        .iter()
        .map(|branch| hash("merkle branch", branch))
        .collect()
}

/// Stratum sends the previous hash as eight words, each with its bytes reversed against the header.
fn words_swapped(mut hash: [u8; 32]) -> [u8; 32] {
    for word in hash.chunks_exact_mut(4) {
        word.reverse();
    }
    hash
}

fn text<'a>(field: &'static str, value: &'a Value) -> Result<&'a str, NotifyError> {
    value.as_str().ok_or_else(|| NotifyError::NotText {
        field,
        found: shown(value),
    })
}

fn bytes(field: &'static str, value: &Value) -> Result<Box<[u8]>, NotifyError> {
    let text = text(field, value)?;
    hex::decode(text)
        .map(Vec::into_boxed_slice)
        .ok_or_else(|| NotifyError::NotHex {
            field,
            expected: "an even number of hex digits",
            found: bounded(text),
        })
}

fn hash(field: &'static str, value: &Value) -> Result<[u8; 32], NotifyError> {
    let text = text(field, value)?;
    hex::decode(text)
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| NotifyError::NotHex {
            field,
            expected: "64 hex digits",
            found: bounded(text),
        })
}

fn number(field: &'static str, value: &Value) -> Result<u32, NotifyError> {
    let text = text(field, value)?;
    hex::decode(text)
        .and_then(|bytes| bytes.try_into().ok())
        .map(u32::from_be_bytes)
        .ok_or_else(|| NotifyError::NotHex {
            field,
            expected: "8 hex digits",
            found: bounded(text),
        })
}
