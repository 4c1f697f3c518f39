//! What a system's loader found of a file once: thousands of files are loaded with the same few hundred
//! libraries. Nothing here changes a verdict: an answer counts only where what it rests on is loaded again.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::name::Name;
use super::{Answer, Loaded, Object};

/// Answers kept of each kind.
const MOST: usize = 1 << 16;
/// References in answers that are kept: 4 bytes each.
const MOST_ANSWERED: usize = 1 << 20;

/// What the default folders have by a name.
#[derive(Debug, Clone)]
pub enum ByDefault {
    Found(Arc<str>, Arc<Object>),
    /// Something is there that stops the loader: path and what.
    Stopped(Arc<str>, String),
    /// Nothing, and perhaps why that is not certain.
    Absent(Option<String>),
}

/// The answers of one provider.
#[derive(Debug, Default)]
pub struct Memory {
    by_default: RwLock<HashMap<Name, ByDefault, Ready>>,
    versions: RwLock<HashMap<usize, Arc<Met>, Ready>>,
    references: RwLock<HashMap<usize, Arc<Bound>, Ready>>,
    /// How much is kept in `Bound::asked` of all.
    answered: AtomicUsize,
}

type Ready = BuildHasherDefault<Hashed>;

/// All versions that a file needs are there, where these names lead to these files.
#[derive(Debug)]
pub struct Met {
    /// Kept, so that nothing else has its address.
    pub of: Arc<Object>,
    pub by: Vec<(Name, Arc<Object>)>,
}

/// What satisfies the references of a file.
#[derive(Debug)]
pub struct Bound {
    pub of: Arc<Object>,
    pub groups: Vec<Group>,
    /// Those that nothing had, or what has them may depend on all that is loaded, by their places, in order.
    pub left: Vec<u32>,
    /// Those that have to be asked for each time.
    pub alone: Vec<u32>,
    /// What files say of those that are left, by the files' addresses.
    asked: RwLock<HashMap<usize, Asked, Ready>>,
}

/// A file, and what it says; `None`: it has nothing of it.
type Asked = (Arc<Object>, Option<Arc<Said>>);

/// What one file says of references that are left, by their places in that list.
#[derive(Debug, Default)]
pub struct Said {
    pub yes: Vec<u32>,
    pub unknown: Vec<u32>,
}

/// References that one file satisfies: it has to be the first that answers to the name, or where none is
/// named anywhere among what is loaded.
#[derive(Debug)]
pub struct Group {
    pub name: Option<Name>,
    pub by: Arc<Object>,
    pub references: Vec<u32>,
}

impl Memory {
    pub fn by_default(&self, name: &Name, look: impl FnOnce() -> ByDefault) -> ByDefault {
        get(&self.by_default, name).unwrap_or_else(|| put(&self.by_default, name.clone(), look()))
    }

    pub fn versions(&self, object: &Arc<Object>) -> Option<Arc<Met>> {
        get(&self.versions, &address(object))
    }

    pub fn keep_versions(&self, met: Met) {
        put(&self.versions, address(&met.of), Arc::new(met));
    }

    pub fn references(&self, object: &Arc<Object>) -> Option<Arc<Bound>> {
        get(&self.references, &address(object))
    }

    pub fn keep_references(&self, bound: Bound) {
        put(&self.references, address(&bound.of), Arc::new(bound));
    }
}

fn get<K: Eq + std::hash::Hash, V: Clone>(all: &RwLock<HashMap<K, V, Ready>>, key: &K) -> Option<V> {
    all.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
}

fn put<K: Eq + std::hash::Hash, V: Clone>(all: &RwLock<HashMap<K, V, Ready>>, key: K, value: V) -> V {
    let mut all = all.write().unwrap_or_else(PoisonError::into_inner);
    if all.len() < MOST {
        all.insert(key, value.clone());
    }
    value
}

fn address(object: &Arc<Object>) -> usize {
    Arc::as_ptr(object).addr()
}

impl Met {
    pub fn holds(&self, by_name: &ByName, loaded: &[Loaded]) -> bool {
        self.by
            .iter()
            .all(|(name, by)| by_name.get(name, loaded).is_some_and(|at| Arc::ptr_eq(&loaded[at].object, by)))
    }
}

impl Bound {
    pub fn new(of: Arc<Object>) -> Self {
        Self { of, groups: Vec::new(), left: Vec::new(), alone: Vec::new(), asked: RwLock::default() }
    }

    /// Tells `hear` what each file that is loaded says of the references that are left; those say nothing that
    /// have none of them.
    pub fn ask_all(
        &self,
        loaded: &[Loaded],
        memory: &Memory,
        ask: impl Fn(&Object, u32) -> Answer,
        mut hear: impl FnMut(usize, &Said),
    ) {
        // What was not asked before; nothing is kept where all were.
        let mut new = Vec::new();
        let asked = self.asked.read().unwrap_or_else(PoisonError::into_inner);
        for (at, one) in loaded.iter().enumerate() {
            match asked.get(&address(&one.object)) {
                Some((_, said)) => said.iter().for_each(|said| hear(at, said)),
                None => new.push(at),
            }
        }
        drop(asked);
        for at in new {
            let by = &loaded[at].object;
            let mut said = Said::default();
            for (place, index) in (0..).zip(&self.left) {
                match ask(by, *index) {
                    Answer::Yes => said.yes.push(place),
                    Answer::Unknown => said.unknown.push(place),
                    Answer::No => {}
                }
            }
            let count = said.yes.len() + said.unknown.len();
            let said = (count > 0).then(|| Arc::new(said));
            said.iter().for_each(|said| hear(at, said));
            // The file that is judged is not kept for its answers: only what the system has anyway. An entry is
            // some numbers, too.
            if at > 0 && memory.answered.fetch_add(count + 16, Ordering::Relaxed) < MOST_ANSWERED {
                let mut asked = self.asked.write().unwrap_or_else(PoisonError::into_inner);
                asked.insert(address(by), (Arc::clone(by), said));
            }
        }
    }

    /// Those references that another file satisfied before than now, if any does.
    pub fn gone<'b>(&'b self, by_name: &'b ByName, loaded: &'b [Loaded]) -> impl Iterator<Item = &'b u32> {
        let is_there = move |group: &&Group| match &group.name {
            Some(name) => {
                by_name.get(name, loaded).is_some_and(|at| Arc::ptr_eq(&loaded[at].object, &group.by))
            }
            None => loaded.iter().any(|one| Arc::ptr_eq(&one.object, &group.by)),
        };
        let gone = self.groups.iter().filter(move |group| !is_there(group));
        gone.flat_map(|group| &group.references)
    }
}

/// What is loaded, by hashes of the names that it was asked by, each with its place in the list: to look through
/// hundreds of numbers takes less than to keep as many names.
#[derive(Debug)]
pub struct ByName(Vec<(u64, usize)>);

impl ByName {
    pub fn of(loaded: &[Loaded]) -> Self {
        let mut all = Vec::with_capacity(loaded.len() + 8);
        for (at, one) in loaded.iter().enumerate() {
            all.extend(one.names.iter().map(|name| (name.hash(), at)));
        }
        Self(all)
    }

    /// The first one.
    pub fn get(&self, name: &Name, loaded: &[Loaded]) -> Option<usize> {
        self.find(name, name.hash(), loaded)
    }

    /// The first with a name of this hash.
    pub fn hashed(&self, hash: u64) -> Option<usize> {
        self.0.iter().find(|(own, _)| *own == hash).map(|(_, at)| *at)
    }

    /// The same by a name and its hash.
    pub fn find(&self, name: &str, hash: u64, loaded: &[Loaded]) -> Option<usize> {
        let mut same = self.0.iter().filter(|(own, at)| *own == hash && loaded[*at].names.contains(name));
        same.next().map(|(_, at)| *at)
    }
}

/// What comes with its hash.
#[derive(Debug, Default)]
pub struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    // An address: its lowest bits are always the same.
    fn write_usize(&mut self, address: usize) {
        self.0 = (address as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}
