//! One try of a pool, for its owner: how far it comes, what the pool supports, how long each step takes.
//!
//! The same connection, session and deadlines as when mining; no share is sent.

use super::connection::{ConnectError, Connection, Connector, Secured, Stream};
use super::line::LineReader;
use super::message::{Extranonce, Message};
use super::request;
use super::session::{Counters, EndReason, Manners, Session};
use super::settings::StratumSettings;
use super::source::Numbers;
use crate::work::Job;
use serde_json::{Value, json};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout};

/// How long an answer to `mining.extranonce.subscribe` is waited for.
const OPTIONAL_ANSWER: Duration = Duration::from_secs(3);
/// Bytes taken from the stream at once.
const READ: usize = 8 * 1024;

/// What is known of a pool, as far as the try came.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Who is at the other end, and how long the way there took, with look-up, proxy and TLS.
    pub connected: Option<(String, Duration)>,
    /// TLS, if there is any.
    pub secured: Option<Secured>,
    /// From the first request to the first line.
    pub first_line: Option<Duration>,
    /// From the first request to the end of the handshake.
    pub authorized: Option<Duration>,
    /// The extranonce that it gave.
    pub extranonce: Option<Extranonce>,
    /// From the first request to the first job, and the job.
    pub job: Option<(Duration, Arc<Job>)>,
    /// Version bits that may be rolled; 0: none.
    pub version_mask: Option<u32>,
    /// What it says to `mining.extranonce.subscribe`.
    pub extranonce_subscribe: Option<ExtranonceSubscribe>,
    /// What it last said in `client.show_message`.
    pub message: Option<String>,
    /// Lines that could not be used.
    pub bad_lines: u64,
}

/// A pool's answer to `mining.extranonce.subscribe`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExtranonceSubscribe {
    /// It will tell of changes.
    Supported,
    /// It refused, in these words.
    Refused(String),
    /// It said nothing, as many pools do.
    NoAnswer,
    /// It hung up.
    HangsUp,
}

/// Why no job came.
#[derive(Debug, Error)]
pub enum ProbeError {
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The connection took too long.
    #[error("no connection within {} s", .0.as_secs())]
    TooSlow(Duration),
    /// The session ended.
    #[error(transparent)]
    Ended(#[from] EndReason),
    /// The connection broke.
    #[error("connection lost: {0}")]
    Broken(#[from] io::Error),
}

/// Tries a pool. What it found holds whether or not it came to a job.
pub async fn probe(
    settings: &StratumSettings,
    connector: &dyn Connector,
) -> (Findings, Result<(), ProbeError>) {
    let mut findings = Findings::default();
    let outcome = probe_into(settings, connector, &mut findings).await;
    (findings, outcome)
}

/// The same, where what was found is kept even if the try is given up.
///
/// # Errors
/// When it came to no job.
pub async fn probe_into(
    settings: &StratumSettings,
    connector: &dyn Connector,
    findings: &mut Findings,
) -> Result<(), ProbeError> {
    let began = Instant::now();
    let within = settings.deadlines.whole_connect();
    let connecting = connector.connect(&settings.url, &settings.deadlines);
    let Connection {
        stream,
        peer,
        secured,
    } = timeout(within, connecting)
        .await
        .map_err(|_| ProbeError::TooSlow(within))??;
    findings.connected = Some((peer, began.elapsed()));
    findings.secured = secured;

    // Asked for below, when the pool can no longer spoil the handshake with its answer.
    let settings = StratumSettings {
        extranonce_subscribe: false,
        ..settings.clone()
    };
    let numbers = Arc::new(Numbers::default());
    let mut talk = Talk {
        session: Session::new(
            Arc::new(settings.clone()),
            Arc::clone(&numbers),
            Manners::default(),
            Counters::default(),
            Instant::now(),
        ),
        stream,
        reader: LineReader::default(),
        began: Instant::now(),
        write: settings.deadlines.write,
    };
    while findings.job.is_none() {
        talk.step(findings, Instant::now() + settings.deadlines.silence)
            .await?;
    }
    findings.extranonce_subscribe = Some(
        talk.ask_for_extranonce(findings, numbers.next_request())
            .await,
    );
    Ok(())
}

struct Talk {
    session: Session,
    stream: Box<dyn Stream>,
    reader: LineReader,
    began: Instant,
    write: Duration,
}

impl Talk {
    /// Sends what is to be sent and takes what comes, until then at most. Gives the lines.
    async fn step(
        &mut self,
        findings: &mut Findings,
        until: Instant,
    ) -> Result<Vec<Vec<u8>>, ProbeError> {
        let output = std::mem::take(self.session.output());
        self.send(&output).await?;
        let mut bytes = vec![0; READ];
        let mut lines = Vec::new();
        tokio::select! {
            read = self.stream.read(&mut bytes) => {
                let now = Instant::now();
                let length = read?;
                if length == 0 {
                    return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
                }
                self.reader.push(bytes.get(..length).unwrap_or_default());
                while let Some(line) = self.reader.next_line() {
                    self.session.on_line(line, now);
                    lines.push(line.to_vec());
                }
                self.session.on_over_long(self.reader.take_over_long());
                if !lines.is_empty() {
                    findings.first_line.get_or_insert(self.began.elapsed());
                }
            }
            () = sleep_until(self.session.next_deadline().min(until)) => {
                self.session.on_timer(Instant::now());
            }
        }
        self.look(findings);
        match self.session.ended() {
            Some(reason) => Err(reason.clone().into()),
            None => Ok(lines),
        }
    }

    fn look(&mut self, findings: &mut Findings) {
        let since_start = self.began.elapsed();
        while let Some(job) = self.session.next_job() {
            findings.job.get_or_insert((since_start, job));
        }
        if self.session.running_since().is_some() {
            findings.authorized.get_or_insert(since_start);
        }
        let mut status = super::status::PoolStatus::default();
        self.session.describe(&mut status);
        findings.extranonce = self.session.extranonce().cloned();
        findings.version_mask = status.version_mask;
        findings.message = status.message;
        let lines = status.lines;
        findings.bad_lines = lines.malformed + lines.bad_parameters + lines.over_long;
    }

    async fn ask_for_extranonce(
        &mut self,
        findings: &mut Findings,
        id: u64,
    ) -> ExtranonceSubscribe {
        let until = Instant::now() + OPTIONAL_ANSWER;
        let mut request = Vec::new();
        request::request(&mut request, id, "mining.extranonce.subscribe", &json!([]));
        if self.send(&request).await.is_err() {
            return ExtranonceSubscribe::HangsUp;
        }
        while Instant::now() < until {
            let Ok(lines) = self.step(findings, until).await else {
                return ExtranonceSubscribe::HangsUp;
            };
            for line in lines {
                match Message::parse(&line) {
                    Ok(Message::Reply(reply)) if reply.id == id => {
                        return match (reply.error, reply.result) {
                            (Some(error), _) => ExtranonceSubscribe::Refused(error.to_string()),
                            (None, Value::Bool(true)) => ExtranonceSubscribe::Supported,
                            (None, other) => ExtranonceSubscribe::Refused(other.to_string()),
                        };
                    }
                    _ => {}
                }
            }
        }
        ExtranonceSubscribe::NoAnswer
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), io::Error> {
        let write = async {
            self.stream.write_all(bytes).await?;
            // TLS may hold back what did not fit into the socket.
            self.stream.flush().await
        };
        timeout(self.write, write)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}
