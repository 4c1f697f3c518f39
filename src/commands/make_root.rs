//! `cargo compat platforms root`: a real root of a platform, for `test`.

use crate::report::{self, Failure, Streams};

#[derive(Debug)]
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "Linux alone has the work that reads them"))]
pub struct Options {
    pub platform: String,
    /// Debian's or rustc's names; none: this machine's.
    pub arches: Vec<String>,
    pub packages: Vec<String>,
    pub mirror: Option<String>,
    pub force: bool,
    pub verbose: bool,
}

#[cfg(target_os = "linux")]
pub fn run(options: &Options, streams: &Streams) -> std::io::Result<u8> {
    use crate::emulate::{make_root, qemu};
    use crate::exit;

    let mut arches = Vec::new();
    for name in &options.arches {
        match make_root::arch(name) {
            Some(arch) => arches.push(arch),
            None => {
                let failure = Failure::new(format!("unknown architecture `{name}`"))
                    .help("Debian's names are taken, such as amd64, arm64, s390x, ppc64el, and rustc's");
                report::failure(&failure, streams)?;
                return Ok(exit::USAGE);
            }
        }
    }
    if arches.is_empty() {
        arches.extend(qemu::native());
    }
    for arch in arches {
        let request = make_root::Request {
            platform: options.platform.clone(),
            arch,
            packages: options.packages.clone(),
            mirror: options.mirror.clone(),
            force: options.force,
        };
        report::status("Making", &format!("a root of {} for {arch}", options.platform), streams)?;
        let mut say = |verb: &str, message: &str| {
            if options.verbose {
                let _ = report::status(verb, message, streams);
            }
        };
        match make_root::make(&request, &mut say) {
            Ok(made) => {
                let verb = if made.kept { "Kept" } else { "Made" };
                report::status(verb, &crate::text::path(&made.folder), streams)?;
                for path in &made.lacking {
                    let what = format!("{path}, which an installation of {} has", options.platform);
                    report::status("Lacking", &what, streams)?;
                }
            }
            Err(failure) => {
                report::failure(&failure, streams)?;
                return Ok(exit::NOT_JUDGED);
            }
        }
    }
    Ok(exit::KEPT)
}

#[cfg(not(target_os = "linux"))]
pub fn run(options: &Options, streams: &Streams) -> std::io::Result<u8> {
    let failure = Failure::new(format!("a root of `{}` cannot be made here", options.platform))
        .note("roots are for `cargo compat test`, which runs on Linux only");
    report::failure(&failure, streams)?;
    Ok(crate::exit::NOT_JUDGED)
}
