//! `undefined`: symbols that the program which loads an artifact provides.

use super::presets::{Chosen, PREFIX};
use super::{At, Pattern, Problem, Rules};
use crate::text::nearest_symbol;

/// One entry of `undefined`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowance {
    /// A glob, or a name taken literally (fact 26).
    Pattern(Pattern),
    Preset(Chosen),
}

impl Allowance {
    pub fn allows(&self, symbol: &str) -> bool {
        match self {
            Self::Pattern(pattern) => pattern.matches(symbol),
            Self::Preset(chosen) => chosen.has(symbol),
        }
    }

    /// As the policy writes it.
    pub fn text(&self) -> String {
        match self {
            Self::Pattern(pattern) => pattern.text().to_owned(),
            Self::Preset(chosen) => chosen.id(),
        }
    }
}

/// An undefined symbol held against the policy.
#[derive(Debug)]
pub enum Provided<'r> {
    /// The entry of `undefined` that allows it.
    Allowed { by: &'r At<Allowance> },
    NotAllowed {
        /// A name that is allowed and differs little: perhaps the one meant.
        nearest: Option<String>,
        /// Why a preset that is named does not allow it, in words.
        preset_hint: Option<String>,
    },
}

impl Provided<'_> {
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed { .. })
    }
}

impl Rules {
    /// Whether `undefined` allows a symbol; without that key none is allowed.
    pub fn allows_undefined(&self, symbol: &str) -> bool {
        self.undefined.iter().flat_map(|list| &list.value).any(|entry| entry.value.allows(symbol))
    }

    /// Holds an undefined symbol against `undefined`, and looks for what was meant where it is not allowed.
    pub fn provided(&self, symbol: &str) -> Provided<'_> {
        let entries = self.undefined.iter().flat_map(|list| &list.value);
        if let Some(by) = entries.clone().find(|entry| entry.value.allows(symbol)) {
            return Provided::Allowed { by };
        }
        let presets: Vec<Chosen> = entries
            .clone()
            .filter_map(|entry| match &entry.value {
                Allowance::Preset(chosen) => Some(*chosen),
                Allowance::Pattern(_) => None,
            })
            .collect();
        let literal = entries.filter_map(|entry| match &entry.value {
            Allowance::Pattern(pattern) => Some(pattern.text()),
            Allowance::Preset(_) => None,
        });
        let mut names: Vec<&str> = literal.collect();
        for chosen in &presets {
            chosen.names().for_each(|name| names.push(name));
        }
        Provided::NotAllowed {
            nearest: nearest_symbol(symbol, names).map(str::to_owned),
            preset_hint: presets.iter().find_map(|chosen| chosen.hint(symbol)),
        }
    }
}

/// Reads one entry.
pub fn parse(text: &str, span: std::ops::Range<usize>) -> Result<At<Allowance>, Problem> {
    if let Some(word) = text.strip_prefix(PREFIX) {
        return match Chosen::parse(word.trim()) {
            Ok(chosen) => Ok(At { value: Allowance::Preset(chosen), span }),
            Err(unknown) => Err(Problem::new(unknown.message, span).help(unknown.help)),
        };
    }
    if text.is_empty() {
        return Err(Problem::new("an empty name matches nothing", span));
    }
    match Pattern::new(text) {
        Ok(pattern) => Ok(At { value: Allowance::Pattern(pattern), span }),
        Err(error) => Err(Problem::new(format!("`{text}` is no glob"), span)
            .label(error.kind().to_string())
            .help("a backslash before a character of globs takes it as it is")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Name, Source, parse as parse_policy};

    fn rules(list: &str) -> Rules {
        let text = format!("undefined = {list}\n");
        let policy = parse_policy(Source { path: "compat.toml".into(), text }).unwrap();
        policy.rules(None, &Name::of_file("plugin.so")).unwrap()
    }

    #[test]
    fn globs_and_literal_names() {
        let rules = rules(r#"["Py*", "example.com/x.(*T).entry", "example.com/y.Map[...]"]"#);
        for (symbol, expected) in [
            ("PyList_New", true),
            ("_PyList_New", false),
            ("example.com/x.(*T).entry", true),
            ("example.com/y.Map[...]", true),
            ("example.org/x.(*T).entry", false),
        ] {
            assert_eq!(rules.provided(symbol).is_allowed(), expected, "{symbol}");
        }
        // A moved import path is named.
        match rules.provided("acme/vendor/example.com/x.(*T).entry") {
            Provided::NotAllowed { nearest, .. } => {
                assert_eq!(nearest.as_deref(), Some("example.com/x.(*T).entry"));
            }
            Provided::Allowed { .. } => panic!("allowed"),
        }
    }

    #[test]
    fn presets_name_what_was_meant() {
        let rules = rules(r#"["preset:napi-8"]"#);
        assert!(rules.provided("napi_throw").is_allowed());
        match rules.provided("napi_create_objetc") {
            Provided::NotAllowed { nearest, .. } => {
                assert_eq!(nearest.as_deref(), Some("napi_create_object"));
            }
            Provided::Allowed { .. } => panic!("allowed"),
        }
        match rules.provided("node_api_symbol_for") {
            Provided::NotAllowed { preset_hint, .. } => {
                assert!(preset_hint.unwrap().contains("9 and newer"));
            }
            Provided::Allowed { .. } => panic!("allowed"),
        }
    }

    #[test]
    fn without_the_key_nothing_is_allowed() {
        assert!(!Rules::default().provided("anything").is_allowed());
    }
}
