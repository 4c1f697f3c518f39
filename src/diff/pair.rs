//! Which artifact of the old release is which of the new one.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::release::{Holds, Member};

/// What two artifacts have in common by which they are taken for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum PairedBy {
    /// Both were named.
    Named,
    Path,
    /// The path, but for the numbers in it.
    PathWithoutNumbers,
    FileName,
    /// The soname or file name, without versions and hashes.
    Stem,
    /// The only executable of each.
    OnlyExecutable,
    /// The only artifact of each.
    OnlyArtifact,
}

#[derive(Debug, Default)]
pub struct Paired {
    pub pairs: Vec<(usize, usize, PairedBy)>,
    pub lost: Vec<usize>,
    pub gained: Vec<usize>,
}

/// What two members have in common, where a member has it.
type Key<'k> = &'k dyn Fn(&Member) -> Option<String>;

/// Pairs by the first thing in common that only these two have. Within one
/// architecture first, so that a release for several stays sorted by them.
pub fn pair(old: &[Member], new: &[Member], files: bool) -> Paired {
    if let (true, [_], [_]) = (files, old, new) {
        return Paired { pairs: vec![(0, 0, PairedBy::Named)], ..Paired::default() };
    }
    let mut pairs = Vec::new();
    let mut left: [BTreeSet<usize>; 2] = [old, new].map(|members| (0..members.len()).collect());
    let mut pass = |by: PairedBy, key: Key<'_>, fits: &dyn Fn(&Member, &Member) -> bool| {
        let keyed = |members: &[Member], left: &BTreeSet<usize>| {
            let mut keyed: BTreeMap<String, Vec<usize>> = BTreeMap::new();
            for at in left {
                if let Some(key) = key(&members[*at]) {
                    keyed.entry(key).or_default().push(*at);
                }
            }
            keyed
        };
        let olds = keyed(old, &left[0]);
        let news = keyed(new, &left[1]);
        for (key, olds) in olds {
            let ([one], Some([other])) = (olds.as_slice(), news.get(&key).map(Vec::as_slice)) else {
                continue;
            };
            if fits(&old[*one], &new[*other]) {
                left[0].remove(one);
                left[1].remove(other);
                pairs.push((*one, *other, by));
            }
        }
    };
    let passes: [(PairedBy, Key<'_>); 5] = [
        (PairedBy::Path, &|member| Some(member.path.clone())),
        (PairedBy::PathWithoutNumbers, &|member| Some(without_numbers(&member.path))),
        (PairedBy::FileName, &|member| Some(file_name(&member.path).to_owned())),
        (PairedBy::Stem, &|member| Some(stem(soname(member).unwrap_or_else(|| file_name(&member.path))))),
        (PairedBy::OnlyExecutable, &|member| is_executable(member).then(String::new)),
    ];
    let any = |_: &Member, _: &Member| true;
    for (by, key) in passes {
        pass(by, &|member| Some(format!("{}\0{}", architecture(member)?, key(member)?)), &any);
    }
    // What is read may have come to another architecture, and what could not
    // be read has none.
    pass(PairedBy::Path, passes[0].1, &any);
    let unread = |old: &Member, new: &Member| architecture(old).is_none() || architecture(new).is_none();
    for (by, key) in &passes[1..3] {
        pass(*by, key, &unread);
    }
    if old.len() == 1 && new.len() == 1 {
        pass(PairedBy::OnlyArtifact, &|_| Some(String::new()), &any);
    }
    pairs.sort_unstable_by_key(|(_, new, _)| *new);
    let [lost, gained] = left.map(|left| left.into_iter().collect());
    Paired { pairs, lost, gained }
}

fn architecture(member: &Member) -> Option<String> {
    match &member.holds {
        Holds::Facts(facts) => Some(facts.arch.to_string()),
        Holds::Other(_) | Holds::Unreadable(_) => None,
    }
}

fn is_executable(member: &Member) -> bool {
    matches!(&member.holds, Holds::Facts(facts) if facts.role == crate::artifact::Role::Executable)
}

fn soname(member: &Member) -> Option<&str> {
    match &member.holds {
        Holds::Facts(facts) => facts.soname.as_deref(),
        _ => None,
    }
}

pub fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Each number, dotted or not, as `#`: `ruff-0.1.0.data` and `ruff-0.15.0.data`
/// are alike, and so are `cpython-311` and `cpython-312`.
fn without_numbers(path: &str) -> String {
    let mut plain = String::new();
    let mut rest = path;
    while let Some(start) = rest.find(|letter: char| letter.is_ascii_digit()) {
        plain.push_str(&rest[..start]);
        plain.push('#');
        let digit_or_dot = |letter: char| letter.is_ascii_digit() || letter == '.';
        let number = &rest[start..];
        let end = number.find(|letter| !digit_or_dot(letter)).unwrap_or(number.len());
        let number = number[..end].trim_end_matches('.');
        rest = &rest[start + number.len()..];
    }
    plain + rest
}

/// `libssl.so.3`, `libssl-3e69114b.so.1.1.1k` and `libssl-1.1.so` are `libssl`;
/// `_rust.cpython-311-x86_64-linux-gnu.so` is `_rust`.
fn stem(name: &str) -> String {
    let stem = match name.find(".so") {
        Some(end) if matches!(name[end + 3..].chars().next(), None | Some('.')) => &name[..end],
        _ => name,
    };
    let stem = stem.split_once('.').map_or(stem, |(first, _)| first);
    // auditwheel puts eight digits of a hash into the names of what it vendors.
    let stem = match stem.rsplit_once('-') {
        Some((first, last)) if !first.is_empty() && last.chars().all(|letter| letter.is_ascii_hexdigit()) => {
            first
        }
        _ => stem,
    };
    let bare = stem.trim_end_matches(|letter: char| letter.is_ascii_digit()).trim_end_matches('-');
    if bare.is_empty() { name.to_owned() } else { bare.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_do_not_count() {
        assert_eq!(without_numbers("ruff-0.1.0.data/scripts/ruff"), "ruff-#.data/scripts/ruff");
        assert_eq!(without_numbers("ruff-0.15.0.data/scripts/ruff"), "ruff-#.data/scripts/ruff");
        assert_eq!(without_numbers("lib.so.6"), "lib.so.#");
        assert_eq!(without_numbers("a"), "a");
        assert_eq!(without_numbers("1.2."), "#.");
    }

    #[test]
    fn stems() {
        for (name, expected) in [
            ("libssl.so.3", "libssl"),
            ("libssl.so", "libssl"),
            ("libssl-3e69114b.so.1.1.1k", "libssl"),
            ("libssl-1.1.so", "libssl"),
            ("libstdc++.so.6", "libstdc++"),
            ("libpython3.11.so.1.0", "libpython"),
            ("_rust.cpython-311-x86_64-linux-gnu.so", "_rust"),
            ("_rust.abi3.so", "_rust"),
            ("tool", "tool"),
            ("7z", "7z"),
            ("7", "7"),
            ("a.sock", "a"),
        ] {
            assert_eq!(stem(name), expected, "{name}");
        }
    }

    fn unread(path: &str) -> Member {
        Member::new(path, Holds::Unreadable(String::new()))
    }

    #[test]
    fn what_two_have_in_common_with_others_does_not_pair_them() {
        let old = ["a/x", "b/x", "c/y"].map(unread);
        let new = ["d/x", "e/x", "f/y"].map(unread);
        let paired = pair(&old, &new, false);
        assert_eq!(paired.pairs, [(2, 2, PairedBy::FileName)]);
        assert_eq!((paired.lost, paired.gained), (vec![0, 1], vec![0, 1]));
        let paired = pair(&old[..1], &[unread("z")], false);
        assert_eq!(paired.pairs, [(0, 0, PairedBy::OnlyArtifact)]);
        let paired = pair(&[unread("a")], &[unread("b")], true);
        assert_eq!(paired.pairs, [(0, 0, PairedBy::Named)]);
    }
}
