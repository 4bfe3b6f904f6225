//! What the scribe answers, and whom it leaves.

use super::*;
use proptest::prelude::*;
use std::thread;

struct Office {
    directory: tempfile::TempDir,
    scribe: Scribe,
}

impl Office {
    fn new(text: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let recipe = Recipe {
            file: directory.path().join("c.toml"),
            named: true,
            ..Recipe::default()
        };
        fs::write(&recipe.file, text).unwrap();
        let scribe = Scribe::start(recipe, directory.path(), |_| Vec::new()).unwrap();
        Self { directory, scribe }
    }

    fn ask(&self, question: &Ask) -> Told {
        ask(self.directory.path(), question).unwrap()
    }

    fn text(&self) -> String {
        fs::read_to_string(self.directory.path().join("c.toml")).unwrap()
    }

    fn stamp(&self) -> String {
        match self.ask(&Ask::Stamp) {
            Told::Stamp(stamp) => stamp,
            other => panic!("{other:?}"),
        }
    }

    fn refused(&self, text: &str, was: &str) -> String {
        let question = Ask::Write {
            text: text.into(),
            was: hash(was),
        };
        match self.ask(&question) {
            Told::Refused(why) => why,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_whole_valid_configuration_is_written_and_seen_as_a_change() {
    let before = "[log]\nlevel = \"info\"\n";
    let office = Office::new(before);
    let stamp = office.stamp();
    assert_eq!(stamp, office.stamp());
    let text = "[log]\nlevel = \"debug\" # louder\n";
    let question = Ask::Write {
        text: text.into(),
        was: hash(before),
    };
    assert!(matches!(office.ask(&question), Told::Written));
    assert_eq!(office.text(), text);
    assert_ne!(stamp, office.stamp());
    match office.ask(&Ask::Read) {
        Told::Files(files) => assert_eq!(files[0].text, text),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_wrong_out_of_date_or_moves_a_limit_is_not_written() {
    let before = "[board]\nname = \"l7\"\n";
    let office = Office::new(before);
    for (text, was, why) in [
        ("[lgo]\n", before, "there is no section"),
        ("= =", before, "not TOML"),
        ("", "other", "somebody else"),
        ("", before, "board cannot be changed"),
        ("[board]\nfile = \"/tmp/x\"\n", before, "board cannot"),
        (
            "[board]\nname = \"l7\"\n[cooling]\nmode = \"immersion\"\n",
            before,
            "immersion",
        ),
        (
            "[board]\nname = \"l7\"\n[cooling]\nminimum_fans = 0\n",
            before,
            "minimum_fans",
        ),
        (
            "[board]\nname = \"l7\"\n[api]\nrun_directory = \"/tmp/y\"\n",
            before,
            "run_directory",
        ),
        (
            "[board]\nname = \"l7\"\n[log]\nfile = \"/etc/cron.d/x\"\n",
            before,
            "log.file cannot be changed",
        ),
        (
            "[board]\nname = \"l7\"\n[keeper]\nstate_directory = \"/tmp/y\"\n",
            before,
            "state_directory",
        ),
    ] {
        let told = office.refused(text, was);
        assert!(told.contains(why), "{text}: {told}");
        assert_eq!(office.text(), before);
    }
    let long = format!("{before}#{}", "x".repeat(FILE_LIMIT));
    assert!(office.refused(&long, before).contains("shorten it"));
}

#[test]
fn a_wish_to_read_again_changes_the_stamp_and_nonsense_is_answered() {
    let office = Office::new("");
    let stamp = office.stamp();
    office.scribe.reread().ask();
    assert_ne!(stamp, office.stamp());
    let mut stream = UnixStream::connect(office.directory.path().join(SOCKET)).unwrap();
    stream.write_all(b"{{{").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("refused"), "{answer}");
}

#[test]
fn a_question_has_a_length_and_a_version() {
    let ask = |version| format!(r#"{{"version":{version},"ask":"stamp"}}"#);
    assert!(matches!(read_question(ask(1).as_bytes()), Ok(Ask::Stamp)));
    let other = read_question(ask(2).as_bytes()).unwrap_err();
    assert!(other.contains("version 2"), "{other}");
    let long = vec![b' '; QUESTION_LIMIT + 1];
    assert!(read_question(&long).unwrap_err().contains("longer than"));
    // The largest file there may be, all of it doubled.
    let question = Question {
        version: VERSION,
        ask: Ask::Write {
            text: "\n".repeat(FILE_LIMIT),
            was: hash(""),
        },
    };
    assert!(read_question(&serde_json::to_vec(&question).unwrap()).is_ok());
}

#[test]
fn whoever_drips_or_never_ends_is_left() {
    let (mut ours, mut theirs) = UnixStream::pair().unwrap();
    let began = Instant::now();
    let dripper = thread::spawn(move || {
        while theirs.write_all(b" ").is_ok() {
            thread::sleep(PATIENCE / 20);
        }
    });
    let error = read_whole(&mut ours, QUESTION_LIMIT).unwrap_err();
    assert!(
        matches!(
            error.kind(),
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock
        ),
        "{error}"
    );
    assert!(began.elapsed() >= PATIENCE);
    drop(ours);
    dripper.join().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_reading_a_question_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = read_question(&bytes);
    }

    #[test]
    fn what_the_desk_writes_is_valid_and_moves_no_limit(
        pieces in prop::collection::vec(prop_oneof![
            Just("[board]\n"), Just("name = \"l7\"\n"), Just("file = \"/tmp/x\"\n"), Just("[cooling]\n"),
            Just("mode = \"immersion\"\n"), Just("minimum_fans = 0\n"), Just("[keeper]\n"),
            Just("state_directory = \"/tmp\"\n"), Just("[log]\n"), Just("level = \"debug\"\n"), Just("x"), Just("\""),
        ], 0..8),
        known in any::<bool>(),
    ) {
        let before = "[log]\nlevel = \"info\"\n";
        let directory = tempfile::tempdir().unwrap();
        let recipe = Recipe { file: directory.path().join("c.toml"), named: true, ..Recipe::default() };
        fs::write(&recipe.file, before).unwrap();
        let file = recipe.file.clone();
        let mut desk = Desk { lines: |_| Vec::new(), recipe, wishes: Arc::default(), writes: 2, earned: Instant::now(), minimum_fans: watch::Sender::new(None) };
        let text = pieces.concat();
        let was = hash(if known { before } else { "another" });
        let told = desk.answer(Ask::Write { text: text.clone(), was });
        let after = fs::read_to_string(&file).unwrap();
        if matches!(told, Told::Written) {
            prop_assert!(known);
            prop_assert_eq!(&after, &text);
            let (old, new) = (crate::config::parse(before).unwrap(), crate::config::parse(&after).unwrap());
            prop_assert_eq!(out_of_reach(&old.config, &new.config), None);
        } else {
            prop_assert_eq!(after, before);
        }
    }
}

#[test]
fn writes_have_a_budget() {
    let mut desk = Desk {
        lines: |_| Vec::new(),
        recipe: Recipe::default(),
        wishes: Arc::default(),
        writes: 2,
        earned: Instant::now(),
        minimum_fans: watch::Sender::new(None),
    };
    assert!(desk.pay().is_ok() && desk.pay().is_ok());
    assert!(desk.pay().unwrap_err().contains("too often"));
    desk.earned -= 2 * WRITES.1;
    assert!(desk.pay().is_ok() && desk.pay().is_ok() && desk.pay().is_err());
}

#[test]
fn the_keepers_lines_are_told_in_bounded_pieces() {
    let directory = tempfile::tempdir().unwrap();
    let recipe = Recipe {
        file: directory.path().join("a.toml"),
        ..Recipe::default()
    };
    let lines: KeeperLines = |after| {
        let line = |number| KeeperLine {
            number,
            unix_time: 1.5,
            level: "INFO".into(),
            target: "keeper".into(),
            text: "\u{1}".repeat(480),
        };
        (after + 1..=500).map(line).collect()
    };
    let _scribe = Scribe::start(recipe, directory.path(), lines).unwrap();
    let (mut last, mut answers) = (0, 0);
    while last < 500 {
        match ask(directory.path(), &Ask::Lines { after: last }).unwrap() {
            Told::Lines(lines) => last = lines.last().unwrap().number,
            other => panic!("{other:?}"),
        }
        answers += 1;
    }
    assert_eq!((last, answers), (500, 4));
}

#[test]
fn the_keeper_knows_the_owners_fans_from_the_files_before_the_miner_can_ask_for_them() {
    let office = Office::new("[cooling]\nminimum_fans = 3\n");
    let fans = office.scribe.minimum_fans();
    assert_eq!(*fans.borrow(), Some(3));
    let write = |text: &str| fs::write(office.directory.path().join("c.toml"), text).unwrap();
    write("[cooling]\nminimum_fans = 4\n");
    assert!(matches!(office.ask(&Ask::Read), Told::Files(_)));
    assert_eq!(*fans.borrow(), Some(4));
    // A file that is wrong at the moment lets nobody ask for fewer.
    write("[cooling]\nminimum_fans = \"few\"\n");
    assert!(matches!(office.ask(&Ask::Read), Told::Files(_)));
    assert_eq!(*fans.borrow(), Some(4));
    write("");
    assert!(matches!(office.ask(&Ask::Read), Told::Files(_)));
    assert_eq!(*fans.borrow(), None);
}
