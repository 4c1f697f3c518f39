//! The command line: `clap` is used only here.

mod from;
mod platforms;
mod run;

use std::ffi::OsString;
use std::path::PathBuf;

use self::from::FromArgs;
use clap::{Args, Parser, Subcommand, ValueEnum};

use self::platforms::PlatformsCommand;
use self::run::TestArgs;
use crate::commands::{check, diff, init, make_root, merge, show, test, why};
use crate::finding::Level;
use crate::report::MessageFormat;

/// What is to be done.
#[derive(Debug)]
pub enum Task {
    Check(Box<check::Options>),
    Diff(diff::Options),
    Merge(merge::Options),
    Init(Box<init::Options>),
    Show(show::Options),
    Why(Box<why::Options>),
    Test(Box<test::Options>),
    MakeRoot(make_root::Options),
    Explain(Option<String>),
    Platforms(crate::commands::platforms::Options),
    Completions(String),
}

/// A command line, read.
#[derive(Debug)]
pub struct Parsed {
    pub task: Task,
    /// `always`, `never`, or nothing.
    pub color: Option<String>,
}

/// Help, a version, or an error: text to print.
#[derive(Debug)]
pub struct Message {
    pub text: String,
    pub is_error: bool,
}

/// Reads the arguments, the program's own name first.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Parsed, Message> {
    let mut args: Vec<OsString> = args.into_iter().collect();
    // `cargo compat …` runs `cargo-compat compat …`.
    if args.get(1).is_some_and(|arg| arg == "compat") {
        args.remove(1);
    }
    let cli = Cli::try_parse_from(args)
        .map_err(|error| Message { text: error.render().ansi().to_string(), is_error: error.use_stderr() })?;
    let color = cli.common.color.map(|color| color.name().to_owned());
    let common = cli.common;
    let task = match cli.command {
        Command::Check(args) => Task::Check(Box::new(args.into_options(&common))),
        Command::Init(args) => Task::Init(Box::new(args.into_options(&common))),
        Command::Diff(args) => Task::Diff(args.into_options(&common)),
        Command::Report { action: ReportAction::Merge(args) } => Task::Merge(args.into_options(&common)),
        Command::Why(args) => Task::Why(Box::new(args.into_options(&common))),
        Command::Test(args) => Task::Test(Box::new(args.into_options(&common))),
        Command::Explain { lint } => Task::Explain(lint),
        Command::Platforms { command } => command.into_task(&common),
        Command::Completions { shell } => Task::Completions(completions(shell)),
        Command::Show(args) => Task::Show(show::Options {
            files: args.files,
            format: args.message_format.into(),
            platforms: args.platform,
            facts_only: args.facts,
        }),
    };
    Ok(Parsed { task, color })
}

/// Guards a release: holds built ELF artifacts against the systems they must
/// run on
#[derive(Debug, Parser)]
#[command(
    name = "cargo compat",
    bin_name = "cargo compat",
    version,
    styles = clap_cargo::style::CLAP_STYLING,
    disable_help_subcommand = true,
    max_term_width = 100,
    after_help = "Exit codes: 0 kept, 1 policy broken, 2 wrong usage or policy, 101 not judged or undecided"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Common {
    /// Coloring
    #[arg(long, global = true, value_name = "WHEN", env = "CARGO_TERM_COLOR", hide_env = true)]
    color: Option<Color>,
    /// Print no progress, and nothing at all when the policy is kept
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Say what is run; twice: cargo too
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    verbose: u8,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

impl Color {
    fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Always => "always",
            Self::Never => "never",
        }
    }
}

fn completions(shell: clap_complete::Shell) -> String {
    use clap::CommandFactory as _;
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "cargo-compat", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build, then hold the artifacts against compat.toml
    Check(Box<CheckArgs>),
    /// Write a compat.toml that today's artifacts keep
    Init(Box<InitArgs>),
    /// Print what a file needs; no policy is asked
    Show(ShowArgs),
    /// Print what changed between two releases
    Diff(DiffArgs),
    /// Work on saved JSON reports
    Report {
        #[command(subcommand)]
        action: ReportAction,
    },
    /// Print who brought in a symbol, a version or a library
    Why(Box<WhyArgs>),
    /// Run the tests, or programs, in the root they must run in, and hold the verdict against the real loader's
    Test(Box<TestArgs>),
    /// Print the page of one lint, or a list of all
    Explain {
        /// Its name, as in error[NAME]
        #[arg(value_name = "LINT")]
        lint: Option<String>,
    },
    /// Name, show, compare and describe the systems that programs run on
    Platforms {
        #[command(subcommand)]
        command: PlatformsCommand,
    },
    /// Print a script that completes `cargo-compat` in a shell
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// For people, as rustc writes
    Human,
    /// One line a finding
    Short,
    /// All of it, for machines and later
    Json,
    /// For code scanning
    Sarif,
    /// Annotations and a step summary for GitHub Actions
    Github,
    /// A release checklist
    Markdown,
    /// A release checklist as a page
    Html,
}

/// How `show` and `why` print.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum ShowFormat {
    Human,
    Short,
    Json,
}

impl From<ShowFormat> for MessageFormat {
    fn from(format: ShowFormat) -> Self {
        match format {
            ShowFormat::Human => Self::Human,
            ShowFormat::Short => Self::Short,
            ShowFormat::Json => Self::Json,
        }
    }
}

/// `FORMAT=FILE`.
fn report_file(text: &str) -> Result<(Format, PathBuf), String> {
    let names = || Format::value_variants().iter().filter_map(ValueEnum::to_possible_value);
    let known = || names().map(|name| name.get_name().to_owned()).collect::<Vec<_>>().join(", ");
    let (format, file) = text.split_once('=').ok_or("it must be FORMAT=FILE")?;
    let format = Format::from_str(format, false).map_err(|_| format!("the formats are {}", known()))?;
    if file.is_empty() {
        return Err("the file's name is missing".to_owned());
    }
    Ok((format, PathBuf::from(file)))
}

impl From<Format> for MessageFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Human => Self::Human,
            Format::Short => Self::Short,
            Format::Json => Self::Json,
            Format::Sarif => Self::Sarif,
            Format::Github => Self::Github,
            Format::Markdown => Self::Markdown,
            Format::Html => Self::Html,
        }
    }
}

/// Tables are for people or for machines.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum TableFormat {
    Human,
    Json,
}

impl From<TableFormat> for MessageFormat {
    fn from(format: TableFormat) -> Self {
        match format {
            TableFormat::Human => Self::Human,
            TableFormat::Json => Self::Json,
        }
    }
}

#[derive(Debug, Args)]
struct ShowArgs {
    /// ELF files; `-` reads a list from standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Judge on this platform, by its name or the path of its description; may be repeated [default: all that are known]
    #[arg(long, value_name = "NAME", conflicts_with = "facts")]
    platform: Vec<String>,
    /// Only what the file itself says, without platforms
    #[arg(long)]
    facts: bool,
    /// How to print the facts
    #[arg(long, value_name = "FMT", default_value = "human")]
    message_format: ShowFormat,
}

#[derive(Debug, Args)]
struct DiffArgs {
    /// The old release: a file, a folder, an archive (tar, zip, wheel, deb), or a saved JSON report
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The new release, of any kind too
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// Exit with 1 if the new release asks more of a system, or lacks what the old one gave
    #[arg(long)]
    fail_on_regression: bool,
    /// Platforms that both releases are held against, as `runs-on` names them; without it all that are known
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    platform: Vec<String>,
    /// How to print what changed
    #[arg(long, value_name = "FMT", default_value = "human")]
    message_format: ShowFormat,
}

impl DiffArgs {
    fn into_options(self, common: &Common) -> diff::Options {
        diff::Options {
            old: self.old,
            new: self.new,
            fail_on_regression: self.fail_on_regression,
            platforms: self.platform,
            format: self.message_format.into(),
            quiet: common.quiet,
        }
    }
}

#[derive(Debug, Subcommand)]
enum ReportAction {
    /// Make one checklist, with one exit code, of many machines' reports
    Merge(MergeArgs),
}

#[derive(Debug, Args)]
struct MergeArgs {
    /// What `check --message-format json` or `--report json=FILE` wrote
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How to print the result
    #[arg(long, value_name = "FMT", default_value = "human")]
    message_format: Format,
    /// Write a report to a file, too (repeatable): json, sarif, github, markdown, html, human or short
    #[arg(long, value_name = "FMT=FILE", value_parser = report_file)]
    report: Vec<(Format, PathBuf)>,
    /// Tell in the checklist what changed since another release: its JSON report, or a folder or archive as `diff` reads them
    #[arg(long, value_name = "OLD")]
    since: Option<PathBuf>,
}

impl MergeArgs {
    fn into_options(self, common: &Common) -> merge::Options {
        merge::Options {
            files: self.files,
            format: self.message_format.into(),
            reports: self.report.into_iter().map(|(format, path)| (format.into(), path)).collect(),
            quiet: common.quiet,
            since: self.since,
        }
    }
}

#[derive(Debug, Args)]
struct WhyArgs {
    /// A symbol (stat64), a version (GLIBC_2.34, 'GLIBC>2.28') or a library (libssl.so.3) [default: every finding of the policy]
    #[arg(value_name = "WHAT")]
    what: Option<String>,
    /// The policy [default: compat.toml beside the workspace's Cargo.toml; with --artifact, in this folder or the nearest above]
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// How to print the answers
    #[arg(long, value_name = "FMT", default_value = "human")]
    message_format: ShowFormat,
    /// Link a stripped file once more with its symbols, to name the functions; only its own crate is compiled again
    #[arg(long, conflicts_with_all = ["artifact", "no_build", "build_with"])]
    relink: bool,
    /// Say where in the source, too, where the file has debug information
    #[arg(long)]
    lines: bool,
    #[command(flatten)]
    from: FromArgs,
}

#[derive(Debug, Args)]
struct CheckArgs {
    /// The policy [default: compat.toml beside the workspace's Cargo.toml; with --artifact, in this folder or the nearest above]
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// How to print the result
    #[arg(long, value_name = "FMT", default_value = "human")]
    message_format: Format,
    /// Write a report to a file, too (repeatable): json, sarif, github, markdown, html, human or short
    #[arg(long, value_name = "FMT=FILE", value_parser = report_file)]
    report: Vec<(Format, PathBuf)>,
    /// From which level on a finding breaks the policy
    #[arg(long, value_name = "LEVEL", default_value = "deny")]
    fail_on: FailOn,
    /// Tell in the checklist what changed since another release: its JSON report, or a folder or archive as `diff` reads them
    #[arg(long, value_name = "OLD")]
    since: Option<PathBuf>,
    #[command(flatten)]
    from: FromArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FailOn {
    Deny,
    Warn,
}

impl From<FailOn> for Level {
    fn from(level: FailOn) -> Self {
        match level {
            FailOn::Deny => Self::Deny,
            FailOn::Warn => Self::Warn,
        }
    }
}

#[derive(Debug, Args)]
struct InitArgs {
    /// Where to write it [default: compat.toml beside the workspace's Cargo.toml; with --artifact, in this folder]
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Replace what is there
    #[arg(long)]
    force: bool,
    /// Record what is found today in a file that the policy names, so that only new findings fail
    #[arg(long, conflicts_with = "force")]
    baseline: bool,
    #[command(flatten)]
    from: FromArgs,
}

impl CheckArgs {
    fn into_options(self, common: &Common) -> check::Options {
        let request = self.from.into_request(common);
        check::Options {
            request,
            policy: self.policy,
            format: self.message_format.into(),
            reports: self.report.into_iter().map(|(format, path)| (format.into(), path)).collect(),
            fail_on: self.fail_on.into(),
            ignore_baseline: false,
            since: self.since,
        }
    }
}

impl WhyArgs {
    fn into_options(self, common: &Common) -> why::Options {
        why::Options {
            request: self.from.into_request(common),
            what: self.what,
            policy: self.policy,
            format: self.message_format.into(),
            relink: self.relink,
            lines: self.lines,
        }
    }
}

impl InitArgs {
    fn into_options(self, common: &Common) -> init::Options {
        init::Options {
            request: self.from.into_request(common),
            policy: self.policy,
            force: self.force,
            baseline: self.baseline,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }
}
