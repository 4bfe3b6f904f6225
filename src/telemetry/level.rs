//! What is worth a log line, changed while the program runs.

use std::sync::{PoisonError, RwLock};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Filter};

/// The switch of this process: logs are told to the process as a whole, so there is one.
pub static LOG_LEVEL: LevelSwitch = LevelSwitch(RwLock::new(None));

/// A filter that can be changed.
pub struct LevelSwitch(RwLock<Option<Targets>>);

impl LevelSwitch {
    /// From now on these are worth a line.
    pub fn set(&self, targets: Targets) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(targets);
        // Those that asked whether anybody listens ask again.
        tracing::callsite::rebuild_interest_cache();
    }

    fn with<T>(&self, otherwise: T, ask: impl FnOnce(&Targets) -> T) -> T {
        let targets = self.0.read().unwrap_or_else(PoisonError::into_inner);
        targets.as_ref().map_or(otherwise, ask)
    }
}

/// A filter for one layer. Before the switch was set, nothing is worth a line.
pub struct BySwitch(pub &'static LevelSwitch);

impl<S: Subscriber> Filter<S> for BySwitch {
    fn enabled(&self, metadata: &Metadata<'_>, context: &Context<'_, S>) -> bool {
        self.0.with(false, |targets| {
            Filter::<S>::enabled(targets, metadata, context)
        })
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        self.0.with(Interest::never(), |targets| {
            Filter::<S>::callsite_enabled(targets, metadata)
        })
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        self.0.with(Some(LevelFilter::OFF), |targets| {
            Filter::<S>::max_level_hint(targets)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::LogRing;
    use crate::telemetry::logs::LineLayer;
    use std::sync::LazyLock;
    use tracing::Level;
    use tracing_subscriber::layer::{Layer, SubscriberExt};

    static SWITCH: LevelSwitch = LevelSwitch(RwLock::new(None));
    static RING: LazyLock<LogRing> = LazyLock::new(LogRing::default);

    #[test]
    fn what_is_worth_a_line_changes_at_once() {
        let layer = LineLayer::new(&*RING).with_filter(BySwitch(&SWITCH));
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            for level in ["info", "debug", "warn", "off", "debug"] {
                SWITCH.set(level.parse().unwrap());
                tracing::debug!("{level}: debug");
                tracing::info!("{level}: info");
                tracing::warn!("{level}: warn");
            }
        });
        let lines = RING.after(0, Level::TRACE);
        let texts: Vec<_> = lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "info: info",
                "info: warn",
                "debug: debug",
                "debug: info",
                "debug: warn",
                "warn: warn",
                "debug: debug",
                "debug: info",
                "debug: warn"
            ]
        );
    }
}
