//! Alerts and file systems.

use super::{Page, name_of};
use crate::telemetry::Snapshot;

pub(super) fn alerts(snapshot: &Snapshot, page: &mut Page) {
    let alert = "cgminer_alert";
    page.family(alert, "gauge", "1 for each alert that is not over.");
    for active in &snapshot.alerts {
        let labels = [
            ("rule", name_of(&active.rule)),
            ("source", active.source.clone()),
            ("severity", name_of(&active.severity)),
        ];
        let labels = labels.each_ref().map(|(name, text)| (*name, text.as_str()));
        page.sample(alert, &labels, 1);
    }
    page.single(
        "cgminer_alerts_total",
        "counter",
        "Alerts since the program started.",
        snapshot.alerts_raised,
    );
    let free = "cgminer_filesystem_free_bytes";
    page.family(free, "gauge", "Room on a file system that is written to.");
    for storage in &snapshot.storage {
        page.sample(free, &[("path", &storage.path)], storage.free_bytes);
    }
}
