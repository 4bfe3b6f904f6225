//! Lines out of a byte stream, with a bound on what a peer can make us keep.

/// Longest line that is read. Real `mining.notify` lines reach 100 KB; a line beyond this bound is
/// skipped.
pub const LONGEST_LINE: usize = 256 * 1024;
/// Memory that is kept between lines; what a rare long line needed beyond it is given back.
const KEPT: usize = 16 * 1024;

/// Splits a byte stream into lines: LF or CRLF, many to a packet or many packets to one.
#[derive(Debug)]
pub struct LineReader {
    buffer: Vec<u8>,
    /// Bytes of the buffer that are given out already.
    consumed: usize,
    /// Bytes behind `consumed` that are known to hold no LF.
    scanned: usize,
    /// Throwing bytes away until the over-long line ends.
    skipping: bool,
    longest: usize,
    over_long: u64,
}

impl Default for LineReader {
    fn default() -> Self {
        Self::with_longest(LONGEST_LINE)
    }
}

impl LineReader {
    /// A reader that skips lines of more than `longest` bytes.
    pub fn with_longest(longest: usize) -> Self {
        Self {
            buffer: Vec::new(),
            consumed: 0,
            scanned: 0,
            skipping: false,
            longest,
            over_long: 0,
        }
    }

    /// Takes bytes from the peer. Call [`Self::next_line`] until it gives `None` before the next
    /// push: that is what bounds the buffer to one line and one push.
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

    /// The next complete line without its end, without blanks and NUL bytes around it; never an
    /// empty one.
    pub fn next_line(&mut self) -> Option<&[u8]> {
        let (start, end) = loop {
            let rest = self.buffer.get(self.consumed..).unwrap_or_default();
            let unscanned = rest.get(self.scanned..).unwrap_or_default();
            let Some(at) = unscanned.iter().position(|byte| *byte == b'\n') else {
                self.scanned = rest.len();
                if self.scanned > self.longest || self.skipping {
                    if !self.skipping {
                        self.skipping = true;
                        self.over_long += 1;
                    }
                    self.consumed = self.buffer.len();
                    self.scanned = 0;
                }
                return None;
            };
            let length = self.scanned + at;
            let start = self.consumed;
            self.consumed += length + 1;
            self.scanned = 0;
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            if length > self.longest {
                self.over_long += 1;
                continue;
            }
            let line = self.buffer.get(start..start + length).unwrap_or_default();
            let is_filler = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0;
            let Some(first) = line.iter().position(|byte| !is_filler(byte)) else {
                continue;
            };
            let last = line
                .iter()
                .rposition(|byte| !is_filler(byte))
                .unwrap_or(first);
            break (start + first, start + last + 1);
        };
        self.buffer.get(start..end)
    }

    /// Lines that were skipped for their length, since the last call.
    pub fn take_over_long(&mut self) -> u64 {
        std::mem::take(&mut self.over_long)
    }

    /// Bytes of memory in use.
    #[cfg(test)]
    fn footprint(&self) -> usize {
        self.buffer.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines_of(reader: &mut LineReader, bytes: &[u8]) -> Vec<String> {
        reader.push(bytes);
        let mut lines = Vec::new();
        while let Some(line) = reader.next_line() {
            lines.push(String::from_utf8_lossy(line).into_owned());
        }
        lines
    }

    #[test]
    fn one_packet_may_hold_many_lines_and_one_line_many_packets() {
        let mut reader = LineReader::default();
        assert_eq!(lines_of(&mut reader, b"{1}\n{2}\r\n{3"), ["{1}", "{2}"]);
        assert!(lines_of(&mut reader, b"..").is_empty());
        assert_eq!(lines_of(&mut reader, b".}\n"), ["{3...}"]);
    }

    #[test]
    fn blank_lines_and_nul_bytes_between_lines_are_passed_over() {
        let mut reader = LineReader::default();
        assert_eq!(
            lines_of(&mut reader, b"\n\r\n \0\n\0{1}\0\n\0\0\n"),
            ["{1}"]
        );
    }

    #[test]
    fn an_over_long_line_is_skipped_and_counted_and_the_next_one_is_read() {
        let mut reader = LineReader::with_longest(10);
        assert!(lines_of(&mut reader, &[b'x'; 11]).is_empty());
        assert!(lines_of(&mut reader, &[b'x'; 1000]).is_empty());
        assert_eq!(lines_of(&mut reader, b"x\n{1}\n"), ["{1}"]);
        assert_eq!(reader.take_over_long(), 1);
        assert_eq!(lines_of(&mut reader, b"xxxxxxxxxxxx\n{2}\n"), ["{2}"]);
        assert_eq!((reader.take_over_long(), reader.take_over_long()), (1, 0));
    }

    #[test]
    fn a_line_of_exactly_the_longest_length_is_read() {
        let mut reader = LineReader::with_longest(10);
        assert_eq!(lines_of(&mut reader, b"0123456789\n"), ["0123456789"]);
        assert_eq!(reader.take_over_long(), 0);
    }

    #[test]
    fn an_endless_line_does_not_grow_the_buffer() {
        let mut reader = LineReader::default();
        for _ in 0..2000 {
            assert!(lines_of(&mut reader, &[b'x'; 4096]).is_empty());
        }
        assert!(
            reader.footprint() <= 2 * (LONGEST_LINE + 4096),
            "{}",
            reader.footprint()
        );
        assert_eq!(lines_of(&mut reader, b"\n{1}\n"), ["{1}"]);
        lines_of(&mut reader, b"\n");
        assert!(reader.footprint() <= 2 * KEPT, "{}", reader.footprint());
    }

    proptest! {
        /// However the stream is cut into packets, the lines are those of the whole.
        #[test]
        fn packets_do_not_matter(
            stream in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(0), Just(b'a'), any::<u8>()], 0..300),
            cuts in prop::collection::vec(1usize..40, 1..40),
        ) {
            let expected: Vec<String> = stream
                .split_inclusive(|byte| *byte == b'\n')
                .filter(|line| line.ends_with(b"\n") && line.len() <= 31)
                .map(|line| {
                    let filler = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0;
                    let first = line.iter().position(|b| !filler(b)).unwrap_or(line.len());
                    let last = line.iter().rposition(|b| !filler(b)).map_or(first, |at| at + 1);
                    String::from_utf8_lossy(&line[first..last]).into_owned()
                })
                .filter(|line| !line.is_empty())
                .collect();
            let mut reader = LineReader::with_longest(30);
            let mut found = Vec::new();
            let mut rest = stream.as_slice();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break; }
                let (packet, behind) = rest.split_at(rest.len().min(*cut));
                found.extend(lines_of(&mut reader, packet));
                rest = behind;
            }
            prop_assert_eq!(found, expected);
        }
    }
}
