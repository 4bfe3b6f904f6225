//! What goes over the wire: commands and jobs to the chips, replies from them.
//!
//! Host to chip: `55 AA | type | length | payload | checksum`. Chip to host: `AA 55 | body`, the last body byte holding
//! the reply's type in bits 7 to 5 and its CRC-5 in bits 4 to 0 (mujina REFERENCE.md, "Frame Format").

pub mod decode;
pub mod encode;

pub use decode::{Decoder, DecoderCounters, NonceReply, RegisterReply, Reply, ReplyFormat};
pub use encode::{
    Command, CommandBytes, FULL_HEADER_FRAME_BYTES, FrameBuffer, Target, full_header_job,
    midstate_job,
};
