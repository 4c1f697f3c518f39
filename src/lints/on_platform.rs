//! What the lints about platforms have in common.

use crate::artifact::Artifact;
use crate::finding::Finding;
use crate::judge::NamedPlatform;
use crate::loader::{Problem, Verdict};
use crate::platform::System;
use crate::runs_on::base;
use crate::text::escape;

use super::Subject;

/// One platform on which the file must load.
#[derive(Debug, Clone, Copy)]
pub struct On<'s> {
    pub subject: &'s Subject<'s>,
    pub facts: &'s Artifact,
    pub named: &'s NamedPlatform,
    /// The words of the policy that name it.
    pub span: &'s std::ops::Range<usize>,
}

/// The platforms that the rules for this triple name, with their verdicts.
pub fn each<'s>(subject: &'s Subject<'s>) -> Vec<On<'s>> {
    let (Some(facts), Some(names)) = (subject.facts(), &subject.rules.runs_on) else { return Vec::new() };
    names
        .value
        .iter()
        .filter_map(|name| {
            let named = subject.platforms.iter().find(|named| named.name == name.value)?;
            Some(On { subject, facts, named, span: &name.span })
        })
        .collect()
}

impl<'s> On<'s> {
    pub fn title(&self) -> &'s str {
        self.named.found.platform.title()
    }

    pub fn verdict(&self) -> Option<&'s Verdict> {
        self.named.found.verdict.as_ref()
    }

    pub fn system(&self) -> Option<&'s System> {
        self.named.found.system(self.facts)
    }

    /// All that is wrong; where the file is for another C library, that alone.
    pub fn problems(&self) -> impl Iterator<Item = &'s Problem> {
        let only = self.named.found.of_other_libc(self.facts);
        let all = self.verdict().filter(|_| only.is_none());
        only.into_iter().chain(all.into_iter().flat_map(|verdict| &verdict.problems))
    }

    /// A finding that stands at the platform's name in the policy.
    pub fn finding(&self, message: String, subject: impl Into<String>) -> Finding {
        Finding::new(message).subject(subject).platform(&self.named.name).forbids(self.span, "must load here")
    }

    /// "does not start" of a program, "does not load" of a library.
    pub fn fails(&self) -> &'static str {
        if self.subject.is_executable(self.facts) { "does not start" } else { "does not load" }
    }

    /// Whether a path is the file's own that is judged.
    pub fn is_own(&self, path: &str) -> bool {
        self.verdict().and_then(|verdict| verdict.loaded.first()).is_some_and(|own| *own.path == *path)
    }

    /// The chain of needs from the file to one that asks for something; empty where it asks itself.
    pub fn chain(&self, needed_by: &str) -> Option<String> {
        let loaded = &self.verdict()?.loaded;
        let mut at = loaded.iter().position(|one| *one.path == *needed_by)?;
        let mut names = Vec::new();
        while at != 0 && names.len() < loaded.len() {
            names.push(format!("`{}`", escape(base(&loaded[at].path))));
            at = loaded[at].needed_by?;
        }
        if names.is_empty() {
            return None;
        }
        names.push(format!("`{}`", self.subject.name.shown));
        names.reverse();
        Some(format!("needed by {}", names.join(" → ")))
    }
}
