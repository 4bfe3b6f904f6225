//! One try to deliver a message: connect, say it, wait for the word that it was taken.

use super::message::Message;
use super::mqtt;
use crate::config::{AlertTargetSection, TargetKind};
use crate::pool::basic_auth;
use crate::pool::connection::{
    ConnectError, Connection, Connector, Resolver, Stream, SystemResolver,
};
use crate::pool::settings::{Deadlines, StratumSettings};
use crate::pool::solo::http::ResponseDecoder;
use crate::pool::trust::Trust;
use crate::pool::url::Host;
use crate::telemetry::syslog::SyslogMessage;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// Bytes of an answer to a webhook that are looked at.
const ANSWER: usize = 16 * 1024;
/// How long a syslog server may take to tell that it wants nothing.
const OBJECTION: Duration = Duration::from_millis(200);

/// How a target is reached.
pub struct Way {
    section: AlertTargetSection,
    connector: Arc<dyn Connector>,
    resolver: SystemResolver,
    deadlines: Deadlines,
}

impl Way {
    /// As the owner has set it.
    pub fn new(section: &AlertTargetSection, connector: &Arc<dyn Connector>) -> Self {
        let server = section.url.server.clone();
        let trust = match (&section.ca_file, section.tls_pin) {
            (_, Some(pin)) => Trust::Certificate(pin),
            (Some(path), None) => Trust::Authorities(path.clone()),
            (None, None) => Trust::PublicRoots,
        };
        // The way to a pool is the way to anybody: TLS inside, where the address asks for it.
        let settings = StratumSettings {
            trust,
            ..StratumSettings::new(server, "", "")
        };
        Self {
            connector: crate::pool::route::connector(Arc::clone(connector), &settings),
            section: section.clone(),
            resolver: SystemResolver::default(),
            deadlines: settings.deadlines,
        }
    }

    async fn connect(&self) -> Result<Box<dyn Stream>, String> {
        let server = &self.section.url.server;
        match self.connector.connect(server, &self.deadlines).await {
            Ok(Connection { stream, .. }) => Ok(stream),
            // These would name the target as if it were a pool.
            Err(ConnectError::Tls { error, .. } | ConnectError::Trust { error, .. }) => {
                Err(format!("TLS: {error}"))
            }
            Err(ConnectError::NoTls(_)) => Err("this build has no TLS".into()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// One try.
///
/// # Errors
/// Why it is not there, in words that hold no secret.
pub async fn deliver(way: &Way, message: &Message) -> Result<(), String> {
    match way.section.url.kind {
        TargetKind::Webhook => webhook(way, message).await,
        TargetKind::SyslogUdp => syslog_udp(way, message).await,
        TargetKind::SyslogTcp => {
            let mut stream = way.connect().await?;
            let frame = syslog(message).to_frame();
            stream
                .write_all(&frame)
                .await
                .map_err(|error| error.to_string())?;
            // Syslog confirms nothing; a server that wants none of it closes the connection.
            let mut byte = [0];
            match timeout(OBJECTION, stream.read(&mut byte)).await {
                Ok(Ok(0)) => return Err("the server closed the connection at once".into()),
                Ok(Err(error)) => return Err(error.to_string()),
                Ok(Ok(_)) | Err(_) => {}
            }
            stream.shutdown().await.map_err(|error| error.to_string())
        }
        TargetKind::Mqtt => {
            let mut stream = way.connect().await?;
            let AlertTargetSection {
                url,
                user,
                password,
                qos,
                ..
            } = &way.section;
            let login = mqtt::Login {
                user: (!user.is_empty()).then_some(user),
                password: (!password.expose().is_empty()).then_some(password.expose()),
            };
            mqtt::publish(
                &mut stream,
                login,
                &url.path,
                message.json.as_bytes(),
                *qos > 0,
            )
            .await
            .map_err(|error| error.to_string())
        }
    }
}

async fn webhook(way: &Way, message: &Message) -> Result<(), String> {
    let AlertTargetSection {
        url,
        user,
        password,
        ..
    } = &way.section;
    let authorization = match (user.as_str(), password.expose()) {
        ("", "") => String::new(),
        ("", token) => format!("Authorization: Bearer {token}\r\n"),
        (user, password) => {
            let value = basic_auth::header(&format!("{user}:{password}"));
            format!("Authorization: {value}\r\n")
        }
    };
    let request = format!(
        "POST {} HTTP/1.1\r\nHost: {url}\r\n{authorization}User-Agent: cgminer-rs/{}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{}",
        url.path,
        env!("CARGO_PKG_VERSION"),
        message.json.len(),
        message.json
    );
    let mut stream = way.connect().await?;
    stream
        .write_all(request.as_bytes())
        .await
        .map_err(|error| error.to_string())?;
    let mut decoder = ResponseDecoder::new(ANSWER);
    let mut buffer = vec![0; 2048];
    loop {
        let count = stream
            .read(&mut buffer)
            .await
            .map_err(|error| error.to_string())?;
        let bytes = buffer.get(..count).unwrap_or_default();
        if count == 0 || decoder.push(bytes).map_err(|_| NO_HTTP)? {
            break;
        }
    }
    let answer = decoder.finish().map_err(|_| NO_HTTP)?;
    match answer.status {
        200..=299 => Ok(()),
        401 | 403 => Err(format!(
            "the webhook refuses us with status {}: check `url`, `user` and `password`",
            answer.status
        )),
        404 | 410 => Err(format!(
            "the webhook is not there (status {}): check `url`",
            answer.status
        )),
        status => Err(format!("the webhook answered with status {status}")),
    }
}

const NO_HTTP: &str = "the answer is no HTTP, or longer than 16 KiB: check `url`";

async fn syslog_udp(way: &Way, message: &Message) -> Result<(), String> {
    let server = &way.section.url.server;
    let address = match &server.host {
        Host::Address(address) => SocketAddr::new(*address, server.port),
        Host::Name(name) => {
            let found = way.resolver.resolve(name, server.port);
            let found = timeout(way.deadlines.resolve, found).await;
            let found = found
                .map_err(|_| format!("looking up {name}: no answer"))?
                .map_err(|error| format!("looking up {name}: {error}"))?;
            let first = found.first().copied();
            first.ok_or_else(|| format!("looking up {name}: it has no address"))?
        }
    };
    let any: IpAddr = if address.is_ipv6() {
        Ipv6Addr::UNSPECIFIED.into()
    } else {
        Ipv4Addr::UNSPECIFIED.into()
    };
    let socket = UdpSocket::bind((any, 0))
        .await
        .map_err(|error| error.to_string())?;
    let datagram = syslog(message).to_bytes();
    socket
        .send_to(&datagram, address)
        .await
        .map_err(|error| error.to_string())?;
    Ok(())
}

fn syslog(message: &Message) -> SyslogMessage<'_> {
    SyslogMessage {
        severity: message.severity.syslog(),
        unix_time: message.unix_time,
        host: message.host.as_deref(),
        id: if message.is_report { "report" } else { "alert" },
        text: &message.text,
    }
}
