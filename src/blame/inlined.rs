//! Code that stands in a function of one crate and was written in another: an
//! optimised build inlines across crates.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::explain::{Belongs, Found, Search};
use super::nameless::named;
use super::names;
use super::owners::Owner;
use super::packages::Packages;
use super::uses::{Function, Place};
use crate::finding::cause::{Origin, Sureness};

/// As many dependencies are named outright where any of them may be it.
const FEW: usize = 3;

impl Search<'_> {
    /// Whose a function is that refers to an import: of what debug information
    /// says was inlined there, or of itself.
    pub(super) fn of_function<'f>(&self, import: &str, function: &'f Function) -> Vec<Found<'f>> {
        let owners = self.owner(import, function);
        let mut found: Vec<Found<'f>> = Vec::new();
        // What std is made of nobody asked.
        let is_package = owners.iter().any(|owner| owner.origin == Origin::Package);
        let places = if is_package { function.places.as_slice() } else { &[] };
        let mut is_own = places.is_empty();
        for place in places {
            let (at, crate_name) = match self.written_in(place) {
                Some((at, Some(crate_name))) => (at, crate_name),
                Some((at, None)) => {
                    let std = Belongs::new(Origin::Std, Sureness::Exact);
                    found.push((std, Some(Cow::Owned(inlined_at(function, place, at)))));
                    continue;
                }
                None => {
                    is_own = true;
                    continue;
                }
            };
            let inner = Cow::<Function>::Owned(inlined_at(function, place, at));
            let same = owners.iter().filter(|owner| owner.crate_name.as_ref() == Some(&crate_name));
            let mut of_crate: Vec<Belongs> = same.cloned().collect();
            if of_crate.is_empty() {
                of_crate = self.by_crate(&crate_name, Sureness::Exact);
            }
            found.extend(of_crate.into_iter().map(|owner| (owner, Some(inner.clone()))));
        }
        if is_own {
            found.extend(owners.into_iter().map(|owner| (owner, Some(Cow::Borrowed(function)))));
        }
        found
    }

    /// Takes what is found down to what it says where functions of other
    /// crates may have been inlined, and adds those crates; whether it did.
    pub(super) fn doubt(&self, import: &str, found: &mut Vec<Found<'_>>) -> bool {
        let Some(packages) = self.program.packages else { return false };
        let is_open = |(owner, function): &&mut Found<'_>| {
            let unknown = function.as_ref().is_some_and(|function| function.places.is_empty());
            owner.origin == Origin::Package && owner.object.is_none() && unknown
        };
        let mut below: BTreeSet<&str> = BTreeSet::new();
        // Below such as may not even have it there is no end of guessing.
        let mut guessed: BTreeSet<&str> = BTreeSet::new();
        let mut is_doubted = false;
        let referring = self.owners.referring_to(names::in_objects(import));
        // Link-time optimisation inlines functions of std too; of a program
        // without dependencies nothing tells whether there was one.
        let is_linked = |id: &String| self.linked.as_ref().is_none_or(|linked| linked.contains(id.as_str()));
        let may_be_lto = self.owners.bitcode > 0 || !self.owners.with_objects.iter().any(is_linked);
        let mut of_std = referring.iter().filter(|one| matches!(one.place.owner, Owner::Std { .. }));
        let mut perhaps: Vec<Found<'_>> = Vec::new();
        for (owner, _) in found.iter_mut().filter(is_open) {
            let Some(id) = owner.package.as_deref() else { continue };
            if !self.program.outputs.optimised.contains(id) {
                continue;
            }
            if may_be_lto && (!perhaps.is_empty() || of_std.clone().next().is_some()) {
                owner.sure = Sureness::Candidate;
                perhaps.extend(of_std.by_ref().map(|one| named(one, Sureness::Candidate)));
            }
            let inlinable: Vec<&str> = inlinable(packages, id);
            if !inlinable.is_empty() {
                if owner.sure < Sureness::Candidate {
                    guessed.extend(&inlinable);
                }
                owner.sure = owner.sure.max(Sureness::Likely);
                is_doubted = true;
                below.extend(inlinable);
            }
        }
        let owners: BTreeSet<&str> = found.iter().filter_map(|(owner, _)| owner.package.as_deref()).collect();
        below.retain(|id| !owners.contains(id));
        guessed.retain(|id| !owners.contains(id));
        let mut of_crates: Vec<Found<'_>> = Vec::new();
        let referring = referring.iter().filter(|reference| match &reference.place.owner {
            Owner::Package { id, .. } => reference.place.object.is_none() && below.contains(id.as_str()),
            Owner::Std { .. } => false,
        });
        of_crates.extend(referring.map(|reference| named(reference, Sureness::Candidate)));
        // Of a function that is always inlined the crate's own objects hold
        // nothing.
        if of_crates.is_empty() && guessed.len() <= FEW {
            of_crates.extend(guessed.into_iter().map(|id| {
                let crate_name = packages.get(id).and_then(|package| package.crate_name.clone());
                let package = Some(id.to_owned());
                let unknown = Belongs::new(Origin::Package, Sureness::Candidate);
                (Belongs { package, crate_name, ..unknown }, None)
            }));
        }
        found.extend(perhaps);
        found.extend(of_crates);
        is_doubted
    }

    /// The innermost function inlined at a place that is of a crate, or that
    /// std has as a function of its own, and so would be called there if
    /// nothing was inlined. What is generic is of the crate that uses it.
    fn written_in(&self, place: &Place) -> Option<(usize, Option<String>)> {
        place.inlined.iter().enumerate().find_map(|(at, frame)| {
            let function = frame.function.as_deref()?;
            let is_stds = |place: &super::owners::Place| matches!(place.owner, Owner::Std { .. });
            if self.owners.of_function(function).iter().any(is_stds) {
                return Some((at, None));
            }
            let crate_name = names::crate_of(function)?;
            (!names::is_std(&crate_name)).then_some((at, Some(crate_name)))
        })
    }
}

/// What a package depends on that has code to inline. `libc` and its like
/// declare what others call.
fn inlinable<'p>(packages: &'p Packages, id: &str) -> Vec<&'p str> {
    let has_code = |below: &&str| {
        let Some(package) = packages.get(below) else { return false };
        let name = package.name.name.as_str();
        package.crate_name.is_some() && name != "libc" && !name.ends_with("-sys")
    };
    packages.linked_into(id).into_iter().filter(|below| *below != id).filter(has_code).collect()
}

/// The function that was inlined, as one that the other calls.
fn inlined_at(function: &Function, place: &Place, at: usize) -> Function {
    let name = |at: usize| place.inlined[at].function.clone();
    let mut chain = match function.chain.is_empty() {
        true => vec![function.name.clone()],
        false => function.chain.clone(),
    };
    chain.extend((at..place.inlined.len()).rev().filter_map(name));
    Function {
        name: name(at).unwrap_or_default(),
        chain,
        places: vec![Place { inlined: Vec::new(), line: place.inlined[at].line.clone() }],
        ..function.clone()
    }
}
