//! Runs one program as a plan says, listens to what it writes, and records how
//! it ended.

use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::path::Path;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::channel::Door;
use super::plan::{End, Message, Plan, Way};
use super::sandbox::{ENTER, SELF};
use crate::report;

/// Of each stream so much is kept for the report from its beginning, and as
/// much from its end; in bytes.
const KEPT: usize = 256 << 10;
/// Of each stream so much is passed on, in bytes; the rest is read and dropped.
const PASSED_ON: u64 = 32 << 20;

/// What became of one program.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    pub end: End,
    pub seconds: f64,
    pub stdout: Kept,
    pub stderr: Kept,
    /// Why what the program starts itself will not run.
    pub no_children: Option<String>,
    /// Why it can write to this machine's files, where it can.
    pub written: Option<String>,
    pub way: Way,
}

/// The beginning and the end of what was written.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Kept {
    first: Vec<u8>,
    last: Vec<u8>,
    pub bytes: u64,
}

impl Kept {
    fn take(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        let room = KEPT.saturating_sub(self.first.len()).min(bytes.len());
        self.first.extend(&bytes[..room]);
        self.last.extend(&bytes[room..]);
        if self.last.len() > 2 * KEPT {
            self.last.drain(..self.last.len() - KEPT);
        }
    }

    /// Whether something in the middle was not kept.
    pub fn is_cut(&self) -> bool {
        self.bytes > (self.first.len() + self.last.len()) as u64
    }

    pub fn text(&self) -> String {
        let gap: &[u8] = if self.is_cut() { b"\n[...]\n" } else { b"" };
        String::from_utf8_lossy(&[&self.first, gap, &self.last].concat()).into_owned()
    }
}

/// Where the program's output goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Standard output is ours, unread; standard error is passed on as it is.
    Own,
    /// Both are kept and passed on: standard output as it is, for our parent to
    /// make safe, standard error made safe.
    Both,
    /// Both are kept, made safe, and passed on to standard error.
    Err,
    /// Both are kept, and nothing is passed on.
    Kept,
}

/// Why a program was not run, in words.
pub type Refusal = String;

/// Runs it. `Err`: its surroundings could not be made in this way, and nothing
/// was run.
pub fn run(plan: &Plan, way: Way, output: Output) -> Result<Record, Refusal> {
    let begun = Instant::now();
    let door = Door::open().map_err(|error| format!("cannot open a socket: {error}"))?;
    let mut child = start(way, &door, output).map_err(|error| error.to_string())?;
    let (to_out, to_err): (Stream, Stream) = (report::program_out, report::program_err);
    let (to, safe) = if output == Output::Err { (to_err, true) } else { (to_out, false) };
    let passes = output != Output::Kept;
    let stdout = child.stdout.take().map(|stream| listen(stream, Pass { to, safe, passes }));
    let safe = output != Output::Own;
    let stderr = child.stderr.take().map(|stream| listen(stream, Pass { to: to_err, safe, passes }));
    let told = attend(&mut child, &door, plan);
    let kept = |stream: Option<thread::JoinHandle<Kept>>| {
        stream.and_then(|thread| thread.join().ok()).unwrap_or_default()
    };
    let (stdout, stderr) = (kept(stdout), kept(stderr));
    let told = told.map_err(|refusal| match stderr.text().trim() {
        "" => refusal,
        said => format!("{refusal}: {said}"),
    })?;
    Ok(Record {
        end: told.end,
        seconds: begun.elapsed().as_secs_f64(),
        stdout,
        stderr,
        no_children: told.no_children,
        written: told.written,
        way,
    })
}

struct Told {
    end: End,
    no_children: Option<String>,
    written: Option<String>,
}

fn start(way: Way, door: &Door, output: Output) -> Result<Child, crate::process::ProcessError> {
    let read_stdout = output != Output::Own;
    let enter = |way: Way| [ENTER, way.name(), door.name()].map(str::to_owned);
    match way {
        Way::Namespaces | Way::Root | Way::Prefix | Way::Configured => {
            crate::process::Invocation::new(SELF).args(enter(way)).start_read(read_stdout)
        }
        Way::Sudo => {
            // sudo does not see our /proc/self.
            let program = std::env::current_exe().unwrap_or_else(|_| SELF.into());
            crate::process::Invocation::new("sudo")
                .args(["-n", "--"])
                .args([program])
                .args(enter(way))
                .start_read(read_stdout)
        }
    }
}

/// Hears the processes around the program.
fn attend(child: &mut Child, door: &Door, plan: &Plan) -> Result<Told, Refusal> {
    let gone = |child: &mut Child| match child.wait() {
        Ok(status) => format!("the processes around the program ended early, with {status}"),
        Err(error) => error.to_string(),
    };
    let mut line = loop {
        match door.wait(Duration::from_millis(20)) {
            Ok(Some(line)) => break line,
            Ok(None) => {}
            Err(error) => return Err(format!("cannot listen: {error}")),
        }
        if !matches!(child.try_wait(), Ok(None)) {
            // It may have spoken just before it ended.
            match door.wait(Duration::ZERO) {
                Ok(Some(line)) => break line,
                _ => return Err(gone(child)),
            }
        }
    };
    // The first process has only bad news, the second waits for its orders.
    let _ = line.send(plan);
    let mut no_children = None;
    let mut written = None;
    let mut end = None;
    while let Ok(Some(message)) = line.receive::<Message>() {
        match message {
            Message::Setup(error) => {
                let _ = child.wait();
                return Err(error);
            }
            Message::Started { children, written: why } => {
                no_children = children.err();
                written = why;
            }
            Message::Ended(ended) => {
                end = Some(ended);
                break;
            }
        }
    }
    let early = gone(child);
    end.map(|end| Told { end, no_children, written }).ok_or(early)
}

/// One of our own streams.
type Stream = fn() -> Box<dyn Write>;

/// Where a stream is passed on to, and how.
struct Pass {
    to: Stream,
    /// Nothing that acts on a terminal is let through.
    safe: bool,
    passes: bool,
}

/// Reads a stream to its end, so that the program never waits for us.
fn listen(stream: impl Read + Send + 'static, pass: Pass) -> thread::JoinHandle<Kept> {
    thread::spawn(move || {
        let mut kept = Kept::default();
        let mut stream = BufReader::with_capacity(64 << 10, stream);
        let mut unfinished = Vec::new();
        loop {
            let chunk = match stream.fill_buf() {
                Ok([]) => break,
                Ok(chunk) => chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => break,
            };
            let read = chunk.len();
            let room = PASSED_ON.saturating_sub(kept.bytes);
            let cut = usize::try_from(room).unwrap_or(usize::MAX).min(read);
            if pass.passes && cut > 0 {
                let mut to = (pass.to)();
                let passed = match pass.safe {
                    true => make_safe(&chunk[..cut], &mut unfinished),
                    false => chunk[..cut].to_vec(),
                };
                let _ = to.write_all(&passed).and_then(|()| to.flush());
                if cut < read {
                    let _ = writeln!(
                        to,
                        "\n[more than {} MiB were written; the rest is dropped]",
                        PASSED_ON >> 20
                    );
                }
            }
            kept.take(chunk);
            stream.consume(read);
        }
        if pass.passes && !unfinished.is_empty() {
            unfinished.push(b'\n');
            let _ = (pass.to)().write_all(&make_safe(&unfinished, &mut Vec::new()));
        }
        kept
    })
}

/// Whole lines, escaped; the rest waits in `unfinished`.
fn make_safe(bytes: &[u8], unfinished: &mut Vec<u8>) -> Vec<u8> {
    let mut safe = Vec::new();
    for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
        unfinished.extend(piece);
        if !piece.ends_with(b"\n") && unfinished.len() < KEPT {
            continue;
        }
        let text = String::from_utf8_lossy(unfinished).into_owned();
        let line = text.trim_end_matches(['\r', '\n']);
        let words: Vec<String> = line.split('\t').map(crate::text::escape).collect();
        safe.extend(words.join("\t").into_bytes());
        safe.push(b'\n');
        unfinished.clear();
    }
    safe
}

/// Whether a way can be gone at all, found by making an empty root and nothing
/// in it.
pub fn probe(way: Way, user: Option<(u32, u32)>) -> Result<(), Refusal> {
    let plan = Plan {
        root: None,
        visible: Vec::new(),
        emulator: None,
        program: Path::new("/nothing").to_owned(),
        args: Vec::new(),
        folder: Path::new("/").to_owned(),
        env: Vec::new(),
        seconds: 60,
        user,
    };
    run(&plan, way, Output::Kept).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last_are_kept() {
        let mut kept = Kept::default();
        for number in 0..200_000 {
            kept.take(format!("{number}\n").as_bytes());
        }
        assert!(kept.is_cut());
        let text = kept.text();
        assert!(text.starts_with("0\n1\n") && text.ends_with("\n199999\n") && text.contains("[...]"));
        assert!(text.len() < 4 * KEPT);
        let mut small = Kept::default();
        small.take(b"a\xffb");
        assert!(!small.is_cut());
        assert_eq!(small.text(), "a\u{fffd}b");
    }

    #[test]
    fn escape_codes_do_not_pass() {
        let mut rest = Vec::new();
        assert_eq!(make_safe(b"a\x1b[2J", &mut rest), b"");
        assert_eq!(make_safe(b"b\tc\nd", &mut rest), b"a\\u{1b}[2Jb\tc\n");
        assert_eq!(rest, b"d");
    }
}
