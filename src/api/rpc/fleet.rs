//! Replies in the form that programs for fleets read: `api::fleet` tells why.

use super::reply::{Members, Reply, Value};
use super::stats;
use crate::api::fleet::{SOFTWARE, gigahashes};
use crate::telemetry::{Chain, Snapshot};
use Value::{Fixed, Text, Unknown, Whole};

/// Chains and fans that have members of their own.
const COUNTED: usize = 16;

/// `version`, with the kind of machine.
pub fn version(model: &str) -> Reply {
    let mut members = identity(model);
    members.insert(1, ("API", Text("3.7".into())));
    Reply::with(22, "CGMiner versions", "VERSION", vec![members])
}

/// What stands behind cgminer's members of `summary`.
pub fn summary(snapshot: &Snapshot) -> Members {
    let chains: Vec<&Chain> = snapshot.chains.iter().collect();
    vec![
        ("GHS 5s", rate(gigahashes(&chains, 5))),
        ("GHS 1m", rate(gigahashes(&chains, 60))),
        ("GHS 15m", rate(gigahashes(&chains, 900))),
    ]
}

/// `stats`: what the machine is, the machine as a whole, then cgminer's own objects, numbered through.
pub fn stats(model: &str, snapshot: &Snapshot) -> Reply {
    let reply = stats::stats(snapshot);
    let Some((name, mut objects)) = reply.content else {
        return reply;
    };
    objects.insert(0, machine(snapshot));
    for (number, object) in objects.iter_mut().enumerate() {
        if let Some(first) = object.first_mut() {
            *first = ("STATS", Whole(number as u64));
        }
    }
    objects.insert(0, identity(model));
    Reply {
        content: Some((name, objects)),
        ..reply
    }
}

fn identity(model: &str) -> Members {
    vec![
        ("CGMiner", Text(env!("CARGO_PKG_VERSION").into())),
        ("Miner", Text(SOFTWARE.into())),
        ("Type", Text(model.into())),
    ]
}

fn machine(snapshot: &Snapshot) -> Members {
    let nominal = snapshot.hash_rate.nominal.map(|rate| rate.0 / 1e9);
    let mut members = vec![
        ("STATS", Whole(0)),
        ("ID", Text("MACHINE".into())),
        ("Elapsed", Whole(snapshot.machine.uptime_s as u64)),
    ];
    members.extend(summary(snapshot));
    members.extend([
        ("total_rateideal", rate(nominal)),
        ("rate_unit", Text("GH".into())),
        ("miner_count", Whole(snapshot.chains.len() as u64)),
        ("fan_num", Whole(snapshot.fans.len() as u64)),
    ]);
    for (name, fan) in FANS.iter().zip(&snapshot.fans) {
        let speed = fan.speed.value();
        members.push((name, speed.map_or(Unknown, |speed| Whole(speed.0.into()))));
    }
    for (names, chain) in CHAINS.iter().zip(&snapshot.chains) {
        let [chips, hash_rate, frequency, temperatures] = *names;
        let found = chain.chips_found;
        members.push((chips, found.map_or(Unknown, |found| Whole(found.into()))));
        // Texts, as the programs expect them.
        let in_text = gigahashes(&[chain], 5).map(|rate| format!("{rate:.6}"));
        members.push((hash_rate, in_text.map_or(Unknown, Text)));
        let megahertz = chain.frequency.map(|frequency| frequency.0.round() as u64);
        members.push((frequency, megahertz.map_or(Unknown, Whole)));
        members.push((temperatures, sensors(snapshot, chain.index)));
    }
    // pyasic makes a number of whatever is there and gives the machine up at a null; what is not there it leaves alone.
    members.retain(|(_, value)| !matches!(value, Unknown));
    members
}

/// Whole degrees with strokes between them, as in `26-27`.
fn sensors(snapshot: &Snapshot, chain: u8) -> Value {
    let readings: Vec<String> = snapshot
        .temperatures
        .iter()
        .filter(|sensor| sensor.chain == Some(chain))
        .filter_map(|sensor| sensor.reading.value())
        .map(|celsius| format!("{:.0}", celsius.0))
        .collect();
    if readings.is_empty() {
        Unknown
    } else {
        Text(readings.join("-"))
    }
}

fn rate(gigahashes: Option<f64>) -> Value {
    gigahashes.map_or(Unknown, |rate| Fixed(rate, 6))
}

const FANS: [&str; COUNTED] = [
    "fan1", "fan2", "fan3", "fan4", "fan5", "fan6", "fan7", "fan8", "fan9", "fan10", "fan11",
    "fan12", "fan13", "fan14", "fan15", "fan16",
];

macro_rules! chains {
    ($($number:literal)*) => {
        [$([
            concat!("chain_acn", $number),
            concat!("chain_rate", $number),
            concat!("freq", $number),
            concat!("temp_pcb", $number),
        ]),*]
    };
}

const CHAINS: [[&str; 4]; COUNTED] = chains!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::samples::Rooms;

    #[tokio::test(start_paused = true)]
    async fn programs_find_the_machine_where_they_look_for_it() {
        let (source, _rooms) = Rooms::at_work();
        let snapshot = source.snapshot();
        let json = |reply: Reply| -> serde_json::Value {
            serde_json::from_str(&reply.to_json(0)).unwrap()
        };
        let version = json(version("Antminer S19j Pro"));
        assert_eq!(version["VERSION"][0]["Type"], "Antminer S19j Pro");
        assert_eq!(version["VERSION"][0]["Miner"], SOFTWARE);
        let stats = json(stats("Antminer S19j Pro", &snapshot));
        let stats = stats["STATS"].as_array().unwrap();
        assert_eq!(stats[0]["Type"], "Antminer S19j Pro");
        assert_eq!(
            (&stats[1]["chain_acn1"], &stats[1]["fan1"]),
            (&2.into(), &2400.into())
        );
        assert_eq!(stats[1]["temp_pcb1"], "56");
        assert_eq!(stats[1]["total_rateideal"], 1000.0);
        assert_eq!(stats[3]["ID"], "POOL0");
        let numbers: Vec<_> = stats[1..]
            .iter()
            .map(|each| each["STATS"].as_u64())
            .collect();
        assert_eq!(numbers, [Some(0), Some(1), Some(2)]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_unknown_is_left_out_of_the_machine() {
        let (source, _rooms) = Rooms::at_work();
        let mut snapshot = source.snapshot();
        snapshot.hash_rate.nominal = None;
        snapshot.chains[0].chips_found = None;
        let machine = machine(&snapshot);
        let named = |wanted: &str| machine.iter().any(|(name, _)| *name == wanted);
        assert!(!named("total_rateideal") && !named("chain_acn1"));
        assert!(named("rate_unit") && named("freq1"));
        assert!(machine.iter().all(|(_, value)| !matches!(value, Unknown)));
    }
}
