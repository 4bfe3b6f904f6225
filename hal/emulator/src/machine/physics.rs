//! Heat, power, air and volts, each as a step in time.
//!
//! The numbers describe a machine of the S19j Pro's kind: about 3 kW, chips near 75 C with fans at half speed in a
//! 25 C room, a few tens of seconds to overheat without air. They are a plausible machine, not a measured one.

use super::settings::BoardSettings;
use serde::Serialize;

/// Heat that a board's chips and heat sinks store, in joules per kelvin.
const CHIP_CAPACITY: f32 = 1500.0;
/// Heat that a board's copper and laminate store.
const PCB_CAPACITY: f32 = 400.0;
/// Chips to air in watts per kelvin, at full airflow and without any.
const CHIP_TO_AIR: (f32, f32) = (55.0, 1.5);
/// Board to air, at full airflow and without any.
const PCB_TO_AIR: (f32, f32) = (6.0, 0.5);
/// Chips to board.
const CHIP_TO_PCB: f32 = 8.0;
/// Watts that warm the machine's air by one kelvin, at full airflow and without any.
const AIR_FLOW: (f32, f32) = (136.0, 4.0);
/// Share of the dynamic power that clocked chips take without work.
const IDLE_SHARE: f32 = 0.3;
/// Share of a board's nominal power that leaks when cold, and the growth of it per kelvin.
const LEAKAGE: (f32, f32) = (0.03, 0.01);
/// Time in which a fan goes most of the way to its new speed.
const FAN_SECONDS: f32 = 1.5;
/// Duty below which a fan does not turn.
const FAN_LEAST_DUTY: f32 = 0.08;
/// How fast a supply raises its output.
const RAIL_RAMP_MV_PER_S: f32 = 20_000.0;
/// Time constant of its capacitors' discharge, with and without load.
const RAIL_DECAY_SECONDS: (f32, f32) = (1.0, 8.0);
/// Time that a supply stands overload.
const OVERLOAD_SECONDS: f32 = 2.0;

/// What a chain's chips are doing, for the power that it takes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// Sum of the clocks of all chips whose cores run, as a share of a full board at nominal clock.
    pub clocked: f32,
    /// The part of it that has work.
    pub hashing: f32,
}

/// One hash board.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Board {
    /// Chips' junctions.
    pub chip_c: f32,
    /// Board's surface.
    pub pcb_c: f32,
    /// Power taken.
    pub power_w: f32,
    /// Rail at the chips.
    pub rail_mv: f32,
}

impl Board {
    /// A board at the temperature of the room.
    pub fn cold(ambient_c: f32) -> Self {
        Self {
            chip_c: ambient_c,
            pcb_c: ambient_c,
            power_w: 0.0,
            rail_mv: 0.0,
        }
    }

    /// Lives on for `seconds` in air of `air_c`; see [`cooling`].
    pub fn step(
        &mut self,
        seconds: f32,
        nature: &BoardSettings,
        load: Load,
        air_c: f32,
        cooling: f32,
        extra_w: f32,
    ) {
        self.power_w = power(nature, load, self.rail_mv, self.chip_c);
        let to_air = between(CHIP_TO_AIR, cooling) * (self.chip_c - air_c);
        let to_pcb = CHIP_TO_PCB * (self.chip_c - self.pcb_c);
        let pcb_to_air = between(PCB_TO_AIR, cooling) * (self.pcb_c - air_c);
        self.chip_c += (self.power_w + extra_w - to_air - to_pcb) * seconds / CHIP_CAPACITY;
        self.pcb_c += (to_pcb - pcb_to_air) * seconds / PCB_CAPACITY;
    }
}

/// Power of a board: work goes with the square of the rail and with the clock, leakage grows with heat.
pub fn power(nature: &BoardSettings, load: Load, rail_mv: f32, chip_c: f32) -> f32 {
    let volts = rail_mv / nature.nominal_mv as f32;
    let working = load.hashing + IDLE_SHARE * (load.clocked - load.hashing).max(0.0);
    let leakage = LEAKAGE.0 * (1.0 + LEAKAGE.1 * (chip_c - 25.0)).max(0.0);
    nature.nominal_w * volts * volts * ((1.0 - LEAKAGE.0) * working + leakage)
}

/// Rail that chips need at a clock; below it they make mistakes.
pub fn needed_mv(nature: &BoardSettings, mhz: f32) -> f32 {
    nature.nominal_mv as f32 * (0.80 + 0.15 * mhz / nature.nominal_mhz)
}

/// Share of nonces that come out wrong at this rail and clock.
pub fn error_share(nature: &BoardSettings, rail_mv: f32, mhz: f32) -> f64 {
    f64::from(((needed_mv(nature, mhz) - rail_mv) / 1000.0).clamp(0.0, 1.0))
}

/// Temperature of the air that leaves.
pub fn outlet_c(inlet_c: f32, power_w: f32, cooling: f32) -> f32 {
    inlet_c + power_w / between(AIR_FLOW, cooling)
}

/// One fan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Fan {
    /// Speed as it is.
    pub rpm: f32,
    /// Part of a pulse that was not given yet.
    #[serde(skip)]
    pending: f32,
}

impl Fan {
    /// Goes towards what the duty (0 to 1) asks for.
    pub fn step(&mut self, seconds: f32, duty: f32, full_rpm: f32) {
        let target = if duty < FAN_LEAST_DUTY {
            0.0
        } else {
            duty * full_rpm
        };
        self.rpm += (target - self.rpm) * (seconds / FAN_SECONDS).min(1.0);
    }

    /// Pulses that a tachometer gives meanwhile at this speed.
    pub fn pulses(&mut self, seconds: f32, rpm: f32) -> u64 {
        self.pending += rpm / 60.0 * 2.0 * seconds;
        let whole = self.pending.floor();
        self.pending -= whole;
        whole as u64
    }
}

/// The supply's output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Rail {
    /// Volts at the output.
    pub output_mv: f32,
    /// Whether the protection has cut it.
    pub tripped: bool,
    overload_s: f32,
}

impl Rail {
    /// Lives on: towards `target_mv` if allowed, else down as the capacitors empty.
    pub fn step(&mut self, seconds: f32, target_mv: Option<f32>, power_w: f32, rated_w: f32) {
        self.overload_s = if power_w > rated_w {
            self.overload_s + seconds
        } else {
            0.0
        };
        self.tripped |= self.overload_s > OVERLOAD_SECONDS;
        match target_mv.filter(|_| !self.tripped) {
            Some(target) if target >= self.output_mv => {
                self.output_mv = target.min(self.output_mv + RAIL_RAMP_MV_PER_S * seconds);
            }
            target => {
                let constant = if power_w > 10.0 {
                    RAIL_DECAY_SECONDS.0
                } else {
                    RAIL_DECAY_SECONDS.1
                };
                let floor = target.unwrap_or(0.0);
                self.output_mv =
                    floor + (self.output_mv - floor) * (1.0 - (seconds / constant).min(1.0));
            }
        }
    }

    /// The enable line went away, which resets the protection.
    pub fn disabled(&mut self) {
        self.tripped = false;
        self.overload_s = 0.0;
    }
}

/// How much better moving air takes heat away, 0 to 1, at this share of full airflow: with the power 0.8 of it.
pub fn cooling(airflow: f32) -> f32 {
    airflow.clamp(0.0, 1.0).powf(0.8)
}

/// From without air to full airflow.
fn between((full, none): (f32, f32), cooling: f32) -> f32 {
    none + (full - none) * cooling
}

#[cfg(test)]
mod tests {
    use super::*;

    const NATURE: BoardSettings = BoardSettings {
        nominal_mv: 13_200,
        nominal_mhz: 545.0,
        nominal_w: 1000.0,
        brown_out_mv: 9000,
    };
    const FULL: Load = Load {
        clocked: 1.0,
        hashing: 1.0,
    };

    fn settled(load: Load, rail_mv: f32, air_c: f32, airflow: f32) -> Board {
        let mut board = Board {
            rail_mv,
            ..Board::cold(air_c)
        };
        for _ in 0..100_000 {
            board.step(0.02, &NATURE, load, air_c, cooling(airflow), 0.0);
        }
        board
    }

    #[test]
    fn the_nominal_point_gives_the_nominal_power() {
        assert!((power(&NATURE, FULL, 13_200.0, 25.0) - 1000.0).abs() < 1.0);
    }

    #[test]
    fn power_goes_with_the_square_of_the_rail_and_with_the_clock() {
        let at = |share, rail| {
            power(
                &NATURE,
                Load {
                    clocked: share,
                    hashing: share,
                },
                rail,
                25.0,
            )
        };
        assert!((at(1.0, 6_600.0) / at(1.0, 13_200.0) - 0.25).abs() < 0.001);
        assert!((at(0.5, 13_200.0) - 30.0) / (at(1.0, 13_200.0) - 30.0) - 0.5 < 0.001);
        assert!(
            power(
                &NATURE,
                Load {
                    clocked: 1.0,
                    hashing: 0.0
                },
                13_200.0,
                25.0
            ) < 400.0
        );
    }

    #[test]
    fn a_board_settles_where_heat_in_is_heat_out() {
        let before = settled(FULL, 13_200.0, 30.0, 0.5);
        let mut after = before;
        after.step(1.0, &NATURE, FULL, 30.0, cooling(0.5), 0.0);
        assert!((after.chip_c - before.chip_c).abs() < 0.01);
        assert!((55.0..80.0).contains(&before.chip_c), "{before:?}");
        assert!(before.pcb_c < before.chip_c && before.pcb_c > 30.0);
    }

    #[test]
    fn more_air_is_cooler_and_warmer_air_more_volts_more_clock_are_hotter() {
        let base = settled(FULL, 13_200.0, 30.0, 0.5).chip_c;
        assert!(settled(FULL, 13_200.0, 30.0, 0.6).chip_c < base);
        assert!(settled(FULL, 13_200.0, 35.0, 0.5).chip_c > base + 4.9);
        assert!(settled(FULL, 13_500.0, 30.0, 0.5).chip_c > base);
        assert!(
            settled(
                Load {
                    clocked: 1.1,
                    hashing: 1.1
                },
                13_200.0,
                30.0,
                0.5
            )
            .chip_c
                > base
        );
        assert!(settled(Load::default(), 0.0, 30.0, 0.0).chip_c < 30.01);
    }

    #[test]
    fn without_air_a_board_overheats_within_two_minutes() {
        let mut board = settled(FULL, 13_200.0, 30.0, 0.5);
        for _ in 0..120 * 50 {
            board.step(0.02, &NATURE, FULL, 30.0, 0.0, 0.0);
        }
        assert!(board.chip_c > 95.0, "{board:?}");
    }

    #[test]
    fn a_rail_ramps_up_decays_and_trips_on_overload() {
        let mut rail = Rail::default();
        (0..10).for_each(|_| rail.step(0.02, Some(13_200.0), 0.0, 3600.0));
        assert!((3_900.0..4_100.0).contains(&rail.output_mv));
        (0..100).for_each(|_| rail.step(0.02, Some(13_200.0), 3000.0, 3600.0));
        assert!((rail.output_mv - 13_200.0).abs() < 0.5);
        (0..400).for_each(|_| rail.step(0.02, None, 0.0, 3600.0));
        assert!(
            (4_000.0..5_500.0).contains(&rail.output_mv),
            "still charged after 8 s: {}",
            rail.output_mv
        );
        (0..150).for_each(|_| rail.step(0.02, Some(13_200.0), 4000.0, 3600.0));
        assert!(rail.tripped);
        rail.disabled();
        assert!(!rail.tripped);
    }

    #[test]
    fn a_fan_follows_its_duty_and_gives_two_pulses_a_turn() {
        let mut fan = Fan::default();
        let mut pulses = 0;
        for _ in 0..1000 {
            fan.step(0.02, 0.5, 6000.0);
            pulses += fan.pulses(0.02, 3000.0);
        }
        assert!((fan.rpm - 3000.0).abs() < 1.0);
        assert!((1998..=2000).contains(&pulses), "{pulses}");
        fan.step(100.0, 0.05, 6000.0);
        assert!(fan.rpm.abs() < 0.5);
    }

    #[test]
    fn too_little_rail_for_the_clock_makes_errors() {
        assert!(error_share(&NATURE, 13_200.0, 545.0) <= 0.0);
        assert!(error_share(&NATURE, 12_000.0, 700.0) > 0.3);
    }
}
