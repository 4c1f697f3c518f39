//! What an archive holds, file by file. Nothing is ever unpacked under a name
//! that the archive gives: a member that may be an artifact goes to a file
//! without a name, and only the reader sees it.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Read, Seek as _};

use super::budget::Budget;
use super::{HEAD, Holds, Member, Release, peek};
use crate::artifact::{self, Depth, Format};
use crate::report::Failure;
use crate::text;

/// Members of one archive. The largest package of Debian has some 100,000.
const MOST_MEMBERS: usize = 500_000;
/// A member that is read, in bytes. The largest libraries have two thousand
/// million.
const LARGEST_MEMBER: u64 = 8 << 30;

/// Takes the members of one archive into a release.
#[derive(Debug)]
pub struct Members<'a> {
    release: &'a mut Release,
    /// The archive, for messages.
    archive: String,
    /// What stands before the names of its members, in a folder of archives.
    prefix: String,
    budget: &'a Budget,
    /// The names there were, hashed: a hostile archive has many and long ones.
    names: HashSet<u64>,
    hasher: RandomState,
}

impl<'a> Members<'a> {
    pub fn new(release: &'a mut Release, archive: String, prefix: String, budget: &'a Budget) -> Self {
        Self { release, archive, prefix, budget, names: HashSet::new(), hasher: RandomState::new() }
    }

    pub fn budget(&self) -> &'a Budget {
        self.budget
    }

    /// Takes note of a name; `None`, and a failure of the release, where no
    /// archive may have it.
    pub fn named(&mut self, name: &[u8]) -> io::Result<Option<String>> {
        if self.names.len() >= MOST_MEMBERS {
            return Err(io::Error::other(format!("it has more than {MOST_MEMBERS} members")));
        }
        let name = String::from_utf8_lossy(name);
        let Some(path) = inside(&name) else {
            self.fail(format!("`{}` would be unpacked outside of its folder", text::escape(&name)));
            return Ok(None);
        };
        self.names.insert(self.hasher.hash_one(&path));
        Ok(Some(path))
    }

    pub fn pass_over(&mut self, name: &[u8], kind: &'static str) -> io::Result<()> {
        if self.named(name)?.is_some() {
            self.release.pass_over(kind);
        }
        Ok(())
    }

    /// A member that cannot be opened; the others may be.
    pub fn unreadable(&mut self, name: &[u8], why: &io::Error) -> io::Result<()> {
        if let Some(path) = self.named(name)? {
            self.fail(format!("`{}` cannot be read: {why}", text::escape(&path)));
        }
        Ok(())
    }

    fn fail(&mut self, note: String) {
        let message = format!("{} is not read as a whole", self.archive);
        self.release.fail(Failure::new(message).note(note));
    }

    /// Takes a regular file.
    pub fn file(&mut self, name: &[u8], contents: &mut impl Read) -> io::Result<()> {
        let known = self.names.len();
        let Some(path) = self.named(name)? else { return Ok(()) };
        if self.names.len() == known {
            let shown = text::escape(&path);
            self.fail(format!("it holds `{shown}` twice: which one is unpacked depends on the program"));
            return Ok(());
        }
        let mut head = [0; HEAD];
        let len = peek(contents, &mut head)?;
        let head = &head[..len];
        let format = match super::is_archive(head) {
            true => {
                self.release.pass_over("archive inside of it");
                return Ok(());
            }
            false => artifact::format_of(head),
        };
        let holds = match format {
            Format::Elf => self.examine(head, contents)?,
            other if other.ships_elsewhere() => Holds::Other(other),
            other => {
                self.release.pass_over(super::noun(other));
                return Ok(());
            }
        };
        match holds {
            Holds::Other(other) if !other.ships_elsewhere() => self.release.pass_over(super::noun(other)),
            holds => self.release.members.push(Member::new(format!("{}{path}", self.prefix), holds)),
        }
        Ok(())
    }

    fn examine(&mut self, head: &[u8], contents: impl Read) -> io::Result<Holds> {
        let mut file = tempfile::tempfile()?;
        let mut whole = head.chain(contents).take(LARGEST_MEMBER + 1);
        if io::copy(&mut whole, &mut file)? > LARGEST_MEMBER {
            return Ok(Holds::Unreadable(format!("it has more than {LARGEST_MEMBER} bytes")));
        }
        file.rewind()?;
        Ok(Holds::of(artifact::examine_file(file, Depth::All)))
    }
}

/// A member's path below the folder that it is unpacked to, without `.`;
/// `None` where it leads out of it.
fn inside(name: &str) -> Option<String> {
    // A drive, or a separator of Windows, leads out there.
    let windows = name.contains('\\') || name.as_bytes().get(1) == Some(&b':');
    if name.starts_with('/') || windows || name.contains('\0') {
        return None;
    }
    let parts: Vec<&str> = name.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    // `.` alone is the folder itself.
    (!parts.contains(&"..") && !name.is_empty()).then(|| parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_inside() {
        for (name, path) in [("a", "a"), ("./a//b/", "a/b"), ("a..b/..c", "a..b/..c"), (".", ""), ("./", "")]
        {
            assert_eq!(inside(name).as_deref(), Some(path), "{name}");
        }
        for name in ["", "/", "/etc/passwd", "..", "a/../b", "./..", "..\\a", "c:/a", "C:", "a\0b"] {
            assert_eq!(inside(name), None, "{name:?}");
        }
    }
}
