//! `cargo compat why` on a program of hundreds of crates.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, ensure};

use super::measure::{Call, alternate};
use super::project::{self, CRATES_OF_PROGRAM};
use super::table::{Row, milliseconds};
use super::{Bench, mebibytes};

/// Limits, from the design; and the half GB of memory that people have left beside a build.
const MORE_MS: f64 = 1000.0;
const PEAK_MIB: f64 = 512.0;

const RUNS: usize = 10;

impl Bench {
    /// All findings of a policy, explained, beside a build of nothing and a look at every byte that there is to read.
    pub(super) fn why(&self) -> anyhow::Result<Vec<Row>> {
        // Kept: hundreds of crates are built once.
        let project = project::program(&crate::root().join("target/bench"))?;
        let cargo = Call::new(&self.cargo, ["build"], &project, &[0]);
        cargo.sample()?;
        let files = read_by_why(&project.join("target/debug"))?;
        let bytes: u64 = files.iter().filter_map(|path| fs::metadata(path).ok()).map(|file| file.len()).sum();
        let rlibs = files.len() - 1;
        ensure!(rlibs >= CRATES_OF_PROGRAM, "{rlibs} rlibs; {CRATES_OF_PROGRAM} were expected");
        let cat = Call::new("cat", &files, &project, &[0]);
        let ours = Call::new(&self.ours, ["compat", "why"], &project, &[0]);
        let runs = alternate(self.runs.min(RUNS), &[vec![cargo, cat], vec![ours.clone()]])?;
        let [peer, own] = [0, 1].map(|at| runs[at].median_wall().as_secs_f64() * 1000.0);
        let peak = self.peak(&ours)?;
        let what = format!("`why`, all findings of a program of {rlibs} crates, {} MB", bytes / 1_000_000);
        let more = own - peer;
        let peak_mib = peak as f64 / 1024.0;
        Ok(vec![
            Row {
                figure: format!("{what}: wall"),
                ours: milliseconds(runs[1].median_wall()),
                peer: format!(
                    "`cargo build`, and the files read once {}",
                    milliseconds(runs[0].median_wall())
                ),
                relation: format!("{more:+.0} ms"),
                limit: Some((format!("≤ {MORE_MS:+} ms"), more <= MORE_MS)),
            },
            Row {
                figure: format!("{what}: peak memory"),
                ours: mebibytes(peak),
                peer: String::new(),
                relation: String::new(),
                limit: Some((format!("≤ {PEAK_MIB} MiB"), peak_mib <= PEAK_MIB)),
            },
        ])
    }
}

/// The program, and the rlibs of its crates: of one crate the newest, because what older builds left is not read.
fn read_by_why(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let deps = folder.join("deps");
    let entries = fs::read_dir(&deps).with_context(|| format!("cannot read {}", deps.display()))?;
    let mut newest: BTreeMap<String, (SystemTime, PathBuf)> = BTreeMap::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some((name, _)) = name.strip_suffix(".rlib").and_then(|name| name.rsplit_once('-')) else {
            continue;
        };
        let written = fs::metadata(&path)?.modified()?;
        let known = newest.entry(name.to_owned()).or_insert_with(|| (written, path.clone()));
        if known.0 < written {
            *known = (written, path);
        }
    }
    Ok(newest.into_values().map(|(_, path)| path).chain([folder.join("program")]).collect())
}
