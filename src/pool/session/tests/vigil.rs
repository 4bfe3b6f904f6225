//! What a pool owes, by whether it is worked for.

use super::super::ledger::Ledger;
use super::super::vigil::Vigil;
use super::*;
use crate::pool::settings::Deadlines;

/// A running session's waits, with a job at second 0.
struct Bench {
    vigil: Vigil,
    ledger: Ledger,
    began: Instant,
}

impl Bench {
    fn new() -> Self {
        let began = Instant::now();
        let mut vigil = Vigil::new(Deadlines::default(), began);
        vigil.running(began);
        vigil.job_came(began);
        Self {
            vigil,
            ledger: Ledger::new(ShareCounters::default(), false),
            began,
        }
    }

    fn at(&self, second: u64) -> Instant {
        self.began + Duration::from_secs(second)
    }

    /// When the session is over if nothing comes any more, in seconds, and why.
    fn end(&mut self) -> (u64, EndReason) {
        let deadline = self.vigil.next_deadline(None, &self.ledger);
        let just_before = deadline - Duration::from_millis(1);
        assert_eq!(self.vigil.overdue(&mut self.ledger, just_before), None);
        let reason = self.vigil.overdue(&mut self.ledger, deadline).unwrap();
        (deadline.duration_since(self.began).as_secs(), reason)
    }
}

#[test]
fn a_pool_that_is_not_worked_for_may_be_silent_for_an_hour() {
    let mut bench = Bench::new();
    bench.vigil.set_at_work(false, bench.began);
    assert_eq!(bench.end(), (3600, EndReason::NoNextJob));
    bench.vigil.job_came(bench.at(1000));
    assert_eq!(bench.end(), (3600, EndReason::Silent));
    bench.vigil.heard(bench.at(1000));
    assert_eq!(bench.end(), (4600, EndReason::NoNextJob));
}

#[test]
fn from_the_moment_that_it_is_worked_for_the_deadlines_begin() {
    let mut bench = Bench::new();
    bench.vigil.set_at_work(false, bench.at(5));
    bench.vigil.set_at_work(true, bench.at(2000));
    // Five seconds of it had gone by before.
    assert_eq!(bench.end(), (2115, EndReason::Silent));
    bench.vigil.heard(bench.at(2100));
    assert_eq!(bench.end(), (2175, EndReason::NoNextJob));
}

#[test]
fn turns_add_up_however_short_they_are() {
    let mut bench = Bench::new();
    // Ten seconds of twenty.
    for turn in 0..11 {
        bench.vigil.set_at_work(false, bench.at(20 * turn + 10));
        bench.vigil.set_at_work(true, bench.at(20 * turn + 20));
    }
    assert_eq!(bench.end(), (230, EndReason::Silent));
    // Saying the same again changes nothing.
    bench.vigil.set_at_work(true, bench.at(225));
    assert_eq!(bench.end(), (230, EndReason::Silent));
}

#[test]
fn a_first_job_is_owed_to_whoever_waits() {
    let began = Instant::now();
    let mut bench = Bench {
        vigil: Vigil::new(Deadlines::default(), began),
        ..Bench::new()
    };
    bench.began = began;
    bench.vigil.set_at_work(false, began);
    bench.vigil.running(began);
    assert_eq!(bench.end(), (30, EndReason::NoFirstJob));
}

#[test]
fn a_session_is_told_whether_it_is_worked_for() {
    let mut talk = Talk::running();
    talk.notify("1", HASH, true);
    talk.session.set_at_work(false, talk.now);
    talk.wait(Duration::from_secs(3000));
    assert_eq!(talk.session.ended(), None);
    talk.session.set_at_work(true, talk.now);
    assert_eq!(
        (talk.lifetime(), talk.ended()),
        (Duration::from_secs(120), &EndReason::Silent)
    );
}
