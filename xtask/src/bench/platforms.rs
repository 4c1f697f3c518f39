//! `check` of files against platforms, beside the same check against none.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;

use anyhow::Context;

use super::inputs::{FILES_HOSTS, FILES_KEEP};
use super::measure::{Call, alternate, ratio};
use super::table::{Row, milliseconds, times};
use super::{Bench, FILES, files};

/// Described in full, each with thousands of libraries; and four of which facts are published.
const DESCRIBED: [&str; 4] = ["debian-11", "debian-12", "debian-13", "debian-testing"];
const PUBLISHED: [&str; 4] = ["rhel-8", "rhel-9", "ubuntu-22.04", "ubuntu-24.04"];

/// Limits, from the design.
const FILES_CPU: f64 = 2.0;
const LOADED_MORE_MS: f64 = 5.0;

impl Bench {
    pub(super) fn platforms(&self) -> anyhow::Result<Vec<Row>> {
        let mut rows = self.platforms_of_many()?;
        rows.extend(self.platform_of_one()?);
        Ok(rows)
    }

    fn platforms_of_many(&self) -> anyhow::Result<Vec<Row>> {
        let files = files::find(FILES);
        let list = self.list(&files)?;
        let call = |platforms: &[&str], ends_with| -> anyhow::Result<Vec<Call>> {
            let keys = format!("runs-on = {platforms:?}\n{FILES_HOSTS}");
            Ok(vec![Call { input: Some(list.clone()), ..self.check(FILES_KEEP, &keys, "-", ends_with)? }])
        };
        // A system may hold a file that nobody can read, or that is for an architecture which a platform lacks: 101.
        let ends_with = &[0, 1, 101];
        let sides = [call(&[], ends_with)?, call(&DESCRIBED, ends_with)?, call(&PUBLISHED, ends_with)?];
        let runs = alternate(self.long_runs(), &sides)?;
        let what = format!("{} files of {} MB in one call", files.paths.len(), files.bytes / 1_000_000);
        let row = |at: usize, platforms: &str| {
            let relation = ratio(runs[at].cpu(), runs[0].cpu());
            Row {
                figure: format!("{what}, held against four platforms ({platforms}): CPU"),
                ours: milliseconds(runs[at].mean_cpu()),
                peer: format!("against none {}", milliseconds(runs[0].mean_cpu())),
                relation: times(relation),
                limit: Some((format!("≤ {}", times(FILES_CPU)), relation <= FILES_CPU)),
            }
        };
        Ok(vec![row(1, "described in full"), row(2, "by published facts")])
    }

    /// Of one small program: nearly all that a platform costs is to load what is known of it.
    fn platform_of_one(&self) -> anyhow::Result<Vec<Row>> {
        let program = "/usr/bin/true";
        let call = |platforms: &[&str]| -> anyhow::Result<Vec<Call>> {
            let keys = format!("runs-on = {platforms:?}\n");
            Ok(vec![self.check(FILES_KEEP, &keys, program, &[0, 1, 101])?])
        };
        let one = |of: &[&'static str; 4]| of[1];
        let runs = alternate(self.runs, &[call(&[])?, call(&[one(&DESCRIBED)])?, call(&[one(&PUBLISHED)])?])?;
        let row = |at: usize, platform: &str| {
            let [none, with] = [0, at].map(|at| runs[at].median_wall().as_secs_f64() * 1000.0);
            let more = with - none;
            Row {
                figure: format!("`{program}`, held against {platform}: wall"),
                ours: milliseconds(runs[at].median_wall()),
                peer: format!("against none {}", milliseconds(runs[0].median_wall())),
                relation: format!("{more:+.1} ms"),
                limit: Some((format!("≤ {LOADED_MORE_MS:+} ms"), more <= LOADED_MORE_MS)),
            }
        };
        Ok(vec![row(1, one(&DESCRIBED)), row(2, one(&PUBLISHED))])
    }

    /// The paths as a file that is given as standard input.
    pub(super) fn list(&self, files: &files::Files) -> anyhow::Result<PathBuf> {
        let list = self.folder().join("list");
        let lines: Vec<&OsStr> = files.paths.iter().map(|path| path.as_os_str()).collect();
        fs::write(&list, lines.join(OsStr::new("\n")).as_encoded_bytes())
            .with_context(|| format!("cannot write {}", list.display()))?;
        Ok(list)
    }
}
