//! The support archive of a machine that runs: what it promises is in it, and no secret is, whoever told it.
#![cfg(feature = "emulator")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use cgminer_rs::api::local;
use cgminer_rs::config::hash;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PASSWORD: &str = "pool-secret-4711";
const PROXY_PASSWORD: &str = "proxy-secret-4712";
const WEBHOOK: &str = "webhook-secret-4713";
const BEARER: &str = "bearer-secret-4714";
const WRONG_TOKEN: &str = "token-secret-4715";
const OF_THE_COMMAND_LINE: &str = "flag-secret-4716";
const OF_A_VARIABLE: &str = "variable-secret-4718";
/// Too short to be looked for in every text.
const SHORT: &str = "z7q";
/// What the file is broken by.
const MISSPELT: &str = "misspelt-secret-4719";
const UNQUOTED: &str = "unquoted-secret-4720";
const KEY: &str = "PRIVATE-KEY-4717";

/// What docs/firmware.md promises, by the files that hold it.
const PARTS: [&str; 18] = [
    "alerts.json",
    "chips.json",
    "config.json",
    "config.toml",
    "events.json",
    "firmware.txt",
    "health.json",
    "history.json",
    "kernel.txt",
    "log.txt",
    "logs.json",
    "memory.txt",
    "network.txt",
    "os-release.txt",
    "processes.txt",
    "stats.json",
    "status.json",
    "version.json",
];

/// A pool that refuses every worker, and tells all the world the password that it was given.
fn indiscreet_pool() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || refuse(stream));
        }
    });
    address
}

fn refuse(mut stream: TcpStream) {
    let lines = BufReader::new(stream.try_clone().unwrap()).lines();
    for line in lines.map_while(Result::ok) {
        let asked: Value = serde_json::from_str(&line).unwrap();
        let id = &asked["id"];
        let answer = match asked["method"].as_str() {
            Some("mining.subscribe") => {
                json!({"id": id, "result": [[], "c0ffee00", 8], "error": null})
            }
            Some("mining.authorize") => {
                let words = format!("the password {} is wrong", asked["params"][1]);
                let told = json!({"id": null, "method": "client.show_message", "params": [words]});
                let _ = writeln!(stream, "{told}");
                json!({"id": id, "result": false, "error": [24, words, null]})
            }
            _ => json!({"id": id, "result": null, "error": [20, "unknown", null]}),
        };
        if writeln!(stream, "{answer}").is_err() {
            return;
        }
    }
}

struct Machine {
    daemon: Child,
    directory: tempfile::TempDir,
}

impl Machine {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        // The miner's user has to get to the run directory.
        fs::set_permissions(root, Permissions::from_mode(0o755)).unwrap();
        for name in ["authorized_keys", "wpa_supplicant.conf"] {
            fs::write(root.join(name), KEY).unwrap();
        }
        let log = root.join("both.log");
        let pool = indiscreet_pool();
        let text = format!(
            r#"
            [api]
            listen = "127.0.0.1:0"
            run_directory = "{}"
            [keeper]
            state_directory = "{}"
            [log]
            level = "trace"
            file = "{}"
            [[pool]]
            url = "stratum+tcp://{pool}"
            user = "worker-of-note"
            password = "{PASSWORD}"
            [[pool]]
            url = "stratum+tcp://{pool}"
            user = "of-a-flag"
            [[pool]]
            url = "stratum+tcp://{pool}"
            user = "of-a-variable"
            [[pool]]
            url = "stratum+tcp://{pool}"
            user = "short"
            password = "{SHORT}"
            [[pool]]
            url = "stratum+tcp://127.0.0.1:9"
            user = "u"
            proxy = "socks5://127.0.0.1:9"
            proxy_user = "p"
            proxy_password = "{PROXY_PASSWORD}"
            [[alert_target]]
            name = "chat"
            url = "http://127.0.0.1:9/{WEBHOOK}"
            password = "{BEARER}"
            minimum = "info"
            "#,
            root.join("run").display(),
            root.join("state").display(),
            log.display(),
        );
        fs::write(root.join("c.toml"), text).unwrap();
        let daemon = Command::new(env!("CARGO_BIN_EXE_cgminer-rs"))
            .args(["run", "--emulated", "--config"])
            .arg(root.join("c.toml"))
            .arg("--set")
            .arg(format!("pool[1].password={OF_THE_COMMAND_LINE}"))
            .env("CGMINER_POOL_2_PASSWORD", OF_A_VARIABLE)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(root.join("log")).unwrap())
            .spawn()
            .unwrap();
        let machine = Self { daemon, directory };
        machine.until("the interface answers", |machine| {
            local::get(&machine.path("run"), "/api/v1/version").is_ok()
        });
        // It answers a moment before it is said where.
        machine.until("the network's door is told of", |machine| {
            let log = fs::read_to_string(machine.path("log")).unwrap();
            log.contains("status: http://")
        });
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn until(&self, what: &str, is_it: impl Fn(&Self) -> bool) {
        let end = Instant::now() + Duration::from_secs(240);
        while !is_it(self) {
            let log = fs::read_to_string(self.path("log")).unwrap();
            assert!(Instant::now() < end, "{what}: not within minutes\n{log}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn tool(&self, arguments: &[&str]) -> String {
        let told = Command::new(env!("CARGO_BIN_EXE_cgminer-rs"))
            .args(arguments)
            .arg("--config")
            .arg(self.path("c.toml"))
            .env_remove("CGMINER_CONFIG")
            .output()
            .unwrap();
        let text = String::from_utf8(told.stdout).unwrap();
        assert!(told.status.success(), "{text}{:?}", told.stderr);
        text
    }

    /// Asks at the network door with a token that is none.
    fn try_a_wrong_token(&self) {
        let log = fs::read_to_string(self.path("log")).unwrap();
        let (_, behind) = log.split_once("status: http://").unwrap();
        let mut stream = TcpStream::connect(behind.split('/').next().unwrap()).unwrap();
        let head = "GET /api/v1/config HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer";
        write!(stream, "{head} {WRONG_TOKEN}\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // The emulated machine ends with it; nothing is left hot.
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

fn unpack(archive: &Path, into: &Path) -> BTreeSet<String> {
    fs::create_dir(into).unwrap();
    let status = Command::new("tar")
        .arg("-xf")
        .arg(archive)
        .arg("-C")
        .arg(into)
        .status();
    assert!(status.unwrap().success());
    let names = fs::read_dir(into).unwrap();
    names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn holds(bytes: &[u8], secret: &str) -> bool {
    bytes
        .windows(secret.len())
        .any(|part| part == secret.as_bytes())
}

#[test]
fn the_archive_of_a_running_machine_holds_what_it_promises_and_no_secret() {
    let machine = Machine::start();
    let claimed = machine.tool(&["token", "claim"]);
    let token = claimed
        .split_whitespace()
        .max_by_key(|word| word.len())
        .unwrap();
    let file = fs::read_to_string(machine.path("c.toml")).unwrap();
    assert!(file.contains(&hash(token)), "{claimed}\n{file}");
    machine.try_a_wrong_token();
    // The pool has said the passwords by now, those that the tool cannot know among them; they are not repeated to it.
    machine.until("the pool has refused us", |machine| {
        let status = local::get(&machine.path("run"), "/api/v1/status").unwrap();
        let status: Value = serde_json::from_slice(&status).unwrap();
        let told = |place: usize| status["pools"]["list"][place]["last_error"].as_str();
        (0..4).all(|place| {
            told(place)
                .is_some_and(|told| told.contains("the password \"<our password>\" is wrong"))
        })
    });

    let archive = machine.path("out.tar");
    let said = machine.tool(&["support", archive.to_str().unwrap()]);
    assert!(said.contains("out.tar"), "{said}");
    let unpacked = machine.path("unpacked");
    let names = unpack(&archive, &unpacked);
    assert_eq!(names, PARTS.map(str::to_owned).into());
    let read = |name: &str| fs::read(unpacked.join(name)).unwrap();
    for name in names
        .iter()
        .filter(|name| Path::new(name).extension() == Some("json".as_ref()))
    {
        let value: Value = serde_json::from_slice(&read(name)).unwrap();
        assert!(value.is_object() || value.is_array(), "{name}: {value}");
    }
    let status: Value = serde_json::from_slice(&read("status.json")).unwrap();
    assert_eq!(status["machine"]["emulated"], true);
    assert_eq!(status["pools"]["list"][0]["user"], "worker-of-note");
    assert!(holds(&read("log.txt"), "worker-of-note") || holds(&read("log.txt"), "stratum+tcp"));
    assert!(holds(&read("config.toml"), "<redacted>"));
    let processes = read("processes.txt");
    if holds(&processes, "not found") {
        // Past what the test's harness keeps for itself of a test that passes.
        let _ = writeln!(
            std::io::stderr(),
            "left out: the list of processes, for this system has no ps"
        );
    } else {
        assert!(holds(&processes, "cgminer-rs"));
    }
    for name in ["config.toml", "config.json", "status.json"] {
        assert!(!holds(&read(name), SHORT), "{name}");
    }
    let token_hash = hash(token);
    holds_no_secret(&archive, &unpacked, &names, &[token, &token_hash]);

    // Its owner breaks the file while the machine runs, and asks for help with it.
    let broken = format!(
        "{file}\n[[pool]]\npasword = \"{MISSPELT}\"\nproxy_password = {UNQUOTED}\nuser = \"of-the-break\"\n"
    );
    fs::write(machine.path("c.toml"), broken).unwrap();
    let (archive, unpacked) = (machine.path("broken.tar"), machine.path("broken"));
    machine.tool(&["support", archive.to_str().unwrap()]);
    let names = unpack(&archive, &unpacked);
    let read = |name: &str| fs::read(unpacked.join(name)).unwrap();
    let told = String::from_utf8(read("config.toml")).unwrap();
    for wanted in [
        "not TOML",
        "pasword = <redacted>",
        "user = \"of-the-break\"",
        "user = \"worker-of-note\"",
    ] {
        assert!(told.contains(wanted), "{wanted}: {told}");
    }
    assert!(!told.contains(SHORT), "{told}");
    let status: Value = serde_json::from_slice(&read("status.json")).unwrap();
    assert_eq!(
        status["machine"]["emulated"], true,
        "the file still says where it runs"
    );
    holds_no_secret(&archive, &unpacked, &names, &[token, &token_hash]);
}

fn holds_no_secret(archive: &Path, unpacked: &Path, names: &BTreeSet<String>, tokens: &[&str]) {
    let bytes = fs::read(archive).unwrap();
    let secrets = [
        PASSWORD,
        PROXY_PASSWORD,
        WEBHOOK,
        BEARER,
        WRONG_TOKEN,
        OF_THE_COMMAND_LINE,
        OF_A_VARIABLE,
        MISSPELT,
        UNQUOTED,
        KEY,
    ];
    for secret in secrets.iter().chain(tokens) {
        let leaks = names
            .iter()
            .filter(|name| holds(&fs::read(unpacked.join(name)).unwrap(), secret));
        assert_eq!(leaks.collect::<Vec<_>>(), Vec::<&String>::new(), "{secret}");
        assert!(!holds(&bytes, secret), "{secret}");
    }
}
