//! What a question is about: a symbol, a version, versions above one, or a
//! library.

use std::collections::BTreeSet;

use crate::artifact::{AbiVersion, Artifact, Binding, Release, Symbol, Symbols};
use crate::finding::Item;
use crate::finding::cause::What;
use crate::text::{did_you_mean, escape};

/// A question, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// `stat64`, `GLIBC_2.34`: which it is the file tells.
    Word(String),
    /// `stat64@GLIBC_2.33`.
    Symbol { name: String, version: String },
    /// `GLIBC>2.28`, `GLIBC>=2.28`.
    Newer { namespace: String, than: Release, or_equal: bool },
    /// `libssl.so.3`; `libssl.so` and `ssl` mean any version of it.
    Library(String),
}

impl Asked {
    /// Reads the words of the command line; an error says what is wrong.
    pub fn parse(word: &str) -> Result<Self, String> {
        let word = word.trim();
        if word.is_empty() {
            return Err("it names nothing".to_owned());
        }
        if let Some((namespace, rest)) = word.split_once('>') {
            let (or_equal, number) = match rest.strip_prefix('=') {
                Some(number) => (true, number),
                None => (false, rest),
            };
            let number = number.trim();
            let number = number.strip_prefix(&format!("{}_", namespace.trim())).unwrap_or(number);
            let than = Release::parse(number).ok_or_else(|| format!("`{number}` is no version number"))?;
            return Ok(Self::Newer { namespace: namespace.trim().to_owned(), than, or_equal });
        }
        if word.contains(".so") {
            return Ok(Self::Library(word.to_owned()));
        }
        Ok(match word.split_once('@') {
            Some((name, version)) => {
                Self::Symbol { name: name.to_owned(), version: version.trim_start_matches('@').to_owned() }
            }
            None => Self::Word(word.to_owned()),
        })
    }

    /// What of a file it is about, the newest version first; empty where the
    /// file has nothing of it.
    pub fn of(&self, facts: &Artifact) -> Vec<What> {
        let mut found = match self {
            Self::Symbol { name, version } => {
                let is_it =
                    |symbol: &Symbol| symbol.name == *name && symbol.version.as_ref() == Some(version);
                symbols(facts, is_it)
            }
            Self::Library(name) => libraries(facts, name),
            Self::Newer { namespace, than, or_equal } => versions(facts, |version| {
                let read = AbiVersion::parse(version, [namespace.as_str()]);
                let above = |release: &Release| release > than || (*or_equal && release == than);
                read.namespace == *namespace && read.tag.release().is_some_and(above)
            }),
            Self::Word(word) => {
                let named = symbols(facts, |symbol| symbol.name == *word);
                let named = if named.is_empty() { versions(facts, |version| version == word) } else { named };
                if named.is_empty() { libraries(facts, word) } else { named }
            }
        };
        sort(&mut found);
        found
    }
}

impl Asked {
    /// What may have been meant, of the words that could be asked.
    pub fn near(&self, word: &str, known: &BTreeSet<String>) -> Option<String> {
        if let Self::Symbol { name, .. } = self {
            let own: Vec<String> =
                known.iter().filter(|word| word.starts_with(&format!("{name}@"))).cloned().collect();
            if let Some(first) = own.first() {
                return Some(format!("did you mean `{}`?", escape(first)));
            }
        }
        let version = match self {
            Self::Newer { namespace, .. } => Some(namespace.clone()),
            Self::Word(word) => {
                let read = AbiVersion::parse(word, []);
                read.tag.release().map(|_| read.namespace)
            }
            _ => None,
        };
        if let Some(namespace) = version {
            let all = known.iter().map(|word| AbiVersion::parse(word, []));
            let all = all.filter(|version| version.namespace == namespace);
            if let Some(newest) = all.filter_map(|version| version.tag.release().cloned()).max() {
                return Some(format!("the newest {} needed is {newest}", escape(&namespace)));
            }
        }
        let word = if let Self::Symbol { name, .. } = self { name } else { word };
        let words = known.iter().map(String::as_str).filter(|known| !known.contains('@'));
        let near = did_you_mean(word, words)?;
        Some(format!("did you mean `{}`?", escape(near)))
    }
}

/// What can be asked of a file, word by word.
pub fn words(facts: &Artifact) -> impl Iterator<Item = String> {
    let symbols = imports(facts).flat_map(|symbol| {
        let versioned = symbol.version.as_ref().map(|version| format!("{}@{version}", symbol.name));
        [Some(symbol.name.clone()), versioned].into_iter().flatten()
    });
    let versions = facts.version_needs.iter().map(|need| need.version.clone());
    symbols.chain(versions).chain(facts.needed.iter().cloned())
}

/// What a finding of the policy is about.
pub fn of_items(facts: &Artifact, items: &[Item]) -> Vec<What> {
    let mut found = Vec::new();
    for item in items {
        match item {
            Item::Version { version, file, .. } => {
                found.extend(version_of(facts, version, file));
            }
            Item::Symbol { name, .. } => found.extend(symbols(facts, |symbol| symbol.name == *name)),
            Item::Library { name } => found.push(What::Library { name: name.clone() }),
            _ => {}
        }
    }
    found
}

/// The newest version first, then by name; each once.
pub fn sort(found: &mut Vec<What>) {
    found.sort_by_cached_key(|what| {
        let (version, name) = match what {
            What::Symbol { name, version, .. } => (version.clone(), name.clone()),
            What::Version { version, .. } => (Some(version.clone()), String::new()),
            What::Library { name } => (None, name.clone()),
        };
        let read = version.as_deref().map(|version| AbiVersion::parse(version, []));
        let namespace = read.as_ref().map(|version| version.namespace.clone());
        let release = read.and_then(|version| version.tag.release().cloned());
        (namespace, std::cmp::Reverse(release), version, name)
    });
    found.dedup();
}

/// Symbols that another file has to define, those copied from it included.
pub fn imports(facts: &Artifact) -> impl Iterator<Item = &Symbol> {
    let symbols = facts.symbols.as_ref().map(Symbols::known).unwrap_or_default();
    symbols.iter().filter(|symbol| !symbol.name.is_empty() && (!symbol.defined || symbol.file.is_some()))
}

fn symbols(facts: &Artifact, is_wanted: impl Fn(&Symbol) -> bool) -> Vec<What> {
    imports(facts).filter(|symbol| is_wanted(symbol)).map(what).collect()
}

fn what(symbol: &Symbol) -> What {
    What::Symbol {
        name: symbol.name.clone(),
        version: symbol.version.clone(),
        file: symbol.file.clone(),
        weak: symbol.binding == Binding::Weak && !symbol.defined,
    }
}

fn versions(facts: &Artifact, is_wanted: impl Fn(&str) -> bool) -> Vec<What> {
    let needs = facts.version_needs.iter().filter(|need| is_wanted(&need.version));
    needs.flat_map(|need| version_of(facts, &need.version, &need.file)).collect()
}

/// The symbols that carry a version, or the version alone.
fn version_of(facts: &Artifact, version: &str, file: &str) -> Vec<What> {
    let carries = |symbol: &Symbol| {
        symbol.version.as_deref() == Some(version) && symbol.file.as_deref().is_none_or(|own| own == file)
    };
    let carriers = symbols(facts, carries);
    match carriers.is_empty() {
        true => vec![What::Version { version: version.to_owned(), file: file.to_owned() }],
        false => carriers,
    }
}

fn libraries(facts: &Artifact, word: &str) -> Vec<What> {
    let is_it = |name: &&String| {
        let stem = name.split(".so").next().unwrap_or(name);
        *name == word
            || name
                .strip_prefix(word)
                .is_some_and(|rest| rest.is_empty() || (word.ends_with(".so") && rest.starts_with('.')))
            || stem == word
            || stem.strip_prefix("lib") == Some(word)
    };
    facts.needed.iter().filter(is_it).map(|name| What::Library { name: name.clone() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant() {
        let known = ["log", "log@GLIBC_2.29", "GLIBC_2.29", "GLIBC_2.36", "OPENSSL_3.0.0", "libm.so.6"];
        let known: BTreeSet<String> = known.into_iter().map(str::to_owned).collect();
        for (word, expected) in [
            ("log@GLIBC_2.2", Some("did you mean `log@GLIBC_2.29`?")),
            ("GLIBC_2.35", Some("the newest GLIBC needed is 2.36")),
            ("GLIBC>2.99", Some("the newest GLIBC needed is 2.36")),
            ("GLIBCC_2.29", Some("did you mean `GLIBC_2.29`?")),
            ("libmm.so.6", Some("did you mean `libm.so.6`?")),
            ("quite_another", None),
        ] {
            assert_eq!(Asked::parse(word).unwrap().near(word, &known).as_deref(), expected, "{word}");
        }
    }

    #[test]
    fn questions() {
        let newer = |than: &str, or_equal| Asked::Newer {
            namespace: "GLIBC".to_owned(),
            than: Release::parse(than).unwrap(),
            or_equal,
        };
        for (word, expected) in [
            ("stat64", Asked::Word("stat64".to_owned())),
            ("GLIBC_2.34", Asked::Word("GLIBC_2.34".to_owned())),
            ("GLIBC>2.28", newer("2.28", false)),
            ("GLIBC > GLIBC_2.28", newer("2.28", false)),
            ("GLIBC>=2.28", newer("2.28", true)),
            ("libssl.so.3", Asked::Library("libssl.so.3".to_owned())),
            ("a@@B_1", Asked::Symbol { name: "a".to_owned(), version: "B_1".to_owned() }),
        ] {
            assert_eq!(Asked::parse(word), Ok(expected), "{word}");
        }
        for wrong in ["", " ", "GLIBC>", "GLIBC>x", "GLIBC>2..3"] {
            assert!(Asked::parse(wrong).is_err(), "{wrong}");
        }
    }
}
