//! Presets for `undefined`: the names that well-known host programs provide to
//! what they load, by version.
//!
//! The lists are made by `cargo xtask presets` from real hosts; each says which
//! package of which version it is from.

use std::cmp::{Ordering, Reverse};
use std::fmt;
use std::sync::OnceLock;

use crate::text::did_you_mean;

/// What a preset's name begins with in a policy.
pub const PREFIX: &str = "preset:";

/// One host program.
#[derive(Debug)]
pub struct Preset {
    pub name: &'static str,
    /// Who provides the names, in words.
    pub host: &'static str,
    text: &'static str,
    list: OnceLock<List>,
}

const fn preset(name: &'static str, host: &'static str, text: &'static str) -> Preset {
    Preset { name, host, text, list: OnceLock::new() }
}

/// Every preset, by name.
pub static PRESETS: [Preset; 10] = [
    preset("erlang", "Erlang", include_str!("erlang.txt")),
    preset("lua", "Lua", include_str!("lua.txt")),
    preset("luajit", "LuaJIT", include_str!("luajit.txt")),
    preset("napi", "Node-API", include_str!("napi.txt")),
    preset("nginx", "nginx", include_str!("nginx.txt")),
    preset("php", "PHP", include_str!("php.txt")),
    preset("postgres", "PostgreSQL", include_str!("postgres.txt")),
    preset("python", "CPython", include_str!("python.txt")),
    preset("python-abi3", "CPython's Stable ABI", include_str!("python-abi3.txt")),
    preset("ruby", "Ruby", include_str!("ruby.txt")),
];

/// The names of a preset. They are looked up in the text itself, which is
/// sorted: some have ten thousand, of which one file asks a few.
#[derive(Debug)]
struct List {
    versions: Vec<&'static str>,
    /// `name`, or `name 3.9-3.11 3.14-`: the versions that have it.
    lines: &'static str,
}

impl List {
    /// `# comment` and `@ version source`; then the names.
    fn parse(text: &'static str) -> Self {
        let mut versions = Vec::new();
        let mut lines = text;
        while lines.starts_with(['#', '@']) {
            let (line, rest) = lines.split_once('\n').unwrap_or((lines, ""));
            if let Some(rest) = line.strip_prefix("@ ") {
                versions.push(rest.split_once(' ').map_or(rest, |(version, _)| version));
            }
            lines = rest;
        }
        Self { versions, lines }
    }

    /// What stands behind a name: its versions.
    fn find(&self, name: &str) -> Option<&'static str> {
        // By bytes: of a line no more is looked at than tells it from the name.
        let (lines, name) = (self.lines.as_bytes(), name.as_bytes());
        if name.iter().any(|byte| matches!(byte, b' ' | b'\n')) {
            return None;
        }
        let end_of = |at: usize| at + lines[at..].iter().take_while(|byte| **byte != b'\n').count();
        let (mut low, mut high) = (0, lines.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let start = middle - lines[low..middle].iter().rev().take_while(|byte| **byte != b'\n').count();
            let line = &lines[start..];
            let alike = line.iter().zip(name).take_while(|(own, asked)| own == asked).count();
            let after = line.get(alike).copied().filter(|byte| !matches!(byte, b' ' | b'\n'));
            match after.cmp(&name.get(alike).copied()) {
                Ordering::Equal => return Some(split(&self.lines[start..end_of(start)]).1),
                Ordering::Less => low = end_of(start) + 1,
                Ordering::Greater => high = start,
            }
        }
        None
    }

    /// A bit for every version of which it is said.
    fn bits(&self, said: &str) -> u32 {
        if said.is_empty() {
            return u32::MAX;
        }
        let at = |version: &str| self.versions.iter().position(|known| *known == version);
        let last = self.versions.len().saturating_sub(1);
        let mut bits = 0;
        for (from, to) in said.split(' ').filter_map(|run| run.split_once('-')) {
            for bit in at(from).unwrap_or(last)..=at(to).unwrap_or(last) {
                bits |= 1 << bit;
            }
        }
        bits
    }

    fn bits_of(&self, name: &str) -> Option<u32> {
        Some(self.bits(self.find(name)?))
    }

    fn names(&self) -> impl Iterator<Item = (&'static str, u32)> {
        self.lines.lines().map(split).map(|(name, said)| (name, self.bits(said)))
    }
}

/// A line: the name, and what is said of its versions.
fn split(line: &'static str) -> (&'static str, &'static str) {
    line.split_once(' ').unwrap_or((line, ""))
}

impl Preset {
    fn list(&self) -> &List {
        self.list.get_or_init(|| List::parse(self.text))
    }

    pub fn versions(&self) -> &[&'static str] {
        &self.list().versions
    }

    /// Which versions have a name, in words; `None` where none has.
    fn versions_with(&self, name: &str) -> Option<String> {
        let table = self.list();
        let bits = table.bits_of(name)?;
        let has: Vec<bool> = (0..table.versions.len()).map(|at| bits & (1 << at) != 0).collect();
        let first = has.iter().position(|has| *has)?;
        let last = has.iter().rposition(|has| *has)?;
        let newest = has.len() - 1;
        Some(match (first, last) {
            (first, last) if last == newest && first > 0 => format!("{} and newer", table.versions[first]),
            (0, last) if last < newest => format!("{} and older", table.versions[last]),
            (first, last) if first == last => table.versions[first].to_owned(),
            (first, last) => format!("{} to {}", table.versions[first], table.versions[last]),
        })
    }
}

/// A preset as a policy names it: of one version, or of any.
#[derive(Clone, Copy)]
pub struct Chosen {
    preset: &'static Preset,
    version: Option<usize>,
}

/// Why a word names no preset.
#[derive(Debug, PartialEq, Eq)]
pub struct Unknown {
    pub message: String,
    pub help: String,
}

impl Chosen {
    /// Reads what stands behind `preset:`.
    pub fn parse(word: &str) -> Result<Self, Unknown> {
        let of = |preset: &'static Preset| {
            let rest = word.strip_prefix(preset.name)?;
            (rest.is_empty() || rest.starts_with('-')).then_some((preset, rest.strip_prefix('-')))
        };
        // `python-abi3` goes before `python`.
        let found = PRESETS.iter().filter_map(of).max_by_key(|(preset, _)| preset.name.len());
        let Some((preset, version)) = found else {
            let names = PRESETS.iter().map(|preset| preset.name);
            let bare = word.trim_end_matches(|end: char| end.is_ascii_digit() || end == '.' || end == '-');
            return Err(Unknown {
                message: format!("there is no preset `{word}`"),
                help: match did_you_mean(bare, names.clone()) {
                    Some(near) => format!("did you mean `{PREFIX}{near}`?"),
                    None => format!("the presets are {}", names.collect::<Vec<_>>().join(", ")),
                },
            });
        };
        let Some(version) = version else { return Ok(Self { preset, version: None }) };
        let versions = preset.versions();
        match versions.iter().position(|known| *known == version) {
            Some(at) => Ok(Self { preset, version: Some(at) }),
            None => Err(Unknown {
                message: format!("the preset `{}` has no version `{version}`", preset.name),
                help: format!(
                    "`{PREFIX}{}` takes every version; those known are {}",
                    preset.name,
                    versions.join(", ")
                ),
            }),
        }
    }

    /// As a policy writes it.
    pub fn id(self) -> String {
        match self.version {
            Some(version) => format!("{PREFIX}{}-{}", self.preset.name, self.preset.versions()[version]),
            None => format!("{PREFIX}{}", self.preset.name),
        }
    }

    pub fn has(self, name: &str) -> bool {
        self.preset.list().bits_of(name).is_some_and(|bits| self.is_in(bits))
    }

    fn is_in(self, bits: u32) -> bool {
        self.version.is_none_or(|version| bits & (1 << version) != 0)
    }

    pub fn names(self) -> impl Iterator<Item = &'static str> {
        self.preset.list().names().filter(move |(_, bits)| self.is_in(*bits)).map(|(name, _)| name)
    }

    /// Why a name that this lacks may have been expected here.
    pub fn hint(self, name: &str) -> Option<String> {
        let host = self.preset.host;
        if let Some(versions) = self.preset.versions_with(name) {
            return Some(format!("`{}` lacks `{name}`: {host} has it in {versions}", self.id()));
        }
        let python = &PRESETS.iter().find(|preset| preset.name == "python")?;
        let versions = python.versions_with(name)?;
        (self.preset.name == "python-abi3").then(|| {
            format!(
                "`{}` lacks `{name}`: not of the Stable ABI; CPython {versions} has it all the same",
                self.id()
            )
        })
    }
}

impl PartialEq for Chosen {
    fn eq(&self, other: &Self) -> bool {
        (self.preset.name, self.version) == (other.preset.name, other.version)
    }
}

impl Eq for Chosen {}

impl fmt::Debug for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id())
    }
}

/// A preset that would allow most of what is undefined.
#[derive(Debug, PartialEq, Eq)]
pub struct Suggestion {
    /// As a policy writes it: `preset:python`.
    pub preset: String,
    pub host: &'static str,
    /// How many of the names it allows.
    pub allows: usize,
}

/// The preset that allows most of the names, if it allows half of them; of two
/// that allow as many the narrower one.
pub fn suggest<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<Suggestion> {
    let names: Vec<&str> = names.into_iter().collect();
    let candidates = PRESETS.iter().filter_map(|preset| {
        let list = preset.list();
        let lacked = names.iter().filter(|name| list.find(name).is_none());
        // Once it lacks more than half, the rest does not matter.
        let lacked = lacked.take(names.len() / 2 + 1).count();
        Some((names.len().checked_sub(lacked)?, preset))
    });
    let (allows, preset) = candidates
        .filter(|(allows, _)| *allows > 0 && allows * 2 >= names.len())
        .max_by_key(|(allows, preset)| (*allows, Reverse(preset.list().lines.lines().count())))?;
    Some(Suggestion { preset: format!("{PREFIX}{}", preset.name), host: preset.host, allows })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(word: &str) -> Chosen {
        Chosen::parse(word).unwrap()
    }

    #[test]
    fn the_lists_are_whole() {
        for preset in &PRESETS {
            let table = preset.list();
            let names: Vec<&str> = table.names().map(|(name, _)| name).collect();
            assert!(names.len() > 100, "{}", preset.name);
            assert!(names.is_sorted_by(|a, b| a < b), "{}", preset.name);
            assert!(table.names().all(|(name, bits)| table.bits_of(name) == Some(bits)), "{}", preset.name);
            assert!((1..=32).contains(&table.versions.len()), "{}", preset.name);
            let line = table.lines.lines().next().unwrap();
            for absent in ["", "A", "zzzz", "PyList_Nev", "_", &format!("{line} "), &format!("{line}\n")] {
                assert_eq!(table.find(absent), None, "{}", preset.name);
            }
            for line in preset.text.lines().filter(|line| !line.starts_with(['#', '@'])) {
                let known = |version: &str| version.is_empty() || table.versions.contains(&version);
                let mut runs = line.split(' ').skip(1);
                let run = |run: &str| {
                    run.split_once('-').is_some_and(|(from, to)| !from.is_empty() && known(from) && known(to))
                };
                assert!(runs.all(run), "{}: {line}", preset.name);
            }
        }
        assert!(PRESETS.is_sorted_by_key(|preset| preset.name));
    }

    #[test]
    fn a_version_has_what_its_host_has() {
        for (word, name, expected) in [
            ("napi", "napi_create_object", true),
            ("napi", "napi_create_objekt", false),
            ("napi-8", "napi_object_freeze", true),
            ("napi-7", "napi_object_freeze", false),
            ("napi-8", "node_api_symbol_for", false),
            ("napi-9", "node_api_symbol_for", true),
            ("python", "PyObject_Call", true),
            // A macro in 3.9's headers, a function later.
            ("python-3.9", "PyObject_Vectorcall", false),
            ("python-3.11", "PyObject_Vectorcall", true),
            ("python-abi3-3.9", "PyObject_Vectorcall", false),
            ("python-abi3-3.12", "PyObject_Vectorcall", true),
            ("python-abi3", "PyUnicode_New", false),
            ("python", "PyUnicode_New", true),
            ("lua-5.1", "luaL_register", true),
            ("lua-5.4", "luaL_register", false),
            ("ruby", "rb_define_method", true),
            ("postgres-13", "palloc", true),
            ("nginx", "ngx_palloc", true),
            ("php", "zend_parse_parameters", true),
            ("erlang", "enif_make_int", true),
        ] {
            assert_eq!(chosen(word).has(name), expected, "{word} {name}");
        }
    }

    #[test]
    fn words_that_name_no_preset() {
        let help = |word: &str| Chosen::parse(word).unwrap_err().help;
        assert_eq!(help("pyhton-3.9"), "did you mean `preset:python`?");
        assert!(help("nodejs8x").starts_with("the presets are erlang, "));
        assert!(help("python-2.7").contains("3.9, 3.11"));
        assert!(help("python-abi3-2.7").contains("`preset:python-abi3` takes every version"));
        assert!(Chosen::parse("napix").is_err());
    }

    #[test]
    fn hints_name_the_version() {
        let hint = |word: &str, name: &str| chosen(word).hint(name);
        assert_eq!(
            hint("napi-8", "node_api_symbol_for").unwrap(),
            "`preset:napi-8` lacks `node_api_symbol_for`: Node-API has it in 9 and newer"
        );
        assert_eq!(
            hint("lua-5.4", "luaL_register").unwrap(),
            "`preset:lua-5.4` lacks `luaL_register`: Lua has it in 5.1 and older"
        );
        assert!(hint("python-abi3", "PyUnicode_New").unwrap().contains("not of the Stable ABI"));
        assert_eq!(hint("napi-8", "helper"), None);
    }

    #[test]
    fn the_narrowest_preset_is_suggested() {
        let suggest = |names: &[&'static str]| suggest(names.iter().copied()).map(|found| found.preset);
        assert_eq!(suggest(&["napi_create_object", "napi_throw", "helper"]).as_deref(), Some("preset:napi"));
        assert_eq!(suggest(&["PyList_New", "PyList_Append"]).as_deref(), Some("preset:python-abi3"));
        assert_eq!(suggest(&["PyList_New", "PyUnicode_New"]).as_deref(), Some("preset:python"));
        assert_eq!(suggest(&["helper", "other"]), None);
        assert_eq!(suggest(&[]), None);
    }
}
