//! The action, the workflows and the recipes: valid, pinned, and run as GitHub runs them.

#[cfg(not(unix))]
fn main() {} // the steps are for bash

#[cfg(unix)]
use unix::main;

#[cfg(unix)]
mod unix {
    use std::collections::BTreeMap;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::{Path, PathBuf};
    use std::process::{Command, ExitCode};

    use anyhow::{Context, bail, ensure};
    use libtest_mimic::{Arguments, Failed, Trial};
    use serde_json::Value;

    pub fn main() -> ExitCode {
        let arguments = Arguments::from_args();
        let fixture = |path: &str| {
            (!root().join("target/fixtures").join(path).is_file())
                .then(|| "needs `cargo xtask fixtures`".to_owned())
        };
        let schemas = fixture("check-jsonschema/check_jsonschema/builtin_schemas/vendor/github-actions.json");
        let linter = match cfg!(target_arch = "x86_64") {
            true => fixture(ZIZMOR),
            false => Some("needs an x86-64 machine".to_owned()),
        };
        let bash = Command::new("bash").arg("--version").output().is_err().then(|| "needs bash".to_owned());
        let trials = vec![
            trial("files_are_as_their_schemas_say", schemas, files_are_valid),
            trial("the_linter_is_content", linter, the_linter_is_content),
            trial("the_action_is_a_gate", bash, the_action_is_a_gate),
            trial("installers_find_what_a_release_holds", None, installers_find_it),
        ];
        libtest_mimic::run(&arguments, trials).exit_code()
    }

    const ZIZMOR: &str = "zizmor/zizmor-1.32.0.data/scripts/zizmor";

    fn trial(name: &str, missing: Option<String>, run: fn() -> anyhow::Result<()>) -> Trial {
        match missing {
            Some(reason) if std::env::var_os("COMPAT_REQUIRE_ALL").is_some_and(|value| value == "1") => {
                Trial::test(name, || Err(reason.into()))
            }
            Some(reason) => Trial::test(name, || Err("its needs are not met here".into()))
                .with_kind(format!("ignored: {reason}"))
                .with_ignored_flag(true),
            None => Trial::test(name, move || run().map_err(|error| Failed::from(format!("{error:#}")))),
        }
    }

    fn root() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR"))
    }

    fn yaml(text: &str) -> anyhow::Result<Value> {
        Ok(serde_norway::from_str(text)?)
    }

    /// A recipe of docs/ci.md by its name, with what a user fills in.
    fn recipe(name: &str) -> anyhow::Result<String> {
        let page = fs::read_to_string(root().join("docs/ci.md"))?;
        let (_, rest) =
            page.split_once(&format!("<!-- recipe: {name} -->\n```yaml\n")).context("no such recipe")?;
        let (recipe, _) = rest.split_once("```").context("it does not end")?;
        Ok(recipe.replace("COMMIT", "0123456789abcdef0123456789abcdef01234567"))
    }

    fn release() -> anyhow::Result<String> {
        Ok(fs::read_to_string(root().join(".github/workflows/release.yml"))?)
    }

    fn files_are_valid() -> anyhow::Result<()> {
        let folder = root().join("target/fixtures/check-jsonschema/check_jsonschema/builtin_schemas/vendor");
        let schema = |name: &str| -> anyhow::Result<jsonschema::Validator> {
            let schema: Value =
                serde_json::from_str(&fs::read_to_string(folder.join(format!("{name}.json")))?)?;
            Ok(jsonschema::validator_for(&schema)?)
        };
        let action = fs::read_to_string(root().join("action.yml"))?;
        for (name, what, text) in [
            ("github-actions", "action.yml", action.clone()),
            ("github-workflows", "release.yml", release()?),
            ("github-workflows", "the recipe for GitHub", recipe("github-workflows")?),
            ("gitlab-ci", "the recipe for GitLab", recipe("gitlab-ci")?),
        ] {
            let validator = schema(name)?;
            if let Err(error) = validator.validate(&yaml(&text)?) {
                bail!("{what}: {error} at {}", error.instance_path());
            }
        }
        let broken = yaml(&action.replace("using: composite", "using: compost"))?;
        ensure!(!schema("github-actions")?.is_valid(&broken), "the schema takes another kind of action");
        // What the recipe gives the action is what the action takes.
        let workflow = yaml(&recipe("github-workflows")?)?;
        let given =
            workflow.pointer("/jobs/check/steps/1/with").and_then(Value::as_object).context("no inputs")?;
        let action = yaml(&action)?;
        let taken = action["inputs"].as_object().context("no inputs")?;
        let unknown: Vec<_> = given.keys().filter(|name| !taken.contains_key(*name)).collect();
        ensure!(unknown.is_empty(), "the recipe gives {unknown:?}, which the action does not take");
        let page = fs::read_to_string(root().join("docs/ci.md"))?;
        for name in taken.keys() {
            ensure!(page.contains(&format!("| `{name}` |")), "docs/ci.md does not say what `{name}` does");
        }
        // The hook of the recipe is one that this repository has.
        let hooks = yaml(&fs::read_to_string(root().join(".pre-commit-hooks.yaml"))?)?;
        let wanted = yaml(&recipe("pre-commit")?)?;
        ensure!(
            wanted.pointer("/repos/0/hooks/0/id") == hooks.pointer("/0/id"),
            "the recipe's hook is another one"
        );
        Ok(())
    }

    /// Pinned by hash, no template in a script, least permissions.
    fn the_linter_is_content() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let program = folder.path().join("zizmor");
        fs::copy(root().join("target/fixtures").join(ZIZMOR), &program)?;
        fs::set_permissions(&program, Permissions::from_mode(0o755))?;
        let project = folder.path().join("project");
        fs::create_dir_all(project.join(".github/workflows"))?;
        fs::copy(root().join("action.yml"), project.join("action.yml"))?;
        fs::write(project.join(".github/workflows/release.yml"), release()?)?;
        fs::write(project.join(".github/workflows/recipe.yml"), recipe("github-workflows")?)?;
        let lint = || {
            let mut command = Command::new(&program);
            command.args(["--offline", "--no-progress", "--persona=pedantic", "--color=never", "."]);
            command.current_dir(&project).env_remove("GH_TOKEN").env_remove("GITHUB_TOKEN").output()
        };
        let output = lint()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        let broken = release()?
            .replace("actions/checkout@8e8c483db84b4bee98b60c0593521ed34d9990e8", "actions/checkout@v6");
        fs::write(project.join(".github/workflows/release.yml"), broken)?;
        ensure!(!lint()?.status.success(), "the linter takes an action that is not pinned");
        Ok(())
    }

    /// The steps of `action.yml`, run by bash as GitHub's runner runs them; what other actions do is left out.
    struct Runner {
        folder: tempfile::TempDir,
        inputs: BTreeMap<String, String>,
        outputs: BTreeMap<(String, String), String>,
    }

    struct Ran {
        code: i32,
        log: String,
        left_out: Vec<String>,
    }

    impl Runner {
        fn new(given: &[(&str, &str)]) -> anyhow::Result<Self> {
            let action = action()?;
            let defaults = action["inputs"].as_object().context("no inputs")?;
            let mut inputs: BTreeMap<String, String> = defaults
                .iter()
                .map(|(name, input)| (name.clone(), input["default"].as_str().unwrap_or_default().to_owned()))
                .collect();
            for (name, value) in given {
                ensure!(
                    inputs.insert((*name).to_owned(), (*value).to_owned()).is_some(),
                    "no input `{name}`"
                );
            }
            Ok(Self { folder: tempfile::tempdir()?, inputs, outputs: BTreeMap::new() })
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        /// `${{ inputs.NAME }}` and `${{ steps.ID.outputs.NAME }}`: nothing else stands in the action.
        fn expression(&self, text: &str) -> anyhow::Result<String> {
            let text = text.trim();
            if let Some(quoted) = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')) {
                return Ok(quoted.to_owned());
            }
            if let Some(name) = text.strip_prefix("inputs.") {
                return self.inputs.get(name).cloned().with_context(|| format!("no input `{name}`"));
            }
            let step = text.strip_prefix("steps.").and_then(|rest| rest.split_once(".outputs."));
            let (id, name) = step.with_context(|| format!("`{text}` is not known here"))?;
            Ok(self.outputs.get(&(id.to_owned(), name.to_owned())).cloned().unwrap_or_default())
        }

        fn filled(&self, text: &str) -> anyhow::Result<String> {
            let mut parts = text.split("${{");
            let mut filled = parts.next().unwrap_or_default().to_owned();
            for part in parts {
                let (expression, rest) = part.split_once("}}").context("an expression does not end")?;
                filled += &self.expression(expression)?;
                filled += rest;
            }
            Ok(filled)
        }

        fn holds(&self, condition: &str) -> anyhow::Result<bool> {
            for part in condition.split("&&") {
                let (left, right, equal) = match (part.split_once("=="), part.split_once("!=")) {
                    (Some((left, right)), _) => (left, right, true),
                    (_, Some((left, right))) => (left, right, false),
                    _ => bail!("`{part}` is no comparison"),
                };
                if (self.expression(left)? == self.expression(right)?) != equal {
                    return Ok(false);
                }
            }
            Ok(true)
        }

        fn run(&mut self, project: &Path) -> anyhow::Result<Ran> {
            let action = action()?;
            let mut ran = Ran { code: 0, log: String::new(), left_out: Vec::new() };
            for name in ["output", "path", "summary", "step.sh"] {
                fs::write(self.path(name), "")?;
            }
            fs::create_dir_all(self.path("temp"))?;
            for step in action.pointer("/runs/steps").and_then(Value::as_array).context("no steps")? {
                let condition = step["if"].as_str();
                if !condition.map_or(Ok(true), |condition| self.holds(condition))? {
                    continue;
                }
                let Some(script) = step["run"].as_str() else {
                    ran.left_out
                        .push(self.filled(step["uses"].as_str().context("neither `run` nor `uses`")?)?);
                    continue;
                };
                ensure!(step["shell"] == "bash", "not for bash");
                ensure!(!script.contains("${{"), "what is filled into a script may be a script: {script}");
                self.step(step, script, project, &mut ran)?;
                if ran.code != 0 {
                    break;
                }
            }
            Ok(ran)
        }

        fn step(&mut self, step: &Value, script: &str, project: &Path, ran: &mut Ran) -> anyhow::Result<()> {
            fs::write(self.path("step.sh"), script)?;
            fs::write(self.path("output"), "")?;
            let folder = self.filled(step["working-directory"].as_str().unwrap_or("."))?;
            let mut command = Command::new("bash");
            command
                .args(["--noprofile", "--norc", "-eo", "pipefail"])
                .arg(self.path("step.sh"))
                .current_dir(project.join(folder))
                .env("GITHUB_ACTION_PATH", root())
                .env("GITHUB_OUTPUT", self.path("output"))
                .env("GITHUB_PATH", self.path("path"))
                .env("GITHUB_STEP_SUMMARY", self.path("summary"))
                .env("RUNNER_TEMP", self.path("temp"))
                .env("RUNNER_OS", "Linux")
                .env("CARGO_NET_OFFLINE", "true")
                .env("CARGO_TARGET_DIR", root().join("target/action"))
                .env_remove("CARGO_TERM_COLOR");
            for (name, value) in step["env"].as_object().into_iter().flatten() {
                command.env(name, self.filled(value.as_str().context("a variable is no text")?)?);
            }
            let output = command.output()?;
            ran.log += &String::from_utf8_lossy(&output.stdout);
            ran.log += &String::from_utf8_lossy(&output.stderr);
            ran.code = output.status.code().unwrap_or(-1);
            let id = step["id"].as_str().unwrap_or_default();
            for line in fs::read_to_string(self.path("output"))?.lines() {
                let (name, value) = line.split_once('=').with_context(|| format!("`{line}` is no output"))?;
                self.outputs.insert((id.to_owned(), name.to_owned()), value.to_owned());
            }
            Ok(())
        }

        fn output(&self, name: &str) -> String {
            self.outputs.get(&("check".to_owned(), name.to_owned())).cloned().unwrap_or_default()
        }
    }

    fn action() -> anyhow::Result<Value> {
        yaml(&fs::read_to_string(root().join("action.yml"))?)
    }

    fn project() -> anyhow::Result<tempfile::TempDir> {
        let folder = tempfile::tempdir()?;
        let path = folder.path();
        fs::create_dir_all(path.join("app dir/src"))?;
        fs::create_dir(path.join(".git"))?;
        fs::write(
            path.join("app dir/Cargo.toml"),
            "[package]\nname = \"hello\"\nversion = \"0.1.0\"\nedition = \"2024\"\n",
        )?;
        fs::write(path.join("app dir/src/main.rs"), "fn main() {}\n")?;
        fs::write(path.join("app dir/compat.toml"), "linkage = \"static\"\n")?;
        fs::write(path.join("app dir/kept.toml"), "linkage = \"dynamic\"\n")?;
        Ok(folder)
    }

    fn the_action_is_a_gate() -> anyhow::Result<()> {
        let project = project()?;
        let inputs = [
            ("working-directory", "app dir"),
            ("args", ""),
            ("artifact", "reports"),
            ("upload-sarif", "true"),
        ];
        let mut runner = Runner::new(&inputs)?;
        // The program as `Build cargo-compat` leaves it: that step takes the minutes of a release build.
        let bin = runner.path("temp/cargo-compat/bin");
        fs::create_dir_all(&bin)?;
        fs::copy(env!("CARGO_BIN_EXE_cargo-compat"), bin.join("cargo-compat"))?;
        runner.outputs.insert(("cache".to_owned(), "cache-hit".to_owned()), "true".to_owned());
        let ran = runner.run(project.path())?;
        ensure!(ran.code == 1, "exit code {}:\n{}", ran.code, ran.log);
        ensure!(ran.log.contains("::error file=app dir/compat.toml,line=1,endLine=1,col=11"), "{}", ran.log);
        ensure!(runner.output("exit-code") == "1");
        let reports = PathBuf::from(runner.output("reports"));
        for name in ["report.json", "report.sarif", "report.html"] {
            ensure!(reports.join(name).metadata()?.len() > 100, "{name} is empty");
        }
        let summary = fs::read_to_string(runner.path("summary"))?;
        ensure!(summary.contains("| `hello` |") && summary.contains("not_static"), "{summary}");
        let left_out: Vec<&str> = ran.left_out.iter().filter_map(|uses| uses.split('@').next()).collect();
        let expected = ["actions/cache", "github/codeql-action/upload-sarif", "actions/upload-artifact"];
        ensure!(left_out == expected, "{left_out:?}");

        runner.inputs.insert("args".to_owned(), "--policy\nkept.toml\n".to_owned());
        let ran = runner.run(project.path())?;
        ensure!(ran.code == 0, "exit code {}:\n{}", ran.code, ran.log);

        // What stands in an input is an argument, and no script.
        runner.inputs.insert("args".to_owned(), "--policy\n$(touch pwned); `touch pwned`".to_owned());
        let ran = runner.run(project.path())?;
        ensure!(ran.code == 2, "exit code {}:\n{}", ran.code, ran.log);
        ensure!(!project.path().join("app dir/pwned").exists(), "an input was run as a script");
        ensure!(PathBuf::from(runner.output("sarif")).is_file(), "no SARIF of a run that judged nothing");
        Ok(())
    }

    /// `cargo binstall` takes the archive's name from Cargo.toml, and release.yml makes it.
    fn installers_find_it() -> anyhow::Result<()> {
        let manifest: toml::Table = fs::read_to_string(root().join("Cargo.toml"))?.parse()?;
        let package = manifest["package"].as_table().context("no package")?;
        let binstall =
            package["metadata"]["binstall"].as_table().context("no metadata for cargo binstall")?;
        let text = |key: &str| binstall[key].as_str().with_context(|| format!("no {key}"));
        ensure!(text("pkg-fmt")? == "tgz");
        let url = text("pkg-url")?;
        let name = url.rsplit('/').next().context("no name")?;
        ensure!(url.contains("/releases/download/v{ version }/"), "{url}");
        let release = release()?;
        let targets: Vec<String> = yaml(&release)?
            .pointer("/jobs/build/strategy/matrix/include")
            .and_then(Value::as_array)
            .context("no matrix")?
            .iter()
            .filter_map(|job| job["target"].as_str().map(str::to_owned))
            .collect();
        // Each is one that compat.toml has a promise for, and what the promise is.
        let policy: toml::Table = fs::read_to_string(root().join("compat.toml"))?.parse()?;
        for arch in ["x86_64", "aarch64", "s390x", "powerpc64le"] {
            let target = targets.iter().find(|target| target.starts_with(&format!("{arch}-")));
            let target = target.with_context(|| format!("no release for {arch}"))?;
            ensure!(
                policy["target"][target]["linkage"].as_str() == Some("static"),
                "{target} need not be static"
            );
        }
        // The same names in the same places as the step `Pack` writes them.
        ensure!(
            release.contains("folder=\"cargo-compat-$TARGET\"") && name == "cargo-compat-{ target }.tar.gz",
            "{name}"
        );
        ensure!(text("bin-dir")? == "cargo-compat-{ target }/{ bin }{ binary-ext }");
        Ok(())
    }
}
