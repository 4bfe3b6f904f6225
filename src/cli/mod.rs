//! The command line: what each subcommand is called and takes, and how a failure is told.

pub mod bringup;
mod config;
#[cfg(feature = "emulator")]
pub mod demo;
pub mod firmware;
mod flight;
pub mod logs;
mod machine;
mod options;
mod places;
mod pool;
mod run;
mod single;
mod split;
mod status;
pub mod support;
mod table;
mod token;
mod top;

pub use options::{DEFAULT_CONFIG, Options};

use crate::keeper::Ended;
use std::process::ExitCode;
use thiserror::Error;

const HELP: &str = "\
cgminer-rs: a daemon for the control board of a Bitcoin ASIC miner

Usage: cgminer-rs COMMAND [OPTION...]

Commands:
  run            drive the machine and mine, until asked to stop
  demo           mine on an emulated machine at a pool inside the program
  config check [FILE]    tell what is wrong with a configuration, or that nothing is
  config print [FILE]    print the configuration in force, secrets left out
  config sources [FILE]  tell where each value comes from
  config export          print the running machine's file, secrets left out
  config import FILE     make a configuration of cgminer.conf or bosminer.toml
  config migrate FILE    bring an older configuration up to date (--write: in place)
  token claim            make the first token of the running machine
  token create NAME      make another one (--role viewer, operator or admin)
  token list, token revoke NAME, token rotate NAME
  status         tell what the running machine does
  top            the same as a live view of the terminal; q leaves it
  pool test URL  try a pool, and tell what it supports
  support [FILE]         write an archive for whoever is asked for help, secrets left out
  firmware status        what runs in which slot, and how the last update ended
  firmware install FILE  verify a bundle and write it to the idle slot
  firmware confirm       tell the boot loader once this start has proven itself
  flight decode FILE     tell what a flight record holds, oldest event first
  board probe    read all that can be read of the board, once
  board watch    the same as a live table
  fan get        duty and speed of each fan
  fan set N      drive all fans at N per cent
  fan auto       let the temperatures set the fans
  psu on [N]     give the hash boards power, at N millivolts
  psu off        take it
  psu read       what the supply measures
  psu set N      set the rail to N millivolts
  chain detect   count the chips of each chain, or of one: chain detect 0
  chain reset N  pull the reset line of chain N
  latch show     tell why the machine stays off
  latch clear    end that, after the cause was seen to
  locate [off]   blink, so that the machine is found in its rack
  version        tell the version
  help           tell this

Options of all commands that read a configuration:
  -c, --config FILE         file to read, with conf.d/*.toml beside it
                            (default /etc/cgminer-rs/cgminer-rs.toml)
  -s, --set FIELD=VALUE     set one field over file and environment, as in
                            --set log.level=debug; may be given again
      --board NAME          same as --set board.name=NAME
      --listen ADDRESS      same as --set api.listen=ADDRESS
      --run-directory PATH  same as --set api.run_directory=PATH
      --log-level LEVEL     same as --set log.level=LEVEL
      --log-format FORMAT   same as --set log.format=FORMAT (text or json)

Options of run:
      --emulated            drive an emulated machine instead of this board's
      --zero-bits N         zero bits that emulated chips demand of a hash
                            (silicon: 32); fewer find nonces faster
      --single              keeper and miner in one process, also as root

      --machine FILE        description of the emulated machine
      --scenario FILE       faults that befall it
      --control SOCKET      take commands for it there while it runs

Options of board, fan, psu, chain, locate and latch, besides those of an emulated machine:
      --emulated            try it on an emulated machine
      --seconds N           end after N seconds instead of at Ctrl-C
They go through the keeper that runs. Where none does, the command is the keeper,
with the same limits, until it ends.

Options of demo, besides those of an emulated machine:
      --seconds N           end by itself after N seconds
      --api ADDRESS         status endpoint (default 127.0.0.1:8080)

Options of pool test:
      --user NAME           worker's name as the pool knows it
      --FIELD VALUE         any field of [[pool]], as in --password, --tls-pin
                            or --proxy; CGMINER_POOL_0_PASSWORD works, too

Options of firmware install:
      --reboot              start into the new version at once
      --allow-downgrade     take a version older than the running one
      --again               take the running version once more

Options of firmware confirm:
      --within N            seconds for the proof (default 900)

Options of status and firmware status:
      --json                print the machine's own answer

Every field: docs/configuration.md. Variables CGMINER_SECTION_FIELD set fields, too.
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 wrong configuration, 4 no machine runs,
5 the machine was stopped by its reset button.
";

/// Why a command did not do what was asked.
#[derive(Debug, Error)]
pub enum Failure {
    /// The command line makes no sense.
    #[error("{0}\n`cgminer-rs help` tells what can be asked")]
    Usage(String),
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    /// No machine answers.
    #[error(transparent)]
    Local(#[from] crate::api::local::LocalError),
    /// The machine's reset button was held.
    #[error("the reset button was held: restart the system to begin with the first settings")]
    FactoryReset,
    /// Anything else, told by the room that it happened in.
    #[error("{0}")]
    Other(String),
}

impl Failure {
    /// What the end of a keeper means for whoever started the program.
    fn of_end(ended: Ended) -> Result<(), Self> {
        match ended {
            Ended::Stopped => Ok(()),
            Ended::FactoryReset => Err(Self::FactoryReset),
        }
    }

    fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Usage(_) => 2,
            Self::Config(_) => 3,
            Self::Local(crate::api::local::LocalError::NotRunning { .. }) => 4,
            Self::FactoryReset => 5,
            Self::Local(_) | Self::Other(_) => 1,
        })
    }
}

impl From<lexopt::Error> for Failure {
    fn from(error: lexopt::Error) -> Self {
        Self::Usage(error.to_string())
    }
}

/// Does what the command line asks. Errors go to standard error, one a line.
pub fn main() -> ExitCode {
    match dispatch(lexopt::Parser::from_env()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            for line in failure.to_string().lines() {
                eprintln!("cgminer-rs: {line}");
            }
            failure.exit_code()
        }
    }
}

fn dispatch(mut parser: lexopt::Parser) -> Result<(), Failure> {
    use lexopt::Arg::{Long, Short, Value};
    match parser.next()? {
        None | Some(Short('h') | Long("help")) => table::print(HELP),
        Some(Short('V') | Long("version")) => version(),
        Some(Value(command)) => match command.to_string_lossy().as_ref() {
            split::MINER => split::miner_process(parser),
            #[cfg(feature = "emulator")]
            demo::COMPANION => demo::companion_process(parser),
            "run" => run::run(parser),
            #[cfg(feature = "emulator")]
            "demo" => demo::run(parser),
            "check" => config::check(parser),
            "config" => config::run(parser),
            "status" => status::run(parser),
            "top" => top::run(parser),
            "token" => token::run(parser),
            "pool" => pool::run(parser),
            "firmware" => firmware::run(parser),
            "flight" => flight::run(parser),
            "support" => support::run(parser),
            noun @ ("board" | "fan" | "psu" | "chain" | "locate" | "latch") => {
                bringup::run(noun, parser)
            }
            "version" => version(),
            "help" => table::print(HELP),
            other => Err(Failure::Usage(format!(
                "there is no command `{}`",
                table::inert(other)
            ))),
        },
        Some(other) => Err(other.unexpected().into()),
    }
}

fn version() -> Result<(), Failure> {
    table::print(concat!("cgminer-rs ", env!("CARGO_PKG_VERSION"), "\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(arguments: &[&str]) -> Result<(), Failure> {
        dispatch(lexopt::Parser::from_args(arguments))
    }

    #[test]
    fn a_wrong_command_line_is_wrong_usage() {
        for arguments in [
            &["nonsense"][..],
            &["--nonsense"],
            &["check", "--nonsense"],
            &["check", "a", "b"],
            &["status", "--config"],
            &["status", "extra"],
            &["pool"],
            &["pool", "dig"],
            &["pool", "test"],
            &["pool", "test", "a:1", "b:1"],
            &["pool", "test", "a:1", "--nonsense"],
            &[
                "pool",
                "test",
                "http://a:1",
                "--payout-address",
                "x",
                "--cookie-file",
                "/x",
            ],
        ] {
            assert!(
                matches!(outcome(arguments), Err(Failure::Usage(_))),
                "{arguments:?}"
            );
        }
    }

    #[test]
    fn a_machine_that_does_not_run_has_its_own_exit_code() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_str().unwrap();
        let failure = outcome(&["status", "--run-directory", path]).unwrap_err();
        assert_eq!(failure.exit_code(), ExitCode::from(4), "{failure}");
        assert!(failure.to_string().contains("start it"), "{failure}");
    }

    #[test]
    fn a_wrong_configuration_names_its_place() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.toml");
        std::fs::write(&file, "[log]\nlevl = \"info\"\n").unwrap();
        let failure = outcome(&["check", file.to_str().unwrap()]).unwrap_err();
        assert_eq!(failure.exit_code(), ExitCode::from(3));
        let text = failure.to_string();
        assert!(
            text.contains("a.toml:2:1: log.levl: ") && text.contains("did you mean"),
            "{text}"
        );
    }

    #[test]
    fn the_help_names_every_command_and_option() {
        for word in [
            "config check",
            "config export",
            "config import",
            "config migrate",
            "token claim",
            "status",
            "support",
            "version",
            "help",
            "--config",
            "--set",
            "--json",
        ] {
            assert!(HELP.contains(word), "{word}");
        }
    }
}
