//! What the demo pool has seen.

/// Counts since the start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DemoPoolStats {
    /// Connections open now.
    pub clients: u32,
    /// Shares that were right.
    pub accepted: u64,
    /// Sum of their difficulties.
    pub accepted_difficulty: f64,
    /// Shares that were not.
    pub rejected: RejectedShares,
    /// Shares that found a block of the demo chain.
    pub blocks: u64,
    /// Accepted shares with rolled version bits.
    pub version_rolled: u64,
    /// Height that is being mined.
    pub height: u32,
    /// Share difficulty given last; `None` before a client came.
    pub difficulty: Option<f64>,
    /// Lines that were no request.
    pub malformed_lines: u64,
}

/// Rejected shares by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RejectedShares {
    /// Fields missing, of the wrong form or out of range (20).
    pub malformed: u64,
    /// Job unknown, or of a block that is over (21).
    pub stale: u64,
    /// Sent before (22).
    pub duplicate: u64,
    /// Hash above the target (23).
    pub above_target: u64,
    /// Worker not authorized (24).
    pub unauthorized: u64,
    /// Not subscribed (25).
    pub not_subscribed: u64,
}

impl RejectedShares {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.malformed
            + self.stale
            + self.duplicate
            + self.above_target
            + self.unauthorized
            + self.not_subscribed
    }

    /// Counts one by Stratum's error code.
    pub(super) fn count(&mut self, code: i64) {
        *match code {
            21 => &mut self.stale,
            22 => &mut self.duplicate,
            23 => &mut self.above_target,
            24 => &mut self.unauthorized,
            25 => &mut self.not_subscribed,
            _ => &mut self.malformed,
        } += 1;
    }
}
