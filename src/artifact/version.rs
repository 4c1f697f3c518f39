//! Version tags of ELF symbol versioning, and their order.

use std::cmp::Ordering;
use std::fmt;

use serde::Serialize;

/// Namespaces whose name itself holds an underscore and could be mistaken for
/// a shorter one. The second word is the namespace whose limit they share:
/// libstdc++ numbers its `LDBL` and `IEEE128` nodes (128-bit long double on
/// ppc64le and s390x) as it numbers the plain ones
/// (`libstdc++-v3/config/abi/pre/gnu.ver`, `gnu-versioned-namespace.ver`).
const KNOWN: &[(&str, &str)] = &[
    ("GLIBC", "GLIBC"),
    ("GLIBCXX", "GLIBCXX"),
    ("GLIBCXX_LDBL", "GLIBCXX"),
    ("GLIBCXX_IEEE128", "GLIBCXX"),
    ("CXXABI", "CXXABI"),
    ("CXXABI_LDBL", "CXXABI"),
    ("CXXABI_IEEE128", "CXXABI"),
    ("CXXABI_TM", "CXXABI_TM"),
    ("GCC", "GCC"),
];

/// Tags that are no number but stand for a glibc release. A distribution may
/// carry the later ones in an older glibc too: only its own list of nodes
/// tells, so against a ceiling the later release counts.
const MARKERS: &[(&str, &[u32])] = &[
    // `-z pack-relative-relocs`; glibc NEWS, 2.36.
    ("GLIBC_ABI_DT_RELR", &[2, 36]),
    // TLS descriptors that keep caller-saved registers (glibc bug 33129), and
    // DT_X86_64_PLT (glibc bug 33212): sure from 2.43 on.
    ("GLIBC_ABI_GNU2_TLS", &[2, 43]),
    ("GLIBC_ABI_DT_X86_64_PLT", &[2, 43]),
];

/// A dotted release number: `2.34`. Compared number by number, so `2.9` is
/// older than `2.34`, and `2.34` equals `2.34.0`.
#[derive(Debug, Clone)]
pub struct Release(Vec<u32>);

impl Release {
    pub fn parse(text: &str) -> Option<Self> {
        let parts = text
            .split('.')
            .map(|part| {
                let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
                digits.then(|| part.parse().ok()).flatten()
            })
            .collect::<Option<Vec<u32>>>()?;
        Some(Self(parts))
    }
}

impl From<&[u32]> for Release {
    fn from(parts: &[u32]) -> Self {
        Self(parts.to_vec())
    }
}

impl Ord for Release {
    fn cmp(&self, other: &Self) -> Ordering {
        let longest = self.0.len().max(other.0.len());
        let part = |release: &Self, at: usize| release.0.get(at).copied().unwrap_or(0);
        (0..longest)
            .map(|at| part(self, at).cmp(&part(other, at)))
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    }
}

impl PartialOrd for Release {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Release {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Release {}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, part) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(".")?;
            }
            write!(f, "{part}")?;
        }
        Ok(())
    }
}

impl Serialize for Release {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What follows the namespace in a version tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tag {
    Number(Release),
    /// A name that is known to stand for a release: `GLIBC_ABI_DT_RELR`.
    Marker(Release),
    /// A name that says nothing of age: `GLIBC_PRIVATE`, `XZ_5.1.2alpha`.
    Name,
}

impl Tag {
    /// The release that it is compared as.
    pub fn release(&self) -> Option<&Release> {
        match self {
            Self::Number(release) | Self::Marker(release) => Some(release),
            Self::Name => None,
        }
    }
}

/// A version node's name, read: `GLIBC_2.34`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AbiVersion {
    /// Whose limit it falls under: the longest known prefix, in its family.
    pub namespace: String,
    pub tag: Tag,
}

impl AbiVersion {
    /// The namespaces that are known by name.
    pub fn namespaces() -> impl Iterator<Item = &'static str> {
        KNOWN.iter().map(|(name, _)| *name)
    }

    /// Reads a tag. `limited` are namespaces that the policy names beside the
    /// known ones.
    pub fn parse<'a>(text: &str, limited: impl IntoIterator<Item = &'a str>) -> Self {
        let known = KNOWN.iter().copied().chain(limited.into_iter().map(|name| (name, name)));
        let prefix = known
            .filter_map(|(prefix, family)| {
                let rest = text.strip_prefix(prefix)?.strip_prefix('_')?;
                Some((prefix.len(), family, rest))
            })
            .max_by_key(|(len, ..)| *len)
            .map(|(_, family, rest)| (family, rest));
        // An unknown namespace ends where the number begins.
        let split = prefix.or_else(|| {
            text.match_indices('_')
                .find(|(at, _)| text[at + 1..].starts_with(|next: char| next.is_ascii_digit()))
                .map(|(at, _)| (&text[..at], &text[at + 1..]))
        });
        let Some((namespace, rest)) = split else {
            return Self { namespace: text.to_owned(), tag: Tag::Name };
        };
        let tag = match (Release::parse(rest), MARKERS.iter().find(|(name, _)| *name == text)) {
            (Some(number), _) => Tag::Number(number),
            (None, Some((_, release))) => Tag::Marker(Release::from(*release)),
            (None, None) => Tag::Name,
        };
        Self { namespace: namespace.to_owned(), tag }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (String, String) {
        let version = AbiVersion::parse(text, []);
        let tag = match version.tag {
            Tag::Number(release) => release.to_string(),
            Tag::Marker(release) => format!("as {release}"),
            Tag::Name => "name".to_owned(),
        };
        (version.namespace, tag)
    }

    // Fact 6: the tags seen in the wild.
    #[test]
    fn tags_are_split_at_the_longest_known_prefix() {
        for (text, namespace, tag) in [
            ("GLIBC_2.34", "GLIBC", "2.34"),
            ("GLIBC_2.2.5", "GLIBC", "2.2.5"),
            ("GLIBC_PRIVATE", "GLIBC", "name"),
            ("GLIBC_ABI_DT_RELR", "GLIBC", "as 2.36"),
            ("GLIBC_ABI_DT_X86_64_PLT", "GLIBC", "as 2.43"),
            ("GLIBC_ABI_UNHEARD_OF", "GLIBC", "name"),
            ("GLIBCXX_3.4.29", "GLIBCXX", "3.4.29"),
            ("GLIBCXX_LDBL_3.4.29", "GLIBCXX", "3.4.29"),
            ("GLIBCXX_IEEE128_3.4.30", "GLIBCXX", "3.4.30"),
            ("CXXABI_1.3", "CXXABI", "1.3"),
            ("CXXABI_LDBL_1.3", "CXXABI", "1.3"),
            ("CXXABI_TM_1", "CXXABI_TM", "1"),
            ("CXXABI_FLOAT128", "CXXABI", "name"),
            ("GCC_3.0", "GCC", "3.0"),
            ("OPENSSL_3.0.0", "OPENSSL", "3.0.0"),
            ("OPENSSL_1.0.1_EC", "OPENSSL", "name"),
            ("CURL_OPENSSL_4", "CURL_OPENSSL", "4"),
            ("XZ_5.1.2alpha", "XZ", "name"),
            ("Base", "Base", "name"),
        ] {
            assert_eq!(read(text), (namespace.to_owned(), tag.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_namespace_of_the_policy_counts_as_known() {
        let version = AbiVersion::parse("LIB_8_API_2", ["LIB_8_API"]);
        assert_eq!(version.namespace, "LIB_8_API");
        assert_eq!(version.tag, Tag::Number(Release(vec![2])));
    }

    #[test]
    fn releases_are_compared_number_by_number() {
        let release = |text| Release::parse(text).unwrap();
        assert!(release("2.9") < release("2.34"));
        assert!(release("2.2.5") > release("2.2"));
        assert!(release("2.34") == release("2.34.0"));
        for wrong in ["", ".", "2.", "2..3", "+2", "2.x", "99999999999.1"] {
            assert!(Release::parse(wrong).is_none(), "{wrong:?}");
        }
    }
}
