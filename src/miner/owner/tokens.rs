//! Tokens are given out, taken back and renewed. Each is shown once, when it is made.

use super::settings::Settings;
use crate::api::Failure;
use crate::api::orders::Outcome;
use crate::config::{Edit, FreshToken, Role, TokenSection};
use serde_json::{Value, json};

const SECTION: &str = "token";
/// Name of the first token.
const FIRST: &str = "owner";

impl Settings {
    /// All tokens, without themselves.
    pub(super) fn tokens(&self) -> Value {
        let list = self.config().token.iter();
        list.map(|token| json!({"name": token.name, "role": token.role}))
            .collect()
    }

    /// The first token. There is only one first one, so who comes second knows that somebody was here.
    pub(super) async fn claim_token(&mut self) -> Outcome {
        if self.config().token.is_empty() {
            self.create_token(FIRST, Role::Admin).await
        } else {
            Err(ALREADY_CLAIMED)
        }
    }

    pub(super) async fn create_token(&mut self, name: &str, role: Role) -> Outcome {
        if self.position(name).is_ok() {
            return Err(NAME_TAKEN);
        }
        let fresh = make(name, role)?;
        let TokenSection { name, sha256, .. } = &fresh.kept;
        let role = toml::Value::try_from(role).map_err(|_| NO_RANDOMNESS)?;
        let entry = vec![
            ("name".to_owned(), name.as_str().into()),
            ("role".to_owned(), role),
            ("sha256".to_owned(), sha256.expose().into()),
        ];
        let section = SECTION;
        self.change(&[Edit::Append { section, entry }]).await?;
        Ok(shown(&fresh))
    }

    pub(super) async fn revoke_token(&mut self, name: &str) -> Outcome {
        let index = self.position(name)?;
        let section = SECTION;
        self.change(&[Edit::Remove { section, index }]).await
    }

    pub(super) async fn rotate_token(&mut self, name: &str) -> Outcome {
        let index = self.position(name)?;
        let role = self.config().token.get(index).map(|token| token.role);
        let fresh = make(name, role.ok_or(NO_TOKEN)?)?;
        let edit = Edit::Set {
            section: SECTION,
            index: Some(index),
            name: "sha256".into(),
            value: fresh.kept.sha256.expose().into(),
        };
        self.change(&[edit]).await?;
        Ok(shown(&fresh))
    }

    fn position(&self, name: &str) -> Result<usize, Failure> {
        let mut tokens = self.config().token.iter();
        tokens.position(|token| token.name == name).ok_or(NO_TOKEN)
    }
}

fn make(name: &str, role: Role) -> Result<FreshToken, Failure> {
    FreshToken::make(name, role).map_err(|_| NO_RANDOMNESS)
}

fn shown(fresh: &FreshToken) -> Value {
    json!({
        "name": fresh.kept.name,
        "role": fresh.kept.role,
        "token": fresh.text.expose(),
    })
}

const ALREADY_CLAIMED: Failure = Failure::new(
    409,
    "already_claimed",
    "this machine has tokens already",
    "an admin makes more of them; who has none asks on the machine: `cgminer-rs token create`",
);

const NAME_TAKEN: Failure = Failure::new(
    409,
    "name_taken",
    "there is a token of this name",
    "choose another name, or rotate that one",
);

const NO_TOKEN: Failure = Failure::new(
    404,
    "no_such_token",
    "there is no token of this name",
    "GET /api/v1/tokens names those there are",
);

const NO_RANDOMNESS: Failure = Failure::new(
    500,
    "internal",
    "the system gives no randomness",
    "look into the log",
);
