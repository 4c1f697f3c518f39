fn main() {
    cc::Build::new().file("src/own.c").compile("own");
    println!("cargo:rustc-link-lib=m");
}
