//! The write commands of the cgminer API, for programs of the networks in `rpc.writers`.
//!
//! Codes and words are those of cgminer 4.11.1. Where cgminer takes a text that is no number for pool 0, it is refused here: a
//! slip of the pen must not remove a pool.

use super::keeping;
use super::reply::Reply;
use crate::api::Failure;
use crate::api::orders::{Fields, Order, Orders};
use crate::telemetry::Snapshot;
use serde_json::Value;

/// Write commands that are carried out. All others are denied to everybody.
const CARRIED_OUT: [&str; 11] = [
    "privileged",
    "switchpool",
    "enablepool",
    "disablepool",
    "addpool",
    "removepool",
    "poolquota",
    "ascenable",
    "ascdisable",
    "ascidentify",
    "ascset",
];
/// Whether a write command is carried out for who may write.
pub fn is_carried_out(command: &str) -> bool {
    CARRIED_OUT.contains(&command) || keeping::COMMANDS.contains(&command)
}

/// Pools that may be named.
const POOLS: usize = 16;
/// What `ascset` understands.
const SET_HELP: &str = "pause, resume, restart, fan,auto, fan,PERCENT, voltage,MILLIVOLTS";

/// A pool as the configuration in force has it.
struct Pool {
    url: String,
    enabled: bool,
}

/// Carries a command out. Its parameter is the part behind the command.
pub async fn carry_out(
    command: &str,
    parameter: Option<&str>,
    snapshot: &Snapshot,
    orders: &Orders,
    by: &str,
) -> Reply {
    if command == "privileged" {
        return Reply::bare('S', 46, "Privileged access OK");
    }
    let done = if keeping::COMMANDS.contains(&command) {
        let pools = snapshot.pools.list.len();
        keeping::carry_out(command, parameter, pools, orders, by).await
    } else if command.starts_with("asc") {
        chain(command, parameter, snapshot, orders, by).await
    } else {
        pool(command, parameter, snapshot, orders, by).await
    };
    // Both are replies; the one is the way out in the middle.
    done.unwrap_or_else(|refused| refused)
}

async fn pool(
    command: &str,
    parameter: Option<&str>,
    snapshot: &Snapshot,
    orders: &Orders,
    by: &str,
) -> Result<Reply, Reply> {
    let pools = pools(orders, by).await?;
    if command == "addpool" {
        return add(parameter, pools.len(), orders, by).await;
    }
    if pools.is_empty() {
        return Err(Reply::bare('E', 8, "No pools"));
    }
    let parameter = parameter.ok_or(Reply::bare('E', 25, "Missing pool id parameter"))?;
    let (id, rest) = parameter
        .split_once(',')
        .map_or((parameter, None), |(id, rest)| (id, Some(rest)));
    let found = id.trim().parse().ok().and_then(|index: usize| {
        let pool = pools.get(index)?;
        Some((index, pool))
    });
    let (index, pool) = found.ok_or_else(|| {
        let last = pools.len() - 1;
        let message = format!("Invalid pool id {} - range is 0 - {last}", shown(id));
        Reply::bare('E', 26, message)
    })?;
    let url = &pool.url;
    let enabled = pools.iter().filter(|pool| pool.enabled).count();
    let (order, reply) = match command {
        "switchpool" => (
            Order::SwitchPool(index),
            Reply::bare('S', 27, format!("Switching to pool {index}:'{url}'")),
        ),
        "enablepool" if pool.enabled => {
            let message = format!("Pool {index}:'{url}' already enabled");
            return Err(Reply::bare('I', 49, message));
        }
        "enablepool" => (
            Order::EnablePool(index, true),
            Reply::bare('S', 47, format!("Enabling pool {index}:'{url}'")),
        ),
        "disablepool" if !pool.enabled => {
            let message = format!("Pool {index}:'{url}' already disabled");
            return Err(Reply::bare('I', 50, message));
        }
        "disablepool" if enabled <= 1 => {
            let message = format!("Cannot disable last active pool {index}:'{url}'");
            return Err(Reply::bare('E', 51, message));
        }
        "disablepool" => (
            Order::EnablePool(index, false),
            Reply::bare('S', 48, format!("Disabling pool {index}:'{url}'")),
        ),
        "removepool" if pools.len() <= 1 => {
            let message = format!("Cannot remove last pool {index}:'{url}'");
            return Err(Reply::bare('E', 66, message));
        }
        "removepool" if snapshot.pools.active == Some(index) => {
            let message = format!("Cannot remove active pool {index}:'{url}'");
            return Err(Reply::bare('E', 67, message));
        }
        "removepool" => (
            Order::RemovePool(index),
            Reply::bare('S', 68, format!("Removed pool {index}:'{url}'")),
        ),
        _ => {
            let quota = rest.and_then(|rest| rest.trim().parse::<u32>().ok());
            let missing = "Missing config value N for 'poolquota,N'";
            let quota = quota.ok_or(Reply::bare('E', 86, missing))?;
            let fields = vec![("quota".to_owned(), Some(i64::from(quota).into()))];
            (
                Order::ChangePool(index, fields),
                // The odd quote at the end is cgminer's.
                Reply::bare('S', 122, format!("Set pool '{url}' to quota {quota}'")),
            )
        }
    };
    give(orders, order, by).await?;
    Ok(reply)
}

async fn add(
    parameter: Option<&str>,
    count: usize,
    orders: &Orders,
    by: &str,
) -> Result<Reply, Reply> {
    let details = parameter.ok_or(Reply::bare('E', 52, "Missing addpool details"))?;
    let invalid = || {
        let message = format!("Invalid addpool details '{}'", shown(details));
        Reply::bare('E', 53, message)
    };
    let parts = split_escaped(details);
    let [url, user, password] = parts.as_slice() else {
        return Err(invalid());
    };
    if count >= POOLS {
        let message = format!("Reached maximum number of pools ({POOLS})");
        return Err(Reply::bare('E', 54, message));
    }
    let field = |name: &str, text: &str| (name.to_owned(), Some(text.into()));
    let fields: Fields = vec![
        field("url", url),
        field("user", user),
        field("password", password),
    ];
    match orders.give(Order::AddPool(fields), by).await {
        Ok(_) => Ok(Reply::bare('S', 55, format!("Added pool {count}: '{url}'"))),
        Err(failure) if failure.status == 422 => Err(invalid()),
        Err(failure) => Err(denied(&failure)),
    }
}

async fn chain(
    command: &str,
    parameter: Option<&str>,
    snapshot: &Snapshot,
    orders: &Orders,
    by: &str,
) -> Result<Reply, Reply> {
    if snapshot.chains.is_empty() {
        return Err(Reply::bare('E', 105, "No ASCs"));
    }
    let parameter = parameter.ok_or(Reply::bare('E', 15, "Missing device id parameter"))?;
    let (id, option) = parameter
        .split_once(',')
        .map_or((parameter, None), |(id, option)| (id, Some(option)));
    let found = id
        .trim()
        .parse()
        .ok()
        .and_then(|index: usize| snapshot.chains.get(index));
    let chain = found.ok_or_else(|| {
        let last = snapshot.chains.len() - 1;
        let message = format!("Invalid ASC id {} - range is 0 - {last}", shown(id));
        Reply::bare('E', 107, message)
    })?;
    let index = chain.index;
    let is_off = chain.reason.as_deref() == Some(crate::telemetry::SWITCHED_OFF);
    let (order, reply) = match command {
        "ascenable" if !is_off => {
            let message = format!("ASC {index} already enabled");
            return Err(Reply::bare('I', 108, message));
        }
        "ascdisable" if is_off => {
            let message = format!("ASC {index} already disabled");
            return Err(Reply::bare('I', 109, message));
        }
        "ascenable" => (
            Order::EnableChain(index, true),
            Reply::bare('I', 110, format!("ASC {index} sent enable message")),
        ),
        "ascdisable" => (
            Order::EnableChain(index, false),
            Reply::bare('I', 111, format!("ASC {index} set disable flag")),
        ),
        "ascidentify" => (
            Order::Locate(true),
            Reply::bare('S', 113, format!("Identify command sent to ASC{index}")),
        ),
        _ => {
            let missing = Reply::bare('E', 116, "Missing option after ASC number");
            let option = option.ok_or(missing)?;
            let order = option_order(index, option)?;
            (order, Reply::bare('S', 119, format!("ASC {index} set OK")))
        }
    };
    match orders.give(order, by).await {
        Ok(_) => Ok(reply),
        Err(failure) if command == "ascset" => Err(set_failed(index, &failure.message)),
        Err(failure) => Err(denied(&failure)),
    }
}

/// What `ascset` asks for. Power, fans and voltage are the machine's, whichever chain is named.
fn option_order(chain: u8, option: &str) -> Result<Order, Reply> {
    let (name, value) = option
        .split_once(',')
        .map_or((option, ""), |(name, value)| (name, value.trim()));
    let cooling = |mode: &str, duty: Option<u8>| {
        let mut fields: Fields = vec![("mode".into(), Some(mode.into()))];
        fields.extend(duty.map(|duty| ("duty".to_owned(), Some(i64::from(duty).into()))));
        Order::Fans(fields)
    };
    match (name.trim(), value.parse::<u32>()) {
        ("help", _) => {
            let message = format!("ASC {chain} set help: {SET_HELP}");
            Err(Reply::bare('I', 118, message))
        }
        ("pause", _) => Ok(Order::Pause),
        ("resume", _) => Ok(Order::Resume),
        ("restart", _) => Ok(Order::RestartChain(chain)),
        ("fan", Ok(percent)) => match u8::try_from(percent) {
            Ok(percent) => Ok(cooling("fixed", Some(percent))),
            Err(_) => Err(set_failed(chain, "a duty has 10 to 100 per cent")),
        },
        ("fan", Err(_)) if value.eq_ignore_ascii_case("auto") => Ok(cooling("automatic", None)),
        ("voltage", Ok(voltage)) => Ok(Order::Supply(voltage)),
        _ => Err(set_failed(chain, &format!("known here: {SET_HELP}"))),
    }
}

/// The pools of the configuration in force.
async fn pools(orders: &Orders, by: &str) -> Result<Vec<Pool>, Reply> {
    let config = give(orders, Order::ReadConfig, by).await?;
    let list = config["in_force"]["pool"].as_array();
    Ok(list
        .into_iter()
        .flatten()
        .map(|pool| Pool {
            url: pool["url"].as_str().unwrap_or_default().to_owned(),
            enabled: pool["enabled"] == true,
        })
        .collect())
}

async fn give(orders: &Orders, order: Order, by: &str) -> Result<Value, Reply> {
    let given = orders.give(order, by).await;
    given.map_err(|failure| denied(&failure))
}

/// What the machine refuses has no code of its own in cgminer.
fn denied(failure: &Failure) -> Reply {
    let message = failure.message.lines().next().unwrap_or_default();
    Reply::bare('E', 45, format!("Access denied: {message}"))
}

fn set_failed(chain: u8, why: &str) -> Reply {
    let why = why.lines().next().unwrap_or_default();
    Reply::bare('E', 120, format!("ASC {chain} set failed: {why}"))
}

/// Parts between commas; a backslash takes the next letter as it is, as in cgminer.
fn split_escaped(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        let part = parts.last_mut();
        match (letter, part) {
            (',', _) => parts.push(String::new()),
            ('\\', Some(part)) => part.extend(letters.next()),
            (letter, Some(part)) => part.push(letter),
            (_, None) => {}
        }
    }
    parts
}

fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, PoolSection};
    use crate::telemetry::samples::Rooms;
    use serde_json::json;
    use std::sync::{Arc, Mutex};

    const CAPTURED: &str = include_str!("../../../tests/data/cgminer_api_replies.jsonl");

    /// Code and words that cgminer gave to a request.
    fn captured(command: &str, parameter: Option<&str>) -> (Value, Value) {
        let wanted = match parameter {
            Some(parameter) => json!({"command": command, "parameter": parameter}),
            None => json!({"command": command}),
        };
        let line = CAPTURED
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .find(|line| line["request"] == wanted)
            .unwrap();
        let reply = line["reply"].as_str().unwrap().trim_end_matches('\0');
        let reply: Value = serde_json::from_str(reply).unwrap();
        let status = &reply["STATUS"][0];
        (status["Code"].clone(), status["Msg"].clone())
    }

    /// A machine with so many pools, of which one may be switched off, that does all it is told.
    fn machine(pools: u16, off: Option<usize>) -> (Orders, Arc<Mutex<Vec<Order>>>) {
        let (orders, mut given) = Orders::channel();
        let done = Arc::new(Mutex::new(Vec::new()));
        let config = Config {
            pool: (0..pools)
                .map(|index| {
                    let url = format!("stratum+tcp://127.0.0.1:{}", 3334 + index);
                    let mut pool = PoolSection::stratum(url.parse().unwrap(), "u");
                    pool.enabled = off != Some(index.into());
                    pool
                })
                .collect(),
            ..Config::default()
        };
        let orders_done = done.clone();
        tokio::spawn(async move {
            while let Some(one) = given.recv().await {
                let outcome = match one.order {
                    Order::ReadConfig => Ok(json!({"in_force": config})),
                    Order::AddPool(ref fields)
                        if !fields[0]
                            .1
                            .as_ref()
                            .unwrap()
                            .as_str()
                            .unwrap()
                            .contains(':') =>
                    {
                        Err(Failure::new(422, "wrong_configuration", "no", "no"))
                    }
                    order => {
                        orders_done.lock().unwrap().push(order);
                        Ok(json!({}))
                    }
                };
                let _ = one.reply.send(outcome);
            }
        });
        (orders, done)
    }

    async fn said(
        command: &str,
        parameter: Option<&str>,
        machine: &(Orders, Arc<Mutex<Vec<Order>>>),
    ) -> (Value, Value) {
        let (source, _rooms) = Rooms::at_work();
        let reply = carry_out(command, parameter, &source.snapshot(), &machine.0, "t").await;
        let reply: Value = serde_json::from_str(&reply.to_json(0)).unwrap();
        let status = &reply["STATUS"][0];
        (status["Code"].clone(), status["Msg"].clone())
    }

    #[tokio::test]
    async fn replies_are_those_of_captured_ones_command_by_command() {
        for (command, parameter, pools, off, orders) in [
            ("privileged", None, 2, None, 0),
            ("switchpool", Some("0"), 2, None, 1),
            ("switchpool", Some("9"), 2, None, 0),
            ("switchpool", None, 2, None, 0),
            (
                "addpool",
                Some("stratum+tcp://127.0.0.1:3336,a,b"),
                3,
                None,
                1,
            ),
            ("addpool", Some("bad"), 3, None, 0),
            ("enablepool", Some("2"), 3, None, 0),
            ("disablepool", Some("2"), 3, Some(2), 0),
            ("poolquota", Some("0,3"), 3, None, 1),
            ("removepool", Some("2"), 3, None, 1),
            ("setconfig", Some("queue,1"), 1, None, 0),
            ("failover-only", Some("true"), 1, None, 0),
            ("zero", Some("bad"), 1, None, 0),
        ] {
            let machine = machine(pools, off);
            let ours = said(command, parameter, &machine).await;
            assert_eq!(
                ours,
                captured(command, parameter),
                "{command} {parameter:?}"
            );
            assert_eq!(machine.1.lock().unwrap().len(), orders, "{command}");
        }
    }

    #[tokio::test]
    async fn what_would_leave_no_pool_or_the_wrong_one_is_refused() {
        for (command, parameter, pools, off, code) in [
            ("removepool", "0", 2, None, 67),
            ("removepool", "0", 1, None, 66),
            ("removepool", "x", 2, None, 26),
            ("disablepool", "0", 2, Some(1), 51),
            ("enablepool", "1", 2, Some(1), 47),
            ("disablepool", "1", 2, None, 48),
            ("addpool", "a:1,u,p", 16, None, 54),
            ("addpool", "nonsense,u,p", 1, None, 53),
            ("poolquota", "0", 1, None, 86),
        ] {
            let machine = machine(pools, off);
            let (said, words) = said(command, Some(parameter), &machine).await;
            assert_eq!(said, code, "{command} {parameter}: {words}");
        }
    }

    #[tokio::test]
    async fn chains_fans_and_pauses_are_set_by_their_commands() {
        let machine = machine(1, None);
        for (command, parameter, code) in [
            ("ascdisable", Some("0"), 111),
            ("ascenable", Some("0"), 108),
            ("ascenable", Some("7"), 107),
            ("ascenable", None, 15),
            ("ascidentify", Some("0"), 113),
            ("ascset", Some("0"), 116),
            ("ascset", Some("0,help"), 118),
            ("ascset", Some("0,pause"), 119),
            ("ascset", Some("0,fan,60"), 119),
            ("ascset", Some("0,fan,AUTO"), 119),
            ("ascset", Some("0,fan,300"), 120),
            ("ascset", Some("0,voltage,13000"), 119),
            ("ascset", Some("0,freq,900"), 120),
        ] {
            let (said, words) = said(command, parameter, &machine).await;
            assert_eq!(said, code, "{command} {parameter:?}: {words}");
        }
        let fan = |mode: &str| ("mode".to_owned(), Some(mode.into()));
        assert_eq!(
            *machine.1.lock().unwrap(),
            [
                Order::EnableChain(0, false),
                Order::Locate(true),
                Order::Pause,
                Order::Fans(vec![fan("fixed"), ("duty".into(), Some(60.into()))]),
                Order::Fans(vec![fan("automatic")]),
                Order::Supply(13_000),
            ]
        );
    }

    #[test]
    fn a_comma_in_a_password_can_be_escaped() {
        assert_eq!(split_escaped(r"a\,b,c\\d,"), ["a,b", r"c\d", ""]);
    }
}
