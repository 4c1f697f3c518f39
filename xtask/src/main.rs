//! `cargo xtask <task>`: a table of small tasks for working on this repository.

mod agreement;
mod bench;
mod blame;
mod fixtures;
mod fuzz;
mod layout;
mod platforms;
mod presets;
mod process;
mod released;
mod test;
mod tools;

/// The writer of the tests, for the fuzzers' corpus.
#[path = "../../tests/support"]
mod support {
    pub mod elf;
    pub mod hex;
}

use std::fmt;
use std::path::Path;
use std::process::ExitCode;

struct Task {
    name: &'static str,
    arguments: &'static str,
    about: &'static str,
    run: fn(&[String]) -> anyhow::Result<()>,
}

const TASKS: &[Task] = &[
    Task {
        name: "test",
        arguments: "[--no-install] [-- LIBTEST-ARGS]",
        about: "everything CI checks, after installing what the tests need",
        run: test::task,
    },
    Task {
        name: "fixtures",
        arguments: "[--check]",
        about: "fetch what tests need from package registries; --check only looks whether it is there",
        run: fixtures::task,
    },
    Task {
        name: "fuzz-corpus",
        arguments: "",
        about: "write what the fuzz targets start from to fuzz/corpus/",
        run: fuzz::corpus,
    },
    Task {
        name: "fuzz",
        arguments: "<elf|check|policy> [SECONDS]",
        about: "write a fuzz target's corpus and run it, a minute where nothing else is said; needs nightly and cargo-fuzz",
        run: fuzz::run,
    },
    Task {
        name: "blame",
        arguments: "[PROGRAM...] [--target TRIPLE] [--lto thin|fat] [--answers [--tool PROGRAM]]",
        about: "build real programs, and hold which functions use each import against a disassembly; --answers: what \
                `why` says of stripped and optimised builds against a plain one",
        run: blame::task,
    },
    Task {
        name: "platforms",
        arguments: "[--cache DIR] [--only PLATFORM/ARCH,…] [--output FILE]",
        about: "make the descriptions of Debian's releases from the archive's packages; gigabytes are fetched",
        run: platforms::task,
    },
    Task {
        name: "agreement",
        arguments: "[--arch NAME]... [--files N] [--folder DIR] [--cache DIR] [--tool PROGRAM] [--keep]",
        about: "put real packages' files to the loaders of real roots, and compare what `cargo compat show` says",
        run: agreement::task,
    },
    Task {
        name: "bench",
        arguments: "[--quick] [--write]",
        about: "the speed figures beside their peers'; --write keeps them in docs/bench.md, --quick only shows that it works",
        run: bench::task,
    },
    Task {
        name: "layout",
        arguments: "",
        about: "write xtask/layout.ld: the functions that `check` runs, for the linker to put side by side; needs valgrind",
        run: layout::task,
    },
    Task {
        name: "presets",
        arguments: "[NAME…]",
        about: "write the names that host programs export to src/policy/presets/, from Debian's packages and npm",
        run: presets::task,
    },
];

/// Wrong arguments: exit code 2, with the table.
#[derive(Debug)]
struct Usage(String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, rest)) = arguments.split_first() else {
        print!("{}", table());
        return ExitCode::SUCCESS;
    };
    let outcome = match TASKS.iter().find(|task| task.name == name) {
        Some(task) => (task.run)(rest),
        None if matches!(name.as_str(), "help" | "-h" | "--help") => {
            print!("{}", table());
            Ok(())
        }
        None => Err(Usage(format!("no task is named `{name}`")).into()),
    };
    let Err(error) = outcome else {
        return ExitCode::SUCCESS;
    };
    eprintln!("error: {error:#}");
    if error.is::<Usage>() {
        eprint!("\n{}", table());
        return ExitCode::from(2);
    }
    ExitCode::from(process::exit_code(&error))
}

fn table() -> String {
    let mut text = String::from("cargo xtask <task>\n\n");
    for task in TASKS {
        text += &format!("  {} {}\n      {}\n", task.name, task.arguments, task.about);
    }
    text
}

/// The repository's root, which is the workspace's.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the repository")
}
