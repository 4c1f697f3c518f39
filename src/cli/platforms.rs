//! The arguments of `platforms`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Common, TableFormat, Task};
use crate::commands::{make_root, platforms};

/// Systems, and what is known of them.
#[derive(Debug, Subcommand)]
pub enum PlatformsCommand {
    /// List every platform that is known
    List {
        /// How to print it
        #[arg(long, value_name = "FMT", default_value = "human")]
        message_format: TableFormat,
    },
    /// Print what is known of one platform
    Show {
        /// Its name, or the path of a description
        #[arg(value_name = "NAME")]
        name: String,
        /// How to print it
        #[arg(long, value_name = "FMT", default_value = "human")]
        message_format: TableFormat,
    },
    /// Print which libraries are gone, new and renamed between two platforms
    Diff {
        /// The older one
        #[arg(value_name = "OLD")]
        old: String,
        /// The newer one
        #[arg(value_name = "NEW")]
        new: String,
        /// On this architecture only, by its name in triples (repeatable)
        #[arg(long, value_name = "ARCH")]
        arch: Vec<String>,
        /// How to print it
        #[arg(long, value_name = "FMT", default_value = "human")]
        message_format: TableFormat,
    },
    /// Describe any system from its root folder or an archive of it
    Import {
        /// What reports call it
        #[arg(value_name = "NAME")]
        name: String,
        /// The system's root folder
        #[arg(long, value_name = "DIR", required_unless_present = "archive", conflicts_with = "archive")]
        root: Option<PathBuf>,
        /// A tar archive of it, as `docker export` writes it; `-` is standard input
        #[arg(long, value_name = "FILE")]
        archive: Option<PathBuf>,
        /// Where to write the description [default: NAME.platform]
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Replace what is there
        #[arg(long)]
        force: bool,
    },
    /// Make a real root of a platform out of its packages, for `cargo compat test`
    Root(RootArgs),
}

impl PlatformsCommand {
    pub fn into_task(self, common: &Common) -> Task {
        Task::Platforms(match self {
            Self::List { message_format } => platforms::Options::List(message_format.into()),
            Self::Show { name, message_format } => {
                platforms::Options::Show { name, format: message_format.into() }
            }
            Self::Diff { old, new, arch, message_format } => {
                platforms::Options::Diff { old, new, architectures: arch, format: message_format.into() }
            }
            Self::Import { name, root, archive, output, force } => {
                let from = match root {
                    Some(root) => platforms::From::Root(root),
                    // clap asks for one of the two.
                    None => platforms::From::Archive(archive.unwrap_or_else(|| "-".into())),
                };
                platforms::Options::Import { name, from, output, force }
            }
            Self::Root(args) => return Task::MakeRoot(args.into_options(common)),
        })
    }
}

#[derive(Debug, Args)]
pub struct RootArgs {
    /// The platform: debian-12
    platform: String,
    /// For this architecture (repeatable): s390x, ppc64el, … [default: this machine's]
    #[arg(long, value_name = "ARCH")]
    arch: Vec<String>,
    /// A package beyond those that every installation has (repeatable)
    #[arg(long, value_name = "PACKAGE")]
    include: Vec<String>,
    /// Where the packages come from [default: where this machine's apt has them from]
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
    /// Replace the one that is there
    #[arg(long)]
    force: bool,
}

impl RootArgs {
    pub fn into_options(self, common: &Common) -> make_root::Options {
        make_root::Options {
            platform: self.platform,
            arches: self.arch,
            packages: self.include,
            mirror: self.mirror,
            force: self.force,
            verbose: common.verbose > 0,
        }
    }
}
