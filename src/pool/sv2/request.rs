//! Frames to a pool. Each function appends one whole frame.

use crate::pool::settings::Sv2Channel;
use crate::pool::url::PoolUrl;
use crate::work::{Share, Target};
use binary_sv2::{B032, GetSize, Serialize, Str0255, U256};
use common_messages_sv2::{self as common, Protocol, SetupConnection};
use framing_sv2::framing::{EncodableFrame, MessageFrame};
use mining_sv2 as mining;

/// Version of the protocol.
pub const PROTOCOL_VERSION: u16 = 2;
/// Bytes of extranonce that all chains together need at least: they never run out of four.
pub const EXTRANONCE_WANTED: u16 = 4;
/// Most bytes of a text.
const LONGEST_TEXT: usize = 255;
/// `SetupConnection.flags`: we can do nothing with jobs that have a coinbase.
const REQUIRES_STANDARD_JOBS: u32 = 1;

/// A frame that cannot be made: a field does not fit its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unencodable;

/// Opens the conversation.
pub fn setup(out: &mut Vec<u8>, url: &PoolUrl, standard: bool) -> Result<(), Unencodable> {
    let host = url.host.to_string();
    let message = SetupConnection {
        protocol: Protocol::MiningProtocol,
        min_version: PROTOCOL_VERSION,
        max_version: PROTOCOL_VERSION,
        flags: if standard { REQUIRES_STANDARD_JOBS } else { 0 },
        endpoint_host: text(&host)?,
        endpoint_port: url.port,
        vendor: text("cgminer-rs")?,
        hardware_version: text("")?,
        firmware: text(env!("CARGO_PKG_VERSION"))?,
        // Says who we are to nobody but the pool's authorization.
        device_id: text("")?,
    };
    frame(out, message, common::MESSAGE_TYPE_SETUP_CONNECTION, false)
}

/// Asks for a channel of this kind.
pub fn open(
    out: &mut Vec<u8>,
    kind: Sv2Channel,
    request: u32,
    user: &str,
    hash_rate: f64,
    easiest: Target,
) -> Result<(), Unencodable> {
    let easiest = bytes(easiest);
    let user_identity = text(user)?;
    let nominal_hash_rate = hash_rate as f32;
    let max_target = U256::from(&easiest);
    match kind {
        Sv2Channel::Extended => {
            let message = mining::OpenExtendedMiningChannel {
                request_id: request,
                user_identity,
                nominal_hash_rate,
                max_target,
                min_extranonce_size: EXTRANONCE_WANTED,
            };
            let kind = mining::MESSAGE_TYPE_OPEN_EXTENDED_MINING_CHANNEL;
            frame(out, message, kind, false)
        }
        Sv2Channel::Standard => {
            let message = mining::OpenStandardMiningChannel {
                request_id: request,
                user_identity,
                nominal_hash_rate,
                max_target,
            };
            let kind = mining::MESSAGE_TYPE_OPEN_STANDARD_MINING_CHANNEL;
            frame(out, message, kind, false)
        }
    }
}

/// Tells of another hash rate.
pub fn update(
    out: &mut Vec<u8>,
    channel: u32,
    hash_rate: f64,
    easiest: Target,
) -> Result<(), Unencodable> {
    let easiest = bytes(easiest);
    let message = mining::UpdateChannel {
        channel_id: channel,
        nominal_hash_rate: hash_rate as f32,
        maximum_target: U256::from(&easiest),
    };
    frame(out, message, mining::MESSAGE_TYPE_UPDATE_CHANNEL, true)
}

/// A share of a job with this name on this channel. A job without extranonce is a standard channel's.
pub fn submit(
    out: &mut Vec<u8>,
    channel: u32,
    sequence: u32,
    job: u32,
    share: &Share,
) -> Result<(), Unencodable> {
    let version = share.job.version | share.version_bits;
    if share.extranonce2.size == 0 {
        let message = mining::SubmitSharesStandard {
            channel_id: channel,
            sequence_number: sequence,
            job_id: job,
            nonce: share.nonce,
            ntime: share.ntime,
            version,
        };
        return frame(
            out,
            message,
            mining::MESSAGE_TYPE_SUBMIT_SHARES_STANDARD,
            true,
        );
    }
    let extranonce: Vec<u8> = share.extranonce2.bytes().collect();
    let message = mining::SubmitSharesExtended {
        channel_id: channel,
        sequence_number: sequence,
        job_id: job,
        nonce: share.nonce,
        ntime: share.ntime,
        version,
        extranonce: B032::new(&extranonce).map_err(|_| Unencodable)?,
    };
    frame(
        out,
        message,
        mining::MESSAGE_TYPE_SUBMIT_SHARES_EXTENDED,
        true,
    )
}

fn frame<T: Serialize + GetSize>(
    out: &mut Vec<u8>,
    message: T,
    kind: u8,
    of_channel: bool,
) -> Result<(), Unencodable> {
    let frame =
        MessageFrame::from_message(message, kind, 0, of_channel).map_err(|_| Unencodable)?;
    let begin = out.len();
    out.resize(begin + frame.encoded_length(), 0);
    let place = out.get_mut(begin..).unwrap_or_default();
    if frame.encode_into(place).is_err() {
        out.truncate(begin);
        return Err(Unencodable);
    }
    Ok(())
}

/// A text, cut where it is too long for its place.
fn text(text: &str) -> Result<Str0255<'_>, Unencodable> {
    let mut end = text.len().min(LONGEST_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    Str0255::new(text.get(..end).unwrap_or_default().as_bytes()).map_err(|_| Unencodable)
}

fn bytes(target: Target) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (place, limb) in bytes.chunks_exact_mut(8).zip(target.0.iter().rev()) {
        place.copy_from_slice(&limb.to_le_bytes());
    }
    bytes
}
