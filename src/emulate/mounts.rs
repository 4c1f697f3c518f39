//! Assembling a root out of bind mounts, in a mount namespace of our own.
//!
//! The root's folder is only read: each of its entries is bound read-only into
//! a fresh tmpfs, so that points for `/proc`, `/dev`, `/tmp` and the visible
//! folders can be made beside them and nothing is written to the folder.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{chdir, pivot_root};

use super::plan::Plan;

/// Of each temporary file system, in kibibytes: a program that fills one meets
/// "no space left", not the machine's last byte.
const TMP_KIB: u64 = 1 << 20;

/// One of these is the point on which the root is put together.
const BASES: &[&str] = &["/sys", "/mnt", "/media", "/srv", "/opt", "/proc"];

/// Settings of the whole machine: who is root outside may write them from the
/// root too, for their owner is asked after and no capability.
const MACHINES: &[&str] = &[
    "proc/sys",
    "proc/sysrq-trigger",
    "proc/irq",
    "proc/bus",
    "proc/fs",
    "proc/acpi",
    "proc/asound",
    "proc/driver",
    "proc/scsi",
    "proc/tty",
];

/// What everything that starts containers puts into a root, where it has none of
/// its own: without them `localhost` is not known.
const FILES: [(&str, &str); 2] = [
    ("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"),
    ("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"),
];

const NONE: Option<&str> = None;

fn failed(what: &str, path: &Path, error: impl Into<io::Error>) -> String {
    format!("cannot {what} {}: {}", path.display(), error.into())
}

/// What is mounted from here on is not seen outside.
fn make_private() -> Result<(), String> {
    let slash = Path::new("/");
    mount(NONE, slash, NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE)
        .map_err(|error| failed("make private", slash, error))
}

/// Opens a file in such a way that nobody who gets hold of the open file writes
/// to it, root included (proc(5), "/proc/pid/fd": what is opened there again has
/// the mount of the first time).
pub fn open_read_only(path: &Path) -> Result<File, String> {
    make_private()?;
    bind(path, path)?;
    read_only(path)?;
    let file = File::open(path).map_err(|error| failed("open", path, error))?;
    umount2(path, MntFlags::MNT_DETACH).map_err(|error| failed("unmount", path, error))?;
    Ok(file)
}

/// Puts the root together and makes it the root of this process. The visible
/// can be written to, but for the program itself. `before` is called with the
/// place where it lies, while the machine's files are still there.
pub fn enter(plan: &Plan, before: impl FnOnce(&Path)) -> Result<(), String> {
    let (root, visible, program) = (plan.root.as_deref(), plan.visible.as_slice(), &plan.program);
    let slash = Path::new("/");
    make_private()?;
    let used = |base: &Path| {
        root.is_some_and(|root| root.starts_with(base)) || visible.iter().any(|path| path.starts_with(base))
    };
    let base = BASES.iter().map(Path::new).find(|base| base.is_dir() && !used(base));
    let base = base.ok_or_else(|| "there is no folder to put the root together on".to_owned())?;
    tmpfs(base, 0o755)?;
    let mut points: Vec<Point> = ["/proc", "/dev", "/tmp"].iter().map(|path| Point::folder(path)).collect();
    for path in visible {
        points.push(Point { path: path.clone(), is_folder: path.is_dir(), text: "" });
    }
    points.extend(missing_files(root));
    match root {
        Some(root) => populate(root, base, slash, &points, base)?,
        None => make_points(base, slash, &points)?,
    }
    read_only_below(base)?;
    let own = |path: &str| base.join(path);
    tmpfs(&own("tmp"), 0o1777)?;
    proc(&own("proc"))?;
    dev(&own("dev"))?;
    for (path, point) in visible.iter().zip(&points[3..]) {
        let to = base.join(path.strip_prefix("/").unwrap_or(path));
        // Below /tmp it is made only now.
        make_point(&to, point).map_err(|error| failed("make", &to, error))?;
        bind(path, &to)?;
        if path == program {
            read_only(&to)?;
        }
    }
    before(base);
    for place in MACHINES.iter().map(|path| own(path)).filter(|place| place.exists()) {
        bind(&place, &place)?;
        read_only(&place)?;
    }
    chdir(base).map_err(|error| failed("enter", base, error))?;
    // pivot_root(2), "pivot_root(".", ".")": the old root comes to lie over the
    // new one, and is taken away.
    pivot_root(".", ".").map_err(|error| failed("make the root of", base, error))?;
    umount2(".", MntFlags::MNT_DETACH).map_err(|error| failed("leave the old root at", slash, error))?;
    chdir(slash).map_err(|error| failed("enter", slash, error))
}

/// Where something will be mounted.
struct Point {
    path: PathBuf,
    is_folder: bool,
    /// Of a file at which nothing will be mounted.
    text: &'static str,
}

impl Point {
    fn folder(path: &str) -> Self {
        Self { path: path.into(), is_folder: true, text: "" }
    }
}

fn missing_files(root: Option<&Path>) -> impl Iterator<Item = Point> {
    let etc = root.map(|root| root.join("etc"));
    // What a link leads to cannot be added to.
    let can_be_added = etc.as_ref().is_none_or(|etc| !etc.is_symlink());
    FILES.iter().filter(move |_| can_be_added).filter_map(move |(path, text)| {
        let own = etc.as_ref().map(|etc| etc.join(Path::new(path).file_name().unwrap_or_default()));
        let is_there = own.is_some_and(|own| own.symlink_metadata().is_ok());
        (!is_there).then(|| Point { path: path.into(), is_folder: false, text })
    })
}

fn tmpfs(at: &Path, mode: u32) -> Result<(), String> {
    let data = format!("mode={mode:o},size={TMP_KIB}k");
    mount(Some("tmpfs"), at, Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, Some(data.as_str()))
        .map_err(|error| failed("mount a tmpfs on", at, error))
}

fn bind(from: &Path, to: &Path) -> Result<(), String> {
    mount(Some(from), to, NONE, MsFlags::MS_BIND | MsFlags::MS_REC, NONE)
        .map_err(|error| failed("bind", from, error))
}

/// A new `/proc` for the new process namespace; the machine's where a
/// container's is masked, so that the kernel gives no other.
fn proc(at: &Path) -> Result<(), String> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    match mount(Some("proc"), at, Some("proc"), flags, NONE) {
        Ok(()) => Ok(()),
        Err(_) => bind(Path::new("/proc"), at),
    }
}

fn dev(at: &Path) -> Result<(), String> {
    tmpfs(at, 0o755)?;
    for name in ["null", "zero", "full", "random", "urandom", "tty"] {
        let (from, to) = (Path::new("/dev").join(name), at.join(name));
        if from.exists() {
            File::create(&to).map_err(|error| failed("make", &to, error))?;
            bind(&from, &to)?;
        }
    }
    for (name, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
        ("ptmx", "pts/ptmx"),
    ] {
        symlink(target, at.join(name)).map_err(|error| failed("make", &at.join(name), error))?;
    }
    for name in ["shm", "pts"] {
        fs::create_dir(at.join(name)).map_err(|error| failed("make", &at.join(name), error))?;
    }
    tmpfs(&at.join("shm"), 0o1777)?;
    let data = Some("newinstance,ptmxmode=0666,mode=620");
    // A program without terminals is better than no program.
    let _ = mount(Some("devpts"), &at.join("pts"), Some("devpts"), MsFlags::MS_NOSUID, data);
    Ok(())
}

/// Binds what is in `from` below `to`; a folder in which something will be
/// mounted is made anew, and its entries are bound instead.
fn populate(from: &Path, to: &Path, inside: &Path, points: &[Point], base: &Path) -> Result<(), String> {
    let entries = fs::read_dir(from).map_err(|error| failed("read", from, error))?;
    for entry in entries {
        let entry = entry.map_err(|error| failed("read", from, error))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let inside = inside.join(entry.file_name());
        if points.iter().any(|point| point.path == inside) || source == base {
            continue;
        }
        let kind = entry.file_type().map_err(|error| failed("read", &source, error))?;
        let holds_points = points.iter().any(|point| point.path.starts_with(&inside));
        let made = |result: io::Result<()>| result.map_err(|error| failed("make", &target, error));
        if holds_points {
            made(fs::create_dir(&target))?;
            // Of a link only the points are made: it may lead anywhere.
            if kind.is_dir() {
                populate(&source, &target, &inside, points, base)?;
            }
        } else if kind.is_symlink() {
            let link = fs::read_link(&source).map_err(|error| failed("read", &source, error))?;
            made(symlink(link, &target))?;
        } else if kind.is_dir() {
            made(fs::create_dir(&target))?;
            bind(&source, &target)?;
        } else if kind.is_file() {
            made(File::create(&target).map(drop))?;
            bind(&source, &target)?;
        }
        // Devices, pipes and sockets of a root are not taken over.
    }
    if inside == Path::new("/") { make_points(to, inside, points) } else { Ok(()) }
}

fn make_points(to: &Path, inside: &Path, points: &[Point]) -> Result<(), String> {
    let later = |point: &Point| point.path.starts_with("/tmp") && point.path != Path::new("/tmp");
    for point in points.iter().filter(|point| !later(point)) {
        let rest = point.path.strip_prefix(inside).unwrap_or(&point.path);
        let target = to.join(rest);
        make_point(&target, point).map_err(|error| failed("make", &target, error))?;
    }
    Ok(())
}

fn make_point(at: &Path, point: &Point) -> io::Result<()> {
    if at.symlink_metadata().is_ok() {
        return Ok(());
    }
    if point.is_folder {
        return fs::create_dir_all(at);
    }
    if let Some(folder) = at.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = File::create(at)?;
    file.write_all(point.text.as_bytes())?;
    file.set_permissions(fs::Permissions::from_mode(0o755))
}

/// Every mount at or below a folder becomes read-only.
fn read_only_below(base: &Path) -> Result<(), String> {
    let table = Path::new("/proc/self/mountinfo");
    let text = fs::read_to_string(table).map_err(|error| failed("read", table, error))?;
    mounts_on(&text, base).iter().try_for_each(|point| read_only(point))
}

fn read_only(point: &Path) -> Result<(), String> {
    let flags = locked_flags(point).map_err(|error| failed("look at", point, error))?;
    let flags = flags | MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    mount(NONE, point, NONE, flags, NONE).map_err(|error| failed("make read-only", point, error))
}

/// The mount on a folder that is seen there, and all below it (proc(5),
/// "mountinfo": own number, parent's number, …, and fifth the point, with blanks
/// as octal escapes). Others may lie under it, out of sight.
fn mounts_on(table: &str, base: &Path) -> Vec<PathBuf> {
    let mut found: Vec<(&str, PathBuf)> = Vec::new();
    let rows: Vec<(&str, &str, PathBuf)> = table
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            Some((words.next()?, words.next()?, unescape(words.nth(2)?)))
        })
        .collect();
    let Some(top) = rows.iter().rposition(|(.., point)| point == base) else { return Vec::new() };
    // A mount comes after the one that it lies on.
    for (own, parent, point) in &rows[top..] {
        if found.is_empty() || found.iter().any(|(known, _)| known == parent) {
            found.push((own, point.clone()));
        }
    }
    found.into_iter().map(|(_, point)| point).collect()
}

/// What a remount in a user namespace must keep (mount_namespaces(7),
/// "Restrictions on mount namespaces").
fn locked_flags(point: &Path) -> Result<MsFlags, Errno> {
    let found = statvfs(point)?.flags();
    let pairs = [
        (FsFlags::ST_NOSUID, MsFlags::MS_NOSUID),
        (FsFlags::ST_NODEV, MsFlags::MS_NODEV),
        (FsFlags::ST_NOEXEC, MsFlags::MS_NOEXEC),
        (FsFlags::ST_NOATIME, MsFlags::MS_NOATIME),
        (FsFlags::ST_NODIRATIME, MsFlags::MS_NODIRATIME),
        // `relatime` is what the kernel takes where nothing is said (`fs/namespace.c`, `path_mount`).
    ];
    Ok(pairs
        .iter()
        .filter(|(set, _)| found.contains(*set))
        .fold(MsFlags::empty(), |all, (_, flag)| all | *flag))
}

fn unescape(field: &str) -> PathBuf {
    use std::os::unix::ffi::OsStringExt as _;
    let mut bytes = Vec::new();
    let mut rest = field.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let octal = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        let octal = octal.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        let (byte, after) = match octal.filter(|_| byte == b'\\') {
            Some(value) => (value, &after[3..]),
            None => (byte, after),
        };
        rest = after;
        bytes.push(byte);
    }
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

/// Whether a path is one that can be bound: from the root on, without `..`.
pub fn is_plain(path: &Path) -> bool {
    path.is_absolute()
        && path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mounts_in_sight() {
        let table = "20 1 0:5 / /sys rw - sysfs sysfs rw\n21 20 0:6 / /sys/fs rw - x x rw\n\
                     30 20 0:7 / /sys rw - tmpfs tmpfs rw\n31 30 0:8 / /sys/a\\040b rw - x x rw\n32 1 0:9 / /x rw - x x rw\n";
        assert_eq!(mounts_on(table, Path::new("/sys")), [Path::new("/sys"), Path::new("/sys/a b")]);
    }

    #[test]
    fn mountinfo_escapes() {
        assert_eq!(unescape("/a\\040b\\134c"), Path::new("/a b\\c"));
        assert_eq!(unescape("/a\\9"), Path::new("/a\\9"));
    }
}
