//! Rust source as the architecture rules see it: without comments, texts and test modules, and as paths.

#[derive(Debug)]
pub struct Source {
    pub path: String,
    pub text: String,
    /// `text` with blanks for comments, texts and `#[cfg(test)]` modules; line for line and byte for byte the same.
    pub code: String,
}

/// `std::fs` as written out, whether in an expression or inside `use std::{fs, io}`.
#[derive(Debug, PartialEq, Eq)]
pub struct CodePath {
    pub line: usize,
    pub parts: Vec<String>,
    pub follows_use: bool,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code: blank_test_modules(&blank_comments_and_texts(text)),
        }
    }

    pub fn paths(&self) -> Vec<CodePath> {
        let mut paths: Vec<CodePath> = Vec::new();
        let mut groups: Vec<Vec<String>> = Vec::new(); // the prefix before each open brace
        let mut current: Option<CodePath> = None;
        let mut after_colons = false;
        let mut after_use = false;
        let mut rest = self.code.as_str();
        let mut line = 1;
        while let Some(first) = rest.chars().next() {
            let word_length = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
            if word_length > 0 {
                let word = rest[..word_length].to_owned();
                match (&mut current, after_colons) {
                    (Some(path), true) => path.parts.push(word),
                    (_, is_global) => {
                        let mut parts = groups.last().filter(|_| !is_global).cloned().unwrap_or_default();
                        let is_use = word == "use";
                        if word != "self" || parts.is_empty() {
                            parts.push(word);
                        }
                        paths.extend(current.replace(CodePath { line, parts, follows_use: after_use }));
                        after_use = is_use;
                    }
                }
                after_colons = false;
                rest = &rest[word_length..];
                continue;
            }
            if rest.starts_with("::") {
                after_colons = true;
                if !self.code[..self.code.len() - rest.len()].ends_with(is_word) {
                    paths.extend(current.take());
                }
                rest = &rest[2..];
                continue;
            }
            match first {
                '{' => {
                    let prefix = current.as_ref().filter(|_| after_colons);
                    groups.push(prefix.map(|path| path.parts.clone()).unwrap_or_default());
                }
                '}' => drop(groups.pop()),
                '\n' => line += 1,
                _ => {}
            }
            if !first.is_whitespace() {
                after_colons = false;
            }
            rest = &rest[first.len_utf8()..];
        }
        paths.extend(current);
        paths
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn blank_comments_and_texts(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let after_word = code.ends_with(is_word);
        let (kept, blanked) = match opaque_length(rest, after_word) {
            Some(length) => (0, length),
            None => (rest.chars().next().map_or(0, char::len_utf8), 0),
        };
        code.push_str(&rest[..kept]);
        blank(&mut code, &rest[..blanked]);
        rest = &rest[kept + blanked..];
    }
    code
}

/// The length of the comment or literal that `rest` starts with.
fn opaque_length(rest: &str, after_word: bool) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(block_comment_length(rest));
    }
    if rest.starts_with('"') {
        return Some(quoted_length(rest, '"'));
    }
    if let Some(inside) = rest.strip_prefix('\'') {
        // Otherwise it is a lifetime.
        let mut inside = inside.chars();
        let is_char = inside.next()? == '\\' || inside.next()? == '\'';
        return is_char.then(|| quoted_length(rest, '\''));
    }
    let raw =
        rest.strip_prefix("br").or_else(|| rest.strip_prefix("cr")).or_else(|| rest.strip_prefix('r'))?;
    let hashes = raw.len() - raw.trim_start_matches('#').len();
    if after_word || !raw[hashes..].starts_with('"') {
        return None;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    let start = rest.len() - raw.len() + hashes + 1;
    Some(rest[start..].find(&end).map_or(rest.len(), |at| start + at + end.len()))
}

fn block_comment_length(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        match &rest.as_bytes()[at..(at + 2).min(rest.len())] {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

fn quoted_length(rest: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

fn blank(code: &mut String, hidden: &str) {
    code.extend(hidden.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
}

fn blank_test_modules(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut result = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find(MARK) {
        result.push_str(&rest[..at]);
        let mut depth = 0;
        let end = rest[at..].char_indices().find_map(|(offset, c)| {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            (depth == 0 && matches!(c, '}' | ';')).then_some(at + offset + 1)
        });
        let end = end.unwrap_or(rest.len());
        blank(&mut result, &rest[at..end]);
        rest = &rest[end..];
    }
    result + rest
}
