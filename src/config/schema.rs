//! Every field that a configuration may hold, as types. What each means is told in `docs/configuration.md`.

use super::address::PoolAddress;
use super::alerts::{AlertTargetSection, AlertsSection};
use super::network::Network;
use super::secret::Secret;
use super::syslog_server::SyslogServer;
use super::token::TokenSection;
use crate::pool::proxy::ProxyUrl;
use crate::pool::settings::{StrategyKind, Sv2Channel};
use crate::pool::trust::CertificatePin;
use cgminer_board::thermal::FanMode;
use cgminer_hal::units::{Celsius, DutyPercent, Megahertz, Millivolts};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use tracing_subscriber::filter::Targets;

/// Version of the schema. Grows when a field changes its meaning or goes away; `config migrate` then brings files along.
pub const SCHEMA: u32 = 1;

/// The whole configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Version of the schema that the file was written for.
    pub schema: SchemaVersion,
    /// `[board]`
    pub board: BoardSection,
    /// `[[pool]]`, the first is tried first.
    pub pool: Vec<PoolSection>,
    /// `[pools]`
    pub pools: PoolsSection,
    /// `[chains]`
    pub chains: ChainsSection,
    /// `[cooling]`
    pub cooling: CoolingSection,
    /// `[keeper]`
    pub keeper: KeeperSection,
    /// `[api]`
    pub api: ApiSection,
    /// `[[token]]`
    pub token: Vec<TokenSection>,
    /// `[rpc]`
    pub rpc: RpcSection,
    /// `[fleet]`
    pub fleet: FleetSection,
    /// `[log]`
    pub log: LogSection,
    /// `[alerts]`
    pub alerts: AlertsSection,
    /// `[[alert_target]]`
    pub alert_target: Vec<AlertTargetSection>,
}

/// A version of the schema; [`SCHEMA`] where nothing is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SchemaVersion(pub u32);

impl Default for SchemaVersion {
    fn default() -> Self {
        Self(SCHEMA)
    }
}

/// Which machine this is. Without it the machine is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BoardSection {
    /// Name of a board file that comes with the program; none or `auto`: detected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Path of a board file of one's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// Whether that board is driven even if the device tree says that this is another.
    pub ignore_model: bool,
}

/// One pool, or the owner's own node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolSection {
    /// Name for messages and the API; the address when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where it is.
    pub url: PoolAddress,
    /// Worker name at a pool, RPC user at a node.
    #[serde(default)]
    pub user: String,
    /// Worker password at a pool, RPC password at a node.
    #[serde(default = "PoolSection::default_password")]
    pub password: Secret,
    /// Whether it is used.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Strategy `quota`, and `groups` for a group's first pool: its part of the work; 0: only when no other works.
    #[serde(default = "one")]
    pub quota: u32,
    /// Strategy `groups`: the group it belongs to.
    #[serde(default)]
    pub group: u8,
    /// Difficulty asked of the pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggest_difficulty: Option<f64>,
    /// Whether to send `mining.extranonce.subscribe`; some pools hang up on it.
    #[serde(default)]
    pub extranonce_subscribe: bool,
    /// Whether to ask for version rolling (BIP 310).
    #[serde(default = "yes")]
    pub version_rolling: bool,
    /// Stratum v2: which kind of channels is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sv2_channel: Option<Sv2Channel>,
    /// TLS: PEM file of the authorities to trust instead of the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// TLS: SHA-256 of the one certificate to trust.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_pin: Option<CertificatePin>,
    /// Proxy that the pool is reached through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<ProxyUrl>,
    /// User at the proxy; empty: it asks for none.
    #[serde(default)]
    pub proxy_user: String,
    /// Password at the proxy.
    #[serde(default)]
    pub proxy_password: Secret,
    /// Solo: who is paid by the coinbase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payout_address: Option<String>,
    /// Solo: the node's cookie file, instead of user and password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookie_file: Option<PathBuf>,
}

/// How the pools are used together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PoolsSection {
    /// Which pool gets the work.
    pub strategy: StrategyKind,
}

/// What the chips are run at. The board file's values hold where nothing is said, and bound what is said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChainsSection {
    /// Clock of every chip.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency: Option<Megahertz>,
    /// Voltage of the supply.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voltage: Option<Millivolts>,
}

/// How the machine is cooled. The board's hot and dangerous tiers stand above all of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CoolingSection {
    /// Who sets the fans.
    pub mode: CoolingMode,
    /// Temperature that automatic cooling holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Celsius>,
    /// Duty of all fans in mode `fixed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duty: Option<DutyPercent>,
    /// Fans that must turn for the machine to hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum_fans: Option<u8>,
}

/// Who sets the fans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CoolingMode {
    /// The temperature controller.
    #[default]
    Automatic,
    /// The owner, with `duty`.
    Fixed,
    /// Nobody: the machine stands in a cooling liquid and has no fans.
    Immersion,
}

/// What the privileged process keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeeperSection {
    /// What must outlive a reboot, above all the latched cause. The keeper's user alone may look into it.
    pub state_directory: PathBuf,
}

impl Default for KeeperSection {
    fn default() -> Self {
        Self {
            state_directory: "/var/lib/cgminer-rs".into(),
        }
    }
}

/// How the machine is looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApiSection {
    /// Address of the HTTP gateway, or `off`.
    pub listen: Listen,
    /// Holds the local socket.
    pub run_directory: PathBuf,
    /// Names, besides addresses and `localhost`, by which browsers may call this machine.
    pub hosts: Vec<String>,
    /// Origins whose pages may use the interface from another place.
    pub origins: Vec<String>,
    /// PEM file of the certificate that the network door shows, its chain after it; with it the door speaks TLS alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_certificate: Option<PathBuf>,
    /// PEM file of its private key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_key: Option<PathBuf>,
    /// Network clients at one time.
    pub maximum_connections: u16,
    /// Requests that one address may send in the long run.
    pub requests_per_second: u16,
    /// Whether everybody may read.
    pub read_without_token: bool,
    /// Whether the local network is told that a miner is here.
    pub mdns: bool,
}

/// The cgminer API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RpcSection {
    /// Where it listens.
    pub listen: Listen,
    /// Networks whose programs may change something.
    pub writers: Vec<Network>,
}

/// What programs for fleets are told, which know machines by their makers' own pages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FleetSection {
    /// Whether the pages and fields that they look for are there.
    pub enabled: bool,
    /// The kind of machine that they are to take it for.
    pub model: String,
}

impl Default for FleetSection {
    fn default() -> Self {
        Self {
            enabled: false,
            // Three boards of 126 BM1362 and four fans, as the L7.
            model: "Antminer S19j Pro".into(),
        }
    }
}

impl Default for RpcSection {
    fn default() -> Self {
        Self {
            listen: Listen::Off,
            writers: Vec::new(),
        }
    }
}

/// An address to listen at, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Listen {
    /// Nothing listens.
    Off,
    /// Address and port.
    At(SocketAddr),
}

/// What is written down, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSection {
    /// Form of a line.
    pub format: LogFormat,
    /// What is worth a line.
    pub level: LogLevel,
    /// File that lines are written to, besides standard error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// KiB of one file.
    pub file_size: u32,
    /// Files that are kept.
    pub files: u8,
    /// KiB that may be written to them in a day of UTC.
    pub file_budget: u32,
    /// Syslog server that lines are sent to in datagrams.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub syslog: Option<SyslogServer>,
    /// KiB of each process's flight record; 0: none is kept.
    pub flight_recorder: u32,
}

impl Default for LogSection {
    fn default() -> Self {
        Self {
            format: LogFormat::default(),
            level: LogLevel::default(),
            file: None,
            file_size: 512,
            files: 4,
            file_budget: 2048,
            syslog: None,
            flight_recorder: 0,
        }
    }
}

/// Form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for programs.
    Json,
}

/// A level, or `room=level` pairs parted by commas, as in `info,cgminer_rs::pool=debug`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LogLevel(String);

impl PoolSection {
    /// A Stratum pool with everything else as by default.
    pub fn stratum(url: PoolAddress, user: impl Into<String>) -> Self {
        Self {
            name: None,
            url,
            user: user.into(),
            password: Self::default_password(),
            enabled: true,
            quota: 1,
            group: 0,
            suggest_difficulty: None,
            extranonce_subscribe: false,
            version_rolling: true,
            sv2_channel: None,
            ca_file: None,
            tls_pin: None,
            proxy: None,
            proxy_user: String::new(),
            proxy_password: Secret::default(),
            payout_address: None,
            cookie_file: None,
        }
    }

    /// What messages call it.
    pub fn display_name(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.url.to_string())
    }

    fn default_password() -> Secret {
        Secret::new("x")
    }
}

impl CoolingSection {
    /// What the keeper is asked for. A fixed mode without a duty is as safe as it can be.
    pub fn fan_mode(&self) -> FanMode {
        match self.mode {
            CoolingMode::Automatic => FanMode::Auto,
            CoolingMode::Immersion => FanMode::Immersion,
            CoolingMode::Fixed => FanMode::Fixed {
                duty: self.duty.unwrap_or(DutyPercent::FULL),
            },
        }
    }
}

impl Default for ApiSection {
    fn default() -> Self {
        Self {
            listen: Listen::At((Ipv4Addr::LOCALHOST, 8080).into()),
            run_directory: "/run/cgminer-rs".into(),
            hosts: Vec::new(),
            origins: Vec::new(),
            tls_certificate: None,
            tls_key: None,
            maximum_connections: 64,
            requests_per_second: 50,
            read_without_token: true,
            mdns: true,
        }
    }
}

impl TryFrom<String> for Listen {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text == "off" {
            return Ok(Self::Off);
        }
        text.parse().map(Self::At).map_err(|_| {
            format!(
                "`{text}` is no address; write address:port as in \"127.0.0.1:8080\", or \"off\""
            )
        })
    }
}

impl From<Listen> for String {
    fn from(listen: Listen) -> Self {
        match listen {
            Listen::Off => "off".into(),
            Listen::At(address) => address.to_string(),
        }
    }
}

impl LogLevel {
    /// The filter it stands for.
    pub fn targets(&self) -> Targets {
        // The text was parsed when the value was made.
        Targets::from_str(&self.0).unwrap_or_default()
    }
}

impl Default for LogLevel {
    fn default() -> Self {
        Self("info".into())
    }
}

impl TryFrom<String> for LogLevel {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match Targets::from_str(&text) {
            Ok(_) if !text.is_empty() => Ok(Self(text)),
            _ => Err(format!(
                "`{text}` is no level; write error, warn, info, debug, trace or off, or room=level pairs as in \
                 \"info,cgminer_rs::pool=debug\""
            )),
        }
    }
}

impl From<LogLevel> for String {
    fn from(level: LogLevel) -> Self {
        level.0
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

fn yes() -> bool {
    true
}

fn one() -> u32 {
    1
}
