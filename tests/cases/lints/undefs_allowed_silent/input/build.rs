fn main() {
    println!("cargo::rustc-link-arg-bins=-Wl,-z,undefs");
    println!("cargo::rustc-link-arg-bins=-Wl,-z,defs");
    println!("cargo::rustc-link-arg-bin=other=-Wl,-z,undefs");
}
