//! Our side of the Noise handshake, and whose certificate is good when.
//!
//! The rule for a clock that is not set is that of TLS (`pool::tls`): signature and key count as ever; a certificate
//! that begins later than [`CLOCK_FLOOR`] is taken as begun, one that had ended by then is refused.

use crate::pool::authority::AuthorityKey;
use crate::pool::clock::{CLOCK_FLOOR, clock_is_set};
use noise_sv2::{
    ELLSWIFT_ENCODING_SIZE, Error, INITIATOR_EXPECTED_HANDSHAKE_MESSAGE_SIZE, Initiator,
    NoiseEngine,
};
use rand::rngs::{OsRng, StdRng};
use rand::{RngCore, SeedableRng};
use std::time::Duration;

/// Seconds of difference between clocks that `noise_sv2` forgives.
const LEEWAY: u32 = 10;

/// One handshake. Its ephemeral key comes from a seed, so that the answer can be judged once more under another time:
/// `noise_sv2` spends its state at the first judgement, and only then tells the certificate's dates.
pub(super) struct Handshake {
    seed: [u8; 32],
    key: AuthorityKey,
}

impl Handshake {
    /// A new one, with a pool of this key.
    pub(super) fn new(key: AuthorityKey) -> Result<Self, String> {
        let mut seed = [0; 32];
        OsRng
            .try_fill_bytes(&mut seed)
            .map_err(|error| format!("the system gives no random numbers: {error}"))?;
        let handshake = Self { seed, key };
        handshake.initiator().map(|_| handshake)
    }

    /// What is sent first.
    pub(super) fn first_message(&self) -> Result<[u8; ELLSWIFT_ENCODING_SIZE], String> {
        let mut initiator = self.initiator()?;
        initiator
            .step_0()
            .map_err(|_| told(&Error::InvalidCipherState, 0))
    }

    /// Judges the pool's answer. Gives the ciphers, and whether the certificate's dates were checked.
    pub(super) fn finish(
        &self,
        answer: [u8; INITIATOR_EXPECTED_HANDSHAKE_MESSAGE_SIZE],
        clock: Duration,
    ) -> Result<(NoiseEngine, bool), String> {
        let is_set = clock_is_set(clock);
        let time = seconds(if is_set { clock } else { CLOCK_FLOOR });
        match self.judge(answer, time) {
            Ok(engine) => Ok((engine, is_set)),
            Err(Error::InvalidCertificate(certificate))
                if !is_set && certificate.valid_from > time =>
            {
                let time = certificate.valid_from;
                let engine = self
                    .judge(answer, time)
                    .map_err(|error| told(&error, time))?;
                Ok((engine, false))
            }
            Err(error) => Err(told(&error, time)),
        }
    }

    fn judge(
        &self,
        answer: [u8; INITIATOR_EXPECTED_HANDSHAKE_MESSAGE_SIZE],
        time: u32,
    ) -> Result<NoiseEngine, Error> {
        let mut random = StdRng::from_seed(self.seed);
        let mut initiator = Initiator::from_raw_k_with_rng(self.key.0, &mut random)?;
        initiator.step_0()?;
        initiator.step_2_with_now(answer, time)
    }

    fn initiator(&self) -> Result<Box<Initiator>, String> {
        let mut random = StdRng::from_seed(self.seed);
        Initiator::from_raw_k_with_rng(self.key.0, &mut random).map_err(|error| told(&error, 0))
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        self.seed.fill(0);
    }
}

fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}

/// What failed, and what the owner can do about it.
fn told(error: &Error, time: u32) -> String {
    match error {
        Error::InvalidRawPublicKey => {
            "the authority key in the address is no point of the curve: copy it as the pool publishes it".into()
        }
        Error::Aead(_) => {
            "the pool's answer cannot be decrypted: does it speak Stratum v2 at this port?".into()
        }
        Error::InvalidCertificate(certificate) => {
            let (begins, ends) = (certificate.valid_from, certificate.not_valid_after);
            if certificate.version != noise_sv2::CERTIFICATE_VERSION {
                format!("the pool's certificate has the unknown version {}", certificate.version)
            } else if begins.saturating_sub(LEEWAY) > time || ends.saturating_add(LEEWAY) < time {
                format!(
                    "the pool's certificate is good from {begins} to {ends} (seconds since 1970), not at {time}; check \
                     this machine's clock"
                )
            } else {
                "the pool's certificate is not signed by the key in the address; if the pool says that it has changed \
                 its key, change the address"
                    .into()
            }
        }
        other => format!("{other:?}"),
    }
}
