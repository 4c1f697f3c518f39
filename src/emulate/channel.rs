//! Lines of JSON between the processes of a run, over a socket in Linux's
//! abstract namespace: nothing of it lies on a disk, so nothing is left there
//! however a run ends.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::geteuid;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::os::fd::AsFd as _;

/// Where one process waits for others.
#[derive(Debug)]
pub struct Door {
    name: String,
    listener: UnixListener,
}

impl Door {
    pub fn open() -> io::Result<Self> {
        let number = RandomState::new().hash_one(std::process::id());
        let name = format!("cargo-compat-{}-{number:016x}", std::process::id());
        let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name)?)?;
        Ok(Self { name, listener })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The next one that comes, of the same user or root; others are sent away.
    pub fn wait(&self, most: Duration) -> io::Result<Option<Line>> {
        let timeout = PollTimeout::try_from(most).unwrap_or(PollTimeout::MAX);
        let mut watched = [PollFd::new(self.listener.as_fd(), PollFlags::POLLIN)];
        if poll(&mut watched, timeout)? == 0 {
            return Ok(None);
        }
        let (stream, _) = self.listener.accept()?;
        let who = getsockopt(&stream, PeerCredentials)?.uid();
        if who != 0 && who != geteuid().as_raw() {
            return Ok(None);
        }
        Line::new(stream).map(Some)
    }
}

/// A connection.
#[derive(Debug)]
pub struct Line {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
}

impl Line {
    fn new(stream: UnixStream) -> io::Result<Self> {
        Ok(Self { writer: stream.try_clone()?, reader: BufReader::new(stream) })
    }

    pub fn to(name: &str) -> io::Result<Self> {
        Self::new(UnixStream::connect_addr(&SocketAddr::from_abstract_name(name)?)?)
    }

    pub fn send(&mut self, message: &impl Serialize) -> io::Result<()> {
        let mut text = serde_json::to_string(message)?;
        text.push('\n');
        self.writer.write_all(text.as_bytes())
    }

    /// `None`: the other side is gone.
    pub fn receive<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        let mut text = String::new();
        if self.reader.read_line(&mut text)? == 0 {
            return Ok(None);
        }
        Ok(Some(serde_json::from_str(&text)?))
    }

    /// A second hand on the same line.
    pub fn other_hand(&self) -> io::Result<Self> {
        Self::new(self.writer.try_clone()?)
    }
}
