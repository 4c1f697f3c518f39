//! Who needs an import where the file's functions have no names: by the bytes
//! of the functions that refer to it in the archives, and by elimination.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::code::{Pattern, Sure};
use super::explain::{Belongs, Found, Search, distinct};
use super::names;
use super::owners::{Owner, Place, Reference};
use super::uses::{Function, Use};
use crate::finding::cause::{Origin, Sureness};

impl Search<'_> {
    /// Who refers to an import from code without a name.
    pub(super) fn nameless(&self, import: &str, one: &Use) -> Vec<Found<'static>> {
        let offered: Vec<&(Place, Pattern)> = self
            .owners
            .patterns
            .iter()
            .filter(|(place, pattern)| pattern.import == import && self.can_be(&place.owner))
            .collect();
        let patterns: Vec<&Pattern> = offered.iter().map(|(_, pattern)| pattern).collect();
        let matches = self.uses.matches(import, &patterns);
        let mut found = Vec::new();
        let mut known: Vec<&str> = Vec::new();
        for one in &matches {
            let Some(name) = one.function.symbol() else { continue };
            let places: Vec<&Place> =
                offered.iter().filter(|(_, own)| own.name == name).map(|(place, _)| place).collect();
            let places = distinct(&places);
            // What is generic in std every crate that uses it has a copy of,
            // and the final crate may have the one that was linked.
            let is_stds = |place: &&Place| matches!(place.owner, Owner::Std { .. });
            let is_copied =
                names::crate_of(name).is_some_and(|own| names::is_std(&own)) && !places.iter().all(is_stds);
            let sure = match one.sure {
                Sure::Exact | Sure::Likely if places.len() == 1 && !is_copied => Sureness::Likely,
                _ => Sureness::Candidate,
            };
            if is_copied && self.program.package.is_some() {
                found.push((self.own(Sureness::Candidate), Some(bare(name))));
            }
            found.extend(places.iter().map(|place| (Belongs::at(place, sure), Some(bare(name)))));
            known.extend((sure == Sureness::Likely).then_some(name));
        }
        let sites: BTreeSet<u64> =
            matches.iter().filter(|one| one.sure != Sure::Candidate).map(|one| one.site).collect();
        if one.nameless.iter().any(|site| !sites.contains(site)) || !one.is_in_code() {
            found.extend(self.candidates(import, &known));
        }
        found
    }

    /// Who could need an import, by elimination: the objects that refer to it,
    /// without the functions that were found already; and the final crate,
    /// whose objects nobody keeps.
    pub(super) fn candidates(&self, import: &str, known: &[&str]) -> Vec<Found<'static>> {
        let is_known =
            |one: &Reference| one.function.as_deref().is_some_and(|function| known.contains(&function));
        let mut referring: Vec<&Reference> =
            self.owners.referring_to(names::in_objects(import)).iter().collect();
        referring.retain(|one| self.can_be(&one.place.owner) && !is_known(one));
        let in_code = self.uses.of(import).is_some_and(Use::is_in_code);
        let by_data: Vec<&Reference> =
            referring.iter().copied().filter(|one| one.function.is_none()).collect();
        // No code names it: then data does.
        if !in_code && !by_data.is_empty() {
            referring = by_data;
        }
        let places: Vec<&Place> = referring.iter().map(|reference| &reference.place).collect();
        match distinct(&places).as_slice() {
            [] if names::of_start_files(import) => {
                let object = Some(names::start_file_of_import(import).to_owned());
                vec![(Belongs { object, ..Belongs::new(Origin::StartFiles, Sureness::Likely) }, None)]
            }
            [] if self.program.libraries.is_empty() || self.owners.bitcode > 0 => {
                vec![(Belongs::new(Origin::Unknown, Sureness::Candidate), None)]
            }
            // What no crate's object refers to is in the final crate's: its own
            // code, or such of its dependencies as is compiled where it is used.
            [] => vec![(self.own(self.by_elimination()), None)],
            several => {
                // What LLVM's code refers to nobody reads; and what code names
                // should have been known by its bytes.
                let alone = several.len() == 1 && self.owners.bitcode == 0 && !in_code;
                let sure = if alone { Sureness::Likely } else { Sureness::Candidate };
                let mut found: Vec<_> = referring.iter().map(|reference| named(reference, sure)).collect();
                if !alone && self.program.package.is_some() {
                    found.push((self.own(Sureness::Candidate), None));
                }
                found
            }
        }
    }
}

impl Search<'_> {
    /// How sure it is that what stands in the final crate was written there.
    fn by_elimination(&self) -> Sureness {
        let below = self.linked.as_ref().is_none_or(|linked| linked.len() > 1);
        if below { Sureness::Candidate } else { Sureness::Likely }
    }
}

/// Who an archive says refers to it.
pub(super) fn named(reference: &Reference, sure: Sureness) -> Found<'static> {
    (Belongs::at(&reference.place, sure), reference.function.as_deref().map(bare))
}

/// A function of which no more than its name is known.
fn bare(name: &str) -> Cow<'static, Function> {
    Cow::Owned(Function {
        name: name.to_owned(),
        by_table: false,
        is_start: false,
        chain: Vec::new(),
        through_table: false,
        places: Vec::new(),
    })
}
