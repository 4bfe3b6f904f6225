//! Frames out of a byte stream, with a bound on what a peer can make us keep.

use framing_sv2::SV2_FRAME_HEADER_SIZE;
use framing_sv2::header::Header;

use super::link::LONGEST_FRAME;

/// Memory that is kept between frames; what a rare long one needed beyond it is given back.
const KEPT: usize = 16 * 1024;

/// A whole frame.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Which extension of the protocol it belongs to; 0: none.
    pub extension: u16,
    /// Kind of message.
    pub kind: u8,
    /// The message.
    pub payload: &'a mut [u8],
}

/// A frame longer than any that is taken: nothing behind it can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong(pub usize);

/// Splits a byte stream into frames.
#[derive(Debug, Default)]
pub struct FrameReader {
    buffer: Vec<u8>,
    /// Bytes of the buffer that are given out already.
    consumed: usize,
}

impl FrameReader {
    /// Takes bytes from the peer. Call [`Self::next_frame`] until it gives `None` before the next push: that is what
    /// bounds the buffer to one frame and one push.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.consumed > 0 {
            self.buffer.drain(..self.consumed);
            self.consumed = 0;
            if self.buffer.len() < KEPT {
                self.buffer.shrink_to(KEPT);
            }
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, TooLong> {
        let rest = self.buffer.get_mut(self.consumed..).unwrap_or_default();
        let Ok(header) = Header::from_bytes(rest) else {
            return Ok(None);
        };
        let length = header.payload_length();
        if length > LONGEST_FRAME {
            return Err(TooLong(length));
        }
        let end = SV2_FRAME_HEADER_SIZE + length;
        let Some(payload) = rest.get_mut(SV2_FRAME_HEADER_SIZE..end) else {
            return Ok(None);
        };
        self.consumed += end;
        Ok(Some(Frame {
            extension: header.ext_type_without_channel_msg(),
            kind: header.msg_type(),
            payload,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let length = (payload.len() as u32).to_le_bytes();
        [&[0, 0x80, kind], &length[..3], payload].concat()
    }

    #[test]
    fn a_frame_too_long_is_refused_by_its_header() {
        let mut reader = FrameReader::default();
        reader.push(&[0, 0, 7, 0xff, 0xff, 0xff]);
        assert_eq!(reader.next_frame(), Err(TooLong(0x00ff_ffff)));
    }

    proptest! {
        /// However the stream is cut into packets, the frames are those of the whole.
        #[test]
        fn packets_do_not_matter(
            frames in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..40)), 0..12),
            cuts in prop::collection::vec(1usize..30, 1..40),
        ) {
            let stream: Vec<u8> = frames.iter().flat_map(|(kind, payload)| frame(*kind, payload)).collect();
            let mut reader = FrameReader::default();
            let mut found = Vec::new();
            let mut rest = stream.as_slice();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break; }
                let (packet, behind) = rest.split_at(rest.len().min(*cut));
                reader.push(packet);
                while let Some(frame) = reader.next_frame().unwrap() {
                    prop_assert_eq!(frame.extension, 0);
                    found.push((frame.kind, frame.payload.to_vec()));
                }
                rest = behind;
            }
            prop_assert_eq!(found, frames);
        }
    }
}
