//! Libraries whose file name changed, reviewed by hand: equal version nodes do
//! not prove that one may stand for the other (fact 28).

use std::sync::LazyLock;

use serde::Deserialize;

/// A library that a platform has under another name than older ones.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rename {
    /// The file name that programs ask for.
    pub old: String,
    /// The file name that the library has now.
    pub new: String,
    /// Whether programs built for the old name work with the new file.
    pub same_interface: bool,
    /// The first platform that has it so.
    pub since: String,
    /// What changed, in a sentence.
    pub why: String,
    /// What to do, in a sentence.
    pub help: String,
    /// The page that states it.
    pub source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Renames {
    rename: Vec<Rename>,
}

static RENAMES: LazyLock<Vec<Rename>> = LazyLock::new(|| {
    let renames: Result<Renames, _> = toml::from_str(include_str!("data/renames.toml"));
    renames.map(|renames| renames.rename).unwrap_or_default()
});

/// The reviewed rename of a library, by the name that programs ask for.
pub fn renamed(old: &str) -> Option<&'static Rename> {
    RENAMES.iter().find(|rename| rename.old == old)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Fact 28.
    #[test]
    fn the_file_names_that_changed_with_debian_13() {
        assert!(toml::from_str::<Renames>(include_str!("data/renames.toml")).is_ok());
        assert_eq!(renamed("libaio.so.1").unwrap().new, "libaio.so.1t64");
        assert_eq!(RENAMES.len(), 3);
        assert!(renamed("libfuse3.so.3").is_none(), "libfuse3.so.4 is another interface");
        for rename in &*RENAMES {
            assert!(rename.source.starts_with("https://") && crate::platform::find(&rename.since).is_some());
        }
    }
}
