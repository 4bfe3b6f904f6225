//! What a pool says, out of its frames: all fields checked, all hashes in header byte order.

use super::frame::Frame;
use crate::pool::reject::{PoolError, bounded};
use crate::work::Target;
use crate::work::target::NbitsError;
use binary_sv2::{B064K, Seq0255, U256, from_bytes};
use common_messages_sv2 as common;
use mining_sv2 as mining;
use thiserror::Error;

/// Most merkle branches: a block of 2^24 transactions cannot exist.
const MOST_BRANCHES: usize = 24;
/// Most bytes of the miner's part of an extranonce; a submit has no room for more.
const MOST_EXTRANONCE: u16 = 32;

/// A pool's message.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// The connection is set up.
    SetupSuccess {
        /// Version of the protocol; only 2 exists.
        version: u16,
        /// What the pool wants of its miners.
        flags: u32,
    },
    /// The connection is refused.
    SetupError(PoolError),
    /// A channel is open.
    ChannelOpen(ChannelOpen),
    /// A channel is refused.
    OpenError {
        /// The request.
        request: u32,
        /// Why.
        error: PoolError,
    },
    /// A job.
    Job(JobMessage),
    /// A new block: work on a job that was sent ahead.
    NewPreviousHash(NewPreviousHash),
    /// A target for later jobs, and those sent ahead.
    SetTarget {
        /// Channel or group.
        channel: u32,
        /// The target.
        target: Target,
    },
    /// An extranonce prefix for later jobs.
    SetExtranoncePrefix {
        /// Channel.
        channel: u32,
        /// The prefix.
        prefix: Box<[u8]>,
    },
    /// Channels that share messages.
    SetGroup {
        /// Name of the group.
        group: u32,
        /// Its channels.
        channels: Vec<u32>,
    },
    /// Shares were accepted.
    Accepted {
        /// Channel.
        channel: u32,
        /// The newest of them.
        last: u32,
        /// How many.
        count: u32,
    },
    /// A share was rejected.
    Rejected {
        /// Channel.
        channel: u32,
        /// The share.
        sequence: u32,
        /// Why.
        error: PoolError,
    },
    /// What we told of a channel is refused.
    UpdateError(PoolError),
    /// A channel is closed.
    Closed {
        /// Channel or group.
        channel: u32,
        /// Why.
        reason: String,
    },
    /// Connect anew.
    Reconnect {
        /// Where; empty: to the same host.
        host: String,
        /// At which port; 0: at the same.
        port: u16,
    },
    /// A kind that a miner has no use for.
    Unknown(u8),
}

/// An open channel.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelOpen {
    /// The request.
    pub request: u32,
    /// Name of the channel.
    pub channel: u32,
    /// Name of its group.
    pub group: u32,
    /// Target for its first job.
    pub target: Target,
    /// The pool's part of the extranonce.
    pub prefix: Box<[u8]>,
    /// Bytes of ours, 1 to 32; none for a standard channel.
    pub extranonce_size: Option<u8>,
}

/// A job, without what `NewPreviousHash` adds.
#[derive(Clone, Debug, PartialEq)]
pub struct JobMessage {
    /// Channel or group.
    pub channel: u32,
    /// The pool's name for it.
    pub id: u32,
    /// Earliest block time; none: the job is for the next block.
    pub min_ntime: Option<u32>,
    /// Block version.
    pub version: u32,
    /// Whether bits of it may be rolled.
    pub version_rolling: bool,
    /// What the merkle root comes from.
    pub body: JobBody,
}

/// What a job's merkle root comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum JobBody {
    /// A coinbase, in the form that its transaction id is made of.
    Coinbase {
        /// In front of the extranonce.
        prefix: Box<[u8]>,
        /// Behind it.
        suffix: Box<[u8]>,
        /// Merkle path, nearest sibling first.
        branches: Box<[[u8; 32]]>,
    },
    /// The pool has made it.
    Root([u8; 32]),
}

/// A new block.
#[derive(Clone, Debug, PartialEq)]
pub struct NewPreviousHash {
    /// Channel or group.
    pub channel: u32,
    /// The job to work on.
    pub job: u32,
    /// Hash of the previous block.
    pub hash: [u8; 32],
    /// Earliest block time.
    pub min_ntime: u32,
    /// Compact network target.
    pub nbits: u32,
    /// The same as a number.
    pub network_target: Target,
}

/// Why a frame is no message that can be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MessageError {
    /// Its bytes have another layout.
    #[error("message 0x{kind:02x} cannot be read: {error}")]
    Layout {
        /// Kind of message.
        kind: u8,
        /// What is wrong.
        error: String,
    },
    /// More branches than any block has.
    #[error("{0} merkle branches, at most {MOST_BRANCHES} can be")]
    TooManyBranches(usize),
    /// An extranonce of which nothing, or too much, is ours.
    #[error("{0} bytes of extranonce for the miner, expected 1 to {MOST_EXTRANONCE}")]
    Extranonce(u16),
    /// A network target that no block could meet.
    #[error("nbits: {0}")]
    Nbits(#[from] NbitsError),
}

impl Message {
    /// Reads a frame. Never panics, whatever its bytes are.
    pub fn parse(frame: Frame<'_>) -> Result<Self, MessageError> {
        let Frame {
            extension,
            kind,
            payload,
        } = frame;
        if extension != 0 {
            return Ok(Self::Unknown(kind));
        }
        let layout = |error| MessageError::Layout {
            kind,
            error: bounded(&format!("{error:?}")),
        };
        Ok(match kind {
            common::MESSAGE_TYPE_SETUP_CONNECTION_SUCCESS => {
                let message: common::SetupConnectionSuccess =
                    from_bytes(payload).map_err(layout)?;
                Self::SetupSuccess {
                    version: message.used_version,
                    flags: message.flags,
                }
            }
            common::MESSAGE_TYPE_SETUP_CONNECTION_ERROR => {
                let message: common::SetupConnectionError<'_> =
                    from_bytes(payload).map_err(layout)?;
                Self::SetupError(error(message.error_code.as_bytes()))
            }
            common::MESSAGE_TYPE_RECONNECT => {
                let message: common::Reconnect<'_> = from_bytes(payload).map_err(layout)?;
                Self::Reconnect {
                    host: text(message.new_host.as_bytes()),
                    port: message.new_port,
                }
            }
            mining::MESSAGE_TYPE_OPEN_EXTENDED_MINING_CHANNEL_SUCCESS => {
                let message: mining::OpenExtendedMiningChannelSuccess<'_> =
                    from_bytes(payload).map_err(layout)?;
                let size = message.extranonce_size;
                Self::ChannelOpen(ChannelOpen {
                    request: message.request_id,
                    channel: message.channel_id,
                    group: message.group_channel_id,
                    target: target(&message.target),
                    prefix: message.extranonce_prefix.as_bytes().into(),
                    extranonce_size: match size {
                        1..=MOST_EXTRANONCE => u8::try_from(size).ok(),
                        _ => return Err(MessageError::Extranonce(size)),
                    },
                })
            }
            mining::MESSAGE_TYPE_OPEN_STANDARD_MINING_CHANNEL_SUCCESS => {
                let message: mining::OpenStandardMiningChannelSuccess<'_> =
                    from_bytes(payload).map_err(layout)?;
                Self::ChannelOpen(ChannelOpen {
                    request: message.request_id,
                    channel: message.channel_id,
                    group: message.group_channel_id,
                    target: target(&message.target),
                    prefix: message.extranonce_prefix.as_bytes().into(),
                    extranonce_size: None,
                })
            }
            mining::MESSAGE_TYPE_OPEN_MINING_CHANNEL_ERROR => {
                let message: mining::OpenMiningChannelError<'_> =
                    from_bytes(payload).map_err(layout)?;
                Self::OpenError {
                    request: message.request_id,
                    error: error(message.error_code.as_bytes()),
                }
            }
            mining::MESSAGE_TYPE_NEW_EXTENDED_MINING_JOB => {
                let message: mining::NewExtendedMiningJob<'_> =
                    from_bytes(payload).map_err(layout)?;
                let (prefix, suffix) =
                    without_witness(&message.coinbase_tx_prefix, &message.coinbase_tx_suffix);
                Self::Job(JobMessage {
                    channel: message.channel_id,
                    id: message.job_id,
                    min_ntime: message.min_ntime.into_inner(),
                    version: message.version,
                    version_rolling: message.version_rolling_allowed,
                    body: JobBody::Coinbase {
                        prefix,
                        suffix,
                        branches: branches(&message.merkle_path)?,
                    },
                })
            }
            mining::MESSAGE_TYPE_NEW_MINING_JOB => {
                let message: mining::NewMiningJob<'_> = from_bytes(payload).map_err(layout)?;
                Self::Job(JobMessage {
                    channel: message.channel_id,
                    id: message.job_id,
                    min_ntime: message.min_ntime.into_inner(),
                    version: message.version,
                    // A pool that forbids it says so when the connection is set up.
                    version_rolling: true,
                    body: JobBody::Root(*message.merkle_root.as_array()),
                })
            }
            mining::MESSAGE_TYPE_MINING_SET_NEW_PREV_HASH => {
                let message: mining::SetNewPrevHash<'_> = from_bytes(payload).map_err(layout)?;
                Self::NewPreviousHash(NewPreviousHash {
                    channel: message.channel_id,
                    job: message.job_id,
                    hash: *message.prev_hash.as_array(),
                    min_ntime: message.min_ntime,
                    nbits: message.nbits,
                    network_target: Target::from_nbits(message.nbits)?,
                })
            }
            mining::MESSAGE_TYPE_SET_TARGET => {
                let message: mining::SetTarget<'_> = from_bytes(payload).map_err(layout)?;
                Self::SetTarget {
                    channel: message.channel_id,
                    target: target(&message.maximum_target),
                }
            }
            mining::MESSAGE_TYPE_SET_EXTRANONCE_PREFIX => {
                let message: mining::SetExtranoncePrefix<'_> =
                    from_bytes(payload).map_err(layout)?;
                Self::SetExtranoncePrefix {
                    channel: message.channel_id,
                    prefix: message.extranonce_prefix.as_bytes().into(),
                }
            }
            mining::MESSAGE_TYPE_SET_GROUP_CHANNEL => {
                let message: mining::SetGroupChannel<'_> = from_bytes(payload).map_err(layout)?;
                Self::SetGroup {
                    group: message.group_channel_id,
                    channels: message.channel_ids.into_inner(),
                }
            }
            mining::MESSAGE_TYPE_SUBMIT_SHARES_SUCCESS => {
                let message: mining::SubmitSharesSuccess = from_bytes(payload).map_err(layout)?;
                Self::Accepted {
                    channel: message.channel_id,
                    last: message.last_sequence_number,
                    count: message.new_submits_accepted_count,
                }
            }
            mining::MESSAGE_TYPE_SUBMIT_SHARES_ERROR => {
                let message: mining::SubmitSharesError<'_> = from_bytes(payload).map_err(layout)?;
                Self::Rejected {
                    channel: message.channel_id,
                    sequence: message.sequence_number,
                    error: error(message.error_code.as_bytes()),
                }
            }
            mining::MESSAGE_TYPE_UPDATE_CHANNEL_ERROR => {
                let message: mining::UpdateChannelError<'_> =
                    from_bytes(payload).map_err(layout)?;
                Self::UpdateError(error(message.error_code.as_bytes()))
            }
            mining::MESSAGE_TYPE_CLOSE_CHANNEL => {
                let message: mining::CloseChannel<'_> = from_bytes(payload).map_err(layout)?;
                Self::Closed {
                    channel: message.channel_id,
                    reason: text(message.reason_code.as_bytes()),
                }
            }
            other => Self::Unknown(other),
        })
    }
}

fn text(bytes: &[u8]) -> String {
    bounded(&String::from_utf8_lossy(bytes))
}

fn error(code: &[u8]) -> PoolError {
    PoolError::from_text(&String::from_utf8_lossy(code))
}

/// A number as it stands in a message, least significant byte first.
fn target(bytes: &U256<'_>) -> Target {
    let mut limbs = [0; 4];
    for (limb, bytes) in limbs.iter_mut().rev().zip(bytes.as_array().chunks_exact(8)) {
        *limb = bytes
            .iter()
            .rev()
            .fold(0, |limb, byte| limb << 8 | u64::from(*byte));
    }
    Target(limbs)
}

fn branches(path: &Seq0255<'_, U256<'_>>) -> Result<Box<[[u8; 32]]>, MessageError> {
    if path.len() > MOST_BRANCHES {
        return Err(MessageError::TooManyBranches(path.len()));
    }
    Ok(path.iter().map(|branch| *branch.as_array()).collect())
}

/// Both parts of a coinbase in the form that its transaction id is made of: some pools send the one with marker, flag
/// and witness (BIP 141, BIP 144).
fn without_witness(prefix: &B064K<'_>, suffix: &B064K<'_>) -> (Box<[u8]>, Box<[u8]>) {
    let (prefix, suffix) = (prefix.as_bytes(), suffix.as_bytes());
    // A count of inputs of zero is the marker: a coinbase has one input. Its witness is one item of 32 bytes.
    let stripped = match (prefix, suffix.split_last_chunk::<38>()) {
        ([a, b, c, d, 0, 1, prefix @ ..], Some((suffix, [1, 32, tail @ ..]))) => {
            tail.last_chunk::<4>().map(|locktime| {
                (
                    [&[*a, *b, *c, *d], prefix].concat(),
                    [suffix, locktime].concat(),
                )
            })
        }
        _ => None,
    };
    let (prefix, suffix) = stripped.unwrap_or_else(|| (prefix.to_vec(), suffix.to_vec()));
    (prefix.into(), suffix.into())
}
