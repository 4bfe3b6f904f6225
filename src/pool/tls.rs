//! TLS over any connection, by rustls.

mod verify;

use super::clock::clock_is_set;
use super::connection::{Boxed, ConnectError, Connection, Connector, Secured};
use super::settings::Deadlines;
use super::trust::{CertificatePin, Trust};
use super::url::{Host, PoolUrl, Transport};
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::ServerName;
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::time::timeout;

/// Puts TLS over the connections of another connector wherever the pool's address asks for it.
pub struct TlsConnector {
    inner: Arc<dyn Connector>,
    trust: Trust,
    clock: Arc<dyn TimeProvider>,
    /// Made at the first use that works: a file of authorities may be missing at first.
    client: OnceLock<Arc<ClientConfig>>,
}

impl TlsConnector {
    /// With the system's clock.
    pub fn new(inner: Arc<dyn Connector>, trust: Trust) -> Self {
        Self::with_clock(inner, trust, Arc::new(DefaultTimeProvider))
    }

    /// With a clock of one's own.
    pub fn with_clock(
        inner: Arc<dyn Connector>,
        trust: Trust,
        clock: Arc<dyn TimeProvider>,
    ) -> Self {
        Self {
            inner,
            trust,
            clock,
            client: OnceLock::new(),
        }
    }

    fn client(&self, url: &PoolUrl) -> Result<Arc<ClientConfig>, ConnectError> {
        if let Some(client) = self.client.get() {
            return Ok(Arc::clone(client));
        }
        let client =
            client(&self.trust, Arc::clone(&self.clock)).map_err(|error| ConnectError::Trust {
                url: url.clone(),
                error,
            })?;
        Ok(Arc::clone(self.client.get_or_init(|| Arc::new(client))))
    }

    async fn secure(
        &self,
        connection: Connection,
        url: &PoolUrl,
        deadlines: &Deadlines,
    ) -> Result<Connection, ConnectError> {
        let failed = |error: io::Error| ConnectError::Tls {
            url: url.clone(),
            error: told(&error),
        };
        let client = self.client(url)?;
        let name = match &url.host {
            Host::Address(address) => ServerName::IpAddress((*address).into()),
            Host::Name(name) => ServerName::try_from(name.to_string())
                .map_err(|_| failed(io::Error::other("no certificate can be for this name")))?,
        };
        // Looked at before, so that a clock set meanwhile makes us say too little, not too much.
        let clock_was_set = self
            .clock
            .current_time()
            .is_some_and(|now| clock_is_set(Duration::from_secs(now.as_secs())));
        let handshake = tokio_rustls::TlsConnector::from(client).connect(name, connection.stream);
        let stream = timeout(deadlines.tls, handshake)
            .await
            .unwrap_or_else(|_| {
                let within = deadlines.tls.as_secs();
                let words = format!("no end of the handshake within {within} s");
                Err(io::Error::other(words))
            })
            .map_err(failed)?;
        let (_, session) = stream.get_ref();
        let certificate = session.peer_certificates().and_then(<[_]>::first);
        let secured = Secured {
            protocol: session
                .protocol_version()
                .and_then(|version| version.as_str())
                .unwrap_or("unknown version"),
            cipher: session
                .negotiated_cipher_suite()
                .and_then(|suite| suite.suite().as_str())
                .unwrap_or("unknown cipher"),
            certificate: certificate.map(|der| CertificatePin::of(der)),
            dates_checked: clock_was_set && !matches!(self.trust, Trust::Certificate(_)),
        };
        if !clock_was_set && !matches!(self.trust, Trust::Certificate(_)) {
            tracing::warn!(
                pool = %url,
                "this machine's clock is not set: the dates of the pool's certificate were not checked"
            );
        }
        Ok(Connection {
            stream: Box::new(stream),
            peer: connection.peer,
            secured: Some(secured),
        })
    }
}

impl Connector for TlsConnector {
    fn connect<'a>(
        &'a self,
        url: &'a PoolUrl,
        deadlines: &'a Deadlines,
    ) -> Boxed<'a, Result<Connection, ConnectError>> {
        Box::pin(async move {
            if url.transport != Transport::Tls {
                return self.inner.connect(url, deadlines).await;
            }
            // An unusable trust is told before anybody is bothered.
            self.client(url)?;
            let connection = self.inner.connect(&url.beneath(), deadlines).await?;
            self.secure(connection, url, deadlines).await
        })
    }
}

fn client(trust: &Trust, clock: Arc<dyn TimeProvider>) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = verify::verifier(trust, &provider)?;
    let mut client = ClientConfig::builder_with_details(provider, clock)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    // A resumed session would not be verified again once the clock is set.
    client.resumption = Resumption::disabled();
    Ok(client)
}

/// What failed, and what the owner can do about it.
fn told(error: &io::Error) -> String {
    use rustls::{CertificateError as Bad, Error};
    let Some(tls) = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Error>())
    else {
        return error.to_string();
    };
    let hint = match tls {
        Error::InvalidCertificate(Bad::UnknownIssuer | Bad::BadSignature) => {
            "; if the pool signs its own certificates, name its authority in `ca_file` or its certificate in `tls_pin`"
        }
        Error::InvalidCertificate(
            Bad::Expired
            | Bad::ExpiredContext { .. }
            | Bad::NotValidYet
            | Bad::NotValidYetContext { .. },
        ) => "; check this machine's clock",
        Error::InvalidCertificate(Bad::NotValidForName | Bad::NotValidForNameContext { .. }) => {
            "; use the name that the certificate is for"
        }
        Error::InvalidMessage(_) => "; does the pool speak TLS at this port?",
        _ => "",
    };
    format!("{tls}{hint}")
}

#[cfg(test)]
mod tests;
