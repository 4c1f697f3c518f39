//! Generated archives: what `archive_incomplete` names is exactly what the linker names when it takes the whole
//! archive into a shared object and may leave nothing undefined (fact 27), on three architectures.
//!
//! `LINKER_SEEDS` is how many archives each architecture gets.

#[cfg(not(unix))]
fn main() {} // GNU's compilers make the input and are the judge

#[cfg(unix)]
use unix::main;

#[cfg(unix)]
mod unix {
    use std::collections::BTreeSet;
    use std::fmt::Write as _;
    use std::fs;
    use std::process::{Command, ExitCode};

    use anyhow::{Context, ensure};
    use libtest_mimic::{Arguments, Failed, Trial};

    const PROGRAM: &str = env!("CARGO_BIN_EXE_cargo-compat");
    const SEEDS: u64 = 8;
    const TARGETS: [(&str, &str); 3] = [
        ("x86_64-unknown-linux-gnu", "gcc"),
        ("s390x-unknown-linux-gnu", "s390x-linux-gnu-gcc"),
        ("powerpc64le-unknown-linux-gnu", "powerpc64le-linux-gnu-gcc"),
    ];
    /// rustc names them for every staticlib, so they count as given.
    const FAMILY: [&str; 5] = ["-lm", "-lpthread", "-ldl", "-lrt", "-lutil"];

    pub fn main() -> ExitCode {
        let arguments = Arguments::from_args();
        let required = std::env::var_os("COMPAT_REQUIRE_ALL").is_some_and(|value| value == "1");
        let mut trials = Vec::new();
        for (triple, compiler) in TARGETS {
            let runs = |program: &str| Command::new(program).arg("--version").output().is_ok();
            let native = triple.starts_with(std::env::consts::ARCH) || compiler != "gcc";
            let name = format!("names_what_the_linker_names_{triple}");
            trials.push(if native && runs(compiler) {
                Trial::test(name, move || {
                    all_seeds(triple, compiler).map_err(|error| Failed::from(format!("{error:#}")))
                })
            } else if required {
                Trial::test(name, move || Err(format!("needs {compiler}").into()))
            } else {
                let ignored = Trial::test(name, || Ok(())).with_ignored_flag(true);
                ignored.with_kind(format!("ignored: needs {compiler}"))
            });
        }
        libtest_mimic::run(&arguments, trials).exit_code()
    }

    fn all_seeds(triple: &str, compiler: &str) -> anyhow::Result<()> {
        let seeds = std::env::var("LINKER_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SEEDS);
        let mut incomplete = 0;
        for seed in 0..seeds {
            let named = compare(triple, compiler, seed).with_context(|| format!("{triple}, seed {seed}"))?;
            incomplete += u64::from(named > 0);
        }
        // A test in which nothing is ever missing, or always something, proves little.
        ensure!(incomplete > 0, "no archive of {seeds} was incomplete");
        ensure!(seeds < 8 || incomplete < seeds, "no archive of {seeds} was complete");
        Ok(())
    }

    /// How many names both gave.
    fn compare(triple: &str, compiler: &str, seed: u64) -> anyhow::Result<usize> {
        let folder = tempfile::tempdir()?;
        let at = |name: &str| folder.path().join(name);
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5eed);
        let objects = 2 + random.below(4);
        // Every fourth archive is whole.
        let whole = seed % 4 == 3;
        let mut archiver = Command::new("ar");
        archiver.arg(if seed % 3 == 2 { "rcsT" } else { "rcs" }).arg("x.a").current_dir(folder.path());
        for object in 0..objects {
            let (source, file) = (format!("source_number_{object}.c"), format!("object_number_{object}.o"));
            fs::write(at(&source), program(&mut random, object, objects, whole))?;
            let optimise = ["-O0", "-Os", "-O2"][random.below(3)];
            let mut command = Command::new(compiler);
            command.args([optimise, "-fPIC", "-fcommon", "-w", "-c", "-o", &file, &source]);
            run(command.current_dir(folder.path()))?;
            archiver.arg(file);
        }
        run(&mut archiver)?;
        let linked = Command::new(compiler)
            .args([
                "-shared",
                "-o",
                "x.so",
                "-Wl,-z,defs",
                "-Wl,--whole-archive",
                "x.a",
                "-Wl,--no-whole-archive",
            ])
            .args(FAMILY)
            .env("LC_ALL", "C")
            .current_dir(folder.path())
            .output()?;
        let said = String::from_utf8_lossy(&linked.stderr).into_owned();
        let expected = named_by_linker(&said);
        ensure!(linked.status.success() == expected.is_empty(), "the linker says more than names:\n{said}");

        fs::write(at("compat.toml"), "undefined = []\n")?;
        let checked = Command::new(PROGRAM)
            .args(["check", "--message-format", "json", "--target", triple, "--artifact", "x.a"])
            .current_dir(folder.path())
            .output()?;
        let report: serde_json::Value = serde_json::from_slice(&checked.stdout)?;
        let findings = report["findings"].as_array().context("the report has no findings")?;
        let undecided = findings.iter().find(|finding| finding["undecided"] == true);
        ensure!(undecided.is_none(), "undecided: {undecided:#?}");
        let items = findings.iter().flat_map(|finding| finding["items"].as_array().into_iter().flatten());
        let names = items.filter(|item| item["kind"] == "reference").filter_map(|item| item["name"].as_str());
        let found: BTreeSet<String> = names.map(str::to_owned).collect();
        let missed: Vec<_> = expected.difference(&found).collect();
        let invented: Vec<_> = found.difference(&expected).collect();
        ensure!(
            missed.is_empty() && invented.is_empty(),
            "the linker alone names {missed:?}, we alone name {invented:?}; the linker:\n{said}"
        );
        Ok(found.len())
    }

    /// ``undefined reference to `name'`` and ``hidden symbol `name' isn't defined``.
    fn named_by_linker(said: &str) -> BTreeSet<String> {
        let after = |line: &str| {
            let (_, rest) = line
                .split_once("undefined reference to `")
                .or_else(|| line.split_once("undefined references to `"))
                .or_else(|| line.split_once("hidden symbol `"))?;
            Some(rest.rsplit_once('\'')?.0.split("' ").next()?.to_owned())
        };
        said.lines().filter_map(after).collect()
    }

    fn run(command: &mut Command) -> anyhow::Result<()> {
        let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
        ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    struct Random(u64);

    impl Random {
        fn below(&mut self, limit: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((self.0 >> 33) % limit as u64) as usize
        }

        fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
            of[self.below(of.len())]
        }
    }

    /// Names that a library or the linker gives, or not; what holds the linker decides.
    const NAMES: &[&str] = &[
        "_GLOBAL_OFFSET_TABLE_",
        "_DYNAMIC",
        "_end",
        "end",
        "_edata",
        "edata",
        "_etext",
        "etext",
        "__etext",
        "__bss_start",
        "__executable_start",
        "__ehdr_start",
        "__dso_handle",
        "__init_array_start",
        "__fini_array_end",
        "__preinit_array_start",
        "__rela_iplt_start",
        "__rela_iplt_end",
        "_start",
        "main",
        "__data_start",
        "data_start",
        "_init",
        "_fini",
        "__TMC_END__",
        "_IO_stdin_used",
        "__libc_csu_init",
        "malloc",
        "free",
        "printf",
        "stat",
        "fstat",
        "atexit",
        "at_quick_exit",
        "pthread_create",
        "pthread_atfork",
        "dlopen",
        "clock_gettime",
        "cos",
        "lgamma",
        "environ",
        "stderr",
        "__errno_location",
        "__stack_chk_fail",
        "__stack_chk_fail_local",
        "__tls_get_addr",
        "__tls_get_addr_opt",
        "__tls_get_offset",
        "_Unwind_Resume",
        "__udivti3",
        "__multi3",
        "__popcountdi2",
        "__gcc_personality_v0",
        "__cxa_finalize",
        "__gmon_start__",
        "sys_errlist",
        "_sys_nerr",
        "svc_run",
        "xdr_void",
        "gets",
        "__libc_start_main",
        "__isoc99_sscanf",
        "__fentry__",
        "mcount",
        "_mcount",
        "__register_frame_info",
        "__deregister_frame_info",
        "crypt",
        "shm_open",
        "forkpty",
        "__morestack",
        "__addtf3",
        "__divtc3",
        "openpty",
        "_ITM_registerTMCloneTable",
    ];
    const KNOWN: &[&str] =
        &["malloc", "free", "printf", "atexit", "pthread_create", "cos", "environ", "__dso_handle"];
    /// Link names of Go's (fact 26), and what else stands in names.
    const ODD: &[&str] =
        &["example.com/x.(*T).entry", "main..inittask", "type..eq.[3]string", "a-b$c@d", "go:string.*"];

    /// One source of an archive of `objects`.
    fn program(random: &mut Random, object: usize, objects: usize, whole: bool) -> String {
        let mut text = String::from("typedef void function(void);\n");
        let functions = 3 + random.below(6);
        for at in 0..functions {
            let name = format!("function_{object}_{at}");
            // Declared under another name, so that no type of the compiler's own is in the way.
            let refer = |text: &mut String, target: &str, attributes: &str| {
                let alias = format!("alias_{object}_{at}");
                let _ = writeln!(text, "extern function {alias} __asm__(\"{target}\") {attributes};");
                let _ = writeln!(text, "void {name}(void) {{ {alias}(); }}");
            };
            match random.below(if whole { 8 } else { 16 }) {
                0 => {
                    let other = random.below(objects);
                    refer(&mut text, &format!("function_{other}_0"), "");
                }
                1 => {
                    let _ = writeln!(text, "extern function weak_{at} __attribute__((weak));");
                    let _ = writeln!(text, "void {name}(void) {{ if (weak_{at}) weak_{at}(); }}");
                }
                2 => {
                    let _ = writeln!(text, "int common_{at}; int {name}(void) {{ return common_{at}++; }}");
                }
                3 => {
                    let _ = writeln!(
                        text,
                        "__attribute__((section(\"set_{at}\"), used)) int in_set_{object}_{at} = 1;"
                    );
                    let _ = writeln!(text, "extern int __start_set_{at}[], __stop_set_{at}[];");
                    let _ =
                        writeln!(text, "long {name}(void) {{ return __stop_set_{at} - __start_set_{at}; }}");
                }
                4 => {
                    let _ =
                        writeln!(text, "__int128 {name}(__int128 a, __int128 b) {{ return a / b + a % b; }}");
                }
                5 => {
                    let _ = writeln!(
                        text,
                        "__attribute__((visibility(\"hidden\"))) function hidden_{object}_{at};"
                    );
                    let _ = writeln!(text, "void hidden_{object}_{at}(void) {{}}");
                    let _ = writeln!(text, "void {name}(void) {{ hidden_{object}_{at}(); }}");
                }
                6 => refer(&mut text, random.one(KNOWN), ""),
                7 => {
                    // Many live values: on ppc64le the linker writes the routines that save registers.
                    let _ = writeln!(
                        text,
                        "long use_{object}_{at}(long, ...);\nlong use_{object}_{at}(long a, ...) {{ return a; }}"
                    );
                    let _ = writeln!(
                        text,
                        "long {name}(long a, long b, long c, double d) {{ long s = 0; for (long i = 0; i < a; i++) \
                        {{ s += use_{object}_{at}(i + b, c, s, d) * b + use_{object}_{at}(s, a) * c; d *= 2; }} return s + (long)d; }}"
                    );
                }
                8 => refer(&mut text, &format!("missing_{}", random.below(5)), ""),
                9 => refer(&mut text, random.one(NAMES), ""),
                10 => {
                    let _ = writeln!(
                        text,
                        "extern int missing_data_{at}; int {name}(void) {{ return missing_data_{at}; }}"
                    );
                }
                11 => {
                    let odd = random.one(ODD);
                    let _ = writeln!(
                        text,
                        "__asm__(\".data\\n.balign 8\\n.globl {name}\\n{name}: .quad \\\"{odd}\\\"\\n.previous\");"
                    );
                }
                12 => {
                    let _ = writeln!(
                        text,
                        "extern __thread int thread_local_{at}; int {name}(void) {{ return thread_local_{at}; }}"
                    );
                }
                13 => {
                    let target = random.one(&["malloc", "missing_hidden", "function_0_0", "__dso_handle"]);
                    refer(&mut text, target, "__attribute__((visibility(\"hidden\")))");
                }
                14 => {
                    let _ = writeln!(
                        text,
                        "extern int __start_none_{at}[]; int *{name}(void) {{ return __start_none_{at}; }}"
                    );
                }
                _ => {
                    // Declared for the linker, and referred to by nothing.
                    let _ = writeln!(text, "__asm__(\".globl nobody_asks_{at}\"); void {name}(void) {{}}");
                }
            }
        }
        text
    }
}
