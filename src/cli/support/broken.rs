//! The files of a configuration that is broken, fit to be shown: nobody can say what in them is a secret, so only what surely is none stays.
//!
//! A line stays when it is one whole assignment to a field that holds no secret, or the head of a section that there is. Of any other assignment the name
//! stays, of an address scheme and host; the rest is left out. Comments are taken as what they would be without their sign. What was left out is looked for in all other parts.

use super::secrets::SHORTEST;
use crate::config::{FIELDS, REDACTED, Recipe};
use std::fmt::Write;
use std::path::PathBuf;
use toml::Value;

/// Fields whose value is an address, which may hold a password, or be one by its path.
const ADDRESSES: [&str; 2] = ["url", "proxy"];

/// What an address may begin with. Another beginning may be anything.
const SCHEMES: [&str; 14] = [
    "stratum+tcp",
    "stratum",
    "stratum+tls",
    "stratum+ssl",
    "stratum2+tcp",
    "http",
    "https",
    "socks5",
    "socks5h",
    "syslog+udp",
    "syslog+tcp",
    "syslog+tls",
    "mqtt",
    "mqtts",
];

/// What can be said of a text.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The text, with a mark in the place of what may be a secret.
    pub(super) text: String,
    /// What was left out, in the forms that somebody may repeat it in.
    pub(super) withheld: Vec<String>,
    /// Where the program runs, if it is said.
    pub(super) run_directory: Option<PathBuf>,
}

/// Reads all that a configuration is made of, however broken. Variables and flags are not shown, but what they may hold is withheld.
pub(super) fn told(recipe: &Recipe) -> Told {
    let mut told = Told::default();
    for path in recipe.files() {
        match std::fs::read(&path) {
            Ok(bytes) => {
                told.heading(&format!(
                    "{}, what may be a secret left out",
                    path.display()
                ));
                told.file(&String::from_utf8_lossy(&bytes));
            }
            Err(error) => told.heading(&format!("{}: {error}", path.display())),
        }
    }
    for (name, value) in &recipe.environment {
        told.setting(name, value);
    }
    for flag in &recipe.flags {
        let (name, value) = flag.split_once('=').unwrap_or(("", flag));
        told.setting(name, value);
    }
    told
}

/// One text of a broken configuration as it is shown, and what was left out of it. What the fuzz target calls.
#[must_use]
pub fn shown(text: &str) -> (String, Vec<String>) {
    let mut told = Told::default();
    told.file(text);
    (told.text, told.withheld)
}

impl Told {
    fn heading(&mut self, words: &str) {
        // Nothing fails that is written into a text.
        let _ = write!(self.text, "\n# {words}\n");
    }

    /// Takes a file's text.
    fn file(&mut self, text: &str) {
        for line in text.lines() {
            let shown = self.line(line.trim());
            self.text.push_str(&shown);
            self.text.push('\n');
        }
    }

    /// Takes a variable or flag; a name that ends with that of a field without a secret holds none.
    fn setting(&mut self, name: &str, value: &str) {
        let name = name.to_ascii_lowercase();
        if name.ends_with("run_directory") {
            self.run_directory = Some(value.into());
        }
        let is = |field: &str| {
            let before = name.strip_suffix(field);
            before.is_some_and(|before| before.ends_with(['_', '.']))
        };
        let address = ADDRESSES.into_iter().any(is);
        let secret = FIELDS.iter().any(|field| field.secret && is(field.name));
        if address {
            self.address(value);
        } else if secret || !FIELDS.iter().any(|field| is(field.name)) {
            self.withhold(value);
        }
    }

    /// What may be shown of a line.
    fn line(&mut self, line: &str) -> String {
        if line.starts_with('#') {
            // Most of them are settings that somebody switched off.
            let run_directory = self.run_directory.clone();
            let shown = self.line(line.trim_start_matches(['#', ' ']));
            self.run_directory = run_directory;
            return format!("# {shown}");
        }
        if line.is_empty() || is_head(line) {
            return line.to_owned();
        }
        let Some((name, value)) = line.split_once('=') else {
            self.quoted(line);
            return REDACTED.to_owned();
        };
        let name = name.trim();
        if !is_name(name) {
            self.quoted(line);
            return REDACTED.to_owned();
        }
        let shown = match whole(line, name) {
            Some(Value::String(address)) if ADDRESSES.contains(&name) => self.address(&address),
            Some(value) if is_open(name) => {
                if name == "run_directory" {
                    self.run_directory = value.as_str().map(PathBuf::from);
                }
                value.to_string()
            }
            Some(value) => {
                match value.as_str() {
                    Some(text) => self.withhold(text),
                    None => self.quoted(&value.to_string()),
                }
                REDACTED.to_owned()
            }
            None => {
                self.quoted(value);
                self.withhold(value.trim().trim_matches(['"', '\'']));
                REDACTED.to_owned()
            }
        };
        format!("{name} = {shown}")
    }

    /// Scheme and host of an address.
    fn address(&mut self, address: &str) -> String {
        let parts = address.split_once("://");
        let Some((scheme, rest)) = parts.filter(|(scheme, _)| SCHEMES.contains(scheme)) else {
            self.withhold(address);
            return REDACTED.to_owned();
        };
        // A password may hold any sign, so the last one parts it from the host.
        let (user, rest) = rest
            .rsplit_once('@')
            .map_or((None, rest), |(user, rest)| (Some(user), rest));
        let (host, path) = rest
            .find(['/', '?', '#'])
            .map_or((rest, ""), |at| rest.split_at(at));
        for piece in [user.unwrap_or_default(), path] {
            self.withhold(piece);
        }
        if let Some((_, password)) = user.and_then(|user| user.split_once(':')) {
            self.withhold(password);
        }
        let mark = |is: bool, with: &str| if is { with.to_owned() } else { String::new() };
        let user = mark(user.is_some(), &format!("{REDACTED}@"));
        let path = mark(path.len() > 1, &format!("/{REDACTED}"));
        Value::from(format!("{scheme}://{user}{host}{path}")).to_string()
    }

    /// Withholds each text in quotes.
    fn quoted(&mut self, text: &str) {
        for quote in ['"', '\''] {
            for piece in text.split(quote).skip(1).step_by(2) {
                self.withhold(piece);
            }
        }
    }

    fn withhold(&mut self, piece: &str) {
        if piece.len() >= SHORTEST {
            self.withheld.push(piece.to_owned());
        }
    }
}

/// The value of a line that is one whole assignment to that name.
fn whole(line: &str, name: &str) -> Option<Value> {
    let mut values = line.parse::<toml::Table>().ok()?;
    let value = values.remove(name)?;
    (values.is_empty() && !value.is_table()).then_some(value)
}

/// Whether no section has a secret of this name.
fn is_open(name: &str) -> bool {
    let mut fields = FIELDS.iter().filter(|field| field.name == name);
    !ADDRESSES.contains(&name)
        && fields.clone().next().is_some()
        && fields.all(|field| !field.secret)
}

fn is_head(line: &str) -> bool {
    let inner = line.trim_start_matches('[').trim_end_matches(']');
    line.starts_with('[')
        && line.ends_with(']')
        && FIELDS.iter().any(|field| field.section == inner)
}

fn is_name(text: &str) -> bool {
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    !text.is_empty() && text.len() <= 40 && text.chars().all(is_letter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(text: &str) -> Told {
        let mut told = Told::default();
        told.file(text);
        told
    }

    #[test]
    fn what_surely_is_no_secret_stays_and_nothing_else() {
        let text = r#"
            # password = "first-secret"
            # mode = "automatic"
            # run_directory = "/run/nowhere"
            # the key is "eighth-secret"
            [[pool]]
            url = "stratum+tcp://me:second-secret@pool.example:3333/third-secret"
            user = "me.1"
            pasword = "fourth-secret"
            password = "fifth-secret
            quota = 3
            fifth-secret goes on
            [[alert_target]]
            url = "https://hooks.example/sixth-secret"
            proxy = "ninth-secret://hooks.example"
            name = "chat", password = "seventh-secret"
            [api]
            origins = ["https://a.example"]
            run_directory = "/run/elsewhere"
        "#;
        let Told {
            text: shown,
            withheld,
            run_directory,
        } = of(text);
        assert!(!shown.contains("secret"), "{shown}");
        for wanted in [
            "# password = <redacted>\n# mode = \"automatic\"\n",
            "[[pool]]",
            "url = \"stratum+tcp://<redacted>@pool.example:3333/<redacted>\"",
            "user = \"me.1\"",
            "pasword = <redacted>",
            "password = <redacted>",
            "quota = 3",
            "url = \"https://hooks.example/<redacted>\"",
            "name = <redacted>",
            "origins = [\"https://a.example\"]",
        ] {
            assert!(shown.contains(wanted), "{wanted}: {shown}");
        }
        for secret in [
            "second-secret",
            "/third-secret",
            "fourth-secret",
            "eighth-secret",
            "fifth-secret",
            "/sixth-secret",
            "seventh-secret",
        ] {
            assert!(
                withheld.iter().any(|held| held == secret),
                "{secret}: {withheld:?}"
            );
        }
        assert_eq!(run_directory, Some("/run/elsewhere".into()));
    }

    #[test]
    fn variables_and_flags_are_not_shown_and_their_secrets_are_known() {
        let recipe = Recipe {
            file: "/nonexistent/a.toml".into(),
            environment: vec![
                ("CGMINER_POOL_0_PROXY_PASSWORD".into(), "one-secret".into()),
                ("CGMINER_POOL_0_USER".into(), "me.1".into()),
            ],
            flags: vec![
                "pool[0].pasword=two-secret".into(),
                "pool[0].url=stratum+tcp://u:three-secret@h:1".into(),
                "four-secret".into(),
            ],
            ..Recipe::default()
        };
        let told = told(&recipe);
        assert!(!told.text.contains("secret"), "{}", told.text);
        assert_eq!(
            told.withheld,
            [
                "one-secret",
                "two-secret",
                "u:three-secret",
                "three-secret",
                "four-secret"
            ]
        );
    }

    const VALID: &str = "[[pool]]\nurl = \"stratum+tcp://a:1\"\nuser = \"me\"\npassword = \"S3CR3T\"\nproxy = \"socks5://p:S3CR3T@c:1\"\n\
                         proxy_password = 'S3CR3T'\n[[alert_target]]\nname = \"chat\"\nurl = \"https://h.example/S3CR3T\"\n[[token]]\n\
                         sha256 = \"S3CR3T\"\n";

    proptest! {
        #[test]
        fn however_a_file_is_broken_no_secret_is_shown(
            damage in proptest::collection::vec((any::<proptest::sample::Index>(), 0..3usize, "[\"'=\\[\\]#\n a-z]{0,3}"), 0..6),
        ) {
            let mut pieces: Vec<String> = VALID.split("S3CR3T").map(str::to_owned).collect();
            for (at, gone, added) in damage {
                let piece = at.get(&pieces).clone();
                let place = at.index(piece.len() + 1);
                let rest = piece.get(place + gone..).unwrap_or_default();
                let index = at.index(pieces.len());
                pieces[index] = format!("{}{added}{rest}", &piece[..place]);
            }
            let text = pieces.join("S3CR3T");
            let shown = of(&text).text;
            // A name that stands in front of it by accident makes it that field's value.
            let open = text.lines().map(|line| line.trim_start_matches(['#', ' '])).any(|line| line.split_once('=').is_some_and(|(name, value)| is_open(name.trim()) && value.contains("S3CR3T")));
            prop_assert!(open || !shown.contains("S3CR3T"), "{}", shown);
        }
    }
}
