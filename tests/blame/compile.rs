//! What the test compiles, each machine's in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use cargo_compat::blame::code;

pub struct Machine {
    pub name: &'static str,
    pub code: code::Machine,
    /// Of its compiler and binutils.
    pub prefix: &'static str,
    pub target: &'static str,
    /// Compiler flags that only it has.
    pub variants: &'static [&'static [&'static str]],
}

pub const MACHINES: [Machine; 4] = [
    Machine {
        name: "x86_64",
        code: code::Machine::X86_64,
        prefix: "x86_64-linux-gnu-",
        target: "x86_64-unknown-linux-gnu",
        variants: &[
            &["-O2", "-fPIE", "-pie", "-fcf-protection=full", "-Wl,-z,ibtplt"],
            &["-O2", "-fPIE", "-pie", "-fcf-protection=none", "-Wl,-z,lazy"],
        ],
    },
    Machine {
        name: "s390x",
        code: code::Machine::S390x,
        prefix: "s390x-linux-gnu-",
        target: "s390x-unknown-linux-gnu",
        // The table's address in a register, and loads from there.
        variants: &[&["-O2", "-fpic", "-shared", "-march=z900"], &["-O2", "-fPIC", "-shared", "-march=z14"]],
    },
    Machine {
        name: "powerpc64le",
        code: code::Machine::Ppc64le,
        prefix: "powerpc64le-linux-gnu-",
        target: "powerpc64le-unknown-linux-gnu",
        variants: &[
            &["-O2", "-fPIE", "-pie", "-mcmodel=small"],
            &["-O2", "-fPIE", "-pie", "-mcmodel=large"],
            &["-O2", "-fPIE", "-pie", "-Wl,--no-toc-optimize"],
        ],
    },
    Machine {
        name: "aarch64",
        code: code::Machine::Aarch64,
        prefix: "aarch64-linux-gnu-",
        target: "aarch64-unknown-linux-gnu",
        variants: &[
            &["-O2", "-fPIE", "-pie", "-mbranch-protection=standard", "-Wl,-z,force-bti"],
            &["-O2", "-fpic", "-shared", "-Wl,-z,now"],
        ],
    },
];

impl Machine {
    /// Why its programs cannot be made here.
    pub fn missing(&self) -> Option<String> {
        let tools = ["gcc", "objdump", "readelf", "nm"].map(|tool| format!("{}{tool}", self.prefix));
        let lacking = tools.iter().find(|tool| Command::new(tool).arg("--version").output().is_err());
        if let Some(tool) = lacking {
            return Some(format!("needs {tool}"));
        }
        let folder =
            Command::new("rustc").args(["--print", "target-libdir", "--target", self.target]).output();
        let folder = folder.ok().map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
        let is_there = folder.is_some_and(|folder| Path::new(&folder).is_dir());
        (!is_there).then(|| format!("needs the Rust target {}", self.target))
    }
}

pub struct Workshop {
    machine: &'static Machine,
    folder: tempfile::TempDir,
}

pub fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/blame")
}

impl Workshop {
    pub fn new(machine: &'static Machine) -> anyhow::Result<Self> {
        let workshop = Self { machine, folder: tempfile::tempdir()? };
        let map = format!("-Wl,--version-script={}", sources().join("library.map").display());
        let flags = ["-shared", "-fPIC", "-Wl,-soname,libdep.so", &map];
        workshop.compile("library.c", "libdep.so", &flags)?;
        Ok(workshop)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn compile(&self, source: &str, output: &str, flags: &[&str]) -> anyhow::Result<PathBuf> {
        let output = self.path(output);
        let mut command = Command::new(format!("{}gcc", self.machine.prefix));
        command.arg(sources().join(source)).arg("-o").arg(&output).args(flags);
        run(&mut command)?;
        Ok(output)
    }

    /// A program, or a library where a flag says so, that is linked with the library.
    pub fn c_program(&self, output: &str, flags: &[&str]) -> anyhow::Result<PathBuf> {
        self.c_source("program.c", output, flags)
    }

    /// A source of its own, linked with the library.
    pub fn c_source(&self, source: &str, output: &str, flags: &[&str]) -> anyhow::Result<PathBuf> {
        let folder = format!("-L{}", self.folder.path().display());
        self.compile(source, output, &[flags, &[&folder, "-ldep"]].concat())
    }

    pub fn c_object(&self, output: &str, flags: &[&str]) -> anyhow::Result<PathBuf> {
        self.compile("program.c", output, &[flags, &["-c"]].concat())
    }

    /// A program of two crates at an optimisation level, with more of `-C`.
    pub fn rust_program(&self, output: &str, level: &str, codegen: &[&str]) -> anyhow::Result<PathBuf> {
        let inner = self.rustc(level);
        self.run_rustc(inner, "inner.rs", &["--crate-type=rlib", "--crate-name=inner"])?;
        let mut outer = self.rustc(level);
        outer.arg("-o").arg(self.path(output)).arg("--extern=inner");
        outer.arg(format!("-Clinker={}gcc", self.machine.prefix));
        outer.args(codegen.iter().map(|option| format!("-C{option}")));
        self.run_rustc(outer, "outer.rs", &["--crate-name=outer"])?;
        Ok(self.path(output))
    }

    fn rustc(&self, level: &str) -> Command {
        let mut command = Command::new("rustc");
        command.args(["--edition=2024", "--target", self.machine.target, "-Cdebuginfo=0"]);
        command.arg(format!("-Copt-level={level}")).arg("-L").arg(self.folder.path());
        command.current_dir(self.folder.path());
        command
    }

    fn run_rustc(&self, mut command: Command, source: &str, more: &[&str]) -> anyhow::Result<()> {
        run(command.arg(sources().join(source)).args(more))
    }

    /// The objects of the inner crate and of std.
    pub fn objects_of_crates(&self) -> anyhow::Result<Vec<PathBuf>> {
        let libraries = Command::new("rustc")
            .args(["--print", "target-libdir", "--target", self.machine.target])
            .output()
            .context("rustc")?;
        let folder = PathBuf::from(String::from_utf8(libraries.stdout)?.trim());
        let std = std::fs::read_dir(&folder)?.filter_map(Result::ok).map(|entry| entry.path()).find(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            name.starts_with("libstd-") && name.ends_with(".rlib")
        });
        let mut objects = Vec::new();
        for (at, archive) in [self.path("libinner.rlib"), std.context("libstd-*.rlib")?].iter().enumerate() {
            let own = self.path(&format!("objects-{at}"));
            std::fs::create_dir(&own)?;
            run(Command::new("ar").arg("x").arg(archive).current_dir(&own))?;
            for entry in std::fs::read_dir(&own)? {
                let path = entry?.path();
                if path.extension().is_some_and(|extension| extension == "o") {
                    objects.push(path);
                }
            }
        }
        ensure!(objects.len() > 1, "no objects in the crates' archives");
        Ok(objects)
    }
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
