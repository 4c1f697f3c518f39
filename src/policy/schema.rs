//! The shape of `compat.toml` for editors. The parser walks the table by hand,
//! so the shape stands here once more, and a test holds the two together.

#![expect(dead_code, reason = "only the shape matters: no value of these types is made")]

use std::collections::BTreeMap;

use schemars::JsonSchema;

/// The policy of `cargo compat`.
#[derive(JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Compat {
    /// The version of cargo-compat, as Cargo.toml writes versions: ">=0.1".
    pub requires: Option<String>,
    /// The release set, as globs: one that is not built is an error.
    pub artifacts: Option<Vec<String>>,
    /// The file of findings that were there before, which `cargo compat init --baseline` writes.
    pub baseline: Option<String>,
    pub build: Option<Build>,
    /// By target triple or `cfg(…)`.
    pub target: Option<BTreeMap<String, Target>>,
    /// By the artifact's name, as a glob.
    pub artifact: Option<BTreeMap<String, Artifact>>,
    /// Levels of lints, by name.
    pub lints: Option<BTreeMap<String, Level>>,
    pub exception: Option<Vec<Exception>>,
    #[serde(flatten)]
    pub rules: Rules,
}

/// Keys that hold at the top, for a target and for an artifact.
#[derive(JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Rules {
    /// The newest GLIBC version that may be needed: "2.28".
    pub glibc: Option<Version>,
    /// The newest GLIBCXX version that may be needed: "3.4.25".
    pub glibcxx: Option<Version>,
    /// The newest version of any other namespace of version nodes.
    pub versions: Option<BTreeMap<String, Version>>,
    /// How executables must be linked.
    pub linkage: Option<Linkage>,
    /// The oldest CPU promised: "x86-64-v2", "z13", "power8".
    pub cpu: Option<String>,
    /// Libraries that may be needed (DT_NEEDED), as globs.
    pub libraries: Option<Vec<String>>,
    /// Platforms on which the artifact must load: names ("debian-12"), or paths of descriptions that `cargo compat platforms import` made.
    pub runs_on: Option<Vec<String>>,
    /// Packages beyond a plain install that the artifact's own package asks for, as globs.
    pub packages: Option<Vec<String>>,
    /// "plain": nothing may be needed beyond a plain install and `packages`.
    pub install: Option<Install>,
    /// Symbols that the program which loads the artifact provides: globs, literal names, presets ("preset:python").
    pub undefined: Option<Vec<String>>,
    /// Libraries that a later link of an archive or object file brings: "z", "static=part", a path.
    pub link_libs: Option<Vec<String>>,
}

/// Numbers with dots between them, in quotes.
#[derive(JsonSchema)]
pub struct Version(#[schemars(regex(pattern = r"^([A-Za-z0-9_]+_)?[0-9]+(\.[0-9]+)*$"))] pub String);

#[derive(JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Install {
    Plain,
}

#[derive(JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Linkage {
    Static,
    Dynamic,
}

#[derive(JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    Allow,
    Warn,
    Deny,
}

/// Defaults for cargo; the command line wins.
#[derive(JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Build {
    pub profile: Option<String>,
    pub targets: Option<Vec<String>>,
    pub features: Option<Vec<String>>,
    pub all_features: Option<bool>,
    pub no_default_features: Option<bool>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Target {
    /// By the artifact's name, as a glob, on this target.
    pub artifact: Option<BTreeMap<String, Artifact>>,
    /// For `cargo compat test`.
    pub test: Option<Test>,
    #[serde(flatten)]
    pub rules: Rules,
}

#[derive(JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Test {
    /// Where the tests must run: "empty", "sysroot", a folder, or a platform such as "debian-12".
    pub root: Option<String>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Artifact {
    #[serde(flatten)]
    pub rules: Rules,
}

/// A finding that is accepted.
#[derive(JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Exception {
    pub lint: String,
    /// What the finding is about, as its report says it.
    pub subject: Option<String>,
    /// A glob over names.
    pub artifact: Option<String>,
    /// A triple or `cfg(…)`.
    pub target: Option<String>,
    pub platform: Option<String>,
    /// Why it is accepted.
    pub reason: String,
    /// The last day on which it holds: 2027-06-30, as a date or in quotes.
    #[schemars(with = "Option<String>")]
    pub until: Option<String>,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
    use serde_json::Value;

    use super::*;
    use crate::policy::keys::RULE_KEYS;
    use crate::policy::parse::{BUILD_KEYS, TARGET_KEYS, TOP_KEYS};

    fn schema<T: JsonSchema>() -> Value {
        let settings = SchemaSettings::draft2020_12().for_serialize();
        SchemaGenerator::new(settings).into_root_schema_for::<T>().to_value()
    }

    fn policy_schema() -> Value {
        SchemaGenerator::new(SchemaSettings::draft2020_12()).into_root_schema_for::<Compat>().to_value()
    }

    /// Compares with the file, or writes it.
    fn keep(file: &str, schema: &Value) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas").join(file);
        let text = format!("{schema:#}\n");
        if std::env::var_os("SNAPSHOTS").is_some_and(|value| value == "overwrite") {
            std::fs::write(&path, text).unwrap();
        } else {
            let found = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(found == text, "schemas/{file} is out of date; SNAPSHOTS=overwrite corrects it");
        }
    }

    #[test]
    fn the_schemas_are_those_of_the_types() {
        keep("compat.schema.json", &policy_schema());
        keep("check.schema.json", &schema::<crate::report::Report>());
        keep("diff.schema.json", &schema::<crate::report::DiffObject<'static>>());
        keep("why.schema.json", &schema::<crate::report::why::Report>());
        keep("platforms.schema.json", &schema::<crate::report::PlatformsObject<'static>>());
        keep("show.schema.json", &schema::<crate::report::ShowObject<'static>>());
        keep("show-lines.schema.json", &schema::<crate::report::ShowLine>());
    }

    fn properties(schema: &Value, pointer: &str) -> BTreeSet<String> {
        schema.pointer(pointer).and_then(Value::as_object).unwrap().keys().cloned().collect()
    }

    #[test]
    fn the_policy_schema_has_the_keys_of_the_parser() {
        let schema = policy_schema();
        let keys =
            |lists: &[&[&str]]| lists.concat().iter().map(|key| (*key).to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(properties(&schema, "/properties"), keys(&[TOP_KEYS, RULE_KEYS]));
        assert_eq!(properties(&schema, "/$defs/Target/properties"), keys(&[TARGET_KEYS, RULE_KEYS]));
        assert_eq!(properties(&schema, "/$defs/Build/properties"), keys(&[BUILD_KEYS]));
        assert_eq!(
            properties(&schema, "/$defs/Exception/properties"),
            keys(&[crate::policy::exceptions::KEYS])
        );
    }
}
