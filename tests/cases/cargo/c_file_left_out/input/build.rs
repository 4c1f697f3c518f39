//! What the `cc` crate does, by hand: the C compiler, `ar`, and what cargo is told.
use std::path::Path;
use std::process::Command;

fn main() {
    let out = std::env::var("OUT_DIR").unwrap();
    let mut objects = Vec::new();
    for name in ["cloned_binary", "nsexec"] {
        if name == "nsexec" && std::env::var_os("CARGO_FEATURE_WHOLE").is_none() {
            continue;
        }
        let (source, object) = (format!("../c/{name}.c"), format!("{name}.o"));
        println!("cargo::rerun-if-changed={source}");
        let source = Path::new(&source).canonicalize().unwrap();
        run(Command::new("cc").args(["-fPIC", "-O1", "-c", "-o", &object]).arg(source), &out);
        objects.push(object);
    }
    let _ = std::fs::remove_file(Path::new(&out).join("libnsenter.a"));
    run(Command::new("ar").args(["rcs", "libnsenter.a"]).args(&objects), &out);
    println!("cargo::rustc-link-search=native={out}");
    println!("cargo::rustc-link-lib=static=nsenter");
}

fn run(command: &mut Command, folder: &str) {
    assert!(command.current_dir(folder).status().unwrap().success(), "{command:?}");
}
