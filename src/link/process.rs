//! What this process takes from the machine, as the kernel tells it in `/proc`.

use serde::{Deserialize, Serialize};
use std::fs;
use std::time::Duration;

/// Ticks per second of the times in `/proc/self/stat`: fixed by the kernel's interface on every Linux architecture
/// this program runs on (`USER_HZ`).
const TICKS_PER_SECOND: u64 = 100;

/// Resources of the process. What `/proc` does not tell is null.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Resident memory in bytes.
    pub resident_bytes: Option<u64>,
    /// Most that the resident memory has been.
    pub resident_peak_bytes: Option<u64>,
    /// Processor time since the start, in seconds.
    pub cpu_seconds: Option<f64>,
    /// Share of one processor since the start, in per cent.
    pub cpu_percent: Option<f64>,
    /// Open file descriptors.
    pub open_files: Option<u64>,
    /// How many it may have.
    pub open_files_limit: Option<u64>,
    /// Threads.
    pub threads: Option<u64>,
}

/// Reads [`Process`].
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessReader;

impl ProcessReader {
    /// Asks the kernel. `uptime` is the process's own, for `cpu_percent`.
    pub fn read(self, uptime: Duration) -> Process {
        let text =
            |name: &str| fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
        let files = fs::read_dir("/proc/self/fd")
            .ok()
            .map(|entries| entries.count() as u64);
        // The directory that is being read is one of them.
        let files = files.map(|count| count.saturating_sub(1));
        parse(
            &text("status"),
            &text("stat"),
            &text("limits"),
            files,
            uptime,
        )
    }
}

fn parse(status: &str, stat: &str, limits: &str, files: Option<u64>, uptime: Duration) -> Process {
    let cpu_seconds = cpu_ticks(stat).map(|ticks| ticks as f64 / TICKS_PER_SECOND as f64);
    let share = |seconds: f64| (!uptime.is_zero()).then(|| 100.0 * seconds / uptime.as_secs_f64());
    let kibibytes = |name| status_number(status, name).map(|number| number * 1024);
    Process {
        pid: std::process::id(),
        resident_bytes: kibibytes("VmRSS"),
        resident_peak_bytes: kibibytes("VmHWM"),
        cpu_seconds,
        cpu_percent: cpu_seconds.and_then(share),
        open_files: files,
        open_files_limit: limits
            .lines()
            .find_map(|line| line.strip_prefix("Max open files"))
            .and_then(|rest| rest.split_whitespace().next()?.parse().ok()),
        threads: status_number(status, "Threads"),
    }
}

fn status_number(status: &str, name: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

/// User and system time. The name in front of them may hold spaces and brackets, so the count starts behind its last.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    user.checked_add(system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_texts_become_numbers() {
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\nThreads:\t7\n";
        let stat = "12 (a) b) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 7";
        let limits =
            "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024   4096  files\n";
        let process = parse(status, stat, limits, Some(9), Duration::from_secs(30));
        assert_eq!(process.resident_bytes, Some(1024 * 1024));
        assert_eq!(process.resident_peak_bytes, Some(2048 * 1024));
        assert_eq!(process.cpu_seconds, Some(3.0));
        assert_eq!(process.cpu_percent, Some(10.0));
        assert_eq!(
            (process.open_files, process.open_files_limit),
            (Some(9), Some(1024))
        );
        assert_eq!(process.threads, Some(7));
    }

    #[test]
    fn what_the_kernel_does_not_tell_is_unknown() {
        let process = parse("", "nonsense", "", None, Duration::ZERO);
        assert_eq!(
            process,
            Process {
                pid: std::process::id(),
                ..Process::default()
            }
        );
    }

    #[test]
    fn this_process_has_memory_files_and_threads() {
        let process = ProcessReader.read(Duration::from_secs(1));
        assert!(process.resident_bytes.unwrap() > 100_000);
        assert!(process.open_files.unwrap() >= 3);
        assert!(process.threads.unwrap() >= 1);
    }
}
