//! A needed version node is newer than the policy allows.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Applies, Check, Lint, Sink, Subject, linker_option};
use crate::artifact::{AbiVersion, Artifact, Binding, Libc, Release, Symbol, Symbols, VersionNeed};
use crate::finding::{Finding, Item, Level, SymbolUse};
use crate::policy::{Against, At};
use crate::text::some_of;

pub static LINT: Lint = Lint {
    name: "version_too_new",
    default: Level::Deny,
    undecided: false,
    enforces_rule: true,
    summary: "a needed version node is newer than the policy allows",
    page: include_str!("version_too_new.md"),
    check: Check::Artifact(check),
};

/// Symbols shown to people for one node.
const SHOWN: usize = 4;

fn check(subject: &Subject<'_>, sink: &mut Sink<'_>) -> Applies {
    let Some(facts) = subject.facts() else { return Applies::No };
    // Fact 13: musl's loader ignores version needs.
    if facts.libc == Libc::Musl || subject.rules.versions.is_empty() {
        return Applies::No;
    }
    let mut above: BTreeMap<String, (&At<Release>, Vec<&VersionNeed>)> = BTreeMap::new();
    for need in &facts.version_needs {
        if let (namespace, Against::Above(ceiling)) = subject.rules.judge(&need.version) {
            above.entry(namespace).or_insert((ceiling, Vec::new())).1.push(need);
        }
    }
    for (namespace, (ceiling, mut needs)) in above {
        needs.sort_by_cached_key(|need| {
            std::cmp::Reverse((release(need), need.version.clone(), need.file.clone()))
        });
        // A table may ask for one node twice.
        needs.dedup_by_key(|need| (&need.version, &need.file, need.weak));
        sink.push(finding(subject, facts, &namespace, ceiling, &needs));
    }
    Applies::Yes
}

fn release(need: &VersionNeed) -> Option<Release> {
    AbiVersion::parse(&need.version, []).tag.release().cloned()
}

fn finding(
    subject: &Subject<'_>,
    facts: &Artifact,
    namespace: &str,
    ceiling: &At<Release>,
    needs: &[&VersionNeed],
) -> Finding {
    let limit = format!("{namespace}_{}", ceiling.value);
    let newest = needs.first().map_or("", |need| need.version.as_str());
    let mut finding =
        Finding::new(format!("`{}` needs `{newest}`, newer than `{limit}`", subject.name.shown))
            .subject(namespace)
            .forbids(&ceiling.span, format!("the newest {namespace} version allowed"));
    let mut hard = false;
    let carriers = carriers(facts);
    for need in needs {
        let symbols = carriers.as_ref().map(|carriers| symbol_uses(carriers, need));
        hard |= !only_warns(need, symbols.as_deref());
        finding.notes.push(note(need, symbols.as_deref()));
        finding.items.push(Item::Version {
            version: need.version.clone(),
            file: need.file.clone(),
            weak: need.weak,
            symbols,
        });
    }
    if let Some(Symbols::Unreadable(why)) = &facts.symbols {
        finding.notes.push(format!("which symbols carry these versions cannot be read: {why}"));
    }
    if !hard {
        finding = finding.at_most_warn();
    }
    finding.help(advice(subject, namespace, ceiling, &finding_symbols(facts, needs), needs))
}

/// Symbols by the node that they carry: version, file.
type Carriers<'f> = HashMap<(&'f str, &'f str), Vec<&'f Symbol>>;

fn carriers(facts: &Artifact) -> Option<Carriers<'_>> {
    let Some(Symbols::All(symbols) | Symbols::OfVersions(symbols)) = &facts.symbols else { return None };
    let mut carriers = Carriers::new();
    for symbol in symbols {
        if let (Some(version), Some(file)) = (&symbol.version, &symbol.file) {
            carriers.entry((version, file)).or_default().push(symbol);
        }
    }
    Some(carriers)
}

/// Every dynamic symbol that carries the version, copied ones included.
fn symbol_uses(carriers: &Carriers<'_>, need: &VersionNeed) -> Vec<SymbolUse> {
    let carries = carriers.get(&(need.version.as_str(), need.file.as_str())).into_iter().flatten();
    let mut uses: Vec<_> = carries
        .map(|symbol| SymbolUse {
            name: symbol.name.clone(),
            weak: symbol.binding == Binding::Weak && !symbol.defined,
            copied: symbol.defined,
        })
        .collect();
    uses.sort_by(|a, b| (a.weak, &a.name).cmp(&(b.weak, &b.name)));
    uses
}

/// Fact 9: only `VER_FLG_WEAK` makes the loader go on, and then a strong
/// reference would still stop it.
fn only_warns(need: &VersionNeed, symbols: Option<&[SymbolUse]>) -> bool {
    need.weak && symbols.is_some_and(|symbols| symbols.iter().all(|symbol| symbol.weak))
}

fn note(need: &VersionNeed, symbols: Option<&[SymbolUse]>) -> String {
    let node = format!("`{}` of `{}`", need.version, need.file);
    let Some(symbols) = symbols else { return node };
    let names: Vec<_> = symbols
        .iter()
        .map(|symbol| match symbol.copied {
            true => format!("{} (copied)", symbol.name),
            false => symbol.name.clone(),
        })
        .collect();
    let listed = some_of(&names, SHOWN);
    if symbols.is_empty() && !need.weak {
        format!("{node}: no symbol carries it; the version table asks for it, and the loader enforces that")
    } else if only_warns(need, Some(symbols)) {
        let listed = if listed.is_empty() { "no symbol carries it".to_owned() } else { listed };
        format!("{node}, marked weak: {listed}; where it is missing the loader only warns")
    } else if symbols.iter().all(|symbol| symbol.weak) {
        let reference = if symbols.len() == 1 { "a weak reference" } else { "weak references" };
        format!("{node}: {listed} ({reference}, which the loader enforces all the same)")
    } else {
        format!("{node}: {listed}")
    }
}

fn finding_symbols<'f>(facts: &'f Artifact, needs: &[&VersionNeed]) -> Vec<&'f str> {
    let symbols = facts.symbols.as_ref().map(Symbols::known).unwrap_or_default();
    let needed: HashSet<&str> = needs.iter().map(|need| need.version.as_str()).collect();
    let named = |version: &Option<String>| version.as_deref().is_some_and(|version| needed.contains(version));
    symbols.iter().filter(|symbol| named(&symbol.version)).map(|symbol| symbol.name.as_str()).collect()
}

/// What to do, by what was found.
fn advice(
    subject: &Subject<'_>,
    namespace: &str,
    ceiling: &At<Release>,
    symbols: &[&str],
    needs: &[&VersionNeed],
) -> String {
    let limit = &ceiling.value;
    if needs.iter().all(|need| need.version == "GLIBC_ABI_DT_RELR") {
        let option = linker_option(subject, "-Wl,-z,nopack-relative-relocs");
        return format!("link without packed relocations, {option}");
    }
    if !symbols.is_empty() && symbols.iter().all(|name| name.starts_with("__isoc23_")) {
        return "C code was built as C23 with the headers of glibc 2.38 or newer; build it as C17:\nCFLAGS=-std=gnu17"
            .to_owned();
    }
    match (namespace, subject.triple.filter(|_| subject.from_cargo)) {
        ("GLIBC", _) if subject.promised_libc() == Some(Libc::Musl) => {
            "link with musl, as the triple says: leave out `-C target-feature=-crt-static`".to_owned()
        }
        ("GLIBC", Some(triple)) => format!(
            "build on a system with glibc {limit} or older, or link against it:\n\
             cargo compat check --build-with \"cargo zigbuild\" --target {triple}.{limit}"
        ),
        ("GLIBC", None) => format!("build it on a system with glibc {limit} or older, or link it statically"),
        ("GLIBCXX" | "CXXABI", _) => {
            "build on a system with an older libstdc++: the C++ code takes what it finds there".to_owned()
        }
        _ => format!("link against a version of the library that has no {namespace} node newer than {limit}"),
    }
}
