//! The keys that may stand at the top, for a target and for an artifact.

use std::ops::Range;

use toml::de::DeValue;

use super::parse::{Value, Walk};
use super::{At, Keys, Linkage, Problem, undefined};
use crate::artifact::{AbiVersion, Cpu, Release};
use crate::text::did_you_mean;

/// Keys that hold at the top, for a target and for an artifact.
pub const RULE_KEYS: &[&str] = &[
    "glibc",
    "glibcxx",
    "versions",
    "linkage",
    "libraries",
    "cpu",
    "runs-on",
    "packages",
    "install",
    "undefined",
    "link-libs",
];

impl Walk {
    /// One key of the kind that every scope may have.
    pub fn rule(
        &mut self,
        keys: &mut Keys,
        key: &str,
        key_span: Range<usize>,
        value: &Value<'_>,
        place: &str,
        known: &[&[&str]],
    ) {
        match key {
            "glibc" => self.ceiling(keys, "GLIBC", key, value),
            "glibcxx" => self.ceiling(keys, "GLIBCXX", key, value),
            "versions" => {
                let Some(table) = self.table(value, "versions") else { return };
                for (namespace, value) in table {
                    let span = namespace.span();
                    let namespace = namespace.get_ref();
                    if let Some(near) = misspelt_namespace(namespace) {
                        self.problem(
                            Problem::new(format!("`{namespace}` is no namespace of version nodes"), span)
                                .label("it would limit nothing")
                                .help(format!("did you mean `{near}`?")),
                        );
                        continue;
                    }
                    self.ceiling(keys, namespace, &format!("versions.{namespace}"), value);
                }
            }
            "linkage" => {
                let Some(At { value, span }) = self.string(value, key) else { return };
                let linkage = match value.as_str() {
                    "static" => Linkage::Static,
                    "dynamic" => Linkage::Dynamic,
                    _ => {
                        return self.problem(
                            Problem::new(format!("`{value}` is no linkage"), span)
                                .help("`static` or `dynamic`; leave the key out where either will do"),
                        );
                    }
                };
                keys.linkage = Some(At { value: linkage, span });
            }
            "libraries" => {
                let span = value.span();
                keys.libraries = Some(At { value: self.patterns(value, key), span });
            }
            "cpu" => {
                let Some(At { value, span }) = self.string(value, key) else { return };
                let Some(cpu) = Cpu::parse(&value) else {
                    let names = Cpu::names().collect::<Vec<_>>();
                    let problem = Problem::new(format!("unknown CPU `{value}`"), span);
                    return self.problem(match did_you_mean(&value, names.iter().copied()) {
                        Some(near) => problem.help(format!("did you mean `{near}`?")),
                        None => problem.help(format!("known are {}", names.join(", "))),
                    });
                };
                keys.cpu = Some(At { value: cpu, span });
            }
            "install" => {
                let Some(At { value, span }) = self.string(value, key) else { return };
                match value.as_str() {
                    "plain" => keys.plain_install = Some(At { value: (), span }),
                    _ => self.problem(Problem::new(format!("`{value}` is no kind of install"), span).help(
                        "`plain` is the only one: nothing beyond what the platform installs by itself, and `packages`",
                    )),
                }
            }
            "runs-on" => {
                let span = value.span();
                let names = self.strings(value, key);
                keys.runs_on = Some(At { value: names.into(), span });
            }
            "packages" => {
                let span = value.span();
                keys.packages = Some(At { value: self.patterns(value, key), span });
            }
            "undefined" => {
                let span = value.span();
                let mut entries = Vec::new();
                for At { value, span } in self.strings(value, key) {
                    match undefined::parse(&value, span) {
                        Ok(entry) => entries.push(entry),
                        Err(problem) => self.problem(problem),
                    }
                }
                keys.undefined = Some(At { value: entries, span });
            }
            "link-libs" => {
                let span = value.span();
                let libraries = self.strings(value, key);
                for library in &libraries {
                    let kind = library.value.split_once('=').map_or("", |(kind, _)| kind);
                    if library.value.is_empty() || !["", "dylib", "static"].contains(&kind) {
                        self.problem(
                            Problem::new(
                                format!("`{}` names no library", library.value),
                                library.span.clone(),
                            )
                            .help("a name as `-l` takes it, a path, or `static=NAME` for the archive alone"),
                        );
                    }
                }
                keys.link_libs = Some(At { value: libraries, span });
            }
            _ => self.unknown_key(key, key_span, place, known),
        }
    }

    fn ceiling(&mut self, keys: &mut Keys, namespace: &str, key: &str, value: &Value<'_>) {
        if value.get_ref().is_float() || value.get_ref().is_integer() {
            let written = match value.get_ref() {
                DeValue::Float(float) => float.as_str().to_owned(),
                DeValue::Integer(integer) => integer.to_string(),
                _ => String::new(),
            };
            let read: Option<f64> = written.parse().ok();
            let label = match read {
                Some(read) if read.to_string() != written => format!("TOML reads this number as {read}"),
                _ => "this is a number".to_owned(),
            };
            return self.problem(
                Problem::new(format!("`{key}` must be a string"), value.span()).label(label).help(format!(
                    "put it in quotes: {} = \"{written}\"",
                    key.rsplit('.').next().unwrap_or(key)
                )),
            );
        }
        let Some(At { value: text, span }) = self.string(value, key) else { return };
        let bare = text.strip_prefix(namespace).and_then(|rest| rest.strip_prefix('_'));
        let Some(release) = Release::parse(bare.unwrap_or(&text)) else {
            return self.problem(
                Problem::new(format!("`{text}` is no version"), span)
                    .label("numbers with dots between them are")
                    .help(format!(
                        "for example {} = \"{}\"",
                        key.rsplit('.').next().unwrap_or(key),
                        example(namespace)
                    )),
            );
        };
        if keys.versions.contains_key(namespace) {
            return self.problem(
                Problem::new(format!("the highest {namespace} version is set twice in one table"), span)
                    .help(format!("`glibc` is `versions.GLIBC`, `glibcxx` is `versions.GLIBCXX`; keep one of `{key}` and the other")),
            );
        }
        keys.versions.insert(namespace.to_owned(), At { value: release, span });
    }
}

/// The namespace that was meant: they are told apart by case, and the `_` is
/// not part of them.
fn misspelt_namespace(name: &str) -> Option<String> {
    let bare = name.trim_end_matches('_');
    if AbiVersion::namespaces().any(|known| known == name) {
        return None;
    }
    let known = AbiVersion::namespaces().find(|known| known.eq_ignore_ascii_case(bare));
    // A letter amiss in one that everybody means.
    let near =
        || ["GLIBC", "GLIBCXX", "CXXABI"].into_iter().find(|known| strsim::levenshtein(known, bare) == 1);
    let meant = known.or_else(near).unwrap_or(bare);
    (meant != name).then(|| meant.to_owned())
}

/// A version that the namespace could have.
fn example(namespace: &str) -> &'static str {
    match namespace {
        "GLIBC" => "2.28",
        "GLIBCXX" => "3.4.25",
        _ => "1.0",
    }
}
