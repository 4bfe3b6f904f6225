//! The way to one pool, put together from what its owner has set.

use super::connection::Connector;
use super::proxy::ProxyConnector;
use super::settings::StratumSettings;
use std::sync::Arc;

/// How this pool is reached, over connections that `direct` makes: TLS or Noise inside, a proxy outside.
pub fn connector(direct: Arc<dyn Connector>, settings: &StratumSettings) -> Arc<dyn Connector> {
    let way: Arc<dyn Connector> = match &settings.proxy {
        Some(proxy) => Arc::new(ProxyConnector::new(direct, proxy.clone())),
        None => direct,
    };
    #[cfg(feature = "tls")]
    let way = Arc::new(super::tls::TlsConnector::new(way, settings.trust.clone()));
    #[cfg(feature = "sv2")]
    let way = Arc::new(super::sv2::link::NoiseConnector::new(way));
    way
}
