//! Whether a certificate is the pool's, and what holds while the clock is not set.
//!
//! A control board without a battery wakes up in 1970, or at the date of its image, and knows the
//! time only when an NTP server has told it. Until then a certificate's dates cannot be judged.
//! The rule: while the clock stands before [`CLOCK_FLOOR`], a time before this program was made,
//! it is known to be wrong. Then chain, name and signature are checked as ever, but a certificate
//! that begins later than the floor is taken as begun; one that had ended by the floor is still
//! refused. A clock past the floor is believed.

use crate::pool::clock::{CLOCK_FLOOR, clock_is_set};
use crate::pool::trust::{CertificatePin, Trust};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// Longest file of authorities that is read; Mozilla's whole list has 230 KB.
const LONGEST_FILE: u64 = 1024 * 1024;
/// Times that are supposed one after another while the clock is not set: one for each certificate
/// of a chain, which are few.
const SUPPOSED_TIMES: usize = 8;

/// Makes the verifier for this trust, or says why it cannot be made.
pub(super) fn verifier(
    trust: &Trust,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, String> {
    let roots = match trust {
        Trust::Certificate(pin) => {
            return Ok(Arc::new(Pinned {
                pin: *pin,
                provider: Arc::clone(provider),
            }));
        }
        Trust::PublicRoots => RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        },
        Trust::Authorities(path) => {
            authorities(path).map_err(|reason| format!("{}: {reason}", path.display()))?
        }
    };
    let inner =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build();
    let inner = inner.map_err(|error| error.to_string())?;
    Ok(Arc::new(ClockAware { inner }))
}

fn authorities(path: &Path) -> Result<RootCertStore, String> {
    // Opening a pipe would wait for its other end.
    let metadata = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("is no regular file".into());
    }
    if metadata.len() > LONGEST_FILE {
        return Err(format!("is longer than {LONGEST_FILE} bytes"));
    }
    let mut pem = Vec::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(LONGEST_FILE)
        .read_to_end(&mut pem)
        .map_err(|error| error.to_string())?;
    let mut roots = RootCertStore::empty();
    for (at, certificate) in CertificateDer::pem_slice_iter(&pem).enumerate() {
        let bad = |error: &dyn std::fmt::Display| format!("certificate {}: {error}", at + 1);
        let certificate = certificate.map_err(|error| bad(&error))?;
        roots.add(certificate).map_err(|error| bad(&error))?;
    }
    if roots.is_empty() {
        return Err("holds no PEM certificate (-----BEGIN CERTIFICATE-----)".into());
    }
    Ok(roots)
}

/// The rule for a clock that is not set, over the usual checks.
#[derive(Debug)]
struct ClockAware {
    inner: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for ClockAware {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verify = |now| {
            self.inner.verify_server_cert(
                end_entity,
                intermediates,
                server_name,
                ocsp_response,
                now,
            )
        };
        if clock_is_set(Duration::from_secs(now.as_secs())) {
            return verify(now);
        }
        let mut supposed = UnixTime::since_unix_epoch(CLOCK_FLOOR);
        for _ in 0..SUPPOSED_TIMES {
            match verify(supposed) {
                Err(Error::InvalidCertificate(CertificateError::NotValidYetContext {
                    not_before,
                    ..
                })) if not_before.as_secs() > supposed.as_secs() => supposed = not_before,
                verdict => return verdict,
            }
        }
        verify(supposed)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// This very certificate, whose key the pool must hold; no name, date or authority counts.
#[derive(Debug)]
struct Pinned {
    pin: CertificatePin,
    provider: Arc<CryptoProvider>,
}

/// The pool has another certificate.
#[derive(Debug, Error)]
#[error(
    "the pool's certificate has the SHA-256 {found}, and `tls_pin` wants {pinned}; if the pool says that it has \
     changed its certificate, change `tls_pin`"
)]
struct WrongCertificate {
    found: CertificatePin,
    pinned: CertificatePin,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let found = CertificatePin::of(end_entity);
        if found == self.pin {
            return Ok(ServerCertVerified::assertion());
        }
        let wrong = WrongCertificate {
            found,
            pinned: self.pin,
        };
        Err(CertificateError::Other(OtherError(Arc::new(wrong))).into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
