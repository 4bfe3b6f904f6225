//! The machine's own certificate for the network door. Read once at the start: later this process may not read its key.

use crate::config::ApiSection;
use std::path::PathBuf;
use thiserror::Error;

/// What the network door proves who it is with.
#[derive(Clone)]
pub struct Identity {
    #[cfg(feature = "tls")]
    config: std::sync::Arc<rustls::ServerConfig>,
    /// There is none without TLS.
    #[cfg(not(feature = "tls"))]
    #[allow(dead_code, reason = "that is what it is for: nobody can make one")]
    never: std::convert::Infallible,
}

/// Why TLS cannot be spoken.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// A file cannot be used.
    #[error("api.{field}: {}: {reason}; write a PEM file there that this user can read", path.display())]
    File {
        /// Which of the two.
        field: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The two do not go together.
    #[error(
        "api.tls_certificate and api.tls_key: {0}; the key has to be the one that the certificate is for"
    )]
    Pair(String),
    /// This program cannot.
    #[error(
        "api.tls_certificate: this program was built without TLS; leave it out, or build with the feature `tls`"
    )]
    NotBuilt,
}

impl Identity {
    /// Reads what the settings name; none when they name nothing.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn of(settings: &ApiSection) -> Result<Option<Self>, IdentityError> {
        match (&settings.tls_certificate, &settings.tls_key) {
            (Some(certificate), Some(key)) => Self::read(certificate, key).map(Some),
            _ => Ok(None),
        }
    }
}

#[cfg(not(feature = "tls"))]
impl Identity {
    fn read(_: &std::path::Path, _: &std::path::Path) -> Result<Self, IdentityError> {
        Err(IdentityError::NotBuilt)
    }
}

#[cfg(feature = "tls")]
mod with_rustls {
    use super::{Identity, IdentityError};
    use rustls::ServerConfig;
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use std::path::Path;
    use std::sync::Arc;

    impl Identity {
        pub(super) fn read(certificate: &Path, key: &Path) -> Result<Self, IdentityError> {
            let wrong = |field, path: &Path, reason: &dyn std::fmt::Display| IdentityError::File {
                field,
                path: path.into(),
                reason: reason.to_string(),
            };
            let chain = CertificateDer::pem_file_iter(certificate)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|error| wrong("tls_certificate", certificate, &error))?;
            if chain.is_empty() {
                return Err(wrong(
                    "tls_certificate",
                    certificate,
                    &"holds no certificate",
                ));
            }
            let private =
                PrivateKeyDer::from_pem_file(key).map_err(|error| wrong("tls_key", key, &error))?;
            let pair = |error: rustls::Error| IdentityError::Pair(error.to_string());
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let mut config = ServerConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .map_err(pair)?
                .with_no_client_auth()
                .with_single_cert(chain, private)
                .map_err(pair)?;
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            Ok(Self {
                config: Arc::new(config),
            })
        }

        /// What takes clients in.
        pub fn acceptor(&self) -> tokio_rustls::TlsAcceptor {
            Arc::clone(&self.config).into()
        }
    }
}
