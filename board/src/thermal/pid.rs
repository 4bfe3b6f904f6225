//! The controller that keeps the target temperature with the least air.

use cgminer_hal::units::DutyPercent;

/// Duty per kelvin above target.
const PROPORTIONAL: f32 = 3.0;
/// Duty per kelvin above target and second.
const INTEGRAL: f32 = 0.06;
/// Duty per kelvin a second of rise.
const DERIVATIVE: f32 = 8.0;
/// The duty rises by no more than this in a second ...
const RISE: f32 = 12.0;
/// ... and falls by no more than this, so that the fans do not surge.
const FALL: f32 = 3.0;
/// Longest step that the controller integrates over; a longer one says that it did not run.
const LONGEST_STEP: f32 = 2.0;

/// A PID controller whose output is a duty. Knows no limits but its own range; tiers stand above it.
#[derive(Clone, Copy, Debug)]
pub struct Pid {
    integral: f32,
    last_error: Option<f32>,
    duty: f32,
}

impl Pid {
    /// A controller that goes on from the duty that the fans have.
    #[must_use]
    pub fn from_duty(duty: DutyPercent) -> Self {
        let duty = duty.bounded().0;
        Self {
            integral: duty,
            last_error: None,
            duty,
        }
    }

    /// The duty for an error (kelvin above target) after a step of seconds, between `minimum` and full.
    pub fn step(&mut self, error: f32, seconds: f32, minimum: DutyPercent) -> DutyPercent {
        if !error.is_finite() || !seconds.is_finite() {
            // Nothing can be said of an error that is no number; full is the safe side.
            self.duty = 100.0;
            return DutyPercent::FULL;
        }
        let minimum = minimum.bounded().0;
        let seconds = seconds.clamp(0.0, LONGEST_STEP);
        let slope = self
            .last_error
            .map_or(0.0, |last| (error - last) / seconds.max(0.1));
        self.last_error = Some(error);
        let rest = PROPORTIONAL * error + DERIVATIVE * slope.clamp(-1.0, 1.0);
        // Anti-windup: the integral never asks for more than, with the rest, lies in range.
        let integral = self.integral + INTEGRAL * error * seconds;
        let (low, high) = ((minimum - rest).min(minimum), (100.0 - rest).max(minimum));
        self.integral = integral.clamp(low.max(-100.0), high.min(200.0));
        let wanted = (self.integral + rest).clamp(minimum, 100.0);
        self.duty = wanted
            .clamp(self.duty - FALL * seconds, self.duty + RISE * seconds)
            .clamp(minimum, 100.0);
        DutyPercent(self.duty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MINIMUM: DutyPercent = DutyPercent(15.0);

    /// A board that the fans cool, as first order: temperature after a time, and the duties on the way.
    fn regulate(pid: &mut Pid, start: f32, heat: f32, seconds: u32) -> (f32, Vec<f32>) {
        let mut temperature = start;
        let mut duties = Vec::new();
        for _ in 0..seconds {
            let duty = pid.step(temperature - 70.0, 1.0, MINIMUM).0;
            duties.push(duty);
            let settles_at = 25.0 + heat / (0.3 + duty / 40.0);
            temperature += (settles_at - temperature) / 60.0;
        }
        (temperature, duties)
    }

    #[test]
    fn it_settles_at_the_target_without_oscillation() {
        let mut pid = Pid::from_duty(MINIMUM);
        let (temperature, duties) = regulate(&mut pid, 30.0, 75.0, 3_000);
        assert!((temperature - 70.0).abs() < 0.5, "{temperature}");
        let (least, most) = duties[2_500..]
            .iter()
            .fold((f32::MAX, f32::MIN), |(least, most), duty| {
                (least.min(*duty), most.max(*duty))
            });
        assert!(most - least < 1.0, "{least}..{most}");
    }

    #[test]
    fn a_long_time_at_the_stop_does_not_wind_it_up() {
        let mut pid = Pid::from_duty(MINIMUM);
        for _ in 0..5_000 {
            assert!(pid.step(30.0, 1.0, MINIMUM).0 <= 100.0);
        }
        let falling = (0..200).position(|_| pid.step(-3.0, 1.0, MINIMUM).0 < 60.0);
        assert!(falling.is_some_and(|seconds| seconds < 60), "{falling:?}");
        for _ in 0..5_000 {
            pid.step(-30.0, 1.0, MINIMUM);
        }
        let rising = (0..200).position(|_| pid.step(8.0, 1.0, MINIMUM).0 > 40.0);
        assert!(rising.is_some_and(|seconds| seconds < 60), "{rising:?}");
    }

    #[test]
    fn the_duty_moves_no_faster_than_the_slew_limits() {
        let mut pid = Pid::from_duty(DutyPercent(50.0));
        assert_eq!(pid.step(60.0, 1.0, MINIMUM), DutyPercent(50.0 + RISE));
        assert_eq!(
            pid.step(-60.0, 1.0, MINIMUM),
            DutyPercent(50.0 + RISE - FALL)
        );
    }

    #[test]
    fn an_error_that_is_no_number_means_full() {
        assert_eq!(
            Pid::from_duty(MINIMUM).step(f32::NAN, 1.0, MINIMUM),
            DutyPercent::FULL
        );
    }

    proptest! {
        #[test]
        fn the_duty_is_always_in_range(
            steps in prop::collection::vec((any::<f32>(), any::<f32>()), 1..100),
            minimum in 0f32..100.0,
        ) {
            let mut pid = Pid::from_duty(DutyPercent(minimum));
            for (error, seconds) in steps {
                let duty = pid.step(error, seconds, DutyPercent(minimum)).0;
                prop_assert!((minimum..=100.0).contains(&duty), "{duty}");
            }
        }
    }
}
