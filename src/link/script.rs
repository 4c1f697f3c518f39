//! GNU ld's scripts that stand in the place of a library: `libc.so` is one
//! (GNU ld manual, "Commands Dealing with Files").

/// What a script names, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// `-lNAME`.
    Library(String),
    /// A path, or a file name to be searched.
    File(String),
}

/// The inputs of a script; `None` where it is none that is understood. The
/// whole text is read: a script is short.
pub fn inputs(text: &str) -> Option<Vec<Input>> {
    let words = words(text);
    let mut inputs = Vec::new();
    let mut known = false;
    let mut at = 0;
    while at < words.len() {
        let word = words[at].as_str();
        let opens = words.get(at + 1).is_some_and(|next| next == "(");
        match word {
            // The files in them are linked alike; `AS_NEEDED` stands inside.
            "INPUT" | "GROUP" | "AS_NEEDED" if opens => {
                known = true;
                at += 2;
            }
            "OUTPUT_FORMAT" | "OUTPUT_ARCH" | "SEARCH_DIR" | "TARGET" if opens => {
                at += words[at..].iter().position(|word| word == ")")? + 1;
            }
            ")" => at += 1,
            _ if known => {
                inputs.push(match word.strip_prefix("-l") {
                    Some(name) => Input::Library(name.to_owned()),
                    None => Input::File(word.to_owned()),
                });
                at += 1;
            }
            // `SECTIONS` and the like: a script for a whole link.
            _ => return None,
        }
    }
    known.then_some(inputs)
}

/// Words and parentheses, without comments.
fn words(text: &str) -> Vec<String> {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, comment)) = rest.split_once("/*") {
        plain += before;
        plain.push(' ');
        rest = comment.split_once("*/").map_or("", |(_, after)| after);
    }
    plain += rest;
    let spaced = plain.replace('(', " ( ").replace(')', " ) ");
    let separators = |character: char| character.is_whitespace() || matches!(character, ',' | ';');
    spaced
        .split(separators)
        .filter(|word| !word.is_empty())
        .map(|word| word.trim_matches('"').to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_of_glibc_and_gcc() {
        let file = |name: &str| Input::File(name.to_owned());
        let libc = "/* GNU ld script\n   Use the shared library */\nOUTPUT_FORMAT(elf64-s390)\n\
                    GROUP ( /lib/libc.so.6 /usr/lib/libc_nonshared.a  AS_NEEDED ( /lib/ld64.so.1 ) )\n";
        let expected = [file("/lib/libc.so.6"), file("/usr/lib/libc_nonshared.a"), file("/lib/ld64.so.1")];
        assert_eq!(inputs(libc).unwrap(), expected);
        let gcc = "GROUP ( libgcc_s.so.1 -lgcc )";
        assert_eq!(inputs(gcc).unwrap(), [file("libgcc_s.so.1"), Input::Library("gcc".to_owned())]);
        assert_eq!(inputs("INPUT(-lncurses, \"a.o\")").unwrap().len(), 2);
        assert_eq!(inputs("SECTIONS { . = 0; }"), None);
        assert_eq!(inputs(""), None);
        assert_eq!(inputs("OUTPUT_FORMAT(elf64"), None);
    }
}
