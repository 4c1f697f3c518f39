//! The figures as a Markdown table, and what they were measured on.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// One figure of ours beside one of a peer.
#[derive(Debug)]
pub struct Row {
    pub figure: String,
    pub ours: String,
    pub peer: String,
    /// Ours in relation to the peer's.
    pub relation: String,
    /// What it must hold, and whether it does.
    pub limit: Option<(String, bool)>,
}

impl Row {
    pub fn broken(&self) -> bool {
        self.limit.as_ref().is_some_and(|(_, holds)| !holds)
    }
}

pub fn markdown(rows: &[Row]) -> String {
    let mut text =
        "| figure | ours | peer | ratio | limit | holds |\n| --- | --- | --- | --- | --- | --- |\n"
            .to_owned();
    for row in rows {
        let (limit, holds) = match &row.limit {
            Some((limit, true)) => (limit.as_str(), "yes"),
            Some((limit, false)) => (limit.as_str(), "**no**"),
            None => ("none", ""),
        };
        let cells = [&row.figure, &row.ours, &row.peer, &row.relation, limit, holds];
        let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text
}

pub fn milliseconds(time: Duration) -> String {
    let milliseconds = time.as_secs_f64() * 1000.0;
    let decimals = if milliseconds < 100.0 { 2 } else { 0 };
    format!("{milliseconds:.decimals$} ms")
}

pub fn times(ratio: f64) -> String {
    format!("{ratio:.2}")
}

/// The machine, in one sentence.
pub fn machine() -> String {
    let cpu = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "an unknown CPU".to_owned());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = field("/proc/meminfo", "MemTotal").unwrap_or_default();
    let memory = memory.split(' ').next().and_then(|number| number.parse::<u64>().ok()).unwrap_or(0);
    let system = field("/etc/os-release", "PRETTY_NAME").unwrap_or_else(|| "Linux".to_owned());
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{cores} × {cpu}, {} GiB, {}, Linux {}",
        memory.div_ceil(1 << 20),
        system.trim_matches('"'),
        kernel.trim()
    )
}

/// The value of the first line that begins with the name.
fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let values = text.lines().filter_map(|line| {
        let (found, value) = line.split_once([':', '='])?;
        (found.trim() == name).then(|| value.trim().to_owned())
    });
    values.into_iter().next()
}

/// How this process stands to the others, where it does not stand as they do. With autogroups, each session competes as
/// one, and what `nice` says counts only inside (`man 7 sched`).
pub fn priority() -> Option<String> {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name in brackets comes field 3; `nice` is 19.
    let own = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(16)).unwrap_or("0");
    let group = fs::read_to_string("/proc/self/autogroup").unwrap_or_default();
    let group = group.rsplit(' ').next().map_or("0", str::trim);
    let said = [("nice", own), ("its session's autogroup nice", group)];
    let said: Vec<String> = said
        .iter()
        .filter(|(_, value)| !matches!(*value, "0" | ""))
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    (!said.is_empty()).then(|| format!(" The bench ran at {}.", said.join(" and ")))
}

/// The first line that a command prints, without its warnings; `None` where it cannot be started or fails.
pub fn says(program: impl AsRef<std::ffi::OsStr>, args: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    let output = command.args(args).current_dir(crate::root()).stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    output.status.success().then(|| text.lines().next().unwrap_or_default().trim().to_owned())
}

/// What the whole machine has done since it started, in ticks (`man 5 proc`, `/proc/stat`).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Ticks {
    all: u64,
    idle: u64,
    /// User time of processes that have been made nice.
    nice: u64,
    /// Taken by other machines on the same host.
    stolen: u64,
}

impl Ticks {
    pub fn now() -> Ticks {
        let text = fs::read_to_string(Path::new("/proc/stat")).unwrap_or_default();
        Ticks::parse(text.lines().next().unwrap_or_default())
    }

    fn parse(line: &str) -> Ticks {
        let numbers: Vec<u64> =
            line.split_whitespace().skip(1).filter_map(|word| word.parse().ok()).collect();
        let at = |at: usize| numbers.get(at).copied().unwrap_or(0);
        // Guests' time, behind these eight, is in the first two already.
        Ticks { all: (0..8).map(at).sum(), idle: at(3) + at(4), nice: at(1), stolen: at(7) }
    }

    /// What else went on since `before`, in one sentence.
    pub fn since(self, before: Ticks) -> String {
        let percent = |part: u64, of: u64| {
            100.0 * part.saturating_sub(of) as f64 / (self.all - before.all).max(1) as f64
        };
        format!(
            "While this ran, {:.0} % of the machine's CPU time was idle, {:.0} % went to nice processes, \
             {:.0} % to other machines on its host.",
            percent(self.idle, before.idle),
            percent(self.nice, before.nice),
            percent(self.stolen, before.stolen),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_is_not_held_stands_out() {
        let row = |limit| Row {
            figure: "a|b".into(),
            ours: "1".into(),
            peer: "2".into(),
            relation: "0.50".into(),
            limit,
        };
        let rows = [row(Some(("≤ 1".into(), true))), row(Some(("≤ 0.1".into(), false))), row(None)];
        assert_eq!(rows.iter().map(Row::broken).collect::<Vec<_>>(), [false, true, false]);
        let text = markdown(&rows);
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "| a\\|b | 1 | 2 | 0.50 | ≤ 1 | yes |",
                "| a\\|b | 1 | 2 | 0.50 | ≤ 0.1 | **no** |",
                "| a\\|b | 1 | 2 | 0.50 | none |  |",
            ]
        );
    }

    #[test]
    fn what_else_went_on() {
        let before = Ticks::parse("cpu  100 50 10 1000 5 0 0 0 0 0");
        let after = Ticks::parse("cpu  120 100 20 1010 5 0 0 10 7 7");
        assert_eq!(after.all - before.all, 100);
        let text = after.since(before);
        assert!(text.contains("10 % of the machine's CPU time was idle, 50 % went"), "{text}");
        assert!(text.contains("10 % to other machines"), "{text}");
    }

    #[test]
    fn durations_are_readable() {
        assert_eq!(milliseconds(Duration::from_micros(3456)), "3.46 ms");
        assert_eq!(milliseconds(Duration::from_micros(3_456_700)), "3457 ms");
    }
}
