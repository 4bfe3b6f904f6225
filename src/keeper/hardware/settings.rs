//! What the guard has to know of a machine: the board file, narrowed by what the owner chose.

use crate::keeper::cooling::{CoolingRoom, TargetRoom};
use crate::keeper::guard::{LastKeeper, Settings};
use cgminer_board::file::{BoardFile, Role, SensorSpec, SupplySpec, Tiers as FileTiers};
use cgminer_board::limits;
use cgminer_board::power::VoltageLimits;
use cgminer_board::thermal::{self, FanMode, FanRules, Place, Point, Tiers};
use cgminer_hal::units::{Celsius, DutyPercent, Millivolts};

/// Least distance of a chosen target from the hot limit.
const BELOW_HOT: f32 = 5.0;

/// What the owner may choose. Nothing of it widens a limit of the board.
#[derive(Clone, Debug, PartialEq)]
pub struct Choices {
    /// Who sets the fans at first.
    pub fan_mode: FanMode,
    /// What the fans aim at on the hottest kind of reading that the board has.
    pub target: Option<Celsius>,
    /// Fans that must turn; the board's own number stands below it.
    pub fans_required: Option<u8>,
    /// What the rail is set to, if the board allows it.
    pub voltage: Option<Millivolts>,
}

impl Default for Choices {
    fn default() -> Self {
        Self {
            fan_mode: FanMode::Auto,
            target: None,
            fans_required: None,
            voltage: None,
        }
    }
}

pub(super) fn guard(board: &BoardFile, supply: Option<&SupplySpec>, choices: &Choices) -> Settings {
    let range = board.layout.voltage;
    let voltage = VoltageLimits {
        minimum: Millivolts(range.min_mv.0.max(limits::RAIL_MIN.0)),
        maximum: Millivolts(range.max_mv.0.min(limits::RAIL_MAX.0)),
    };
    let wanted = choices.voltage.filter(|wanted| voltage.allow(*wanted));
    Settings {
        board: board.name.clone(),
        emulated: false,
        unknown: None,
        broken: None,
        absent: Vec::new(),
        hash_boards: Vec::new(),
        thermal: thermal(board, choices),
        cooling: cooling(board, choices),
        supply: supply.map_or_else(
            || "none".to_owned(),
            |supply| format!("{:?}", supply.part).to_lowercase(),
        ),
        has_enable_line: supply.is_some_and(|supply| supply.enable.is_some()),
        controllers: board
            .chains
            .iter()
            .map(|chain| chain.voltage_controller.is_some())
            .collect(),
        voltage,
        default_voltage: wanted.unwrap_or(range.default_mv),
        power_limit: board.power.limit_w,
        fan_mode: fan_mode(board, choices),
        analog: super::inputs::analog(board),
        watchdog_has_reset: false,
        last_end: LastKeeper::default(),
        loops: Vec::new(),
    }
}

fn thermal(board: &BoardFile, choices: &Choices) -> thermal::Settings {
    let fans: Vec<_> = board
        .fans
        .iter()
        .map(|fan| {
            let rules = FanRules {
                full: fan.full_rpm,
                stall: fan.stall_rpm,
            };
            (fan.name.clone(), rules)
        })
        .collect();
    let chosen = choices.fans_required.unwrap_or(0).min(fans.len() as u8);
    thermal::Settings {
        points: board
            .sensors
            .iter()
            .flat_map(|sensor| points(board, sensor, choices))
            .collect(),
        fans_required: board.thermal.fans_required.max(chosen),
        fans,
        chains: board.chains.len() as u8,
        unseen_rise: board.thermal.unseen_rise_c_per_s,
        resume_below: board.thermal.resume_below_c,
        duty_minimum: board.thermal.fan_duty_min,
    }
}

/// What the board leaves to choose: found by choosing far too low and far too high.
fn cooling(board: &BoardFile, choices: &Choices) -> CoolingRoom {
    let with = |target| {
        let choices = Choices {
            target,
            ..Choices::default()
        };
        thermal(board, &choices)
    };
    let (usual, lowest, highest) = (
        with(None),
        with(Some(Celsius(f32::MIN))),
        with(Some(Celsius(f32::MAX))),
    );
    let bounds = lowest.points.iter().zip(&highest.points);
    let targets = usual.points.iter().zip(bounds).enumerate();
    CoolingRoom {
        fans_least: usual.fans_required,
        fans_owner: choices
            .fans_required
            .unwrap_or(0)
            .min(usual.fans.len() as u8),
        targets: targets
            .map(|(point, (usual, (lowest, highest)))| TargetRoom {
                point,
                usual: usual.tiers.target,
                lowest: lowest.tiers.target,
                highest: highest.tiers.target,
            })
            .filter(|room| room.lowest != room.highest)
            .collect(),
    }
}

/// The part's own temperature, then those of its diodes.
fn points(board: &BoardFile, sensor: &SensorSpec, choices: &Choices) -> Vec<Point> {
    let own = std::iter::once((sensor.name.clone(), sensor.role));
    let diodes = (1..)
        .zip(&sensor.remotes)
        .map(|(number, role)| (format!("{} diode {number}", sensor.name), *role));
    own.chain(diodes)
        .map(|(name, role)| Point {
            name,
            place: match (role, sensor.chain) {
                (Role::Chip | Role::Pcb, Some(chain)) => Place::Chain(chain),
                _ => Place::Machine,
            },
            tiers: tiers(board, role, choices),
        })
        .collect()
}

fn tiers(board: &BoardFile, role: Role, choices: &Choices) -> Tiers {
    // A checked board file has limits for every role that it names. Without, nothing may get warm.
    let nothing = FileTiers {
        target_c: limits::LOWEST_LIMIT,
        hot_c: limits::LOWEST_LIMIT,
        dangerous_c: limits::LOWEST_LIMIT,
    };
    let FileTiers {
        target_c,
        hot_c,
        dangerous_c,
    } = board.tiers(role).unwrap_or(nothing);
    let has_chips = board
        .sensors
        .iter()
        .any(|sensor| sensor.role == Role::Chip || sensor.remotes.contains(&Role::Chip));
    let hottest_kind = if has_chips { Role::Chip } else { Role::Pcb };
    let highest = (hot_c.0 - BELOW_HOT)
        .min(limits::TARGET_MAX.0)
        .max(target_c.0);
    let chosen = choices
        .target
        .filter(|_| role == hottest_kind)
        .map(|target| target.0.clamp(limits::LOWEST_LIMIT.0, highest));
    Tiers {
        target: chosen.map_or(target_c, Celsius),
        hot: hot_c,
        dangerous: dangerous_c,
    }
}

fn fan_mode(board: &BoardFile, choices: &Choices) -> FanMode {
    match choices.fan_mode {
        FanMode::Fixed { duty } => {
            let least = board.thermal.fan_duty_min;
            FanMode::Fixed {
                duty: DutyPercent(duty.bounded().0.max(least.0)),
            }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keeper::guard::Guard;
    use crate::keeper::requests::Asker;
    use crate::link::Request;
    use cgminer_board::file::Catalog;
    use cgminer_board::moment::Moment;

    fn settings_of(name: &str, choices: &Choices) -> Settings {
        let catalog = Catalog::load(None).unwrap();
        let board = catalog.get(name).unwrap();
        guard(board, board.supply.as_ref(), choices)
    }

    #[test]
    fn what_the_owner_chooses_never_widens_a_limit() {
        let board = settings_of("l7", &Choices::default());
        let greedy = settings_of(
            "l7",
            &Choices {
                fan_mode: FanMode::Fixed {
                    duty: DutyPercent(1.0),
                },
                target: Some(Celsius(500.0)),
                fans_required: Some(0),
                voltage: Some(Millivolts(21_000)),
            },
        );
        assert_eq!(greedy.thermal.fans_required, board.thermal.fans_required);
        assert_eq!(greedy.default_voltage, board.default_voltage);
        assert_eq!(
            greedy.fan_mode,
            FanMode::Fixed {
                duty: board.thermal.duty_minimum
            }
        );
        for (greedy, board) in greedy.thermal.points.iter().zip(&board.thermal.points) {
            assert_eq!(greedy.tiers.hot, board.tiers.hot);
            assert_eq!(greedy.tiers.dangerous, board.tiers.dangerous);
            assert!(greedy.tiers.target.0 < greedy.tiers.hot.0);
        }
    }

    #[test]
    fn what_the_owner_chooses_within_the_limits_holds() {
        let chosen = settings_of(
            "l7",
            &Choices {
                target: Some(Celsius(50.0)),
                fans_required: Some(4),
                voltage: Some(Millivolts(12_500)),
                ..Choices::default()
            },
        );
        assert_eq!(chosen.thermal.fans_required, 4);
        assert_eq!(chosen.default_voltage, Millivolts(12_500));
        assert!(
            chosen
                .thermal
                .points
                .iter()
                .all(|point| point.tiers.target == Celsius(50.0))
        );
    }

    #[test]
    fn the_cooling_of_a_running_machine_stays_within_the_board_file() {
        let mut guard = Guard::new(
            settings_of("l7", &Choices::default()),
            None,
            Moment::default(),
        );
        let ask = |guard: &mut Guard, target: Option<f32>, minimum_fans| {
            let target = target.map(Celsius);
            let request = Request::SetCooling {
                target,
                minimum_fans,
            };
            guard.request(Asker::Miner, request, Moment::default())
        };
        let before = guard.settings.thermal.clone();
        for (target, fans) in [
            (Some(500.0), None),
            (Some(-10.0), None),
            (Some(f32::NAN), None),
            (None, Some(200)),
        ] {
            assert!(
                ask(&mut guard, target, fans).is_err(),
                "{target:?} {fans:?}"
            );
            assert_eq!(guard.settings.thermal, before);
        }
        assert_eq!(ask(&mut guard, Some(50.0), Some(4)), Ok(()));
        let chosen = settings_of(
            "l7",
            &Choices {
                target: Some(Celsius(50.0)),
                fans_required: Some(4),
                ..Choices::default()
            },
        );
        assert_eq!(guard.settings.thermal, chosen.thermal);
        assert_eq!(*guard.thermal.settings(), chosen.thermal);
        assert_eq!(ask(&mut guard, None, Some(0)), Ok(()));
        assert_eq!(guard.settings.thermal, before);
        // A miner that was taken over cannot go below what the owner's own file says.
        guard.owner_counts_on(Some(4));
        for fewer in [None, Some(3)] {
            let refused = ask(&mut guard, None, fewer).unwrap_err();
            assert!(
                refused.to_string().contains("the owner's configuration"),
                "{refused}"
            );
        }
        assert_eq!(ask(&mut guard, None, Some(4)), Ok(()));
        assert_eq!(guard.settings.thermal.fans_required, 4);
        // An owner who counts on more fans than there are does not lock the machine.
        guard.owner_counts_on(Some(200));
        assert_eq!(ask(&mut guard, None, Some(4)), Ok(()));
        guard.owner_counts_on(None);
        assert_eq!(ask(&mut guard, None, None), Ok(()));
        assert_eq!(guard.settings.thermal, before);
    }

    #[test]
    fn no_board_file_lets_a_target_above_the_constant_be_chosen() {
        for board in Catalog::load(None).unwrap().iter() {
            let settings = guard(board, board.supply.as_ref(), &Choices::default());
            assert!(!settings.cooling.targets.is_empty(), "{}", board.name);
            for room in &settings.cooling.targets {
                let point = &settings.thermal.points[room.point];
                assert!(
                    room.highest <= Celsius(limits::TARGET_MAX.0.max(room.usual.0)),
                    "{}",
                    board.name
                );
                assert!(room.highest < point.tiers.hot, "{}", board.name);
                assert!(room.lowest >= limits::LOWEST_LIMIT, "{}", board.name);
            }
        }
    }

    #[test]
    fn every_board_file_gives_each_chain_a_temperature_and_limits() {
        for board in Catalog::load(None).unwrap().iter() {
            let settings = guard(board, board.supply.as_ref(), &Choices::default());
            for chain in 0..settings.thermal.chains {
                let watched = |point: &&Point| point.place == Place::Chain(chain);
                assert!(
                    settings.thermal.points.iter().any(|point| watched(&point)),
                    "{}",
                    board.name
                );
            }
            for point in &settings.thermal.points {
                let Tiers {
                    target,
                    hot,
                    dangerous,
                } = point.tiers;
                assert!(
                    target < hot && hot < dangerous,
                    "{} {}",
                    board.name,
                    point.name
                );
            }
        }
    }
}
