//! Pools: where jobs come from and shares go to.
//!
//! A [`source::JobSource`] is one configured pool (Stratum v1) or the owner's own node; it
//! reconnects by itself. The [`manager`] stands above all sources: it publishes the job of the one
//! that the strategy chose, and takes each share back to the session that made its job, never to
//! another.

pub mod authority;
pub mod backoff;
pub mod base58;
pub mod basic_auth;
pub mod clock;
pub mod connection;
pub mod discretion;
pub mod line;
pub mod manager;
pub mod message;
pub mod notify;
pub mod probe;
pub mod proxy;
pub mod reconnect;
pub mod record;
pub mod redirect;
pub mod reject;
pub mod request;
pub mod retired;
pub mod route;
pub mod session;
pub mod settings;
pub mod solo;
pub mod source;
pub mod status;
pub mod strategy;
pub mod stratum;
#[cfg(feature = "sv2")]
pub mod sv2;
#[cfg(feature = "tls")]
pub mod tls;
pub mod trust;
pub mod url;
