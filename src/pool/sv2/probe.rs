//! One try of a Stratum v2 pool, for its owner; the counterpart of [`crate::pool::probe`] in Stratum v1.

use super::session::{Lessons, Session};
use super::settings::Sv2Settings;
use crate::pool::connection::{Connection, Connector, Stream};
use crate::pool::message::Extranonce;
use crate::pool::probe::{Findings, ProbeError};
use crate::pool::reconnect::Conversation;
use crate::pool::session::Counters;
use crate::pool::status::PoolStatus;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout};

/// Bytes taken from the stream at once.
const READ: usize = 8 * 1024;

/// Tries a pool up to its first job, with the deadlines of mining; no share is sent. What it found holds whether or not
/// it came to a job.
pub async fn probe(
    settings: Sv2Settings,
    connector: &dyn Connector,
) -> (Findings, Result<(), ProbeError>) {
    let mut findings = Findings::default();
    let outcome = run(Arc::new(settings), connector, &mut findings).await;
    (findings, outcome)
}

async fn run(
    settings: Arc<Sv2Settings>,
    connector: &dyn Connector,
    findings: &mut Findings,
) -> Result<(), ProbeError> {
    let began = Instant::now();
    let deadlines = settings.pool.deadlines;
    let within = deadlines.whole_connect();
    let connecting = connector.connect(&settings.pool.url, &deadlines);
    let Connection {
        mut stream,
        peer,
        secured,
    } = timeout(within, connecting)
        .await
        .map_err(|_| ProbeError::TooSlow(within))??;
    findings.connected = Some((peer, began.elapsed()));
    findings.secured = secured;
    let began = Instant::now();
    let mut session = Session::new(
        settings,
        Arc::default(),
        Lessons::default(),
        Counters::default(),
        began,
    );
    while findings.job.is_none() {
        let sent = timeout(deadlines.write, send(&mut session, &mut *stream)).await;
        sent.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
        let mut bytes = vec![0; READ];
        tokio::select! {
            read = stream.read(&mut bytes) => {
                let length = read?;
                if length == 0 {
                    return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
                }
                session.on_bytes(bytes.get(..length).unwrap_or_default(), Instant::now());
            }
            () = sleep_until(session.next_deadline()) => session.on_timer(Instant::now()),
        }
        look(&mut session, findings, began);
        if let Some(reason) = session.ended() {
            return Err(reason.clone().into());
        }
    }
    Ok(())
}

async fn send(session: &mut Session, stream: &mut dyn Stream) -> io::Result<()> {
    stream.write_all(session.output()).await?;
    session.output().clear();
    stream.flush().await
}

fn look(session: &mut Session, findings: &mut Findings, began: Instant) {
    let since_start = began.elapsed();
    while let Some(job) = session.next_job() {
        findings.job.get_or_insert((since_start, job));
    }
    if session.running_since().is_some() {
        findings.authorized.get_or_insert(since_start);
    }
    let mut status = PoolStatus::default();
    session.describe(&mut status);
    if status.lines.received > 0 {
        findings.first_line.get_or_insert(since_start);
    }
    let extranonce = session
        .channels()
        .next()
        .map(super::channel::Channel::extranonce);
    findings.extranonce = extranonce.and_then(|(prefix, size)| {
        Some(Extranonce {
            extranonce1: prefix.into(),
            extranonce2_size: size?,
        })
    });
    findings.version_mask = status.version_mask;
    findings.bad_lines = status.lines.malformed + status.lines.bad_parameters;
}
