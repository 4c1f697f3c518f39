//! A policy that `init` makes of a real file is kept by that file, without any finding.

#[cfg(unix)]
#[path = "support/real_files.rs"]
mod real_files;

/// What the issue of the gate asks for.
#[cfg(unix)]
const FILES: usize = 50;

#[cfg(unix)]
#[test]
fn a_policy_of_today_is_kept_today() {
    use std::process::Command;

    let files = real_files::real_files();
    let step = (files.len() / FILES).max(1);
    let folder = tempfile::tempdir().expect("a folder");
    let mut held = 0;
    for (at, file) in files.iter().step_by(step).enumerate() {
        let policy = folder.path().join(format!("{at}.toml"));
        let run = |command: &str| {
            Command::new(env!("CARGO_BIN_EXE_cargo-compat"))
                .args([command, "--policy"])
                .arg(&policy)
                .arg("--artifact")
                .arg(file)
                .output()
                .expect("the program runs")
        };
        let made = run("init");
        assert!(made.status.success(), "{}: {}", file.display(), String::from_utf8_lossy(&made.stderr));
        let checked = run("check");
        let said = String::from_utf8_lossy(&checked.stdout);
        let text = std::fs::read_to_string(&policy).expect("the policy");
        assert!(checked.status.success(), "{}: {said}\n{text}", file.display());
        assert!(!said.contains("error[") && !said.contains("warning["), "{}: {said}\n{text}", file.display());
        held += 1;
    }
    assert!(held >= FILES.min(files.len()), "only {held} files were held against their policies");
}
