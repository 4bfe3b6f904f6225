//! The network door behind TLS.

use super::connection::Door;
use super::places::Place;
use super::{Listener, Shared, connection};
use crate::api::tls::Identity;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// For a handshake, from the connection on.
const HANDSHAKE_TIME: Duration = Duration::from_secs(5);

/// Clients over TLS.
pub struct Secured {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

/// Puts TLS over a listener.
pub fn secured(listener: TcpListener, identity: &Identity) -> Secured {
    Secured {
        listener,
        acceptor: identity.acceptor(),
    }
}

impl Listener for Secured {
    type Stream = TcpStream;

    async fn accept_stream(&self) -> io::Result<(Self::Stream, Door)> {
        self.listener.accept_stream().await
    }

    fn serve(
        &self,
        stream: Self::Stream,
        door: Door,
        shared: Arc<Shared>,
        place: Place,
    ) -> impl Future<Output = ()> + Send + 'static {
        let handshake = timeout(HANDSHAKE_TIME, self.acceptor.accept(stream));
        async move {
            let stream = tokio::select! {
                biased;
                () = place.is_wanted() => return,
                stream = handshake => stream,
            };
            let problem = match stream {
                Ok(Ok(stream)) => {
                    return connection::serve(Box::new(stream), door, &shared, &place).await;
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => "its handshake did not end in time".into(),
            };
            tracing::debug!(problem, "a client does not speak TLS as it should");
        }
    }

    /// Nothing that could be said here would be understood.
    fn turn_away(_: Self::Stream) {}
}
