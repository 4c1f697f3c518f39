//! Which target triples a file can be of, where cargo does not say.

use cfg_expr::targets::{ALL_BUILTINS, TargetInfo, get_builtin_target_by_triple};

use crate::artifact::{Arch, Artifact, Endian, Libc};
use crate::policy::{Policy, Selector, TargetSelector};

/// The architecture of a triple, as far as the tables know it.
pub fn arch(triple: &str) -> Option<Arch> {
    arch_of(get_builtin_target_by_triple(triple)?)
}

fn arch_of(target: &TargetInfo) -> Option<Arch> {
    let endian = match target.endian {
        cfg_expr::targets::Endian::big => Endian::Big,
        cfg_expr::targets::Endian::little => Endian::Little,
    };
    Arch::of_target(target.arch.as_str(), target.pointer_width, endian)
}

/// Whether objects of a triple are ELF files that a GNU-like linker takes. A
/// triple that nobody knows may be.
pub fn is_linux(triple: &str) -> bool {
    let target = get_builtin_target_by_triple(triple);
    target.is_none_or(|target| target.os.as_ref().is_some_and(|os| os.as_str() == "linux"))
}

/// The plain triple of an architecture with glibc.
pub fn glibc_triple(arch: Arch) -> Option<String> {
    let plain = ALL_BUILTINS.iter().filter(|target| arch_of(target).is_some_and(|own| own.same_as(arch)));
    let mut plain = plain.filter(|target| is_plain(target) && may_have(target, Libc::Glibc));
    plain.next().map(|target| target.triple.as_str().to_owned())
}

/// The triples for a file: of those that were named the ones of its machine
/// (all of them where none is: that is `wrong_architecture`), else every
/// triple that its machine and libc leave.
pub fn triples(facts: &Artifact, named: &[String], policy: Option<&Policy>) -> Vec<String> {
    if !named.is_empty() {
        let fits = |triple: &&String| arch(triple).is_none_or(|arch| arch.same_as(facts.arch));
        let fitting: Vec<String> = named.iter().filter(fits).cloned().collect();
        return if fitting.is_empty() { named.to_vec() } else { fitting };
    }
    let policy_names = |triple: &str| {
        policy.is_some_and(|policy| {
            policy.scopes.iter().any(|scope| match &scope.selector {
                Selector::Target(TargetSelector::Triple(own))
                | Selector::ArtifactOfTarget(TargetSelector::Triple(own), _) => own == triple,
                _ => false,
            })
        })
    };
    ALL_BUILTINS
        .iter()
        .filter(|target| arch_of(target).is_some_and(|arch| arch.same_as(facts.arch)))
        .filter(|target| target.os.as_ref().is_some_and(|os| os.as_str() == "linux"))
        .filter(|target| is_plain(target) || policy_names(target.triple.as_str()))
        .filter(|target| may_have(target, facts.libc) && same_float(target, facts))
        .map(|target| target.triple.as_str().to_owned())
        .collect()
}

/// Neither of a vendor nor of a variant that has no mark in the file.
fn is_plain(target: &TargetInfo) -> bool {
    let Some((_, environment)) = target.triple.as_str().split_once("-unknown-linux-") else { return false };
    matches!(
        environment,
        "gnu"
            | "musl"
            | "gnueabi"
            | "gnueabihf"
            | "musleabi"
            | "musleabihf"
            | "gnux32"
            | "gnuabi64"
            | "muslabi64"
    )
}

/// On Arm the flags tell which of the two calling conventions it is.
fn same_float(target: &TargetInfo, facts: &Artifact) -> bool {
    let hard = target.triple.as_str().ends_with("hf");
    match (target.arch.as_str(), facts.arch.flags & 0x600) {
        ("arm", 0x400) => hard,
        ("arm", 0x200) => !hard,
        _ => true,
    }
}

fn may_have(target: &TargetInfo, libc: Libc) -> bool {
    let env = target.env.as_ref().map(cfg_expr::targets::Env::as_str);
    match libc {
        Libc::Glibc => env == Some("gnu"),
        Libc::Musl => env == Some("musl"),
        Libc::Android => false,
        Libc::Mixed | Libc::Unknown => matches!(env, Some("gnu" | "musl")),
    }
}
