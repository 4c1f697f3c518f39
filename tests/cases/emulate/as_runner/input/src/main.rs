use std::io::Read as _;

fn main() {
    let mut given = String::new();
    std::io::stdin().read_to_string(&mut given).unwrap();
    let kept = std::fs::read_to_string("/etc/kept").unwrap();
    print!("{:?} {given}{kept}", std::env::args().skip(1).collect::<Vec<_>>());
    std::process::exit(3);
}
