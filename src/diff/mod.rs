//! What changed between two releases. Facts in, changes out: no I/O.

mod compare;
mod pair;

use serde::{Deserialize, Serialize};

use crate::release::{Holds, Release};

pub use self::pair::PairedBy;

/// Two releases held against each other. Numbers are places in their lists.
#[derive(Debug)]
pub struct Comparison {
    pub pairs: Vec<Pair>,
    /// What only the old one has.
    pub lost: Vec<usize>,
    /// What only the new one has.
    pub gained: Vec<usize>,
    /// Whether all of the old one was read, and all of the new one: else
    /// what the other one has alone is neither lost nor gained.
    pub whole: [bool; 2],
}

/// One artifact in both releases.
#[derive(Debug)]
pub struct Pair {
    pub old: usize,
    pub new: usize,
    pub by: PairedBy,
    pub changes: Vec<Change>,
    pub not_compared: Vec<NotCompared>,
}

/// What of a pair could not be compared, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct NotCompared {
    pub what: Aspect,
    pub why: String,
    /// It is there to be compared, and could not be read.
    pub undecided: bool,
}

/// One thing that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Change {
    pub aspect: Aspect,
    /// Of what: a namespace, a needed library.
    pub subject: Option<String>,
    #[serde(flatten)]
    pub from_to: FromTo,
    /// Why something that used the old one may fail with the new one.
    pub regression: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum FromTo {
    /// One value; null where there is none.
    Value { old: Option<String>, new: Option<String> },
    /// Members of a set.
    Set { gained: Vec<String>, lost: Vec<String> },
}

/// What of an artifact is compared, in the order in which it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Aspect {
    Architecture,
    Role,
    Linkage,
    Libc,
    Interpreter,
    Soname,
    /// The newest version needed of a namespace.
    Floor,
    Needed,
    /// Version nodes needed of one library.
    Versions,
    VersionsDefined,
    Undefined,
    Exported,
    RunPath,
    /// `DT_RPATH`, where there is no `DT_RUNPATH`.
    InheritedRunPath,
    Cpu,
    Kernel,
    PageSize,
    Stack,
    TextRelocations,
    PackedRelocations,
    BindsAtStart,
    PositionIndependent,
    /// Libraries that it says it opens at run time.
    OpensAtRunTime,
    /// What a platform's loader makes of it.
    Platform,
    Size,
}

impl Comparison {
    /// How many regressions there are: a lost artifact is one.
    pub fn regressions(&self) -> usize {
        let changes = self.pairs.iter().flat_map(|pair| &pair.changes);
        let lost = if self.whole[1] { self.lost.len() } else { 0 };
        changes.filter(|change| change.regression.is_some()).count() + lost
    }

    /// How many other changes there are.
    pub fn other_changes(&self) -> usize {
        let changes = self.pairs.iter().flat_map(|pair| &pair.changes);
        let gained = if self.whole[0] { self.gained.len() } else { 0 };
        changes.filter(|change| change.regression.is_none()).count() + gained
    }

    /// Whether something that is there could not be compared.
    pub fn is_undecided(&self) -> bool {
        self.pairs.iter().flat_map(|pair| &pair.not_compared).any(|not| not.undecided)
    }
}

/// Compares two releases.
pub fn compare(old: &Release, new: &Release) -> Comparison {
    let whole = [old.is_whole, new.is_whole];
    let files = old.is_file && new.is_file;
    let (old, new) = (&old.members, &new.members);
    let paired = pair::pair(old, new, files);
    let mut comparison = Comparison { pairs: Vec::new(), lost: paired.lost, gained: paired.gained, whole };
    for (at_old, at_new, by) in paired.pairs {
        let mut pair = Pair { old: at_old, new: at_new, by, changes: Vec::new(), not_compared: Vec::new() };
        if let (Holds::Facts(old), Holds::Facts(new)) = (&old[at_old].holds, &new[at_new].holds) {
            (pair.changes, pair.not_compared) = compare::compare(old, new);
        }
        pair.changes.extend(compare::platforms(&old[at_old].platforms, &new[at_new].platforms));
        comparison.pairs.push(pair);
    }
    comparison
}
