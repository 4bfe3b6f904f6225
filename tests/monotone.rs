//! Totals never fall while the program runs, whatever its owner does to the pools.

// Helpers of tests; counts that travel as numbers are whole.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::float_cmp
)]

use cgminer_rs::api::access::Access;
use cgminer_rs::api::orders::Orders;
use cgminer_rs::api::{Api, Control, local};
use cgminer_rs::config::{ApiSection, Config, Listen};
use cgminer_rs::pool::manager::{self, Command, ConfiguredSource, ManagerPorts};
use cgminer_rs::pool::reject::RejectReason;
use cgminer_rs::pool::settings::{Place, StrategyKind};
use cgminer_rs::pool::source::{JobSource, SourcePorts, SourceTask};
use cgminer_rs::pool::status::{PoolStatus, PoolsStatus, SourceKind};
use cgminer_rs::telemetry::{Inputs, SnapshotSource};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// A pool that takes shares and loses its connection whenever the test says so.
struct Pool {
    name: &'static str,
    password: &'static str,
    steps: watch::Receiver<u64>,
}

impl JobSource for Pool {
    fn kind(&self) -> SourceKind {
        SourceKind::StratumV1
    }

    fn initial_status(&self) -> PoolStatus {
        PoolStatus {
            url: format!("stratum+tcp://{}.example:3333", self.name),
            user: "account.worker".into(),
            ..PoolStatus::default()
        }
    }

    fn fingerprint(&self) -> String {
        format!("{} {}", self.name, self.password)
    }

    fn run(mut self: Box<Self>, ports: SourcePorts) -> SourceTask {
        Box::pin(async move {
            let mut status = self.initial_status();
            let mut wanted = ports.wanted.clone();
            loop {
                tokio::select! {
                    changed = self.steps.changed() => if changed.is_err() { return },
                    changed = wanted.changed() => match changed {
                        Ok(()) => continue,
                        Err(_) => return,
                    },
                }
                let session = status.session.unwrap_or_default();
                status.session = Some(session + 1);
                status.connection_attempts += 1;
                status.failures += 1;
                status.jobs += 2;
                status.shares.submitted += 5;
                for _ in 0..3 {
                    status.shares.accept(64.0, false);
                }
                let text = "stale".to_owned();
                status.shares.reject(64.0, RejectReason::Stale, text);
                ports.report(status.clone());
            }
        })
    }
}

struct House {
    directory: tempfile::TempDir,
    steps: watch::Sender<u64>,
    commands: mpsc::Sender<Command>,
    status: watch::Receiver<PoolsStatus>,
    seen: BTreeMap<String, f64>,
    _shares: mpsc::Sender<cgminer_rs::work::Share>,
}

fn pools(
    steps: &watch::Sender<u64>,
    names: &[(&'static str, &'static str)],
) -> Vec<ConfiguredSource> {
    let pool = |&(name, password): &(&'static str, &'static str)| ConfiguredSource {
        source: Box::new(Pool {
            name,
            password,
            steps: steps.subscribe(),
        }),
        place: Place::default(),
        name: None,
    };
    names.iter().map(pool).collect()
}

impl House {
    fn open(names: &[(&'static str, &'static str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let steps = watch::Sender::new(0);
        let (jobs, _) = watch::channel(None);
        let (shares, found) = mpsc::channel(1);
        let (publish, status) = watch::channel(PoolsStatus::default());
        let (_, hashes_done) = watch::channel(0.0);
        let (commands, received) = mpsc::channel(1);
        tokio::spawn(manager::run(
            pools(&steps, names),
            StrategyKind::LoadBalance,
            ManagerPorts {
                jobs,
                shares: found,
                status: publish,
                hashes_done,
                commands: received,
            },
        ));
        let source = SnapshotSource::new(Inputs {
            board: "l7".into(),
            emulated: true,
            board_file: None,
            directories: Vec::new(),
            pools: status.clone(),
            chains: Vec::new(),
            keeper: watch::channel(None).1,
        });
        let settings = ApiSection {
            listen: Listen::Off,
            run_directory: directory.path().into(),
            ..ApiSection::default()
        };
        let control = Control {
            orders: Orders::channel().0,
            access: watch::Sender::new(Access::of(&Config::default())).subscribe(),
        };
        let api = Api::open(&settings, source, control).unwrap();
        tokio::spawn(api.run());
        Self {
            directory,
            steps,
            commands,
            status,
            seen: BTreeMap::new(),
            _shares: shares,
        }
    }

    async fn wait_for(&mut self, is_it: impl FnMut(&PoolsStatus) -> bool) {
        let waited = tokio::time::timeout(Duration::from_secs(240), self.status.wait_for(is_it));
        waited.await.expect("in time").unwrap();
    }

    /// Every pool takes shares, refuses one and loses its connection.
    async fn step(&mut self) {
        let attempts = |status: &PoolsStatus| -> u64 {
            let now = status.pools.iter().map(|pool| pool.connection_attempts);
            now.sum()
        };
        let before = attempts(&self.status.borrow());
        let count = self.status.borrow().pools.len() as u64;
        self.steps.send_modify(|steps| *steps += 1);
        self.wait_for(|status| attempts(status) >= before + count)
            .await;
    }

    async fn replace(&mut self, names: &[(&'static str, &'static str)]) {
        let command = Command::Replace(pools(&self.steps, names), StrategyKind::LoadBalance);
        assert!(self.commands.send(command).await.is_ok());
        let wanted: Vec<_> = names.iter().map(|(name, _)| format!("//{name}.")).collect();
        self.wait_for(|status| {
            let urls = status.pools.iter().map(|pool| &pool.url);
            status.pools.len() == wanted.len()
                && urls
                    .zip(&wanted)
                    .all(|(url, name)| url.contains(name.as_str()))
        })
        .await;
    }

    /// Reads all totals and holds them to those read before.
    async fn scrape(&mut self, when: &str) {
        let text = String::from_utf8(get(self.directory.path().into(), "/metrics").await).unwrap();
        let mut totals: BTreeMap<String, f64> = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.rsplit_once(' '))
            .filter(|(name, _)| name.split('{').next().unwrap().ends_with("_total"))
            .map(|(name, value)| (name.to_owned(), value.parse().unwrap()))
            .collect();
        let status = get(self.directory.path().into(), "/api/v1/status").await;
        let status: serde_json::Value = serde_json::from_slice(&status).unwrap();
        for pointer in [
            "/shares/submitted",
            "/shares/accepted",
            "/shares/rejected/total",
            "/shares/rejected/stale",
            "/shares/unanswered",
            "/shares/accepted_difficulty",
            "/work/jobs",
            "/pools/failures",
        ] {
            let value = status.pointer(pointer).and_then(serde_json::Value::as_f64);
            totals.insert(pointer.into(), value.expect(pointer));
        }
        assert!(totals.len() > 15, "{text}");
        for (name, before) in &self.seen {
            match totals.get(name) {
                Some(now) => assert!(now >= before, "{when}: {name} fell from {before} to {now}"),
                None => assert!(name.contains("pool="), "{when}: {name} is gone"),
            }
        }
        self.seen.extend(totals);
    }
}

async fn get(directory: PathBuf, path: &'static str) -> Vec<u8> {
    let asked = tokio::task::spawn_blocking(move || local::get(&directory, path));
    asked.await.unwrap().unwrap()
}

#[tokio::test]
async fn totals_never_fall_when_pools_are_removed_changed_or_reconnect() {
    let mut house = House::open(&[("a", "x"), ("b", "x")]);
    house.scrape("at the start").await;
    for round in 0..3 {
        house.step().await;
        house.scrape("after a reconnection").await;
        house.replace(&[("b", "x")]).await;
        house.scrape("after a removal").await;
        house.step().await;
        house.scrape("with one pool less").await;
        house.replace(&[("b", "x"), ("a", "y")]).await;
        house.scrape("with the pool back").await;
        house.step().await;
        house.replace(&[("b", "z"), ("a", "y")]).await;
        house.scrape("after a change of password").await;
        house.step().await;
        house.scrape("after a reconnection with it").await;
        let order = if round % 2 == 0 {
            ["c", "a"]
        } else {
            ["a", "b"]
        };
        house.replace(&order.map(|name| (name, "x"))).await;
        house.scrape("after both were replaced").await;
        house.replace(&[("a", "x"), ("b", "x")]).await;
    }
    house.replace(&[]).await;
    house.scrape("without any pool").await;
    let accepted = house.seen["/shares/accepted"];
    let submitted = house.seen["/shares/submitted"];
    assert_eq!(house.seen["cgminer_shares_accepted_total"], accepted);
    assert!(
        accepted > 0.0 && submitted * 0.6 == accepted,
        "{submitted} {accepted}"
    );
    let rejected = house.seen["/shares/rejected/total"];
    let unanswered = house.seen["/shares/unanswered"];
    assert_eq!(accepted + rejected + unanswered, submitted);
}
