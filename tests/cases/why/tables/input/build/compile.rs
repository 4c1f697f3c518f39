//! C without the `cc` crate: Debian's compilers by their names.

use std::env::var;
use std::path::PathBuf;
use std::process::Command;

fn tool(host: &str, cross: &str) -> Command {
    let target = var("TARGET").unwrap();
    match target == var("HOST").unwrap() {
        true => Command::new(host),
        false => Command::new(target.replace("-unknown", "") + cross),
    }
}

fn run(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{command:?}");
}

fn out() -> PathBuf {
    let out = PathBuf::from(var("OUT_DIR").unwrap());
    println!("cargo::rustc-link-search=native={}", out.display());
    out
}

/// A static library, which rustc packs into the rlib.
#[allow(dead_code)]
pub fn archive(name: &str) {
    let out = out();
    let object = out.join(format!("{name}.o"));
    run(tool("cc", "-gcc").args(["-O1", "-fPIC", "-c", &format!("src/{name}.c"), "-o"]).arg(&object));
    run(tool("ar", "-ar").arg("crs").arg(out.join(format!("lib{name}.a"))).arg(&object));
    println!("cargo::rustc-link-lib=static={name}");
}

/// A shared library, called `lib….so.1`. Nothing is said of it to cargo.
#[allow(dead_code)]
pub fn shared(name: &str) {
    let out = out();
    let library = out.join(format!("lib{name}.so"));
    let soname = format!("-Wl,-soname,lib{name}.so.1");
    let versions = format!("-Wl,--version-script=src/{name}.map");
    let source = format!("src/{name}.c");
    run(tool("cc", "-gcc").args(["-shared", "-fPIC", &soname, &versions, &source, "-o"]).arg(&library));
    // As `ldconfig` would have it.
    std::fs::copy(&library, out.join(format!("lib{name}.so.1"))).unwrap();
}
