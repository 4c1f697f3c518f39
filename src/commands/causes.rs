//! Who brought in what `check` found, as far as that is cheap; `why` tells the
//! rest.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::gather::Gathered;
use crate::artifact::{Artifact, Bindings};
use crate::blame::asked;
use crate::blame::explain::{self, Program};
use crate::blame::names::brief;
use crate::blame::uses::{Detail, Use, Uses};
use crate::finding::cause::{Answer, Cause, Origin, Sureness, What};
use crate::finding::{Finding, Item};
use crate::judge::Input;
use crate::lints::Reading;
use crate::many::each;
use crate::text::escape;

/// Bytes of linked files that a check searches at most: some 0.1 s.
const MOST_BYTES: u64 = 16 << 20;
/// Causes named in a note.
const SHOWN: usize = 4;
/// Functions of a chain in a note.
const STEPS: usize = 4;
/// Before what is only a candidate.
const PERHAPS: &str = "perhaps ";
/// Before what may be inlined from elsewhere.
const LIKELY: &str = "likely ";

/// Adds causes and a note to the findings that have some. Without cargo's word
/// on packages: only the linked files are read, and build scripts were named
/// by the build already.
pub fn add(findings: &mut [Finding], gathered: &Gathered) {
    let mut of_file: HashMap<PathBuf, Vec<&mut Finding>> = HashMap::new();
    for finding in findings.iter_mut().filter(|finding| is_explained(finding)) {
        if let Some(place) = &finding.place {
            of_file.entry(place.path.clone()).or_default().push(finding);
        }
    }
    let mut left = MOST_BYTES;
    let mut cheap = Vec::new();
    for input in &gathered.inputs {
        let Reading::Facts(facts) = &input.reading else { continue };
        let Some(mut own) = of_file.remove(&input.path) else { continue };
        if !has_names(input, facts) {
            continue;
        }
        let size = std::fs::metadata(&input.path).map_or(u64::MAX, |metadata| metadata.len());
        let is_cheap = size <= left;
        left = left.saturating_sub(size);
        match is_cheap {
            true => cheap.push((own, input, facts)),
            false => own.iter_mut().for_each(|finding| point(finding, input)),
        }
    }
    each(cheap, |(mut own, input, facts)| explain_all(&mut own, input, facts, gathered));
}

/// Whether the file can tell who brought something in: a stripped one, of which cargo says nothing, has no names.
fn has_names(input: &Input, facts: &Artifact) -> bool {
    let is_stripped = |read: &Arc<Bindings>| !read.has_symbol_table;
    input.from_cargo || !facts.bindings.as_ref().and_then(|read| read.as_ref().ok()).is_some_and(is_stripped)
}

fn explain_all(findings: &mut [&mut Finding], input: &Input, facts: &Artifact, gathered: &Gathered) {
    let facts = &*super::why::with_symbols(input, facts);
    let program = Program {
        path: &input.path,
        facts,
        triple: input.triples.first().map(String::as_str),
        package: gathered.packages.get(&input.path).map(String::as_str),
        crate_name: input.from_cargo.then(|| super::why::crate_name(input)),
        libraries: &[],
        packages: None,
        outputs: &gathered.outputs,
    };
    let asked: Vec<Vec<What>> =
        findings.iter().map(|finding| asked::of_items(facts, &finding.items)).collect();
    let all: Vec<What> = asked.iter().flatten().cloned().collect();
    let imports = explain::imports(&program, &all);
    let names: Vec<String> = imports.all.iter().cloned().collect();
    let own: Vec<&str> = program.crate_name.iter().map(String::as_str).collect();
    let uses = Uses::search(&input.path, &names, &own, Detail::Functions);
    for (finding, asked) in findings.iter_mut().zip(asked) {
        let is_known = |one: &Use| !one.is_nameless() && (one.dead || !one.functions.is_empty());
        let nameless = |what: &What| match what {
            What::Symbol { name, .. } => !uses.of(name).is_some_and(is_known),
            _ => false,
        };
        if asked.iter().any(nameless) {
            // Without rlibs nobody knows more.
            if input.from_cargo {
                point(finding, input);
            }
            continue;
        }
        let mut explained = explain::explain(&program, &asked, &imports, &uses);
        let is_optimised = program.package.is_some_and(|id| gathered.outputs.optimised.contains(id));
        if is_optimised {
            doubt(&mut explained.answers);
        }
        finding.notes.extend(note(&explained.answers, input, is_optimised));
        finding.causes = explained.answers;
    }
}

/// Without cargo's word on packages nobody knows what may be inlined from where.
fn doubt(answers: &mut [Answer]) {
    let causes = answers.iter_mut().flat_map(|answer| &mut answer.causes);
    for cause in causes.filter(|cause| may_be_inlined(cause)) {
        cause.sure = cause.sure.max(Sureness::Likely);
    }
}

/// Of Rust: C is compiled by itself.
fn may_be_inlined(cause: &Cause) -> bool {
    cause.origin == Origin::Package && cause.object.is_none() && !cause.functions.is_empty()
}

/// Whether a finding is about something that somebody brought in.
fn is_explained(finding: &Finding) -> bool {
    finding
        .items
        .iter()
        .any(|item| matches!(item, Item::Version { .. } | Item::Library { .. } | Item::Symbol { .. }))
}

/// What to type for the whole answer.
fn command(input: &Input) -> String {
    match input.from_cargo {
        true => "`cargo compat why`".to_owned(),
        false => {
            let path = crate::text::path(&input.path);
            format!("`cargo compat why --artifact {}`", shell_words::quote(&path))
        }
    }
}

/// Where nothing could be said cheaply.
fn point(finding: &mut Finding, input: &Input) {
    finding.notes.push(format!("for who brought it in: {}", command(input)));
}

/// Who needs it, each once: std and start files by name, crates by the
/// shortest chain of calls.
fn note(answers: &[Answer], input: &Input, is_optimised: bool) -> Option<String> {
    let mut causes: Vec<&Cause> = answers.iter().flat_map(|answer| &answer.causes).collect();
    // That std needs libgcc_s, and everything libc, says nothing.
    let is_library = |answer: &Answer| matches!(answer.what, What::Library { .. });
    if answers.iter().all(is_library) {
        causes.retain(|cause| cause.origin == Origin::Package);
    }
    causes.retain(|cause| cause.origin != Origin::Unknown || !cause.functions.is_empty());
    // The note on the version says that already.
    causes.retain(|cause| cause.origin != Origin::Linker);
    // Crates first: they are what can be changed.
    causes.sort_by_key(|cause| (cause.origin, cause.sure, cause.chain.len()));
    let has_crate = causes.iter().any(|cause| cause.origin == Origin::Package);
    let mut named: Vec<(String, String)> = Vec::new();
    for cause in causes {
        let (name, text) = words(cause, is_optimised);
        if !named.iter().any(|(known, _)| *known == name) {
            named.push((name, text));
        }
    }
    let texts: Vec<String> = named.iter().take(SHOWN).map(|(_, text)| text.clone()).collect();
    let texts = texts.join("; ");
    let said = [PERHAPS, LIKELY].into_iter().find_map(|sure| Some((sure, texts.strip_prefix(sure)?)));
    let (sure, texts) = said.unwrap_or(("", &texts));
    let mut text = format!("{sure}brought in by {texts}");
    if named.len() > SHOWN {
        text += &format!("; and {} more", named.len() - SHOWN);
    }
    if has_crate {
        text += &format!("; more by {}", command(input));
    }
    (!named.is_empty()).then_some(text)
}

/// A cause's name, by which it is told once, and how to call it.
fn words(cause: &Cause, is_optimised: bool) -> (String, String) {
    let name = match (cause.origin, &cause.package, &cause.crate_name) {
        (Origin::Std, ..) => "std".to_owned(),
        (Origin::StartFiles, ..) => "the C start files".to_owned(),
        (Origin::Toolchain, ..) => "the C library itself".to_owned(),
        (Origin::Linker, ..) => "the linker: no symbol carries it".to_owned(),
        (Origin::Dead, ..) => "dead imports".to_owned(),
        (_, Some(package), _) => format!("{} {}", package.name, package.version),
        (_, None, Some(name)) => format!("the crate {name}"),
        (_, None, None) => {
            let function = cause.functions.first().map_or("", String::as_str);
            return (function.to_owned(), format!("the function `{}`", escape(&brief(function))));
        }
    };
    let name = escape(&name);
    let sure = match cause.sure {
        Sureness::Candidate => PERHAPS,
        Sureness::Likely if is_optimised && may_be_inlined(cause) => LIKELY,
        _ => "",
    };
    if cause.origin == Origin::Package {
        let steps = if cause.chain.is_empty() {
            &cause.functions[..cause.functions.len().min(1)]
        } else {
            &cause.chain
        };
        let mut steps: Vec<String> = steps.iter().map(|name| escape(&brief(name))).collect();
        steps.dedup();
        if steps.len() > STEPS {
            steps.splice(1..steps.len() - (STEPS - 1), ["…".to_owned()]);
        }
        if !steps.is_empty() {
            let text = format!("{sure}{name} ({})", steps.join(" → "));
            return (name, text);
        }
    }
    let text = format!("{sure}{name}");
    (name, text)
}
