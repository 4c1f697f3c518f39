#[test]
fn starts_the_program() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_prog")).output().unwrap();
    assert_eq!(output.stdout, b"child\n", "{output:?}");
}
