//! The rules that a board file must keep. All broken ones are reported at once.

mod cooling;
mod limits;
mod wiring;

use super::{BoardFile, SCHEMA};
use cgminer_hal::gpio::LineId;
use std::collections::HashSet;
use std::fmt;
use std::ops::RangeInclusive;

/// 7-bit addresses that are not reserved by the I2C specification.
const ADDRESSES: RangeInclusive<u8> = 0x08..=0x77;

/// One value that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Field, as `chains[1].uart.device`.
    pub path: String,
    /// What it says.
    pub value: String,
    /// What it must be.
    pub limit: String,
    /// What to do, or why the rule is there.
    pub hint: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            value,
            limit,
            hint,
        } = self;
        write!(formatter, "{path} is {value}, must be {limit}: {hint}")
    }
}

impl BoardFile {
    /// Every rule that the file breaks; empty for a good one.
    pub(in crate::file) fn check(&self) -> Vec<Finding> {
        let mut checker = Checker::default();
        checker.identity(self);
        checker.layout(self);
        checker.buses(self);
        checker.chains(self);
        checker.sensors(self);
        checker.fans(self);
        checker.supply(self);
        checker.adc(self);
        checker.lights_and_buttons(self);
        checker.thermal(self);
        checker.power(self);
        checker.findings
    }
}

#[derive(Default)]
struct Checker {
    findings: Vec<Finding>,
    lines: HashSet<LineId>,
    addresses: HashSet<(String, u8)>,
    names: HashSet<String>,
}

impl Checker {
    /// Notes a broken rule unless it is kept.
    fn rule(
        &mut self,
        kept: bool,
        path: impl Into<String>,
        value: impl fmt::Display,
        limit: impl fmt::Display,
        hint: &'static str,
    ) {
        if !kept {
            let (value, limit) = (value.to_string(), limit.to_string());
            self.findings.push(Finding {
                path: path.into(),
                value,
                limit,
                hint,
            });
        }
    }

    /// Notes a number outside a range. What is not a number is outside every range.
    fn within<T: PartialOrd + fmt::Display>(
        &mut self,
        path: impl Into<String>,
        value: T,
        range: RangeInclusive<T>,
        hint: &'static str,
    ) {
        let limit = format!("{} to {}", range.start(), range.end());
        self.rule(range.contains(&value), path, value, limit, hint);
    }

    fn identity(&mut self, file: &BoardFile) {
        self.rule(
            file.schema == SCHEMA,
            "schema",
            file.schema,
            SCHEMA,
            "this program reads one format; see docs/boards.md for what changed",
        );
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        self.rule(
            !file.name.is_empty() && file.name.bytes().all(plain),
            "name",
            format_args!("{:?}", file.name),
            "lower-case letters, digits and dashes",
            "the name is used in config and file names",
        );
    }

    fn buses(&mut self, file: &BoardFile) {
        let mut seen = HashSet::new();
        for (index, bus) in file.i2c.iter().enumerate() {
            let path = format!("i2c[{index}]");
            self.rule(
                seen.insert(&bus.bus),
                format!("{path}.bus"),
                &bus.bus,
                "named once",
                "a bus has one owner and one deny list",
            );
            self.rule(
                is_device(&bus.bus),
                format!("{path}.bus"),
                format_args!("{:?}", bus.bus),
                "the name of a device file without its directory",
                "write i2c-0 for /dev/i2c-0",
            );
            for (nth, address) in bus.deny_writes.iter().enumerate() {
                self.address_range(&format!("{path}.deny_writes[{nth}]"), *address);
            }
        }
    }

    /// A part that no other may share an address with.
    fn part(&mut self, file: &BoardFile, path: &str, bus: &str, address: u8) {
        self.shared_part(file, path, bus, address);
        let fresh = self.addresses.insert((bus.to_owned(), address));
        self.rule(
            fresh,
            format!("{path}.address"),
            format_args!("{address:#04x} on {bus}"),
            "taken by one part",
            "two parts at one address answer at once",
        );
    }

    fn shared_part(&mut self, file: &BoardFile, path: &str, bus: &str, address: u8) {
        self.address_range(&format!("{path}.address"), address);
        self.rule(
            file.bus(bus).is_some(),
            format!("{path}.bus"),
            format_args!("{bus:?}"),
            "a bus of the [[i2c]] list",
            "add the bus, with its deny list",
        );
    }

    /// A part that is no use unless it can be written to.
    fn written(&mut self, file: &BoardFile, path: &str, bus: &str, address: u8) {
        let denied = file
            .bus(bus)
            .is_some_and(|bus| bus.deny_writes.contains(&address));
        self.rule(
            !denied,
            format!("{path}.address"),
            format_args!("{address:#04x}"),
            format_args!("not in deny_writes of bus {bus}"),
            "this part is driven by writing to it",
        );
    }

    fn address_range(&mut self, path: &str, address: u8) {
        self.rule(
            ADDRESSES.contains(&address),
            path,
            format_args!("{address:#04x}"),
            "0x08 to 0x77",
            "I2C keeps the other addresses for itself; give the 7-bit address, not shifted",
        );
    }

    fn line(&mut self, path: &str, line: &LineId) {
        let fresh = self.lines.insert(line.clone());
        self.rule(fresh, path, line, "used once", "a line has one meaning");
    }

    fn name(&mut self, path: &str, name: &str) {
        let fresh = !name.is_empty() && self.names.insert(name.to_owned());
        self.rule(
            fresh,
            path,
            format_args!("{name:?}"),
            "not empty and unique",
            "messages tell parts apart by it",
        );
    }

    fn chain_index(&mut self, file: &BoardFile, path: &str, chain: Option<u8>) {
        if let Some(chain) = chain {
            self.rule(
                usize::from(chain) < file.chains.len(),
                path,
                chain,
                format_args!("below the number of chains, {}", file.chains.len()),
                "chains are counted from 0",
            );
        }
    }
}

fn is_device(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}
