//! Inside linked files: the functions that use an import are those that an independent disassembly finds, on every
//! architecture and however the file was compiled and linked.
//!
//! `BLAME_FILES`, a list of paths separated by colons, adds real programs that were linked with `--emit-relocs`;
//! `cargo xtask blame` builds some and calls this.

#[cfg(not(unix))]
fn main() {} // the input is made with Debian's cross compilers

#[cfg(unix)]
#[path = "support"]
mod support {
    pub mod disassembly;
    #[expect(dead_code, reason = "tests/hostile.rs names its subjects too")]
    pub mod mutate;
    pub mod random;
}

#[cfg(unix)]
use unix::main;

#[cfg(unix)]
#[path = "blame/compile.rs"]
mod compile;
#[cfg(unix)]
#[path = "blame/hostile.rs"]
mod hostile;

#[cfg(unix)]
mod unix {
    use std::collections::{BTreeMap, BTreeSet, HashSet};
    use std::path::Path;
    use std::process::ExitCode;

    use anyhow::{Context, bail, ensure};
    use cargo_compat::artifact::Source;
    use cargo_compat::blame::code::{Code, Function, Import, Line, Lines, Sure, patterns};
    use libtest_mimic::{Arguments, Failed, Trial};

    use crate::compile::{MACHINES, Machine, Workshop};
    use crate::support::disassembly::{self, Disassembly};

    pub fn main() -> ExitCode {
        let arguments = Arguments::from_args();
        let mut trials = Vec::new();
        for machine in &MACHINES {
            let missing = machine.missing();
            let mut add = |name: &str, test: fn(&'static Machine) -> anyhow::Result<()>| {
                trials
                    .push(trial(format!("{}::{name}", machine.name), missing.clone(), move || test(machine)));
            };
            add("c_programs_agree_with_objdump", c_programs);
            add("chains_of_c", c_chains);
            add("rust_programs_agree_with_objdump", rust_programs);
            add("stripped_functions_are_known_by_their_bytes", stripped);
            add("lines_of_calls", lines);
            add("hostile_files", crate::hostile::changed_files);
        }
        trials.push(trial("x86_64::packed_relative_relocations".into(), MACHINES[0].missing(), packed));
        trials.push(trial("aarch64::halves_of_two_addresses".into(), MACHINES[3].missing(), halves));
        for path in std::env::var_os("BLAME_FILES").iter().flat_map(std::env::split_paths) {
            let name = format!("program::{}", path.display());
            trials.push(trial(name, None, move || real_program(&path)));
        }
        libtest_mimic::run(&arguments, trials).exit_code()
    }

    fn trial(
        name: String,
        missing: Option<String>,
        test: impl FnOnce() -> anyhow::Result<()> + Send + 'static,
    ) -> Trial {
        match missing {
            Some(reason) if std::env::var_os("COMPAT_REQUIRE_ALL").is_some_and(|value| value == "1") => {
                Trial::test(name, move || Err(reason.into()))
            }
            Some(reason) => Trial::test(name, || Ok(())).with_kind(reason).with_ignored_flag(true),
            None => Trial::test(name, move || test().map_err(|error| Failed::from(format!("{error:#}")))),
        }
    }

    pub fn read(file: &Path) -> anyhow::Result<Code> {
        Code::open(file).map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))
    }

    fn name(import: &Import) -> String {
        match &import.version {
            Some(version) => format!("{}@{version}", import.name),
            None => import.name.clone(),
        }
    }

    pub fn import(code: &Code, name: &str) -> anyhow::Result<Import> {
        let found = code.imports().find(|import| import.name == name);
        found.cloned().with_context(|| format!("`{name}` is not imported"))
    }

    /// What only one of the two says.
    #[derive(Debug, Default)]
    struct Comparison {
        imports: usize,
        pairs: usize,
        missed: Vec<String>,
        extra: Vec<String>,
        by_table: usize,
        dead: usize,
    }

    fn compare(code: &Code, judge: &Disassembly, counts: impl Fn(&Import) -> bool) -> Comparison {
        let mut result = Comparison::default();
        let spell = |import: &str, address: &u64| {
            let names = judge.functions.get(address).map(|function| &function.names);
            format!("{import} in {address:#x} {:?}", names.into_iter().flatten().next())
        };
        for import in code.imports().filter(|import| counts(import)) {
            let name = name(import);
            let references = code.references(import);
            let ours: BTreeSet<u64> = references.functions.iter().map(|function| function.address).collect();
            let theirs = judge.users.get(&name).cloned().unwrap_or_default();
            result.imports += 1;
            result.pairs += theirs.len();
            result.by_table += references.by_table.len();
            result.dead += usize::from(references.dead);
            result.missed.extend(theirs.difference(&ours).map(|address| spell(&name, address)));
            result.extra.extend(ours.difference(&theirs).map(|address| spell(&name, address)));
            if references.dead && !theirs.is_empty() {
                result.missed.push(format!("{name} is called dead"));
            }
        }
        result
    }

    /// All imports.
    fn agrees(machine: &Machine, file: &Path, what: &str, least: usize) -> anyhow::Result<()> {
        let code = read(file)?;
        let judge = disassembly::read(machine.prefix, file)?;
        let result = compare(&code, &judge, |_| true);
        ensure!(
            result.missed.is_empty() && result.extra.is_empty(),
            "{}, {what}:\nmissed {:#?}\nextra {:#?}",
            machine.name,
            result.missed,
            result.extra
        );
        ensure!(result.pairs >= least, "{}, {what}: only {} pairs were compared", machine.name, result.pairs);
        let known: BTreeSet<&str> = code.functions().collect();
        ensure!(code.has_symbols() && known.contains("main"), "{}, {what}: no functions", machine.name);
        Ok(())
    }

    const RELOCATIONS: &str = "-Wl,--emit-relocs";

    fn c_programs(machine: &'static Machine) -> anyhow::Result<()> {
        let workshop = Workshop::new(machine)?;
        let variants: [&[&str]; 10] = [
            &["-O2", "-fPIE", "-pie"],
            &["-O0", "-fPIE", "-pie"],
            &["-Os", "-fPIE", "-pie", "-Wl,-z,now"],
            &["-O2", "-fPIE", "-pie", "-fno-plt"],
            &["-O2", "-fPIC", "-shared"],
            &["-O1", "-fpic", "-shared", "-Wl,-z,now"],
            &["-O2", "-fno-pie", "-no-pie"],
            &["-O3", "-fPIE", "-pie", "-ffunction-sections", "-Wl,--gc-sections"],
            &["-O2", "-fPIE", "-pie", "-fno-asynchronous-unwind-tables"],
            &["-O2", "-fPIE", "-pie", "-freorder-functions", "-falign-functions=1"],
        ];
        for variant in variants.iter().copied().chain(machine.variants.iter().copied()) {
            let what = variant.join(" ");
            let file = workshop.c_program("program", &[variant, &[RELOCATIONS]].concat())?;
            agrees(machine, &file, &what, 9)?;
            // The linker keeps its stubs' symbols with the relocations; without them it must be the same.
            let plain = read(&workshop.c_program("plain", variant)?)?;
            let kept = read(&file)?;
            for import in kept.imports() {
                let users = |code: &Code| -> BTreeSet<String> {
                    let functions = code.references(import).functions;
                    functions.iter().filter_map(Function::symbol).map(str::to_owned).collect()
                };
                ensure!(
                    users(&kept) == users(&plain),
                    "{}, {what}: {} is used by {:?}, without --emit-relocs by {:?}",
                    machine.name,
                    import.name,
                    users(&kept),
                    users(&plain)
                );
            }
        }
        Ok(())
    }

    fn chain(code: &Code, wanted: &str, user: &str) -> anyhow::Result<Option<(Vec<String>, bool)>> {
        let references = code.references(&import(code, wanted)?);
        let [function] = &references.functions[..] else {
            bail!("{wanted} is used by {:?}", references.functions);
        };
        Ok(code.chain(function, |symbol| symbol.contains(user)).map(|chain| {
            let names = chain.functions.iter().filter_map(Function::symbol).map(str::to_owned);
            (names.collect(), chain.through_table)
        }))
    }

    fn c_chains(machine: &'static Machine) -> anyhow::Result<()> {
        let workshop = Workshop::new(machine)?;
        let file = workshop.c_program("program", &["-O2", "-fPIE", "-pie"])?;
        let code = read(&file)?;
        let expected = |names: &[&str], by_table| {
            Some((names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>(), by_table))
        };
        let found = chain(&code, "dep_called", "user_")?;
        ensure!(found == expected(&["user_calls", "middle", "called"], false), "by calls: {found:?}");
        let found = chain(&code, "dep_tail", "main")?;
        ensure!(found == expected(&["main", "switches", "tail"], false), "by calls from main: {found:?}");
        let references = code.references(&import(&code, "dep_in_table")?);
        let by_table: Vec<_> = references.by_table.iter().filter_map(Function::symbol).collect();
        ensure!(references.tables == ["imports"] && by_table == ["by_table"], "in a table: {references:?}");
        ensure!(references.functions.is_empty() && !references.dead);
        let twice = code.references(&import(&code, "dep_twice")?);
        let twice = twice.functions.iter().find(|function| function.symbol() == Some("twice"));
        let found =
            code.chain(twice.context("`twice` uses dep_twice")?, |symbol| symbol.starts_with("user_"));
        let found = found.context("there is a way by a table")?;
        let names: Vec<_> = found.functions.iter().filter_map(Function::symbol).collect();
        ensure!(names == ["user_looks_up", "twice"] && found.through_table, "by a table: {found:?}");
        // What starts a program is of the C start files, and `main` is not.
        let start = code.references(&import(&code, "__libc_start_main")?);
        ensure!(start.functions.len() == 1 && code.is_start_file(&start.functions[0]), "{start:?}");
        let tail = code.references(&import(&code, "dep_tail")?);
        ensure!(!code.is_start_file(&tail.functions[0]));
        // One that is not there is nobody's.
        let none = code.references(&Import { name: "dep_called".into(), version: Some("DEP_9".into()) });
        ensure!(none.dead && none.functions.is_empty());
        Ok(())
    }

    fn rust_programs(machine: &'static Machine) -> anyhow::Result<()> {
        let workshop = Workshop::new(machine)?;
        for level in ["2", "0"] {
            let file = workshop.rust_program("outer", level, &[&format!("link-arg={RELOCATIONS}")])?;
            agrees(machine, &file, &format!("Rust at level {level}"), 100)?;
            let code = read(&workshop.rust_program("plain", level, &[])?)?;
            for (wanted, names, weak) in [
                ("dep_by_rust", &["wants", "brings", "deeper"], false),
                ("dep_by_trait", &["asks", "worker", "work"], true),
            ] {
                let (found, through_table) =
                    chain(&code, wanted, "outer")?.with_context(|| format!("no chain to {wanted}"))?;
                let ends = found.last().is_some_and(|name| name.contains(names[2]));
                let begins = found.first().is_some_and(|name| name.contains("outer"));
                ensure!(
                    ends && begins && through_table == weak,
                    "{wanted}: {found:?}, by table {through_table}"
                );
                if !weak && level == "2" {
                    let each = found.iter().zip(names).all(|(name, part)| name.contains(part));
                    ensure!(found.len() == 3 && each, "{wanted}: {found:?}");
                }
            }
            // Another thread: the closure is the user's own.
            ensure!(chain(&code, "dep_by_thread", "outer")?.is_some(), "no chain to dep_by_thread");
        }
        // Fact 11, of std itself: bfd on ppc64le keeps needs that nothing uses.
        let code = read(&workshop.rust_program("plain", "2", &[])?)?;
        let dead: Vec<_> = code.imports().filter(|import| code.references(import).dead).map(name).collect();
        let versioned = dead.iter().filter(|name| name.contains("@GLIBC_2.2")).count();
        ensure!((versioned > 0) == (machine.name == "powerpc64le"), "dead: {dead:?}");
        Ok(())
    }

    fn stripped(machine: &'static Machine) -> anyhow::Result<()> {
        let workshop = Workshop::new(machine)?;
        let whole = read(&workshop.rust_program("whole", "2", &[])?)?;
        let file = workshop.rust_program("stripped", "2", &["strip=symbols"])?;
        let source = Source::open(&file)?;
        let code = Code::read(&source)?;
        ensure!(!code.has_symbols());
        let started = code.references(&import(&code, "__libc_start_main")?);
        ensure!(started.functions.iter().any(|function| code.is_start_file(function)), "{started:?}");
        let wanted = ["dep_by_rust", "dep_by_trait", "dep_by_thread", "pthread_create", "stat64", "fstat64"];
        let names: HashSet<&str> = wanted.into_iter().collect();
        let mut offered = Vec::new();
        for object in workshop.objects_of_crates()? {
            let source = Source::open(&object)?;
            offered.extend(patterns(&source, 0, source.size(), &names)?);
        }
        let (mut right, mut all) = (0, 0);
        for wanted in wanted {
            let import = import(&code, wanted)?;
            let truth: BTreeMap<u64, Vec<String>> = (whole.references(&import).functions.into_iter())
                .map(|function| (function.address, function.symbols))
                .collect();
            let bounds: BTreeSet<u64> =
                code.references(&import).functions.iter().map(|function| function.address).collect();
            ensure!(
                truth.keys().all(|start| bounds.contains(start)),
                "{}: {wanted} is used by {truth:x?}, stripped by {bounds:x?}",
                machine.name
            );
            all += truth.len();
            let mut known = BTreeSet::new();
            let offered: Vec<_> = offered.iter().collect();
            for found in code.match_functions(&source, &import, &offered)? {
                let is_right = truth.get(&found.function.address).is_some_and(|names| {
                    found.function.symbol().is_some_and(|own| names.iter().any(|name| name == own))
                });
                ensure!(is_right || found.sure == Sure::Candidate, "{}: wrong: {found:?}", machine.name);
                known.extend(is_right.then_some(found.function.address));
            }
            right += known.len();
        }
        ensure!(all >= 6 && right == all, "{}: {right} of {all} functions were found again", machine.name);
        Ok(())
    }

    /// DWARF, in versions 4 and 5: where an import is called.
    fn lines(machine: &'static Machine) -> anyhow::Result<()> {
        let workshop = Workshop::new(machine)?;
        let text = std::fs::read_to_string(crate::compile::sources().join("program.c"))?;
        let line_of = |part: &str| text.lines().position(|line| line.contains(part)).map(|at| at as u32 + 1);
        for version in ["-gdwarf-4", "-gdwarf-5"] {
            let file = workshop.c_program("program", &["-O1", "-fPIE", "-pie", version])?;
            let source = Source::open(&file)?;
            let code = Code::read(&source)?;
            let lines = Lines::read(&source)?.context("there is debug information")?;
            for (wanted, part) in [("dep_called", "dep_called(n) * 3"), ("dep_weak", "APART int weak")] {
                let import = import(&code, wanted)?;
                let functions = code.references(&import).functions;
                let function = functions.first().with_context(|| format!("{wanted} is used"))?;
                let sites = code.sites(&import, function);
                let found: Vec<_> = sites.iter().filter_map(|site| lines.of(*site)).collect();
                let is_right =
                    |line: &Line| Some(line.line) == line_of(part) && line.file.ends_with("program.c");
                ensure!(!found.is_empty() && found.iter().all(is_right), "{wanted}, {version}: {found:?}");
            }
        }
        let bare = workshop.c_program("bare", &["-O1", "-fPIE", "-pie"])?;
        ensure!(Lines::read(&Source::open(&bare)?)?.is_none());
        let packed = workshop.c_program("compressed", &["-O1", "-fPIE", "-pie", "-g", "-gz"])?;
        ensure!(Lines::read(&Source::open(&packed)?)?.is_none());
        Ok(())
    }

    /// `DT_RELR`: what tables hold is known from packed relocations too.
    fn packed() -> anyhow::Result<()> {
        let machine = &MACHINES[0];
        let workshop = Workshop::new(machine)?;
        let flags = ["-O2", "-fPIE", "-pie", "-Wl,-z,pack-relative-relocs"];
        let file = workshop.c_program("packed", &flags)?;
        let dynamic = disassembly::output("readelf", &["-dW", file.to_str().context("a path in UTF-8")?])?;
        ensure!(dynamic.contains("(RELR)"), "the linker packed nothing:\n{dynamic}");
        let code = read(&file)?;
        let references = code.references(&import(&code, "dep_twice")?);
        let twice = references.functions.iter().find(|function| function.symbol() == Some("twice"));
        let chain = code.chain(twice.context("`twice`")?, |symbol| symbol.starts_with("user_"));
        ensure!(chain.is_some_and(|chain| chain.through_table), "no chain by the table");
        agrees(machine, &workshop.c_program("packed", &[&flags[..], &[RELOCATIONS]].concat())?, "packed", 9)
    }

    /// One half of an address does not go with the other half of the next.
    fn halves() -> anyhow::Result<()> {
        let machine = &MACHINES[3];
        let workshop = Workshop::new(machine)?;
        let link = |offset: u64| {
            let offset = format!("-DOFFSET=\"{offset}\"");
            workshop.c_source(
                "halves.c",
                "halves",
                &["-O1", "-fPIE", "-pie", "-fno-plt", &offset, RELOCATIONS],
            )
        };
        // Where the slot is does not depend on the offset.
        let file = link(0)?;
        let slots = disassembly::output("readelf", &["-rW", file.to_str().context("a path in UTF-8")?])?;
        let slot = slots.lines().find(|line| line.contains("GLOB_DAT") && line.contains("dep_twice"));
        let slot = slot.and_then(|line| line.split_whitespace().next()).context("a slot")?;
        let offset = u64::from_str_radix(slot, 16)? & 0xfff;
        ensure!(offset != 0 && offset.is_multiple_of(8), "{slot}");
        agrees(machine, &link(offset)?, "halves", 3)
    }

    /// One real program: what counts, and everything, against the disassembly.
    #[expect(clippy::print_stdout, reason = "`cargo xtask blame` is run to read this")]
    fn real_program(path: &Path) -> anyhow::Result<()> {
        let code = read(path)?;
        let machine =
            MACHINES.iter().find(|machine| machine.code == code.machine()).context("a known machine")?;
        let judge = disassembly::read(machine.prefix, path)?;
        let is_new = |import: &Import| {
            let version = import.version.as_deref().and_then(|version| version.strip_prefix("GLIBC_2."));
            let minor = version.and_then(|rest| rest.split('.').next()).and_then(|minor| minor.parse().ok());
            minor.is_some_and(|minor: u32| minor >= 18)
        };
        let new = compare(&code, &judge, is_new);
        let all = compare(&code, &judge, |_| true);
        let table = |result: &Comparison| {
            format!(
                "{} imports, {} pairs, {} missed, {} extra, {} by table, {} dead",
                result.imports,
                result.pairs,
                result.missed.len(),
                result.extra.len(),
                result.by_table,
                result.dead
            )
        };
        println!("{}\n  GLIBC_2.18 on: {}\n  all: {}", path.display(), table(&new), table(&all));
        ensure!(new.missed.is_empty() && all.missed.is_empty(), "missed: {:#?}", all.missed);
        println!("  extra: {:#?}", all.extra);
        let few = |result: &Comparison| result.extra.len() * 20 <= result.pairs;
        ensure!(few(&new) && few(&all), "extra: {:#?}", all.extra);
        Ok(())
    }
}
