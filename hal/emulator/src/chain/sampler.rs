//! What a receiver makes of bytes that were sent at another speed.

/// Samples the sender's waveform at the receiver's bit times, as a UART does: wrong speeds give wrong bytes, more or
/// fewer than were sent, but never silence.
#[derive(Debug, Default)]
pub struct Sampler {
    /// Byte being received, if a start bit was seen.
    open: Option<Open>,
    /// Where the search for the next start bit goes on, in sender bits from the start of the byte on the wire.
    resume: f64,
}

#[derive(Debug)]
struct Open {
    /// Time of the next sample, in sender bits from the start of the byte on the wire.
    next: f64,
    taken: u32,
    value: u8,
}

/// Bits of a byte on the wire: start, eight data bits, stop.
const BITS: f64 = 10.0;
/// Share by which speeds may differ before the last bit of a byte is sampled wrong.
const TOLERANCE: f64 = 0.03;

impl Sampler {
    /// One byte goes over the wire; bytes that the receiver completes meanwhile go to `out`.
    pub fn byte(&mut self, byte: u8, sender: u32, receiver: u32, out: &mut impl FnMut(u8)) {
        let bit = f64::from(sender) / f64::from(receiver.max(1));
        if self.open.is_none() && (bit - 1.0).abs() <= TOLERANCE {
            self.resume = 0.0;
            out(byte);
            return;
        }
        // Index 0 is the idle line before the start bit.
        let wave = u32::from(byte) << 2 | 1 << 10 | 1;
        loop {
            match &mut self.open {
                Some(open) if open.next < BITS => {
                    let high = wave >> (open.next as u32 + 1) & 1 == 1;
                    match (open.taken, high) {
                        (0, true) => {
                            self.resume = open.next;
                            self.open = None;
                        }
                        (9, _) => {
                            out(open.value);
                            self.resume = open.next;
                            self.open = None;
                        }
                        (0, false) => open.advance(bit),
                        (taken, high) => {
                            open.value |= u8::from(high) << (taken - 1);
                            open.advance(bit);
                        }
                    }
                }
                Some(open) => {
                    open.next -= BITS;
                    return;
                }
                None => {
                    let Some(edge) = (0..10).find(|index| {
                        f64::from(*index) >= self.resume
                            && wave >> (index + 1) & 1 == 0
                            && wave >> index & 1 == 1
                    }) else {
                        self.resume = 0.0;
                        return;
                    };
                    self.open = Some(Open {
                        next: f64::from(edge) + bit / 2.0,
                        taken: 0,
                        value: 0,
                    });
                }
            }
        }
    }

    /// The line went idle, which reads as ones: a byte that was begun completes.
    pub fn idle(&mut self, out: &mut impl FnMut(u8)) {
        self.resume = 0.0;
        if let Some(open) = self.open.take().filter(|open| open.taken > 0) {
            let seen = open.taken - 1;
            out(open.value | (0xFF_u16 << seen) as u8);
        }
    }
}

impl Open {
    fn advance(&mut self, bit: f64) {
        self.taken += 1;
        self.next += bit;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(bytes: &[u8], sender: u32, receiver: u32) -> Vec<u8> {
        let mut sampler = Sampler::default();
        let mut got = Vec::new();
        for byte in bytes {
            sampler.byte(*byte, sender, receiver, &mut |byte| got.push(byte));
        }
        sampler.idle(&mut |byte| got.push(byte));
        got
    }

    const FRAME: [u8; 7] = [0x55, 0xAA, 0x52, 0x05, 0x00, 0x00, 0x0A];

    #[test]
    fn equal_and_nearly_equal_speeds_are_clean() {
        assert_eq!(received(&FRAME, 115_200, 115_740), FRAME);
    }

    #[test]
    fn a_fast_receiver_gets_more_bytes_and_a_slow_one_fewer() {
        let fast = received(&FRAME, 115_740, 3_125_000);
        assert!(fast.len() > FRAME.len(), "{fast:02x?}");
        let slow = received(&FRAME, 3_125_000, 115_740);
        assert!(!slow.is_empty() && slow.len() < FRAME.len(), "{slow:02x?}");
        for garbage in [fast, slow] {
            assert!(
                !garbage.windows(2).any(|pair| pair == [0x55, 0xAA]),
                "{garbage:02x?}"
            );
        }
    }

    #[test]
    fn half_speed_stretches_each_bit_to_two() {
        // Start and the first data bits of 0x55 at half speed: 0 0 1 1 0 0 1 1 0 0 as the fast receiver sees it.
        let got = received(&[0x55], 100_000, 200_000);
        assert_eq!(got.first(), Some(&0b0110_0110));
    }
}
