use std::path::Path;
use std::process::Command;

#[test]
fn starts_the_program() {
    let output = Command::new(env!("CARGO_BIN_EXE_prog")).output().unwrap();
    assert_eq!(output.stdout, b"child\n", "{output:?}");
}

#[test]
fn sees_nothing_of_the_machine() {
    for path in ["/etc/passwd", "/usr", "/bin/true", "/lib/x86_64-linux-gnu", "/root", "/sys"] {
        assert!(!Path::new(path).exists(), "{path}");
    }
    let paths = std::env::var_os("LD_LIBRARY_PATH").unwrap();
    for path in std::env::split_paths(&paths) {
        assert!(path.starts_with(Path::new(env!("CARGO_MANIFEST_DIR")).join("target")), "{path:?}");
    }
}

#[test]
fn works_where_cargo_works() {
    assert_eq!(std::env::current_dir().unwrap(), Path::new(env!("CARGO_MANIFEST_DIR")));
    std::fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join("written"), "x").unwrap();
    std::fs::write("/tmp/written", "x").unwrap();
    assert!(std::fs::write("/lib/written", "x").is_err());
    assert_eq!(std::env::current_exe().unwrap().file_name(), Path::new(&std::env::args().next().unwrap()).file_name());
}
