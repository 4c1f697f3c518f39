//! `[[exception]]`: findings that are accepted, with their reasons.

use jiff::civil::Date;
use toml::de::DeValue;

use super::parse::{Value, Walk};
use super::{At, Exception, Problem, TargetSelector};

pub const KEYS: &[&str] = &["lint", "subject", "artifact", "target", "platform", "reason", "until"];

impl Walk {
    pub fn exceptions(&mut self, value: &Value<'_>) -> Vec<Exception> {
        let Some(array) = value.get_ref().as_array() else {
            self.wrong_type(value, "exception", "a list of tables, each opened by [[exception]]");
            return Vec::new();
        };
        array.iter().filter_map(|value| self.exception(value)).collect()
    }

    fn exception(&mut self, value: &Value<'_>) -> Option<Exception> {
        let table = self.table(value, "exception")?;
        let before = self.problems.len();
        let mut lint = None;
        let mut reason = None;
        let mut exception = Exception {
            span: value.span(),
            lint: "",
            subject: None,
            artifact: None,
            target: None,
            platform: None,
            reason: String::new(),
            until: None,
        };
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            match name {
                "until" => exception.until = self.date(value),
                "lint" | "subject" | "artifact" | "target" | "platform" | "reason" => {
                    let Some(At { value: text, span }) = self.string(value, name) else { continue };
                    match name {
                        "lint" => lint = self.lint(&text, span),
                        "subject" => exception.subject = Some(text),
                        "artifact" => exception.artifact = self.pattern(&text, span),
                        "target" => match TargetSelector::parse(&text, span.clone()) {
                            Ok(value) => exception.target = Some(At { value, span }),
                            Err(problem) => self.problem(problem),
                        },
                        "platform" => exception.platform = Some(text),
                        _ => reason = Some(At { value: text, span }),
                    }
                }
                other => self.unknown_key(other, key.span(), "[[exception]]", &[KEYS]),
            }
        }
        if !table.iter().any(|(key, _)| key.get_ref() == "lint") {
            self.problem(
                Problem::new("an exception without `lint`", value.span())
                    .help("name the lint that it is for"),
            );
        }
        match reason {
            Some(At { value, .. }) if !value.trim().is_empty() => exception.reason = value,
            Some(At { span, .. }) => self.problem(
                Problem::new("an exception without a reason", span)
                    .help("say why it is accepted, for the next reader"),
            ),
            None if table.iter().any(|(key, _)| key.get_ref() == "reason") => {}
            None => self.problem(
                Problem::new("an exception without `reason`", value.span())
                    .help("say why it is accepted, for the next reader: reason = \"…\""),
            ),
        }
        exception.lint = lint?.name;
        (self.problems.len() == before).then_some(exception)
    }

    fn date(&mut self, value: &Value<'_>) -> Option<At<Date>> {
        // TOML has dates of its own; in quotes they are taken too.
        let text = match value.get_ref() {
            DeValue::Datetime(date) => date.to_string(),
            other => match other.as_str() {
                Some(text) => text.to_owned(),
                None => {
                    self.wrong_type(value, "until", "a date");
                    return None;
                }
            },
        };
        match text.parse::<Date>() {
            Ok(date) if text.len() == 10 => Some(At { value: date, span: value.span() }),
            _ => {
                self.problem(
                    Problem::new(format!("`{text}` is no date"), value.span())
                        .help("year-month-day: 2027-06-30"),
                );
                None
            }
        }
    }
}
