//! What the documents say of the program is what the program says of itself. `SNAPSHOTS=overwrite` corrects what can
//! be made from it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use cargo_compat::lints::{LINTS, Lint};
use cargo_compat::policy::{self, Source};
use walkdir::WalkDir;

const PAGE_WIDTH: usize = 110;
const PAGE_LINES: std::ops::RangeInclusive<usize> = 25..=60;
/// They tell cargo's configuration and manifests from a policy.
const CARGOS_KEYS: [&str; 3] = ["rustflags", "linker", "[dependencies]"];
/// What the transcripts say for the triple of the machine that runs the tests.
const HOST: (&str, &str) = ("[HOST]", "x86_64-unknown-linux-gnu");

fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

fn read(file: &str) -> String {
    fs::read_to_string(path(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Holds a whole file against what it should be, or writes it.
fn keep(file: &str, wanted: &str) {
    let found = fs::read_to_string(path(file)).unwrap_or_default();
    if found != wanted && std::env::var_os("SNAPSHOTS").is_some_and(|value| value == "overwrite") {
        fs::write(path(file), wanted).unwrap_or_else(|error| panic!("{file}: {error}"));
        return;
    }
    assert_eq!(found, wanted, "{file} is out of date; SNAPSHOTS=overwrite corrects it");
}

/// The same for what stands between two marks of a file, the first of their kind.
fn keep_between(file: &str, begin: &str, end: &str, wanted: &str) {
    // Two tests may write two parts of one file.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let text = read(file);
    let (before, rest) = text.split_once(begin).unwrap_or_else(|| panic!("{file} lacks {begin}"));
    let (_, after) = rest.split_once(end).unwrap_or_else(|| panic!("{file} lacks {end}"));
    keep(file, &format!("{before}{begin}\n{wanted}{end}{after}"));
}

/// A fenced block of a Markdown text.
#[derive(Debug, PartialEq)]
struct Block<'a> {
    language: &'a str,
    /// The last line of text above it.
    above: &'a str,
    text: String,
}

fn blocks(markdown: &str) -> Vec<Block<'_>> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    let mut above = "";
    let mut lines = markdown.lines();
    while let Some(line) = lines.next() {
        match line.strip_prefix("```") {
            Some(language) => {
                let text = lines.by_ref().take_while(|line| *line != "```").map(|line| format!("{line}\n"));
                blocks.push(Block { language, above, text: text.collect() });
            }
            None if !line.is_empty() => above = line,
            None => {}
        }
    }
    blocks
}

#[test]
fn blocks_are_found() {
    let found = blocks("a\nb:\n\n```toml\nc = 1\n\nd = 2\n```\n\n```text\n```\n");
    let block = |language, text: &str| Block { language, above: "b:", text: text.to_owned() };
    assert_eq!(found, [block("toml", "c = 1\n\nd = 2\n"), block("text", "")]);
}

fn transcript(case: &str) -> String {
    read(&format!("tests/cases/{case}/transcript.txt"))
}

/// Everything that the program says in a case, each line after a line feed.
fn transcripts() -> String {
    let mut all = String::from("\n");
    for entry in WalkDir::new(path("tests/cases")).sort_by_file_name() {
        let entry = entry.unwrap_or_else(|error| panic!("tests/cases: {error}"));
        if entry.file_name() == "transcript.txt" {
            let path = entry.path();
            let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            all += &text.replace(HOST.0, HOST.1);
            all += "--- end of the case\n";
        }
    }
    all
}

/// What keeps the text from being a policy, by its lines.
fn policy_problems(text: &str) -> Vec<String> {
    match policy::parse(Source { path: policy::FILE_NAME.into(), text: text.to_owned() }) {
        Ok(_) => Vec::new(),
        Err((source, problems)) => problems
            .iter()
            .map(|problem| format!("line {}: {}", source.position(problem.span.start).0, problem.message))
            .collect(),
    }
}

fn last_line(lint: &Lint) -> String {
    match lint.undecided {
        true => {
            "What it finds is undecided (exit code 101) and can only be accepted by an [[exception]].".into()
        }
        false => format!("Default level: {}.", lint.default),
    }
}

/// What is wrong with the page of a lint.
fn page_problems(name: &str, last_line: &str, page: &str, transcripts: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let lines: Vec<_> = page.lines().collect();
    if !PAGE_LINES.contains(&lines.len()) {
        wrong.push(format!("it has {} lines, not {PAGE_LINES:?}", lines.len()));
    }
    for (line, number) in lines.iter().zip(1..) {
        if line.chars().count() > PAGE_WIDTH || line.ends_with(' ') {
            wrong.push(format!("line {number} is longer than {PAGE_WIDTH} or ends in a space"));
        }
    }
    // In a terminal every such line is a heading, inside of a block too.
    let headings: Vec<_> = lines.iter().filter(|line| line.starts_with('#')).copied().collect();
    if headings != [&format!("# {name}"), "## Why it matters", "## Example", "## What to do"] {
        wrong.push(format!("its headings are {headings:?}"));
    }
    if lines.last() != Some(&last_line) || !page.ends_with('\n') {
        wrong.push(format!("it does not end with: {last_line}"));
    }
    let blocks = blocks(page);
    let examples: Vec<_> = blocks.iter().filter(|block| block.language == "text").collect();
    match examples[..] {
        [example] if example.above == "## Example" => {
            if !transcripts.contains(&format!("\n{}", example.text)) {
                wrong.push("no transcript has its example; copy it anew from tests/cases".to_owned());
            }
            let is_of_lint = ["error", "warning"]
                .iter()
                .any(|level| example.text.starts_with(&format!("{level}[{name}]: ")));
            if !is_of_lint {
                wrong.push("its example is of something else".to_owned());
            }
        }
        _ => wrong.push(format!("it has {} blocks of text, not one under Example", examples.len())),
    }
    for block in blocks.iter().filter(|block| block.language == "toml") {
        let is_cargos = CARGOS_KEYS.iter().any(|key| block.text.contains(key));
        let problems = match (is_cargos, toml::from_str::<toml::Table>(&block.text)) {
            (true, parsed) => parsed.err().iter().map(ToString::to_string).collect(),
            (false, _) => policy_problems(&block.text),
        };
        wrong.extend(problems.iter().map(|problem| format!("below {:?}: {problem}", block.above)));
    }
    wrong
}

#[test]
fn every_lint_has_a_page_that_is_true_to_the_program() {
    let filler = "Something.\n".repeat(*PAGE_LINES.start());
    let toml = "In compat.toml:\n\n```toml\nglibc = \"2.28\"\n```\n";
    let page = format!(
        "# a\n\n## Why it matters\n\n{filler}\n## Example\n\n```text\nerror[a]: b\n | c\n```\n\n## What to do\n\n{toml}\nEnd.\n"
    );
    let problems = |page: &str| {
        page_problems("a", "End.", page, "\nx\nerror[a]: b\n | c\n\nwarning[b]: c\n--- exit: 1\n")
    };
    assert_eq!(problems(&page), [""; 0]);
    for (part, instead) in [
        ("# a", "# b"),
        ("Something.\n", ""),
        ("Something.\n", "Something. \n"),
        ("\n## What", "\n# a comment\n\n## What"),
        ("error[a]: b\n | c", "error[a]: b\n | d"),
        ("error[a]: b\n | c", " | c"),
        ("error[a]: b\n | c", "warning[b]: c"),
        ("```text", "```"),
        ("2.28", "2,28"),
        ("glibc = \"2.28\"", "rustflags = ]"),
        ("\nEnd.\n", "\nEnd.\n\n"),
        ("\nEnd.\n", "\nEnd\n"),
    ] {
        let changed = page.replace(part, instead);
        assert_ne!(changed, page);
        assert!(!problems(&changed).is_empty(), "accepted: {instead}");
    }

    let transcripts = transcripts();
    let wrong: Vec<_> = (LINTS.iter())
        .flat_map(|lint| {
            let problems = page_problems(lint.name, &last_line(lint), lint.page, &transcripts);
            problems.into_iter().map(|problem| format!("src/lints/{}.md: {problem}", lint.name))
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_pages_of_the_lints_are_one_document() {
    let mut text = String::from(
        "# Lints\n\n\
         <!-- made from src/lints/*.md by tests/docs.rs; SNAPSHOTS=overwrite writes it -->\n\n\
         What `cargo compat check` can find. `cargo compat explain LINT` prints the page of one lint in the terminal;\n\
         `[lints]` in `compat.toml` sets its level, and an `[[exception]]` accepts one finding, with its reason.\n\n",
    );
    for lint in LINTS {
        text += &format!("- [`{0}`](#{0}): {1}\n", lint.name, lint.summary);
    }
    for lint in LINTS {
        text.push('\n');
        for line in lint.page.lines() {
            let deeper = if line.starts_with('#') { "#" } else { "" };
            text += &format!("{deeper}{line}\n");
        }
    }
    keep("docs/lints.md", &text);
}

#[test]
fn the_readme_lists_every_lint() {
    let rows = LINTS.iter().map(|lint| {
        let undecided = if lint.undecided { ", *undecided*" } else { "" };
        format!("| `{}` | {}{undecided} | {} |\n", lint.name, lint.default, lint.summary)
    });
    let table =
        format!("| lint | default | what it finds |\n| --- | --- | --- |\n{}", rows.collect::<String>());
    let begin = "<!-- lints: a test keeps this table equal to the registry -->";
    keep_between("README.md", begin, "<!-- end of lints -->", &table);
}

#[test]
fn the_readmes_policy_is_one() {
    let readme = read("README.md");
    let (_, section) = readme.split_once("\n## The policy\n").expect("README.md has a section on the policy");
    let blocks = blocks(section);
    let policy = blocks.first().filter(|block| block.language == "toml").expect("it begins with a policy");
    assert_eq!(policy_problems(&policy.text), [""; 0], "\n{}", policy.text);
}

/// The case that the README shows.
const SHOWN: &str = "cargo/readme";
const COLOUR: &str = " --color always";

/// One run of a transcript, from its prompt to its last line.
fn run(transcript: &str, coloured: bool) -> &str {
    let mut runs = transcript.split("--- exit: ").filter_map(|run| Some(run[run.find("$ ")?..].trim_end()));
    let is_wanted = |run: &&str| run.lines().next().is_some_and(|prompt| prompt.contains(COLOUR) == coloured);
    runs.find(is_wanted).expect("the case has this run")
}

#[test]
fn the_readme_shows_a_run() {
    keep_between("README.md", "```console", "\n```", run(&transcript(SHOWN), false));
}

/// The prompt, quoted for a shell, and what the case's run printed.
#[test]
fn the_readme_shows_an_answer_of_why() {
    let readme = read("README.md");
    let (_, section) =
        readme.split_once("\n## Who brought it in\n").expect("README.md has a section on `why`");
    let (_, shown) = section.split_once("```console\n").expect("it shows a run");
    let shown = shown[..shown.find("\n```").expect("the run ends")].replace('\'', "");
    let transcript = transcript("why/crates");
    assert!(transcript.contains(&format!("\n{shown}\n--- exit: 0")), "no run of why/crates is\n{shown}");
}

#[test]
fn the_readme_shows_the_run_as_a_picture() {
    let transcript = transcript(SHOWN);
    let plain = run(&transcript, false);
    let coloured = run(&transcript, true).replacen(COLOUR, "", 1);
    assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), plain, "colour is all that differs");
    keep("docs/check.svg", &anstyle_svg::Term::new().render_svg(&coloured));
    let readme = read("README.md");
    let (picture, run) = (readme.find("](docs/check.svg)"), readme.find("```console"));
    assert!(picture.is_some() && picture < run, "README.md shows docs/check.svg above the run");
}
