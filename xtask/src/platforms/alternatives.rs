//! Links that `update-alternatives` makes when a package is installed (fact 42), read from its scripts.

/// Link and target, for each `--install` and `--slave` of a maintainer's script (`update-alternatives(1)`).
pub fn links(script: &str) -> Vec<(String, String)> {
    let script = script.replace("\\\n", " ");
    let mut links = Vec::new();
    let mut variables: Vec<(String, String)> = Vec::new();
    for line in script.lines() {
        let words: Vec<String> = line.split_whitespace().map(|word| expand(word, &variables)).collect();
        if let [only] = &words[..]
            && let Some((name, value)) = only.split_once('=')
        {
            variables.push((name.to_owned(), value.to_owned()));
            continue;
        }
        let Some(start) = words.iter().position(|word| word.ends_with("update-alternatives")) else {
            continue;
        };
        let words = &words[start..];
        for (at, word) in words.iter().enumerate() {
            // `--install LINK NAME PATH PRIORITY`, `--slave LINK NAME PATH`
            if matches!(word.as_str(), "--install" | "--slave")
                && let (Some(link), Some(path)) = (words.get(at + 1), words.get(at + 3))
                && [link, path].iter().all(|path| path.starts_with('/') && !path.contains('$'))
            {
                links.push((link.clone(), path.clone()));
            }
        }
    }
    links
}

fn expand(word: &str, variables: &[(String, String)]) -> String {
    let mut word = word.replace(['"', '\'', ';'], "");
    for (name, value) in variables.iter().rev() {
        word = word.replace(&format!("${{{name}}}"), value).replace(&format!("${name}"), value);
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_a_script() {
        let script = r#"
set -e
lib=/usr/lib/x86_64-linux-gnu
if [ "$1" = configure ]; then
    update-alternatives --install $lib/libblas.so.3 libblas.so.3 \
        "${lib}/blas/libblas.so.3" 10 \
        --slave /usr/lib/l.so l.so /usr/lib/blas/l.so
    update-alternatives --install /usr/bin/$other other /usr/bin/x 10
    update-alternatives --remove a /usr/lib/b.so
fi
"#;
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(
            links(script),
            [
                pair("/usr/lib/x86_64-linux-gnu/libblas.so.3", "/usr/lib/x86_64-linux-gnu/blas/libblas.so.3"),
                pair("/usr/lib/l.so", "/usr/lib/blas/l.so"),
            ]
        );
    }
}
