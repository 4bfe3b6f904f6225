//! `top` on a terminal of its own, before a machine that answers from a file.
#![allow(clippy::unwrap_used, clippy::panic)]

use nix::pty::openpty;
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::unistd::Pid;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const STATUS: &str = r#"{"versions": {"daemon": "0.1.0"},
    "machine": {"board": "l7", "emulated": true, "state": "starting", "reason": "x", "uptime_s": 5},
    "chains": [{"index": 0, "phase": "bring_up", "chips_found": 3, "chips_expected": 4}]}"#;

/// Answers every question about the machine.
fn machine(directory: &Path) {
    let listener = UnixListener::bind(directory.join("api.sock")).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            // The question comes in pieces; who answers before its end breaks it off.
            let mut asked = Vec::new();
            let mut buffer = [0; 1024];
            while !asked.ends_with(b"\r\n\r\n") {
                match stream.read(&mut buffer) {
                    Ok(count @ 1..) => asked.extend_from_slice(&buffer[..count]),
                    _ => break,
                }
            }
            let head = String::from_utf8_lossy(&asked).into_owned();
            let body = if head.starts_with("GET /api/v1/status") {
                STATUS
            } else {
                "[]"
            };
            let length = body.len();
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}"
            );
        }
    });
}

struct View {
    top: Child,
    keyboard: File,
    terminal: OwnedFd,
    output: Receiver<Vec<u8>>,
    seen: String,
}

impl View {
    fn open(directory: &Path) -> Self {
        let pty = openpty(None, None).unwrap();
        let end = || Stdio::from(pty.slave.try_clone().unwrap());
        let top = Command::new(env!("CARGO_BIN_EXE_cgminer-rs"))
            .args(["top", "--config", "/dev/null", "--run-directory"])
            .arg(directory)
            .env_remove("CGMINER_CONFIG")
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .unwrap();
        let keyboard = File::from(pty.master);
        let mut reader = keyboard.try_clone().unwrap();
        let (sender, output) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            top,
            keyboard,
            terminal: pty.slave,
            output,
            seen: String::new(),
        }
    }

    fn wait_for(&mut self, text: &str) {
        while !self.seen.contains(text) {
            let piece = self.output.recv_timeout(Duration::from_secs(120));
            let piece = piece.unwrap_or_else(|_| panic!("no {text:?} in {:?}", self.seen));
            self.seen.push_str(&String::from_utf8_lossy(&piece));
        }
    }

    /// Waits for its end, and for the terminal as it was.
    fn ended(mut self) {
        self.wait_for("\x1b[?25h\x1b[?1049l");
        assert!(self.top.wait().unwrap().success());
        let flags = tcgetattr(&self.terminal).unwrap().local_flags;
        let cooked = LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG;
        assert!(flags.contains(cooked), "{flags:?}");
    }
}

#[test]
fn the_view_follows_the_machine_and_q_gives_the_terminal_back() {
    let directory = tempfile::tempdir().unwrap();
    machine(directory.path());
    let mut view = View::open(directory.path());
    view.wait_for("l7 (emulated), up 5 s");
    view.wait_for("75 %, chips found");
    let raw = tcgetattr(&view.terminal).unwrap().local_flags;
    assert!(!raw.contains(LocalFlags::ECHO));
    // The terminal tells how high it is, and the view keeps to it.
    view.keyboard.write_all(b"\x1b[3;80R").unwrap();
    view.wait_for("lines more: make the window higher");
    view.keyboard.write_all(b"q").unwrap();
    view.ended();
}

#[test]
fn a_signal_gives_the_terminal_back_too() {
    let directory = tempfile::tempdir().unwrap();
    machine(directory.path());
    let mut view = View::open(directory.path());
    view.wait_for("q: leave");
    let process = Pid::from_raw(i32::try_from(view.top.id()).unwrap());
    kill(process, Signal::SIGTERM).unwrap();
    view.ended();
}

#[test]
fn without_a_terminal_or_a_machine_it_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let top = || {
        let output = Command::new(env!("CARGO_BIN_EXE_cgminer-rs"))
            .args(["top", "--config", "/dev/null", "--run-directory"])
            .arg(directory.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    assert_eq!(top().0, Some(4), "no machine runs");
    machine(directory.path());
    let (code, words) = top();
    assert_eq!(code, Some(2), "{words}");
    assert!(words.contains("needs a terminal"), "{words}");
}
