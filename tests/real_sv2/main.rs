//! The reference programs of Stratum v2, with a Bitcoin Core on regtest behind them: every share accepted, every block
//! accepted by the node, no reject over a hundred job switches.
//!
//! `make sv2-peers` builds them, an hour's work, and runs this. Without them these tests say that they were left out.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on says why"
)]

#[path = "../independent/mod.rs"]
mod independent;
#[path = "../real_pools/miner.rs"]
mod miner;
#[path = "../real_pools/mining.rs"]
mod mining;
#[path = "../solo/node.rs"]
mod node;
mod programs;
mod said;

use cgminer_rs::pool::connection::DirectConnector;
#[cfg(feature = "sv2")]
use cgminer_rs::pool::route;
use cgminer_rs::pool::settings::StratumSettings;
#[cfg(feature = "sv2")]
use cgminer_rs::pool::settings::Sv2Channel;
use cgminer_rs::pool::stratum::StratumSource;
#[cfg(feature = "sv2")]
use cgminer_rs::pool::sv2::{settings::Sv2Settings, source::Sv2Source};
use miner::Miner;
use mining::{SHARES, SWITCHES, mine};
use node::Node;
use programs::{Program, programs};
use said::{Said, dropped};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Who the pool pays: nobody's key, of BIP 173's examples.
const OWNER: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
/// Somebody else: the same hash as a script's.
const OTHER: &str = "bcrt1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qzf4jry";
/// Generous, for a busy machine: an idle one takes a fraction of a second.
const PATIENCE: Duration = Duration::from_secs(60);

/// The node that came with the programs, with some blocks, so that it takes itself for up to date.
async fn node(prefix: &Path) -> Node {
    let program = prefix.join("bin/bitcoin-node");
    let node = Node::start_on("regtest", &program, &["-ipcbind=unix"]).await;
    node.generate(3, OTHER).await;
    node
}

/// The pool itself must say of every share what we were told of it; those aside that a block overtook between the
/// translator's verdict and its own.
async fn the_pool_took_all(pool: &Program, translator: Option<&Program>) {
    let sent = usize::try_from(SWITCHES * SHARES + SWITCHES / 2).unwrap();
    let began = Instant::now();
    let (said, dropped) = loop {
        let said = Said::of(&pool.said());
        let dropped = translator.map_or(0, |translator| dropped(&translator.said()));
        if said.shares + dropped == sent {
            break (said, dropped);
        }
        // The last ones may be on their way.
        assert!(
            began.elapsed() < PATIENCE,
            "{sent} shares sent, {dropped} dropped by the translator: {said:?}"
        );
        sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(said.errors, Vec::<String>::new());
    assert_eq!(said.blocks, usize::try_from(SWITCHES / 2).unwrap());
    println!(
        "the pool: {} shares received, {} blocks, no error; overtaken by a block: {dropped} at the translator, {} at the pool",
        said.shares, said.blocks, said.overtaken
    );
}

/// Mines at the pool itself over channels of this kind.
#[cfg(feature = "sv2")]
async fn mine_over(channel: Sv2Channel) {
    let Some(prefix) = programs() else { return };
    let node = node(&prefix).await;
    let pool = Program::pool(&prefix, &node);
    let url = format!(
        "stratum2+tcp://127.0.0.1:{}/{}",
        pool.port,
        programs::AUTHORITY
    );
    let settings = StratumSettings::new(url.parse().unwrap(), "test.1", "");
    let connector = route::connector(Arc::new(DirectConnector::system()), &settings);
    let settings = Sv2Settings {
        channel,
        ..Sv2Settings::new(settings, 10.0)
    };
    let source = Sv2Source::new(settings, connector, 1);
    let mut miner = Miner::start(vec![Box::new(source)]);
    mine(&mut miner, &node, OTHER).await;
    the_pool_took_all(&pool, None).await;
}

#[cfg(feature = "sv2")]
#[tokio::test]
async fn an_extended_channel_of_the_pool_is_mined_without_a_reject() {
    mine_over(Sv2Channel::Extended).await;
}

#[cfg(feature = "sv2")]
#[tokio::test]
async fn a_standard_channel_of_the_pool_is_mined_without_a_reject() {
    mine_over(Sv2Channel::Standard).await;
}

#[tokio::test]
async fn a_stratum_v1_session_through_translator_and_pool_is_accepted_whole() {
    let Some(prefix) = programs() else { return };
    let node = node(&prefix).await;
    let pool = Program::pool(&prefix, &node);
    let translator = Program::translator(&prefix, &node, &pool);
    let url = format!("stratum+tcp://127.0.0.1:{}", translator.port);
    let settings = StratumSettings::new(url.parse().unwrap(), "test.1", "x");
    let source = StratumSource::new(settings, Arc::new(DirectConnector::system()), 1);
    let mut miner = Miner::start(vec![Box::new(source)]);
    mine(&mut miner, &node, OTHER).await;
    the_pool_took_all(&pool, Some(&translator)).await;
    assert!(miner.pool(0).shares.accepted >= SWITCHES * SHARES);
}
