//! The two linear number formats (PMBus 1.2, part II, sections 7.1 and 8.3.1).

use cgminer_hal::units::Millivolts;

/// LINEAR11: eleven bits of mantissa and five of exponent, both signed.
pub fn linear11(word: u16) -> f32 {
    let exponent = signed(word) >> 11;
    let mantissa = signed(word << 5) >> 5;
    f32::from(mantissa) * 2.0_f32.powi(i32::from(exponent))
}

/// Two's complement, as shifting right needs it.
fn signed(word: u16) -> i16 {
    i16::from_le_bytes(word.to_le_bytes())
}

/// LINEAR16: sixteen bits of mantissa; `VOUT_MODE` has the exponent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Linear16 {
    exponent: i32,
}

impl Linear16 {
    /// The format that a `VOUT_MODE` stands for; `None` for the VID and direct modes.
    pub fn of(vout_mode: u8) -> Option<Self> {
        // Five bits, signed.
        let exponent = i8::from_le_bytes([vout_mode << 3]) >> 3;
        (vout_mode >> 5 == 0).then_some(Self {
            exponent: i32::from(exponent),
        })
    }

    /// The voltage of a word; `None` for one that no supply has.
    pub fn decode(self, word: u16) -> Option<Millivolts> {
        let millivolts = f64::from(word) * 2.0_f64.powi(self.exponent) * 1000.0;
        (millivolts <= f64::from(u32::MAX)).then(|| Millivolts(millivolts.round() as u32))
    }

    /// The word of a voltage, rounded down so as never to say more; `None` where it does not fit.
    pub fn encode(self, voltage: Millivolts) -> Option<u16> {
        let mantissa = f64::from(voltage.0) / 1000.0 / 2.0_f64.powi(self.exponent);
        (mantissa <= f64::from(u16::MAX)).then_some(mantissa as u16)
    }
}
