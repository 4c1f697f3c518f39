//! Reports in the formats of other programs, held against those: SARIF against its published schema and what GitHub
//! demands, the page in Chromium, and every format with names that would break out of it.

#[cfg(not(unix))]
fn main() {} // the tools are Debian's

#[cfg(unix)]
#[path = "support/browser.rs"]
mod browser;

#[cfg(unix)]
use unix::main;

#[cfg(unix)]
mod unix {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::process::ExitCode;

    use anyhow::{Context, bail, ensure};
    use cargo_compat::report::model::Report;
    use cargo_compat::report::{MessageFormat, render};
    use libtest_mimic::{Arguments, Failed, Trial};
    use serde_json::{Value, json};

    use crate::browser::Browser;

    /// Would leave its place in a terminal, a log, Markdown, HTML, JSON or a workflow command.
    const HOSTILE: &str = "a\u{1b}[31m\u{202e}b\n::error::c\r\n##vso[d] `e` ``` | \\| <script>alert(1)</script> <img \
                           src=x onerror=alert(2)> \" ' & %0A,: */ -->]]> \u{2028}\u{9b}31m @someone [x](javascript:y) $z$";

    pub fn main() -> ExitCode {
        let arguments = Arguments::from_args();
        let browser = Browser::missing();
        let schema = root().join("target/fixtures/serde-sarif/serde-sarif-0.8.0/src/schema.json");
        let schema = (!schema.is_file()).then(|| "needs `cargo xtask fixtures`".to_owned());
        let trials = vec![
            trial("names_stay_text_in_every_format", None, names_stay_text),
            trial("sarif_is_as_its_schema_says", schema, sarif_is_valid),
            trial("sarif_is_as_github_demands", None, sarif_is_as_github_demands),
            trial("a_thousand_artifacts_fit", None, a_thousand_artifacts),
            trial("the_page_works_in_chromium", browser.clone(), the_page_works),
            trial("a_hostile_page_does_nothing_in_chromium", browser, a_hostile_page_does_nothing),
        ];
        libtest_mimic::run(&arguments, trials).exit_code()
    }

    fn trial(name: &str, missing: Option<String>, run: fn() -> anyhow::Result<()>) -> Trial {
        match missing {
            Some(reason) if std::env::var_os("COMPAT_REQUIRE_ALL").is_some_and(|value| value == "1") => {
                Trial::test(name, || Err(reason.into()))
            }
            Some(reason) => Trial::test(name, || Err("its needs are not met here".into()))
                .with_kind(format!("ignored: {reason}"))
                .with_ignored_flag(true),
            None => Trial::test(name, move || run().map_err(|error| Failed::from(format!("{error:#}")))),
        }
    }

    fn root() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR"))
    }

    /// The reports in the transcripts of the cases.
    fn saved() -> anyhow::Result<Vec<Report>> {
        let mut reports = Vec::new();
        for entry in walkdir::WalkDir::new(root().join("tests/cases")).sort_by_file_name() {
            let entry = entry?;
            if entry.file_name() != "transcript.txt" {
                continue;
            }
            let text = fs::read_to_string(entry.path())?;
            for line in text.lines().filter(|line| line.contains("\"command\":\"check\"")) {
                reports.push(Report::from_json(line).map_err(anyhow::Error::msg)?);
            }
        }
        ensure!(reports.len() > 3, "only {} reports in the transcripts", reports.len());
        Ok(reports)
    }

    /// One in which everything is there: findings, accepted ones, artifacts of every kind, failures.
    fn full() -> anyhow::Result<Report> {
        let full = saved()?.into_iter().max_by_key(|report| {
            let kinds = [report.findings.len(), report.accepted.len(), report.failures.len()];
            (kinds.into_iter().filter(|number| *number > 0).count(), report.artifacts.len())
        });
        let full = full.context("no report")?;
        ensure!(!full.accepted.is_empty() && !full.failures.is_empty() && full.artifacts.len() > 2);
        Ok(full)
    }

    /// The same with one text in place of every text that may come from a file.
    fn hostile() -> anyhow::Result<Report> {
        // Words of our own, of which a reader knows the list.
        const OURS: [&str; 24] = [
            "command",
            "lint",
            "level",
            "kind",
            "status",
            "format",
            "cpu",
            "fail_on",
            "elf_type",
            "role",
            "libc",
            "class",
            "endian",
            "stack",
            "visibility",
            "binding",
            "read",
            "linkage",
            "verdict",
            "line",
            "column",
            "start",
            "end",
            "date",
        ];
        fn poison(value: &mut Value, key: &str) {
            match value {
                Value::String(text) if !OURS.contains(&key) && key != "not_applicable" => {
                    HOSTILE.clone_into(text);
                }
                Value::Array(values) => values.iter_mut().for_each(|value| poison(value, key)),
                Value::Object(fields) => fields.iter_mut().for_each(|(key, value)| poison(value, key)),
                _ => {}
            }
        }
        let mut value = serde_json::to_value(full()?)?;
        poison(&mut value, "");
        let problem = json!({
            "path": HOSTILE, "line": 1, "column": 2, "end_line": 1, "end_column": 9, "start": 1, "end": 8,
        });
        value["policy_problems"] =
            json!([{"message": HOSTILE, "label": HOSTILE, "help": HOSTILE, "at": problem, "other": null}]);
        value["artifacts"][0]["platforms"] =
            json!([{"platform": HOSTILE, "verdict": "fails", "why": [HOSTILE]}]);
        value["passed_over"] = json!({HOSTILE: 3});
        Report::from_json(&value.to_string()).map_err(anyhow::Error::msg)
    }

    fn rendered(report: &Report, format: MessageFormat) -> anyhow::Result<String> {
        let mut out = Vec::new();
        // Human wants colour, which a file does not get.
        render(&mut anstream::StripStream::new(&mut out), report, format, false, false)?;
        Ok(String::from_utf8(out)?)
    }

    fn names_stay_text() -> anyhow::Result<()> {
        let report = hostile()?;
        for format in MessageFormat::ALL {
            let text = rendered(&report, format)?;
            // Only our own line ends are control characters.
            let acts = |letter: &char| {
                letter.is_control() && *letter != '\n'
                    || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            };
            for line in text.lines() {
                if let Some(letter) = line.chars().find(acts) {
                    bail!("{format:?} holds {}: {}", letter.escape_unicode(), line.escape_debug());
                }
            }
            ensure!(text.contains("alert(1)"), "{format:?} does not hold the names at all");
            let commands = text.lines().filter(|line| line.trim_start().starts_with("::")).count();
            let own = text.lines().filter(|line| {
                line.starts_with("::error ") && line.contains("title=") || line.starts_with("::warning ")
            });
            ensure!(commands == own.count(), "{format:?} holds a foreign workflow command");
            ensure!((commands > 0) == (format == MessageFormat::Github), "{format:?}: {commands} commands");
            ensure!(!text.contains("##vso"), "{format:?} holds a command of another build service");
        }
        let html = rendered(&report, MessageFormat::Html)?;
        let tags: BTreeSet<&str> =
            html.split('<').skip(1).filter_map(|tag| tag.split([' ', '>', '\n']).next()).collect();
        let foreign: Vec<_> =
            tags.iter().filter(|tag| matches!(**tag, "img" | "i" | "iframe" | "a:")).collect();
        ensure!(foreign.is_empty(), "tags of a name: {foreign:?}");
        ensure!(
            html.matches("<script").count() == 1 && html.matches("</script").count() == 1,
            "a script of a name"
        );
        let markdown = rendered(&report, MessageFormat::Markdown)?;
        let mut fence = None;
        for (at, line) in markdown.lines().enumerate() {
            match (&fence, line.trim()) {
                (Some(open), line) if *open == line => {
                    fence = None;
                    continue;
                }
                (Some(_), _) => continue,
                (None, line) if line.starts_with("```") && line.ends_with("`text") => {
                    fence = line.strip_suffix("text").map(str::to_owned);
                    continue;
                }
                _ => {}
            }
            let outside = outside_of_code(line);
            for wrong in ["<script", "<img", "](javascript", "@someone"] {
                ensure!(!outside.contains(wrong), "line {} of the Markdown holds {wrong}: {line}", at + 1);
            }
        }
        ensure!(fence.is_none(), "a block of code is not closed");
        Ok(())
    }

    /// What of a line is not in a code span; a backslash takes the meaning of what follows it.
    fn outside_of_code(line: &str) -> String {
        let mut outside = String::new();
        let mut rest = line;
        while let Some(first) = rest.chars().next() {
            let run = rest.len() - rest.trim_start_matches('`').len();
            if run > 0 {
                let fence = &rest[..run];
                let close = rest[run..]
                    .match_indices(fence)
                    .map(|(at, _)| at + run)
                    .find(|at| !rest[..*at].ends_with('`') && !rest[at + run..].starts_with('`'));
                match close {
                    Some(at) => rest = &rest[at + run..],
                    None => {
                        outside.push_str(fence);
                        rest = &rest[run..];
                    }
                }
            } else if first == '\\' {
                let skipped: usize = rest.chars().take(2).map(char::len_utf8).sum();
                rest = &rest[skipped..];
            } else {
                outside.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
        outside
    }

    fn logs() -> anyhow::Result<Vec<(Report, Value)>> {
        let mut logs = Vec::new();
        for report in saved()?.into_iter().chain([hostile()?]) {
            let log = serde_json::from_str(&rendered(&report, MessageFormat::Sarif)?)?;
            logs.push((report, log));
        }
        Ok(logs)
    }

    fn sarif_is_valid() -> anyhow::Result<()> {
        let path = root().join("target/fixtures/serde-sarif/serde-sarif-0.8.0/src/schema.json");
        // One pattern of it closes a bracket that it does not open.
        let (wrong, right) = ("-[a-zA-Z]{2}]?$", "-[a-zA-Z]{2}$");
        let text = fs::read_to_string(path)?;
        ensure!(text.contains(wrong), "the schema is another one");
        let schema: Value = serde_json::from_str(&text.replace(wrong, right))?;
        ensure!(
            schema["$id"].as_str().is_some_and(|id| id.contains("oasis-tcs/sarif-spec")),
            "not OASIS's schema"
        );
        let validator = jsonschema::validator_for(&schema)?;
        let logs = logs()?;
        for (_, log) in &logs {
            if let Err(error) = validator.validate(log) {
                bail!("{error} at {}: {log}", error.instance_path());
            }
        }
        let mut broken = logs[0].1.clone();
        broken["runs"][0]["results"] = json!([{"level": "fatal"}]);
        ensure!(!validator.is_valid(&broken), "the schema takes a wrong level");
        Ok(())
    }

    /// GitHub's documentation, "SARIF support for code scanning": properties that it requires, and their limits.
    fn sarif_is_as_github_demands() -> anyhow::Result<()> {
        let mut held = 0;
        for (report, log) in logs()? {
            ensure!(log["version"] == "2.1.0" && log["runs"].as_array().is_some_and(|runs| runs.len() == 1));
            let run = &log["runs"][0];
            ensure!(run["tool"]["driver"]["name"].is_string());
            let rules = run["tool"]["driver"]["rules"].as_array().context("no rules")?;
            for rule in rules {
                let id = rule["id"].as_str().context("a rule without an id")?;
                ensure!(rule["name"].as_str().is_some_and(|name| name.len() <= 255));
                for text in ["shortDescription", "fullDescription"] {
                    ensure!(
                        rule[text]["text"].as_str().is_some_and(|text| (1..=1024).contains(&text.len())),
                        "{id}"
                    );
                }
                ensure!(
                    rule["help"]["text"].as_str().is_some_and(|help| !help.is_empty()),
                    "{id} has no help"
                );
                if let Some(lint) = cargo_compat::lints::find(id) {
                    ensure!(rule["help"]["markdown"] == lint.page, "{id}: the help is not the lint's page");
                }
                ensure!(rule["properties"]["tags"].as_array().is_some_and(|tags| tags.len() <= 20));
            }
            let results = run["results"].as_array().context("no results")?;
            let clean = report.findings.is_empty() && report.exit_code == 0;
            ensure!(
                results.is_empty() == clean,
                "exit code {}, and {} results",
                report.exit_code,
                results.len()
            );
            let mut fingerprints = BTreeSet::new();
            for result in results {
                let id = result["ruleId"].as_str().context("a result without a rule")?;
                let index = result["ruleIndex"].as_u64().and_then(|index| usize::try_from(index).ok());
                ensure!(rules[index.context("no ruleIndex")?]["id"] == id, "ruleIndex leads elsewhere");
                ensure!(result["message"]["text"].as_str().is_some_and(|text| !text.is_empty()));
                let locations = result["locations"].as_array().context("no locations")?;
                ensure!((1..=10).contains(&locations.len()));
                let place = &locations[0]["physicalLocation"];
                let uri = place["artifactLocation"]["uri"].as_str().context("no uri")?;
                ensure!(
                    uri.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>\"\\^`{|}".contains(&byte)),
                    "{uri}"
                );
                for key in ["startLine", "startColumn", "endLine", "endColumn"] {
                    ensure!(place["region"][key].as_u64().is_some_and(|number| number > 0), "{id}: no {key}");
                }
                let fingerprint = &result["partialFingerprints"]["primaryLocationLineHash"];
                let fingerprint = fingerprint.as_str().context("no fingerprint")?;
                ensure!(
                    fingerprints.insert((id.to_owned(), fingerprint.to_owned())),
                    "two results of one fingerprint"
                );
                held += 1;
            }
        }
        ensure!(held > 10, "only {held} results");
        Ok(())
    }

    /// The same finding has the same fingerprint wherever the files lie, and another one has another: held by the
    /// reports of a thousand artifacts, which every format takes, GitHub's summary within its limit.
    fn a_thousand_artifacts() -> anyhow::Result<()> {
        let mut report = full()?;
        let (artifact, finding) =
            (report.artifacts.last().context("one")?.clone(), report.findings[0].clone());
        report.artifacts.clear();
        report.findings.clear();
        for number in 0..1000 {
            let mut artifact = artifact.clone();
            artifact.name = format!("server{number}");
            artifact.path.path = format!("dir/server{number}");
            let mut finding = finding.clone();
            finding.artifact = Some(artifact.name.clone());
            finding.path = Some(artifact.path.clone());
            finding.triples.clone_from(&artifact.triples);
            report.artifacts.push(artifact);
            report.findings.push(finding);
        }
        for format in MessageFormat::ALL {
            ensure!(
                rendered(&report, format)?.contains("server999") || format == MessageFormat::Human,
                "{format:?}"
            );
        }
        let commands = rendered(&report, MessageFormat::Github)?;
        ensure!(commands.lines().filter(|line| line.starts_with("::error ")).count() == 10);
        let sarif: Value = serde_json::from_str(&rendered(&report, MessageFormat::Sarif)?)?;
        let fingerprints: BTreeSet<String> = sarif["runs"][0]["results"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|result| result["partialFingerprints"].to_string())
            .collect();
        ensure!(fingerprints.len() == 1000 + report.failures.len(), "{} fingerprints", fingerprints.len());
        for artifact in &mut report.artifacts {
            artifact.path.path = format!("elsewhere/{}", artifact.path.path);
        }
        for finding in &mut report.findings {
            let path = finding.path.as_mut().context("a path")?;
            path.path = format!("elsewhere/{}", path.path);
        }
        let moved: Value = serde_json::from_str(&rendered(&report, MessageFormat::Sarif)?)?;
        for (result, moved) in [sarif, moved]
            .map(|log| log["runs"][0]["results"].clone())
            .map(|all| all.as_array().cloned())
            .windows(2)
            .flat_map(|pair| {
                pair[0].iter().flatten().cloned().zip(pair[1].iter().flatten().cloned()).collect::<Vec<_>>()
            })
        {
            ensure!(result["partialFingerprints"] == moved["partialFingerprints"]);
        }
        Ok(())
    }

    fn page(report: &Report) -> anyhow::Result<(tempfile::TempDir, PathBuf)> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("release.html");
        fs::write(&path, rendered(report, MessageFormat::Html)?)?;
        Ok((folder, path))
    }

    fn the_page_works() -> anyhow::Result<()> {
        let mut report = full()?;
        // A second row, so that there is something to sort.
        let mut other =
            report.artifacts.iter().find(|artifact| artifact.facts.is_some()).context("facts")?.clone();
        other.name = "another".to_owned();
        other.path.path = "dir/another".to_owned();
        report.artifacts.push(other);
        let (_folder, path) = page(&report)?;
        let mut browser = Browser::start()?;
        browser.open(&path)?;
        let first = |browser: &mut Browser| {
            browser.text("return [...document.querySelectorAll('tbody')[0].rows].filter(row => row.offsetParent).map(row => row.cells[0].innerText).join()")
        };
        let names = first(&mut browser)?;
        ensure!(names == "broken,libx.a,server,another", "{names}");
        // By the keyboard alone: to the first column's button, twice.
        browser.run("document.querySelector('thead button').focus()")?;
        browser.press("\u{e007}")?;
        ensure!(
            first(&mut browser)? == "another,broken,libx.a,server",
            "not sorted: {}",
            first(&mut browser)?
        );
        browser.press(" ")?;
        ensure!(first(&mut browser)? == "server,libx.a,broken,another", "not sorted backwards");
        let order = browser.text("return document.querySelector('thead th').getAttribute('aria-sort')")?;
        ensure!(order == "descending", "aria-sort says {order}");
        browser.run("document.getElementById('words').focus()")?;
        for letter in "SERV".chars() {
            browser.press(&letter.to_string())?;
        }
        ensure!(first(&mut browser)? == "server", "not filtered: {}", first(&mut browser)?);
        ensure!(browser.text("return document.getElementById('shown').innerText")? == "1 of 4 shown");
        browser.run("document.getElementById('words').value = ''; const state = document.getElementById('state'); state.value = 'undecided'; state.dispatchEvent(new Event('input', { bubbles: true }))")?;
        ensure!(first(&mut browser)? == "broken", "not filtered by state: {}", first(&mut browser)?);
        // Nothing is wider than a phone.
        browser.resize(390, 800)?;
        let width = browser.text(
            "return String(document.documentElement.scrollWidth <= document.documentElement.clientWidth)",
        )?;
        ensure!(width == "true", "the page scrolls sideways on a phone");
        browser.finish()
    }

    fn a_hostile_page_does_nothing() -> anyhow::Result<()> {
        let (_folder, path) = page(&hostile()?)?;
        let mut browser = Browser::start()?;
        // An alert would make the next command fail.
        browser.open(&path)?;
        let scripts = browser.text("return String(document.scripts.length + document.images.length)")?;
        ensure!(scripts == "1", "{scripts} scripts and images");
        browser.run("document.getElementById('words') && document.getElementById('words').focus()")?;
        browser.finish()?;
        // The test itself: what a page does wrong is seen.
        let (_folder, path) = page(&full()?)?;
        let html = fs::read_to_string(&path)?;
        fs::write(
            &path,
            html.replace("<h1>", "<script>alert(1)</script><img src=\"https://example.invalid/x\"><h1>"),
        )?;
        let mut browser = Browser::start()?;
        browser.open(&path)?;
        ensure!(browser.finish().is_err(), "Chromium is content with a foreign script and image");
        Ok(())
    }
}
