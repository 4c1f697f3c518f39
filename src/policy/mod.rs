//! `compat.toml`: what a release promises.
//!
//! `parse` turns text into a [`Policy`] or into every problem it has, each
//! with its span; [`Policy::rules`] says what holds for one artifact.

pub mod baseline;
mod exceptions;
mod keys;
mod parse;
pub mod presets;
mod rules;
#[cfg(test)]
mod schema;
mod scopes;
mod undefined;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use globset::{GlobBuilder, GlobMatcher};
use jiff::civil::Date;

use crate::artifact::{Cpu, Release};
use crate::finding::Level;

pub use self::baseline::Baseline;
pub use self::parse::{parse, read};
pub use self::rules::{Against, Name, Rules};
pub use self::scopes::{Scope, Selector, TargetSelector, nearest_triple, unknown_triple};
pub use self::undefined::{Allowance, Provided};

/// The file's name.
pub const FILE_NAME: &str = "compat.toml";

/// A value and where it stands in the policy's text, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At<T> {
    pub value: T,
    pub span: Range<usize>,
}

/// Something wrong in the policy.
#[derive(Debug, Clone)]
pub struct Problem {
    pub message: String,
    pub span: Range<usize>,
    /// What to say at the span.
    pub label: String,
    /// Another place that plays a part.
    pub other: Option<(Range<usize>, &'static str)>,
    pub help: Option<String>,
}

impl Problem {
    pub fn new(message: impl Into<String>, span: Range<usize>) -> Self {
        Self { message: message.into(), span, label: String::new(), other: None, help: None }
    }

    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    pub fn other(mut self, span: &Range<usize>, label: &'static str) -> Self {
        self.other = Some((span.clone(), label));
        self
    }

    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// A policy's text, for snippets.
#[derive(Debug, Clone)]
pub struct Source {
    pub path: PathBuf,
    pub text: String,
}

impl Source {
    /// Line and column (in characters) of a byte offset, both from 1.
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let before = self.text.get(..offset).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}

#[derive(Debug)]
pub struct Policy {
    pub source: Source,
    /// The release set; `None`: all that was built.
    pub artifacts: Option<Vec<At<Pattern>>>,
    pub build: Build,
    /// The file of findings that were there before, from the policy's folder.
    pub baseline: Option<At<String>>,
    /// In the order in which later ones win within one rank.
    pub scopes: Vec<Scope>,
    pub lints: BTreeMap<&'static str, At<Level>>,
    pub exceptions: Vec<Exception>,
}

impl Policy {
    /// Where the baseline is.
    pub fn baseline_path(&self) -> Option<PathBuf> {
        let name = &self.baseline.as_ref()?.value;
        Some(self.source.path.parent().map_or_else(|| PathBuf::from(name), |folder| folder.join(name)))
    }
}

/// `[build]`: defaults for cargo.
#[derive(Debug, Default)]
pub struct Build {
    pub profile: Option<At<String>>,
    pub targets: Vec<At<String>>,
    pub features: Vec<String>,
    pub all_features: bool,
    pub no_default_features: bool,
}

/// The keys that may stand at the top, for a target, and for an artifact.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    /// Ceilings by namespace; `glibc` is `GLIBC`, `glibcxx` is `GLIBCXX`.
    pub versions: BTreeMap<String, At<Release>>,
    pub linkage: Option<At<Linkage>>,
    /// The oldest CPU promised.
    pub cpu: Option<At<Cpu>>,
    /// Allowed `DT_NEEDED`; each pattern keeps its own span.
    pub libraries: Option<At<Vec<At<Pattern>>>>,
    /// Libraries that a later link of an archive or object brings, as `-l` takes them.
    pub link_libs: Option<At<Vec<At<String>>>>,
    /// Symbols that the program which loads the artifact provides.
    pub undefined: Option<At<Vec<At<Allowance>>>>,
    /// Platforms on which the artifact must load, by name or by the path of a description.
    pub runs_on: Option<At<Arc<[At<String>]>>>,
    /// Packages beyond a plain install that the artifact's own package asks for.
    pub packages: Option<At<Vec<At<Pattern>>>>,
    /// `install = "plain"`: nothing may be needed beyond `packages`.
    pub plain_install: Option<At<()>>,
    /// `test.root` of a target: the root that its tests run in, for
    /// `cargo compat test`.
    pub test_root: Option<At<String>>,
}

impl Keys {
    pub fn is_empty(&self) -> bool {
        self.versions.is_empty() && self.has_only_versions()
    }

    /// No key but version ceilings is set.
    pub fn has_only_versions(&self) -> bool {
        self.linkage.is_none()
            && self.cpu.is_none()
            && self.libraries.is_none()
            && self.undefined.is_none()
            && self.runs_on.is_none()
            && self.link_libs.is_none()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Linkage {
    Static,
    Dynamic,
}

/// A finding that is accepted, with its reason.
#[derive(Debug)]
pub struct Exception {
    pub span: Range<usize>,
    pub lint: &'static str,
    pub subject: Option<String>,
    pub artifact: Option<Pattern>,
    pub target: Option<At<TargetSelector>>,
    pub platform: Option<String>,
    pub reason: String,
    pub until: Option<At<Date>>,
}

/// A glob over names: `*`, `?`, `[a-z]`, `{a,b}`.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    matcher: GlobMatcher,
}

impl Pattern {
    pub fn new(text: &str) -> Result<Self, globset::Error> {
        let matcher = GlobBuilder::new(text).backslash_escape(true).build()?.compile_matcher();
        Ok(Self { text: text.to_owned(), matcher })
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn matches(&self, name: &str) -> bool {
        self.text == name || self.matcher.is_match(name)
    }

    /// Whether it can only match one name.
    pub fn is_literal(&self) -> bool {
        !self.text.contains(['*', '?', '[', '{', '\\'])
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}
