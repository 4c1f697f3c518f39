//! The index of an archive's files (Debian's "RepositoryFormat", Contents indices).

use std::collections::BTreeMap;

use cargo_compat::platform::Interest;

/// Shared objects by their absolute paths, each with its packages.
pub fn libraries(texts: &[String]) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in texts.iter().flat_map(|text| text.lines()) {
        // The path may hold spaces; the list of packages does not.
        let Some((path, packages)) = line.rsplit_once([' ', '\t']) else { continue };
        let path = format!("/{}", path.trim_end().trim_start_matches("./"));
        if Interest::of(&path) != Interest::Library || is_elsewhere(&path) {
            continue;
        }
        let names = packages.split(',').filter_map(|package| package.rsplit('/').next());
        all.entry(path).or_default().extend(names.map(str::to_owned));
    }
    all
}

/// Debugging information, documents, and headers: nothing that a loader opens.
fn is_elsewhere(path: &str) -> bool {
    ["/usr/lib/debug/", "/usr/share/", "/usr/include/"].iter().any(|folder| path.starts_with(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_packages() {
        let text = "usr/lib/a b.so   libs/a,main/libs/b\nusr/bin/c  utils/c\nusr/lib/debug/d.so debug/d\n";
        let found = libraries(&[text.to_owned()]);
        assert_eq!(
            found.into_iter().collect::<Vec<_>>(),
            [("/usr/lib/a b.so".to_owned(), vec!["a".to_owned(), "b".to_owned()])]
        );
    }
}
