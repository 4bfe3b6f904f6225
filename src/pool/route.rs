//! The way to one pool, put together from what its owner has set.

use super::connection::Connector;
use super::settings::StratumSettings;
use std::sync::Arc;

/// How this pool is reached, over connections that `direct` makes.
pub fn connector(direct: Arc<dyn Connector>, settings: &StratumSettings) -> Arc<dyn Connector> {
    #[cfg(feature = "tls")]
    let direct = Arc::new(super::tls::TlsConnector::new(
        direct,
        settings.trust.clone(),
    ));
    #[cfg(not(feature = "tls"))]
    let _ = settings;
    direct
}
