//! Configure, subscribe, authorize, and the optional requests behind them.

use super::subscription::Subscription;
use super::{Asked, EndReason, Session, State};
use crate::pool::message::{Reply, hex_mask, shown};
use crate::pool::reject::PoolError;
use crate::pool::request::USER_AGENT;
use crate::work::version::ROLLABLE_BITS;
use serde_json::{Value, json};
use tokio::time::Instant;

/// Fewest version bits that are worth a configure (BIP 310's `min-bit-count`).
const FEWEST_VERSION_BITS: u32 = 2;

impl Session {
    pub(super) fn on_configured(&mut self, reply: &Reply, now: Instant) {
        let rolling = reply.result.get("version-rolling");
        let mask = reply.result.get("version-rolling.mask").and_then(hex_mask);
        if let (None, Some(Value::Bool(true)), Some(mask)) = (&reply.error, rolling, mask) {
            self.set_mask(mask, now);
        } else {
            tracing::info!(pool = %self.settings.url, "the pool offers no version rolling");
        }
        if self.state == State::Configuring {
            self.subscribe(now);
        }
    }

    pub(super) fn on_subscribed(&mut self, reply: Reply, now: Instant) {
        if let Some(error) = reply.error {
            return self.end(EndReason::SubscribeRefused(error));
        }
        match Subscription::from_json(&reply.result) {
            Ok(Some(Subscription {
                session,
                extranonce,
            })) => {
                self.resumable = session;
                let job = self.jobs.subscribed(extranonce, now);
                self.give_out(job);
                self.authorize(now);
            }
            Ok(None) => self.end(EndReason::SubscribeShape(shown(&reply.result))),
            Err(error) => self.end(EndReason::Extranonce(error)),
        }
    }

    pub(super) fn on_authorized(&mut self, reply: Reply, now: Instant) {
        match (reply.error, &reply.result) {
            (Some(error), _) => self.end(EndReason::AuthorizeRefused(error)),
            (None, Value::Bool(false)) => {
                self.end(EndReason::AuthorizeRefused(PoolError::from_text("")));
            }
            // Null and null is said by pools that judge shares alone.
            (None, _) if self.state == State::Authorizing => self.run(now),
            (None, _) => {}
        }
    }

    pub(super) fn configure(&mut self, now: Instant) {
        let mut extensions = vec!["version-rolling"];
        if self.settings.extranonce_subscribe {
            extensions.push("subscribe-extranonce");
        }
        let options = json!({
            "version-rolling.mask": format!("{ROLLABLE_BITS:08x}"),
            "version-rolling.min-bit-count": FEWEST_VERSION_BITS,
        });
        self.ask(
            Asked::Configure,
            "mining.configure",
            &json!([extensions, options]),
        );
        self.step_deadline = now + self.settings.deadlines.configure;
    }

    pub(super) fn subscribe(&mut self, now: Instant) {
        let params = match (&self.manners.resume, self.manners.bare_subscribe) {
            (_, true) => json!([]),
            (None, false) => json!([USER_AGENT]),
            (Some(session), false) => json!([USER_AGENT, session]),
        };
        self.ask(Asked::Subscribe, "mining.subscribe", &params);
        self.state = State::Subscribing;
        self.step_deadline = now + self.settings.deadlines.subscribe;
    }

    pub(super) fn authorize(&mut self, now: Instant) {
        let params = json!([self.settings.user, self.settings.password]);
        self.ask(Asked::Authorize, "mining.authorize", &params);
        self.state = State::Authorizing;
        self.step_deadline = now + self.settings.deadlines.authorize;
    }

    pub(super) fn run(&mut self, now: Instant) {
        self.state = State::Running { since: now };
        self.vigil.running(now);
        let job = self.jobs.current().cloned();
        self.give_out(job);
        if self.manners.no_optional_requests {
            return;
        }
        if let Some(difficulty) = self.settings.suggest_difficulty {
            let params = json!([whole_or_float(difficulty.value())]);
            self.ask(
                Asked::SuggestDifficulty,
                "mining.suggest_difficulty",
                &params,
            );
        }
        if self.settings.extranonce_subscribe {
            self.ask(
                Asked::ExtranonceSubscribe,
                "mining.extranonce.subscribe",
                &json!([]),
            );
        }
    }

    pub(super) fn has_asked_options(&self) -> bool {
        let is_option =
            |asked: &Asked| matches!(asked, Asked::SuggestDifficulty | Asked::ExtranonceSubscribe);
        self.requests.iter().any(|(_, asked)| is_option(asked))
    }

    pub(super) fn asks_for_version_rolling(&self) -> bool {
        self.settings.version_rolling && self.manners.sends_configure()
    }
}

/// Miningcore refuses `1000.0` where it takes `1000`.
fn whole_or_float(value: f64) -> Value {
    if value.fract() == 0.0 && value < 9e15 {
        json!(value as u64)
    } else {
        json!(value)
    }
}
