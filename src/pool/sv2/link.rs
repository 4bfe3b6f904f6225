//! Noise over any connection: a stream into which plain frames are written and out of which plain frames are read.
//!
//! The handshake is one message each way. A frame's header is encrypted by itself, so its length is known, and refused
//! where it is too long, before any of its payload is waited for.

mod handshake;
mod stream;

pub use stream::{LONGEST_FRAME, NoiseStream};

use crate::pool::authority::AuthorityKey;
use crate::pool::clock::WallClock;
use crate::pool::connection::{Boxed, ConnectError, Connection, Connector, Secured, Stream};
use crate::pool::settings::Deadlines;
use crate::pool::url::{PoolUrl, Transport};
use handshake::Handshake;
use noise_sv2::{ELLSWIFT_ENCODING_SIZE, INITIATOR_EXPECTED_HANDSHAKE_MESSAGE_SIZE};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// Puts Noise over the connections of another connector wherever the pool's address asks for it.
pub struct NoiseConnector {
    inner: Arc<dyn Connector>,
    clock: WallClock,
}

impl NoiseConnector {
    /// With the system's clock.
    pub fn new(inner: Arc<dyn Connector>) -> Self {
        Self::with_clock(inner, WallClock::system())
    }

    /// With a clock of one's own.
    pub fn with_clock(inner: Arc<dyn Connector>, clock: WallClock) -> Self {
        Self { inner, clock }
    }

    async fn secure(
        &self,
        mut connection: Connection,
        key: AuthorityKey,
        deadlines: &Deadlines,
    ) -> Result<Connection, String> {
        let handshake = self.handshake(&mut *connection.stream, key);
        let (engine, dates_checked) =
            timeout(deadlines.noise, handshake)
                .await
                .unwrap_or_else(|_| {
                    let within = deadlines.noise.as_secs();
                    Err(format!("no end of the handshake within {within} s"))
                })?;
        Ok(Connection {
            stream: Box::new(NoiseStream::new(connection.stream, engine)),
            peer: connection.peer,
            secured: Some(Secured {
                protocol: "Noise_NX",
                cipher: "Secp256k1+EllSwift_ChaChaPoly_SHA256",
                certificate: None,
                dates_checked,
            }),
        })
    }

    /// Gives the ciphers, and whether the certificate's dates were checked.
    async fn handshake(
        &self,
        stream: &mut dyn Stream,
        key: AuthorityKey,
    ) -> Result<(noise_sv2::NoiseEngine, bool), String> {
        let handshake = Handshake::new(key)?;
        let first: [u8; ELLSWIFT_ENCODING_SIZE] = handshake.first_message()?;
        let talk = async {
            stream.write_all(&first).await?;
            stream.flush().await?;
            let mut answer = [0; INITIATOR_EXPECTED_HANDSHAKE_MESSAGE_SIZE];
            stream.read_exact(&mut answer).await?;
            Ok(answer)
        };
        let answer = talk
            .await
            .map_err(|error: std::io::Error| match error.kind() {
                std::io::ErrorKind::UnexpectedEof => {
                    "the pool hung up during the handshake: does it speak Stratum v2 at this port?"
                        .into()
                }
                _ => error.to_string(),
            })?;
        handshake.finish(answer, self.clock.now())
    }
}

impl Connector for NoiseConnector {
    fn connect<'a>(
        &'a self,
        url: &'a PoolUrl,
        deadlines: &'a Deadlines,
    ) -> Boxed<'a, Result<Connection, ConnectError>> {
        Box::pin(async move {
            if url.transport != Transport::Noise {
                return self.inner.connect(url, deadlines).await;
            }
            let failed = |error: String| ConnectError::Noise {
                url: url.clone(),
                error,
            };
            let key = url
                .authority
                .ok_or_else(|| failed("the address lacks the pool's authority key".into()))?;
            // An unusable key is told before anybody is bothered.
            Handshake::new(key).map_err(failed)?;
            let connection = self.inner.connect(&url.beneath(), deadlines).await?;
            let secured = self
                .secure(connection, key, deadlines)
                .await
                .map_err(failed)?;
            if secured
                .secured
                .as_ref()
                .is_some_and(|secured| !secured.dates_checked)
            {
                tracing::warn!(
                    pool = %url,
                    "this machine's clock is not set: the dates of the pool's certificate were not checked"
                );
            }
            Ok(secured)
        })
    }
}

#[cfg(test)]
mod tests;
