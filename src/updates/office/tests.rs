use super::super::{question, read_answer, status};
use super::*;
use std::thread;
use tempfile::TempDir;

/// Writes a script by way of another process. What this one has open to write, any child that another test forks at that moment holds as
/// well until it becomes another program, and a file that somebody may write to cannot be started: "text file busy".
fn write_program(path: &Path, script: &str) {
    let written = Command::new("sh")
        .args([
            "-c",
            "printf '%s\\n' '#!/bin/sh' \"$1\" >\"$0\" && chmod 755 \"$0\"",
        ])
        .arg(path)
        .arg(script)
        .status();
    assert!(written.unwrap().success());
}

/// An office whose program is a script.
struct Machine {
    directory: TempDir,
    _office: Office,
}

impl Machine {
    fn new(script: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("program");
        write_program(&program, script);
        let updater = directory.path().join("updater");
        fs::write(&updater, "").unwrap();
        let places = Places {
            program,
            updater,
            bundles: directory.path().join("bundles"),
        };
        let office = Office::start(directory.path(), places).unwrap();
        Self {
            directory,
            _office: office,
        }
    }

    fn send(&self, bundle: &[u8], bytes: u64) -> Told {
        let mut stream = UnixStream::connect(self.directory.path().join(SOCKET)).unwrap();
        let ask = Ask::Install(Bundle {
            bytes,
            again: false,
            downgrade: true,
            reboot: false,
        });
        stream.write_all(&question(ask)).unwrap();
        // One that is refused is not read.
        let _ = stream.write_all(bundle);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        // Whoever refuses without reading breaks the connection behind its answer.
        let _ = stream.read_to_end(&mut answer);
        read_answer(&answer).unwrap()
    }

    /// The update once it has ended.
    fn ended(&self) -> Job {
        for _ in 0..24_000 {
            let job = status(self.directory.path()).unwrap().job.unwrap();
            if matches!(job.state, JobState::Installed | JobState::Failed) {
                return job;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("no end");
    }
}

const TELLS: &str = r#"[ "$2" = status ] && echo '{"version":"1.0.0"}' && exit"#;

#[test]
fn a_bundle_is_installed_by_the_program_itself_and_then_removed() {
    let machine = Machine::new(&format!(
        "{TELLS}\necho \" 50% Copying\"; cp \"$3\" \"$(dirname \"$0\")/got\"; echo \"$@\" >\"$(dirname \"$0\")/asked\""
    ));
    let bundle = vec![7; 200_000];
    assert_eq!(machine.send(&bundle, 200_000), Told::Taken);
    assert_eq!(machine.ended().state, JobState::Installed);
    let read = |name: &str| fs::read(machine.directory.path().join(name)).unwrap();
    assert_eq!(read("got"), bundle);
    let asked = String::from_utf8(read("asked")).unwrap();
    assert!(asked.starts_with("firmware install ") && asked.trim().ends_with(" --allow-downgrade"));
    assert_eq!(
        fs::read_dir(machine.directory.path().join("bundles"))
            .unwrap()
            .count(),
        0
    );
    let status = status(machine.directory.path()).unwrap();
    assert_eq!(status.image["version"], "1.0.0");
}

#[test]
fn what_the_installer_refuses_is_told_in_its_words() {
    let machine = Machine::new(&format!("{TELLS}\necho 'signature is bad' >&2; exit 1"));
    assert_eq!(machine.send(b"bad", 3), Told::Taken);
    let job = machine.ended();
    assert_eq!(
        (job.state, job.line.as_str()),
        (JobState::Failed, "signature is bad")
    );
}

#[test]
fn an_installer_that_says_much_or_what_is_no_text_is_heard_to_its_end() {
    let machine = Machine::new(&format!(
        "{TELLS}\nprintf '\\377\\n'; head -c 300000 /dev/zero >&2; echo ' 50% Copying'; touch \"$(dirname \"$0\")/whole\""
    ));
    assert_eq!(machine.send(b"one", 3), Told::Taken);
    assert_eq!(machine.ended().state, JobState::Installed);
    assert!(machine.directory.path().join("whole").exists());
}

#[test]
fn half_a_bundle_is_not_installed() {
    let machine = Machine::new(&format!("{TELLS}\ntouch \"$(dirname \"$0\")/ran\""));
    assert!(matches!(machine.send(b"half", 8), Told::Refused(_)));
    assert_eq!(machine.ended().state, JobState::Failed);
    assert!(!machine.directory.path().join("ran").exists());
}

#[test]
fn a_second_update_waits_for_the_end_of_the_first() {
    let machine = Machine::new(&format!(
        "{TELLS}\ncat >/dev/null; until [ -e \"$(dirname \"$0\")/go\" ]; do sleep 0.1; done"
    ));
    assert_eq!(machine.send(b"one", 3), Told::Taken);
    let second = machine.send(b"two", 3);
    assert!(
        matches!(&second, Told::Refused(why) if why.contains("under way")),
        "{second:?}"
    );
    fs::write(machine.directory.path().join("go"), "").unwrap();
    assert_eq!(machine.ended().state, JobState::Installed);
}

#[test]
fn a_system_without_an_updater_says_so() {
    let machine = Machine::new(TELLS);
    fs::remove_file(machine.directory.path().join("updater")).unwrap();
    assert!(
        matches!(machine.send(b"x", 1), Told::Refused(why) if why.contains("no firmware image"))
    );
    let status = status(machine.directory.path()).unwrap();
    assert!(!status.available && status.reason.is_some());
}

#[test]
fn an_image_that_does_not_tell_is_told_as_such() {
    let machine = Machine::new("echo 'rauc: cannot be started' >&2; exit 1");
    let status = status(machine.directory.path()).unwrap();
    assert_eq!(
        (status.image, status.reason.as_deref()),
        (Value::Null, Some("rauc: cannot be started"))
    );
}

#[test]
fn progress_is_read_from_the_line() {
    for (line, wanted) in [
        (" 82% Copying image to rootfs.1", Some(82)),
        ("100% done", Some(100)),
        ("verifying x", None),
        ("200% of it", None),
    ] {
        assert_eq!(per_cent(line), wanted, "{line}");
    }
}
