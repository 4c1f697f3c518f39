//! The checklist of a release as GitHub's Markdown.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::checklist::{self, Cell, Checklist, PACKAGES};
use super::model::{Finding, Report};
use super::{Failure, summary};
use crate::text::{count, escape};

/// Writes at most `limit` bytes; what no longer fits is counted.
pub fn check(out: &mut impl Write, report: &Report, limit: usize) -> io::Result<()> {
    let mut page = Page { text: String::new(), limit: limit.saturating_sub(RESERVED), left_out: 0 };
    page.head(report);
    page.problems(report);
    page.table(report);
    page.findings(report);
    page.accepted(report);
    page.since(report);
    page.needs(report);
    page.end();
    out.write_all(page.text.as_bytes())
}

/// For the last line.
const RESERVED: usize = 200;

struct Page {
    text: String,
    limit: usize,
    left_out: usize,
}

impl Page {
    /// Adds a part that stands alone, if there is room.
    fn add(&mut self, part: &str) -> bool {
        let fits = self.text.len() + part.len() <= self.limit;
        match fits {
            true => self.text.push_str(part),
            false => self.left_out += 1,
        }
        fits
    }

    /// A table, row by row.
    fn add_table(&mut self, title: &str, columns: &[String], rows: impl Iterator<Item = Vec<String>>) {
        let mut head = format!("## {title}\n\n| {} |\n|", columns.join(" | "));
        head.push_str(&" --- |".repeat(columns.len()));
        head.push('\n');
        let mut fits = self.add(&head);
        for row in rows {
            let line = format!("| {} |\n", row.join(" | "));
            if fits {
                fits = self.add(&line);
            } else {
                self.left_out += 1;
            }
        }
        self.add("\n");
    }

    fn head(&mut self, report: &Report) {
        let mark = match report.exit_code {
            0 if report.summary.warnings > 0 => "⚠️",
            0 => "✅",
            _ => "❌",
        };
        let verdict = match report.complete {
            true => summary::verdict(report),
            false => "nothing was judged".to_owned(),
        };
        let mut head = format!("# {mark} Release checklist: {}\n\n", inline(&verdict));
        if report.complete {
            let mut lines = summary::lines(report).into_iter();
            // The verdict stands in the title.
            lines.next();
            let _ = writeln!(head, "- {}", inline(&summary::subject(report)));
            for line in lines {
                let _ = writeln!(head, "- {}", inline(&line));
            }
        }
        let policy = report.policy_shown();
        let by = escape(&format!("by cargo-compat {} on {}", report.tool.version, report.date));
        let _ = match policy.is_empty() {
            true => writeln!(head, "- {}\n", inline(&by)),
            false => writeln!(head, "- held against {} {}\n", code(&policy), inline(&by)),
        };
        self.add(&head);
    }

    fn problems(&mut self, report: &Report) {
        for problem in &report.policy_problems {
            let at = format!("{}:{}:{}", report.policy_shown(), problem.at.line, problem.at.column);
            let mut text =
                format!("- **wrong policy**, {}: {}", code(&at), inline(&escape(&problem.message)));
            if !problem.label.is_empty() {
                let _ = write!(text, " ({})", inline(&escape(&problem.label)));
            }
            text.push('\n');
            text.push_str(&help(problem.help.as_deref(), "  "));
            self.add(&text);
        }
        for failure in &report.failures {
            self.add(&self::failure(failure));
        }
        if !report.policy_problems.is_empty() || !report.failures.is_empty() {
            self.add("\n");
        }
    }

    fn table(&mut self, report: &Report) {
        let list = Checklist::new(report);
        if list.rows.is_empty() {
            return;
        }
        let has_target = list.rows.iter().any(|row| row.target.is_some());
        let mut columns = vec!["artifact".to_owned()];
        columns.extend(has_target.then(|| "target".to_owned()));
        columns.extend(list.columns.iter().map(|column| in_table(&inline(&escape(column)))));
        let rows = list.rows.iter().map(|row| {
            let mut cells = vec![in_table(&code(&row.name))];
            cells.extend(row.target.iter().map(|target| in_table(&inline(&escape(target)))));
            cells.extend(row.cells.iter().map(|cell| in_table(&state(report, cell))));
            cells
        });
        self.add_table("Artifacts", &columns, rows);
    }

    fn findings(&mut self, report: &Report) {
        if report.findings.is_empty() {
            return;
        }
        self.add("## Findings\n\n");
        for finding in &report.findings {
            self.add(&self::finding(report, finding));
        }
        self.add("\n");
    }

    fn accepted(&mut self, report: &Report) {
        if report.accepted.is_empty() {
            return;
        }
        let columns = ["finding", "reason", "until"].map(str::to_owned);
        let rows = report.accepted.iter().map(|accepted| {
            let finding = &accepted.finding;
            let text = format!("{} {}", code(&finding.lint), inline(&escape(&finding.message)));
            let until = accepted.until.clone().unwrap_or_else(|| "no date".to_owned());
            vec![in_table(&text), in_table(&inline(&escape(&accepted.reason))), inline(&escape(&until))]
        });
        self.add_table("Accepted by exceptions", &columns, rows);
    }

    fn since(&mut self, report: &Report) {
        let Some(since) = &report.since else { return };
        let lines = since.lines();
        if lines.is_empty() {
            return;
        }
        let columns = ["artifact", "architecture", "what", "change"].map(str::to_owned);
        let rows = lines.iter().map(|line| {
            let worse = if line.worse { "**worse** " } else { "" };
            let plain = |text: &str| in_table(&inline(&escape(text)));
            let change = format!("{worse}{}", plain(&line.change));
            vec![in_table(&code(&line.artifact)), plain(&line.architecture), plain(&line.what), change]
        });
        self.add_table(&format!("Since {}", inline(&report.shown(&since.path))), &columns, rows);
    }

    fn needs(&mut self, report: &Report) {
        let names = checklist::names(report);
        let known = report.artifacts.iter().zip(&names).filter(|(artifact, _)| artifact.needs.is_some());
        let mut known = known.peekable();
        if known.peek().is_none() {
            return;
        }
        let mut columns = vec!["artifact", "target", "linkage", "floors", "needed libraries"];
        let packages = |artifact| checklist::needs(artifact).iter().any(|(subject, _)| *subject == PACKAGES);
        if report.artifacts.iter().any(packages) {
            columns.push(PACKAGES);
        }
        let titles: Vec<String> = columns.iter().map(|title| (*title).to_owned()).collect();
        let rows = known.map(|(artifact, name)| {
            let needs = checklist::needs(artifact);
            let value = |wanted: &str| {
                let value =
                    needs.iter().find(|(subject, _)| *subject == wanted).map(|(_, value)| escape(value));
                in_table(&value.map_or_else(|| "–".to_owned(), |value| inline(&value)))
            };
            let targets = checklist::targets(artifact).join(", ");
            let mut row = vec![in_table(&code(name)), in_table(&inline(&escape(&targets)))];
            row.extend(columns[2..].iter().map(|column| value(column)));
            row
        });
        self.add_table("What they need", &titles, rows);
    }

    fn end(&mut self) {
        if self.left_out > 0 {
            let left_out = count(self.left_out, "part");
            let _ = writeln!(
                self.text,
                "\n**{left_out} more** had no room here; the JSON report holds everything."
            );
        }
    }
}

fn state(report: &Report, cell: &Cell) -> String {
    let mut text = format!("{} {}", cell.state.mark(), cell.state.words());
    let mut why: Vec<String> = Vec::new();
    for reason in cell.reasons(report) {
        why.push(match reason.about().as_str() {
            "" => code(reason.lint),
            about => format!("{} ({})", code(reason.lint), inline(about)),
        });
    }
    why.extend(cell.why.iter().map(|why| inline(&escape(why))));
    if !why.is_empty() {
        let _ = write!(text, ": {}", why.join(", "));
    }
    for (number, noun) in [(cell.warnings, "warning"), (cell.accepted, "exception")] {
        if number > 0 {
            let _ = write!(text, ", {}", count(number, noun));
        }
    }
    text
}

fn failure(failure: &Failure) -> String {
    let mut text = format!("- **not judged:** {}\n", inline(&escape(&failure.message)));
    for note in &failure.notes {
        let lines: Vec<String> = note.lines().map(|line| inline(&escape(line))).collect();
        let _ = writeln!(text, "  - {}", lines.join(" "));
    }
    text + &help(failure.help.as_deref(), "  ")
}

fn finding(report: &Report, finding: &Finding) -> String {
    let weight = checklist::weight(report, finding);
    let mut text = format!("- **{weight}** {}: {}\n", code(&finding.lint), inline(&escape(&finding.message)));
    if let Some(forbids) = &finding.policy {
        let at = format!("{}:{}:{}", report.policy_shown(), forbids.at.line, forbids.at.column);
        let label = match forbids.label.is_empty() {
            true => String::new(),
            false => format!(": {}", inline(&escape(&forbids.label))),
        };
        let _ = writeln!(text, "  - {}{label}", code(&at));
    }
    if let Some((path, target)) = report.place(finding) {
        let target = target.map(|target| format!(" for {}", inline(&target))).unwrap_or_default();
        let _ = writeln!(text, "  - in {}{target}", code(&path));
    }
    for note in &finding.notes {
        let _ = writeln!(text, "  - {}", inline(&escape(note)));
    }
    text + &help(finding.help.as_deref(), "  ")
}

/// The first line as text; what follows is to be pasted.
fn help(help: Option<&str>, indent: &str) -> String {
    let Some(help) = help else { return String::new() };
    let mut lines = help.lines().map(escape);
    let mut text = format!("{indent}- **help:** {}\n", inline(&lines.next().unwrap_or_default()));
    let rest: Vec<String> = lines.collect();
    if !rest.is_empty() {
        let longest = rest.iter().map(|line| longest_run(line)).max().unwrap_or(0);
        let fence = "`".repeat(3.max(longest + 1));
        let _ = writeln!(text, "\n{indent}  {fence}text");
        for line in rest {
            let _ = writeln!(text, "{indent}  {line}");
        }
        let _ = writeln!(text, "{indent}  {fence}\n");
    }
    text
}

fn longest_run(text: &str) -> usize {
    text.split(|letter| letter != '`').map(str::len).max().unwrap_or(0)
}

/// Escaped text as a code span, by a fence that it does not hold (CommonMark, "Code spans").
fn code(text: &str) -> String {
    if text.is_empty() {
        return "``".to_owned() + " ``";
    }
    let fence = "`".repeat(longest_run(text) + 1);
    let pad = if text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']) { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// Escaped text whose spans in backquotes are code; outside of them no character of it is markup.
fn inline(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    let mut markdown = String::new();
    for (at, part) in parts.iter().enumerate() {
        let is_code = at % 2 == 1 && at + 1 < parts.len();
        if is_code && !part.is_empty() {
            markdown.push_str(&code(part));
            continue;
        }
        if at % 2 == 1 {
            // One that is not closed, or nothing between two.
            markdown.push_str("\\`");
        }
        let mut before = ' ';
        let mut letters = part.chars().peekable();
        while let Some(letter) = letters.next() {
            let inside =
                before.is_alphanumeric() && letters.peek().is_some_and(|next| next.is_alphanumeric());
            before = letter;
            match letter {
                // Inside of a word it is no emphasis.
                '_' if inside => markdown.push('_'),
                '<' => markdown.push_str("&lt;"),
                '>' => markdown.push_str("&gt;"),
                '&' => markdown.push_str("&amp;"),
                '\\' | '*' | '_' | '[' | ']' | '#' | '|' | '~' | '$' => {
                    markdown.push('\\');
                    markdown.push(letter);
                }
                // Or GitHub tells whoever has that name.
                '@' => markdown.push_str("<span>@</span>"),
                _ => markdown.push(letter),
            }
        }
        if is_code {
            markdown.push_str("\\`");
        }
    }
    markdown
}

/// In a table a bar ends the cell, in code too (GitHub Flavored Markdown, "Tables").
fn in_table(markdown: &str) -> String {
    let mut text = String::with_capacity(markdown.len());
    let mut escaped = false;
    for letter in markdown.chars() {
        if letter == '|' && !escaped {
            text.push('\\');
        }
        escaped = letter == '\\' && !escaped;
        text.push(letter);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_code() {
        assert_eq!(code("a"), "`a`");
        assert_eq!(code("a`b"), "``a`b``");
        assert_eq!(code("`a``"), "``` `a`` ```");
        assert_eq!(code(" a"), "`  a `");
    }

    #[test]
    fn text_is_no_markup() {
        assert_eq!(inline("`a_b` is *not* <b>"), "`a_b` is \\*not\\* &lt;b&gt;");
        assert_eq!(inline("x86_64 __a_"), "x86_64 \\_\\_a\\_");
        assert_eq!(inline("a ` b"), "a \\` b");
        assert_eq!(inline("a `` b"), "a \\`\\` b");
        assert_eq!(inline("`a` `b` `c"), "`a` `b` \\`c");
        assert_eq!(in_table(&inline("a|b `c|d`")), "a\\|b `c\\|d`");
        // A bar ends a cell unless the backslashes before it are odd in number.
        assert_eq!(in_table(&code("a\\|b\\\\|c")), "`a\\|b\\\\\\|c`");
    }
}
