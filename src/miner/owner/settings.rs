//! The configuration while the machine runs: read, checked, written, and taken into force.

use super::{ChainWish, Reach, refused};
use crate::api::Failure;
use crate::api::access::Access;
use crate::api::orders::Outcome;
use crate::config::scribe::{Ask, Told, ask};
use crate::config::{
    Config, ConfigError, Edit, EditError, Loaded, Origin, Recipe, SourceFile, edit, hash,
};
use crate::link::{MinerEnd, Request};
use crate::miner::notify;
use crate::miner::sources::{self, Machine};
use crate::pool::manager::Command;
use crate::telemetry::{LOG_LEVEL, LOG_RING};
use cgminer_hal::units::{Megahertz, Millivolts};
use serde_json::{Map, Value, json};
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use tokio::task::spawn_blocking;

/// Sections that take force as a whole while the machine runs.
const LIVE_SECTIONS: [&str; 5] = ["pool", "pools", "token", "alerts", "alert_target"];
/// Fields of other sections that do.
const LIVE_FIELDS: [&str; 14] = [
    "cooling.target",
    "cooling.minimum_fans",
    "log.level",
    "chains.frequency",
    "api.origins",
    "cooling.mode",
    "cooling.duty",
    "chains.voltage",
    "api.hosts",
    "api.requests_per_second",
    "api.read_without_token",
    "rpc.writers",
    "fleet.enabled",
    "fleet.model",
];

/// The configuration, and whoever has to hear of a change.
pub struct Settings {
    recipe: Recipe,
    run_directory: PathBuf,
    started: Config,
    config: Config,
    stamp: Option<String>,
    /// Number of the keeper's latest log line that is known here.
    last_line: u64,
    /// Whether the keeper was told of this configuration at all.
    keeper_knows: bool,
    board_voltage: Millivolts,
    board_frequency: Megahertz,
    frequency_limits: (Megahertz, Megahertz),
    chains: Vec<watch::Sender<ChainWish>>,
    keeper: MinerEnd,
    pools: mpsc::Sender<Command>,
    machine: Machine,
    access: watch::Sender<Arc<Access>>,
    alerts: watch::Sender<Arc<notify::Settings>>,
}

impl Settings {
    /// Begins with what the miner was started with.
    pub fn new(reach: &Reach) -> Self {
        Self {
            recipe: reach.recipe.clone(),
            run_directory: reach.config.api.run_directory.clone(),
            started: reach.config.clone(),
            config: reach.config.clone(),
            stamp: None,
            last_line: 0,
            keeper_knows: false,
            board_voltage: reach.board_voltage,
            board_frequency: reach.board_frequency,
            frequency_limits: reach.frequency_limits,
            chains: reach.chains.clone(),
            keeper: reach.keeper.clone(),
            pools: reach.pools.clone(),
            machine: reach.machine.clone(),
            access: reach.access.clone(),
            alerts: reach.alerts.clone(),
        }
    }

    /// What is in force.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Looks whether the files have changed, and takes what they say. What is wrong is told to the log, once.
    pub async fn follow_files(&mut self) {
        let stamp = match self.scribe(Ask::Stamp).await {
            Ok(Told::Stamp(stamp)) => stamp,
            other => {
                tracing::debug!(?other, "the configuration's files cannot be looked at");
                return;
            }
        };
        if self.stamp.as_ref() == Some(&stamp) {
            return;
        }
        let first = self.stamp.replace(stamp).is_none();
        match self.reload().await {
            Ok(_) if first => {}
            Ok(_) => {
                tracing::info!("the configuration was read again");
                for path in self.config.left_out() {
                    tracing::warn!(
                        "{path}: a print has left the secret out; write it into the file"
                    );
                }
            }
            Err(failure) => {
                for line in failure.message.lines() {
                    tracing::error!("the configuration stays as it was: {line}");
                }
            }
        }
    }

    /// Takes in what the keeper has logged, where it is another process; `GET /api/v1/logs` tells it among the rest.
    pub async fn follow_lines(&mut self) {
        let after = self.last_line;
        let Ok(Told::Lines(lines)) = self.scribe(Ask::Lines { after }).await else {
            return;
        };
        for line in lines {
            self.last_line = line.number;
            LOG_RING.adopt(line.unix_time, &line.level, line.target, line.text);
        }
    }

    /// Reads the files and takes what they say.
    ///
    /// # Errors
    /// When they are wrong, or the keeper refuses; then all stays as it was.
    pub async fn reload(&mut self) -> Outcome {
        let files = self.files_on_disk().await?;
        let loaded = self.load(&files)?;
        self.ask_keeper(&loaded.config).await?;
        self.adopt(loaded).await
    }

    /// Makes changes to the main file, and takes them.
    ///
    /// # Errors
    /// When they cannot be made, are wrong, or are refused; then all stays as it was.
    pub async fn change(&mut self, edits: &[Edit]) -> Outcome {
        let files = self.files_on_disk().await?;
        let text = edit(self.main_text(&files), edits).map_err(cannot_edit)?;
        self.write(files, text, edits).await
    }

    /// Takes a whole text as the main file. Where it leaves secrets out, they are the present ones.
    ///
    /// # Errors
    /// As for [`Settings::change`].
    pub async fn replace(&mut self, text: String) -> Outcome {
        let files = self.files_on_disk().await?;
        let text = self.with_secrets(text)?;
        self.write(files, text, &[]).await
    }

    /// Tells what is wrong with a text as the main file.
    ///
    /// # Errors
    /// When the files cannot be read.
    pub async fn check(&mut self, text: &str) -> Outcome {
        let files = self.files_on_disk().await?;
        let problems: Vec<Value> = match self.load_with(&files, text) {
            Ok(_) => Vec::new(),
            Err(ConfigError::Invalid(problems)) => problems
                .iter()
                .map(|problem| {
                    json!({
                        "place": problem.origin.to_string(),
                        "path": problem.path,
                        "message": problem.message,
                        "hint": problem.hint,
                    })
                })
                .collect(),
            Err(error) => return Err(wrong(&error)),
        };
        Ok(json!({"valid": problems.is_empty(), "problems": problems}))
    }

    /// The configuration in force, its main file and where each value came from, without secrets.
    ///
    /// # Errors
    /// When the files cannot be read.
    pub async fn read(&mut self) -> Outcome {
        let files = self.files_on_disk().await?;
        let text = super::backup::without_secrets(self.main_text(&files));
        let origins: Map<String, Value> = match self.load(&files) {
            Ok(loaded) => loaded
                .origins()
                .into_iter()
                .map(|(path, origin)| (path, origin.to_string().into()))
                .collect(),
            // A file that is wrong at the moment has no say.
            Err(_) => Map::new(),
        };
        Ok(json!({
            "file": self.recipe.file,
            "text": text,
            "in_force": serde_json::to_value(&self.config).unwrap_or_default(),
            "sources": origins,
            "restart_needed": self.restart_needed(),
        }))
    }

    /// The present main file.
    pub(super) async fn main_file(&mut self) -> Result<String, Failure> {
        let files = self.files_on_disk().await?;
        Ok(self.main_text(&files).to_owned())
    }

    fn load(&self, files: &[SourceFile]) -> Result<Loaded, Failure> {
        self.recipe
            .with_files(files.to_vec())
            .load()
            .map_err(|error| wrong(&error))
    }

    fn load_with(&self, files: &[SourceFile], text: &str) -> Result<Loaded, ConfigError> {
        self.recipe.with_files(self.replaced(files, text)).load()
    }

    fn replaced(&self, files: &[SourceFile], text: &str) -> Vec<SourceFile> {
        let main = SourceFile {
            path: self.recipe.file.clone(),
            text: text.into(),
        };
        let others = files.iter().filter(|file| file.path != self.recipe.file);
        std::iter::once(main).chain(others.cloned()).collect()
    }

    fn main_text<'a>(&self, files: &'a [SourceFile]) -> &'a str {
        let main = files.iter().find(|file| file.path == self.recipe.file);
        main.map_or("", |file| &file.text)
    }

    async fn write(&mut self, files: Vec<SourceFile>, text: String, edits: &[Edit]) -> Outcome {
        let loaded = self
            .load_with(&files, &text)
            .map_err(|error| wrong(&error))?;
        for edit in edits {
            self.has_the_last_word(edit, &loaded)?;
        }
        let was = hash(self.main_text(&files));
        let undo = self.ask_keeper(&loaded.config).await?;
        let question = Ask::Write { text, was };
        let written = match self.scribe(question).await {
            Ok(Told::Written) => Ok(()),
            Ok(Told::Refused(why)) => Err(Failure::told(409, "not_written", why, WRITE_HINT)),
            Ok(other) => Err(silent(&format!("{other:?}"))),
            Err(error) => Err(silent(&error)),
        };
        if let Err(failure) = written {
            for request in undo {
                // The keeper took these a moment ago; a keeper that is gone takes the power anyway.
                let _ = self.keeper.request(request).await;
            }
            return Err(failure);
        }
        self.adopt(loaded).await
    }

    /// A change to the file changes nothing when a later layer speaks of the same.
    fn has_the_last_word(&self, edit: &Edit, loaded: &Loaded) -> Result<(), Failure> {
        let origin = match edit.path() {
            Some(path) => loaded.origin_at(&path),
            None => loaded.origin_of(edit.section()),
        };
        match origin {
            Origin::Default => Ok(()),
            Origin::File(file, _) if file.path == self.recipe.file => Ok(()),
            other => Err(Failure::told(
                409,
                "set_elsewhere",
                format!("{} is set by {other}", edit.section()),
                "change it there, or take it away there",
            )),
        }
    }

    /// The clock for a chain whose owner wishes this one, or none of his own.
    ///
    /// # Errors
    /// When the board does not allow it.
    pub fn frequency(&self, wish: Option<Megahertz>) -> Result<Megahertz, Failure> {
        let configured = self.config.chains.frequency;
        let frequency = wish.or(configured).unwrap_or(self.board_frequency);
        self.check_frequency(frequency)?;
        Ok(frequency)
    }

    fn check_frequency(&self, frequency: Megahertz) -> Result<(), Failure> {
        let (lowest, highest) = self.frequency_limits;
        // Also refuses what is no number.
        if (lowest.0..=highest.0).contains(&frequency.0) {
            return Ok(());
        }
        let message = format!("{frequency} refused: this board allows {lowest} to {highest}");
        Err(Failure::told(
            409,
            "refused",
            message,
            "stay within the board's limits",
        ))
    }

    /// Asks the keeper for what differs and is the keeper's. Gives what to ask to have it back.
    async fn ask_keeper(&self, new: &Config) -> Result<Vec<Request>, Failure> {
        if let Some(frequency) = new.chains.frequency {
            self.check_frequency(frequency)?;
        }
        let voltage = |config: &Config| Request::SetVoltage {
            voltage: config.chains.voltage.unwrap_or(self.board_voltage),
        };
        let fans = |config: &Config| Request::SetFanMode {
            mode: config.cooling.fan_mode(),
        };
        let cooling = |config: &Config| Request::SetCooling {
            target: config.cooling.target,
            minimum_fans: config.cooling.minimum_fans,
        };
        let mut undo = Vec::new();
        for (old, new) in [
            (voltage(&self.config), voltage(new)),
            (fans(&self.config), fans(new)),
            (cooling(&self.config), cooling(new)),
        ] {
            let is_news = !self.keeper_knows && !matches!(new, Request::SetVoltage { .. });
            if old == new && !is_news {
                continue;
            }
            if let Err(error) = self.keeper.request(new).await {
                if old == new && matches!(new, Request::SetCooling { .. }) {
                    // What the files said at the start the keeper has narrowed to what the board allows, and goes on with.
                    tracing::warn!("[cooling] does not hold as it is written: {error}");
                    continue;
                }
                for request in undo {
                    let _ = self.keeper.request(request).await;
                }
                return Err(refused(error));
            }
            undo.push(old);
        }
        Ok(undo)
    }

    /// Nothing can be refused any more.
    async fn adopt(&mut self, loaded: Loaded) -> Outcome {
        let new = loaded.config;
        let pools_differ = new.pool != self.config.pool || new.pools != self.config.pools;
        if pools_differ {
            let sources = sources::configured_sources(&new, &self.machine);
            let command = Command::Replace(sources, new.pools.strategy);
            // A manager that is gone ends the miner; then nothing matters here.
            let _ = self.pools.send(command).await;
        }
        if new.chains.frequency != self.config.chains.frequency {
            let frequency = new.chains.frequency.unwrap_or(self.board_frequency);
            for chain in &self.chains {
                chain.send_modify(|wish| wish.frequency = Some(frequency));
            }
        }
        if new.log.level != self.config.log.level {
            LOG_LEVEL.set(new.log.level.targets());
        }
        self.access.send_replace(Access::of(&new));
        self.alerts.send_replace(notify::Settings::of(&new));
        self.keeper_knows = true;
        self.config = new;
        Ok(json!({"done": true, "restart_needed": self.restart_needed()}))
    }

    /// Fields that differ from those that the program runs with, and take force at its next start.
    fn restart_needed(&self) -> Vec<String> {
        let told = [&self.started, &self.config].map(serde_json::to_value);
        let [Ok(Value::Object(started)), Ok(Value::Object(new))] = told else {
            return Vec::new();
        };
        let mut names = Vec::new();
        for section in started
            .keys()
            .filter(|name| !LIVE_SECTIONS.contains(&name.as_str()))
        {
            let fields =
                |sections: &Map<String, Value>| sections.get(section)?.as_object().cloned();
            let (old, new) = (
                fields(&started).unwrap_or_default(),
                fields(&new).unwrap_or_default(),
            );
            let all = old.keys().chain(new.keys());
            let differing = all
                .filter(|name| old.get(*name) != new.get(*name))
                .map(|name| format!("{section}.{name}"))
                .filter(|path| !LIVE_FIELDS.contains(&path.as_str()));
            names.extend(differing);
        }
        names.extend(self.files_out_of_reach());
        names.sort();
        names.dedup();
        names
    }

    /// Files that pools name now and did not at the start, and that this process may not read: what it may was fixed
    /// when it gave its rights away.
    fn files_out_of_reach(&self) -> Vec<String> {
        let files = |config: &Config| -> Vec<(String, PathBuf)> {
            let pools = config.pool.iter().enumerate();
            pools
                .flat_map(|(index, pool)| {
                    [
                        ("ca_file", &pool.ca_file),
                        ("cookie_file", &pool.cookie_file),
                    ]
                    .map(|(name, path)| Some((format!("pool.{index}.{name}"), path.clone()?)))
                })
                .flatten()
                .collect()
        };
        let known = files(&self.started);
        let is_known = |path: &PathBuf| known.iter().any(|(_, known)| known == path);
        files(&self.config)
            .into_iter()
            .filter(|(_, path)| !is_known(path) && is_denied(path))
            .map(|(name, _)| name)
            .collect()
    }

    /// Where the sockets of the keeper's process lie.
    pub(super) fn run_directory(&self) -> PathBuf {
        self.run_directory.clone()
    }

    async fn files_on_disk(&self) -> Result<Vec<SourceFile>, Failure> {
        match self.scribe(Ask::Read).await {
            Ok(Told::Files(files)) => Ok(files),
            Ok(Told::Refused(why)) => Err(Failure::told(409, "not_readable", why, WRITE_HINT)),
            Ok(other) => Err(silent(&format!("{other:?}"))),
            Err(error) => Err(silent(&error)),
        }
    }

    async fn scribe(&self, question: Ask) -> Result<Told, String> {
        let directory = self.run_directory.clone();
        match spawn_blocking(move || ask(&directory, &question)).await {
            Ok(Ok(told)) => Ok(told),
            Ok(Err(error)) => Err(error.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }
}

const WRITE_HINT: &str = "see to the configuration file on the machine itself";

pub(super) fn wrong(error: &ConfigError) -> Failure {
    Failure::told(
        422,
        "wrong_configuration",
        error.to_string(),
        "nothing was changed; docs/configuration.md tells every field",
    )
}

fn cannot_edit(error: EditError) -> Failure {
    match error {
        EditError::NoEntry {
            section: "pool", ..
        } => crate::api::NO_POOL,
        error => Failure::told(
            409,
            "cannot_edit",
            error.to_string(),
            "change the file by hand, or replace it whole",
        ),
    }
}

fn silent(why: &str) -> Failure {
    Failure::told(
        503,
        "not_done",
        format!("the configuration's files cannot be reached: {why}"),
        "look into the log",
    )
}

/// Whether the kernel refuses this file to this process. One that is not there yet is another matter.
fn is_denied(path: &Path) -> bool {
    // Without blocking: the path is the owner's, and may be anything.
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(nix::libc::O_NONBLOCK)
        .open(path);
    opened.is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
}
