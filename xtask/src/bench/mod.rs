//! The speed figures, each beside a peer's of the same run: `docs/bench.md`.
//!
//! What counts is the relation. Other work on the machine slows both sides, which take turns.

pub mod files;
pub mod inputs;
mod measure;
mod platforms;
mod project;
mod table;
mod why;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};

use self::inputs::{FILES_BREAK, FILES_HOSTS, FILES_KEEP, LARGE_BREAKS, LARGE_HOST, LARGE_KEEPS};
use self::measure::{Call, Runs, alternate, ratio};
use self::table::{Row, Ticks, milliseconds, times};
use crate::{Usage, process, released};

const RUNS: usize = 50;
const QUICK_RUNS: usize = 5;
/// Memory hardly changes from run to run.
const PEAK_RUNS: usize = 5;

const FILES: usize = 1000;
/// Rounds of what takes seconds; a thousand readelf runs are one.
const LONG_RUNS: usize = 10;

const READELF: [&str; 2] = ["-dVW", "--dyn-syms"];

/// Limits, from the design.
const LARGE_CPU: f64 = 1.0;
const LARGE_PEAK: f64 = 2.0;
const FILES_CPU: f64 = 1.0 / 3.0;
/// Of two. Findings are put together and printed by one thread.
const FILES_CORES: f64 = 1.5;
const ARCHIVE_CPU: f64 = 1.0;
const WORKSPACE_WALL: f64 = 1.15;
const HELLO_MORE_MS: f64 = 10.0;

pub fn task(arguments: &[String]) -> anyhow::Result<()> {
    let options = Options::parse(arguments)?;
    let bench = Bench::new(options.quick)?;
    let before = Ticks::now();
    let mut rows = Vec::new();
    let mut failed = Vec::new();
    for (what, figure) in [
        ("one large shared object", Bench::large as fn(&Bench) -> anyhow::Result<Vec<Row>>),
        ("many files", Bench::many),
        ("many files, on platforms", Bench::platforms),
        ("a static library", Bench::archive),
        ("a large workspace", Bench::workspace),
        ("a small package", Bench::hello),
        ("why", Bench::why),
    ] {
        eprintln!("measuring: {what}");
        // What was measured is not lost for one figure that could not be.
        match figure(&bench) {
            Ok(own) => rows.extend(own),
            Err(error) => failed.push(error.context(format!("cannot measure {what}"))),
        }
    }
    let page = bench.page(&rows, &Ticks::now().since(before));
    print!("{page}");
    if let Some(error) = failed.into_iter().next() {
        return Err(error);
    }
    if options.write {
        let path = crate::root().join("docs/bench.md");
        fs::write(&path, page).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let broken = rows.iter().filter(|row| row.broken()).count();
    ensure!(broken == 0 || options.quick, "{broken} of the limits are not held");
    Ok(())
}

#[derive(Debug, PartialEq)]
struct Options {
    quick: bool,
    write: bool,
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Options, Usage> {
        let mut options = Options { quick: false, write: false };
        for argument in arguments {
            match argument.as_str() {
                "--quick" => options.quick = true,
                "--write" => options.write = true,
                other => return Err(Usage(format!("`bench` takes --quick and --write, not `{other}`"))),
            }
        }
        if options.quick && options.write {
            return Err(Usage(
                "the table that is kept is not of a quick run: `--quick` or `--write`".to_owned(),
            ));
        }
        Ok(options)
    }
}

struct Bench {
    runs: usize,
    peak_runs: usize,
    quick: bool,
    ours: PathBuf,
    cargo: OsString,
    /// Whatever is written; gone at the end.
    scratch: Scratch,
}

/// What is measured beside the large shared object's readelf, where it is installed.
struct Peer {
    name: &'static str,
    program: &'static str,
    version: &'static [&'static str],
    args: &'static [&'static str],
    does: &'static str,
}

const PEERS: &[Peer] = &[
    Peer {
        name: "libtree",
        program: "libtree",
        version: &["--version"],
        args: &[],
        does: "looks for the libraries, reads no versions",
    },
    Peer {
        name: "auditwheel lddtree",
        program: "auditwheel",
        version: &["--version"],
        args: &["lddtree"],
        does: "looks for the libraries, reads no versions",
    },
    Peer {
        name: "cargo-libc inspect",
        program: "cargo-libc",
        version: &["--version"],
        args: &["libc", "inspect", "--max-glibc", LARGE_KEEPS],
        does: "holds the versions against a ceiling",
    },
];

impl Peer {
    fn installed(&self) -> Option<String> {
        table::says(self.program, self.version)
    }

    fn call(&self, file: &Path, folder: &Path) -> Call {
        let args = self.args.iter().map(OsString::from).chain([file.into()]);
        Call::new(self.program, args, folder, &[0, 1, 2])
    }
}

impl Bench {
    fn new(quick: bool) -> anyhow::Result<Bench> {
        let ours = released::build()?;
        inputs::large()?;
        Ok(Bench {
            runs: if quick { QUICK_RUNS } else { RUNS },
            peak_runs: if quick { 1 } else { PEAK_RUNS },
            quick,
            ours,
            cargo: process::cargo().get_program().to_owned(),
            scratch: Scratch::new()?,
        })
    }

    fn long_runs(&self) -> usize {
        self.runs.min(LONG_RUNS)
    }

    fn folder(&self) -> &Path {
        self.scratch.path()
    }

    /// `check --artifact` under a policy of a glibc ceiling, and of what is said of the host programs of plug-ins.
    fn check(
        &self,
        ceiling: &str,
        hosts: &str,
        artifact: impl AsRef<Path>,
        ends_with: &'static [i32],
    ) -> anyhow::Result<Call> {
        let text = format!("glibc = \"{ceiling}\"\n{hosts}");
        let mut names = (0..).map(|at| self.folder().join(format!("policy-{at}.toml")));
        let policy = names.find(|path| !path.exists()).unwrap_or_default();
        fs::write(&policy, text).with_context(|| format!("cannot write {}", policy.display()))?;
        let args: [&Path; 6] = [
            "compat".as_ref(),
            "check".as_ref(),
            "--policy".as_ref(),
            &policy,
            "--artifact".as_ref(),
            artifact.as_ref(),
        ];
        Ok(Call::new(&self.ours, args, self.folder(), ends_with))
    }

    fn readelf(&self, file: &Path) -> Call {
        let args = READELF.iter().map(OsString::from).chain([file.into()]);
        Call::new("readelf", args, self.folder(), &[0, 1])
    }

    fn large(&self) -> anyhow::Result<Vec<Row>> {
        let file = inputs::large()?;
        let keeps = self.check(LARGE_KEEPS, LARGE_HOST, &file, &[0])?;
        let breaks = self.check(LARGE_BREAKS, LARGE_HOST, &file, &[1])?;
        let readelf = self.readelf(&file);
        let alone = self.check(LARGE_BREAKS, "", &file, &[1])?;
        let installed: Vec<&Peer> = PEERS.iter().filter(|peer| peer.installed().is_some()).collect();
        let mut sides = vec![vec![readelf], vec![keeps], vec![breaks], vec![alone]];
        sides.extend(installed.iter().map(|peer| vec![peer.call(&file, self.folder())]));
        let runs = alternate(self.runs, &sides)?;
        let mut peaks = Vec::new();
        for side in &sides {
            peaks.push(self.peak(&side[0])?);
        }

        let size = fs::metadata(&file).map_or(0, |file| file.len() / 1_000_000);
        let what = format!("one shared object of {size} MB");
        let cases = [
            (1, format!("kept (`{LARGE_KEEPS}`)")),
            (2, format!("broken (`{LARGE_BREAKS}`)")),
            (3, format!("`glibc` alone, broken (`{LARGE_BREAKS}`)")),
        ];
        let mut rows = Vec::new();
        for (at, case) in &cases {
            rows.push(cpu_row(format!("{what}, {case}: CPU"), &runs[*at], &runs[0], "readelf", LARGE_CPU));
        }
        for (at, case) in &cases {
            rows.push(peak_row(format!("{what}, {case}: peak memory"), peaks[*at], peaks[0], LARGE_PEAK));
        }
        for peer in PEERS {
            let at = installed.iter().position(|installed| installed.name == peer.name);
            let figure = format!("{what}, kept: {} ({})", peer.name, peer.does);
            rows.push(match at.map(|at| at + 4) {
                Some(at) => Row {
                    figure: format!("{figure}: CPU, peak memory"),
                    ours: format!("{}, {}", milliseconds(runs[1].mean_cpu()), mebibytes(peaks[1])),
                    peer: format!("{}, {}", milliseconds(runs[at].mean_cpu()), mebibytes(peaks[at])),
                    relation: format!(
                        "{}, {}",
                        times(ratio(runs[1].cpu(), runs[at].cpu())),
                        times(peaks[1] as f64 / peaks[at] as f64)
                    ),
                    limit: None,
                },
                None => Row {
                    figure,
                    ours: String::new(),
                    peer: "not installed".to_owned(),
                    relation: String::new(),
                    limit: None,
                },
            });
        }
        Ok(rows)
    }

    fn peak(&self, call: &Call) -> anyhow::Result<u64> {
        let mut largest = 0;
        for _ in 0..self.peak_runs {
            largest = largest.max(call.peak(self.folder())?);
        }
        Ok(largest)
    }

    fn many(&self) -> anyhow::Result<Vec<Row>> {
        let files = files::find(FILES);
        let count = files.paths.len();
        ensure!(count == FILES || self.quick, "{count} ELF files were found where {FILES} are needed");
        let list = self.list(&files)?;
        let call = |ceiling, ends_with| -> anyhow::Result<Vec<Call>> {
            Ok(vec![Call { input: Some(list.clone()), ..self.check(ceiling, FILES_HOSTS, "-", ends_with)? }])
        };
        // A system may hold a file that nobody can read: 101.
        let readelf = files.paths.iter().map(|path| self.readelf(path)).collect();
        let sides = [readelf, call(FILES_KEEP, &[0, 101])?, call(FILES_BREAK, &[1])?];
        let runs = alternate(self.long_runs(), &sides)?;

        let what = format!("{count} files of {} MB (of {}) in one call", files.bytes / 1_000_000, files.of);
        let peer = format!("{count} × readelf");
        let cases = [(1, format!("kept (`{FILES_KEEP}`)")), (2, format!("broken (`{FILES_BREAK}`)"))];
        let mut rows = Vec::new();
        for (at, case) in &cases {
            rows.push(cpu_row(format!("{what}, {case}: CPU"), &runs[*at], &runs[0], &peer, FILES_CPU));
        }
        for (at, case) in &cases {
            rows.push(Row {
                figure: format!("{what}, {case}: cores busy, CPU ÷ wall"),
                ours: times(runs[*at].cores()),
                peer: String::new(),
                relation: String::new(),
                limit: Some((format!("≥ {}", times(FILES_CORES)), runs[*at].cores() >= FILES_CORES)),
            });
        }
        Ok(rows)
    }

    /// Whether an archive is complete, beside a list of its symbols.
    fn archive(&self) -> anyhow::Result<Vec<Row>> {
        let project = project::staticlib(self.folder())?;
        process::run(
            process::cargo().args(["build", "--quiet", "--manifest-path"]).arg(project.join("Cargo.toml")),
        )?;
        let file = project.join("target/debug/libarchive.a");
        let size =
            fs::metadata(&file).with_context(|| format!("cannot read {}", file.display()))?.len() / 1_000_000;
        let members = process::output(Command::new("ar").arg("t").arg(&file))?.lines().count();
        ensure!(members >= 300, "{} has {members} members; 300 were expected", file.display());
        let policy = self.folder().join("undefined.toml");
        fs::write(&policy, "undefined = []\n")
            .with_context(|| format!("cannot write {}", policy.display()))?;
        let args: [&Path; 6] =
            ["compat".as_ref(), "check".as_ref(), "--policy".as_ref(), &policy, "--artifact".as_ref(), &file];
        let ours = Call::new(&self.ours, args, self.folder(), &[0]);
        // Without the plug-in, which knows nothing of these members and says so for each.
        let nm = ["-A", "--plugin", "/dev/null"].map(OsString::from).into_iter();
        let plain = Call::new("nm", nm.chain([file.clone().into()]), self.folder(), &[0, 1]);
        let usual = Call::new("nm", ["-A".as_ref(), file.as_path()], self.folder(), &[0, 1]);
        let runs = alternate(self.runs, &[vec![usual], vec![plain], vec![ours]])?;
        let what = format!("static library of {members} members, {size} MB, complete");
        let row = |name: &str, peer: usize| {
            cpu_row(format!("{what}: CPU"), &runs[2], &runs[peer], name, ARCHIVE_CPU)
        };
        Ok(vec![row("`nm -A`", 0), Row { limit: None, ..row("`nm -A` without plug-in", 1) }])
    }

    /// Ours and `cargo build` in a project.
    fn builds(&self, project: &Path) -> [Call; 2] {
        [
            Call::new(&self.ours, ["compat", "check"], project, &[0]),
            Call::new(&self.cargo, ["build"], project, &[0]),
        ]
    }

    fn workspace(&self) -> anyhow::Result<Vec<Row>> {
        let project = project::workspace(self.folder())?;
        let [ours, cargo] = self.builds(&project);
        let mut rows = Vec::new();
        if !self.quick {
            let mut cold = Vec::new();
            for call in [&cargo, &ours] {
                remove(&project.join("target"))?;
                cold.push(call.sample()?);
            }
            rows.push(Row {
                figure: format!("workspace of {} crates, from nothing, once: wall", project::MEMBERS),
                ours: milliseconds(cold[1].wall),
                peer: format!("`cargo build` {}", milliseconds(cold[0].wall)),
                relation: times(ratio(cold[1].wall, cold[0].wall)),
                limit: None,
            });
        }
        let runs = alternate(self.long_runs(), &[vec![cargo], vec![ours]])?;
        let relation = ratio(runs[1].median_wall(), runs[0].median_wall());
        let row = Row {
            figure: format!("workspace of {} crates, nothing to compile: wall", project::MEMBERS),
            ours: wall(&runs[1]),
            peer: format!("`cargo build` {}", wall(&runs[0])),
            relation: times(relation),
            limit: Some((format!("≤ {WORKSPACE_WALL}"), relation <= WORKSPACE_WALL)),
        };
        rows.insert(0, row);
        Ok(rows)
    }

    fn hello(&self) -> anyhow::Result<Vec<Row>> {
        let project = project::hello(self.folder())?;
        let [ours, cargo] = self.builds(&project);
        let runs = alternate(self.runs, &[vec![cargo], vec![ours]])?;
        let [cargo, ours] = [0, 1].map(|at| runs[at].median_wall().as_secs_f64() * 1000.0);
        let more = ours - cargo;
        Ok(vec![Row {
            figure: "hello, nothing to compile: wall".to_owned(),
            ours: wall(&runs[1]),
            peer: format!("`cargo build` {}", wall(&runs[0])),
            relation: format!("{more:+.1} ms"),
            limit: Some((format!("≤ {HELLO_MORE_MS:+} ms"), more <= HELLO_MORE_MS)),
        }])
    }

    fn page(&self, rows: &[Row], load: &str) -> String {
        let says = |program: &str, args: &[&str]| table::says(program, args).unwrap_or_default();
        let mut versions = vec![
            table::says(&self.ours, &["--version"]).unwrap_or_default(),
            format!("commit {}", says("git", &["describe", "--always", "--dirty", "--abbrev=12"])),
            says("readelf", &["--version"]),
            table::says(&self.cargo, &["--version"]).unwrap_or_default(),
        ];
        let named = |peer: &Peer| Some(format!("{} {}", peer.program, number(&peer.installed()?)?));
        versions.extend(PEERS.iter().filter_map(named));
        format!(
            "# Speed\n\n\
             `cargo xtask bench --write` wrote this page on {date}.\n\n\
             - **Machine**: {machine}. {load}{priority}\n\
             - **Versions**: {versions}.\n\
             - **Program**: as it is released, for `{target}` (`{flags}`).\n\
             - **Runs**: {runs} of each side, {long} of what takes seconds, in turn, after one that does not count. CPU is\n  \
               user and system time of the processes (`wait4`), a run on average; its ratio is that of the sums. Wall is\n  \
               the median. Peak memory is the largest resident set of {peaks} (GNU time).\n\
             - **Policy**: the key `glibc`; *kept* and *broken* say how the check ends. What plug-ins may leave undefined is\n  \
               allowed, but where *alone* says that there is no other key: then the names that Python provides are a\n  \
               finding. All bind symbols to the libraries that a file is loaded with, which no peer does.\n\
             - **readelf** is called as `readelf {readelf}`; the output of all goes to /dev/null.\n\n\
             {table}",
            date = says("date", &["-u", "+%F"]),
            machine = table::machine(),
            priority = table::priority().unwrap_or_default(),
            versions = versions.join(", "),
            target = released::TARGET,
            flags = released::FLAGS,
            runs = self.runs,
            long = self.long_runs(),
            peaks = self.peak_runs,
            readelf = READELF.join(" "),
            table = table::markdown(rows),
        )
    }
}

/// The version's number in what a program says of itself.
fn number(version: &str) -> Option<&str> {
    version.split([' ', ',']).find(|word| word.starts_with(|first: char| first.is_ascii_digit()))
}

fn cpu_row(figure: String, ours: &Runs, peer: &Runs, name: &str, most: f64) -> Row {
    let relation = ratio(ours.cpu(), peer.cpu());
    Row {
        figure,
        ours: milliseconds(ours.mean_cpu()),
        peer: format!("{name} {}", milliseconds(peer.mean_cpu())),
        relation: times(relation),
        limit: Some((format!("≤ {}", times(most)), relation <= most)),
    }
}

fn peak_row(figure: String, ours: u64, peer: u64, most: f64) -> Row {
    let relation = ours as f64 / peer as f64;
    Row {
        figure,
        ours: mebibytes(ours),
        peer: format!("readelf {}", mebibytes(peer)),
        relation: times(relation),
        limit: Some((format!("≤ {}", times(most)), relation <= most)),
    }
}

fn wall(runs: &Runs) -> String {
    format!("{} (CPU {})", milliseconds(runs.median_wall()), milliseconds(runs.mean_cpu()))
}

fn mebibytes(kibibytes: u64) -> String {
    format!("{:.1} MiB", kibibytes as f64 / 1024.0)
}

fn remove(folder: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            bail!("cannot remove {}: {error}", folder.display())
        }
        _ => Ok(()),
    }
}

/// A folder outside of the repository, whose configuration it must not see.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn new() -> anyhow::Result<Scratch> {
        let folder = std::env::temp_dir().join(format!("cargo-compat-bench-{}", std::process::id()));
        fs::create_dir(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(Scratch(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left in the folder for temporary files harms nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Options::parse(&words).map_err(|usage| usage.to_string())
    }

    #[test]
    fn arguments() {
        assert_eq!(parse(""), Ok(Options { quick: false, write: false }));
        assert_eq!(parse("--write"), Ok(Options { quick: false, write: true }));
        assert!(parse("--quick --write").is_err());
        assert!(parse("--fast").unwrap_err().ends_with("not `--fast`"));
    }

    #[test]
    fn versions_are_found_in_words() {
        assert_eq!(number("auditwheel 6.8.2 installed at /x (python 3.11)"), Some("6.8.2"));
        assert_eq!(number("3.1.1"), Some("3.1.1"));
        assert_eq!(number("unknown"), None);
    }
}
