//! Write commands of the cgminer API that need no pool or device of their own: order of pools, configuration, counters.

use super::reply::Reply;
use crate::api::Failure;
use crate::api::orders::{Order, Orders};

/// Commands of this file.
pub const COMMANDS: [&str; 7] = [
    "poolpriority",
    "save",
    "zero",
    "failover-only",
    "setconfig",
    "hotplug",
    "lockstats",
];

/// Carries one out.
///
/// # Errors
/// With the reply that says why not.
pub async fn carry_out(
    command: &str,
    parameter: Option<&str>,
    pools: usize,
    orders: &Orders,
    by: &str,
) -> Result<Reply, Reply> {
    match command {
        "poolpriority" => {
            let order = arranged(parameter, pools)?;
            let given = orders.give(Order::ArrangePools(order), by).await;
            given.map_err(|failure| denied(&failure))?;
            Ok(Reply::bare('S', 73, "Changed pool priorities"))
        }
        "save" => {
            let read = orders.give(Order::ReadConfig, by).await;
            let config = read.map_err(|failure| denied(&failure))?;
            saved(parameter, config["file"].as_str().unwrap_or_default())
        }
        "zero" => Err(zero(parameter)),
        "failover-only" => {
            let option = shown(parameter.unwrap_or_default());
            let message = format!("Deprecated config option '{option}'");
            Err(Reply::bare('E', 127, message))
        }
        "setconfig" => Err(match parameter {
            None => Reply::bare('E', 85, "Missing config parameters 'name,N'"),
            Some(text) => Reply::bare('E', 83, format!("Unknown config '{}'", shown(text))),
        }),
        "hotplug" => Err(Reply::bare('W', 102, "Hotplug is not available")),
        _ => Err(Reply::bare('W', 124, "Lock stats not enabled")),
    }
}

/// All pools in their new order: those that are named first, then the others as they were.
fn arranged(parameter: Option<&str>, pools: usize) -> Result<Vec<usize>, Reply> {
    if pools == 0 {
        return Err(Reply::bare('E', 8, "No pools"));
    }
    let named = parameter.ok_or(Reply::bare('E', 25, "Missing pool id parameter"))?;
    let mut order = Vec::with_capacity(pools);
    for id in named.split(',') {
        let index = id.trim().parse().ok().filter(|index| *index < pools);
        let index: usize = index.ok_or_else(|| {
            let last = pools - 1;
            let message = format!("Invalid pool id {} - range is 0 - {last}", shown(id));
            Reply::bare('E', 26, message)
        })?;
        if order.contains(&index) {
            let message = format!("Duplicate pool specified {index}");
            return Err(Reply::bare('E', 74, message));
        }
        order.push(index);
    }
    let others = (0..pools).filter(|index| !order.contains(index));
    let others: Vec<usize> = others.collect();
    order.extend(others);
    Ok(order)
}

/// A change is in the configuration file before it is in force, so there is never anything left to save; and the API writes
/// no other file.
fn saved(parameter: Option<&str>, file: &str) -> Result<Reply, Reply> {
    match parameter {
        Some(other) if other != file => {
            let message = format!("Can't open or create save file '{}'", shown(other));
            Err(Reply::bare('E', 43, message))
        }
        _ => {
            let message = format!("Configuration saved to file '{file}'");
            Ok(Reply::bare('S', 44, message))
        }
    }
}

/// The counters are those of all other doors, which rely on it that they only grow.
fn zero(parameter: Option<&str>) -> Reply {
    let Some(parameter) = parameter else {
        return Reply::bare('E', 94, "Missing zero parameters");
    };
    let (which, summary) = parameter.split_once(',').unwrap_or((parameter, ""));
    if !["true", "false"].contains(&summary.to_ascii_lowercase().as_str()) {
        return Reply::bare('E', 75, "Missing parameter: true/false");
    }
    if !["all", "bestshare"].contains(&which.to_ascii_lowercase().as_str()) {
        return Reply::bare(
            'E',
            95,
            format!("Invalid zero parameter '{}'", shown(which)),
        );
    }
    let message = "Access denied: counters here only grow; take the difference of two replies";
    Reply::bare('E', 45, message)
}

fn denied(failure: &Failure) -> Reply {
    let message = failure.message.lines().next().unwrap_or_default();
    Reply::bare('E', 45, format!("Access denied: {message}"))
}

fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code<T>(outcome: Result<T, Reply>) -> u16 {
        outcome.err().unwrap().status.code
    }

    #[test]
    fn pools_that_are_not_named_stay_behind_in_their_order() {
        assert_eq!(arranged(Some("2,0"), 4).unwrap(), [2, 0, 1, 3]);
        assert_eq!(arranged(Some("1"), 2).unwrap(), [1, 0]);
        assert_eq!(code(arranged(None, 2)), 25);
        assert_eq!(code(arranged(Some("2"), 2)), 26);
        assert_eq!(code(arranged(Some("x"), 2)), 26);
        assert_eq!(code(arranged(Some("1,1"), 2)), 74);
        assert_eq!(code(arranged(Some("0"), 0)), 8);
    }

    #[test]
    fn the_configuration_is_saved_already_and_to_no_other_file() {
        let file = "/etc/cgminer-rs/cgminer-rs.toml";
        for parameter in [None, Some(file)] {
            assert_eq!(saved(parameter, file).unwrap().status.code, 44);
        }
        assert_eq!(code(saved(Some("/etc/shadow"), file)), 43);
    }

    #[test]
    fn counters_are_never_zeroed() {
        for (parameter, code) in [
            (None, 94),
            (Some("bad"), 75),
            (Some("all"), 75),
            (Some("all,false"), 45),
            (Some("BestShare,True"), 45),
            (Some("some,true"), 95),
        ] {
            assert_eq!(zero(parameter).status.code, code, "{parameter:?}");
        }
    }
}
