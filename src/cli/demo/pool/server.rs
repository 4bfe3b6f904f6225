//! The demo pool's socket, its clock and its clients.

use super::chain::Template;
use super::check::difficulty;
use super::client::Client;
use super::stats::DemoPoolStats;
use super::vardiff::Vardiff;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// Clients at once.
const MOST_CLIENTS: usize = 8;
/// Longest line.
const LONGEST_LINE: usize = 16 * 1024;
/// For one write.
const WRITE_DEADLINE: Duration = Duration::from_secs(10);
/// A client that says nothing for so long is sent away.
const SILENCE: Duration = Duration::from_secs(600);
/// How often a client's difficulty is looked at.
const TICK: Duration = Duration::from_secs(1);
/// Before the next try when a connection could not be taken.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the demo pool is run with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DemoPoolSettings {
    /// Share difficulty that clients begin with.
    pub start_difficulty: f64,
    /// Lowest share difficulty. No lower than what the emulated chips report, or shares would be missing.
    pub least_difficulty: f64,
    /// How hard a block of the demo chain is.
    pub network_difficulty: f64,
    /// Between two jobs.
    pub job_interval: Duration,
    /// Every so many jobs, somebody else is said to have found a block.
    pub jobs_a_block: u32,
}

/// Highest share difficulty.
const HIGHEST_DIFFICULTY: f64 = 1e12;

impl DemoPoolSettings {
    /// For an emulated machine that does `hashes_per_second`: a share a second, a block about every two minutes.
    pub fn for_hashrate(hashes_per_second: f64) -> Self {
        let difficulty_a_second = (hashes_per_second / 2_f64.powi(32)).max(1e-9);
        Self {
            start_difficulty: difficulty_a_second,
            least_difficulty: difficulty_a_second / 1000.0,
            network_difficulty: difficulty_a_second * 120.0,
            job_interval: Duration::from_secs(20),
            jobs_a_block: 6,
        }
    }
}

/// A pool for the demo, listening on this machine's loopback alone.
pub struct DemoPool {
    listener: TcpListener,
    address: SocketAddr,
    settings: DemoPoolSettings,
    shared: Shared,
}

#[derive(Clone)]
struct Shared {
    template: Arc<watch::Sender<Arc<Template>>>,
    stats: Arc<watch::Sender<DemoPoolStats>>,
}

impl DemoPool {
    /// Opens a free port of the loopback.
    ///
    /// # Errors
    /// When the system has none.
    pub fn bind(settings: DemoPoolSettings) -> io::Result<Self> {
        Self::listening(
            std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?,
            settings,
        )
    }

    /// Listens at a socket that is open already. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// When it is none that a pool can listen at.
    pub fn listening(
        listener: std::net::TcpListener,
        settings: DemoPoolSettings,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let address = listener.local_addr()?;
        let template = Template::first(settings.network_difficulty, unix_time());
        tracing::info!(
            %address,
            network_difficulty = difficulty(template.network_target()),
            "demo pool open: its chain is made up and pays nobody; every share is checked by code of its own"
        );
        let stats = DemoPoolStats {
            height: template.height,
            ..DemoPoolStats::default()
        };
        Ok(Self {
            listener,
            address,
            settings,
            shared: Shared {
                template: Arc::new(watch::Sender::new(Arc::new(template))),
                stats: Arc::new(watch::Sender::new(stats)),
            },
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has seen, as it goes on.
    pub fn stats(&self) -> watch::Receiver<DemoPoolStats> {
        self.shared.stats.subscribe()
    }

    /// Serves until it is dropped.
    pub async fn run(self) {
        let mut clients = JoinSet::new();
        let mut number = 0_u32;
        let mut jobs = interval(self.settings.job_interval);
        jobs.set_missed_tick_behavior(MissedTickBehavior::Delay);
        jobs.tick().await;
        let mut jobs_made = 0_u32;
        loop {
            tokio::select! {
                accepted = self.listener.accept(), if clients.len() < MOST_CLIENTS => match accepted {
                    Ok((stream, peer)) => {
                        number = number.wrapping_add(1);
                        tracing::info!(%peer, "demo pool: a miner has come");
                        clients.spawn(serve(stream, number, self.settings, self.shared.clone()));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "demo pool: a connection could not be taken");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(_) = clients.join_next() => {}
                _ = jobs.tick() => {
                    jobs_made = jobs_made.wrapping_add(1);
                    if jobs_made % self.settings.jobs_a_block.max(1) == 0 {
                        self.shared.advance(None);
                    } else {
                        self.shared.template.send_modify(|template| {
                            Arc::make_mut(template).refresh(unix_time());
                        });
                    }
                }
            }
        }
    }
}

impl Shared {
    /// Moves the chain on: by a block that stands on the tip, or, without one, by nobody's.
    fn advance(&self, block: Option<([u8; 32], [u8; 32])>) {
        let moved = self.template.send_if_modified(|template| {
            if block.is_some_and(|(previous, _)| previous != template.previous) {
                return false;
            }
            let hash = block.map_or_else(|| template.block_of_nobody(), |(_, hash)| hash);
            Arc::make_mut(template).advance(hash, unix_time());
            true
        });
        if moved {
            let height = self.template.borrow().height;
            self.stats.send_modify(|stats| {
                stats.height = height;
                stats.blocks += u64::from(block.is_some());
            });
            let by = if block.is_some() {
                "a share of this machine"
            } else {
                "the demo itself"
            };
            tracing::info!(height, by, "demo pool: a new block of the demo chain");
        }
    }
}

async fn serve(stream: TcpStream, number: u32, settings: DemoPoolSettings, shared: Shared) {
    shared.stats.send_modify(|stats| stats.clients += 1);
    let end = converse(stream, number, settings, &shared).await;
    shared
        .stats
        .send_modify(|stats| stats.clients = stats.clients.saturating_sub(1));
    match end {
        Ok(why) => tracing::info!(why, "demo pool: a miner has left"),
        Err(error) => tracing::info!(%error, "demo pool: a miner's connection broke"),
    }
}

async fn converse(
    mut stream: TcpStream,
    number: u32,
    settings: DemoPoolSettings,
    shared: &Shared,
) -> io::Result<&'static str> {
    stream.set_nodelay(true)?;
    let range = (settings.least_difficulty, HIGHEST_DIFFICULTY);
    let vardiff = Vardiff::new(settings.start_difficulty, range, Instant::now());
    let mut client = Client::new(number, vardiff);
    let mut templates = shared.template.subscribe();
    templates.mark_unchanged();
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut input = Vec::new();
    let mut heard_at = Instant::now();
    loop {
        let mut hang_up = None;
        tokio::select! {
            count = stream.read_buf(&mut input) => {
                if count? == 0 {
                    return Ok("it hung up");
                }
                heard_at = Instant::now();
                while let Some(line) = take_line(&mut input) {
                    let template = Arc::clone(&shared.template.borrow());
                    let mut outcome = None;
                    shared.stats.send_modify(|stats| {
                        outcome = Some(client.on_line(&line, &template, Instant::now(), stats));
                    });
                    let outcome = outcome.unwrap_or_default();
                    if outcome.block.is_some() {
                        shared.advance(outcome.block);
                    }
                    if outcome.hang_up {
                        hang_up = Some("it does not speak Stratum");
                        break;
                    }
                }
                if input.len() > LONGEST_LINE {
                    hang_up = Some("a line of it does not end");
                }
            }
            changed = templates.changed() => {
                if changed.is_err() {
                    return Ok("the pool is closed");
                }
                let template = Arc::clone(&templates.borrow_and_update());
                shared.stats.send_modify(|stats| client.on_template(&template, stats));
            }
            _ = tick.tick() => {
                let now = Instant::now();
                let template = Arc::clone(&shared.template.borrow());
                shared.stats.send_modify(|stats| client.on_time(&template, now, stats));
                if now.saturating_duration_since(heard_at) > SILENCE {
                    hang_up = Some("it has been silent for too long");
                }
            }
        }
        let output = client.take_output();
        match timeout(WRITE_DEADLINE, stream.write_all(output.as_bytes())).await {
            Ok(written) => written?,
            Err(_) => return Ok("it does not read"),
        }
        if let Some(why) = hang_up {
            return Ok(why);
        }
    }
}

/// Takes the first line out of the input, if it is complete.
fn take_line(input: &mut Vec<u8>) -> Option<Vec<u8>> {
    let end = input.iter().position(|byte| *byte == b'\n')?;
    let rest = input.split_off(end + 1);
    let mut line = std::mem::replace(input, rest);
    line.pop();
    Some(line)
}

fn unix_time() -> u32 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    since.as_secs() as u32
}
