//! Names of libraries: each is compared with those of all that is loaded.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

use crate::platform;

/// A name with its hash; copies of it share the text.
#[derive(Clone, Eq)]
pub struct Name {
    text: Arc<str>,
    hash: u64,
}

impl Name {
    pub fn new(text: &str) -> Self {
        Self { text: text.into(), hash: platform::hash(text.as_bytes()) }
    }

    pub fn hash(&self) -> u64 {
        self.hash
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && (Arc::ptr_eq(&self.text, &other.text) || same(self, other))
    }
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

/// Whether two texts are the same. musl compares them byte by byte, and there is a call for each.
pub fn same(a: &str, b: &str) -> bool {
    let (eights, rest) = a.as_bytes().as_chunks::<8>();
    let (other_eights, other_rest) = b.as_bytes().as_chunks::<8>();
    let number = |eight: &[u8; 8]| u64::from_le_bytes(*eight);
    a.len() == b.len()
        && eights.iter().zip(other_eights).all(|(a, b)| number(a) == number(b))
        && rest.iter().zip(other_rest).all(|(a, b)| a == b)
}

/// The names by which a file was asked for: nearly always one.
#[derive(Debug, Clone, Default)]
pub struct Names {
    first: Option<Name>,
    more: Vec<Name>,
}

impl Names {
    pub(super) fn push(&mut self, name: Name) {
        match self.first {
            None => self.first = Some(name),
            Some(_) => self.more.push(name),
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Name> {
        self.first.iter().chain(&self.more)
    }

    pub fn first(&self) -> Option<&Name> {
        self.first.as_ref()
    }

    pub fn contains(&self, name: &str) -> bool {
        self.iter().any(|own| same(own, name))
    }
}

impl FromIterator<Name> for Names {
    fn from_iter<I: IntoIterator<Item = Name>>(all: I) -> Self {
        let mut all = all.into_iter();
        Self { first: all.next(), more: all.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_the_same() {
        let text = "libstdc++.so.6.0.30";
        for end in 0..=text.len() {
            let copy = text[..end].to_owned();
            assert!(same(&text[..end], &copy));
            assert_eq!(Name::new(&text[..end]), Name::new(&text[..end]));
            for at in 0..end {
                let mut other = text.as_bytes()[..end].to_owned();
                other[at] ^= 1;
                let other = String::from_utf8(other).unwrap();
                assert!(!same(&text[..end], &other) && !same(&text[..end], &text[..at]));
            }
        }
    }
}
