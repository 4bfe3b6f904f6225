//! The control socket: lines of text that make things go wrong while the machine runs.
//!
//! | line | answer |
//! |---|---|
//! | `inject { fault = "fan-stop", fan = "front left" }` | `ok 1`, the number to clear it by |
//! | `inject for 30 { fault = "supply-nak" }` | the same, over after 30 s |
//! | `clear 1`, `clear all` | `ok` |
//! | `reset 0 hold`, `reset 0 release` | `ok`; drives the reset line of chain 0 |
//! | `power on`, `power off` | `ok`; enables the supply at its nominal voltage |
//! | `enable on`, `enable off` | `ok`; drives the supply's enable line alone |
//! | `fan 40 front left` | `ok`; drives a fan at that duty in percent |
//! | `status` | the machine as it really is, as TOML, and an empty line |
//! | `help` | these commands |
//!
//! What goes wrong is answered by `error` and what to do.

use crate::{fault::Fault, machine::Control};
use cgminer_hal::units::DutyPercent;
use serde::Deserialize;
use std::{io, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
};

const HELP: &str = "ok inject [for SECONDS] { fault = \"...\", ... } | clear NUMBER|all | \
     reset CHAIN hold|release | power on|off | enable on|off | fan PERCENT NAME | status | help";
const LINE_MAX: u64 = 4096;
const CONNECTIONS_MAX: usize = 8;

/// Answers one line, without its end.
pub fn answer(control: &Control, line: &str) -> String {
    let (word, rest) = line
        .trim()
        .split_once(char::is_whitespace)
        .unwrap_or((line.trim(), ""));
    let result = match (word, rest.trim()) {
        ("inject", rest) => inject(control, rest),
        ("clear", "all") => {
            control.clear_all();
            Ok("ok".into())
        }
        ("clear", number) => clear(control, number),
        ("reset", rest) => reset(control, rest),
        ("power", switch @ ("on" | "off")) => {
            control.set_power(switch == "on");
            Ok("ok".into())
        }
        ("enable", switch @ ("on" | "off")) => {
            control.set_enable(switch == "on");
            Ok("ok".into())
        }
        ("fan", rest) => fan(control, rest),
        ("status", "") => status(control),
        ("help", _) => Ok(HELP.into()),
        _ => Err(format!("unknown command {word:?}; try `help`")),
    };
    result.unwrap_or_else(|problem| format!("error {problem}"))
}

/// Serves a control socket for ever; a bad connection ends alone.
///
/// # Errors
/// When the listener itself fails.
pub async fn serve(listener: UnixListener, control: Control) -> io::Result<()> {
    let places = std::sync::Arc::new(tokio::sync::Semaphore::new(CONNECTIONS_MAX));
    loop {
        let (stream, _) = listener.accept().await?;
        let Ok(place) = std::sync::Arc::clone(&places).try_acquire_owned() else {
            continue;
        };
        let control = control.clone();
        tokio::spawn(async move {
            // The other side went away; there is nobody to tell.
            let _ = converse(stream, &control).await;
            drop(place);
        });
    }
}

async fn converse(stream: UnixStream, control: &Control) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read);
    let mut line = Vec::new();
    loop {
        line.clear();
        let count = (&mut lines)
            .take(LINE_MAX)
            .read_until(b'\n', &mut line)
            .await?;
        if count == 0 {
            return Ok(());
        }
        let whole = line.ends_with(b"\n");
        let answered = match std::str::from_utf8(&line) {
            Ok(text) if whole || (count as u64) < LINE_MAX => answer(control, text),
            Ok(_) => "error line too long".into(),
            Err(_) => "error not UTF-8".into(),
        };
        write.write_all(format!("{answered}\n").as_bytes()).await?;
        if count as u64 == LINE_MAX {
            return Ok(());
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Injection {
    inject: Fault,
}

fn inject(control: &Control, rest: &str) -> Result<String, String> {
    let (lasting, table) = match rest.strip_prefix("for ") {
        Some(rest) => {
            let (seconds, table) = rest
                .trim()
                .split_once(' ')
                .ok_or("no fault after the time")?;
            let seconds: f64 = seconds
                .parse()
                .map_err(|_| format!("{seconds:?} is no number of seconds"))?;
            let lasting =
                Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?;
            (Some(lasting), table)
        }
        None => (None, rest),
    };
    let injection: Injection =
        toml::from_str(&format!("inject = {table}")).map_err(|error| error.message().to_owned())?;
    let number = control
        .inject(injection.inject, lasting)
        .map_err(|error| error.to_string())?;
    Ok(format!("ok {number}"))
}

fn clear(control: &Control, number: &str) -> Result<String, String> {
    let parsed: u64 = number
        .parse()
        .map_err(|_| format!("{number:?} is no fault's number; `status` has them"))?;
    if control.clear(parsed) {
        Ok("ok".into())
    } else {
        Err(format!("no fault has number {parsed}"))
    }
}

fn reset(control: &Control, rest: &str) -> Result<String, String> {
    let (chain, held) = match rest.split_once(' ') {
        Some((chain, "hold")) => (chain, true),
        Some((chain, "release")) => (chain, false),
        _ => return Err("say `reset CHAIN hold` or `reset CHAIN release`".into()),
    };
    let chain: usize = chain
        .parse()
        .map_err(|_| format!("{chain:?} is no chain's number"))?;
    if control.set_reset(chain, held) {
        Ok("ok".into())
    } else {
        Err(format!("no chain {chain}"))
    }
}

fn fan(control: &Control, rest: &str) -> Result<String, String> {
    let (percent, name) = rest
        .split_once(' ')
        .ok_or("say `fan PERCENT NAME`, as in `fan 40 front left`")?;
    let duty: f32 = percent
        .parse()
        .map_err(|_| format!("{percent:?} is no number of percent"))?;
    if control.drive_fan(name, DutyPercent(duty)) {
        Ok("ok".into())
    } else {
        Err(format!("no fan {name:?} is driven by a line"))
    }
}

fn status(control: &Control) -> Result<String, String> {
    toml::to_string(&control.truth()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Clock,
        machine::{Machine, MachineSettings},
    };

    fn control() -> Control {
        Machine::new(MachineSettings::l7().unwrap(), 1, Clock::manual()).control()
    }

    #[test]
    fn faults_come_and_go_by_line() {
        let control = control();
        assert_eq!(
            answer(
                &control,
                r#"inject { fault = "fan-stop", fan = "front left" }"#
            ),
            "ok 1"
        );
        assert_eq!(
            answer(&control, r#"inject for 2.5 { fault = "supply-nak" }"#),
            "ok 2"
        );
        assert_eq!(control.truth().faults.len(), 2);
        let status = answer(&control, "status");
        assert!(
            status.contains("fan-stop") && status.contains("rail"),
            "{status}"
        );
        assert_eq!(answer(&control, "clear 1\n"), "ok");
        assert_eq!(answer(&control, "clear 1"), "error no fault has number 1");
        assert_eq!(answer(&control, "clear all"), "ok");
        assert!(control.truth().faults.is_empty());
    }

    #[test]
    fn lines_and_power_are_driven() {
        let control = control();
        for line in [
            "reset 0 release",
            "reset 2 hold",
            "power on",
            "power off",
            "enable on",
            "enable off",
            "fan 40 front left",
            "help",
        ] {
            assert!(answer(&control, line).starts_with("ok"), "{line}");
        }
    }

    #[test]
    fn a_bad_line_is_answered_with_what_is_wrong() {
        let control = control();
        for (line, part) in [
            ("explode", "help"),
            ("inject", "error"),
            (r#"inject { fault = "fan-stop", fan = "middle" }"#, "middle"),
            (r#"inject for ever { fault = "supply-nak" }"#, "ever"),
            (r#"inject for -1 { fault = "supply-nak" }"#, "error"),
            ("inject { fault = 3 }", "error"),
            ("clear x", "number"),
            ("reset 9 hold", "no chain 9"),
            ("reset 0 shake", "hold"),
            ("enable maybe", "help"),
            ("fan 40", "fan PERCENT"),
            ("fan much front left", "percent"),
            ("fan 40 middle", "middle"),
        ] {
            let answered = answer(&control, line);
            assert!(
                answered.starts_with("error") && answered.contains(part),
                "{line}: {answered}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn no_line_makes_answering_panic(line in "(inject|clear|reset|power|enable|fan|status)?( for)? ?\\PC{0,80}") {
            let _ = answer(&control(), &line);
        }
    }
}
