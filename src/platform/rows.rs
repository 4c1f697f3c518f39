//! Rows of a description, in unpacked blocks: of most nothing is read but the
//! name, and of a row's facts only those that are asked for.

use std::cmp::Ordering;
use std::marker::PhantomData;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::pack::{Broken, PackedFacts, Place, record};

/// Rows, unpacked.
#[derive(Debug)]
pub struct Block {
    bytes: Vec<u8>,
    /// Where each row starts.
    starts: Vec<u32>,
}

/// All that has one file name.
#[derive(Debug)]
pub struct Row<'a> {
    pub name: &'a str,
    pub places: Vec<Place<'a>>,
    /// How many facts there are, and these one after another.
    facts: (usize, &'a [u8]),
}

impl Block {
    pub fn new(bytes: Vec<u8>) -> Result<Self, Broken> {
        let mut starts = Vec::new();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            starts.push((bytes.len() - rest.len()) as u32);
            rest = record::<PassedRow<'_>>(rest)?.1;
        }
        Ok(Self { bytes, starts })
    }

    pub fn len(&self) -> usize {
        self.starts.len()
    }

    fn bytes_of(&self, at: usize) -> &[u8] {
        &self.bytes[self.starts[at] as usize..]
    }

    pub fn row(&self, at: usize) -> Result<Row<'_>, Broken> {
        let ((name, places, count), rest) = record::<(&str, Vec<Place<'_>>, u64)>(self.bytes_of(at))?;
        Ok(Row { name, places, facts: (usize::try_from(count).unwrap_or(usize::MAX), rest) })
    }

    /// Where the first row is whose name is not before this one.
    pub fn from(&self, name: &str) -> Result<usize, Broken> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            // A row starts with its name.
            match record::<&str>(self.bytes_of(middle))?.0.cmp(name) {
                Ordering::Less => low = middle + 1,
                _ => high = middle,
            }
        }
        Ok(low)
    }

    pub fn find(&self, name: &str) -> Result<Option<Row<'_>>, Broken> {
        let at = self.from(name)?;
        match at < self.len() && record::<&str>(self.bytes_of(at))?.0 == name {
            true => self.row(at).map(Some),
            false => Ok(None),
        }
    }
}

impl<'a> Row<'a> {
    /// The facts with this number; `None`: there are not so many.
    pub fn facts(&self, at: u32) -> Result<Option<PackedFacts<'a>>, Broken> {
        let (count, mut rest) = self.facts;
        if at as usize >= count {
            return Ok(None);
        }
        for _ in 0..at {
            rest = record::<PassedFacts<'_>>(rest)?.1;
        }
        Ok(Some(record(rest)?.0))
    }
}

/// A list that is passed over.
#[derive(Debug)]
struct Many<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Many<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Each<T> {
            type Value = Many<T>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                while list.next_element::<T>()?.is_some() {}
                Ok(Many(PhantomData))
            }
        }
        deserializer.deserialize_seq(Each(PhantomData))
    }
}

/// Text that is passed over, and not looked into.
type Text<'a> = &'a [u8];

/// As `pack::Row`.
type PassedRow<'a> = (Text<'a>, Many<PassedPlace<'a>>, Many<PassedFacts<'a>>);

/// As `pack::Place`.
type PassedPlace<'a> = (Text<'a>, Text<'a>, u64, u64, PassedWhat<'a>);

/// As `pack::PackedWhat`.
#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "what is passed over is not looked at")]
enum PassedWhat<'a> {
    #[serde(borrow)]
    Link(Text<'a>),
    Library(u32),
    Listed,
    OtherMachine,
    NotElf,
}

/// As `pack::PackedFacts`.
type PassedFacts<'a> = (
    Option<Text<'a>>,
    Many<Text<'a>>,
    Many<Text<'a>>,
    Many<Text<'a>>,
    Many<(Text<'a>, Text<'a>, bool)>,
    Many<Text<'a>>,
    u16,
    u8,
    Option<(u32, u32, Many<u16>)>,
    Many<(Text<'a>, Option<Text<'a>>, Option<Text<'a>>, bool, bool)>,
);

#[cfg(test)]
mod tests {
    use super::super::pack::{self, PackedWhat, SymbolsAt};
    use super::*;

    #[test]
    fn what_is_passed_over_is_what_is_written() {
        let facts = |soname| PackedFacts {
            soname,
            needed: vec!["libc.so.6", "libm.so.6"],
            rpath: vec!["/opt"],
            runpath: vec!["$ORIGIN"],
            version_needs: vec![("libc.so.6", "GLIBC_2.34", true)],
            nodes: vec!["A_1"],
            second: 300,
            flags: 7,
            symbols: Some(SymbolsAt { at: 70_000, len: 3, nodes: vec![1, 2, 3000] }),
            unresolved: vec![("name", Some("V"), None, true, false)],
        };
        let place = |what| Place { folder: "/lib", package: "p", systems: 1 << 40, plain: 1, what };
        let row = |name| pack::Row {
            name,
            places: vec![
                place(PackedWhat::Link("to")),
                place(PackedWhat::Library(1)),
                place(PackedWhat::Listed),
                place(PackedWhat::OtherMachine),
                place(PackedWhat::NotElf),
            ],
            facts: vec![facts(None), facts(Some("liba.so.1"))],
        };
        let mut bytes = Vec::new();
        for name in ["a", "b", "d"] {
            bytes.extend(postcard::to_allocvec(&row(name)).unwrap());
        }
        let block = Block::new(bytes.clone()).unwrap();
        assert_eq!(block.len(), 3);
        let found = block.find("b").unwrap().unwrap();
        assert_eq!((found.name, found.places.len()), ("b", 5));
        assert_eq!(found.facts(0).unwrap(), Some(facts(None)));
        assert_eq!(found.facts(1).unwrap(), Some(facts(Some("liba.so.1"))));
        assert_eq!(found.facts(2).unwrap(), None);
        assert!(block.find("c").unwrap().is_none() && block.find("e").unwrap().is_none());
        assert_eq!((block.from("c").unwrap(), block.from("e").unwrap()), (2, 3));
        for short in 1..bytes.len() / 3 {
            assert!(Block::new(bytes[..bytes.len() - short].to_vec()).is_err(), "{short}");
        }
    }
}
