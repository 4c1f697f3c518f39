//! Where keys apply: the top, a target, an artifact, an artifact of a target.

use std::ops::Range;

use cfg_expr::Expression;
use cfg_expr::expr::Predicate;
use cfg_expr::targets::{ALL_BUILTINS, get_builtin_target_by_triple};

use super::{Keys, Pattern, Problem};
use crate::text::did_you_mean;

#[derive(Debug, Clone)]
pub struct Scope {
    pub selector: Selector,
    /// Of the key that opened it.
    pub span: Range<usize>,
    pub keys: Keys,
}

#[derive(Debug, Clone)]
pub enum Selector {
    Top,
    Target(TargetSelector),
    Artifact(Pattern),
    ArtifactOfTarget(TargetSelector, Pattern),
}

/// What stands behind `target.`: a triple, or `cfg(…)`.
#[derive(Debug, Clone)]
pub enum TargetSelector {
    Triple(String),
    Cfg(Box<Expression>),
}

impl TargetSelector {
    pub fn parse(text: &str, span: Range<usize>) -> Result<Self, Problem> {
        if !text.trim_start().starts_with("cfg(") {
            return Ok(Self::Triple(text.to_owned()));
        }
        let expression = Expression::parse(text).map_err(|error| {
            Problem::new(format!("`{text}` is no `cfg()` expression"), span.clone())
                .label(error.reason.to_string())
        })?;
        for predicate in expression.predicates() {
            if let Predicate::Target(predicate) = &predicate
                && !ALL_BUILTINS.iter().any(|target| predicate.matches(target))
            {
                return Err(Problem::new(format!("`{text}` can match no target"), span)
                    .label("a value in it is none that a target of rustc has")
                    .help("`rustc --print cfg --target TRIPLE` prints what a target has"));
            }
            if !matches!(predicate, Predicate::Target(_)) {
                return Err(Problem::new(format!("`{text}` cannot be evaluated"), span)
                    .label("not decided by the target triple alone")
                    .help(
                        "use predicates of the target: target_arch, target_env, target_os, target_endian, …",
                    ));
            }
        }
        Ok(Self::Cfg(Box::new(expression)))
    }

    pub fn text(&self) -> &str {
        match self {
            Self::Triple(triple) => triple,
            Self::Cfg(expression) => expression.original(),
        }
    }

    /// Whether it holds for a triple. `None`: the triple is not in the
    /// built-in table, so a `cfg()` cannot be evaluated.
    pub fn matches(&self, triple: &str) -> Option<bool> {
        match self {
            Self::Triple(own) => Some(own == triple),
            Self::Cfg(expression) => {
                let target = get_builtin_target_by_triple(triple)?;
                Some(expression.eval(|predicate| match predicate {
                    Predicate::Target(predicate) => predicate.matches(target),
                    _ => false,
                }))
            }
        }
    }
}

/// A triple that the built-in table lacks: perhaps a custom target, perhaps a
/// slip of the pen.
pub fn unknown_triple(triple: &str, span: Range<usize>) -> Option<Problem> {
    if get_builtin_target_by_triple(triple).is_some() {
        return None;
    }
    let problem =
        Problem::new(format!("unknown target triple `{triple}`"), span).label("rustc has no such target");
    Some(match nearest_triple(triple) {
        Some(near) => {
            problem.help(format!("did you mean `{near}`? (a custom target must be named by `--target`)"))
        }
        None => problem.help(
            "`rustc --print target-list` prints those it has; a custom one must be named by `--target`",
        ),
    })
}

/// The triple that was meant.
pub fn nearest_triple(triple: &str) -> Option<String> {
    // GNU's and Debian's names of systems have no vendor.
    if let Some((machine, rest)) = triple.split_once("-linux-") {
        let with_vendor = format!("{machine}-unknown-linux-{rest}");
        if get_builtin_target_by_triple(&with_vendor).is_some() {
            return Some(with_vendor);
        }
    }
    let known = ALL_BUILTINS.iter().map(|target| target.triple.as_str());
    did_you_mean(triple, known).map(str::to_owned)
}
