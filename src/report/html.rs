//! The checklist of a release as one page that needs nothing but itself.
//!
//! Everything that came from a file passes `text::escape` and [`markup`]. The page forbids itself the network and
//! every script but its own, by the hash that stands in its policy (Content Security Policy Level 3).

use std::fmt::Write as _;
use std::io::{self, Write};

use super::checklist::{self, Cell, Checklist, State};
use super::model::{Artifact, Finding, Labelled, Report};
use super::{Failure, summary};
use crate::finding::Item;
use crate::text::{count, escape};

const STYLE: &str = include_str!("html/page.css");
const SCRIPT: &str = include_str!("html/page.js");
/// SHA-256 of the two, in base 64; a test keeps them.
const STYLE_HASH: &str = "93A4E0+GfuyvnyJk7Szul3BrDlxR08UByGXADIHkgSY=";
const SCRIPT_HASH: &str = "Sk6VfYjlRQHINJmndThwtqV/PtPbBSGsvXVSclspSiI=";

/// Symbols named for one version.
const SYMBOLS: usize = 200;

pub fn check(out: &mut impl Write, report: &Report) -> io::Result<()> {
    let list = Checklist::new(report);
    let mut page = String::new();
    head(&mut page, report, &list);
    problems(&mut page, report);
    table(&mut page, report, &list);
    findings(&mut page, report);
    accepted(&mut page, report);
    since(&mut page, report);
    needs(&mut page, report);
    policy(&mut page, report);
    let _ = write!(page, "</main>\n<script>{SCRIPT}</script>\n</html>\n");
    out.write_all(page.as_bytes())
}

/// Escaped text as text of the page.
fn markup(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            _ => html.push(letter),
        }
    }
    html
}

/// Text of our own or of a file, with its spans in backquotes as code.
fn prose(text: &str) -> String {
    let text = escape(text);
    let parts: Vec<&str> = text.split('`').collect();
    let mut html = String::new();
    for (at, part) in parts.iter().enumerate() {
        let (open, close) = match at % 2 == 1 {
            true if at + 1 < parts.len() => ("<code>", "</code>"),
            true => ("`", ""),
            false => ("", ""),
        };
        let _ = write!(html, "{open}{}{close}", markup(part));
    }
    html
}

fn name(text: &str) -> String {
    markup(&escape(text))
}

fn head(page: &mut String, report: &Report, list: &Checklist) {
    let state = match report.exit_code {
        0 if report.summary.warnings > 0 => "warning",
        0 => "kept",
        _ => "fails",
    };
    let verdict = match report.complete {
        true => summary::verdict(report),
        false => "nothing was judged".to_owned(),
    };
    let verdict = prose(&verdict);
    let policy = report.policy_shown();
    let against = match policy.is_empty() {
        true => String::new(),
        false => format!("held against <code>{}</code> ", markup(&policy)),
    };
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; \
         style-src 'sha256-{STYLE_HASH}'; script-src 'sha256-{SCRIPT_HASH}'; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <link rel=\"icon\" href=\"data:,\">\n\
         <title>Release checklist: {}</title>\n<style>{STYLE}</style>\n\
         <header class=\"{state}\">\n<h1>Release checklist</h1>\n<p class=\"verdict\">{verdict}</p>\n",
        strip_tags(&verdict),
    );
    if report.complete {
        let _ = writeln!(page, "<p>{}</p>", markup(&summary::subject(report)));
    }
    let _ = writeln!(
        page,
        "<p>{against}by cargo-compat {} on <time>{}</time></p>\n</header>\n<main>",
        name(&report.tool.version),
        name(&report.date)
    );
    let asides: Vec<String> = summary::lines(report).into_iter().skip(1).collect();
    if report.complete && !asides.is_empty() {
        let items: String = asides.iter().map(|line| format!("<li>{}</li>\n", markup(line))).collect();
        let _ = writeln!(page, "<ul class=\"asides\">\n{items}</ul>");
    }
    if list.rows.len() > 1 {
        controls(page, list);
    }
}

/// A title holds no tags.
fn strip_tags(html: &str) -> String {
    html.replace("<code>", "").replace("</code>", "")
}

fn controls(page: &mut String, list: &Checklist) {
    let mut states: Vec<State> = list.rows.iter().flat_map(|row| &row.cells).map(|cell| cell.state).collect();
    states.retain(|state| *state != State::Absent);
    states.sort_unstable_by(|a, b| b.cmp(a));
    states.dedup();
    let options: String = states
        .iter()
        .map(|state| format!("<option value=\"{}\">{}</option>", class(*state), state.words()))
        .collect();
    let _ = writeln!(
        page,
        "<form id=\"filter\" hidden>\n\
         <label>Filter <input type=\"search\" id=\"words\" autocomplete=\"off\" spellcheck=\"false\"></label>\n\
         <label>Show <select id=\"state\"><option value=\"\">all</option>{options}</select></label>\n\
         <output id=\"shown\" role=\"status\"></output>\n</form>"
    );
}

fn class(state: State) -> &'static str {
    match state {
        State::Absent => "absent",
        State::Runs => "runs",
        State::Kept => "kept",
        State::NotExamined => "not-examined",
        State::NoRule => "no-rule",
        State::Undecided => "undecided",
        State::Fails => "fails",
    }
}

fn problems(page: &mut String, report: &Report) {
    if report.policy_problems.is_empty() && report.failures.is_empty() {
        return;
    }
    page.push_str("<section>\n<h2>Not judged</h2>\n");
    for problem in &report.policy_problems {
        let _ = writeln!(page, "<article class=\"fails\">\n<h3>{}</h3>", prose(&problem.message));
        place(page, report, &Labelled { at: problem.at.clone(), label: problem.label.clone() });
        help(page, problem.help.as_deref());
        page.push_str("</article>\n");
    }
    for Failure { message, notes, help: todo } in &report.failures {
        let _ = writeln!(page, "<article class=\"fails\">\n<h3>{}</h3>", prose(message));
        list_of(page, notes.iter().map(|note| note.lines().map(prose).collect::<Vec<_>>().join("<br>")));
        help(page, todo.as_deref());
        page.push_str("</article>\n");
    }
    page.push_str("</section>\n");
}

fn list_of(page: &mut String, items: impl Iterator<Item = String>) {
    let items: String = items.map(|item| format!("<li>{item}</li>\n")).collect();
    if !items.is_empty() {
        let _ = writeln!(page, "<ul>\n{items}</ul>");
    }
}

/// The head of a table whose columns sort it.
fn columns<'c>(page: &mut String, caption: &str, columns: impl Iterator<Item = &'c str>) {
    let _ = write!(
        page,
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{caption}\">\n<table>\n<thead><tr>"
    );
    for column in columns {
        let _ = write!(page, "<th scope=\"col\">{}</th>", name(column));
    }
    page.push_str("</tr></thead>\n<tbody>\n");
}

fn table(page: &mut String, report: &Report, list: &Checklist) {
    if list.rows.is_empty() {
        return;
    }
    page.push_str("<section>\n<h2>Artifacts</h2>\n");
    let has_target = list.rows.iter().any(|row| row.target.is_some());
    let first = ["artifact"].into_iter().chain(has_target.then_some("target"));
    columns(page, "Artifacts", first.chain(list.columns.iter().map(String::as_str)));
    for row in &list.rows {
        let _ =
            write!(page, "<tr data-states=\"{}\"><th scope=\"row\">{}</th>", states(row), markup(&row.name));
        if let Some(target) = &row.target {
            let _ = write!(page, "<td data-column=\"target\">{}</td>", name(target));
        }
        for (cell, column) in row.cells.iter().zip(&list.columns) {
            state(page, report, cell, column);
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody></table>\n</div>\n</section>\n");
}

fn states(row: &checklist::Row) -> String {
    let mut states: Vec<&str> = row.cells.iter().map(|cell| class(cell.state)).collect();
    states.sort_unstable();
    states.dedup();
    states.join(" ")
}

fn state(page: &mut String, report: &Report, cell: &Cell, column: &str) {
    let _ = write!(
        page,
        "<td class=\"{}\" data-sort=\"{}\" data-column=\"{}\"><b><span aria-hidden=\"true\">{}</span> {}</b>",
        class(cell.state),
        cell.state as u8,
        name(column),
        cell.state.mark(),
        cell.state.words()
    );
    for reason in cell.reasons(report) {
        let _ = write!(page, " <a href=\"#finding-{}\">{}</a>", reason.first, name(reason.lint));
        if !reason.subjects.is_empty() {
            let _ = write!(page, " <small>{}</small>", markup(&reason.about()));
        }
    }
    for why in &cell.why {
        let _ = write!(page, " <small>{}</small>", prose(why));
    }
    for (number, noun) in [(cell.warnings, "warning"), (cell.accepted, "exception")] {
        if number > 0 {
            let _ = write!(page, " <small>{}</small>", count(number, noun));
        }
    }
    page.push_str("</td>");
}

fn findings(page: &mut String, report: &Report) {
    if report.findings.is_empty() {
        return;
    }
    page.push_str("<section>\n<h2>Findings</h2>\n");
    for (at, finding) in report.findings.iter().enumerate() {
        let weight = checklist::weight(report, finding);
        let class = if weight == "error" { "fails" } else { weight };
        let _ = writeln!(
            page,
            "<article id=\"finding-{at}\" class=\"{class}\" data-row>\n<h3><b>{weight}</b> {}</h3>\n\
             <p class=\"lint\"><code>{}</code></p>",
            prose(&finding.message),
            name(&finding.lint)
        );
        if let Some(forbids) = &finding.policy {
            place(page, report, forbids);
        }
        if let Some((path, target)) = report.place(finding) {
            let target = target.map(|target| format!(" for {}", markup(&target))).unwrap_or_default();
            let _ = writeln!(page, "<p>in <code>{}</code>{target}</p>", markup(&path));
        }
        list_of(page, finding.notes.iter().map(|note| prose(note)));
        symbols(page, finding);
        help(page, finding.help.as_deref());
        page.push_str("</article>\n");
    }
    page.push_str("</section>\n");
}

/// The line of the policy, with what forbids set off.
fn place(page: &mut String, report: &Report, forbids: &Labelled) {
    let at = format!("{}:{}:{}", report.policy_shown(), forbids.at.line, forbids.at.column);
    let line =
        report.policy.as_ref().and_then(|policy| policy.text.lines().nth(forbids.at.line.checked_sub(1)?));
    let line: Vec<char> = line.unwrap_or_default().chars().collect();
    let from = forbids.at.column.saturating_sub(1).min(line.len());
    let to = match forbids.at.end_line == forbids.at.line {
        true => forbids.at.end_column.saturating_sub(1).clamp(from, line.len()),
        false => line.len(),
    };
    let part = |letters: &[char]| name(&letters.iter().collect::<String>());
    let _ = writeln!(
        page,
        "<figure><figcaption><code>{}</code> {}</figcaption><pre><code>{}<mark>{}</mark>{}</code></pre></figure>",
        markup(&at),
        prose(&forbids.label),
        part(&line[..from]),
        part(&line[from..to]),
        part(&line[to..])
    );
}

/// What people are shown only in part above.
fn symbols(page: &mut String, finding: &Finding) {
    let versions: Vec<_> = finding
        .items
        .iter()
        .filter_map(|item| match item {
            Item::Version { version, file, symbols: Some(symbols), .. } if !symbols.is_empty() => {
                Some((version, file, symbols))
            }
            _ => None,
        })
        .collect();
    let number: usize = versions.iter().map(|(.., symbols)| symbols.len()).sum();
    if number < 5 {
        return;
    }
    let _ = writeln!(page, "<details><summary>{}</summary>\n<ul>", count(number, "symbol"));
    for (version, file, symbols) in versions {
        let named: Vec<String> = symbols
            .iter()
            .take(SYMBOLS)
            .map(|symbol| {
                let weak = if symbol.weak { " (weak)" } else { "" };
                format!("<code>{}</code>{weak}", name(&symbol.name))
            })
            .collect();
        let more = match symbols.len().saturating_sub(SYMBOLS) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let named = named.join(", ");
        let _ = writeln!(
            page,
            "<li><code>{}</code> of <code>{}</code>: {named}{more}</li>",
            name(version),
            name(file)
        );
    }
    page.push_str("</ul></details>\n");
}

fn help(page: &mut String, help: Option<&str>) {
    let Some(help) = help else { return };
    let mut lines = help.lines();
    let _ = writeln!(page, "<p class=\"help\"><b>help</b> {}</p>", prose(lines.next().unwrap_or_default()));
    let rest: Vec<String> = lines.map(name).collect();
    if !rest.is_empty() {
        let _ = writeln!(page, "<pre tabindex=\"0\"><code>{}</code></pre>", rest.join("\n"));
    }
}

fn accepted(page: &mut String, report: &Report) {
    if report.accepted.is_empty() {
        return;
    }
    page.push_str("<section>\n<h2>Accepted by exceptions</h2>\n");
    columns(page, "Accepted by exceptions", ["finding", "lint", "reason", "until"].into_iter());
    for accepted in &report.accepted {
        let finding = &accepted.finding;
        let until = accepted.until.as_deref().unwrap_or("no date");
        let _ = writeln!(
            page,
            "<tr><th scope=\"row\">{}</th><td data-column=\"lint\"><code>{}</code></td>\
             <td data-column=\"reason\">{}</td><td data-column=\"until\">{}</td></tr>",
            prose(&finding.message),
            name(&finding.lint),
            prose(&accepted.reason),
            name(until)
        );
    }
    page.push_str("</tbody></table>\n</div>\n</section>\n");
}

fn since(page: &mut String, report: &Report) {
    let Some(since) = &report.since else { return };
    let lines = since.lines();
    if lines.is_empty() {
        return;
    }
    let title = format!("Since {}", report.shown(&since.path));
    let _ = writeln!(page, "<section>\n<h2>{}</h2>", markup(&title));
    columns(page, &markup(&title), ["artifact", "architecture", "what", "change"].into_iter());
    for line in lines {
        let worse = if line.worse { "<strong>worse</strong> " } else { "" };
        let _ = writeln!(
            page,
            "<tr><th scope=\"row\">{}</th><td data-column=\"architecture\">{}</td>\
             <td data-column=\"what\">{}</td><td data-column=\"change\">{worse}{}</td></tr>",
            name(&line.artifact),
            name(&line.architecture),
            name(&line.what),
            name(&line.change)
        );
    }
    page.push_str("</tbody></table>\n</div>\n</section>\n");
}

fn needs(page: &mut String, report: &Report) {
    let names = checklist::names(report);
    let known: Vec<(&Artifact, &String)> =
        report.artifacts.iter().zip(&names).filter(|(artifact, _)| artifact.needs.is_some()).collect();
    if known.is_empty() {
        return;
    }
    const COLUMNS: [&str; 8] = [
        "linkage",
        "floors",
        "needed libraries",
        checklist::PACKAGES,
        "architecture",
        "interpreter",
        "run path",
        "kernel",
    ];
    let rows: Vec<_> = known.iter().map(|(artifact, _)| checklist::needs(artifact)).collect();
    let used: Vec<&str> = COLUMNS
        .into_iter()
        .filter(|column| rows.iter().flatten().any(|(subject, _)| subject == column))
        .collect();
    page.push_str("<section>\n<h2>What they need</h2>\n");
    columns(page, "What they need", ["artifact", "target"].into_iter().chain(used.iter().copied()));
    for ((artifact, shown), needs) in known.iter().zip(&rows) {
        let targets = checklist::targets(artifact).join(", ");
        let _ = write!(
            page,
            "<tr><th scope=\"row\">{}</th><td data-column=\"target\">{}</td>",
            markup(shown),
            name(&targets)
        );
        for column in &used {
            let value = needs.iter().find(|(subject, _)| subject == column);
            let value = value.map_or_else(|| "–".to_owned(), |(_, value)| name(value));
            let _ = write!(page, "<td data-column=\"{column}\">{value}</td>");
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody></table>\n</div>\n</section>\n");
}

fn policy(page: &mut String, report: &Report) {
    let Some(policy) = &report.policy else { return };
    let text: Vec<String> = policy.text.lines().map(name).collect();
    let _ = writeln!(
        page,
        "<section>\n<h2>Policy</h2>\n<details><summary><code>{}</code></summary>\n\
         <pre tabindex=\"0\"><code>{}</code></pre></details>\n</section>",
        markup(&report.policy_shown()),
        text.join("\n")
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_name_is_markup() {
        assert_eq!(prose("`a<b>` & \"`"), "<code>a&lt;b&gt;</code> &amp; &quot;`");
        assert_eq!(name("'\n\u{202e}"), "&#39;\\n\\u{202e}");
    }

    #[test]
    fn the_page_allows_its_own_script_and_style() {
        use base64::Engine as _;
        use sha2::{Digest as _, Sha256};
        let hash =
            |text: &str| base64::engine::general_purpose::STANDARD.encode(Sha256::digest(text.as_bytes()));
        assert_eq!((STYLE_HASH, SCRIPT_HASH), (&*hash(STYLE), &*hash(SCRIPT)));
        assert!(!STYLE.contains("</") && !SCRIPT.contains("</"));
    }
}
